"""What a router's answers are worth: accuracy, confusion, calibration, rejection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from espnet_peft.routing.calibrate import calibration_error

OTHER = "other"


def summarise(
    logits: Tensor,
    probabilities: Tensor,
    truth: Sequence[str],
    languages: Sequence[str],
    other_threshold: float,
) -> dict:
    """Figures of merit of N items as a dict of JSON types.

    logits (as if the temperature were 1) and probabilities: (N, C); truth: the items' languages;
    one that is not among `languages` is unknown and should be answered by "other".
    Rates are shares from 0 to 1, or None where there are no such items.
    """
    known = torch.tensor([language in languages for language in truth])
    rejected = probabilities.max(1).values < other_threshold
    choice = [languages[k] for k in probabilities.argmax(1).tolist()]
    pairs = list(zip(truth, choice, known.tolist(), strict=True))
    right = torch.tensor([wanted == found for wanted, found, _ in pairs])
    labels = torch.tensor([languages.index(w) for w, _, is_known in pairs if is_known])
    result = {
        "utterances": len(truth),
        "accuracy": _share(right, known),
        "per_language": {},
        "confusion": confusion(truth, choice, rejected.tolist(), languages),
        "ece": None,
        "ece_uncalibrated": None,
        "other_threshold": other_threshold,
        "other_known": _share(rejected, known),
        "other_unknown": _share(rejected, ~known),
        "pairs": {},
    }
    for language in languages:
        own = torch.tensor([wanted == language for wanted in truth])
        if own.any():
            result["per_language"][language] = {
                "utterances": int(own.sum()),
                "accuracy": _share(right, own),
                "other": _share(rejected, own),
            }
    if len(labels):
        result["ece"] = calibration_error(probabilities[known], labels)
        result["ece_uncalibrated"] = calibration_error(logits[known].softmax(1), labels)
    result["pairs"] = pair_confusion(result["confusion"], languages)
    return result


def _share(hits: Tensor, of: Tensor) -> float | None:
    return float(hits[of].double().mean()) if bool(of.any()) else None


def confusion(
    truth: Sequence[str], choice: Sequence[str], rejected: Sequence[bool], languages: Sequence[str]
) -> dict[str, dict[str, int]]:
    """Counts by true language, then by the most probable one; "other" counts items again.

    The most probable languages of a row sum to its items; its "other" says how many of them fell
    below the threshold.
    """
    rows = [*languages, *sorted(set(truth) - set(languages))]
    table = {row: dict.fromkeys([*languages, OTHER], 0) for row in rows if row in set(truth)}
    for wanted, found, low in zip(truth, choice, rejected, strict=True):
        table[wanted][found] += 1
        table[wanted][OTHER] += low
    return table


def pair_confusion(table: dict[str, dict[str, int]], languages: Sequence[str]) -> dict[str, float]:
    """Share of the items of two languages that was taken for the other of the two, by `a-b`."""
    pairs = {}
    present = [language for language in languages if language in table]
    for k, one in enumerate(present):
        for two in present[k + 1 :]:
            size = sum(table[x][language] for x in (one, two) for language in languages)
            pairs[f"{one}-{two}"] = (table[one][two] + table[two][one]) / size
    return pairs


def by_length(
    seconds: Sequence[float], right: Sequence[bool], edges: Sequence[float]
) -> list[dict[str, float]]:
    """Accuracy of the items in each bin of duration between rising `edges`; empty ones left out."""
    bins = []
    for low, high in zip(edges[:-1], edges[1:], strict=True):
        own = [hit for s, hit in zip(seconds, right, strict=True) if low <= s < high]
        if own:
            accuracy = sum(own) / len(own)
            bins.append({"from": low, "to": high, "utterances": len(own), "accuracy": accuracy})
    return bins


def result_text(values: dict, named: Sequence[str] = ()) -> str:
    """The report for people: one fact a line, then the confusion matrix.

    named: pairs such as "hi-pa" that are always shown; others are where they are confused.
    """
    lines = [f"set          {values['set']}, {values['utterances']} utterances"]
    lines.append(f"router       {values['router']}, layer {values['layer']}")
    lines.append(f"accuracy     {percent(values['accuracy'])}")
    ece = f"{percent(values['ece'])} (uncalibrated {percent(values['ece_uncalibrated'])})"
    lines.append(f"ECE          {ece}")
    lines.append(f"other        {percent(values['other_known'])} of the known languages")
    if values["other_unknown"] is not None:
        lines[-1] += f", {percent(values['other_unknown'])} of the unknown ones"
    lines.append(f"time         {values['ms_per_utterance']:.2f} ms an utterance")
    for crop in values["crops"]:
        ece = f"ECE {percent(crop['ece'])}"
        lines.append(
            f"crops {crop['seconds']:g} s".ljust(13) + f"{percent(crop['accuracy'])}, {ece}"
        )
    for pair, share in values["pairs"].items():
        if pair in named or "-".join(reversed(pair.split("-"))) in named or share > 0:
            lines.append(f"pair {pair}".ljust(13) + f"{percent(share)} taken for each other")
    lines += ["", *_matrix(values["confusion"])]
    return "\n".join(lines) + "\n"


def percent(share: float | None) -> str:
    """A share as percent with two decimals, or a dash."""
    return "-" if share is None else f"{100 * share:.2f} %"


def _matrix(table: dict[str, dict[str, int]]) -> list[str]:
    """The confusion matrix in columns: true languages down, answers across."""
    columns = list(next(iter(table.values())))
    width = max(6, *(len(name) + 1 for name in [*columns, *table]))
    lines = ["".ljust(width) + "".join(name.rjust(width) for name in columns)]
    for name, row in table.items():
        lines.append(name.ljust(width) + "".join(str(n).rjust(width) for n in row.values()))
    return lines


def langprob_text(probabilities: Mapping[str, float]) -> str:
    """A value of utt2langprob: `<language> <probability> ...`, the languages in byte order."""
    return " ".join(f"{name} {p:.4f}" for name, p in sorted(probabilities.items()))
