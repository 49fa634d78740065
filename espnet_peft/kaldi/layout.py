"""The files that a data directory may hold: what each line is keyed by and what its value is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FileLayout:
    """One file's layout.

    key: "utt", "spk" or "rec" (recordings are utterances where there is no `segments`).
    columns: "one" value, the "rest" of the line (may be empty), "many" values, or many values on
        each of several "lines" with the same id.
    kind: how the value is checked ("word", "ids", "text", "audio", "feats", "int", "float",
        "segment", "ctm").
    partial: some ids may have no line.
    """

    key: str
    columns: str
    kind: str
    partial: bool = False


# utt2spk comes first because every other file is compared with it.
FILES: dict[str, FileLayout] = {
    "utt2spk": FileLayout("utt", "one", "word"),
    "spk2utt": FileLayout("spk", "many", "ids"),
    "wav.scp": FileLayout("rec", "rest", "audio"),
    "segments": FileLayout("utt", "many", "segment"),
    "text": FileLayout("utt", "rest", "text"),
    "utt2lang": FileLayout("utt", "one", "word"),
    # When each word is spoken: NIST's ctm, in seconds from the start of the utterance.
    "ctm": FileLayout("utt", "lines", "ctm", partial=True),
    "feats.scp": FileLayout("utt", "rest", "feats"),
    "vad.scp": FileLayout("utt", "rest", "feats"),
    "utt2num_frames": FileLayout("utt", "one", "int"),
    "utt2num_samples": FileLayout("utt", "one", "int"),
    "utt2dur": FileLayout("utt", "one", "float"),
    "utt2uniq": FileLayout("utt", "one", "word"),
    "utt2warp": FileLayout("utt", "one", "float"),
    "utt2category": FileLayout("utt", "one", "word"),
    "utt2adapter": FileLayout("utt", "one", "word"),
    "utt2langprob": FileLayout("utt", "many", "ids"),
    "reco2dur": FileLayout("rec", "one", "float"),
    "reco2file_and_channel": FileLayout("rec", "many", "ids"),
    "spk2gender": FileLayout("spk", "one", "word"),
    "spk2warp": FileLayout("spk", "one", "float"),
    "cmvn.scp": FileLayout("spk", "rest", "feats"),
}

# The name that stands for no adapter: in utt2adapter, as a system and as a strategy.
BASE = "base"

# One-line settings that hold for the whole directory and travel with copies of it.
SETTINGS: tuple[str, ...] = ("frame_shift", "feats_type", "num_channels")
