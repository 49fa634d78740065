import numpy as np
import pytest

from espnet_peft.scoring import confidence_interval


def draw(rng, count, rate=0.2):
    refs = rng.integers(1, 15, count)
    return rng.binomial(refs, rate), refs


def test_deterministic():
    errors, refs = draw(np.random.default_rng(0), 200)
    one = confidence_interval(errors, refs, 500, seed=3)
    assert one == confidence_interval(errors, refs, 500, seed=3)
    assert one != confidence_interval(errors, refs, 500, seed=4)


def test_covers_the_true_rate_about_as_often_as_it_says():
    rng = np.random.default_rng(1)
    hits = 0
    for k in range(200):
        low, high = confidence_interval(*draw(rng, 100), samples=300, seed=k)
        assert low < high
        hits += low <= 0.2 <= high
    assert 0.90 <= hits / 200 <= 0.99


def test_agrees_with_drawing_utterances_one_by_one():
    errors, refs = draw(np.random.default_rng(2), 60)
    rows = np.random.default_rng(5).integers(60, size=(20000, 60))
    rates = errors[rows].sum(axis=1) / refs[rows].sum(axis=1)
    expected = np.quantile(rates, [0.025, 0.975])
    assert confidence_interval(errors, refs, 20000) == pytest.approx(expected, abs=0.004)


def test_level_and_single_utterance():
    errors, refs = draw(np.random.default_rng(3), 100)
    wide = confidence_interval(errors, refs, level=0.99)
    narrow = confidence_interval(errors, refs, level=0.5)
    assert wide[0] < narrow[0] < narrow[1] < wide[1]
    assert confidence_interval(np.array([2]), np.array([4])) == (0.5, 0.5)


def test_nothing_to_draw_from():
    none = np.array([], int)
    assert confidence_interval(none, none) is None
    assert confidence_interval(np.array([1, 2]), np.array([0, 0])) is None
    assert confidence_interval(np.array([1]), np.array([3]), samples=0) is None
    with pytest.raises(ValueError, match="level 95"):
        confidence_interval(np.array([1]), np.array([3]), level=95)


def test_empty_references_among_others():
    low, high = confidence_interval(np.array([1, 0, 3]), np.array([0, 4, 5]))
    assert 0.0 <= low <= high < float("inf")
