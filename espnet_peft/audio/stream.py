"""Long recordings, block by block."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from espnet_peft.audio.resample import RATE

logger = logging.getLogger(__name__)

LOST_SECONDS = 0.1  # a header may be wrong by that much without a word


def stream_audio(path: str | Path, block_seconds: float = 30.0) -> Iterator[np.ndarray]:
    """Yield a recording of any length, rate and number of channels as 16 kHz blocks (n,) float32.

    The blocks joined are the recording, channels averaged; they may differ in length. Only one
    is in memory at a time. A file that ends before its header says is read as far as it goes,
    with a warning.

    Raises:
        ValueError, FileNotFoundError: missing, unreadable, without samples, or not finite.
    """
    import soundfile

    if not Path(path).is_file():
        kind = "a directory" if Path(path).is_dir() else "no such file"
        raise FileNotFoundError(f"{path}: {kind}, expected audio")
    read = 0
    try:
        with _open(path) as file:
            resampler = _resampler(file.samplerate)
            size = max(1, round(block_seconds * file.samplerate))
            while len(block := file.read(size, dtype="float32", always_2d=True)):
                read += len(block)
                yield _resampled(resampler, _mono(block, path))
            yield _resampled(resampler, np.zeros(0, dtype=np.float32), last=True)
            rate, promised = file.samplerate, file.frames
    except (soundfile.LibsndfileError, RuntimeError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise ValueError(f"{path}: unreadable audio ({reason}); repair or convert it") from error
    if read == 0:
        raise ValueError(f"{path}: no samples, expected audio")
    # Formats without a length in their header promise a number that no file can hold.
    if read / rate + LOST_SECONDS < promised / rate < 1e9:
        logger.warning(
            "%s: ends after %.1f s, its header says %.1f s; what is there is used",
            path,
            read / rate,
            promised / rate,
        )


def _open(path: str | Path):
    """Open a file that is read from start to end.

    soundfile seeks to the place where it is after each read of a file that can seek. In an mp3
    that throws away the bits that later frames borrow from earlier ones, and is heard.
    """
    import soundfile

    class Forward(soundfile.SoundFile):
        def seekable(self) -> bool:
            return False

    return Forward(path)


def _mono(block: np.ndarray, path: str | Path) -> np.ndarray:
    mono = block[:, 0] if block.shape[1] == 1 else block.mean(axis=1)
    if not np.isfinite(mono).all():
        raise ValueError(f"{path}: samples are NaN or infinite; repair the file")
    return mono


def _resampler(rate: int):
    """A resampler that keeps its state between blocks, or None where there is nothing to do."""
    if rate == RATE:
        return None
    import soxr

    return soxr.ResampleStream(rate, RATE, 1, dtype="float32", quality="HQ")


def _resampled(resampler, block: np.ndarray, last: bool = False) -> np.ndarray:
    if resampler is None:
        return block
    return resampler.resample_chunk(np.ascontiguousarray(block), last=last)
