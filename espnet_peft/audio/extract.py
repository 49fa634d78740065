"""Features or 16 kHz audio of a data directory, in Kaldi archives."""

from __future__ import annotations

import logging
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import numpy as np

from espnet_peft.audio.resample import RATE
from espnet_peft.audio.utterances import list_spans, read_utterances, report_faults
from espnet_peft.kaldi import write_table
from espnet_peft.kaldi.table import written_to

SPEECH_FEATURE = 2  # Kaldi's compression of 8 bits a value, scaled by percentiles of each band
COUNTS = {"fbank": "utt2num_frames", "raw": "utt2num_samples"}
ARCHIVES = {"fbank": ("feats.ark", "feats.scp"), "raw": ("wav.ark", "wav.scp")}


def extract(
    data_dir: str | Path,
    out_dir: str | Path,
    feats_type: str = "fbank",
    n_mels: int = 80,
    keys: set[str] | None = None,
    expected_rate: int | None = None,
    allow_pipes: bool = False,
    compression: int = SPEECH_FEATURE,
    report_every: int = 1000,
) -> tuple[int, float]:
    """Write log-mel features ("fbank") or 16-bit audio at 16 kHz ("raw") of each utterance.

    `out_dir` gets feats.ark, feats.scp and utt2num_frames, or wav.ark, wav.scp and
    utt2num_samples, and `feats_type`; nothing is changed there if any utterance has a fault.
    `compression` is Kaldi's method, 0 for none.

    Returns:
        Number of utterances and seconds of audio.

    Raises:
        ValueError: all faults of the audio.
    """
    spans = list_spans(data_dir, keys)
    out_dir = Path(out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    ark, scp = (out_dir / name for name in ARCHIVES[feats_type])
    temporary = ark.with_name(ark.name + ".tmp")
    places, counts, faults = {}, {}, []
    samples, begun = 0, time.perf_counter()
    audio = read_utterances(spans, allow_pipes=allow_pipes, expected_rate=expected_rate)
    try:
        with written_to(ark), open(temporary, "wb") as file:
            for done, (utt_id, found) in enumerate(audio, 1):
                if isinstance(found, Exception):
                    faults.append(f"{data_dir}: {utt_id}: {found}")
                elif not faults:  # after a fault the rest is only checked
                    offset, count = _write(file, utt_id, found, feats_type, n_mels, compression)
                    places[utt_id], counts[utt_id] = f"{ark}:{offset}", count
                    samples += len(found)
                if done % report_every == 0 and done < len(spans):
                    _report(done, len(spans), samples / RATE, time.perf_counter() - begun)
        report_faults(str(data_dir), faults)
        scp.unlink(missing_ok=True)  # its offsets would be wrong in the new archive
        os.replace(temporary, ark)
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()
    write_table(out_dir / COUNTS[feats_type], counts)
    (out_dir / "feats_type").write_text(f"{feats_type}\n")
    write_table(scp, places)
    _report(len(spans), len(spans), samples / RATE, time.perf_counter() - begun)
    return len(spans), samples / RATE


def _write(
    file: BinaryIO, utt_id: str, samples: np.ndarray, feats_type: str, n_mels: int, compression: int
) -> tuple[int, int]:
    """Append one utterance; returns the offset for the scp and the number of frames or samples."""
    import kaldiio

    offset = file.tell() + len(utt_id.encode()) + 1
    if feats_type == "raw":
        whole = np.clip(np.rint(samples * 32768), -32768, 32767).astype(np.int16)
        kaldiio.save_ark(file, {utt_id: (RATE, whole)})
        return offset, len(whole)
    import torch

    from espnet_peft.audio.log_mel import log_mel

    features = log_mel(torch.from_numpy(samples), n_mels).numpy()
    kaldiio.save_ark(
        file, {utt_id: np.ascontiguousarray(features)}, compression_method=compression or None
    )
    return offset, len(features)


def _report(done: int, total: int, audio: float, took: float) -> None:
    logging.info(
        "%d of %d utterances, %.0f s of audio, %.0f times faster than it plays",
        done,
        total,
        audio,
        audio / max(took, 1e-9),
    )
