#!/usr/bin/env python3
"""Kaldi data directories of Mozilla Common Voice, official layout, for one language or several."""

import argparse
import logging
import multiprocessing
import signal
import unicodedata
from pathlib import Path
from typing import NamedTuple

from clips import check_clips
from tsv import Row, read_locale, some, speaker_ids

from espnet_peft.bin import run
from espnet_peft.kaldi import DataDir, write_data_dir
from espnet_peft.scoring.normalise import normalise

# Common Voice's locale -> the model's code, where that is not the part before the hyphen
# (pa-IN -> pa, sv-SE -> sv, zh-CN and zh-TW -> zh).
LANGUAGE_CODES = {"zh-HK": "yue", "nb-NO": "no"}


class Utterance(NamedTuple):
    """A clip that goes into a data directory."""

    utt_id: str
    speaker_id: str
    clip: Path
    text: str


def language_code(locale: str) -> str:
    """The model's code of a Common Voice locale."""
    return LANGUAGE_CODES.get(locale, locale.split("-")[0])


def find_locale(db_root: Path, language: str) -> Path:
    """The folder of a language that is given as locale (`pa-IN`) or by the model's code (`pa`).

    Raises FileNotFoundError if there is none, ValueError if there are several.
    """
    if not db_root.is_dir():
        raise FileNotFoundError(f"{db_root}: no such directory, expected Common Voice's")
    locales = sorted(p.name for p in db_root.iterdir() if (p / "train.tsv").is_file())
    if language in locales:
        return db_root / language
    matches = [locale for locale in locales if language_code(locale) == language]
    if len(matches) > 1:
        raise ValueError(
            f"language '{language}': {db_root} has {' '.join(matches)}; give one of these names"
        )
    if not matches:
        raise FileNotFoundError(
            f"language '{language}': no folder for it in {db_root}; there are "
            f"{' '.join(locales) or 'none with a train.tsv: is this the right directory?'}"
        )
    return db_root / matches[0]


def normalise_text(text: str, lower: bool, remove_punct: bool) -> str:
    """Lower case and no punctuation where asked; NFC and single spaces always."""
    if lower and remove_punct:
        return normalise(text, "basic")
    text = unicodedata.normalize("NFC", text)
    if lower:
        text = unicodedata.normalize("NFC", text.lower())
    if remove_punct:
        text = "".join(
            " " if unicodedata.category(c)[0] in "PS" and c not in "'\u2019" else c for c in text
        )
    return " ".join(text.split())


def make_utterances(
    directory: Path, sets: dict[str, list[Row]], lower: bool, remove_punct: bool
) -> dict[str, list[Utterance]]:
    """Ids and texts of all rows; rows whose text is punctuation alone are left out, named.

    Raises FileNotFoundError listing missing clips.
    """
    speakers = speaker_ids([row for rows in sets.values() for row in rows])
    missing, wordless = [], []
    result: dict[str, list[Utterance]] = {}
    for name, rows in sets.items():
        result[name] = []
        for row in rows:
            clip = directory / "clips" / row.clip
            text = normalise_text(row.sentence, lower, remove_punct)
            speaker = speakers[row.client_id]
            if not clip.is_file():
                missing.append(row.clip)
            elif not text:
                wordless.append(row.clip)
            else:
                result[name].append(Utterance(f"{speaker}-{clip.stem}", speaker, clip, text))
    if missing:
        raise FileNotFoundError(
            f"{directory}/clips: {len(missing)} clips that the tables name are missing: "
            f"{some(missing)}; unpack the corpus again, or remove their rows"
        )
    if wordless:
        logging.warning("%s: left out, without a word: %s", directory, some(wordless))
    return result


def write_set(directory: Path, utterances: list[Utterance], language: str) -> None:
    """Write a Kaldi data directory."""
    tables = {
        "wav.scp": {u.utt_id: u.clip for u in utterances},
        "text": {u.utt_id: u.text for u in utterances},
        "utt2lang": {u.utt_id: language for u in utterances},
        "utt2spk": {u.utt_id: u.speaker_id for u in utterances},
    }
    write_data_dir(DataDir(directory, tables), directory)


def prepare(args: argparse.Namespace, pool) -> dict[str, dict[str, list[Utterance]]]:
    """Read and check all languages: `{language: {set: utterances}}`."""
    plan: dict[str, dict[str, list[Utterance]]] = {}
    for given in args.lang.split():
        directory = find_locale(args.db_root, given)
        language = language_code(directory.name)
        if language in plan:
            raise ValueError(f"--lang '{args.lang}': '{language}' is named twice")
        warnings: list[str] = []
        sets = read_locale(directory, warnings)
        for warning in warnings:
            logging.warning(warning)
        utterances = make_utterances(
            directory, sets, args.text_case == "lower", args.remove_punct == "true"
        )
        clips = [u.clip for us in utterances.values() for u in us]
        bad = check_clips(clips, pool, args.check_audio == "true", args.max_seconds)
        plan[language] = {s: [u for u in us if u.clip not in bad] for s, us in utterances.items()}
        for name, left in plan[language].items():
            if not left:
                raise ValueError(f"{directory}: no usable utterance for {name}")
    return plan


def get_parser() -> argparse.ArgumentParser:
    """The command line; `local/data.sh` explains the options."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--db_root", type=Path, required=True, help="cv-corpus-...")
    parser.add_argument("--lang", required=True, help="languages, as 'it pa' or 'it pa-IN'")
    parser.add_argument("--text_case", choices=("lower", "keep"), default="lower", help="of text")
    parser.add_argument("--remove_punct", choices=("true", "false"), default="true", help="of text")
    parser.add_argument("--check_audio", choices=("true", "false"), default="true", help="decode")
    parser.add_argument("--max_seconds", type=float, default=30.0, help="longer are left out")
    parser.add_argument("--nj", type=int, default=2, help="parallel processes")
    parser.add_argument("--data", type=Path, default=Path("data"), help="output directory")
    return parser


def main(argv: list[str] | None = None) -> None:
    """Make the sets, once all languages are known to be in order."""
    args = get_parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(message)s")
    if args.nj < 1 or args.max_seconds <= 0:
        raise ValueError(f"--nj {args.nj} --max_seconds {args.max_seconds}: expected more than 0")
    if not args.lang.split():
        raise ValueError("--lang is empty, expected one language or more")
    # Ctrl-C ends the workers by way of the main process, without a traceback of each.
    ignore = (signal.SIGINT, signal.SIG_IGN)
    with multiprocessing.get_context("fork").Pool(args.nj, signal.signal, ignore) as pool:
        plan = prepare(args, pool)
    for language, sets in plan.items():
        for name, utterances in sets.items():
            directory = args.data / f"{name}_{language}"
            write_set(directory, utterances, language)
            speakers = len({u.speaker_id for u in utterances})
            print(f"{directory}: {len(utterances)} utterances of {speakers} speakers")


if __name__ == "__main__":
    run(main, "commonvoice")
