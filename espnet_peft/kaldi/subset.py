"""Choose some utterances of a data directory."""

from __future__ import annotations

import random

from espnet_peft.kaldi.data_dir import DataDir

_LENGTH_FILES = ("utt2num_frames", "utt2num_samples", "utt2dur", "segments")


def choose_first(data: DataDir, count: int) -> list[str]:
    """The first `count` utterances in byte order."""
    return _at_least(data, count)[:count]


def choose_last(data: DataDir, count: int) -> list[str]:
    """The last `count` utterances in byte order."""
    utts = _at_least(data, count)
    return utts[len(utts) - count :]


def choose_spread(data: DataDir, count: int) -> list[str]:
    """`count` utterances at even distances, so that all speakers have their share."""
    return spread(_at_least(data, count), count)


def choose_shortest(data: DataDir, count: int) -> list[str]:
    """The `count` shortest utterances; equal lengths in byte order.

    Raises ValueError without one of utt2num_frames, utt2num_samples, utt2dur and segments.
    """
    utts = _at_least(data, count)
    length = _lengths(data)
    return sorted(utts, key=lambda utt: (length[utt], utt))[:count]


def choose_per_speaker(data: DataDir, count: int) -> list[str]:
    """Up to `count` utterances of each speaker, at even distances."""
    chosen: list[str] = []
    for utts in _utts_of(data).values():
        chosen += spread(utts, min(count, len(utts)))
    return chosen


def choose_speakers(data: DataDir, count: int, seed: int = 0) -> list[str]:
    """All utterances of speakers drawn by chance until there are `count` or more."""
    _at_least(data, count)
    utts_of = _utts_of(data)
    speakers = sorted(utts_of)
    random.Random(seed).shuffle(speakers)
    chosen: list[str] = []
    for speaker in speakers:
        if len(chosen) >= count:
            break
        chosen += utts_of[speaker]
    return chosen


def choose_listed(data: DataDir, ids: set[str], by_speaker: bool) -> tuple[list[str], set[str]]:
    """The utterances in (or, by_speaker, whose speaker is in) `ids`, and the ids not found."""
    utt2spk = data.tables["utt2spk"]
    known = set(utt2spk.values()) if by_speaker else utt2spk.keys()
    chosen = [utt for utt, spk in utt2spk.items() if (spk if by_speaker else utt) in ids]
    return chosen, ids - known


def spread(items: list[str], count: int) -> list[str]:
    """`count` of `items` at even distances, the first always among them."""
    return [items[i * len(items) // count] for i in range(count)]


def _at_least(data: DataDir, count: int) -> list[str]:
    utts = data.utt_ids
    if not 0 < count <= len(utts):
        raise ValueError(
            f"{data.path}: {count} utterances asked for, expected 1 to {len(utts)}, all it has"
        )
    return utts


def _utts_of(data: DataDir) -> dict[str, list[str]]:
    speakers: dict[str, list[str]] = {}
    for utt, speaker in data.tables["utt2spk"].items():
        speakers.setdefault(speaker, []).append(utt)
    return speakers


def _lengths(data: DataDir) -> dict[str, float]:
    for name in _LENGTH_FILES:
        table = data.tables.get(name)
        if table is None:
            continue
        missing = data.tables["utt2spk"].keys() - table.keys()
        if missing:
            raise ValueError(
                f"{data.path}/{name}: no line for {min(missing)!r}, expected all of utt2spk; "
                "run utils/fix_data_dir.sh"
            )
        if name == "segments":
            times = {utt: value.split(" ") for utt, value in table.items()}
            return {utt: float(fields[2]) - float(fields[1]) for utt, fields in times.items()}
        return {utt: float(value) for utt, value in table.items()}
    raise ValueError(
        f"{data.path}: no file of lengths, expected one of {', '.join(_LENGTH_FILES)}"
    )
