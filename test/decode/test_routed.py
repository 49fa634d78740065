"""Every strategy on random adapters, with a router whose probabilities stand in the audio."""

import copy

import pytest
import torch

from espnet_peft import adapters
from espnet_peft.adapters import AdapterBank
from espnet_peft.decode import Recogniser, SearchOptions
from espnet_peft.decode.route import RoutingTable
from espnet_peft.routing import RoutingOptions
from espnet_peft.routing.router import Routed

LANGUAGES = ("aa", "bb", "cc", "dd")
NAMES = {"aa": "one", "bb": "two", "cc": "three"}  # dd is the base's own
MAX_LENGTH = 10
ROUTING = RoutingOptions(
    threshold=0.8,
    top_k=2,
    min_weight=0.05,
    smooth_seconds=0.0,
    min_dwell_seconds=0.1,
    switch_penalty=0.05,
    loud_penalty=0.0,  # these features are no speech
    families={"pair": ("bb", "cc")},
)
ROWS = [
    [0.97, 0.01, 0.01, 0.01],
    [0.50, 0.30, 0.14, 0.06],
    [0.10, 0.20, 0.30, 0.40],
    [0.25, 0.25, 0.25, 0.25],  # below the threshold of "other"
    [0.02, 0.94, 0.02, 0.02],
]
# What the strategies make of the rows, by hand: language of the prompt and shares.
FIRST, LAST = ("aa", {"one": 1}), ("bb", {"two": 1})
OTHER = ("aa", {"base": 1})
TOP = [FIRST, ("aa", {"one": 5 / 8, "two": 3 / 8}), ("dd", {"base": 4 / 7, "three": 3 / 7})]
SOFT = [
    FIRST,
    ("aa", {"one": 0.5, "two": 0.3, "three": 0.14, "base": 0.06}),
    ("dd", {"base": 0.4, "three": 0.3, "two": 0.2, "one": 0.1}),
]
WANTED = {
    "hard": [FIRST, FIRST, ("dd", {"base": 1}), OTHER, LAST],
    # of the third row the pair has 0.5, more than dd
    "hierarchical": [FIRST, FIRST, ("cc", {"three": 1}), OTHER, LAST],
    "threshold": [*TOP, OTHER, LAST],
    "soft_decoders": [*TOP, OTHER, LAST],
    "soft": [*SOFT, OTHER, LAST],
    "frame": [*SOFT, OTHER, LAST],
    "spans": [FIRST, FIRST, ("dd", {"base": 1}), OTHER, LAST],
    "base": [(language, {"base": 1}) for language in ("aa", "aa", "dd", "aa", "bb")],
}


class StubRouter:
    """Reads logarithms of probabilities in the first bands of each feature frame."""

    def __init__(self, layer=2, languages=LANGUAGES):
        self.languages, self.layer, self.layers = languages, layer, (layer,)
        self.other_threshold = 0.3

    def __call__(self, model, speech, lengths, frames=False):
        prefix = model.encode_prefix(speech, lengths, self.layer)
        p = speech[:, :, : len(self.languages)].exp()
        return Routed(p[:, 0], p[:, ::2] if frames else None, prefix, p[:, 0].log())


def audio_of(rows, seed=0):
    """Features (B, T, 80) and lengths; a row is one distribution, or one for each feature frame."""
    generator = torch.Generator().manual_seed(seed)
    features = []
    for number, given in enumerate(map(torch.tensor, rows)):
        size = len(given) if given.dim() == 2 else 60 + 14 * number
        feature = torch.randn(size, 80, generator=generator)
        feature[:, : given.shape[-1]] = given.log()
        features.append(feature)
    lengths = torch.tensor([len(feature) for feature in features])
    return torch.nn.utils.rnn.pad_sequence(features, batch_first=True), lengths


def save_random(model, directory, method="lora", seed=0, **options):
    """Save an adapter with random weights; the model stays as it is."""
    own = copy.deepcopy(model)
    adapters.inject(own, adapters.make_config(method, options), name="x")
    torch.manual_seed(seed)
    with torch.no_grad():
        for tensor in adapters.trainable_state_dict(own).values():
            tensor.normal_(std=0.15)
    adapters.save(own, directory, name="x")
    return directory


def mixed_model(model, directories, shares):
    """A plain model: the base's weights and the weighted sum of each adapter's merged changes."""
    base = model.state_dict()
    state = {key: value.clone() for key, value in base.items()}
    for name, share in shares.items():
        if name != "base":
            own = copy.deepcopy(model)
            adapters.load(own, directories[name], name="x")
            adapters.merge(own, "x")
            for key, value in adapters.base_state_dict(own).items():
                state[key] += share * (value - base[key])
    plain = copy.deepcopy(model)
    plain.load_state_dict(state)
    return plain


