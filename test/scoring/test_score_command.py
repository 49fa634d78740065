import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from espnet_peft.bin import score
from espnet_peft.scoring.files import write_whole

REF = "u1 A b c, d.\nu2 a b x\nu3\nu4 hello यह है\n"
HYP = "u2 a b\nu1 a x c d e\nu3 foo bar\nu4 \n"
UTT2SPK = "u1 s1\nu2 s1\nu3 s2\nu4 s2\n"
UTT2LANG = "u1 en\nu2 en\nu3 en\nu4 hi\n"


@pytest.fixture
def files(tmp_path):
    texts = {"ref": REF, "hyp": HYP, "utt2spk": UTT2SPK, "utt2lang": UTT2LANG}
    for name, text in texts.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def command(files, *options, out="test_x"):
    named = [f"--{n}={files / n}" for n in ("ref", "hyp", "utt2spk", "utt2lang")]
    score.main([*named, f"--out_dir={files / out}", *options])
    return json.loads((files / out / "score.json").read_text(encoding="utf-8"))


def test_score_by_hand(files, capsys):
    result = command(files)
    assert result["set"] == "test_x"
    assert result["words"] == {"ref": 10, "cor": 5, "sub": 1, "del": 4, "ins": 3}
    assert (result["utterances"], result["wer"], result["ser"]) == (4, 0.8, 1.0)
    assert result["mer"] == pytest.approx(8 / 13)
    assert result["wip"] == pytest.approx(25 / 90)
    assert result["wil"] == pytest.approx(1 - 25 / 90)
    assert result["per_language"]["hi"]["wer"] == 1.0
    assert result["per_language"]["en"]["words"]["ref"] == 7
    assert result["per_speaker"]["s1"]["wer"] == pytest.approx(3 / 7)
    assert result["wer_ci"][0] <= 0.8 <= result["wer_ci"][1]
    assert result["normalise"] == "basic"
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "%WER 80.00 [ 8 / 10, 3 ins, 4 del, 1 sub ]"
    lines = (files / "test_x/wer").read_text(encoding="utf-8").splitlines()
    assert lines[0] == out[0]
    assert "%WER 100.00 [ 3 / 3, 0 ins, 3 del, 0 sub ] language hi" in lines
    assert "%WER 42.86 [ 3 / 7, 1 ins, 1 del, 1 sub ] speaker s1" in lines


def test_files_are_written_whole_and_the_same_again(files):
    command(files)
    names = [p.relative_to(files / "test_x") for p in (files / "test_x").rglob("*") if p.is_file()]
    assert sorted(map(str, names)) == [
        "score.json",
        "score_cer/hyp.trn",
        "score_cer/ref.trn",
        "score_cer/result.txt",
        "score_wer/hyp.trn",
        "score_wer/ref.trn",
        "score_wer/result.txt",
        "wer",
    ]
    before = {name: (files / "test_x" / name).read_bytes() for name in names}
    command(files)
    assert before == {name: (files / "test_x" / name).read_bytes() for name in names}
    trn = (files / "test_x/score_wer/ref.trn").read_text(encoding="utf-8").splitlines()
    assert trn[0] == "a b c d (s1-u1)"
    assert trn[2] == "(s2-u3)"


def test_normalise_none(files):
    assert command(files, "--normalise=none", "--bootstrap=0")["words"]["sub"] == 4


def test_equal_to_sclite_by_its_own_files(files, sclite):
    result = command(files)
    for unit, counts in (("wer", result["words"]), ("cer", result["chars"])):
        folder = files / "test_x" / f"score_{unit}"
        ref, hyp = ((folder / name).read_text(encoding="utf-8") for name in ("ref.trn", "hyp.trn"))
        out = sclite(ref, hyp, "-o", "rsum", "stdout")
        row = next(line for line in out.splitlines() if "| Sum" in line)
        numbers = [int(field) for field in row.replace("|", " ").split()[1:]]
        wrong = round(result["ser"] * 4)
        errors = counts["sub"] + counts["del"] + counts["ins"]
        parts = [counts[name] for name in ("ref", "cor", "sub", "del", "ins")]
        assert numbers == [4, *parts, errors, wrong]


