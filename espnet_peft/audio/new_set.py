"""Writing data directories with audio of their own: whole, or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from espnet_peft.audio.codeswitch import Mixture
from espnet_peft.audio.resample import RATE
from espnet_peft.kaldi import DataDir, write_data_dir
from espnet_peft.kaldi.timeline import write_timeline


@contextlib.contextmanager
def new_directories(*paths: str | Path) -> Iterator[list[Path]]:
    """Yield an empty `<path>.tmp` for each path; they get their names when the body has ended.

    An error leaves nothing behind. Raises FileExistsError for a path that exists: replacing a
    whole directory is for its owner to decide.
    """
    wanted = [Path(path) for path in paths]
    for path in wanted:
        if path.exists():
            raise FileExistsError(
                None, "exists already, expected a new directory; remove it or choose another", path
            )
    temporary = [path.with_name(f"{path.name}.tmp") for path in wanted]
    made: list[Path] = []
    try:
        for path in temporary:
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir(parents=True)
        yield temporary
        for path, final in zip(temporary, wanted, strict=True):
            os.replace(path, final)
            made.append(final)
    except BaseException:
        for path in [*temporary, *made]:
            shutil.rmtree(path, ignore_errors=True)
        raise


def write_wav(path: Path, samples: np.ndarray) -> None:
    """Write audio (n,) in [-1, 1] at 16 kHz as 16-bit samples."""
    import soundfile

    whole = np.clip(np.rint(samples * 32767.0), -32768, 32767).astype(np.int16)
    try:
        soundfile.write(path, whole, RATE, subtype="PCM_16", format="WAV")
    except soundfile.LibsndfileError as error:
        raise OSError(f"{path}: cannot be written ({error.error_string})") from error


def write_mixtures(mixtures: Iterable[Mixture], out_dir: str | Path) -> tuple[int, float]:
    """Write code-switched utterances as `out_dir`, and the spans of each as `<out_dir>_segments`.

    `out_dir` gets the audio under wav/, the usual tables, utt2lang with the language that has most
    of the time, and `timeline`, the reference of who speaks what when. The segments are
    utterances of one language each in the same audio. Each mixture is its own speaker.

    Returns:
        Number of mixtures and seconds of audio.
    """
    out_dir = Path(out_dir)
    names = ("wav.scp", "text", "utt2spk", "utt2lang", "utt2dur")
    whole: dict[str, dict[str, str]] = {name: {} for name in names}
    parts: dict[str, dict[str, str]] = {name: {} for name in (*names, "segments")}
    timelines = {}
    seconds = 0.0
    with new_directories(out_dir, f"{out_dir}_segments") as (directory, segments_directory):
        (directory / "wav").mkdir()
        for mixture in mixtures:
            utt_id = mixture.utt_id
            write_wav(directory / "wav" / f"{utt_id}.wav", mixture.samples)
            end = len(mixture.samples) / RATE
            seconds += end
            timelines[utt_id] = mixture.spans
            place = str(out_dir / "wav" / f"{utt_id}.wav")
            language = _most_spoken(mixture)
            row = (place, " ".join(mixture.texts), utt_id, language, f"{end:.3f}")
            for name, value in zip(names, row, strict=True):
                whole[name][utt_id] = value
            parts["wav.scp"][utt_id] = place
            for k, (span, text) in enumerate(zip(mixture.spans, mixture.texts, strict=True)):
                part_id = f"{utt_id}-{k:02d}-{span.language}"
                row = (text, utt_id, span.language, f"{span.seconds:.3f}")
                for name, value in zip(names[1:], row, strict=True):
                    parts[name][part_id] = value
                parts["segments"][part_id] = f"{utt_id} {span.start:.3f} {span.end:.3f}"
        write_data_dir(DataDir(directory, whole), directory)
        write_timeline(directory / "timeline", timelines)
        write_data_dir(DataDir(segments_directory, parts), segments_directory)
    return len(timelines), seconds


def _most_spoken(mixture: Mixture) -> str:
    """The language with most of the time; of equal ones the first to be heard."""
    time: dict[str, float] = {}
    for span in mixture.spans:
        time[span.language] = time.get(span.language, 0.0) + span.seconds
    return max(time, key=lambda language: time[language])
