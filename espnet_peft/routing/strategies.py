"""From probabilities of languages to adapters: one function a strategy."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from espnet_peft.kaldi.layout import BASE
from espnet_peft.routing.families import best_in_best_family
from espnet_peft.routing.options import RoutingOptions

ORACLE = "oracle"
_SUM_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Choice:
    """What one utterance (or one span of it) is decoded with.

    language: of the prompt. weights: adapter -> weight, none 0; what is missing to 1 is the bare
    base's. other: the router knows no language well enough, so that the base decodes alone.
    shares: language -> weight, greatest first, sum 1; one decoder each for `soft_decoders`. It
    keeps apart the languages that the base serves and those that share an adapter.
    """

    language: str
    weights: Mapping[str, float]
    other: bool
    shares: Mapping[str, float]


def share_hard(p: np.ndarray, languages: Sequence[str], options: RoutingOptions) -> np.ndarray:
    """All for the likeliest language; the first of equals."""
    return _one(int(np.argmax(p)), len(p))


def share_threshold(p: np.ndarray, languages: Sequence[str], options: RoutingOptions) -> np.ndarray:
    """All for the likeliest where it reaches the threshold, else the top k by probability."""
    if p.max() >= options.threshold:
        return share_hard(p, languages, options)
    return share_top(p, languages, options)


def share_top(p: np.ndarray, languages: Sequence[str], options: RoutingOptions) -> np.ndarray:
    """The top k languages by probability, of equals the first."""
    kept = np.zeros_like(p)
    best = np.argsort(-p, kind="stable")[: options.top_k]
    kept[best] = p[best]
    return keep_large(kept, options.min_weight)


def share_soft(p: np.ndarray, languages: Sequence[str], options: RoutingOptions) -> np.ndarray:
    """All languages by probability."""
    return keep_large(p, options.min_weight)


def share_hierarchical(
    p: np.ndarray, languages: Sequence[str], options: RoutingOptions
) -> np.ndarray:
    """All for the likeliest language of the family whose languages sum to the most."""
    return _one(best_in_best_family(p, languages, options.families), len(p))


# name -> probabilities (C,), languages, options -> shares (C,) that sum to 1
SHARES: dict[str, Callable[[np.ndarray, Sequence[str], RoutingOptions], np.ndarray]] = {
    "hard": share_hard,
    "threshold": share_threshold,
    "soft": share_soft,
    "soft_decoders": share_top,
    "hierarchical": share_hierarchical,
    "frame": share_soft,  # what it does with a whole utterance: the decoder's own updates
    "spans": share_hard,  # what it does with a span
}
STRATEGIES = (ORACLE, BASE, *SHARES)
TIMED = ("frame", "spans")  # need probabilities of frames
ONE_ADAPTER = (ORACLE, BASE, "hard", "hierarchical", "spans")  # never a mixture of adapters


def decide(
    strategy: str,
    probabilities,
    languages: Sequence[str],
    options: RoutingOptions,
    adapters: Mapping[str, str],
    base_languages: Collection[str] = (),
    other_threshold: float = 0.0,
    true_languages: Sequence[str] | None = None,
) -> list[Choice]:
    """Choose for every utterance of a batch.

    probabilities: (B, C) calibrated, on the CPU; None where the strategy needs none. languages:
    the C classes of the router. adapters: language -> name of its adapter. base_languages: those
    that the base serves without an adapter. other_threshold: a highest probability below it sends
    an utterance to the bare base. true_languages: (B,), for `oracle`, and for the prompts of
    `base`; a true language without an adapter goes to the base.
    Raises ValueError for an unknown strategy, a class with neither adapter nor base, and
    probabilities that are missing, not finite or do not sum to 1.
    """
    check_strategy(strategy)
    if strategy in (ORACLE, BASE) and true_languages is not None:
        served = adapters if strategy == ORACLE else {}
        return [_choice({language: 1.0}, served) for language in true_languages]
    if strategy == ORACLE:
        raise ValueError("strategy oracle: no true languages, expected utt2lang in the data")
    if probabilities is None:
        raise ValueError(f"strategy {strategy}: no probabilities of languages; give a router")
    check_served(languages, adapters, base_languages)
    rows = check_probabilities(probabilities, languages)
    if strategy == BASE:
        return [_choice({languages[int(np.argmax(row))]: 1.0}, {}) for row in rows]
    return [choose(strategy, row, languages, options, adapters, other_threshold) for row in rows]


def choose(
    strategy: str,
    p: np.ndarray,
    languages: Sequence[str],
    options: RoutingOptions,
    adapters: Mapping[str, str],
    other_threshold: float,
) -> Choice:
    """Choose for one utterance by its checked probabilities (C,)."""
    if p.max() < other_threshold:
        return _choice({languages[int(np.argmax(p))]: 1.0}, {}, other=True)
    shares = SHARES[strategy](p, languages, options)
    order = [int(k) for k in np.argsort(-shares, kind="stable") if shares[k] > 0]
    return _choice({languages[k]: float(shares[k]) for k in order}, adapters)


def _choice(shares: dict[str, float], adapters: Mapping[str, str], other: bool = False) -> Choice:
    """Sum the shares by adapter; the first language is the prompt's."""
    weights: dict[str, float] = {}
    for language, share in shares.items():
        if language in adapters:
            name = adapters[language]
            weights[name] = weights.get(name, 0.0) + share
    return Choice(next(iter(shares)), weights, other, shares)


