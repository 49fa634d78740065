"""Tables as Markdown and for a terminal."""

from collections.abc import Sequence

from espnet_peft.scoring.report import display_width

NONE = "–"


def pipes(head: Sequence[str], rows: Sequence[Sequence[str]], names: int = 2) -> list[str]:
    """Lines of a Markdown table; the first `names` columns are names, the others numbers."""
    rule = [":--" if k < names else "--:" for k in range(len(head))]
    return ["| " + " | ".join(cells) + " |" for cells in (head, rule, *rows)]


def widths(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    """Terminal columns that each column of a table needs."""
    return [max(display_width(row[k]) for row in [head, *rows]) for k in range(len(head))]


def columns(cells: Sequence[str], widths: Sequence[int], names: int = 2) -> str:
    """One line for a terminal: names to the left and numbers to the right."""
    out = []
    for k, (cell, width) in enumerate(zip(cells, widths, strict=True)):
        space = " " * (width - display_width(cell))
        out.append(cell + space if k < names else space + cell)
    return "  ".join(out)