@torch.no_grad()
def decode_plainly(decoders, feature):
    """Tokens and score of feature (T, 80) by greedy search without batch or cache.

    decoders: (model, language of the prompt, share of its probabilities).
    """
    sizes = torch.tensor([len(feature)])
    states = [model.encode(feature[None], sizes)[0] for model, _, _ in decoders]
    tokenizer = decoders[0][0].tokenizer
    tokens, score = [], 0.0
    while len(tokens) < MAX_LENGTH:
        mixed = 0.0
        for (model, language, share), enc in zip(decoders, states, strict=True):
            text = torch.tensor([tokenizer.prompt(language) + tokens])
            logits = model.decoder(text, enc, torch.tensor([enc.shape[1]]))[0, -1]
            mixed = mixed + share * logits.double().softmax(-1)
        score += mixed.max().log().item()
        if int(mixed.argmax()) == tokenizer.eot:
            break
        tokens.append(int(mixed.argmax()))
    return tokens, score


@pytest.fixture
def model(tiny):
    model = tiny(n_vocab=12, seed=3, eot_bonus=1.0, n_audio_layer=3)
    model.tokenizer.languages = LANGUAGES
    return model


@pytest.fixture
def directories(model, tmp_path):
    """Adapters of different ranks and places."""
    return {
        "one": save_random(model, tmp_path / "one", r=4, target="all", seed=1),
        "two": save_random(model, tmp_path / "two", r=2, target="qv", side="decoder", seed=2),
        "three": save_random(model, tmp_path / "three", r=3, target="attn", seed=3),
    }


def recogniser_of(model, directories, beam_size=1, router=None, size=None):
    own = copy.deepcopy(model)
    options = SearchOptions(max_length=MAX_LENGTH, beam_size=beam_size)
    table = RoutingTable(router or StubRouter(), ROUTING, NAMES, ("dd",))
    return Recogniser(
        own, options, bank=AdapterBank(own, directories, size), table=table, most=size
    )


@pytest.mark.parametrize("strategy", list(WANTED))
def test_strategy(model, directories, strategy):
    features, lengths = audio_of(ROWS)
    recogniser = recogniser_of(model, directories)
    found = recogniser.decode_routed(features, lengths, strategy)
    for row, (result, (language, shares)) in enumerate(zip(found, WANTED[strategy], strict=True)):
        assert result.language == language
        assert result.shares == pytest.approx(shares, abs=1e-5)
        assert result.probabilities == pytest.approx(
            dict(zip(LANGUAGES, ROWS[row], strict=True)), abs=1e-6
        )
        if strategy == "soft_decoders":
            spoken = {name: tongue for tongue, name in NAMES.items()} | {"base": "dd"}
            decoders = [
                (mixed_model(model, directories, {name: 1.0}), spoken[name], share)
                for name, share in shares.items()
            ]
            decoders = decoders if len(decoders) > 1 else [(decoders[0][0], language, 1.0)]
        else:
            decoders = [(mixed_model(model, directories, shares), language, 1.0)]
        tokens, score = decode_plainly(decoders, features[row, : lengths[row]])
        assert result.tokens == tokens
        assert result.score == pytest.approx(score, abs=1e-3)
        assert result.text == " ".join(map(str, tokens))
        timed = strategy in ("frame", "spans")
        assert [span.language for span in result.spans] == ([language] if timed else [])
    assert len({tuple(result.tokens) for result in found}) > 2


@pytest.mark.parametrize("beam_size", [1, 3])
@pytest.mark.parametrize("strategy", ["oracle", *WANTED])
def test_batch_changes_nothing(model, directories, strategy, beam_size):
    features, lengths = audio_of(ROWS)
    recogniser = recogniser_of(model, directories, beam_size)
    truth = ["cc", "aa", "dd", "bb", "cc"] if strategy == "oracle" else None
    together = recogniser.decode_routed(features, lengths, strategy, truth)
    for row, result in enumerate(together):
        own = features[row : row + 1, : lengths[row]], lengths[row : row + 1]
        alone = recogniser.decode_routed(*own, strategy, truth and truth[row : row + 1])[0]
        assert alone.tokens == result.tokens and alone.shares == pytest.approx(result.shares)
        assert alone.score == pytest.approx(result.score, abs=1e-3)


@pytest.mark.parametrize("beam_size", [1, 3])
def test_oracle_is_decoding_with_the_named_adapters(model, directories, beam_size):
    features, lengths = audio_of(ROWS)
    recogniser = recogniser_of(model, directories, beam_size)
    truth = ["cc", "aa", "dd", "bb", "cc"]
    names = ["three", "one", None, "two", "three"]
    routed = recogniser.decode_routed(features, lengths, "oracle", truth)
    named = recogniser.decode_batch(features, lengths, truth, names)
    assert routed == named and routed[2].shares == {"base": 1.0}


