"""What happens between steps: means to the log and the bar, checkpoints to disk (rank 0 alone)."""

import math
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Self

import torch

from densevos.base.errors import InputError
from densevos.base.files import atomic_write
from densevos.base.progress import progress_bar
from densevos.config import LoopConfig
from densevos.data.clips import ClipSampler
from densevos.engine import checkpoint, distributed
from densevos.engine.learner import Batch
from densevos.engine.logging import MetricsLog
from densevos.engine.run import Run

SKIPPED = "skipped.txt"
"""Lists the videos of a run that cannot be used, and why, a line each."""


class Means:
    """Running means of named values."""

    def __init__(self) -> None:
        self.sums: dict[str, float] = {}
        self.count = 0

    def add(self, values: dict[str, float]) -> None:
        """Count one step's values."""
        self.count += 1
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + value

    def take(self) -> dict[str, float]:
        """The means so far; starts anew."""
        means = {name: total / self.count for name, total in self.sums.items()}
        self.sums, self.count = {}, 0
        return means


class Reporter:
    """Follows a run from step to step; a context that closes its log and bar.

    `shown` are the losses that the progress bar shows, in this order; `best` is the one that picks
    best.pt. `on_epoch` is called on rank 0 after every --loop.encoder-every epochs, with their
    number.
    """

    def __init__(
        self,
        run: Run,
        config: LoopConfig,
        folder: Path,
        sampler: ClipSampler,
        *,
        shown: Sequence[str] = ("loss",),
        best: str = "loss",
        on_epoch: Callable[[int], object] = lambda epoch: None,
    ):
        self.run, self.config, self.folder = run, config, folder
        self.shown, self.best, self.on_epoch = shown, best, on_epoch
        self.videos, self.steps_per_epoch = sampler.videos, sampler.steps_per_epoch
        self.total = config.epochs * sampler.steps_per_epoch
        self.since_log, self.since_checkpoint = Means(), Means()
        self.is_main = distributed.rank() == 0

    def __enter__(self) -> Self:
        if self.is_main:
            checkpoint.open_folder(self.folder / "checkpoints")

        self.log = (
            MetricsLog(self.folder, self.run.step, wandb=self.config.wandb)
            if self.is_main
            else None
        )
        self.bar = progress_bar("steps")
        self.bar.disable = not self.is_main
        self.bar.start()
        self.task = self.bar.add_task(
            "training", total=self.total, completed=self.run.step, status=""
        )
        self.window = self.saved = time.perf_counter()
        self.started = self.window - self.run.seconds

        return self

    def __exit__(self, *_: Any) -> None:
        self.bar.stop()
        if self.log:
            self.log.close()

    def after_step(self, batches: Sequence[Batch], values: dict[str, float]) -> None:
        """Count, log every `log_every` steps, draw and save now and then, and save at the end."""
        self.run.seconds = time.perf_counter() - self.started
        clips = sum(len(batch.names) for batch in batches) * distributed.world_size()
        self.since_log.add({**values, "clips": clips})
        self.since_checkpoint.add(values)
        last = self.run.step == self.total
        if self.run.step % self.config.log_every == 0 or last:
            self._log()
        if self.log and self.config.panels_every and self.run.step % self.config.panels_every == 0:
            generator = torch.Generator().manual_seed(self.run.step)
            self.log.show(self.run.step, self.run.learner.panels(batches[0], generator))

        if self._is_time_to_save() or last:
            self.save()

        epochs = self.run.step / self.steps_per_epoch
        if self.is_main and self.config.encoder_every and epochs % self.config.encoder_every == 0:
            self.on_epoch(int(epochs))

        self.bar.update(self.task, completed=self.run.step)

    def leave_out(self, lines: Iterable[str]) -> None:
        """Count videos that cannot be used, a line each; the first, the tenth and so on are told at
        once.

        Raises InputError for more of them than --loop.max-broken.
        """
        before = len(self.run.skipped)
        for line in lines:
            self.run.skipped.add(line)
            count = len(self.run.skipped)
            if self.is_main and count > before and math.log10(count).is_integer():
                number = "" if count == 1 else f"{count} videos so far, now "
                print(f"left out: {number}{line}", file=sys.stderr)

            before = count

        most = max(int(self.config.max_broken * self.videos), 1)
        if before <= most:
            return

        self.save()
        if self.is_main:
            self._list_skipped()

        raise InputError(
            f"{before} of {self.videos} videos cannot be used, more than --loop.max-broken {self.config.max_broken:g};"
            f" {self.folder / SKIPPED} lists them; the first: {min(self.run.skipped)}"
        )

    def _is_time_to_save(self) -> bool:
        if self.config.checkpoint_every is not None:
            return self.run.step % self.config.checkpoint_every == 0
        return time.perf_counter() - self.saved > 60 * self.config.checkpoint_minutes

    def _log(self) -> None:
        now, steps = time.perf_counter(), self.since_log.count
        means = self.since_log.take()
        means["clips_per_second"] = means.pop("clips") * steps / (now - self.window)
        means["seconds"] = self.run.seconds
        self.window = now
        losses = "  ".join(f"{name} {means[name]:.3f}" for name in self.shown if name in means)
        self.bar.update(self.task, status=f"{losses}  {means['clips_per_second']:.1f} clips/s")
        if self.log:
            self.log.write(self.run.step, means)

    def save(self) -> None:
        """Write a checkpoint, note it as the best when its stretch had the lowest mean loss, delete
        old ones.
        """
        self.saved = time.perf_counter()
        if not self.since_checkpoint.count:
            return  # This very step is saved already.

        means = self.since_checkpoint.take()
        loss = means[self.best]
        best = loss < self.run.best_loss
        self.run.best_loss = min(loss, self.run.best_loss)

        if self.is_main:
            checkpoint.save_step(
                self.folder / "checkpoints", self.run.step, self.run.state(), best=best
            )
            checkpoint.prune(self.folder / "checkpoints", self.config.keep_last)
            self._list_skipped()

    def _list_skipped(self) -> None:
        if self.run.skipped:
            with atomic_write(self.folder / SKIPPED, "w") as file:
                file.writelines(f"{line}\n" for line in sorted(self.run.skipped))
