"""The "speakers" of the corpus: eSpeak voice variants, each with its pitch, speed and channel.

Variants are disjoint between the sets in all languages, so that neither the base model nor an
adapter has heard a test voice. The pitches and speeds of dev and test lie between those of train.
"""

import random
from dataclasses import dataclass

import numpy as np

# variant: (pitch 0 to 99, words a minute)
VOICES = {
    "train": {
        "m1": (50, 150), "m3": (40, 165), "m4": (60, 158), "m7": (45, 175),
        "Gene": (55, 145), "Mario": (35, 170), "Nguyen": (42, 155), "f1": (50, 168),
        "f2": (58, 152), "f4": (38, 162), "linda": (46, 172), "steph": (62, 148),
    },
    "dev": {"m8": (48, 160), "antonio": (52, 153), "f5": (44, 166)},
    "test": {"pablo": (47, 156), "quincy": (54, 167), "f3": (45, 151), "belinda": (51, 163)},
}  # fmt: skip
MARGINS = (800, 1600)  # 50 and 100 ms


@dataclass(frozen=True)
class Speaker:
    """A voice and its recording channel.

    taps: a short linear-phase filter (a microphone's colour); peak: of full scale; noise: standard
    deviation of white noise relative to the peak (-40 to -50 dB).
    """

    speaker_id: str
    variant: str
    pitch: int
    rate: int
    taps: tuple[float, float, float]
    peak: float
    noise: float


def make_speakers(language: str, split: str, seed: int) -> list[Speaker]:
    """All speakers of one set of a language; only their channels depend on the seed."""
    speakers = []
    for variant, (pitch, rate) in VOICES[split].items():
        speaker_id = f"{language}_{variant}"
        rng = random.Random(f"{seed} {speaker_id}")
        tilt = rng.uniform(-0.15, 0.25)
        taps = (tilt / 2, 1.0, tilt / 2)
        noise = 10 ** rng.uniform(-2.5, -2.0)
        speakers.append(
            Speaker(speaker_id, variant, pitch, rate, taps, rng.uniform(0.25, 0.8), noise)
        )
    return speakers


def record(samples: np.ndarray, speaker: Speaker, rng: np.random.Generator) -> np.ndarray:
    """Pass clean float32 samples (n,) at 16 kHz through the speaker's channel.

    Returns int16, longer by a moment of the channel's noise before and after the speech, which
    eSpeak cuts off sharply.
    """
    x = np.convolve(samples, np.asarray(speaker.taps, dtype=np.float32), mode="same")
    x = np.pad(x, MARGINS)
    x = x * np.float32(speaker.peak / max(float(np.abs(x).max()), 1e-9))
    level = np.float32(speaker.noise * speaker.peak)
    x = x + level * rng.standard_normal(len(x), dtype=np.float32)
    return (np.clip(x, -1.0, 1.0) * 32767.0).astype(np.int16)
