"""Pictures of decoded utterances whose language changes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from espnet_peft.audio.resample import RATE
from espnet_peft.kaldi import read_table
from espnet_peft.kaldi.timeline import read_timeline
from espnet_peft.models import load_base
from espnet_peft.routing.frames import FRAME_SECONDS
from espnet_peft.routing.router import Router
from espnet_peft.routing.speech import open_set
from espnet_peft.routing.timeline_figure import Picture, draw


def plot_set(
    base_model: str,
    router: str | Path,
    data_dir: str | Path,
    decode_dir: str | Path,
    out_dir: str | Path,
    utt_ids: Sequence[str] = (),
    n: int = 4,
    title: str = "",
) -> list[Path]:
    """Draw utterances of a set into `<out_dir>/<utt_id>.png`; returns the files.

    data_dir: with wav.scp, timeline and text; decode_dir: with timeline and text; utt_ids: which;
    none: the first n. The posteriors are the router's own, before smoothing. Raises ValueError or
    OSError where something is missing or belongs to another base.
    """
    data_dir, decode_dir = Path(data_dir), Path(decode_dir)
    true, found = read_timeline(data_dir / "timeline"), read_timeline(decode_dir / "timeline")
    texts = [
        read_table(folder / "text") if (folder / "text").exists() else {}
        for folder in (data_dir, decode_dir)
    ]
    wanted = list(utt_ids) or sorted(true)[:n]
    for utt_id in wanted:
        for folder, timelines in ((data_dir, true), (decode_dir, found)):
            if utt_id not in timelines:
                raise ValueError(f"{folder}/timeline: no utterance {utt_id}, expected its spans")
    model = load_base(base_model).eval()
    judge = Router.load(router, model)
    speech = open_audio(data_dir, model.dims.n_mels, set(wanted))
    written = []
    for utt_id, samples in speech.read():
        picture = Picture(
            utt_id,
            samples,
            RATE,
            judge.languages,
            posteriors(judge, model, samples),
            FRAME_SECONDS,
            true[utt_id],
            found[utt_id],
            *(table.get(utt_id, "") for table in texts),
            title=f"{utt_id}, {title}" if title else "",
        )
        path = Path(out_dir) / f"{utt_id}.png"
        draw(picture, path)
        written.append(path)
    return written


def open_audio(data_dir: Path, n_mels: int, keys: set[str]):
    """The audio of some utterances; ValueError for a directory of features, which show none."""
    if (data_dir / "feats.scp").exists():
        raise ValueError(
            f"{data_dir}: found feats.scp, expected audio to draw; give the directory in data/"
        )
    return open_set(data_dir, n_mels, keys)


def posteriors(router: Router, model, samples: np.ndarray) -> np.ndarray:
    """Probabilities (T, C) of each frame of one utterance of samples (n,)."""
    found = router(
        model, torch.from_numpy(samples)[None], torch.tensor([len(samples)]), frames=True
    )
    return found.frames[0, : int(found.prefix.spoken[0])].numpy()
