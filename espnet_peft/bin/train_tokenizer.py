"""A SentencePiece tokenizer with Whisper's special tokens, for small models."""

from __future__ import annotations

import argparse

from espnet_peft.bin import run


def get_parser() -> argparse.ArgumentParser:
    """Options of the command."""
    parser = argparse.ArgumentParser(prog="train_tokenizer", description=__doc__)
    add = parser.add_argument
    add("--text", required=True, nargs="+", help="Kaldi text files")
    add("--languages", required=True, help='codes that get a token, such as "en es it hi"')
    add("--model_type", default="char", choices=["char", "unigram", "bpe"])
    add("--vocab_size", type=int, help="pieces with special ones; not with char")
    add(
        "--byte_fallback",
        choices=["true", "false"],
        help="spell unknown characters as bytes; default: true but for char",
    )
    add("--out", required=True, help="directory that gets tokenizer.model")
    add("--log_level", default="INFO")
    return parser


def main(argv: list[str] | None = None) -> None:
    """Train, write, print one summary line."""
    args = get_parser().parse_args(argv)
    languages = args.languages.replace(",", " ").split()
    if not languages or len(set(languages)) < len(languages):
        raise ValueError(f"--languages: {args.languages!r}, expected codes, each once")
    from espnet_peft.kaldi import read_table
    from espnet_peft.models.tokenizer import (
        SentencePieceTokenizer,
        train_sentencepiece,
        write_model,
    )

    texts = [text for path in args.text for text in read_table(path, "rest").values()]
    fallback = None if args.byte_fallback is None else args.byte_fallback == "true"
    model = train_sentencepiece(texts, languages, args.model_type, args.vocab_size, fallback)
    path = write_model(model, args.out)
    print(f"{path}: {SentencePieceTokenizer(path).vocab_size} pieces from {len(texts)} texts")


if __name__ == "__main__":
    run(main, "train_tokenizer")
