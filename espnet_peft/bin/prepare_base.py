"""A base model's directory from a checkpoint: OpenAI's, transformers', or our own."""

from __future__ import annotations

import argparse

from espnet_peft.bin import run


def get_parser() -> argparse.ArgumentParser:
    """Options of the command."""
    parser = argparse.ArgumentParser(prog="prepare_base", description=__doc__)
    add = parser.add_argument
    add("--base_model", required=True, help="base directory, .pt, HF directory or official name")
    add("--out", required=True, help="base directory to write")
    add("--pad_to", type=float, choices=[0.0, 30.0], help="pad input to 30 s; 0: do not")
    add("--log_level", default="INFO")
    return parser


def main(argv: list[str] | None = None) -> None:
    """Load strictly, write, print one summary line."""
    args = get_parser().parse_args(argv)
    from espnet_peft.models import load_base, save_base

    model = load_base(args.base_model)
    if args.pad_to is not None:
        model.pad_to = args.pad_to or None
    save_base(model, args.out)
    count = sum(parameter.numel() for parameter in model.parameters())
    print(
        f"{args.out}: {count / 1e6:.1f} M parameters, {model.dims.n_vocab} tokens,"
        f" fingerprint {model.base_fingerprint[:12]}"
    )


if __name__ == "__main__":
    run(main, "prepare_base")
