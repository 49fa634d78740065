"""Text normalisation before scoring.

``none``
    The text as it is.
``basic``
    NFC, lower case, punctuation and symbols to spaces, white space collapsed. Combining marks
    (vowel signs, virama, nukta, accents) stay, and so do apostrophes inside words (``l'acqua``).
    Zero-width joiners stay where they can change the spelling, next to a virama or between
    letters of Arabic script, and go elsewhere.
``whisper_basic``
    What Whisper's BasicTextNormalizer does: text in brackets or parentheses is removed, then NFKC,
    and every mark, symbol and punctuation character becomes a space. This includes the combining
    marks of Indic scripts, which cuts their words into pieces (``हिन्दी`` becomes ``ह न द``): use
    it only to compare with numbers that were made so.
"""

import re
import unicodedata

KINDS = ("basic", "whisper_basic", "none")
_APOSTROPHES = "'\u2019\u02bc\uff07"
_JOINERS = "\u200c\u200d"
_ZERO_WIDTH_SPACE = "\u200b"
_BRACKETED = re.compile(r"[<\[][^>\]]*[>\]]")
_PARENTHESISED = re.compile(r"\([^)]+\)")
_VIRAMA = 9  # canonical combining class


def normalise(text: str, kind: str = "basic") -> str:
    """Normalise one transcript (ValueError for an unknown kind)."""
    if kind == "none":
        return text
    if kind == "basic":
        return _basic(text)
    if kind == "whisper_basic":
        return _whisper_basic(text)
    raise ValueError(f"normalisation '{kind}', expected one of {' '.join(KINDS)}")


def _basic(text: str) -> str:
    text = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).lower())
    chars = [_keep(text, k) for k in range(len(text))]
    return unicodedata.normalize("NFC", " ".join("".join(chars).split()))


def _keep(text: str, k: int) -> str:
    """Return what stands for character k of text: itself, a space or nothing."""
    char = text[k]
    category = unicodedata.category(char)
    if category[0] in "LN" or category in ("Mn", "Mc"):
        if char in _APOSTROPHES:  # U+02BC is a letter to Unicode
            return _apostrophe(text, k)
        return "" if "\ufe00" <= char <= "\ufe0f" else char  # variation selectors
    if char in _APOSTROPHES:
        return _apostrophe(text, k)
    if char in _JOINERS:
        return char if _joins(text, k) else ""
    if category == "Cf" and char != _ZERO_WIDTH_SPACE or category == "Me":
        return ""
    return " "


def _apostrophe(text: str, k: int) -> str:
    inside = 0 < k < len(text) - 1 and _in_word(text[k - 1]) and _in_word(text[k + 1])
    return "'" if inside else " "


def _in_word(char: str) -> bool:
    return unicodedata.category(char)[0] in "LNM"


def _joins(text: str, k: int) -> bool:
    """Tell whether the joiner at k is next to a virama or between letters of Arabic script."""
    around = [text[n] for n in (k - 1, k + 1) if 0 <= n < len(text)]
    if any(unicodedata.combining(char) == _VIRAMA for char in around):
        return True
    return len(around) == 2 and all(unicodedata.bidirectional(char) == "AL" for char in around)


def _whisper_basic(text: str) -> str:
    text = _PARENTHESISED.sub("", _BRACKETED.sub("", text.lower()))
    chars = unicodedata.normalize("NFKC", text)
    spaced = (" " if unicodedata.category(char)[0] in "MSP" else char for char in chars)
    return " ".join("".join(spaced).lower().split())
