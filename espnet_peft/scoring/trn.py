"""Transcripts in NIST's trn format, ``token token ... (speaker-utterance)``, safe for sclite.

sclite reads some characters as markup: braces are alternatives, ``@`` alone is no word, a semicolon
begins the attributes of a word, asterisks and backslashes are marks in it, ``;;`` and ``**`` at the
start of a line are comments, and the last parentheses hold the id. They are percent-encoded (``{``
becomes ``%7B``), one to one, so that no count changes.
"""

import functools
import re
from collections.abc import Iterable, Sequence
from urllib.parse import unquote

SPACE = "<space>"  # the space between words in character scores, as ESPnet writes it
_MARKUP = re.compile(r"[{}();*\\]|^@$|%(?=[0-9A-Fa-f]{2})")
_ID_MARKUP = re.compile(r"[()]|^\s|%(?=[0-9A-Fa-f]{2})")


@functools.lru_cache(maxsize=1 << 16)
def escape_token(token: str) -> str:
    """Write a token so that sclite reads one ordinary word; a space becomes ``<space>``."""
    return SPACE if token == " " else _MARKUP.sub(_percent, token)


def escape_speaker(speaker: str) -> str:
    """Write a speaker without the hyphen at which sclite ends the speaker's name."""
    return _ID_MARKUP.sub(_percent, speaker).replace("-", "%2D")


def utterance_id(speaker: str, utt_id: str) -> str:
    """Return ``(speaker-utterance)``."""
    return f"({escape_speaker(speaker)}-{_ID_MARKUP.sub(_percent, utt_id)})"


def trn_line(tokens: Iterable[str], speaker: str, utt_id: str) -> str:
    """Return one line of a trn file, without its end."""
    return " ".join([*map(escape_token, tokens), utterance_id(speaker, utt_id)])


def read_trn_line(line: str) -> tuple[list[str], str]:
    """Return the tokens and the id (without parentheses) of a line that ``trn_line`` wrote."""
    start = line.rindex("(")
    tokens = [" " if token == SPACE else unquote(token) for token in line[:start].split(" ")[:-1]]
    return tokens, line[start + 1 : line.rindex(")")]


def trn(rows: Sequence[tuple[Sequence[str], str, str]]) -> str:
    """Return a trn file of (tokens, speaker, utterance id) rows."""
    return "".join(trn_line(*row) + "\n" for row in rows)


def _percent(match: re.Match[str]) -> str:
    return f"%{ord(match.group()):02X}"
