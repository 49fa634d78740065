"""trn files and result.txt, byte for byte against NIST sclite."""

import random

import pytest

from espnet_peft.scoring import Counts, report
from espnet_peft.scoring.evaluate import Scoring, Utterance, write_reports
from espnet_peft.scoring.report import alignments, display_width, kaldi_line
from espnet_peft.scoring.trn import escape_token, read_trn_line, trn_line

SPEAKERS = ["spk1", "a-long-name", "x_y", "(odd)"]


@pytest.fixture
def utterances(random_pairs):
    def make(script, seed, count, longest=12):
        rng = random.Random(seed)
        return [
            Utterance(f"utt-{k:03d}", rng.choice(SPEAKERS), None, " ".join(ref), " ".join(hyp))
            for k, (ref, hyp) in enumerate(random_pairs(script, seed, count, longest))
        ]

    return make


def written(tmp_path, rows, unit):
    out = tmp_path / "ours"
    write_reports(out, rows, Scoring(rows, unit))
    names = ("ref.trn", "hyp.trn", "result.txt")
    return [(out / name).read_bytes().decode("utf-8") for name in names]


@pytest.mark.parametrize("unit", ["word", "char"])
@pytest.mark.parametrize(("count", "longest"), [(1, 6), (2, 12), (40, 12), (6, 500)])
def test_result_equals_sclite(sclite, utterances, tmp_path, unit, count, longest):
    for seed in range(2):
        rows = utterances("ascii", seed, count, longest=longest)
        ref, hyp, result = written(tmp_path, rows, unit)
        assert result == sclite(ref, hyp, "-o", "all", "stdout")


def test_result_with_a_silent_speaker_equals_sclite(sclite, utterances, tmp_path):
    rows = utterances("ascii", 3, 12)
    rows += [Utterance("q1", "quiet", None, "", "a b"), Utterance("q2", "quiet", None, "", "")]
    ref, hyp, result = written(tmp_path, rows, "word")
    assert "ignored" in result
    assert result == sclite(ref, hyp, "-o", "all", "stdout")


@pytest.mark.parametrize("script", ["hindi", "punjabi", "telugu", "greek"])
def test_other_scripts_equal_sclite_but_for_the_width_of_columns(
    sclite, utterances, tmp_path, monkeypatch, script
):
    rows = utterances(script, 0, 30)
    ref, hyp, result = written(tmp_path, rows, "word")
    theirs = sclite(ref, hyp, "-o", "all", "stdout")
    squeezed = [" ".join(text.replace("*", "").split()) for text in (result, theirs)]
    assert squeezed[0] == squeezed[1]

    def in_bytes(speakers, title):
        return alignments(speakers, title, measure=lambda text: len(text.encode()))

    monkeypatch.setattr(report, "alignments", in_bytes)
    assert written(tmp_path, rows, "word")[2] == theirs


def test_columns_line_up_in_indic_scripts(tmp_path):
    rows = [Utterance("u", "s", None, "यह हिन्दी है", "यह किताब")]
    lines = written(tmp_path, rows, "word")[2].splitlines()
    start = next(k for k, line in enumerate(lines) if line.startswith("REF:"))
    assert len({display_width(line) for line in lines[start : start + 3]}) == 1


@pytest.mark.parametrize("token", "{ a{b } (x) ;; a;b @ ** \\ %7B %".split())
def test_escaping_is_one_to_one(token):
    tokens, name = read_trn_line(trn_line([token, " ", "b"], "s", "u"))
    assert tokens == [token, " ", "b"]
    assert name == "s-u"
    assert not set("{}();*\\") & set(escape_token(token))


def test_trn_line():
    assert trn_line("hello world".split(), "spk", "utt-1") == "hello world (spk-utt-1)"
    assert trn_line([], "spk", "utt") == "(spk-utt)"
    assert trn_line("a b", "s-1", "u(2)") == "a <space> b (s%2D1-u%282%29)"


def test_kaldi_line():
    counts = Counts(cor=17788, sub=2020, dele=330, ins=358)
    line = "%WER 13.45 [ 2708 / 20138, 358 ins, 330 del, 2020 sub ]"
    assert kaldi_line(counts) == line
    assert kaldi_line(Counts(), "CER") == "%CER 0.00 [ 0 / 0, 0 ins, 0 del, 0 sub ]"
