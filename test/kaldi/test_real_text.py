"""Transcripts of Common Voice in seven scripts and spellings, where the samples are at hand."""

import csv
import os
import subprocess
from pathlib import Path

import pytest

from espnet_peft.kaldi import read_table, validate_data_dir, write_table
from espnet_peft.kaldi.data_dir import invert

SAMPLES = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "commonvoice"
TABLES = sorted(SAMPLES.glob("*/*/validated.tsv"))


@pytest.mark.skipif(not TABLES, reason="no Common Voice samples in ../shared/data")
def test_transcripts_survive_and_sort_as_sort_does(tmp_path):
    text, utt2spk = {}, {}
    for table in TABLES:
        with open(table, encoding="utf-8", newline="") as stream:
            for row in csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE):
                speaker = row["client_id"][:16]
                # The words in the id put every script through the sorting.
                utt = f"{speaker}-{row['sentence'].split()[0]}-{row['path']}"
                text[utt], utt2spk[utt] = row["sentence"], speaker
    write_table(tmp_path / "text", text)
    write_table(tmp_path / "utt2spk", utt2spk)
    write_table(tmp_path / "spk2utt", invert(utt2spk))
    for name in ("text", "utt2spk", "spk2utt"):
        command = ["sort", "-c", tmp_path / name]
        subprocess.run(command, check=True, env={**os.environ, "LC_ALL": "C"})
    assert {u: t.strip() for u, t in text.items()} == read_table(tmp_path / "text")
    assert validate_data_dir(tmp_path, wav=False) == []
