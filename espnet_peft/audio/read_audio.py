"""Audio as `wav.scp` names it."""

from __future__ import annotations

import io
import re
import subprocess
from pathlib import Path

import numpy as np

_OFFSET = re.compile(r"(?P<path>.+):(?P<offset>\d+)$")


def read_audio(spec: str, *, allow_pipes: bool = False) -> tuple[np.ndarray, int]:
    """Read one recording.

    Args:
        spec: a file that libsndfile reads (wav, flac, mp3, ogg), `file.ark:offset` (wav inside
            a Kaldi archive), or a command that ends in `|` and writes a wav.
        allow_pipes: run such commands, in a shell.

    Returns:
        Samples (n,) float32 in [-1, 1], channels averaged, and the rate in Hz.

    Raises:
        ValueError, FileNotFoundError: missing, unreadable, without samples, or not finite.
    """
    spec = spec.strip()
    if spec.endswith("|"):
        samples, rate = _read_pipe(spec, allow_pipes)
    else:
        samples, rate = _read_file(spec)
    if samples.ndim == 2:
        samples = samples.mean(axis=1)
    if len(samples) == 0:
        raise ValueError(f"{spec}: no samples, expected audio; remove the utterance")
    if not np.isfinite(samples).all():
        count = int((~np.isfinite(samples)).sum())
        raise ValueError(f"{spec}: {count} samples are NaN or infinite; repair or remove the file")
    return np.ascontiguousarray(samples, dtype=np.float32), rate


def _read_file(spec: str) -> tuple[np.ndarray, int]:
    offset = _OFFSET.match(spec)
    if offset and not Path(spec).exists():
        return _read_archive(spec, offset["path"], int(offset["offset"]))
    if not Path(spec).is_file():
        raise FileNotFoundError(f"{spec}: no such file, expected audio; correct wav.scp")
    return _decode(spec, spec)


def _read_archive(spec: str, path: str, offset: int) -> tuple[np.ndarray, int]:
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: no such file, expected an archive; correct wav.scp")
    import kaldiio

    try:
        rate, samples = kaldiio.load_mat(f"{path}:{offset}")
    except Exception as error:  # kaldiio raises whatever its parsers meet
        raise ValueError(f"{spec}: no wav there ({error}); make the archive again") from error
    if samples.dtype.kind == "i":
        samples = samples / np.float32(2 ** (8 * samples.dtype.itemsize - 1))
    return samples, rate


def _read_pipe(spec: str, allow_pipes: bool) -> tuple[np.ndarray, int]:
    if not allow_pipes:
        raise ValueError(f"{spec}: a command, expected a file; pass --allow_pipes to run commands")
    done = subprocess.run(spec[:-1], shell=True, capture_output=True)
    if done.returncode != 0:
        tail = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise ValueError(f"{spec}: the command failed with {done.returncode}: {' '.join(tail)}")
    return _decode(io.BytesIO(done.stdout), spec)


def _decode(source: str | io.BytesIO, spec: str) -> tuple[np.ndarray, int]:
    import soundfile

    try:
        return soundfile.read(source, dtype="float32")
    except (soundfile.LibsndfileError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{spec}: unreadable audio ({reason}); repair or remove it") from error