@pytest.mark.parametrize("beam_size", [1, 3])
def test_mixed_batch_equals_merged_solo_runs(model, directories, tmp_path, beam_size):
    directories["four"] = save_random(model, tmp_path / "four", "adapter", seed=4, bottleneck=8)
    names = ["one", "base", "four", "three", "two", "four", None]
    features, lengths = audio_of([ROWS[0]] * len(names))
    recogniser = recogniser_of(model, directories, beam_size)
    together = recogniser.decode_batch(features, lengths, ["aa"] * len(names), names)
    options = SearchOptions(max_length=MAX_LENGTH, beam_size=beam_size)
    for row, (name, result) in enumerate(zip(names, together, strict=True)):
        own = copy.deepcopy(model)
        if name not in (None, "base"):
            adapters.load(own, directories[name])
        alone = Recogniser(own, options, adapters.names(own), merge=True).decode_batch(
            features[row : row + 1, : lengths[row]], lengths[row : row + 1], ["aa"], [name]
        )[0]
        assert alone.tokens == result.tokens
        assert alone.score == pytest.approx(result.score, abs=1e-3)


def test_spans_are_decoded_apart(model, directories):
    """Two languages after each other, then one, then three; the cuts are at known frames."""
    one, two, base = ([p] for p in ([0.97, 0.01, 0.01, 0.01], ROWS[4], [0.01, 0.01, 0.01, 0.97]))
    features, lengths = audio_of([one * 50 + two * 60, base * 40, two * 40 + base * 30 + one * 41])
    recogniser = recogniser_of(model, directories)
    found = recogniser.decode_routed(features, lengths, "spans")
    cuts = [
        [(0, 50, "aa"), (50, 110, "bb")],
        [(0, 40, "dd")],
        [(0, 40, "bb"), (40, 70, "dd"), (70, 111, "aa")],
    ]
    for row, (result, spans) in enumerate(zip(found, cuts, strict=True)):
        tokens, score = [], 0.0
        for start, end, language in spans:
            plain = mixed_model(model, directories, {NAMES.get(language, "base"): 1.0})
            part = decode_plainly([(plain, language, 1.0)], features[row, start:end])
            tokens, score = tokens + part[0], score + part[1]
        assert result.tokens == tokens and result.text == " ".join(map(str, tokens))
        assert result.score == pytest.approx(score, abs=1e-3)
        assert "".join(result.pieces).replace("▁", " ") == result.text
        bounds = [(span.start, span.language) for span in result.spans]
        assert bounds == [(pytest.approx(a / 100), language) for a, _, language in spans]
    assert found[0].shares == pytest.approx({"one": 50 / 110, "two": 60 / 110})
    assert found[0].language == "bb" and found[1].shares == {"base": 1.0}


def test_frame_mixing_follows_the_frames(model, directories):
    """Encoder states before the change are nearly one adapter's, so the batch is neither's."""
    one, two = ([p] for p in (ROWS[0], [0.01, 0.01, 0.97, 0.01]))
    features, lengths = audio_of([one * 60 + two * 60, one * 120, two * 120])
    features[:] = features[:1]  # the same audio ...
    for row, p in enumerate((one * 60 + two * 60, one * 120, two * 120)):
        features[row, :, :4] = torch.tensor(p).log()  # ... but for what the router reads
    recogniser = recogniser_of(model, directories)
    scores = [r.score for r in recogniser.decode_routed(features, lengths, "frame")]
    hard = [r.score for r in recogniser.decode_routed(features, lengths, "hard")]
    assert scores[1:] == pytest.approx(hard[1:], abs=1e-3)
    assert scores[0] != pytest.approx(scores[1], abs=1e-2)
    assert scores[0] != pytest.approx(hard[0], abs=1e-2)


def test_few_adapters_in_memory(model, directories):
    features, lengths = audio_of(ROWS)
    all_there = recogniser_of(model, directories)
    one_there = recogniser_of(model, directories, size=1)
    for strategy in ("hard", "spans"):
        wanted = all_there.decode_routed(features, lengths, strategy)
        found = one_there.decode_routed(features, lengths, strategy)
        assert [result.tokens for result in found] == [result.tokens for result in wanted]
        assert len(one_there.bank.resident) == 1
    with pytest.raises(ValueError, match="the batch uses 3 adapters, expected at most the 1"):
        one_there.decode_routed(features, lengths, "soft")
