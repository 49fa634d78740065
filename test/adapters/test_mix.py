"""A row of a mixed batch equals the utterance alone with its adapter merged into the base."""

import json

import pytest
import torch
from safetensors.torch import load_file

from espnet_peft import adapters
from espnet_peft.adapters import AdapterBank
from espnet_peft.models.cache import Cache

NAMES = (
    "wide",
    "qv",
    None,
    "ears",
    "cross",
    "houlsby",
    "start",
    "pfeiffer",
    None,
    "parallel",
    "set",
)
ROWS = [{} if name is None else {name: 1.0} for name in NAMES]
CLOSE = {"atol": 1e-5, "rtol": 1e-5}


def batch(n_rows, shortest, longest, seed=3):
    """Padded features, their lengths, and tokens."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(shortest, longest + 1, (n_rows,), generator=generator)
    lengths[0] = longest
    speech = torch.randn(n_rows, longest, 80, generator=generator)
    tokens = torch.randint(4, 40, (n_rows, 9), generator=generator)
    return speech, lengths, tokens


@torch.no_grad()
def outputs(model, speech, lengths, tokens, rows=slice(None)):
    """The encoder's states and the logits of tokens that come in three steps, by the cache."""
    enc, enc_lengths = model.encode(speech[rows], lengths[rows])
    cache, steps = Cache(), tokens[rows].split([4, 1, 1, 3], dim=1)
    logits = [model.decoder(step, enc, enc_lengths, cache) for step in steps]
    return enc, torch.cat(logits, dim=1)


