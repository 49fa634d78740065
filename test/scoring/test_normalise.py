import unicodedata

import pytest

from espnet_peft.scoring import normalise


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  Hello,  World! ", "hello world"),
        ("L'acqua è dell’uomo", "l'acqua è dell'uomo"),
        ("'quoted' rock 'n' roll", "quoted rock n roll"),
        ("well-known — yes… (no)", "well known yes no"),
        ("यह हिन्दी है।", "यह हिन्दी है"),
        ("क्\u200dष और क\u200dख", "क्\u200dष और कख"),  # kept behind a virama, gone elsewhere
        ("ਪੰਜਾਬੀ ਵਿੱਚ?", "ਪੰਜਾਬੀ ਵਿੱਚ"),
        ("ఇది “తెలుగు”", "ఇది తెలుగు"),
        ("ΛΌΓΟΣ; Ὅμηρος·", "λόγος ὅμηρος"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("zero\u200bwidth soft\u00adhyphen \ufeffmark", "zero width softhyphen mark"),
        ("cafe\u0301", "café"),
        ("I ❤️ 3.5 € a_b", "i 3 5 a b"),
        ("", ""),
        (" ?! ", ""),
    ],
)
def test_basic(text, expected):
    assert normalise(text) == unicodedata.normalize("NFC", expected)


def test_composed_and_decomposed_spellings_become_equal():
    for text in ("ज़्यादा", "ਸ਼ੇਰ", "ਲ਼", "école", "ά"):
        spellings = {unicodedata.normalize(form, text) for form in ("NFC", "NFD")}
        assert len({normalise(spelling) for spelling in spellings}) == 1


@pytest.mark.parametrize("block", [(0x900, 0x97F), (0xA00, 0xA7F), (0xC00, 0xC7F), (0x980, 0x9FF)])
def test_basic_keeps_every_sign_of_indic_scripts(block):
    for code in range(*block):
        if unicodedata.category(chr(code)) in ("Mn", "Mc", "Lo", "Nd"):
            kept = unicodedata.normalize("NFD", normalise("क" + chr(code)))
            assert unicodedata.normalize("NFD", chr(code)) in kept


def test_basic_is_idempotent():
    for text in ("Don’t — L'ÉTÉ", "क्\u200dष।", "İstanbul ΟΔΟΣ", "a\u0301\u200d'b", "ǅ ﬁ №"):
        once = normalise(text)
        assert normalise(once) == once


def test_whisper_basic_equals_whisper():
    whisper = pytest.importorskip("whisper.normalizers.basic")
    theirs = whisper.BasicTextNormalizer()
    for text in (
        "Hello, <noise> World! [laughter] (aside) fine",
        "हिन्दी में ज़्यादा।",
        "it's L’acqua — ½ ﬁn ΟΔΟΣ",
        "(unclosed [bracket> x) y",
        "İ () ( a ) b",
        "",
    ):
        assert normalise(text, "whisper_basic") == theirs(text).strip()


def test_whisper_basic_breaks_indic_words():
    assert normalise("हिन्दी", "whisper_basic") == "ह न द"


def test_none_changes_nothing():
    assert normalise(" A,  b\u0301 ", "none") == " A,  b\u0301 "


def test_unknown_kind():
    with pytest.raises(ValueError, match="'english', expected one of basic whisper_basic none"):
        normalise("a", "english")
