import unicodedata

import commonvoice
import numpy as np
import pytest
import soundfile
import tsv

from espnet_peft.kaldi import read_table, validate_data_dir

HEADER = "client_id path sentence up_votes down_votes age gender accent locale segment".split()
ALICE, BOB, CARL, DORA = (name * 32 for name in ("a1b2", "b2c3", "c3d4", "d4e5"))
DECOMPOSED = unicodedata.normalize("NFD", "Però è  così.")


def write_clip(path, seconds=1.0, level=0.1):
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    soundfile.write(path, level * rng.standard_normal(int(seconds * 16000)), 16000, format="MP3")


def write_table(path, rows, header=HEADER):
    lines = ["\t".join(header)]
    for client, clip, sentence in rows:
        values = {"client_id": client, "path": clip, "sentence": sentence}
        lines.append("\t".join(values.get(name, "") for name in header))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


SETS = {
    "train": [(ALICE, "c_1.mp3", '"Ciao", disse lei.'), (ALICE, "c_2.mp3", DECOMPOSED)],
    "dev": [(BOB, "c_3.mp3", 'Un "solo apice'), (BOB, "c_4.mp3", "L'acqua!")],
    "test": [(CARL, "c_5.mp3", "Ciao a tutti"), (CARL, "c_6.mp3", "Un \"solo apice")],
}  # fmt: skip


def write_locale(directory, sets, header=HEADER):
    directory.mkdir(parents=True)
    for name, rows in sets.items():
        write_table(directory / f"{name}.tsv", rows, header)
        for _, clip, _ in rows:
            write_clip(directory / "clips" / clip)


def make(db_root, *options, lang="it"):
    data = db_root.parent / "data"
    commonvoice.main(
        ["--db_root", str(db_root), "--lang", lang, "--nj", "1", "--data", str(data), *options]
    )
    return data


def test_sets(tmp_path, caplog):
    write_locale(tmp_path / "cv" / "it", SETS, header=HEADER[::-1])
    data = make(tmp_path / "cv")
    for name in ("train", "dev", "test"):
        assert validate_data_dir(data / f"{name}_it", lang=True) == []
    train = read_table(data / "train_it" / "text")
    assert train == {
        "a1b2a1b2a1b2-c_1": "ciao disse lei",
        "a1b2a1b2a1b2-c_2": unicodedata.normalize("NFC", "però è così"),
    }
    assert list(read_table(data / "dev_it" / "text").values()) == ["un solo apice", "l'acqua"]
    wav_scp = read_table(data / "test_it" / "wav.scp")
    assert wav_scp["c3d4c3d4c3d4-c_5"] == str(tmp_path / "cv" / "it" / "clips" / "c_5.mp3")
    assert "1 sentences are in both dev and test" in caplog.text


def test_text_as_it_is(tmp_path):
    write_locale(tmp_path / "cv" / "it", SETS)
    data = make(tmp_path / "cv", "--text_case", "keep", "--remove_punct", "false")
    assert list(read_table(data / "train_it" / "text").values()) == [
        '"Ciao", disse lei.',
        unicodedata.normalize("NFC", "Però è così."),
    ]


@pytest.mark.parametrize(
    "lower, remove, expected",
    [
        (True, True, "हिन्दी l'aò ok"),
        (True, False, "«हिन्दी», l'aò ok!"),
        (False, True, "हिन्दी L'Aò OK"),
        (False, False, "«हिन्दी», L'Aò OK!"),
    ],
)
def test_normalise_text(lower, remove, expected):
    assert commonvoice.normalise_text("«हिन्दी»,  L'Ao\u0300 OK!", lower, remove) == expected


def test_languages_by_either_name(tmp_path):
    assert [commonvoice.language_code(x) for x in ("pa-IN", "zh-TW", "zh-HK", "it")] == [
        "pa",
        "zh",
        "yue",
        "it",
    ]
    write_locale(tmp_path / "cv" / "pa-IN", SETS)
    assert (make(tmp_path / "cv", lang="pa") / "dev_pa").is_dir()
    with pytest.raises(ValueError, match="'pa' is named twice"):
        make(tmp_path / "cv", lang="pa pa-IN")
    with pytest.raises(FileNotFoundError, match="'fr': no folder for it in .*; there are pa-IN"):
        make(tmp_path / "cv", lang="fr")
    write_locale(tmp_path / "cv" / "zh-TW", SETS)
    write_locale(tmp_path / "cv" / "zh-CN", SETS)
    with pytest.raises(ValueError, match="has zh-CN zh-TW; give one"):
        make(tmp_path / "cv", lang="zh")


