"""Pictures of the loss, error rate and learning rate over epochs."""

from __future__ import annotations

import os
from pathlib import Path

CURVES = {
    "loss": ("loss", {"loss": "loss"}),
    "wer": ("error rate [%]", {"wer": "WER", "cer": "CER"}),
    "lr": ("learning rate", {"optim0_lr0": "rate"}),
}


def plot_curves(stats: dict[int, dict[str, dict]], out_dir: str | Path) -> list[Path]:
    """Draw `loss.png`, `wer.png` and `lr.png` in `out_dir`; those without values are left out.

    stats: ESPnet's reporter statistics, epoch -> phase (`train`, `valid`) -> name -> value.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    out_dir = Path(out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    written = []
    for name, (label, keys) in CURVES.items():
        lines = {}
        for key, word in keys.items():
            for phase in ("train", "valid"):
                found = {e: s[phase][key] for e, s in stats.items() if key in s.get(phase, {})}
                if found:
                    lines[f"{phase} {word}"] = found
        if not lines:
            continue
        figure = Figure(figsize=(6, 4), layout="tight")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        for title, values in lines.items():
            axes.plot(list(values), list(values.values()), marker=".", label=title)
        axes.set_xlabel("epoch")
        axes.set_ylabel(label)
        axes.grid(alpha=0.3)
        axes.legend()
        path = out_dir / f"{name}.png"
        temporary = path.with_name(path.name + ".tmp")
        figure.savefig(temporary, format="png", dpi=100)
        os.replace(temporary, path)
        written.append(path)
    return written
