"""Counts against NIST sclite, jiwer, and numbers worked out by hand."""

import re
import time

import numpy as np
import pytest

from espnet_peft.scoring import Counts, align, cer, edit_counts, mer, ser, wer, wil, wip
from espnet_peft.scoring.align import COR, DEL, INS, SUB, align_all
from espnet_peft.scoring.trn import trn

SCRIPTS = ["ascii", "hindi", "punjabi", "telugu", "greek"]


def sclite_counts(sclite, refs, hyps):
    """Return [cor, sub, del, ins] of each utterance, as sclite counts them."""
    rows = [(ref, "s", f"{k:06d}") for k, ref in enumerate(refs)]
    other = [(hyp, "s", f"{k:06d}") for k, hyp in enumerate(hyps)]
    out = sclite(trn(rows), trn(other), "-o", "pralign", "stdout")
    found = re.findall(r"^Scores: \(#C #S #D #I\) (\d+) (\d+) (\d+) (\d+)$", out, re.M)
    return [list(map(int, row)) for row in found]


def our_counts(refs, hyps, method="sclite"):
    return [
        [int((path == op).sum()) for op in (COR, SUB, DEL, INS)]
        for path in align_all(refs, hyps, method)
    ]


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("unit", ["word", "char"])
def test_equal_to_sclite_on_random_data(sclite, random_pairs, script, unit):
    refs, hyps = zip(*random_pairs(script, 1, 150), strict=True)
    if unit == "char":
        refs, hyps = ([list(" ".join(words)) for words in side] for side in (refs, hyps))
    assert our_counts(refs, hyps) == sclite_counts(sclite, refs, hyps)


def test_equal_to_sclite_on_few_letters_where_ties_abound(sclite):
    rng = np.random.default_rng(2)
    sides = [
        [list(rng.choice(list("abc"), rng.integers(0, 15))) for _ in range(800)] for _ in range(2)
    ]
    assert our_counts(*sides) == sclite_counts(sclite, *sides)


@pytest.mark.parametrize("language", ["hi", "pa-IN", "te", "el", "it", "en"])
def test_equal_to_sclite_and_jiwer_on_common_voice(sclite, common_voice_pairs, language):
    jiwer = pytest.importorskip("jiwer")
    refs, hyps = zip(*common_voice_pairs(language), strict=True)
    assert our_counts(refs, hyps) == sclite_counts(sclite, refs, hyps)
    texts = [[" ".join(words) for words in side] for side in (refs, hyps)]
    check_jiwer(jiwer, *texts)


def check_jiwer(jiwer, refs, hyps):
    theirs = jiwer.process_words(refs, hyps)
    counts = edit_counts(refs, hyps, method="levenshtein")
    assert (counts.cor, counts.sub, counts.dele, counts.ins) == (
        theirs.hits,
        theirs.substitutions,
        theirs.deletions,
        theirs.insertions,
    )
    assert wer(refs, hyps, "levenshtein") == pytest.approx(theirs.wer, abs=1e-12)
    for function, value in ((mer, theirs.mer), (wil, theirs.wil), (wip, theirs.wip)):
        assert function(refs, hyps) == pytest.approx(value, abs=1e-12)
    theirs = jiwer.process_characters(refs, hyps)
    assert cer(refs, hyps, "levenshtein") == pytest.approx(theirs.cer, abs=1e-12)


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("seed", range(3))
def test_equal_to_jiwer_on_random_data(random_pairs, script, seed):
    jiwer = pytest.importorskip("jiwer")
    pairs = random_pairs(script, seed, 60)
    refs, hyps = ([" ".join(words) for words in side] for side in zip(*pairs, strict=True))
    check_jiwer(jiwer, refs, hyps)
    for ref, hyp in zip(refs, hyps, strict=True):
        check_jiwer(jiwer, [ref], [hyp])


