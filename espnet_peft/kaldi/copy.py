"""Rename the utterances and speakers of a data directory."""

from __future__ import annotations

from espnet_peft.kaldi.data_dir import DataDir, Tables, invert


def rename(
    data: DataDir,
    *,
    utt_prefix: str = "",
    utt_suffix: str = "",
    spk_prefix: str = "",
    spk_suffix: str = "",
) -> DataDir:
    """The same directory with a prefix and a suffix at each utterance and speaker id.

    Recordings keep their ids where there is a `segments`; without one they are utterances.
    `utt2uniq` is made, as Kaldi does, so that the original ids are not lost.
    """

    def new_id(key: str, kind: str) -> str:
        if kind == "spk":
            return f"{spk_prefix}{key}{spk_suffix}"
        if kind == "rec" and "segments" in data.tables:
            return key
        return f"{utt_prefix}{key}{utt_suffix}"

    tables: Tables = {}
    for name, table in data.tables.items():
        kind = data.layout(name).key
        renamed = {new_id(key, kind): value for key, value in table.items()}
        tables[name] = dict(sorted(renamed.items()))
    utt2spk = {new_id(u, "utt"): new_id(s, "spk") for u, s in data.tables["utt2spk"].items()}
    tables["utt2spk"] = dict(sorted(utt2spk.items()))
    tables["spk2utt"] = invert(utt2spk)
    if utt_prefix or utt_suffix:
        origin = data.tables.get("utt2uniq", {})
        uniq = {new_id(utt, "utt"): origin.get(utt, utt) for utt in data.tables["utt2spk"]}
        tables["utt2uniq"] = dict(sorted(uniq.items()))
    return DataDir(data.path, tables, data.extra, dict(data.settings))
