"""eSpeak NG through ctypes, with the library and voices of the `espeakng-loader` wheel.

The C interface is documented in eSpeak NG's `speak_lib.h`.
"""

import contextlib
import ctypes
import functools
import os
import pickle
from dataclasses import dataclass
from typing import Any

import numpy as np

_AUDIO_OUTPUT_SYNCHRONOUS = 2
_INITIALIZE_PHONEME_EVENTS = 0x0001
_INITIALIZE_PHONEME_IPA = 0x0002
_INITIALIZE_DONT_EXIT = 0x8000
_CHARS_UTF8 = 1
_EVENT_LIST_TERMINATED = 0
_EVENT_WORD = 1
_EVENT_PHONEME = 7
_POSITION_CHARACTER = 1
_RATE, _PITCH = 1, 3
# A fixed value: the breath noise of some voices comes from the library's own generator.
_SEED = 1


class _EventId(ctypes.Union):
    _fields_ = [
        ("number", ctypes.c_int),
        ("name", ctypes.c_char_p),
        ("string", ctypes.c_char * 8),
    ]


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EventId),
    ]


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


@dataclass(frozen=True)
class Phoneme:
    """One phoneme event: its IPA symbol (empty for a pause) and where it starts, in samples."""

    symbol: str
    sample: int


@dataclass(frozen=True)
class Word:
    """One word event: the index of its first character in the text and where it starts, in samples.

    eSpeak speaks some groups of words ("in the") as one, with a single event.
    """

    position: int
    sample: int


@dataclass(frozen=True)
class Speech:
    """What was spoken: int16 samples (n,), their rate in Hz, phonemes and words in their order."""

    samples: np.ndarray
    rate: int
    phonemes: list[Phoneme]
    words: list[Word]


class _Synthesiser:
    """The library, initialised once in a process (its state is global)."""

    def __init__(self) -> None:
        import espeakng_loader

        self.library = ctypes.CDLL(espeakng_loader.get_library_path())
        self.library.espeak_ng_SetRandSeed.argtypes = [ctypes.c_long]
        options = _INITIALIZE_PHONEME_EVENTS | _INITIALIZE_PHONEME_IPA | _INITIALIZE_DONT_EXIT
        data = espeakng_loader.get_data_path()
        self.rate = self.library.espeak_Initialize(
            _AUDIO_OUTPUT_SYNCHRONOUS, 0, str(data).encode(), options
        )
        if self.rate <= 0:
            raise OSError(f"{data}: eSpeak NG could not be initialised; reinstall espeakng-loader")
        self.chunks: list[bytes] = []
        self.phonemes: list[Phoneme] = []
        self.words: list[Word] = []
        # Kept on the object: ctypes does not keep the function alive for the library.
        self.callback = _Callback(self._receive)
        self.library.espeak_SetSynthCallback(self.callback)
        # The first voice makes the library read its whole voice folder: once, not in each fork.
        self.library.espeak_SetVoiceByName(b"en")

    def _receive(self, samples, n_samples, events) -> int:
        if n_samples > 0 and samples:
            self.chunks.append(ctypes.string_at(samples, 2 * n_samples))
        i = 0
        while events[i].type != _EVENT_LIST_TERMINATED:
            if events[i].type == _EVENT_PHONEME:
                symbol = events[i].id.string.decode("utf-8", errors="replace")
                self.phonemes.append(Phoneme(symbol, events[i].sample))
            elif events[i].type == _EVENT_WORD:  # its positions count from 1
                self.words.append(Word(events[i].text_position - 1, events[i].sample))
            i += 1
        return 0

    def speak(self, text: str, voice: str, pitch: int, rate: int) -> list[bytes]:
        """Speak to the end; returns int16 samples in pieces, leaves `phonemes` and `words`."""
        self.chunks, self.phonemes, self.words = [], [], []
        if self.library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise ValueError(f"eSpeak NG voice '{voice}': not found; see espeak-ng-data/voices")
        self.library.espeak_ng_SetRandSeed(_SEED)
        self.library.espeak_SetParameter(_RATE, rate, 0)
        self.library.espeak_SetParameter(_PITCH, pitch, 0)
        utf8 = text.encode()
        status = self.library.espeak_Synth(
            utf8, ctypes.c_size_t(len(utf8) + 1), 0, _POSITION_CHARACTER, 0, _CHARS_UTF8, None, None
        )
        if status != 0:
            raise OSError(f"eSpeak NG voice '{voice}': synthesis of '{text}' ended with {status}")
        return self.chunks


@functools.cache
def _synthesiser() -> _Synthesiser:
    return _Synthesiser()


def _speak_and_write(fd: int, text: str, voice: str, pitch: int, rate: int) -> None:
    """Body of the child process: write the number of samples and the events, or an error, pickled,
    and then the samples.
    """
    engine = _synthesiser()
    chunks: list[bytes] = []
    try:
        chunks = engine.speak(text, voice, pitch, rate)
        result = (sum(map(len, chunks)) // 2, engine.phonemes, engine.words)
    except (OSError, ValueError) as error:
        result = error
    with os.fdopen(fd, "wb") as pipe:
        pickle.dump(result, pipe, protocol=pickle.HIGHEST_PROTOCOL)
        for chunk in chunks:
            pipe.write(chunk)


def synthesise(
    text: str, voice: str, variant: str = "", pitch: int = 50, rate: int = 175
) -> Speech:
    """Speak `text` with the language `voice` (`hi`) and a voice variant (`f2`, or empty).

    `pitch` is 0 to 99, `rate` in words a minute; the samples come at 22,050 Hz. The same call
    gives the same samples whatever was spoken before: the library keeps phases, echo and random
    state in static variables that no call resets, so each utterance is spoken by a fresh fork of
    the process in which the library was initialised and has never spoken.
    """
    engine = _synthesiser()
    complete = False
    name = f"{voice}+{variant}" if variant else voice
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(read_end)
            _speak_and_write(write_end, text, name, pitch, rate)
            status = 0
        finally:
            os._exit(status)
    os.close(write_end)
    samples = np.empty(0, dtype=np.int16)
    result: Any = None
    with os.fdopen(read_end, "rb") as pipe, contextlib.suppress(EOFError, pickle.UnpicklingError):
        result = pickle.load(pipe)
        if not isinstance(result, Exception):
            samples = np.empty(result[0], dtype=np.int16)
            complete = pipe.readinto(samples) == samples.nbytes
    _, status = os.waitpid(child, 0)
    if isinstance(result, Exception):
        raise result
    if status != 0 or not complete:
        raise OSError(f"eSpeak NG voice '{name}': the process speaking '{text}' died ({status})")
    return Speech(samples, engine.rate, *result[1:])
