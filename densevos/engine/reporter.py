"""What happens between steps: means to the log and the bar, checkpoints to disk (rank 0 alone)."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from densevos.base.progress import progress_bar
from densevos.config import LoopConfig
from densevos.engine import checkpoint, distributed
from densevos.engine.learner import Batch
from densevos.engine.logging import MetricsLog
from densevos.engine.run import Run


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

    `shown` are the losses that the progress bar shows, in this order; `best` is the one that picks best.pt.
    """

    def __init__(
        self,
        run: Run,
        config: LoopConfig,
        folder: Path,
        steps_per_epoch: int,
        *,
        shown: Sequence[str] = ("loss",),
        best: str = "loss",
    ):
        self.run, self.config, self.folder = run, config, folder
        self.shown, self.best = shown, best
        self.total = config.epochs * steps_per_epoch
        self.since_log, self.since_checkpoint = Means(), Means()
        self.leads = distributed.rank() == 0

    def __enter__(self) -> Self:
        if self.leads:
            checkpoint.open_folder(self.folder / "checkpoints")
        self.log = MetricsLog(self.folder, self.run.step) if self.leads else None
        self.bar = progress_bar()
        self.bar.disable = not self.leads
        self.bar.start()
        self.task = self.bar.add_task("training", total=self.total, completed=self.run.step, status="")
        self.window = time.perf_counter()
        self.started = self.window - self.run.seconds
        return self

    def __exit__(self, *_: Any) -> None:
        self.bar.stop()
        if self.log:
            self.log.close()

    def after_step(self, batches: Sequence[Batch], values: dict[str, float]) -> None:
        """Count, log every `log_every` steps, save every `checkpoint_every` and at the end."""
        self.run.skipped.update(reason for batch in batches for reason in batch.skipped)
        self.run.seconds = time.perf_counter() - self.started
        clips = sum(len(batch.names) for batch in batches) * distributed.ranks()
        self.since_log.add({**values, "clips": clips})
        self.since_checkpoint.add(values)
        last = self.run.step == self.total
        if self.run.step % self.config.log_every == 0 or last:
            self._log()
        if self.run.step % self.config.checkpoint_every == 0 or last:
            self.save()
        self.bar.update(self.task, completed=self.run.step)

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
        """Write a checkpoint, note it as the best when its stretch had the lowest mean loss, delete old ones."""
        if not self.since_checkpoint.count:
            return  # This very step is saved already.
        means = self.since_checkpoint.take()
        loss = means[self.best]
        best = loss < self.run.best_loss
        self.run.best_loss = min(loss, self.run.best_loss)
        if self.leads:
            checkpoint.save_step(self.folder / "checkpoints", self.run.step, self.run.state(), best=best)
            checkpoint.prune(self.folder / "checkpoints", self.config.keep_last)
