"""Transcribe recordings of any length: text with times, languages and adapters."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from espnet_peft.bin import describe, run
from espnet_peft.bin.decode import parse_adapters

FORMATS = ("txt", "srt", "vtt", "json")


def get_parser() -> argparse.ArgumentParser:
    """Options of the command."""
    parser = argparse.ArgumentParser(
        prog="transcribe",
        description=__doc__,
        epilog="Example: transcribe --base_model small --adapter hi=exp/hi/adapter"
        ' --base_languages "en" --format srt --out_dir subtitles talk.mp3 call.flac',
    )
    add = parser.add_argument
    add("audio", nargs="+", help="files that libsndfile reads: wav flac mp3 ogg opus aiff ...")
    add("--base_model", required=True, help="base directory, .pt, HF directory or official name")
    add("--adapter", action="append", default=[], metavar="NAME=DIR", help="may be repeated")
    add("--adapters_dir", help="folder whose adapters are taken, named by their languages")
    add("--language", help="of all speech; by default the router finds it out for each piece")
    add(
        "--router",
        metavar="DIR|token",
        help="directory of a router, or the base's own language token; default: `router` in"
        " --adapters_dir if it is there, else token",
    )
    add(
        "--strategy",
        default="hard",
        help="what the router's probabilities choose: hard (default) threshold soft soft_decoders"
        " hierarchical frame spans base",
    )
    add("--routing_config", help="YAML of the strategies' settings")
    add("--base_languages", default="", help='that the base serves without an adapter: "en es"')
    add("--max_adapters", type=int, help="most adapters in memory at a time; default: all")
    add("--format", default="txt", choices=[*FORMATS, "all"], help="default: txt")
    add("--out_dir", help="write <name>.<format> there; without it, print")
    add("--config", help="YAML of search options")
    add("--max_seconds", type=float, default=30.0, help="longest piece, up to 30 (default)")
    add("--min_pause", type=float, default=0.5, help="pause that ends a piece; default: 0.5")
    add("--padding", type=float, default=0.2, help="kept of the pause after; default: 0.2")
    add("--lead", type=float, default=0.03, help="kept of the pause before; default: 0.03")
    add("--device", default="cpu", help="cpu, cuda, cuda:1 ...")
    add("--dtype", default="float32", choices=["float32", "bfloat16", "float16"])
    add("--num_threads", type=int, help="of torch on the CPU; default: torch's own")
    add("--log_level", default="WARNING")
    return parser


def main(argv: list[str] | None = None) -> None:
    """Transcribe; faults of single files are told as they come, and are an error at the end."""
    args = get_parser().parse_args(argv)
    logging.basicConfig(level=args.log_level.upper(), format="%(message)s")
    formats = FORMATS if args.format == "all" else (args.format,)
    places = name_outputs(args.audio, args.out_dir, formats)
    transcriber, cut_options = load(args)
    from espnet_peft.decode.transcribe import transcribe

    options = transcriber.recogniser.options
    shown: Counter[str] = Counter()
    failed = 0
    for transcript in transcribe(args.audio, transcriber, cut_options, options.batch_seconds):
        if args.out_dir is None and args.format == "txt":
            show_lines(transcript, shown, with_name=len(args.audio) > 1)
        if not transcript.done:
            if args.out_dir is not None:
                show_progress(transcript)
            continue
        if transcript.fault is not None:
            failed += 1
            sys.stdout.flush()
            print(f"transcribe: error: {describe(transcript.fault)}", file=sys.stderr, flush=True)
            continue
        if not transcript.segments:
            print(f"{transcript.audio}: no speech found", file=sys.stderr, flush=True)
        if args.out_dir is not None:
            write(transcript, places[transcript.audio])
        elif args.format != "txt":
            show_whole(transcript, args.format)
    if failed:
        raise ValueError(f"{failed} of {len(args.audio)} files not transcribed, see above")


def load(args: argparse.Namespace):
    """Check the settings, then load the model; returns transcriber and cutting options."""
    adapters = parse_adapters(args.adapter)
    import torch

    from espnet_peft.audio.cut import CutOptions
    from espnet_peft.decode.options import read_options
    from espnet_peft.decode.transcriber import find_adapters, load_transcriber
    from espnet_peft.models.device import check_device, set_threads
    from espnet_peft.routing import read_routing_options

    cut_options = CutOptions(args.max_seconds, args.min_pause, args.padding, args.lead)
    check_device(args.device)
    if args.num_threads is not None:
        set_threads(args.num_threads)
    router = args.router
    if args.adapters_dir:
        adapters = find_adapters(args.adapters_dir) | adapters
        beside = Path(args.adapters_dir) / "router"
        if router is None and args.language is None and (beside / "config.json").is_file():
            router = str(beside)
    transcriber = load_transcriber(
        args.base_model,
        adapters,
        language=args.language,
        router=router,
        strategy=args.strategy,
        routing=read_routing_options(args.routing_config) if args.routing_config else None,
        base_languages=args.base_languages.split(),
        max_adapters=args.max_adapters,
        options=read_options(args.config) if args.config else None,
        device=args.device,
        dtype=getattr(torch, args.dtype),
    )
    return transcriber, cut_options


def name_outputs(
    audio: Sequence[str], out_dir: str | None, formats: Sequence[str]
) -> dict[str, dict[str, Path]]:
    """Where each file's results go: format to path, by audio file.

    `<out_dir>/<stem>.<format>`; where stems recur, the whole names, in the folders that the files
    have below the one that holds them all. Raises ValueError for a file that is given twice, and
    for more than can be printed.
    """
    twice = [name for name, count in Counter(map(os.path.abspath, audio)).items() if count > 1]
    if twice:
        raise ValueError(f"{twice[0]}: given more than once; leave it out once")
    if out_dir is None:
        if len(formats) > 1:
            raise ValueError("--format all: cannot be printed; give --out_dir")
        if len(audio) > 1 and formats[0] in ("srt", "vtt"):
            raise ValueError(f"--format {formats[0]}: one file can be printed; give --out_dir")
        return {}
    names = [Path(name).stem for name in audio]
    if len(set(names)) < len(names):
        folders = [os.path.dirname(os.path.abspath(name)) for name in audio]
        common = os.path.commonpath(folders)
        names = [os.path.relpath(os.path.abspath(name), common) for name in audio]
    os.makedirs(out_dir, exist_ok=True)  # a wrong place is found before the work
    return {
        path: {format: Path(out_dir) / f"{name}.{format}" for format in formats}
        for path, name in zip(audio, names, strict=True)
    }


def show_lines(transcript, shown: Counter[str], with_name: bool) -> None:
    """Print the lines that are new; `shown` counts the segments printed, by file."""
    from espnet_peft.decode.transcript import to_line

    begun = shown[transcript.audio]
    lines = [to_line(segment) for segment in transcript.segments[begun:] if segment.text]
    if with_name and begun == 0 and transcript.segments:
        print(f"{transcript.audio}:")
    shown[transcript.audio] = len(transcript.segments)
    for line in lines:
        print(line)
    sys.stdout.flush()


def show_progress(transcript) -> None:
    """Say how far a long recording is."""
    from espnet_peft.decode.transcript import clock

    if transcript.segments:
        place = f"{clock(transcript.segments[-1].end)} of {clock(transcript.seconds)}"
        print(f"{transcript.audio}: {place}", file=sys.stderr, flush=True)


def show_whole(transcript, format: str) -> None:
    """Print srt or vtt as in a file, JSON as one line a file."""
    from espnet_peft.decode.transcript import FORMATS, to_dict

    if format == "json":
        print(json.dumps(to_dict(transcript), ensure_ascii=False), flush=True)
    else:
        print(FORMATS[format](transcript), end="", flush=True)


def write(transcript, places: dict[str, Path]) -> None:
    """Write the files of one recording and say so in a line."""
    from espnet_peft.decode.transcript import FORMATS, clock
    from espnet_peft.kaldi.table import write_bytes

    for format, place in places.items():
        place.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(place, FORMATS[format](transcript).encode())
    counts = Counter(segment.language for segment in transcript.segments if segment.language)
    languages = " ".join(f"{language}:{count}" for language, count in counts.most_common())
    written = " ".join(map(str, places.values()))
    print(
        f"{transcript.audio}: {clock(transcript.seconds)} of audio,"
        f" {len(transcript.segments)} pieces{f' ({languages})' if languages else ''} -> {written}",
        flush=True,
    )


if __name__ == "__main__":
    run(main, "transcribe")
