"""Figures of a router: confusion matrix, accuracy by length, training curve."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path


def plot_confusion(table: dict[str, dict[str, int]], path: str | Path) -> None:
    """Draw a confusion matrix as a heat map: shares of each true language, with their counts."""
    import numpy as np

    rows = list(table)
    columns = [name for name in next(iter(table.values())) if name != "other"]
    counts = np.array([[table[row][column] for column in columns] for row in rows])
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    figure, axes = _figure(1.6 + 0.7 * len(columns), 1.2 + 0.7 * len(rows))
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for k in range(len(rows)):
        for j in range(len(columns)):
            colour = "white" if shares[k, j] > 0.5 else "black"
            axes.text(j, k, str(counts[k, j]), ha="center", va="center", color=colour)
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), rows)
    axes.set_xlabel("found")
    axes.set_ylabel("true")
    save_png(figure, path)


def plot_length(bins: Sequence[dict], crops: Sequence[dict], path: str | Path) -> None:
    """Draw accuracy in percent by duration: whole utterances in bins, and crops of the audio.

    A set without any known language has no accuracy (None), and no line.
    """
    figure, axes = _figure(6, 4)
    crops = [crop for crop in crops if crop["accuracy"] is not None]
    if bins:
        middle = [(b["from"] + b["to"]) / 2 for b in bins]
        accuracy = [100 * b["accuracy"] for b in bins]
        axes.plot(middle, accuracy, marker="o", label="whole utterances")
    if crops:
        seconds = [crop["seconds"] for crop in crops]
        accuracy = [100 * crop["accuracy"] for crop in crops]
        axes.plot(seconds, accuracy, marker="s", label="crops")
    axes.set_xlabel("duration [s]")
    axes.set_ylabel("accuracy [%]")
    axes.set_ylim(top=101)
    axes.grid(alpha=0.3)
    if bins or crops:
        axes.legend()
    save_png(figure, path)


def plot_training(curve: Sequence[dict[str, float]], path: str | Path) -> None:
    """Draw the loss on training and validation sets by epoch."""
    figure, axes = _figure(6, 4)
    for key, label in (("loss", "train loss"), ("valid_loss", "valid loss")):
        axes.plot(range(1, len(curve) + 1), [v[key] for v in curve], marker=".", label=label)
    axes.set_xlabel("epoch")
    axes.set_ylabel("cross-entropy")
    axes.grid(alpha=0.3)
    axes.legend()
    save_png(figure, path)


def _figure(width: float, height: float):
    """An empty figure of so many inches, and its axes; no display is needed."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="tight")
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def save_png(figure, path: str | Path, dpi: int = 100) -> None:
    """Write a figure of matplotlib, in one piece."""
    path = Path(path)
    temporary = path.with_name(path.name + ".tmp")
    figure.savefig(temporary, format="png", dpi=dpi)
    os.replace(temporary, path)
