"""Choices worked out by hand, one table row each."""

import numpy as np
import pytest

from espnet_peft.routing import STRATEGIES, RoutingOptions, decide
from espnet_peft.routing.families import best_in_best_family
from espnet_peft.routing.strategies import keep_large

LANGUAGES = ["en", "hi", "it", "pa"]  # en is the base's own
ADAPTERS = {"hi": "hi_r16", "it": "it_r16", "pa": "pa_r4"}
FAMILIES = {"indo_aryan": ["hi", "pa"], "romance": ["it", "es"]}
OPTIONS = RoutingOptions(threshold=0.8, top_k=2, min_weight=0.1, families=FAMILIES)

SURE = [0.05, 0.85, 0.05, 0.05]
UNSURE = [0.08, 0.48, 0.12, 0.32]
SPLIT = [0.0, 0.3, 0.4, 0.3]  # Italian leads, but Hindi and Punjabi together are more
ENGLISH = [0.6, 0.3, 0.06, 0.04]
UNKNOWN = [0.28, 0.24, 0.24, 0.24]

# strategy, probabilities -> language, weights, other
CASES = [
    ("hard", SURE, "hi", {"hi_r16": 1}, False),
    ("hard", SPLIT, "it", {"it_r16": 1}, False),
    ("hard", ENGLISH, "en", {}, False),
    ("hard", UNKNOWN, "en", {}, True),
    ("threshold", SURE, "hi", {"hi_r16": 1}, False),
    ("threshold", UNSURE, "hi", {"hi_r16": 0.6, "pa_r4": 0.4}, False),
    ("threshold", ENGLISH, "en", {"hi_r16": 1 / 3}, False),
    ("threshold", UNKNOWN, "en", {}, True),
    ("soft", SURE, "hi", {"hi_r16": 1}, False),
    # 0.08 is dropped, the others are divided by 0.92
    (
        "soft",
        UNSURE,
        "hi",
        {"hi_r16": 0.48 / 0.92, "pa_r4": 0.32 / 0.92, "it_r16": 0.12 / 0.92},
        False,
    ),
    ("soft", ENGLISH, "en", {"hi_r16": 1 / 3}, False),
    ("soft", UNKNOWN, "en", {}, True),
    ("soft_decoders", UNSURE, "hi", {"hi_r16": 0.6, "pa_r4": 0.4}, False),
    ("soft_decoders", SURE, "hi", {"hi_r16": 1}, False),
    ("hierarchical", SPLIT, "hi", {"hi_r16": 1}, False),
    ("hierarchical", ENGLISH, "en", {}, False),
    ("hierarchical", UNKNOWN, "en", {}, True),
    (
        "frame",
        UNSURE,
        "hi",
        {"hi_r16": 0.48 / 0.92, "pa_r4": 0.32 / 0.92, "it_r16": 0.12 / 0.92},
        False,
    ),
    ("spans", UNSURE, "hi", {"hi_r16": 1}, False),
    ("base", SURE, "hi", {}, False),
]


def choose(strategy, probabilities, **changes):
    arguments = {"base_languages": ["en"], "other_threshold": 0.29} | changes
    return decide(strategy, [probabilities], LANGUAGES, OPTIONS, ADAPTERS, **arguments)[0]


@pytest.mark.parametrize("strategy, probabilities, language, weights, other", CASES)
def test_choices_by_hand(strategy, probabilities, language, weights, other):
    found = choose(strategy, probabilities)
    assert (found.language, found.other) == (language, other)
    assert found.weights == pytest.approx(weights)
    assert sum(found.shares.values()) == pytest.approx(1)
    assert next(iter(found.shares)) == language


def test_every_strategy_has_a_case():
    assert {case[0] for case in CASES} == set(STRATEGIES) - {"oracle"}


