"""Options of a training that cannot work, found before any work is done."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
import yaml
from espnet2.tasks import abs_task

AT_LEAST_ONE = ("max_epoch", "num_iters_per_epoch", "accum_grad", "batch_size", "batch_bins")
MAPPINGS = ("build", "method_conf", "optim_conf", "scheduler_conf", "specaug_conf")


def check_config_file(cmd: list[str] | None) -> None:
    """Refuse a `--config` that holds no settings; ESPnet's parser would stop with a traceback.

    Raises:
        ValueError, FileNotFoundError: no such file, no YAML, or no lines of `key: value`.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--config")
    path = parser.parse_known_args(cmd)[0].config
    if path is None:
        return
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: no such file, expected settings of the training")
    try:
        values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        found = "an empty file" if values is None else type(values).__name__
        raise ValueError(f"{path}: found {found}, expected lines of `key: value`")


def value_faults(args: argparse.Namespace) -> list[str]:
    """What is wrong with single values; from a YAML file they come unchecked by the parser."""
    faults = [
        f"{name}: found {getattr(args, name)!r}, expected settings as {{key: value}}"
        for name in MAPPINGS
        if not isinstance(getattr(args, name), dict)
    ]
    for name in AT_LEAST_ONE:
        value = getattr(args, name)
        if value is not None and (not isinstance(value, int) or value < 1):
            faults.append(f"{name}: found {value!r}, expected an integer of at least 1")
    usable = torch.cuda.device_count()
    if not isinstance(args.ngpu, int) or not 0 <= args.ngpu <= usable:
        faults.append(f"--ngpu {args.ngpu}: found {usable} usable GPUs; give {usable} or less")
    return faults


def check_optimizer(args: argparse.Namespace) -> None:
    """Refuse settings that the optimizer or the scheduler does not take.

    Both are built for a parameter of their own, long before the model is there.

    Raises:
        ValueError: names `optim_conf` or `scheduler_conf` and what was refused.
    """
    parameter = torch.nn.Parameter(torch.zeros(1))
    built = _build("optim", abs_task.optim_classes, args.optim, [parameter], args.optim_conf)
    if args.scheduler is not None:
        known = abs_task.scheduler_classes
        _build("scheduler", known, args.scheduler, built, args.scheduler_conf)


def _build(option: str, known: dict, name: str, first: object, conf: dict) -> object:
    if name not in known:
        raise ValueError(f"{option}: found {name!r}, expected one of {', '.join(known)}")
    try:
        return known[name](first, **conf)
    except Exception as error:  # each class refuses in its own way
        raise ValueError(
            f"{option}_conf: {name} does not take {conf}: {error}; correct {option}_conf"
        ) from error
