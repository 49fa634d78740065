#!/usr/bin/env python3
"""Make the corpus: sentences from `lang/*.txt`, spoken by eSpeak NG, as Kaldi data directories.

The sets of one language share neither a sentence nor a voice. The same options give the same
bytes, whatever the number of jobs.
"""

import argparse
import io
import multiprocessing
import os
import random
import signal
import wave
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr
from espeak import Speech, synthesise
from sentences import draw_sentences, read_grammar
from speakers import MARGINS, Speaker, make_speakers, record
from word_times import word_borders

from espnet_peft.bin import run
from espnet_peft.kaldi import DataDir, write_data_dir
from espnet_peft.kaldi.data_dir import Tables

RATE = 16000
BATCH = 32  # utterances that a process speaks at a time
SPLITS = ("train", "dev", "test")
# Share of a target language's training set that the base model hears, as the real Whisper had
# heard a little of many languages: 150, 100, 60 and 50 of 800 utterances.
BASE_SHARES = {"it": 0.1875, "hi": 0.125, "pa": 0.075, "te": 0.0625}
BASE_DEV_SHARE = 0.125


@dataclass(frozen=True)
class Utterance:
    """One sentence to be spoken by one speaker; pitch and rate vary a little about the speaker's.

    order: its place in the order of making, in which speakers alternate.
    """

    utt_id: str
    order: int
    text: str
    language: str
    speaker: Speaker
    pitch: int
    rate: int


def plan_language(language: str, sizes: dict[str, int], seed: int) -> dict[str, list[Utterance]]:
    """Choose the sentences and speakers of a language's sets.

    Raises ValueError for a faulty grammar or one that is too small.
    """
    path = Path(__file__).parent / "lang" / f"{language}.txt"
    if not path.is_file():
        known = " ".join(sorted(p.stem for p in path.parent.glob("*.txt")))
        raise ValueError(f"language '{language}': no grammar {path}; there are {known}")
    sentences = draw_sentences(read_grammar(path), sum(sizes.values()), f"{seed} {language}")
    # Frequent sentences are drawn early: without shuffling, one set would get the rare ones.
    random.Random(f"{seed} {language} split").shuffle(sentences)
    plan: dict[str, list[Utterance]] = {}
    for split in SPLITS:
        speakers = make_speakers(language, split, seed)
        rng = random.Random(f"{seed} {language} {split}")
        plan[split] = []
        for k in range(sizes[split]):
            speaker = speakers[k % len(speakers)]
            pitch = speaker.pitch + rng.randint(-4, 4)
            rate = speaker.rate + rng.randint(-6, 6)
            utt_id = f"{speaker.speaker_id}-{language}_{k:04d}"
            plan[split].append(
                Utterance(utt_id, k, sentences.pop(), language, speaker, pitch, rate)
            )
    return plan


def speak(utterances: list[Utterance]) -> list[tuple[np.ndarray, str]]:
    """Synthesise utterances: int16 (n,) at 16 kHz and the lines of the ctm, for each.

    All are spoken before any is resampled: every utterance forks, and what is written after a
    fork has its memory pages copied.
    """
    spoken = [
        synthesise(u.text, u.language, u.speaker.variant, u.pitch, u.rate) for u in utterances
    ]
    result = []
    for u, speech in zip(utterances, spoken, strict=True):
        if len(speech.samples) == 0:
            raise ValueError(f"{u.utt_id}: eSpeak NG said nothing for '{u.text}'")
        clean = soxr.resample(speech.samples.astype(np.float32) / 32768.0, speech.rate, RATE)
        rng = np.random.default_rng(zlib.crc32(u.utt_id.encode()))
        result.append((record(clean, u.speaker, rng), _word_times(u.text, speech)))
    return result


def _word_times(text: str, speech: Speech) -> str:
    """A line `<channel> <start> <duration> <word>` for each word, in seconds of the recording."""
    borders = [round(MARGINS[0] / RATE + x / speech.rate, 4) for x in word_borders(text, speech)]
    return "\n".join(
        f"1 {start:.4f} {end - start:.4f} {word}"
        for word, start, end in zip(text.split(), borders, borders[1:], strict=False)
    )


