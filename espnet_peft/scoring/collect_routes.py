"""Find the scores of routing strategies and average them over seeds.

A directory, ``exp/<base_tag>`` or one laid out like it, holds a decoded set (score.json,
speed.json, utt2adapter, utt2lang) at ``base/<decode_tag>/<set>`` for the bare base, at
``<system>/<decode_tag>/<set>`` for the oracle, who knows utt2lang, and at
``routing/<system>/<strategy>/<set>`` for the strategies. Several directories are several seeds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from espnet_peft.kaldi.layout import BASE
from espnet_peft.scoring.collect import ALL, mean_known, read_json
from espnet_peft.scoring.files import read_lines

ORACLE = "oracle"
# The order of the rows; others come behind by name.
_ORDER = (BASE, ORACLE, "hard", "threshold", "soft", "soft_decoders", "hierarchical")
_RATES = ("wer", "cer", "utterances")


@dataclass(frozen=True)
class RouteRun:
    """One scored set of one strategy and one seed.

    routed: share of the utterances with the oracle's adapter and language, None where unknown.
    timeline: timeline.json of a strategy that follows the language over time.
    """

    seed: int
    system: str
    strategy: str
    set: str
    score: dict[str, Any]
    speed: dict[str, Any]
    routed: float | None
    timeline: dict[str, Any]
    path: Path


@dataclass
class RouteRow:
    """A strategy of a system on a set, over seeds."""

    strategy: str
    runs: list[RouteRun]

    def wers(self, language: str = ALL) -> list[float]:
        """WER (fractions) of a language in each seed that has it."""
        scores = [
            run.score if language == ALL else (run.score.get("per_language") or {}).get(language)
            for run in self.runs
        ]
        return [score["wer"] for score in scores if score]

    def wer(self, language: str = ALL) -> float | None:
        """Mean WER over seeds."""
        return mean_known(self.wers(language))

    def speed(self, name: str) -> float | None:
        """Mean of a number in speed.json."""
        return mean_known([run.speed.get(name) for run in self.runs])

    def routed(self) -> float | None:
        """Mean share of rightly routed utterances."""
        return mean_known([run.routed for run in self.runs])

    def timeline(self, *names: str) -> float | None:
        """Mean of a number in timeline.json, by the keys that lead to it."""
        found = []
        for run in self.runs:
            value: Any = run.timeline
            for name in names:
                value = (value or {}).get(name)
            found.append(value)
        return mean_known(found)


@dataclass(frozen=True)
class RouteTable:
    """The strategies of one system on one set, the base and the oracle first."""

    system: str
    set: str
    rows: list[RouteRow]

    def row(self, strategy: str) -> RouteRow | None:
        return next((row for row in self.rows if row.strategy == strategy), None)

    def degradation(self, row: RouteRow, language: str = ALL) -> float | None:
        """Relative growth of the mean WER against the oracle's; None where it has none."""
        oracle = self.row(ORACLE)
        before = oracle.wer(language) if oracle else None
        mine = row.wer(language)
        if row.strategy == ORACLE or not before or mine is None:
            return None
        return mine / before - 1.0

    def languages(self) -> list[str]:
        """Languages that the set is scored by, in order of name."""
        scores = [run.score.get("per_language") or {} for row in self.rows for run in row.runs]
        return sorted({language for score in scores for language in score})


def collect_routes(
    exp_dirs: Sequence[Path], sets: Sequence[str] = (), decode_tag: str | None = None
) -> list[RouteRun]:
    """Read every strategy's scores below the directories, one seed each.

    sets: only these; none: all that a strategy was decoded for. decode_tag: of the base and the
    oracle; needed where there are several. Raises ValueError for a directory that is given twice
    or has no routed score, for a set that no strategy was scored on, and for files that are not as
    expected; FileNotFoundError for a directory that is not there.
    """
    if len({path.resolve() for path in exp_dirs}) < len(exp_dirs):
        raise ValueError("--exp_dir: a directory is given twice, expected one for each seed")
    runs: list[RouteRun] = []
    for seed, exp_dir in enumerate(exp_dirs):
        if not exp_dir.is_dir():
            raise FileNotFoundError(f"{exp_dir}: no such directory, expected an experiment's")
        found = sorted(exp_dir.glob("routing/*/*/*/score.json"))
        found = [path for path in found if not sets or path.parent.name in sets]
        if not found:
            wanted = "|".join(sets) or "<set>"
            raise ValueError(
                f"{exp_dir}: no routing/<system>/<strategy>/{wanted}/score.json below it;"
                " decode and score with a strategy first"
            )
        runs += _with_references(seed, exp_dir, found, decode_tag)
    lost = [name for name in sets if name not in {run.set for run in runs}]
    if lost:
        raise ValueError(f"--sets: {' '.join(lost)}: no strategy was scored on it")
    return runs