def test_equal_to_jiwer_utterance_by_utterance_where_ties_abound():
    jiwer = pytest.importorskip("jiwer")
    rng = np.random.default_rng(3)
    for _ in range(400):
        ref, hyp = (" ".join(rng.choice(list("abc"), rng.integers(0, 15))) for _ in range(2))
        theirs = jiwer.process_words(ref, hyp)
        ours = edit_counts([ref], [hyp], method="levenshtein")
        assert ours.cor == theirs.hits, (ref, hyp)
        assert ours.errors == theirs.substitutions + theirs.deletions + theirs.insertions


def test_by_hand():
    refs, hyps = ["a b c d", "a b x", "", "e f g"], ["a x c d e", "a b", "u v", ""]
    counts = edit_counts(refs, hyps)
    assert counts == Counts(cor=5, sub=1, dele=4, ins=3, utterances=4, wrong=4)
    assert (counts.ref, counts.hyp, counts.errors) == (10, 9, 8)
    assert wer(refs, hyps) == 0.8
    assert ser(refs, hyps) == 1.0
    assert mer(refs, hyps) == 8 / 13
    assert wip(refs, hyps) == pytest.approx(5 / 10 * 5 / 9)
    assert wil(refs, hyps) == pytest.approx(1 - 5 / 10 * 5 / 9)
    assert cer(["ab c"], ["ab"]) == 0.5  # the space and the c


def test_sclite_prefers_insertion_and_deletion_to_two_substitutions():
    # Unit costs: two substitutions. sclite: 4 + 4 > 3 + 3, with b correct.
    assert edit_counts(["a b"], ["b c"]).astuple()[:4] == (1, 0, 1, 1)
    assert edit_counts(["a b c d e"], ["b c d e f"]).errors == 2
    five = (["a b x c d y e"], ["b a x d c y f"])
    assert edit_counts(*five).errors >= edit_counts(*five, method="levenshtein").errors


def test_counts_of_combining_marks():
    # हि is two code points and one visible letter; each code point is a character.
    assert edit_counts(["हि"], ["ह"], unit="char").astuple()[:4] == (1, 0, 1, 0)


@pytest.mark.parametrize(
    ("refs", "hyps", "rate", "sentence"),
    [
        ([], [], 0.0, 0.0),
        ([""], [""], 0.0, 0.0),
        ([""], ["a b"], 2.0, 1.0),
        (["a"], [""], 1.0, 1.0),
    ],
)
def test_empty_sides(refs, hyps, rate, sentence):
    assert wer(refs, hyps) == rate
    assert ser(refs, hyps) == sentence


def test_alignment_pairs_tokens():
    edits = align("the cat sat".split(), "the hat sat down".split())
    assert [tuple(edit) for edit in edits] == [
        (COR, "the", "the"),
        (SUB, "cat", "hat"),
        (COR, "sat", "sat"),
        (INS, None, "down"),
    ]


@pytest.mark.parametrize("method", ["sclite", "levenshtein"])
def test_company_does_not_change_an_alignment(random_pairs, method):
    refs, hyps = zip(*random_pairs("hindi", 9, 80, longest=40), strict=True)
    together = align_all(refs, hyps, method)
    for ref, hyp, path in zip(refs, hyps, together, strict=True):
        assert np.array_equal(path, align_all([ref], [hyp], method)[0])


def test_errors():
    with pytest.raises(ValueError, match="2 references but 1 hypotheses"):
        edit_counts(["a", "b"], ["a"])
    with pytest.raises(ValueError, match="single string"):
        wer("a b", "a b")
    with pytest.raises(ValueError, match="expected one of sclite levenshtein"):
        edit_counts(["a"], ["a"], method="kaldi")
    with pytest.raises(ValueError, match="expected one of word char"):
        edit_counts(["a"], ["a"], unit="phone")


def test_fast_enough_for_validation():
    refs = [" ".join(map(str, range(k % 7, k % 7 + 12))) for k in range(5000)]
    start = time.process_time()
    edit_counts(refs, refs[1:] + refs[:1])
    assert time.process_time() - start < 2.0
