"""Result tables of collected experiments, as Markdown and for a terminal."""

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from espnet_peft.kaldi.layout import BASE
from espnet_peft.scoring.collect import Row, Run, Table
from espnet_peft.scoring.tables import NONE, columns, pipes, widths

_SYSTEM_NAMES = {BASE: "zero-shot"}


def git_hash(where: Path) -> str:
    """Return the commit of a checkout, ``-dirty`` if its code is changed, or ``unknown``.

    Result files do not count as code, as they are made before they can be committed.
    """
    root = _git(where, "rev-parse", "--show-toplevel")
    commit = _git(where, "rev-parse", "--short=12", "HEAD")
    if not root or not commit:
        return "unknown"
    changed = _git(Path(root), "status", "--porcelain", "--untracked-files=no") or ""
    dirty = [line for line in changed.splitlines() if not re.search(r"RESULTS\w*\.md$", line)]
    return f"{commit}-dirty" if dirty else commit


def _git(where: Path, *args: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(where), *args], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def markdown(
    runs: Sequence[Run], tables: Sequence[Table], commit: str, title: str, settings: dict[str, str]
) -> str:
    """Return the whole of RESULTS.md."""
    seeds = len({run.seed for run in runs})
    lines = [f"# {title}", "", "Made by `python -m espnet_peft.bin.results`; do not edit.", ""]
    lines += [f"- {name}: {value}" for name, value in _facts(runs, commit, seeds, settings)]
    for table in tables:
        lines += ["", f"## {table.base_tag}, {table.decode_tag}", ""]
        lines += pipes(*_main_table(table, seeds))
    lines += ["", _legend(seeds)]
    lacking = _lacking(tables, seeds)
    if lacking:
        lines += ["", "Not scored for every seed: " + "; ".join(lacking) + "."]
    lines += ["", "## Details", "", "In brackets: 95 % bootstrap confidence intervals."]
    for table in tables:
        for name, rows in table.sets.items():
            lines += ["", f"### {table.base_tag}, {table.decode_tag}, {name}", ""]
            lines += pipes(*_detail_table(rows, seeds))
    return "\n".join(lines) + "\n"


def terminal(tables: Sequence[Table], seeds: int) -> str:
    """Return the main tables for a terminal of 100 columns."""
    blocks = []
    for table in tables:
        head, rows = _main_table(table, seeds, exact=False)
        wide = widths(head, rows)
        lines = [f"{table.base_tag}, {table.decode_tag}", columns(head, wide)]
        lines.append("  ".join("-" * width for width in wide))
        previous = rows[0][0] if rows else ""
        for row in rows:
            if row[0] and row[0] != previous:
                lines.append("")
                previous = row[0]
            lines.append(columns(row, wide))
        blocks.append("\n".join(line.rstrip() for line in lines))
    return "\n\n".join(blocks)


def _facts(
    runs: Sequence[Run], commit: str, seeds: int, settings: dict[str, str]
) -> list[tuple[str, str]]:
    stats = [stat for run in runs for stat in run.stats.values()]
    numbers = sorted({stat["seed"] for stat in stats if "seed" in stat})
    facts = [("commit", f"`{commit}`")]
    trained = sorted({str(stat["git_hash"]) for stat in stats if stat.get("git_hash")})
    if trained:
        facts.append(("trained at commit", ", ".join(f"`{name}`" for name in trained)))
    named = f" ({', '.join(map(str, numbers))})" if numbers else ""
    facts.append(("number of seeds", f"{seeds}{named}"))
    normalisations = sorted({str(run.score.get("normalise", "unknown")) for run in runs})
    facts.append(("text normalisation", ", ".join(normalisations)))
    missing = sum(run.score.get("missing_hypotheses", 0) for run in runs)
    if missing:
        facts.append(("hypotheses missing, counted as deletions", str(missing)))
    return facts + list(settings.items())


def _legend(seeds: int) -> str:
    spread = f" Numbers are means over {seeds} seeds ± standard deviation." if seeds > 1 else ""
    return (
        "WER and CER in percent, counted as NIST sclite does; reduction: of WER, relative to "
        f"zero-shot; RTF: decoding time by audio time.{spread}"
    )


def _lacking(tables: Sequence[Table], seeds: int) -> list[str]:
    return [
        f"{row.language} {row.method} of {name} ({len(row.runs)} of {seeds})"
        for table in tables
        for name, row in table.rows()
        if len(row.runs) < seeds
    ]


def _main_table(
    table: Table, seeds: int, exact: bool = True
) -> tuple[list[str], list[list[str]]]:
    """Return head and cells; sets get a column only where a language occurs in several."""
    head = ["Language", "System", "WER", "CER", "Reduction", "Trainable", "Training", "RTF"]
    languages = [name for rows in table.sets.values() for name in {row.language for row in rows}]
    several = len(set(languages)) < len(languages)
    body, previous = [], None
    for name, row in table.rows():
        language = f"{row.language} ({name})" if several and row.language != name else row.language
        body.append(
            [
                language if exact or language != previous else "",
                _SYSTEM_NAMES.get(row.method, row.method),
                _spread(row, "wer"),
                _spread(row, "cer"),
                _percent(row.reduction()),
                _trainable(row, exact),
                _duration(row.stat("train_seconds")),
                _significant(row.rtf()),
            ]
        )
        previous = language
    return head, body


def _spread(row: Row, name: str) -> str:
    deviation = row.deviation(name)
    mean = f"{100 * row.mean(name):.1f}"
    return mean if deviation is None else f"{mean} ± {100 * deviation:.1f}"


def _percent(value: float | None) -> str:
    return NONE if value is None else f"{100 * value:.1f} %"


def _trainable(row: Row, exact: bool) -> str:
    if row.method == BASE:
        return "0"
    trainable, total = row.stat("trainable"), row.stat("total")
    if trainable is None or not total:
        return NONE
    number = f"{trainable:,.0f}" if exact else _short(trainable)
    share = 100 * trainable / total
    return f"{number} ({share:.3g} %)"


def _short(value: float) -> str:
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:.3g} {unit}"
    return f"{value:.0f}"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return NONE
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _significant(value: float | None) -> str:
    return NONE if value is None else f"{value:.3f}"


def _detail_table(rows: Sequence[Row], seeds: int) -> tuple[list[str], list[list[str]]]:
    """Return one line for each language, system and seed."""
    head = ["Language", "System", "WER", "CER", "SER", "MER", "WIL", "WIP", "Words", "Utterances"]
    body = []
    for row in rows:
        for run, rates in zip(row.runs, row.rates, strict=True):
            system = _SYSTEM_NAMES.get(row.method, row.method)
            if seeds > 1:
                known = run.stats.get(row.language, {}).get("seed", run.seed + 1)
                system += f", seed {known}"
            body.append(
                [
                    row.language,
                    system,
                    *(_with_interval(rates, name) for name in ("wer", "cer")),
                    *(_percent_or_none(rates.get(n)) for n in ("ser", "mer", "wil", "wip")),
                    str(rates["words"]["ref"]),
                    str(rates["utterances"]),
                ]
            )
    return head, body


def _percent_or_none(value: float | None) -> str:
    return NONE if value is None else f"{100 * value:.1f}"


def _with_interval(rates: dict, name: str) -> str:
    interval = rates.get(f"{name}_ci")
    bounds = f" [{100 * interval[0]:.1f}, {100 * interval[1]:.1f}]" if interval else ""
    return f"{100 * rates[name]:.1f}{bounds}"