def _with_references(
    seed: int, exp_dir: Path, found: Sequence[Path], decode_tag: str | None
) -> list[RouteRun]:
    """The runs of one seed: those found, with the base and the oracle of their systems and sets."""
    runs = []
    for system, name in sorted({(path.parts[-4], path.parts[-2]) for path in found}):
        oracle = find_plain(exp_dir, system, name, decode_tag)
        if oracle:
            runs.append(_read_run(seed, system, ORACLE, oracle, oracle))
        base = find_plain(exp_dir, BASE, name, decode_tag)
        if base:
            runs.append(_read_run(seed, system, BASE, base, None))
        for path in found:
            if (path.parts[-4], path.parts[-2]) == (system, name):
                runs.append(_read_run(seed, system, path.parts[-3], path.parent, oracle))
    return runs


def find_plain(exp_dir: Path, system: str, name: str, decode_tag: str | None) -> Path | None:
    """``<system>/<decode_tag>/<set>`` with a score; ValueError where several tags have one."""
    pattern = f"{system}/{decode_tag or '*'}/{name}/score.json"
    found = sorted(path.parent for path in exp_dir.glob(pattern))
    if len(found) > 1:
        tags = ", ".join(path.parts[-2] for path in found)
        raise ValueError(
            f"{exp_dir}: {system} has scores of {name} by {tags}; choose one by --decode_tag"
        )
    return found[0] if found else None


def _read_run(seed: int, system: str, strategy: str, folder: Path, oracle: Path | None) -> RouteRun:
    score = read_json(folder / "score.json")
    lacking = [key for key in _RATES if key not in score]
    if lacking:
        raise ValueError(
            f"{folder}/score.json: no {' '.join(lacking)}, expected a file of the score command"
        )
    return RouteRun(
        seed,
        system,
        strategy,
        folder.name,
        score,
        read_json(folder / "speed.json", optional=True),
        None if oracle is None else routing_accuracy(oracle, folder),
        read_json(folder / "timeline.json", optional=True),
        folder,
    )


def routing_accuracy(oracle: Path, folder: Path) -> float | None:
    """Share of utterances whose prompt language and greatest adapter are the oracle's.

    None where utt2lang or utt2adapter is missing. Raises ValueError where the utterances differ.
    """
    names = ("utt2lang", "utt2adapter")
    if not all((place / name).exists() for place in (oracle, folder) for name in names):
        return None
    true, found = ({name: read_lines(place / name) for name in names} for place in (oracle, folder))
    languages = true["utt2lang"]
    for name in names:
        if found[name].keys() != languages.keys():
            raise ValueError(
                f"{folder / name}: other utterances than {oracle}/utt2lang; decode again"
            )
    right = sum(
        found["utt2lang"][utt_id] == language
        and greatest(found["utt2adapter"][utt_id]) == greatest(true["utt2adapter"][utt_id])
        for utt_id, language in languages.items()
    )
    return right / len(languages)


def greatest(value: str) -> str:
    """The name with the greatest weight in a value of utt2adapter: `hi`, or `hi:0.70 pa:0.25`.

    What is missing to 1 is the base's; of equals the first.
    """
    weights: dict[str, float] = {}
    for item in value.split():
        name, colon, weight = item.rpartition(":")
        try:
            weights[name if colon else item] = float(weight) if colon else 1.0
        except ValueError:
            raise ValueError(f"utt2adapter: {item!r}, expected <name> or <name>:<weight>") from None
    weights.setdefault(BASE, 1.0 - sum(weights.values()))
    return max(weights, key=lambda name: weights[name])


def tabulate_routes(runs: Sequence[RouteRun]) -> list[RouteTable]:
    """Bring the runs of all seeds together: a table a system and set, a row a strategy."""
    tables = []
    for system, name in sorted({(run.system, run.set) for run in runs}):
        rows: dict[str, RouteRow] = {}
        for run in runs:
            if (run.system, run.set) == (system, name):
                rows.setdefault(run.strategy, RouteRow(run.strategy, [])).runs.append(run)
        tables.append(RouteTable(system, name, sorted(rows.values(), key=_order)))
    return tables


def _order(row: RouteRow) -> tuple[int, str]:
    known = row.strategy in _ORDER
    return (_ORDER.index(row.strategy) if known else len(_ORDER), row.strategy)
