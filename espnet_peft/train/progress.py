"""The progress line: loss, WER, speed, memory and time left."""

from __future__ import annotations

import logging
import resource
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch

FRAMES_PER_SECOND = 100
SAMPLES_PER_SECOND = 16000


@dataclass
class Progress:
    """What one run of training knows about itself; times in seconds.

    `wer` is the last validation's, in percent. `valid_time` is what the last validation took.
    """

    interval: int
    max_epoch: int
    wer: float | None = None
    valid_time: float = 0.0
    steps_timed: int = 0
    time_in_steps: float = 0.0
    losses: list[float] = field(default_factory=list)

    def watch(self, batches, reporter, model) -> Iterator:
        """Yield `batches` to the trainer, tell `model` its step, log a line now and then."""
        per_epoch = len(batches)
        first = reporter.get_total_count()
        start, audio = time.perf_counter(), 0.0
        window_start, window_steps = start, 0
        for done, (utt_ids, batch) in enumerate(batches):
            if window_steps == self.interval:
                now = time.perf_counter()
                self._count(window_steps, now - window_start)
                self._log(reporter, first + done, done, per_epoch, audio / (now - window_start))
                window_start, window_steps, audio = now, 0, 0.0
            model.step = first + done
            audio += audio_seconds(batch)
            window_steps += 1
            yield utt_ids, batch
        if window_steps:
            now = time.perf_counter()
            self._count(window_steps, now - window_start)
            self._log(
                reporter, first + per_epoch, per_epoch, per_epoch, audio / (now - window_start)
            )

    def _count(self, steps: int, seconds: float) -> None:
        self.steps_timed += steps
        self.time_in_steps += seconds

    def _log(self, reporter, step: int, done: int, per_epoch: int, speed: float) -> None:
        epoch = reporter.get_epoch()
        values = [value.value for value in reporter.stats["loss"][-self.interval :]]
        epochs_after = self.max_epoch - epoch
        steps_left = per_epoch - done + epochs_after * per_epoch
        left = steps_left * self.time_in_steps / max(self.steps_timed, 1)
        left += (epochs_after + 1) * self.valid_time
        wer = "-" if self.wer is None else f"{self.wer:.1f}"
        logging.info(
            f"progress: epoch {epoch}/{self.max_epoch} step {step} "
            f"loss {sum(values) / max(len(values), 1):.3f} valid_wer {wer} "
            f"{speed:.0f} audio-s/s memory {memory_gib():.2f} GiB left {clock(left)}"
        )


def audio_seconds(batch: dict[str, torch.Tensor]) -> float:
    """Seconds of speech in a batch of features (3 dimensions) or samples (2)."""
    rate = FRAMES_PER_SECOND if batch["speech"].dim() == 3 else SAMPLES_PER_SECOND
    return float(batch["speech_lengths"].sum()) / rate


def memory_gib() -> float:
    """Peak memory: of the GPU where one is used, else of this process (Linux counts KiB)."""
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        return torch.cuda.max_memory_allocated() / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def clock(seconds: float) -> str:
    """`1:02:03`, or `2:03` below an hour."""
    minutes, secs = divmod(int(round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{secs:02d}" if hours else f"{minutes}:{secs:02d}"
