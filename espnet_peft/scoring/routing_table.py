"""Tables of routing strategies: error rates by language, what routing costs and what it loses."""

import statistics
from collections.abc import Sequence
from pathlib import Path

from espnet_peft.kaldi.layout import BASE
from espnet_peft.scoring.collect import ALL, mean_known, read_json
from espnet_peft.scoring.collect_routes import ORACLE, RouteRow, RouteRun, RouteTable, find_plain
from espnet_peft.scoring.tables import NONE, columns, pipes, widths

_LEGEND = (
    "WER in percent, counted as NIST sclite does; base: no adapter; oracle: the adapter and prompt"
    " of the true language; loss: WER relative to the oracle's; routed: utterances with the"
    " oracle's adapter (the greatest of a mixture) and prompt; routing: time a utterance for"
    " choosing, with the encoder passes that only the router needs, and its share of decoding."
)
_TIMELINE_LEGEND = (
    "WER in percent; alone: the same audio cut at the true switches, each piece decoded with the"
    " adapter of its language; loss: WER relative to that; frames: share of the time with the"
    " right language; delay: of the detected switches, mean of the absolute values; in time:"
    " true switches detected within 0.5 s; false: switches that are none, a minute of audio."
)


def markdown(
    runs: Sequence[RouteRun],
    tables: Sequence[RouteTable],
    commit: str,
    title: str,
    settings: dict[str, str],
    controls: dict[tuple[str, str], list[float]] | None = None,
) -> str:
    """Return the whole file; with controls (`find_controls`) the tables are of mixed audio."""
    seeds = len({run.seed for run in runs})
    lines = [f"# {title}", "", "Made by `python -m espnet_peft.bin.routing_results`; do not edit."]
    normalisations = sorted({str(run.score.get("normalise", "unknown")) for run in runs})
    facts = [
        ("commit", f"`{commit}`"),
        ("number of seeds", f"{seeds}"),
        ("text normalisation", ", ".join(normalisations)),
        *settings.items(),
    ]
    lines += ["", *(f"- {name}: {value}" for name, value in facts)]
    for table in tables:
        lines += ["", f"## {table.system}, {table.set}", "", _size(table), ""]
        lines += pipes(*_cells(table, controls, exact=True), names=1)
    lines += ["", _LEGEND if controls is None else _TIMELINE_LEGEND]
    if seeds > 1:
        lines[-1] += f" Numbers are means over {seeds} seeds, after ± the standard deviation."
    lacking = [
        f"{row.strategy} of {table.system} on {table.set} ({len(row.runs)} of {seeds})"
        for table in tables
        for row in table.rows
        if len(row.runs) < seeds
    ]
    if lacking:
        lines += ["", f"Not scored for every seed: {'; '.join(lacking)}."]
    return "\n".join(lines) + "\n"


def terminal(
    tables: Sequence[RouteTable],
    controls: dict[tuple[str, str], list[float]] | None = None,
) -> str:
    """Return the tables for a terminal."""
    blocks = []
    for table in tables:
        head, rows = _cells(table, controls, exact=False)
        wide = widths(head, rows)
        lines = [f"{table.system}, {table.set}: {_size(table)}", columns(head, wide, names=1)]
        lines.append("  ".join("-" * width for width in wide))
        lines += [columns(row, wide, names=1) for row in rows]
        blocks.append("\n".join(line.rstrip() for line in lines))
    return "\n\n".join(blocks)


def find_controls(
    tables: Sequence[RouteTable], exp_dirs: Sequence[Path], decode_tag: str | None
) -> dict[tuple[str, str], list[float]]:
    """WER of ``<set>_segments`` with the oracle in each seed, by system and set.

    Raises ValueError where a table has none: nothing would say what the switching costs.
    """
    controls = {}
    for table in tables:
        name = f"{table.set}_segments"
        found = [find_plain(path, table.system, name, decode_tag) for path in exp_dirs]
        wers = [read_json(folder / "score.json")["wer"] for folder in found if folder]
        if not wers:
            raise ValueError(
                f"{exp_dirs[0]}/{table.system}/{decode_tag or '<decode_tag>'}/{name}/score.json:"
                " not found, expected the same audio cut at the switches; decode and score it"
            )
        controls[table.system, table.set] = wers
    return controls


def _cells(
    table: RouteTable, controls: dict[tuple[str, str], list[float]] | None, exact: bool
) -> tuple[list[str], list[list[str]]]:
    if controls is None:
        return _plain_cells(table, exact)
    return _timeline_cells(table, controls[table.system, table.set])


def _plain_cells(table: RouteTable, exact: bool) -> tuple[list[str], list[list[str]]]:
    """Head and rows of single-language audio; a terminal has no room for every deviation."""
    languages = table.languages()
    languages = languages if len(languages) > 1 else []
    head = [
        "Strategy",
        *languages,
        ALL if languages else "WER",
        "Loss",
        "Routed",
        "Routing",
        "Share",
    ]
    body = []
    for row in table.rows:
        wers = [_mean(row.wers(language), exact) for language in languages]
        body.append(
            [
                row.strategy,
                *wers,
                _mean(row.wers()),
                _signed(table.degradation(row)),
                percent(row.routed() if row.strategy not in (BASE, ORACLE) else None),
                *_latency(row),
            ]
        )
    return head, body


def _latency(row: RouteRow) -> list[str]:
    """Milliseconds an utterance and share of the decoding, of strategies that route."""
    if row.strategy in (BASE, ORACLE):
        return [NONE, NONE]
    spent, share = row.speed("route_ms_per_utterance"), row.speed("route_share")
    return [NONE if spent is None else f"{spent:.2f} ms", percent(share)]


def _timeline_cells(table: RouteTable, alone: list[float]) -> tuple[list[str], list[list[str]]]:
    """Head and rows of audio whose language changes."""
    head = ["Strategy", "WER", "Loss", "Frames", "Delay", "In time", "False"]
    before = mean_known(alone)
    body = [["alone", _mean(alone), *[NONE] * 5]]
    for row in table.rows:
        wer = row.wer()
        delay = row.timeline("switches", "delay_mean_absolute")
        false = row.timeline("switches", "false_per_minute")
        body.append(
            [
                row.strategy,
                _mean(row.wers()),
                _signed(wer / before - 1 if wer is not None and before else None),
                percent(row.timeline("accuracy")),
                NONE if delay is None else f"{delay:.2f} s",
                percent(row.timeline("switches", "within_aim")),
                NONE if false is None else f"{false:.2f}",
            ]
        )
    return head, body


def _size(table: RouteTable) -> str:
    """How much was decoded, in words."""
    run = table.rows[0].runs[0]
    words = run.score.get("words", {}).get("ref")
    count = f"{run.score['utterances']} utterances"
    return count if words is None else f"{count}, {words} words"


def _mean(values: Sequence[float], exact: bool = True) -> str:
    """A mean of fractions in percent, with the deviation where there are several."""
    if not values:
        return NONE
    mean = f"{100 * statistics.fmean(values):.1f}"
    return f"{mean} ± {100 * statistics.stdev(values):.1f}" if exact and len(values) > 1 else mean


def percent(value: float | None) -> str:
    """A fraction in percent."""
    return NONE if value is None else f"{100 * value:.1f} %"


def _signed(value: float | None) -> str:
    return NONE if value is None else f"{100 * value:+.1f} %"
