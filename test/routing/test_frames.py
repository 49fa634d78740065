"""Spans against a search over all splits, and weights in time worked out by hand."""

import itertools

import numpy as np
import pytest
import torch

from espnet_peft.audio.log_mel import log_mel
from espnet_peft.routing import RoutingOptions, follow, measure_loudness
from espnet_peft.routing.frames import segment, smooth

LANGUAGES = ["en", "hi", "it"]
ADAPTERS = {"hi": "H", "it": "I"}


def runs(labels):
    """(start, end) and label of the runs of equal labels."""
    bounds, names, start = [], [], 0
    for label, group in itertools.groupby(labels):
        size = len(list(group))
        bounds.append((start, start + size))
        names.append(label)
        start += size
    return bounds, names


def best_of_all(p, dwell, penalty, seconds):
    """The best split, by trying every sequence of labels."""
    count, n_languages = p.shape
    scored = []
    for labels in itertools.product(range(n_languages), repeat=count):
        bounds, names = runs(labels)
        if len(bounds) == 1 or all(b - a >= dwell for a, b in bounds):
            gain = sum(np.log(p[t, c]) for t, c in enumerate(labels)) * seconds
            cost = sum(np.broadcast_to(penalty, count)[a] for a, _ in bounds[1:])
            scored.append((gain - cost, bounds, names))
    return max(scored)[1:]


@pytest.mark.parametrize("dwell", [1, 2, 3, 4, 9])
@pytest.mark.parametrize("penalty", [0.0, 0.01, 0.05])
def test_segment_is_the_best_of_all_splits(dwell, penalty):
    rng = np.random.default_rng(dwell)
    changes = 0
    for count, n_languages in [(1, 3), (2, 2), (5, 3), (8, 3), (11, 2), (6, 1)] * 4:
        p = rng.dirichlet(np.full(n_languages, 0.7), count).clip(1e-3)
        found = segment(p, dwell, penalty, 0.02)
        assert found == best_of_all(p, dwell, penalty, 0.02)
        changes += len(found[0]) - 1
    assert changes > 0 or dwell == 9


def test_dwell_is_respected_and_nothing_is_lost():
    rng = np.random.default_rng(0)
    seen = 0
    for _ in range(60):
        count, dwell = int(rng.integers(1, 120)), int(rng.integers(1, 30))
        p = rng.dirichlet(np.full(4, 0.3), count)
        bounds, labels = segment(p, dwell)
        assert bounds[0][0] == 0 and bounds[-1][1] == count
        assert all(left[1] == right[0] for left, right in itertools.pairwise(bounds))
        assert all(left != right for left, right in itertools.pairwise(labels))
        assert all(b - a >= dwell for a, b in bounds) or len(bounds) == 1
        seen += len(bounds) > 1
    assert seen > 30


def test_more_penalty_never_gives_more_spans():
    p = np.random.default_rng(1).dirichlet(np.full(3, 0.5), 200)
    counts = [len(segment(p, 3, penalty)[0]) for penalty in (0, 0.02, 0.05, 0.1, 0.5, 5)]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[-1] == 1


def test_one_wild_frame_rules_no_language_out():
    p = np.full((100, 2), 0.1)
    p[:, 0] = 0.9
    p[50] = [0.0, 1.0]
    assert segment(p, 1, switch_penalty=0.5) == ([(0, 100)], [0])


def test_no_frame_is_refused():
    with pytest.raises(ValueError, match="found no frame"):
        segment(np.zeros((0, 3)), 5)


def test_smooth_is_the_mean_of_the_frames_around():
    x = np.arange(12.0).reshape(6, 2) ** 2
    found = smooth(x, 0.06, 0.02)  # three frames
    assert np.allclose(found[0], x[:2].mean(axis=0))
    assert np.allclose(found[2], x[1:4].mean(axis=0))
    assert np.allclose(found[5], x[4:].mean(axis=0))
    assert smooth(x, 0.0) is x
    assert np.allclose(smooth(x, 99.0), x.mean(axis=0))
    p = np.random.default_rng(0).dirichlet(np.ones(3), 50)
    assert np.allclose(smooth(p, 0.3).sum(axis=1), 1)