def test_all_faults_of_a_table_at_once(tmp_path):
    rows = [
        (ALICE, "a.mp3", "  "),
        ("", "b.mp3", "x"),
        (ALICE, "../c.mp3", "x"),
        (ALICE, "d.mp3", "x"),
        (ALICE, "d.mp3", "y"),
    ]
    path = tmp_path / "train.tsv"
    write_table(path, rows)
    path.write_text(path.read_text() + "one\ttwo\n")
    with pytest.raises(ValueError) as error:
        tsv.read_tsv(path)
    faults = str(error.value).splitlines()
    assert [f.split(":")[1] for f in faults] == ["2", "3", "4", "6", "7"]
    path.write_text("client_id\tsentence\n")
    with pytest.raises(ValueError, match="train.tsv:1: no column path"):
        tsv.read_tsv(path)
    write_table(path, [])
    with pytest.raises(ValueError, match="no rows"):
        tsv.read_tsv(path)
    path.write_bytes(b"client_id\tpath\tsentence\n\xff\n")
    with pytest.raises(ValueError, match="not UTF-8"):
        tsv.read_tsv(path)


def test_sets_that_share_a_speaker(tmp_path):
    write_locale(tmp_path / "cv" / "it", {**SETS, "test": [(ALICE, "c_9.mp3", "x")]})
    with pytest.raises(ValueError, match="client_id are in both train.tsv and test.tsv"):
        make(tmp_path / "cv")
    assert not (tmp_path / "data").exists()


def test_without_dev(tmp_path, caplog):
    train = [(ALICE, f"t_{k}.mp3", f"frase {k}") for k in range(20)]
    sets = {"train": train, "test": SETS["test"]}
    write_locale(tmp_path / "cv" / "it", {**sets, "validated": train + SETS["test"]})
    data = make(tmp_path / "cv")
    assert "DEV SHARES SPEAKERS WITH TRAIN" in caplog.text
    assert list(read_table(data / "dev_it" / "text").values()) == ["frase 18", "frase 19"]
    assert len(read_table(data / "train_it" / "text")) == 18

    caplog.clear()
    write_locale(tmp_path / "cv" / "hi", {**sets, "validated": [*train, (DORA, "v.mp3", "altro")]})
    data = make(tmp_path / "cv", lang="hi")
    assert "neither in train nor in test" in caplog.text and "SHARES" not in caplog.text
    assert list(read_table(data / "dev_hi" / "text").values()) == ["altro"]


def test_clips(tmp_path, caplog):
    directory = tmp_path / "cv" / "it"
    write_locale(directory, SETS)
    write_clip(directory / "clips" / "c_1.mp3", seconds=31)
    write_clip(directory / "clips" / "c_4.mp3", level=1e-4)
    data = make(tmp_path / "cv")
    assert "1 utterances longer than 30 s are left out: c_1.mp3" in caplog.text
    assert "1 clips are near silent, and kept: c_4.mp3" in caplog.text
    assert list(read_table(data / "train_it" / "text")) == ["a1b2a1b2a1b2-c_2"]

    (directory / "clips" / "c_2.mp3").write_bytes(b"no audio")
    (directory / "clips" / "c_3.mp3").write_bytes(b"")
    for check in ("true", "false"):
        with pytest.raises(ValueError, match="(?s)c_2.mp3: unread.*c_3.mp3: unread.*2 of 6 clips"):
            make(tmp_path / "cv", "--check_audio", check)
    (directory / "clips" / "c_6.mp3").unlink()
    with pytest.raises(FileNotFoundError, match="1 clips .* missing: c_6.mp3"):
        make(tmp_path / "cv")


def test_rows_without_words(tmp_path, caplog):
    sets = {**SETS, "train": [*SETS["train"], (ALICE, "c_7.mp3", "?!")]}
    write_locale(tmp_path / "cv" / "it", sets)
    data = make(tmp_path / "cv")
    assert "without a word: c_7.mp3" in caplog.text
    assert len(read_table(data / "train_it" / "text")) == 2


def test_human_speech(shared_data, tmp_path, caplog):
    (db_root,) = (shared_data / "commonvoice").glob("cv-corpus-*")
    data = tmp_path / "data"
    commonvoice.main(
        ["--db_root", str(db_root), "--lang", "pa-IN te", "--nj", "2", "--data", str(data)]
    )
    sizes = {}
    for directory in sorted(data.iterdir()):
        assert validate_data_dir(directory, lang=True) == []
        sizes[directory.name] = len(read_table(directory / "text"))
        text = "".join(read_table(directory / "text").values())
        assert unicodedata.is_normalized("NFC", text) and "।" not in text
    assert sizes == {
        "train_pa": 75, "dev_pa": 13, "test_pa": 21, "train_te": 94, "dev_te": 10, "test_te": 10,
    }  # fmt: skip
    assert "SHARES SPEAKERS" in caplog.text