def test_decoders_keep_the_bases_languages_apart():
    found = choose("soft_decoders", [0.5, 0.0, 0.25, 0.25])
    assert list(found.shares) == ["en", "it"]
    assert found.shares == pytest.approx({"en": 2 / 3, "it": 1 / 3})
    assert found.weights == pytest.approx({"it_r16": 1 / 3})


def test_languages_of_one_adapter_add_up():
    found = decide("soft", [UNSURE], LANGUAGES, OPTIONS, dict.fromkeys(LANGUAGES, "all"))[0]
    assert found.weights == pytest.approx({"all": 1})
    assert list(found.shares) == ["hi", "pa", "it"]


def test_the_first_of_equals_is_taken():
    assert choose("hard", [0.0, 0.5, 0.0, 0.5]).language == "hi"
    assert list(choose("soft_decoders", [0.0, 0.34, 0.33, 0.33]).shares) == ["hi", "it"]


def test_at_the_thresholds_themselves():
    at_tau = [0.1, 0.8, 0.05, 0.05]
    assert choose("threshold", at_tau).weights == {"hi_r16": 1}
    assert not choose("hard", at_tau, other_threshold=0.8).other
    assert choose("hard", at_tau, other_threshold=0.8001).other
    assert "en" in choose("soft", at_tau).shares  # min_weight is 0.1


def test_oracle_and_base_go_by_the_true_language():
    true = ["hi", "el", "en"]
    arguments = (LANGUAGES, OPTIONS, ADAPTERS)
    oracle = decide("oracle", None, *arguments, true_languages=true)
    assert [found.language for found in oracle] == true
    assert [dict(found.weights) for found in oracle] == [{"hi_r16": 1}, {}, {}]
    base = decide("base", None, *arguments, true_languages=true)
    assert [(found.language, dict(found.weights)) for found in base] == [(n, {}) for n in true]


@pytest.mark.parametrize(
    "strategy, probabilities, changes, message",
    [
        ("telepathy", SURE, {}, "'telepathy': expected one of oracle base hard"),
        ("hard", SURE, {"base_languages": []}, r"no adapter for en; adapters: hi \(hi_r16\)"),
        ("hard", [*SURE, 0.0], {}, r"shape \(1, 5\), expected \(..., 4\) for the languages en hi"),
        ("hard", [0.1, float("nan"), 0.4, 0.5], {}, "not finite"),
        ("soft", [0.1, float("inf"), 0.4, 0.5], {}, "not finite"),
        ("soft", [0.5, 0.5, 0.5, 0.5], {}, "another sum than 1"),
        ("soft", [-0.5, 0.5, 0.5, 0.5], {}, "below 0"),
    ],
)
def test_bad_input(strategy, probabilities, changes, message):
    with pytest.raises(ValueError, match=message):
        choose(strategy, probabilities, **changes)


def test_what_a_strategy_needs_is_asked_for():
    with pytest.raises(ValueError, match="oracle: no true languages"):
        decide("oracle", [SURE], LANGUAGES, OPTIONS, ADAPTERS)
    with pytest.raises(ValueError, match="hard: no probabilities"):
        decide("hard", None, LANGUAGES, OPTIONS, ADAPTERS)


def test_large_shares_of_many_rows():
    rows = np.array([[0.5, 0.45, 0.05], [0.0, 0.0, 2.0], [0.34, 0.33, 0.33]])
    expected = [[0.5 / 0.95, 0.45 / 0.95, 0], [0, 0, 1], [1, 0, 0]]
    assert np.allclose(keep_large(rows[:2], 0.1), expected[:2])
    assert np.allclose(keep_large(rows[2:], 0.5), expected[2:])  # all below: the first of the best


def test_families():
    p = np.array([0.2, 0.25, 0.3, 0.25])
    assert best_in_best_family(p, LANGUAGES, FAMILIES) == 1
    assert best_in_best_family(p, LANGUAGES, {}) == 2
    # A family with a language's name is not that language.
    assert best_in_best_family(p, LANGUAGES, {"en": ["hi"], "hi": ["pa"]}) == 2
