"""ESPnet's task for adapters: its options, and the building of data, model and optimizer."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import torch
from espnet2.tasks import abs_task
from espnet2.tasks.abs_task import AbsTask
from espnet2.utils.nested_dict_action import NestedDictAction
from espnet2.utils.types import str2bool, str_or_none

from espnet_peft import adapters, models
from espnet_peft.train.collate import collate
from espnet_peft.train.data import check_data, digest, expand_dir, source_digest
from espnet_peft.train.model import PEFTModel
from espnet_peft.train.options import check_config_file, check_optimizer, value_faults
from espnet_peft.train.perturb import make_perturb
from espnet_peft.train.preprocess import Preprocessor
from espnet_peft.train.resume import check_output_dir
from espnet_peft.train.schedule import LinearWarmupDecay
from espnet_peft.train.specaug import make_specaug
from espnet_peft.train.trainer import PEFTTrainer

# ESPnet fixes the choices of --scheduler by this table; there is no other way to add one.
abs_task.scheduler_classes["linearwarmupdecay"] = LinearWarmupDecay

DEFAULTS = {
    # Ours are drawn once at the end, and attention is not returned by the fused kernels.
    "use_matplotlib": False,
    "num_att_plot": 0,
    "use_tensorboard": False,
    # Utterances of like length, by the total of their frames.
    "batch_type": "numel",
    "num_workers": 0,
    "optim": "adamw",
    "resume": True,
    "best_model_criterion": [["valid", "wer", "min"]],
    "early_stopping_criterion": ["valid", "wer", "min"],
    "keep_nbest_models": 1,
}


class PEFTTask(AbsTask):
    """Train an adapter in a frozen base, all of a base, or a new base from scratch."""

    trainer = PEFTTrainer

    @classmethod
    def get_parser(cls):
        """ESPnet's parser; its usage line alone would fill a screen on each mistyped option."""
        parser = super().get_parser()
        parser.usage = "python -m espnet_peft.bin.train --config FILE [options]; --help lists them"
        return parser

    @classmethod
    def add_task_arguments(cls, parser: argparse.ArgumentParser) -> None:
        parser.set_defaults(**DEFAULTS)
        add = parser.add_argument_group("espnet_peft").add_argument
        add("--base_model", type=str_or_none, help="base: our directory, HF's, .pt, or a name")
        add("--build", action=NestedDictAction, default={}, help="sizes of a new base instead")
        add("--tokenizer", type=str_or_none, help="tokenizer directory of a new base")
        add("--method", type=str_or_none, default="none", help="lora, adapter, ..., full, none")
        add("--method_conf", action=NestedDictAction, default={}, help="settings of the method")
        add("--language", type=str_or_none, help="the adapter's language; default: the data's")
        add("--train_dir", type=str_or_none, help="data directory to train on")
        add("--valid_dir", type=str_or_none, help="data directory to validate on")
        add("--specaug_conf", action=NestedDictAction, default={}, help="masks; empty: none")
        add("--perturb_conf", action=NestedDictAction, default={}, help="other speakers")
        add("--ctc_weight", type=float, default=0.0, help="share of CTC in the loss")
        add("--label_smoothing", type=float, default=0.0, help="in training alone")
        add("--valid_wer", type=str2bool, default=True, help="decode in validation")
        add("--gradient_checkpointing", type=str2bool, default=False, help="less memory, slower")
        add("--num_threads", type=int, default=0, help="torch threads; 0: OMP_NUM_THREADS")
        add("--progress_interval", type=int, default=50, help="steps between progress lines")

    @classmethod
    def main(cls, args: argparse.Namespace | None = None, cmd=None) -> None:
        """Check options, data and output directory, then train. Raises `ValueError`."""
        if args is None:
            check_config_file(cmd)
            args = cls.get_parser().parse_args(cmd)
        logging.getLogger().setLevel(args.log_level)
        if not args.print_config:
            prepare(args)
        super().main(args=args)

    @classmethod
    def required_data_names(cls, train: bool = True, inference: bool = False) -> tuple[str, ...]:
        return ("speech", "text", "lang")

    @classmethod
    def optional_data_names(cls, train: bool = True, inference: bool = False) -> tuple[str, ...]:
        return ()

    @classmethod
    def build_collate_fn(cls, args: argparse.Namespace, train: bool):
        return collate

    @classmethod
    def build_preprocess_fn(cls, args: argparse.Namespace, train: bool) -> Preprocessor:
        triples = data_triples(args, "train" if train else "valid")
        kinds = {name: kind for _, name, kind in triples}
        return Preprocessor(load_tokenizer(args), int16=kinds["speech"] == "kaldi_ark")

    @classmethod
    def build_model(cls, args: argparse.Namespace) -> PEFTModel:
        """The base, strictly loaded or new, with its adapter injected."""
        if args.build:
            base = models.build_whisper(
                args.build, load_tokenizer(args), ctc=args.ctc_weight > 0
            )
        else:
            base = models.load_base(args.base_model)
            method = adapters.make_config(args.method, args.method_conf)
            adapters.inject(base, method)
        if args.gradient_checkpointing:
            base.gradient_checkpointing = True
        return PEFTModel(
            base,
            specaug=make_specaug(args.specaug_conf),
            ctc_weight=args.ctc_weight,
            label_smoothing=args.label_smoothing,
            valid_wer=args.valid_wer,
            perturb=make_perturb(args.perturb_conf),
        )

    @classmethod
    def build_optimizers(cls, args: argparse.Namespace, model: torch.nn.Module) -> list:
        """ESPnet's, without the frozen parameters, which would only cost time."""
        optimizers = super().build_optimizers(args, model)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["params"] = [p for p in group["params"] if p.requires_grad]
        return optimizers