def test_levenshtein_rates_equal_jiwer(files):
    jiwer = pytest.importorskip("jiwer")
    result = command(files)
    refs, hyps = ["a b c d", "a b x", "", "hello यह है"], ["a x c d e", "a b", "foo bar", ""]
    assert result["levenshtein"]["wer"] == pytest.approx(jiwer.wer(refs, hyps))
    assert result["levenshtein"]["cer"] == pytest.approx(jiwer.cer(refs, hyps))
    assert result["mer"] == pytest.approx(jiwer.mer(refs, hyps))
    assert result["wil"] == pytest.approx(jiwer.wil(refs, hyps))
    assert result["wip"] == pytest.approx(jiwer.wip(refs, hyps))


def test_missing_and_foreign_ids(files):
    (files / "hyp").write_text("u1 a\nu9 b\nu4 c\n", encoding="utf-8")
    with pytest.raises(ValueError) as error:
        command(files)
    message = str(error.value)
    assert "2 utterances without a hypothesis: u2 u3; decode them or give --allow" in message
    assert "1 utterances without a reference: u9" in message
    assert "\n" not in message
    assert not (files / "test_x").exists()


def test_allow_missing_counts_deletions(files):
    (files / "hyp").write_text("u1 a b c d\nu2 a b x\n", encoding="utf-8")
    result = command(files, "--allow_missing")
    assert result["words"] == {"ref": 10, "cor": 7, "sub": 0, "del": 3, "ins": 0}
    assert result["missing_hypotheses"] == 2


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("ref", b"u1 a\nu1 b\n\n", r"ref:2: 'u1' again, first in line 1; .*ref:3: an empty line"),
        ("ref", b"", "no references"),
        ("hyp", b"u1 \xff\n", "hyp:1: bytes that are not UTF-8"),
        ("utt2spk", b"u1 s1 s2\n", "utt2spk:1: 3 fields, expected 2"),
        ("utt2spk", b"u1 s1\n", "3 utterances without a speaker: u2 u3 u4"),
        ("utt2lang", b"u1 hi\nu2 hi\nu3 hi\n", "1 utterances without a language: u4"),
    ],
)
def test_bad_input(files, name, content, message):
    (files / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        command(files)
    assert not (files / "test_x").exists()


def test_bad_options(files):
    with pytest.raises(ValueError, match="--bootstrap: -1"):
        command(files, "--bootstrap=-1")
    with pytest.raises(SystemExit) as stop:
        command(files, "--nonsense=1")
    assert stop.value.code == 2
    with pytest.raises(FileNotFoundError):
        score.main(["--ref", str(files / "nope"), "--hyp", str(files / "hyp"), "--out_dir", "x"])


def test_faults_are_one_line_and_status_1(files):
    call = [sys.executable, "-m", "espnet_peft.bin.score", "--ref=ref", "--hyp=hyp"]
    (files / "hyp").write_text("u1 a\n", encoding="utf-8")
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [*call, "--out_dir=out"],
        cwd=files,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("score: error: hyp against ref: 3 utterances without a hypo")
    assert done.stderr.count("\n") == 1


def test_a_failed_write_leaves_nothing_behind(tmp_path):
    target = tmp_path / "file"
    write_whole(target, "old")
    with pytest.raises(UnicodeEncodeError):
        write_whole(target, "\ud800")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert target.read_text() == "old"


def test_needs_no_torch_and_little_time():
    code = (
        "import sys, espnet_peft.scoring, espnet_peft.scoring.evaluate, espnet_peft.bin.score, "
        "espnet_peft.bin.results; assert not {'torch', 'espnet2', 'jiwer'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_time_grows_with_the_number_of_utterances(files):
    spent = []
    for count in (500, 4000):
        lines = "".join(f"u{k} {'word ' * (k % 9)}{k % 7} end\n" for k in range(count))
        (files / "many").write_text(lines, encoding="utf-8")
        options = [f"--ref={files / 'many'}", f"--hyp={files / 'many'}"]
        start = time.process_time()
        score.main([*options, f"--out_dir={files / 'out'}", "--bootstrap=100"])
        spent.append(time.process_time() - start)
    assert spent[1] < 8 * 3 * spent[0] + 1.0
