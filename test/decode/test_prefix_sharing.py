"""What the router and decoding both need is computed once, and nothing else is shared."""

import copy

import pytest
import torch

from espnet_peft import adapters
from espnet_peft.adapters import AdapterBank
from espnet_peft.decode import Recogniser, SearchOptions
from espnet_peft.decode.route import RouteClock, RoutingTable
from espnet_peft.routing.router import Routed

P = torch.tensor([[0.9, 0.1], [0.1, 0.9], [0.8, 0.2], [0.3, 0.7]])


class StubRouter:
    """Known probabilities; reads the encoder after each of `layers`, as a real one does."""

    languages, other_threshold = ("aa", "bb"), 0.0

    def __init__(self, layers):
        self.layers, self.layer = layers, layers[-1]

    def __call__(self, model, speech, lengths, frames=False):
        prefix = model.encode_prefix(speech, lengths, self.layers[0])
        self.read = [prefix.x]
        for layer in self.layers[1:]:
            prefix = model.encode_on(prefix, layer)
            self.read.append(prefix.x)
        size = prefix.x.shape[1]
        return Routed(P, P[:, None].expand(-1, size, -1) if frames else None, prefix, P.log())


def save_random(model, directory, seed, **options):
    own = copy.deepcopy(model)
    adapters.inject(own, adapters.make_config("lora", {"r": 3, **options}), name="x")
    torch.manual_seed(seed)
    with torch.no_grad():
        for tensor in adapters.trainable_state_dict(own).values():
            tensor.normal_(std=0.15)
    adapters.save(own, directory, name="x")
    return directory


DECODER = {"side": "decoder"}
LATE = {"side": "encoder", "layers": [2]}
ALL = {"side": "both"}


@pytest.mark.parametrize("strategy", ["hard", "soft", "soft_decoders", "frame", "spans"])
@pytest.mark.parametrize(
    "one, two, layers, calls",
    [
        (DECODER, DECODER, (3,), [1, 1, 1]),
        (DECODER, DECODER, (1, 2), [1, 1, 1]),
        (LATE, DECODER, (2,), [1, 1, 1]),
        (LATE, LATE, (1, 3), [1, 1, 2]),  # the adapters' layer runs with and without them
        (ALL, DECODER, (1, 2), [2, 2, 1]),
        (ALL, ALL, (3,), [2, 2, 2]),
    ],
)
def test_same_results_and_no_layer_twice(
    tiny, speech, tmp_path, strategy, one, two, layers, calls, monkeypatch
):
    model = tiny(seed=3, eot_bonus=1.0, n_audio_layer=3)
    places = {
        "aa": save_random(model, tmp_path / "aa", 1, **one),
        "bb": save_random(model, tmp_path / "bb", 2, **two),
    }
    router = StubRouter(layers)
    recogniser = Recogniser(
        model,
        SearchOptions(max_length=10),
        bank=AdapterBank(model, places),
        table=RoutingTable(router, adapters={"aa": "aa", "bb": "bb"}),
    )
    features, lengths = speech(4)
    states = [model.encode_prefix(features, lengths, layer).x for layer in layers]
    counts = count_calls(model, monkeypatch)
    found = recogniser.decode_routed(features, lengths, strategy)
    assert all(torch.equal(*pair) for pair in zip(router.read, states, strict=True))
    clock = recogniser.clock
    assert clock.utterances == 4 and 0 <= clock.encoder_seconds < clock.seconds
    if strategy == "spans":
        assert clock.shared == 0 and clock.encoder_seconds > 0
    else:
        assert counts == calls
        assert clock.shared == (4 if calls == [1, 1, 1] else 0)
        assert (clock.encoder_seconds == 0) == (calls == [1, 1, 1])

    monkeypatch.undo()
    recogniser.clock = RouteClock()
    apart = decode_without_sharing(recogniser, features, lengths, strategy, monkeypatch)
    for result, other in zip(found, apart, strict=True):
        assert result.tokens == other.tokens and result.shares == other.shares
        assert result.score == pytest.approx(other.score, abs=1e-4)


def count_calls(model, monkeypatch):
    """How often each encoder block runs on the whole batch, from now on."""
    counts = [0] * len(model.encoder.blocks)
    for number, block in enumerate(model.encoder.blocks):

        def counted(*args, number=number, forward=block.forward):
            counts[number] += 1
            return forward(*args)

        monkeypatch.setattr(block, "forward", counted)
    return counts


def decode_without_sharing(recogniser, features, lengths, strategy, monkeypatch):
    """The same choices, with all of the encoder run again from the audio."""
    search = recogniser.search

    def from_audio(speech, sizes, plan, prefix=None, frames=None):
        return search(speech, sizes, plan, None, frames)

    monkeypatch.setattr(recogniser, "search", from_audio)
    return recogniser.decode_routed(features, lengths, strategy)