def prepare(args: argparse.Namespace) -> None:
    """Complete `args` and refuse what cannot work; all faults of the data at once.

    Sets the data files from `train_dir` and `valid_dir`, `total_steps` of our schedule, a digest
    of the data, and the languages.
    """
    check_options(args)
    if args.num_threads > 0:
        torch.set_num_threads(args.num_threads)
    for phase in ("train", "valid"):
        directory = getattr(args, f"{phase}_dir")
        if directory is not None:
            triples, shape = expand_dir(directory)
            setattr(args, f"{phase}_data_path_and_name_and_type", triples)
            setattr(args, f"{phase}_shape_file", [shape])
    tokenizer = load_tokenizer(args)
    faults, files, args.train_languages = [], [], []
    for phase in ("train", "valid"):
        triples = data_triples(args, phase)
        shape_files = getattr(args, f"{phase}_shape_file")
        found, languages = check_data(triples, shape_files, tokenizer)
        faults += found
        files += [path for path, *_ in triples] + shape_files
        if phase == "train":
            args.train_languages = [args.language] if args.language else languages
    if faults:
        raise ValueError("training data: " + "; ".join(faults))
    args.data_digest = digest(files)
    args.source_digest = source_digest(args.tokenizer if args.build else args.base_model)
    complete_schedule(args)
    check_optimizer(args)
    check_output_dir(args)


def check_options(args: argparse.Namespace) -> None:
    """Refuse a wrong combination of options, all faults at once."""
    faults = value_faults(args)
    if args.output_dir is None:
        faults.append("--output_dir is missing")
    if bool(args.build) == bool(args.base_model):
        faults.append("expected one of --base_model (to adapt) and build: (from scratch)")
    if args.build and not args.tokenizer:
        faults.append("build: needs --tokenizer, made by train_tokenizer")
    if args.build and args.method not in (None, "none"):
        faults.append(f"build: goes with method none, found {args.method}")
    if args.base_model and args.method in (None, "none"):
        faults.append("method none would train nothing of --base_model; expected lora, ..., full")
    if args.use_adapter:
        faults.append("use_adapter is ESPnet's own; expected method and method_conf instead")
    if not args.valid_wer and args.best_model_criterion == DEFAULTS["best_model_criterion"]:
        faults.append("valid_wer false needs another best_model_criterion, as [[valid, loss, min]]")
    for phase in ("train", "valid"):
        triples = getattr(args, f"{phase}_data_path_and_name_and_type")
        if getattr(args, f"{phase}_dir") is None and not triples:
            faults.append(f"--{phase}_dir is missing")
    if faults:
        raise ValueError("options: " + "; ".join(faults))
    make_specaug(args.specaug_conf)
    make_perturb(args.perturb_conf)
    if args.method not in (None, "none"):
        adapters.make_config(args.method, args.method_conf)


def data_triples(args: argparse.Namespace, phase: str) -> list[tuple[str, str, str]]:
    """(path, name, type) of a phase; `ValueError` where speech, text or lang is not among them."""
    triples = getattr(args, f"{phase}_data_path_and_name_and_type")
    missing = {"speech", "text", "lang"} - {name for _, name, _ in triples}
    if missing:
        raise ValueError(
            f"--{phase}_data_path_and_name_and_type: no {' '.join(sorted(missing))}; expected "
            f"speech, text and lang; --{phase}_dir gives all three"
        )
    return triples


def load_tokenizer(args: argparse.Namespace):
    """The new base's tokenizer, or that of `--base_model`; read once a run."""
    source = args.tokenizer if args.build else args.base_model
    if source not in _TOKENIZERS:
        local = Path(source).is_dir()
        _TOKENIZERS[source] = (
            models.load_tokenizer(source) if local else models.load_base(source).tokenizer
        )
    return _TOKENIZERS[source]


_TOKENIZERS: dict = {}


def complete_schedule(args: argparse.Namespace) -> None:
    """Set `total_steps` of our schedule to the length of the run where it is not given."""
    conf = args.scheduler_conf
    if args.scheduler != "linearwarmupdecay" or "total_steps" in conf:
        return
    if args.num_iters_per_epoch is None:
        raise ValueError(
            "scheduler_conf: no total_steps, and no num_iters_per_epoch to compute it from; "
            "give one of them"
        )
    updates = args.num_iters_per_epoch // args.accum_grad
    args.scheduler_conf = {**conf, "total_steps": args.max_epoch * updates}
    logging.info(f"scheduler: total_steps {args.scheduler_conf['total_steps']}")
