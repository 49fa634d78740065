import csv
import random
import shutil
import subprocess
from pathlib import Path

import pytest

VOCABULARY = {
    "ascii": "a b ab hello B Hello over lover x;y ;; @ {a / b} (uh) ** a%7Bc 100% \\n it's".split(),
    "hindi": "यह हिन्दी की किताब है कि क्‍ष ज़्यादा".split(),
    "punjabi": "ਪੰਜਾਬੀ ਵਿੱਚ ਹੈ ਇਹ ਕਿਤਾਬ".split(),
    "telugu": "తెలుగు ఇది పుస్తకం క్ష".split(),
    "greek": "λόγος Ὅμηρος ο και Και".split(),
}
COMMON_VOICE = Path(__file__).resolve().parents[3] / "shared/data/commonvoice"


def random_text(rng, words, longest):
    return [rng.choice(words) for _ in range(rng.randint(0, longest))]


def random_pair(rng, words, longest=12):
    """Return a reference and a hypothesis: unrelated, edited, looping or empty."""
    ref = random_text(rng, words, longest)
    kind = rng.choice(["other", "edited", "edited", "loop", "empty"])
    if kind == "other":
        return ref, random_text(rng, words, longest)
    if kind == "empty":
        return (ref, []) if rng.random() < 0.5 else ([], ref)
    hyp = edited(rng, ref, words)
    return (ref, hyp) if kind == "edited" else (ref, hyp[:2] + random_text(rng, words, 3) * 5)


def edited(rng, ref, words, rate=0.3):
    """Return ref with random substitutions, deletions and insertions."""
    hyp = []
    for word in ref:
        draw = rng.random() / rate
        if draw >= 1 or draw < 0.4:
            hyp.append(word if draw >= 1 else rng.choice(words))
        elif draw < 0.7:
            hyp += [word, rng.choice(words)]
    return hyp


@pytest.fixture
def random_pairs():
    """Return a function that makes pairs of word lists in a script."""

    def make(script, seed, count, longest=12):
        rng = random.Random(f"{script} {seed}")
        return [random_pair(rng, VOCABULARY[script], longest) for _ in range(count)]

    return make


def read_common_voice(language, seed=0):
    """Return (words, randomly edited words) of a language's sentences."""
    paths = sorted(COMMON_VOICE.glob(f"*/{language}/*.tsv"))
    if not paths:
        pytest.skip(f"no Common Voice transcripts of '{language}' in {COMMON_VOICE}")
    rng = random.Random(seed)
    sentences = [
        row["sentence"].split()
        for path in paths
        for row in csv.DictReader(path.open(encoding="utf-8"), delimiter="\t", quoting=3)
        if row.get("sentence")
    ]
    words = [word for sentence in sentences for word in sentence]
    return [(sentence, edited(rng, sentence, words)) for sentence in sentences]


@pytest.fixture
def common_voice_pairs():
    return read_common_voice


@pytest.fixture
def sclite(tmp_path):
    """Run NIST sclite on the contents of two trn files and return what it prints."""
    if shutil.which("sctk") is None:
        pytest.skip("NIST sclite is not installed (Debian package sctk)")

    def call(ref_trn, hyp_trn, *options):
        for name, text in (("ref.trn", ref_trn), ("hyp.trn", hyp_trn)):
            (tmp_path / name).write_text(text, encoding="utf-8")
        command = "sctk sclite -s -e utf-8 -r ref.trn trn -h hyp.trn trn -i rm".split()
        done = subprocess.run(
            [*command, *options], cwd=tmp_path, capture_output=True, timeout=120, check=True
        )
        return done.stdout.decode("utf-8", "replace")

    return call
