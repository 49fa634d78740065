"""Families of languages: the first step of the hierarchical choice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np


def group(languages: Sequence[str], families: Mapping[str, Sequence[str]]) -> list[list[int]]:
    """Positions of the languages by family, in order of first appearance.

    A language in no family is alone in its own. Families may name languages that are not here.
    """
    home = {language: name for name, members in families.items() for language in members}
    groups: dict[tuple[str, bool], list[int]] = {}
    for position, language in enumerate(languages):
        # The flag keeps a language apart from a family that happens to have its name.
        key = (home[language], True) if language in home else (language, False)
        groups.setdefault(key, []).append(position)
    return list(groups.values())


def best_in_best_family(
    probabilities: np.ndarray, languages: Sequence[str], families: Mapping[str, Sequence[str]]
) -> int:
    """Position of the likeliest language of the family with the greatest sum.

    probabilities: (C,). Of equal values the first counts.
    """
    groups = group(languages, families)
    sums = [float(probabilities[members].sum()) for members in groups]
    members = groups[int(np.argmax(sums))]
    return members[int(np.argmax(probabilities[members]))]
