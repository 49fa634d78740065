"""Pack an adapter, and on request its base, into one file to hand over."""

from __future__ import annotations

import argparse
from pathlib import Path

from espnet_peft.bin import run


def get_parser() -> argparse.ArgumentParser:
    """Options of the command."""
    parser = argparse.ArgumentParser(prog="pack", description=__doc__)
    add = parser.add_argument
    add("--adapter_dir", required=True, help="directory of the saved adapter")
    add("--out", required=True, help="archive to write: .zip, .tar.gz or .tgz")
    add("--base_model", help="directory of the base, to add its configuration and tokenizer")
    add("--with_base", action="store_true", help="add the base's weights, too")
    add("--log_level", default="INFO")
    return parser


def main(argv: list[str] | None = None) -> None:
    """Pack, read back, print one summary line."""
    args = get_parser().parse_args(argv)
    from espnet_peft.adapters.package import pack

    manifest = pack(args.adapter_dir, args.out, args.base_model, args.with_base)
    size = Path(args.out).stat().st_size
    print(
        f"{args.out}: {len(manifest['files'])} files, {size / 1e6:.2f} MB, {manifest['method']}"
        f" for {manifest['language'] or 'no stated language'},"
        f" base {manifest['base_fingerprint'][:12]}"
    )


if __name__ == "__main__":
    run(main, "pack")