def keep_large(p: np.ndarray, min_weight: float) -> np.ndarray:
    """Drop shares below min_weight and scale the others to sum 1, along the last axis.

    p: (..., C). The greatest stays, and of equals the first, also where all are below.
    """
    total = p.sum(axis=-1, keepdims=True)
    shares = p / np.where(total > 0, total, 1.0)
    best = np.argmax(shares, axis=-1)[..., None] == np.arange(p.shape[-1])
    kept = np.where((shares >= min_weight) | best, shares, 0.0)
    return kept / kept.sum(axis=-1, keepdims=True)


def _one(position: int, count: int) -> np.ndarray:
    """(count,) zeros with a one."""
    return (np.arange(count) == position).astype(np.float64)


def check_strategy(strategy: str) -> None:
    """Raise ValueError for a name that is no strategy."""
    if strategy not in STRATEGIES:
        raise ValueError(f"strategy {strategy!r}: expected one of {' '.join(STRATEGIES)}")


def check_served(
    languages: Sequence[str], adapters: Mapping[str, str], base_languages: Collection[str]
) -> None:
    """Raise ValueError that names the router's classes with neither an adapter nor the base."""
    lost = [name for name in languages if name not in adapters and name not in base_languages]
    if lost:
        have = ", ".join(f"{language} ({adapters[language]})" for language in adapters) or "none"
        served = " ".join(base_languages) or "none"
        raise ValueError(
            f"router: no adapter for {', '.join(lost)}; adapters: {have}; the base's own languages:"
            f" {served}; give an adapter or name the language in --base_languages"
        )


def check_probabilities(probabilities, languages: Sequence[str]) -> np.ndarray:
    """Probabilities (..., C) as float64; ValueError where they are none."""
    p = np.asarray(probabilities, dtype=np.float64)
    if p.ndim < 2 or p.shape[-1] != len(languages):
        raise ValueError(
            f"router: probabilities of shape {p.shape}, expected (..., {len(languages)}) for the"
            f" languages {' '.join(languages)}"
        )
    if not np.isfinite(p).all():
        raise ValueError(
            "router: probabilities that are not finite; its weights or the base's are broken,"
            " or the number type is too narrow"
        )
    if p.size and (p.min() < 0 or abs(p.sum(axis=-1) - 1).max() > _SUM_TOLERANCE):
        raise ValueError("router: probabilities below 0 or with another sum than 1")
    return p
