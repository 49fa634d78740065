"""Test sets of utterances whose language is hard to tell: short ones, and noisy ones."""

from __future__ import annotations

import logging
import random
import zlib
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np

from espnet_peft.audio.new_set import new_directories, write_wav
from espnet_peft.audio.noise import NOISES, TALKERS, add_noise
from espnet_peft.audio.resample import RATE
from espnet_peft.audio.source import Source, read_sources
from espnet_peft.audio.units import runs
from espnet_peft.kaldi import DataDir, read_data_dir, write_data_dir
from espnet_peft.kaldi.data_dir import Tables

SAMPLED = 60  # utterances of which noise is made
# What still holds for an utterance when its recording is another one.
KEPT = ("text", "utt2spk", "utt2lang", "ctm", "utt2uniq", "spk2gender")


def write_short(
    data_dir: str | Path,
    out_dir: str | Path,
    seconds: tuple[float, float] = (0.4, 1.5),
    seed: int = 0,
    allow_pipes: bool = False,
) -> tuple[int, int]:
    """Write one crop of whole words of each utterance, as `segments` of the same recordings.

    Its length is drawn first, so that all lengths are there, then the crop that comes nearest.
    Returns the number of crops and of utterances; those without a crop of such a length are left
    out.

    Raises ValueError for no crop at all or a fault of the data, FileExistsError for `out_dir`.
    """
    if not 0.1 <= seconds[0] < seconds[1]:
        raise ValueError(
            f"lengths {seconds[0]} to {seconds[1]} s: expected 0.1 <= shortest < longest"
        )
    data = read_data_dir(data_dir)
    sources = _sources(data_dir, allow_pipes)
    names = ("text", "utt2spk", "utt2lang", "utt2dur", "segments")
    tables: Tables = {name: {} for name in names}
    recordings: dict[str, str] = {}
    with new_directories(out_dir) as (directory,):
        for source in map(replace, sources):  # copies, whose audio is soon forgotten
            utt_id = source.span.utt_id
            possible = runs(source.units, *seconds)
            if not possible:
                continue
            units = source.units
            lengths = [(units[j - 1].end - units[i].begin) / RATE for i, j in possible]
            wanted = random.Random(f"{seed} {utt_id}").uniform(*seconds)
            i, j = possible[int(np.abs(np.array(lengths) - wanted).argmin())]
            recording = data.tables.get("segments", {}).get(utt_id, utt_id).split(" ")[0]
            before = source.span.start or 0.0
            start, end = (before + x / RATE for x in (units[i].begin, units[j - 1].end))
            crop = f"{utt_id}-{round(start * 1000):07d}-{round(end * 1000):07d}"
            words = " ".join(unit.words for unit in units[i:j])
            speaker, segment = data.tables["utt2spk"][utt_id], f"{recording} {start:.4f} {end:.4f}"
            row = (words, speaker, source.language, f"{end - start:.4f}", segment)
            for name, value in zip(names, row, strict=True):
                tables[name][crop] = value
            recordings[recording] = source.span.audio
        if not tables["text"]:
            raise ValueError(
                f"{data_dir}: none of {len(sources)} utterances has whole words that last"
                f" {seconds[0]} to {seconds[1]} s, expected some"
            )
        write_data_dir(DataDir(directory, tables | {"wav.scp": recordings}), directory)
    return len(tables["text"]), len(sources)


def write_noisy(
    data_dir: str | Path,
    out_dir: str | Path,
    noises: Sequence[str] = ("white", "babble"),
    snr: float = 0.0,
    seed: int = 0,
    allow_pipes: bool = False,
) -> int:
    """Write the utterances with noise, in new files under wav/; returns their number.

    The kinds of noise take turns and are in utt2category. Babble and the spectrum of speech come
    from other speakers of the directory where it has some. Noise depends on the seed and the
    utterance's id alone.

    Raises ValueError for a fault of the data, FileExistsError for `out_dir`.
    """
    unknown = [noise for noise in noises if noise not in NOISES]
    if unknown or not noises:
        raise ValueError(
            f"noise {' '.join(unknown) or 'none'}: expected some of {' '.join(NOISES)}"
        )
    if not -40 <= snr <= 100:
        raise ValueError(f"signal-to-noise ratio {snr} dB: expected -40 to 100")
    data = read_data_dir(data_dir)
    sources = _sources(data_dir, allow_pipes)
    speaker_of = data.tables["utt2spk"]
    shuffled = random.Random(f"{seed} talkers").sample(sources, len(sources))
    talkers = list(islice((source for source in shuffled if not source.is_faint), SAMPLED))
    if not talkers:
        raise ValueError(f"{data_dir}: all utterances are near silent, expected speech")
    tables: Tables = {name: data.tables[name] for name in KEPT if name in data.tables}
    own: Tables = {"wav.scp": {}, "utt2dur": {}, "utt2category": {}}
    out_dir = Path(out_dir)
    with new_directories(out_dir) as (directory,):
        (directory / "wav").mkdir()
        for k, source in enumerate(sources):
            utt_id = source.span.utt_id
            others = [t for t in talkers if speaker_of[t.span.utt_id] != speaker_of[utt_id]]
            rng = np.random.default_rng([seed, zlib.crc32(utt_id.encode())])
            chosen = rng.permutation(len(others or talkers))[:TALKERS]
            voices = [(others or talkers)[i].recorded for i in chosen]
            noise = noises[k % len(noises)]
            x = replace(source).recorded  # a copy, whose audio is soon forgotten
            try:
                noisy = add_noise(x, NOISES[noise](len(x), voices, rng), snr)
            except ValueError as error:
                raise ValueError(f"{data_dir}: {utt_id}: {error}; remove the utterance") from error
            write_wav(directory / "wav" / f"{utt_id}.wav", noisy)
            own["wav.scp"][utt_id] = str(out_dir / "wav" / f"{utt_id}.wav")
            own["utt2dur"][utt_id] = f"{len(x) / RATE:.4f}"
            own["utt2category"][utt_id] = noise
        write_data_dir(DataDir(directory, tables | own), directory)
    return len(sources)


def _sources(data_dir: str | Path, allow_pipes: bool) -> list[Source]:
    """All utterances in byte order."""
    by_language = read_sources([data_dir], allow_pipes=allow_pipes)
    sources = [source for language in by_language.values() for source in language]
    estimated = sum(source.ctm is None for source in sources)
    if estimated:
        logging.info("%s: %d utterances have no word times", data_dir, estimated)
    return sorted(sources, key=lambda source: source.span.utt_id)
