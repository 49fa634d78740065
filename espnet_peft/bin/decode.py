"""Transcribe a data directory with a base model and its adapters."""

from __future__ import annotations

import argparse
import logging
import time

from espnet_peft.bin import run


def get_parser() -> argparse.ArgumentParser:
    """Options of the command."""
    parser = argparse.ArgumentParser(prog="decode", description=__doc__)
    add = parser.add_argument
    add("--base_model", required=True, help="base directory, .pt, HF directory or official name")
    add("--adapter", action="append", default=[], metavar="NAME=DIR", help="may be repeated")
    add("--utt2adapter", help="adapter name by utterance (`base`: none)")
    add(
        "--strategy",
        help="how adapters are chosen: oracle (by utt2lang), base (none), or by a router: hard"
        " threshold soft soft_decoders hierarchical frame spans; without it and without"
        " --utt2adapter, the one --adapter decodes all",
    )
    add("--router", metavar="DIR|token", help="directory of a router, or the base's own token")
    add("--routing_config", help="YAML of the strategies' settings")
    add("--base_languages", default="", help='that the base serves without an adapter: "en es"')
    add("--max_adapters", type=int, help="most adapters in memory at a time; default: all")
    add("--data_dir", required=True, help="with feats.scp or wav.scp, and utt2lang if needed")
    add("--out_dir", required=True, help="gets 1best_recog/ and speed.json")
    add("--config", help="YAML of search options")
    add("--language", help="of all utterances, instead of utt2lang")
    add("--key_file", help="ids (first column) of the utterances to decode")
    add("--device", default="cpu", help="cpu, cuda, cuda:1 ...")
    add("--dtype", default="float32", choices=["float32", "bfloat16", "float16"])
    add("--num_threads", type=int, default=1, help="of torch on the CPU")
    add("--log_level", default="INFO")
    return parser


def main(argv: list[str] | None = None) -> None:
    """Decode, write the results, print one summary line."""
    args = get_parser().parse_args(argv)
    logging.basicConfig(level=args.log_level.upper(), format="%(asctime)s %(message)s")
    from espnet_peft.decode.job import run_job

    speed = run_job(
        base_model=args.base_model,
        adapters=parse_adapters(args.adapter),
        utt2adapter=args.utt2adapter,
        strategy=args.strategy,
        router=args.router,
        routing_config=args.routing_config,
        base_languages=args.base_languages.split(),
        max_adapters=args.max_adapters,
        data_dir=args.data_dir,
        out_dir=args.out_dir,
        config=args.config,
        language=args.language,
        key_file=args.key_file,
        device=args.device,
        dtype=args.dtype,
        num_threads=args.num_threads,
        started=time.perf_counter(),
    )
    print(
        f"{args.out_dir}: {speed['utterances']} utterances, {speed['audio_seconds']:.1f} s of"
        f" audio decoded in {speed['decode_seconds']:.1f} s, RTF {speed['rtf']:.4f}"
        f" (loaded in {speed['load_seconds']:.1f} s)"
    )
    if "strategy" in speed:
        again = "" if speed["prefix_shared"] else ", a second encoder pass included"
        print(
            f"{args.out_dir}: strategy {speed['strategy']}, routing took"
            f" {speed['route_ms_per_utterance']:.2f} ms an utterance,"
            f" {100 * speed['route_share']:.1f} % of decoding{again}"
        )


def parse_adapters(items: list[str]) -> dict[str, str]:
    """Split NAME=DIR items; raises ValueError on other shapes and on repeated names."""
    adapters: dict[str, str] = {}
    for item in items:
        name, equals, directory = item.partition("=")
        if not (name and equals and directory):
            raise ValueError(f"--adapter {item}: expected NAME=DIR")
        if name in adapters:
            raise ValueError(f"--adapter {item}: the name {name} is taken by {adapters[name]}")
        adapters[name] = directory
    return adapters


if __name__ == "__main__":
    run(main, "decode")