def two_halves(first, second, count=100):
    """Posteriors of `count` frames, with another language from the middle on."""
    return np.concatenate([np.tile(row, (count // 2, 1)) for row in (first, second)])


def test_timeline_by_hand():
    options = RoutingOptions(smooth_seconds=0, min_dwell_seconds=0.5, min_weight=0.15)
    posteriors = two_halves([0.1, 0.7, 0.2], [0.9, 0.1, 0.0])
    found = follow(posteriors, LANGUAGES, options, ADAPTERS, ["en"])
    assert [(s.start, s.end, s.language) for s in found.spans] == [(0, 1, "hi"), (1, 2, "en")]
    assert [s.confidence for s in found.spans] == pytest.approx([0.7, 0.9])
    assert [dict(c.weights) for c in found.choices] == [{"H": 1}, {}]
    assert found.names == ("H", "I")
    assert np.allclose(found.weights[:50], [0.7 / 0.9, 0.2 / 0.9])  # en, 0.1, is left out
    assert np.allclose(found.weights[50:], 0)
    # The whole: en 0.5, hi 0.4, it 0.1, which is below 0.15.
    assert found.choice.language == "en"
    assert found.choice.weights == pytest.approx({"H": 0.4 / 0.9})


def test_a_span_of_an_unknown_language_is_the_bases():
    options = RoutingOptions(smooth_seconds=0, min_dwell_seconds=0.2, switch_penalty=0)
    posteriors = two_halves([0.0, 1.0, 0.0], [0.3, 0.3, 0.4])
    found = follow(posteriors, LANGUAGES, options, ADAPTERS, ["en"], other_threshold=0.5)
    assert [s.language for s in found.spans] == ["hi", "it"]
    assert [(c.other, dict(c.weights)) for c in found.choices] == [(False, {"H": 1}), (True, {})]
    assert np.allclose(found.weights[:50], [1, 0]) and np.allclose(found.weights[50:], 0)


def test_weights_change_smoothly_and_stay_weights():
    options = RoutingOptions(smooth_seconds=0.2)
    posteriors = two_halves([0.0, 1.0, 0.0], [0.0, 0.0, 1.0])
    found = follow(posteriors, LANGUAGES, options, ADAPTERS, ["en"])
    assert np.allclose(found.weights.sum(axis=1), 1)
    assert abs(np.diff(found.weights[:, 0])).max() == pytest.approx(1 / 11)
    assert np.allclose(found.weights[:44], [1, 0]) and np.allclose(found.weights[56:], [0, 1])


def test_short_audio_is_one_span():
    options = RoutingOptions(min_dwell_seconds=0.5)
    posteriors = two_halves([0.0, 1.0, 0.0], [0.0, 0.1, 0.9], count=10)
    found = follow(posteriors, LANGUAGES, options, ADAPTERS, ["en"])
    assert [(s.start, s.end, s.language) for s in found.spans] == [(0, pytest.approx(0.2), "hi")]


def test_faults_of_the_router_are_refused():
    options = RoutingOptions()
    with pytest.raises(ValueError, match="no adapter for en"):
        follow(two_halves([0, 1, 0], [0, 0, 1]), LANGUAGES, options, ADAPTERS)
    with pytest.raises(ValueError, match="not finite"):
        follow(np.full((9, 3), np.nan), LANGUAGES, options, ADAPTERS, ["en"])


@pytest.mark.parametrize("dwell", [1, 2, 3])
def test_a_penalty_for_each_place_is_exact_too(dwell):
    rng = np.random.default_rng(dwell)
    moved = 0
    for _ in range(12):
        p = rng.dirichlet(np.full(3, 0.7), 8).clip(1e-3)
        penalty = rng.uniform(0, 0.06, 8)
        found = segment(p, dwell, penalty, 0.02)
        assert found == best_of_all(p, dwell, penalty, 0.02)
        moved += found != segment(p, dwell, 0.0, 0.02)
    assert moved > 0


def test_a_change_is_found_in_the_pause_beside_it():
    options = RoutingOptions(smooth_seconds=0, switch_penalty=0.1, loud_penalty=2.0)
    posteriors = two_halves([0.1, 0.6, 0.3], [0.1, 0.3, 0.6], count=200)
    loudness = np.ones(200)
    loudness[110:114] = 0.0
    plain = follow(posteriors, LANGUAGES, options, ADAPTERS, ["en"])
    paused = follow(posteriors, LANGUAGES, options, ADAPTERS, ["en"], loudness=loudness)
    assert [span.start for span in plain.spans] == [0, 2.0]
    assert [span.start for span in paused.spans] == [0, pytest.approx(2.2)]
    # 200 frames of ln 2 would gain 1.4 s: less than what a change in loud speech costs.
    loud = follow(posteriors, LANGUAGES, options, ADAPTERS, ["en"], loudness=np.ones(200))
    assert len(loud.spans) == 1


def test_loudness_has_a_value_for_each_frame():
    posteriors = two_halves([0, 1, 0], [0, 0, 1], count=10)
    with pytest.raises(ValueError, match=r"loudness: shape \(9,\), expected \(10,\)"):
        follow(posteriors, LANGUAGES, RoutingOptions(), ADAPTERS, ["en"], loudness=np.ones(9))


def test_loudness_of_audio_and_of_its_features():
    rng = np.random.default_rng(0)
    audio = rng.normal(0, 0.1, 32000).astype(np.float32)
    audio[8000:16000] *= 0.001  # half a second 60 dB lower
    features = log_mel(torch.from_numpy(audio)).numpy()
    for speech in (audio, 0.05 * audio, features):
        found = measure_loudness(speech, 100)
        assert found.shape == (100,) and found.min() >= 0 and found.max() <= 1
        assert found[27:48].max() < 0.02 and found[:22].min() > 0.8 and found[53:].min() > 0.8
    assert measure_loudness(audio, 101).shape == (101,)
    assert np.isfinite(measure_loudness(np.zeros(640), 2)).all()
