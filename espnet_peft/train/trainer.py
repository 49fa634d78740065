"""ESPnet's trainer, with error rates that are sums, a progress line, and results at the end."""

from __future__ import annotations

import dataclasses
import logging
import time
from pathlib import Path

import torch
from espnet2.torch_utils.device_funcs import to_device
from espnet2.torch_utils.recursive_op import recursive_average
from espnet2.train.reporter import Reporter
from espnet2.train.trainer import Trainer, TrainerOptions, autocast_args

from espnet_peft.train.curves import plot_curves
from espnet_peft.train.export import export_results
from espnet_peft.train.progress import Progress
from espnet_peft.train.recovery import (
    CHECKPOINT,
    PREVIOUS,
    complete_epoch,
    drop_torn,
    is_readable,
    keep_previous,
)


@dataclasses.dataclass
class PEFTTrainerOptions(TrainerOptions):
    """ESPnet's options, ours, and the state of the run."""

    method: str | None
    languages: list[str]
    progress: Progress


class PEFTTrainer(Trainer):
    """Changes ESPnet's trainer in five places, each a method below."""

    @classmethod
    def build_options(cls, args) -> PEFTTrainerOptions:
        values = {f.name: getattr(args, f.name) for f in dataclasses.fields(TrainerOptions)}
        return PEFTTrainerOptions(
            **values,
            method=args.method,
            languages=args.train_languages,
            progress=Progress(args.progress_interval, args.max_epoch),
        )

    @classmethod
    def run(cls, model, trainer_options, distributed_option, **kwargs) -> None:
        """Train, then write the best weights, the statistics and the curves."""
        options, out_dir = trainer_options, Path(trainer_options.output_dir)
        main_process = not distributed_option.distributed or distributed_option.dist_rank == 0
        if main_process and options.resume:
            complete_epoch(out_dir, options.best_model_criterion)
        try:
            if not has_stopped_early(out_dir, options):
                super().run(
                    model=model,
                    # ESPnet draws a dozen pictures after each epoch; ours come once, at the end.
                    trainer_options=dataclasses.replace(options, use_matplotlib=False),
                    distributed_option=distributed_option,
                    **kwargs,
                )
        except BaseException:
            if main_process:
                drop_torn(out_dir)
            raise
        finally:
            stats = read_stats(out_dir) if main_process else None
            if stats:
                plot_curves(stats, out_dir / "images")
        if main_process:
            export_results(model, stats, options, out_dir)

    @staticmethod
    def resume(checkpoint, model, reporter, optimizers, schedulers, scaler, ngpu=0, strict=True):
        """Go on from the checkpoint, or from the one before if the last write was cut off."""
        checkpoint = Path(checkpoint)
        if not is_readable(checkpoint):
            previous = checkpoint.with_name(PREVIOUS)
            if not is_readable(previous):
                raise ValueError(
                    f"{checkpoint}: not a checkpoint that can be read, and there is no earlier "
                    "one; remove it to start again"
                )
            logging.warning(f"{checkpoint}: cut off in writing; going on from {previous}")
            checkpoint = previous
        Trainer.resume(
            checkpoint, model, reporter, optimizers, schedulers, scaler, ngpu=ngpu, strict=strict
        )

    @classmethod
    def train_one_epoch(cls, model, iterator, reporter, options, **kwargs) -> bool:
        """ESPnet's epoch, watched; stops if no step of it changed a weight."""
        keep_previous(Path(options.output_dir))
        inner = getattr(model, "module", model)
        watched = _Sized(options.progress.watch(iterator, reporter, inner), len(iterator))
        invalid = super().train_one_epoch(
            model=model, iterator=watched, reporter=reporter, options=options, **kwargs
        )
        if invalid:
            raise ValueError(
                f"epoch {reporter.get_epoch()}: no step had a finite gradient; lower the learning "
                "rate; the last good checkpoint is kept"
            )
        return invalid

    @classmethod
    @torch.no_grad()
    def validate_one_epoch(cls, model, iterator, reporter, options, distributed_option) -> None:
        """Loss by utterance; WER and CER as sums of errors over sums of reference lengths."""
        model.eval()
        device = "cuda" if options.ngpu > 0 else "cpu"
        start = time.perf_counter()
        totals: dict[str, list[int]] = {}
        for utt_ids, batch in _together(iterator, device, distributed_option.distributed):
            batch = to_device({**batch, "utt_id": utt_ids}, device)
            with torch.autocast(device, enabled=options.use_amp, **autocast_args):
                result = model(**batch)
            stats, weight = result["stats"], result["weight"]
            if distributed_option.distributed:
                stats, weight = recursive_average(stats, weight, True)
            reporter.register(stats, weight)
            for name, counts in result.get("errors", {}).items():
                pair = torch.tensor(counts, dtype=torch.float64, device=device)
                if distributed_option.distributed:
                    torch.distributed.all_reduce(pair)
                errors, length = pair.tolist()
                # Weighted by its reference length, the reporter's mean is the rate of the set.
                reporter.register({name: 100.0 * errors / max(length, 1.0)}, length)
                total = totals.setdefault(name, [0, 0])
                total[0], total[1] = total[0] + errors, total[1] + length
            reporter.next()
        if "wer" in totals:
            options.progress.wer = 100.0 * totals["wer"][0] / max(totals["wer"][1], 1)
        options.progress.valid_time = time.perf_counter() - start


class _Sized:
    """An iterator that knows its length, which ESPnet asks for its log interval."""

    def __init__(self, iterator, length: int) -> None:
        self.iterator, self.length = iterator, length

    def __iter__(self):
        return iter(self.iterator)

    def __len__(self) -> int:
        return self.length


def _together(iterator, device: str, distributed: bool):
    """Yield batches until one process of a distributed run has no more."""
    stop = torch.tensor(0, device=device)
    for item in iterator:
        if distributed:
            torch.distributed.all_reduce(stop, torch.distributed.ReduceOp.SUM)
            if stop > 0:
                return
        yield item
    if distributed:
        stop.fill_(1)
        torch.distributed.all_reduce(stop, torch.distributed.ReduceOp.SUM)


def has_stopped_early(out_dir: Path, options: TrainerOptions) -> bool:
    """Whether the run to resume had ended by its patience; ESPnet would train one epoch more."""
    stats = read_stats(out_dir) if options.resume and options.patience is not None else {}
    if not stats:
        return False
    reporter = Reporter()
    reporter.load_state_dict({"stats": stats, "epoch": max(stats)})
    return reporter.check_early_stopping(options.patience, *options.early_stopping_criterion)


def read_stats(out_dir: Path) -> dict:
    """The reporter's statistics in the last whole checkpoint; empty if there is none."""
    for name in (CHECKPOINT, PREVIOUS):
        if (out_dir / name).exists() and is_readable(out_dir / name):
            states = torch.load(out_dir / name, map_location="cpu", weights_only=False)
            return states["reporter"]["stats"]
    return {}