def same_inside(one, other, lengths):
    """Compare states (B, T', D) where there is speech."""
    return all(
        torch.allclose(a[:n], b[:n], **CLOSE)
        for a, b, n in zip(one, other, ((lengths + 1) // 2).tolist(), strict=True)
    )


# Above and below the length from which rows are computed one by one.
@pytest.mark.parametrize("frames", [(20, 60), (130, 190)], ids=["short", "long"])
@pytest.mark.parametrize("which", ["all", "backwards", "adapted"])
def test_rows_equal_solo_runs(frames, which, make, shelf, alone):
    names = NAMES[::-1] if which == "backwards" else NAMES
    if which == "adapted":
        names = [name for name in NAMES if name is not None] + ["wide", "wide", "qv"]
    data = batch(len(names), *frames)
    model = make()
    plain = outputs(model, *data)
    bank = AdapterBank(model, shelf)
    with bank.mix([{} if name is None else {name: 1.0} for name in names]):
        enc, logits = outputs(model, *data)
    for row, name in enumerate(names):
        here = slice(row, row + 1)
        solo_enc, solo_logits = outputs(alone(name), *data, here)
        assert same_inside(enc[here], solo_enc, data[1][here]), name
        assert torch.allclose(logits[here], solo_logits, **CLOSE), name
        if name is None:
            assert torch.equal(enc[row], plain[0][row])
            assert torch.equal(logits[row], plain[1][row])
        else:
            assert (logits[row] - plain[1][row]).abs().max() > 1e-2, name


def test_one_adapter_for_all_rows(make, shelf, alone):
    data = batch(3, 60, 150)
    for name in shelf:
        model = make()
        with AdapterBank(model, shelf).mix([{name: 1.0}] * 3):
            enc, logits = outputs(model, *data)
        solo = outputs(alone(name), *data)
        assert same_inside(enc, solo[0], data[1]) and torch.allclose(logits, solo[1], **CLOSE), name


def test_outside_a_mix_the_model_is_the_base(make, shelf):
    data = batch(len(ROWS), 20, 60)
    model = make()
    before, keys = outputs(model, *data), list(model.state_dict())
    bank = AdapterBank(model, shelf)
    mix = bank.mix(ROWS)
    assert all(map(torch.equal, outputs(model, *data), before))
    with pytest.raises(RuntimeError, match="stop"), mix:
        with mix:
            inner = outputs(model, *data)
        assert list(model.state_dict()) == keys
        assert all(map(torch.equal, outputs(model, *data), inner))
        assert not torch.equal(inner[1], before[1])
        raise RuntimeError("stop")
    assert all(map(torch.equal, outputs(model, *data), before))
    assert not [name for name, part in model.named_modules() if "forward" in vars(part)]
    with bank.mix([{}] * len(ROWS)):
        assert all(map(torch.equal, outputs(model, *data), before))
    with mix:
        assert all(map(torch.equal, outputs(model, *data), inner))


@pytest.mark.parametrize("spread", [0, 10**9], ids=["brought together", "repeated"])
def test_rows_can_be_repeated_and_dropped(spread, make, shelf, alone, monkeypatch):
    monkeypatch.setattr("espnet_peft.adapters.gather.SPREAD_BYTES", spread)
    data = batch(len(ROWS), 130, 190)
    speech, lengths, tokens = data
    model = make()
    solo = {name: alone(name) for name in dict.fromkeys(NAMES)}
    generator = torch.Generator().manual_seed(0)
    indices = [torch.arange(len(ROWS)).repeat_interleave(2)]
    indices.append(torch.arange(22).view(-1, 2).flip(1).flatten())  # as beams change places
    for before, after in ((22, 22), (22, 17), (17, 3)):
        indices.append(torch.randint(0, before, (after,), generator=generator))
    with torch.no_grad(), AdapterBank(model, shelf).mix(ROWS) as mix:
        cache = Cache()
        cache.followers.append(mix)
        seen = torch.arange(len(ROWS))
        model.decoder(tokens[:, :3], *model.encode(speech, lengths), cache)
        for step, index in enumerate(indices):
            cache.reorder(index)
            seen = seen[index]
            assert mix.n_rows == len(index)
            here = slice(3 + step, 4 + step)
            logits = model.decoder(tokens[seen, here], None, None, cache)
            for row, source in enumerate(seen.tolist()):
                own = slice(source, source + 1)
                one = solo[NAMES[source]]
                enc = one.encode(speech[own], lengths[own])
                wanted = one.decoder(tokens[own, : 4 + step], *enc)[:, -1]
                assert torch.allclose(logits[row], wanted, **CLOSE), NAMES[source]
    assert mix.n_rows == len(ROWS)


def changes(directory, model):
    """The change of each weight by a LoRA file, by the file alone."""
    conf = json.loads((directory / "adapter_config.json").read_text())
    factor = conf["lora_alpha"] / (conf["r"] ** 0.5 if conf["use_rslora"] else conf["r"])
    state = load_file(directory / "adapter_model.safetensors")
    found = {}
    for key in state:
        if key.endswith("lora_A.weight"):
            name = key.removeprefix("base_model.model.").removesuffix(".lora_A.weight")
            other = state[key.replace("lora_A", "lora_B")]
            found[model.from_hf_name(name)] = factor * other.double() @ state[key].double()
    return found


@pytest.mark.parametrize("frames", [(20, 60), (130, 190)], ids=["short", "long"])
def test_soft_weights_are_a_sum_of_weight_updates(frames, make, shelf):
    rows = [{"wide": 0.5, "qv": 0.3, "ears": 0.2}, {"start": 0.25}, {"wide": 0.7, "base": 0.3}]
    data = batch(len(rows), *frames)
    model = make()
    with AdapterBank(model, shelf).mix(rows):
        enc, logits = outputs(model, *data)
    for row, shares in enumerate(rows):
        summed, here = make(), slice(row, row + 1)
        for name, share in shares.items():
            for module, change in changes(shelf[name], model).items() if name != "base" else ():
                weight = summed.get_submodule(module).weight.data
                weight.copy_(weight.double() + share * change)
        wanted = outputs(summed, *data, here)
        assert same_inside(enc[here], wanted[0], data[1][here])
        assert torch.allclose(logits[here], wanted[1], **CLOSE)


def test_soft_bottlenecks_all_read_the_module_itself(make, shelf):
    model = make()
    x = torch.randn(1, 80, 128)
    rows = [{"houlsby": 0.5, "pfeiffer": 0.25, "set": 0.25}]
    state = {name: load_file(shelf[name] / "adapter_model.safetensors") for name in rows[0]}
    place = "base_model.model.encoder.blocks.1.mlp.2.bottleneck."
    layer = model.encoder.blocks[1].mlp[2]

    def update(name, activation, s):
        own = {key: state[name][place + key] for key in ("down.weight", "down.bias", "up.weight")}
        inner = activation(s @ own["down.weight"].T + own["down.bias"])
        return inner @ own["up.weight"].T + state[name][place + "up.bias"]

    with torch.no_grad():
        read = layer(x) + 0.25 * x @ changes_of_set(shelf["set"], model).T
        wanted = read + 0.5 * update("houlsby", torch.nn.functional.gelu, read)
        wanted += 0.25 * update("pfeiffer", torch.relu, read)
        wanted += 0.25 * update("set", torch.nn.functional.gelu, read)
        with AdapterBank(model, shelf).mix(rows):
            assert torch.allclose(layer(x), wanted, **CLOSE)
            assert torch.allclose(layer(x[:, :9]), wanted[:, :9], **CLOSE)


def changes_of_set(directory, model):
    """The change of encoder.blocks.1.mlp.2 by the LoRA part of the set: alpha 32, r 2."""
    state = load_file(directory / "adapter_model.safetensors")
    place = "base_model.model.model.encoder.layers.1.fc2.lora_"
    return 32 / 2 * state[f"{place}B.weight"] @ state[f"{place}A.weight"]


def test_peft_mixes_to_the_same(make, shelf):
    """peft's own mixed batch, by the hooks that it sets itself, on LoRA alone."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    names = ["wide", "qv", "__base__", "ears", "cross", "wide"]
    data = batch(len(names), 40, 150)
    theirs = make()
    for name in sorted(set(names) - {"__base__"}):
        adapters.load(theirs, shelf[name], name)
    adapters.set_adapter(theirs, None)
    for module in theirs.modules():
        if isinstance(module, BaseTunerLayer):
            module.register_forward_pre_hook(
                lambda module, args, more: (args, more | {"adapter_names": names}), with_kwargs=True
            )
    ours = make()
    with AdapterBank(ours, shelf).mix([{} if n == "__base__" else {n: 1.0} for n in names]):
        enc, logits = outputs(ours, *data)
    wanted = outputs(theirs, *data)
    assert same_inside(enc, wanted[0], data[1])
    assert torch.allclose(logits, wanted[1], **CLOSE)


def test_adapters_of_the_model_itself_may_sleep(make, shelf, alone):
    data = batch(len(ROWS), 40, 60)
    model = make()
    for name in ("houlsby", "wide", "parallel"):
        adapters.load(model, shelf[name], name)
    bank = AdapterBank(model, shelf)
    with pytest.raises(ValueError, match="adapter 'parallel' is at work"), bank.mix(ROWS):
        pass
    adapters.set_adapter(model, None)
    with bank.mix(ROWS):
        logits = outputs(model, *data)[1]
        for verb in (
            lambda: adapters.set_adapter(model, "wide"),
            lambda: adapters.delete(model, "wide"),
            lambda: adapters.merge(model, "wide"),
            lambda: bank.mix(ROWS).__enter__(),
        ):
            with pytest.raises(ValueError, match="a batch with mixed adapters runs"):
                verb()
    for row, name in enumerate(NAMES):
        wanted = outputs(alone(name), *data, slice(row, row + 1))[1]
        assert torch.allclose(logits[row], wanted[0], **CLOSE), name
    adapters.merge(model, "wide")
    with pytest.raises(ValueError, match="'wide' is merged"), bank.mix(ROWS):
        pass


def test_half_precision(make, shelf):
    data = batch(len(ROWS), 40, 150)
    model = make().to(torch.bfloat16)
    plain = outputs(model, *data)
    bank = AdapterBank(model, shelf)
    with bank.mix(ROWS):
        enc, logits = outputs(model, *data)
    for row, name in enumerate(NAMES):
        if name is None:
            assert torch.equal(logits[row], plain[1][row])
    exact = make()
    with AdapterBank(exact, shelf).mix(ROWS):
        wanted = outputs(exact, *data)
    change = (wanted[1] - plain[1]).abs().max()
    assert (logits - wanted[1]).abs().max() < 0.1 * change
    model.float()
    with bank.mix(ROWS):
        assert torch.isfinite(outputs(model, *data)[1]).all()


def test_the_batch_must_have_the_rows_of_the_mix(make, shelf):
    model = make()
    data = batch(3, 40, 150)
    for rows in ([{"wide": 1.0}], [{"wide": 1.0}] * 2, [{"wide": 1.0}, {}, {}, {"qv": 0.5}]):
        with pytest.raises(ValueError, match=f"3 rows, expected the mix's {len(rows)}"):
            with AdapterBank(model, shelf).mix(rows):
                outputs(model, *data)
