"""Searches over a batch whose rows use different adapters find what each row finds alone."""

import pytest
import torch

from espnet_peft import adapters
from espnet_peft.adapters import AdapterBank
from espnet_peft.decode.beam import beam
from espnet_peft.decode.greedy import greedy
from espnet_peft.decode.options import SearchOptions

CONFIGS = {
    "one": ("lora", {"r": 4}, True),
    "two": ("lora", {"r": 2, "target": "qv", "side": "decoder"}, True),
    "ears": ("lora", {"r": 3, "target": "ffn", "side": "encoder"}, True),
    "beside": ("adapter", {"bottleneck": 8, "kind": "parallel"}, False),
}
NAMES = ("one", None, "two", "ears", "beside", "one", None, "beside", "two", "ears", "one", "two")


def make_model(tiny):
    return tiny(n_vocab=12, peak=2.0, eot_bonus=1.5)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Directories of adapters, filled at first use."""
    return tmp_path_factory.mktemp("adapters"), {}


@pytest.fixture
def shelf(found, tiny):
    root, shelf = found
    for seed, (name, (method, conf, _)) in enumerate(CONFIGS.items()):
        if name not in shelf:
            model = make_model(tiny)
            adapters.inject(model, adapters.make_config(method, conf), "new")
            generator = torch.Generator().manual_seed(seed)
            for parameter in adapters.trainable_state_dict(model).values():
                parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
            adapters.save(model, root / name, "new")
            shelf[name] = root / name
    return shelf


def decode(search, model, features, lengths, options, mix=None):
    with torch.inference_mode():
        enc, enc_lengths = model.encode(features, lengths)
        prompts = torch.tensor([model.tokenizer.prompt("aa")]).repeat(len(features), 1)
        return search(model, enc, enc_lengths, prompts, options, mix=mix)


@pytest.mark.parametrize("search, width", [(greedy, 1), (beam, 3)], ids=["greedy", "beam"])
@pytest.mark.parametrize("longest", [90, 190])
def test_each_row_finds_what_it_finds_alone(search, width, longest, tiny, speech, shelf):
    options = SearchOptions(beam_size=width, max_length=14)
    features, lengths = speech(len(NAMES), shortest=20, longest=longest)
    model = make_model(tiny)
    plain = decode(search, model, features, lengths, options)
    bank = AdapterBank(model, shelf)
    with bank.mix([{} if name is None else {name: 1.0} for name in NAMES]) as mix:
        together = decode(search, model, features, lengths, options, mix)
    alone = {None: make_model(tiny)}
    for name, (_, _, mergeable) in CONFIGS.items():
        alone[name] = make_model(tiny)
        adapters.load(alone[name], shelf[name], name)
        if mergeable:
            adapters.merge(alone[name], name)
    for row, name in enumerate(NAMES):
        here = slice(row, row + 1)
        (solo,) = decode(
            search, alone[name], features[here, : lengths[row]], lengths[here], options
        )
        assert together[row].tokens == solo.tokens, name
        assert together[row].ended == solo.ended
        assert together[row].score == pytest.approx(solo.score, abs=1e-4)
    # The test would show nothing if adapters changed nothing, or if all rows ended at once.
    changed = [a.tokens != b.tokens for a, b, n in zip(together, plain, NAMES, strict=True) if n]
    assert sum(changed) >= len(changed) // 2
    assert len({len(one.tokens) for one in together}) > 3
