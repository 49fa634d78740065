"""Looking at audio files before they are used: unreadable, too long, near silent."""

import logging
from pathlib import Path

import numpy as np
import soundfile
from tsv import some

# The loudest tenth of a clip's 30 ms frames lies above this in dB of full scale, where somebody
# speaks: 15 dB below what the quietest of ordinary recordings show.
_SILENCE_DB = -45.0


def inspect_clip(path: Path, decode: bool) -> tuple[float, float | None, str]:
    """Duration in seconds, loudness in dB (None without decoding), and a fault or ''."""
    try:
        if not decode:
            info = soundfile.info(path)
            return info.duration, None, "" if info.frames else "no samples"
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (OSError, soundfile.SoundFileError) as error:
        return 0.0, None, f"unreadable ({error})"
    if len(samples) == 0:
        return 0.0, None, "no samples"
    mono = samples.mean(axis=1)
    if not np.isfinite(mono).all():
        return len(mono) / rate, None, "NaN or infinite samples"
    return len(mono) / rate, loudness(mono, rate), ""


def loudness(samples: np.ndarray, rate: int) -> float:
    """The level in dB of full scale that a tenth of the 30 ms frames of `samples` (n,) exceed."""
    width = max(1, min(len(samples), int(0.03 * rate)))
    frames = samples[: len(samples) // width * width].reshape(-1, width)
    power = np.percentile((frames.astype(np.float64) ** 2).mean(axis=1), 90)
    return float(10 * np.log10(power + 1e-12))


def check_clips(clips: list[Path], pool, decode: bool, max_seconds: float) -> set[Path]:
    """Warn of near-silent clips; returns those that are too long, which it names in a warning.

    Raises ValueError listing clips that cannot be read or hold nothing.
    """
    results = pool.starmap(inspect_clip, [(clip, decode) for clip in clips], chunksize=16)
    found = list(zip(clips, results, strict=True))
    faults = [f"{clip}: {fault}" for clip, (_, _, fault) in found if fault]
    if faults:
        raise ValueError(
            "\n".join(faults[:20])
            + f"\n{len(faults)} of {len(clips)} clips are unusable; unpack the corpus again, or "
            "remove their rows"
        )
    long = [clip for clip, (seconds, _, _) in found if seconds > max_seconds]
    if long:
        logging.warning(
            "%d utterances longer than %g s are left out: %s",
            len(long),
            max_seconds,
            some([clip.name for clip in long], len(long)),
        )
    quiet = [clip.name for clip, (_, db, _) in found if db is not None and db < _SILENCE_DB]
    if quiet:
        logging.warning("%d clips are near silent, and kept: %s", len(quiet), some(quiet))
    return set(long)