def _wav_bytes(samples: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as stream:
        stream.setnchannels(1)
        stream.setsampwidth(2)
        stream.setframerate(RATE)
        stream.writeframes(samples.astype("<i2").tobytes())
    return buffer.getvalue()


def write_audio(path: Path, utterances: list[Utterance], spoken: Iterable) -> Tables:
    """Write a set's wav ark as Kaldi's `wav-copy` does; returns its wav.scp and ctm."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(f"{path}.tmp")
    tables: Tables = {"wav.scp": {}, "ctm": {}}
    try:
        with open(temporary, "wb") as ark:
            for utterance, (samples, times) in zip(utterances, spoken, strict=True):
                ark.write(f"{utterance.utt_id} ".encode())
                tables["wav.scp"][utterance.utt_id] = f"{path}:{ark.tell()}"
                tables["ctm"][utterance.utt_id] = times
                ark.write(_wav_bytes(samples))
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return tables


def write_set(directory: Path, utterances: list[Utterance], audio: Tables) -> None:
    """Write a Kaldi data directory."""
    tables = {
        "wav.scp": {u.utt_id: audio["wav.scp"][u.utt_id] for u in utterances},
        "ctm": {u.utt_id: audio["ctm"][u.utt_id] for u in utterances},
        "text": {u.utt_id: u.text for u in utterances},
        "utt2lang": {u.utt_id: u.language for u in utterances},
        "utt2spk": {u.utt_id: u.speaker.speaker_id for u in utterances},
    }
    write_data_dir(DataDir(directory, tables), directory)


def base_sets(
    plans: dict[str, dict[str, list[Utterance]]], base_langs: list[str]
) -> dict[str, list[Utterance]]:
    """The sets that the base model is trained on: all of its own languages, a little of others."""
    sets: dict[str, list[Utterance]] = {"train_base": [], "dev_base": []}
    for language, plan in plans.items():
        rich = language in base_langs
        train = 1.0 if rich else BASE_SHARES.get(language, 0.0)
        # A language that the base never hears has no place in its dev set either.
        dev = 1.0 if rich else BASE_DEV_SHARE * (train > 0)
        for split, share in (("train", train), ("dev", dev)):
            sets[f"{split}_base"] += plan[split][: round(share * len(plan[split]))]
    return sets


def get_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--base_langs", default="en es", help="languages of the base model")
    parser.add_argument("--lang", default="it hi pa te", help="languages to adapt to")
    parser.add_argument("--n_train_rich", type=int, default=2000, help="of each base language")
    parser.add_argument("--n_train_target", type=int, default=800, help="of each other language")
    parser.add_argument("--n_dev", type=int, default=40, help="utterances of a dev set")
    parser.add_argument("--n_test", type=int, default=100, help="utterances of a test set")
    parser.add_argument("--seed", type=int, default=0, help="of sentences and channels")
    parser.add_argument("--nj", type=int, default=2, help="parallel processes")
    parser.add_argument("--data", default="data", help="output directory")
    return parser


def main(argv: list[str] | None = None) -> None:
    """Make all sets."""
    args = get_parser().parse_args(argv)
    base_langs = args.base_langs.split()
    faults = [
        f"--{name} {getattr(args, name)}: expected at least 1"
        for name in ("n_train_rich", "n_train_target", "n_dev", "n_test", "nj")
        if getattr(args, name) < 1
    ]
    if not base_langs:
        faults.append("--base_langs is empty: expected one language or more")
    if faults:
        raise ValueError("; ".join(faults))
    plans = {}
    for language in dict.fromkeys([*base_langs, *args.lang.split()]):
        n_train = args.n_train_rich if language in base_langs else args.n_train_target
        sizes = {"train": n_train, "dev": args.n_dev, "test": args.n_test}
        plans[language] = plan_language(language, sizes, args.seed)

    data = Path(args.data)
    sets = {f"{split}_{language}": plans[language][split] for language in plans for split in SPLITS}
    audio: Tables = {"wav.scp": {}, "ctm": {}}
    # Ctrl-C ends the workers by way of the main process, without a traceback of each.
    ignore = (signal.SIGINT, signal.SIG_IGN)
    with multiprocessing.get_context("fork").Pool(args.nj, signal.signal, ignore) as pool:
        flat = [u for utterances in sets.values() for u in utterances]
        batches = [flat[k : k + BATCH] for k in range(0, len(flat), BATCH)]
        spoken = (one for batch in pool.imap(speak, batches) for one in batch)
        for name, utterances in sets.items():
            part = (next(spoken) for _ in utterances)
            for table, values in write_audio(
                data / "audio" / f"{name}.ark", utterances, part
            ).items():
                audio[table] |= values
            write_set(data / name, utterances, audio)
    for name, utterances in base_sets(plans, base_langs).items():
        write_set(data / name, utterances, audio)


if __name__ == "__main__":
    run(main, "synthesise")
