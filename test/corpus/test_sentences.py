import random
import unicodedata
from pathlib import Path

import pytest
from sentences import draw_sentences, expand, read_grammar, words

LANG = Path(__file__).resolve().parents[2] / "egs2" / "mini_lingua" / "peft1" / "local" / "lang"
LANGUAGES = "en es it hi pa te el".split()
SCRIPTS = {"hi": "DEVANAGARI", "pa": "GURMUKHI", "te": "TELUGU", "el": "GREEK"}


@pytest.fixture(params=LANGUAGES)
def language(request):
    return request.param


def write(tmp_path, text):
    path = tmp_path / "xx.txt"
    path.write_text(text, encoding="utf-8")
    return path


def test_size_and_script(language):
    vocabulary = words(read_grammar(LANG / f"{language}.txt"))
    assert 40 <= len(vocabulary) <= 80
    for word in vocabulary:
        assert unicodedata.is_normalized("NFC", word)
        for char in word:
            assert unicodedata.name(char).startswith(SCRIPTS.get(language, "LATIN"))


def test_all_words_appear_in_as_many_sentences_as_the_recipe_draws(language):
    grammar = read_grammar(LANG / f"{language}.txt")
    n = 2140 if language in ("en", "es") else 940
    sentences = draw_sentences(grammar, n, "0")
    assert len(set(sentences)) == len(sentences) == n
    assert {w for s in sentences for w in s.split()} == set(words(grammar))
    assert all(3 <= len(s.split()) <= 7 for s in sentences)


def test_fewer_sentences_are_a_beginning_of_more(language):
    grammar = read_grammar(LANG / f"{language}.txt")
    assert draw_sentences(grammar, 300, "7")[:20] == draw_sentences(grammar, 20, "7")
    assert draw_sentences(grammar, 20, "7") != draw_sentences(grammar, 20, "8")


# Agreement, checked on the surface: these words must (not) come together.
def agreement(sentence, language):
    first, *_, last = sentence.split()
    if language == "hi" and last in ("है", "हैं"):
        verb = sentence.split()[-2]
        plural_m, singular_m = verb.endswith("ते"), verb.endswith("ता")
        return not (plural_m and last == "है") and not (singular_m and last == "हैं")
    if language == "es" and first in ("los", "las", "mis"):
        return sentence.split()[1].endswith("s") and sentence.split()[2].endswith("n")
    if language == "te" and first in ("అతను", "రాముడు"):
        return last.endswith("డు")
    if language == "te" and first in ("ఆమె", "సీత"):
        return last.endswith("ది")
    if language == "el" and first in ("ο", "η", "το") and "είναι" not in sentence:
        return any(w.endswith(("ει", "ται")) for w in sentence.split())
    return True


def test_agreement(language):
    grammar = read_grammar(LANG / f"{language}.txt")
    rng = random.Random(0)
    for _ in range(500):
        sentence = " ".join(expand(grammar, rng))
        assert agreement(sentence, language), sentence


@pytest.mark.parametrize(
    "text, message",
    [
        ("<s> = a <b>\n", "<s> uses <b>, which is not defined"),
        ("<s> = a\n<b> = c\n", "<b> is not used"),
        ("<s> = a <b>\n<b> = c <b>\n", "<b> refers to itself"),
        ("<s> = a | \n", "an empty alternative"),
        ("<s> = A\n", "not lower-case"),
        ("<s> = e\u0301\n", "not in Unicode NFC"),
        ("<s> = don't\n", "characters other than letters"),
        ("<s> = a <b1>\n", "characters other than letters"),
        ("| a\n", "expected '<name> = ...'"),
        ("<s> = a\n<s> = b\n", "defined twice"),
        ("# nothing\n", "no start rule"),
    ],
)
def test_faulty_grammars(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        read_grammar(write(tmp_path, text))


def test_continuation_lines_and_too_few_sentences(tmp_path):
    grammar = read_grammar(write(tmp_path, "# x\n<s> = <a> x\n  | y\n\n<a> = b\n"))
    assert sorted(draw_sentences(grammar, 2, "0")) == ["b x", "y"]
    with pytest.raises(ValueError, match="only 2 different sentences, expected 3"):
        draw_sentences(grammar, 3, "0")
