"""Find the scores of experiments and average them over seeds.

A base directory ``exp/<base_tag>`` holds ``<system>/<decode_tag>/<set>/score.json`` and
speed.json. A system is ``base`` (zero-shot) or ``<method_tag>`` (each utterance with the adapter
that the router chose); training leaves train_stats.json in ``<lang>_<method_tag>``. Several base
directories are several seeds.
"""

import json
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from espnet_peft.kaldi.layout import BASE

ALL = "all"  # stands for the language where a set has several


@dataclass(frozen=True)
class Run:
    """One scored set of one system and one seed.

    stats: train_stats.json of the adapter that each language went through, where known.
    """

    seed: int
    base_tag: str
    method: str
    decode_tag: str
    set: str
    score: dict[str, Any]
    speed: dict[str, Any]
    stats: dict[str, dict[str, Any]]
    path: Path


@dataclass
class Row:
    """A system on one language of a set, over seeds; rates are fractions."""

    language: str
    method: str
    runs: list[Run]
    rates: list[dict[str, Any]]
    base: "Row | None" = field(default=None, repr=False)

    def mean(self, name: str) -> float:
        return statistics.fmean(rate[name] for rate in self.rates)

    def deviation(self, name: str) -> float | None:
        """Sample standard deviation over seeds; None with one seed."""
        values = [rate[name] for rate in self.rates]
        return statistics.stdev(values) if len(values) > 1 else None

    def stat(self, name: str) -> float | None:
        """Mean of a number in train_stats.json; None where no run has it."""
        return mean_known([run.stats.get(self.language, {}).get(name) for run in self.runs])

    def rtf(self) -> float | None:
        """Mean real-time factor of decoding."""
        return mean_known([run.speed.get("rtf") for run in self.runs])

    def reduction(self) -> float | None:
        """Relative WER reduction against the base; None for the base and where it is unknown."""
        if self.base is None or self.base is self or not self.base.mean("wer"):
            return None
        return 1.0 - self.mean("wer") / self.base.mean("wer")


@dataclass(frozen=True)
class Table:
    """Rows that may be compared: one base model, one way of decoding."""

    base_tag: str
    decode_tag: str
    sets: dict[str, list[Row]]

    def rows(self) -> list[tuple[str, Row]]:
        return [(name, row) for name, rows in self.sets.items() for row in rows]


def mean_known(values: Sequence[float | None]) -> float | None:
    """Mean of the values that are there, None where none is."""
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None


def collect(exp_dirs: Sequence[Path]) -> list[Run]:
    """Read every score below the experiment directories, one seed each.

    Raises ValueError for a directory that is given twice or holds no scores, and for files that
    are not as expected; FileNotFoundError for a directory that is not there.
    """
    if len({path.resolve() for path in exp_dirs}) < len(exp_dirs):
        raise ValueError("--exp_dir: a directory is given twice, expected one for each seed")
    runs: list[Run] = []
    base_tag = ", ".join(path.resolve().name for path in exp_dirs)  # of all seeds
    for seed, exp_dir in enumerate(exp_dirs):
        if not exp_dir.is_dir():
            raise FileNotFoundError(f"{exp_dir}: no such directory, expected an experiment's")
        found = sorted(exp_dir.glob("*/*/*/score.json"))
        if not found:
            raise ValueError(
                f"{exp_dir}: no <system>/<decode_tag>/<set>/score.json below it; "
                "run the scoring stage first"
            )
        runs.extend(_read_run(seed, base_tag, path) for path in found)
    return runs


def _read_run(seed: int, base_tag: str, path: Path) -> Run:
    system, decode_tag, name = path.parts[-4:-1]
    score = read_json(path)
    lacking = [key for key in ("wer", "cer", "ser", "words", "utterances") if key not in score]
    if lacking:
        raise ValueError(f"{path}: no {' '.join(lacking)}, expected a file of the score command")
    stats = {}
    for language in score.get("per_language") or ():
        trained = path.parents[3] / f"{language}_{system}" / "train_stats.json"
        stats[language] = read_json(trained, optional=True)
    speed = read_json(path.parent / "speed.json", optional=True)
    return Run(seed, base_tag, system, decode_tag, name, score, speed, stats, path)


def read_json(path: Path, optional: bool = False) -> dict[str, Any]:
    """Read an object, {} where an optional file is not there; ValueError for another content."""
    if optional and not path.exists():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # not JSON, or not UTF-8
        raise ValueError(f"{path}: not a JSON file ({error}); make it again") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path}: {type(content).__name__}, expected a JSON object")
    return content


def tabulate(runs: Sequence[Run]) -> list[Table]:
    """Average over seeds and put systems side by side, the base first, then by size."""
    tables = []
    for base_tag, decode_tag in _distinct(runs, lambda run: (run.base_tag, run.decode_tag)):
        mine = [r for r in runs if (r.base_tag, r.decode_tag) == (base_tag, decode_tag)]
        sets = {
            name: _rows([run for run in mine if run.set == name])
            for name in _distinct(mine, lambda run: run.set)
        }
        tables.append(Table(base_tag, decode_tag, sets))
    return tables


def _distinct(runs: Sequence[Run], key: Callable[[Run], Any]) -> list[Any]:
    return sorted({key(run) for run in runs})


def _rows(runs: list[Run]) -> list[Row]:
    """Make the rows of one set: its languages, each with all systems."""
    found: dict[tuple[str, str], Row] = {}
    for run in runs:
        for language, rates in _by_language(run).items():
            row = found.setdefault((language, run.method), Row(language, run.method, [], []))
            if any(known.seed == run.seed for known in row.runs):
                raise ValueError(f"{run.path}: a second score of '{run.method}' for '{language}'")
            row.runs.append(run)
            row.rates.append(rates)
    sizes: dict[str, list[float | None]] = {}
    for (language, method), row in found.items():
        row.base = found.get((language, BASE))
        sizes.setdefault(method, []).append(row.stat("trainable"))

    def order(row: Row) -> tuple[Any, ...]:
        size = mean_known(sizes[row.method]) or float("inf")
        return (row.language == ALL, row.language, row.method != BASE, size, row.method)

    return sorted(found.values(), key=order)


def _by_language(run: Run) -> dict[str, dict[str, Any]]:
    """The rates of each language, without those that the router sent to the bare base."""
    languages = run.score.get("per_language") or {}
    trained = [language for language, stats in run.stats.items() if stats]
    if len(languages) > 1:
        return {**{name: languages[name] for name in trained or languages}, ALL: run.score}
    return dict.fromkeys(languages, run.score) or {run.set: run.score}
