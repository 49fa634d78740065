"""AdaLoRA's ranks fall as its schedule says, in any training loop, and training resumes exactly."""

import copy

import pytest
import torch

from espnet_peft import adapters
from espnet_peft.adapters.methods.adalora import AdaloraOptions, Allocator

CONF = {"total_step": 12, "init_r": 4, "target_r": 2, "tinit": 2, "tfinal": 3, "target": "qv"}


def build(make):
    base = make()
    adapters.inject(base, adapters.make_config("adalora", CONF))
    trainable = [p for p in base.parameters() if p.requires_grad]
    return base.train(), torch.optim.AdamW(trainable, lr=0.01)


def step(base, optimizer, seed):
    generator = torch.Generator().manual_seed(seed)
    speech = torch.randn(2, 40, 80, generator=generator)
    tokens = torch.randint(4, 40, (2, 6), generator=generator)
    lengths = torch.tensor([40, 40]), torch.tensor([6, 6])
    optimizer.zero_grad()
    base.loss(speech, lengths[0], tokens, lengths[1], 2)[0].backward()
    optimizer.step()


def ranks(base):
    state = adapters.trainable_state_dict(base)
    return sum(int((p != 0).sum()) for p in state.values() if p.shape == (4, 1))


def test_the_schedule_by_hand():
    allocator = Allocator(AdaloraOptions(**CONF), [None] * 10)
    # from 40 to 20 over steps 2 to 9: 20 + 20 (1 - (s - 2) / 7)^3
    assert [allocator.budget(s) for s in (0, 2, 3, 5, 9, 12)] == [40, 40, 32, 23, 20, 20]


def test_ranks_fall_to_the_target(make):
    base, optimizer = build(make)
    targets = 14
    seen = []
    for i in range(12):
        step(base, optimizer, i)
        seen.append(ranks(base))
    assert seen[0] == seen[1] == targets * 4
    assert seen[2:9] == sorted(seen[2:9], reverse=True)
    assert seen[8:] == [targets * 2] * 4


def test_factors_become_orthogonal(make):
    def spread(weight):
        base = make()
        conf = CONF | {"orth_reg_weight": weight}
        adapters.inject(base, adapters.make_config("adalora", conf))
        optimizer = torch.optim.SGD([p for p in base.parameters() if p.requires_grad], lr=0.5)
        for i in range(40):
            step(base, optimizer, i)
        rows = [p for p in adapters.trainable_state_dict(base).values() if p.shape == (4, 32)]
        return sum(float(torch.linalg.norm(p @ p.T - torch.eye(4))) for p in rows)

    assert spread(5.0) < 0.8 * spread(0.0)


@pytest.mark.parametrize("stop", [1, 6, 10])
def test_training_resumes_exactly(make, stop):
    base, optimizer = build(make)
    for i in range(stop):
        step(base, optimizer, i)
    weights = {key: p.clone() for key, p in adapters.trainable_state_dict(base).items()}
    position = copy.deepcopy(optimizer.state_dict())
    again, other = build(make)
    adapters.load_trainable_state_dict(again, weights)
    other.load_state_dict(position)
    for i in range(stop, 12):
        step(base, optimizer, i)
        step(again, other, i)
    one, two = adapters.trainable_state_dict(base), adapters.trainable_state_dict(again)
    assert all(torch.equal(one[key], two[key]) for key in one)


@pytest.mark.parametrize(
    "conf, said",
    [
        ({}, "total_step is 0"),
        ({"total_step": 10, "target_r": 13}, "target_r is 13, expected 1 to 12"),
        ({"total_step": 10, "tinit": 5, "tfinal": 5}, "tfinal is 5, expected 0 to 4"),
    ],
)
def test_schedules_that_cannot_be(conf, said):
    with pytest.raises(ValueError, match=said):
        adapters.make_config("adalora", conf)
