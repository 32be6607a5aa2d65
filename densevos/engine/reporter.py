"""Work between steps: log means, move the progress bar and write checkpoints (on rank 0)."""

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
"""File that lists the videos which a run cannot use: one line per video, with the reason."""


class Means:
    """Running means of named values."""

    def __init__(self) -> None:
        self.sums: dict[str, float] = {}
        self.count = 0

    def add(self, values: dict[str, float]) -> None:
        """Add the values of one step."""
        self.count += 1
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + value

    def take(self) -> dict[str, float]:
        """Return the means since the last call, and start from zero."""
        means = {name: total / self.count for name, total in self.sums.items()}
        self.sums, self.count = {}, 0
        return means


class Reporter:
    """Follows a run from step to step; a context that opens and closes its log and progress bar.

    Args:
        run: The run that is followed.
        config: Options of the loop.
        folder: The run folder.
        sampler: Knows the number of videos and the steps of an epoch.
        shown: Names of the losses in the progress bar, in this order.
        best: Name of the loss whose lowest mean selects best.pt.
        on_epoch: Called on rank 0 with the number of epochs after every --loop.encoder-every.
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
        self.log: MetricsLog | None = None
        if self.is_main:
            checkpoint.open_folder(self.folder / "checkpoints")
            self.log = MetricsLog(self.folder, self.run.step, wandb=self.config.wandb)

        self.bar = progress_bar("steps")
        self.bar.disable = not self.is_main
        self.bar.start()
        self.task = self.bar.add_task(
            "training", total=self.total, completed=self.run.step, status=""
        )

        # When the log and the checkpoint were last written.
        self.window = self.saved = time.perf_counter()
        # A resumed run counts the seconds of its earlier parts, too.
        self.started = self.window - self.run.seconds

        return self

    def __exit__(self, *_: Any) -> None:
        self.bar.stop()
        if self.log:
            self.log.close()

    def after_step(self, batches: Sequence[Batch], values: dict[str, float]) -> None:
        """Record a step; log, draw panels, save and export when it is time.

        Args:
            batches: The batches of the step, of this rank.
            values: What `train_step` returned.
        """
        step = self.run.step
        self.run.seconds = time.perf_counter() - self.started

        # Batches are of equal size on all ranks.
        clips = sum(len(batch.names) for batch in batches) * distributed.world_size()
        self.since_log.add({**values, "clips": clips})
        self.since_checkpoint.add(values)

        is_last = step == self.total
        if step % self.config.log_every == 0 or is_last:
            self._log()

        # A generator of its own: drawing panels must not change what later steps draw.
        if self.log and self.config.panels_every and step % self.config.panels_every == 0:
            generator = torch.Generator().manual_seed(step)
            self.log.show(step, self.run.learner.panels(batches[0], generator))

        if self._is_time_to_save() or is_last:
            self.save()

        epochs = step / self.steps_per_epoch
        if self.is_main and self.config.encoder_every and epochs % self.config.encoder_every == 0:
            self.on_epoch(int(epochs))

        self.bar.update(self.task, completed=step)

    def leave_out(self, lines: Iterable[str]) -> None:
        """Record videos that cannot be used; print the first, the tenth, the hundredth and so on.

        Args:
            lines: One line per video, with the reason; the same on all ranks.

        Raises:
            InputError: More videos than --loop.max-broken cannot be used; the state is saved.
        """
        count = len(self.run.skipped)
        for line in lines:
            count_before = count
            self.run.skipped.add(line)
            count = len(self.run.skipped)

            # A line that is known already does not change the count.
            if self.is_main and count > count_before and math.log10(count).is_integer():
                number = "" if count == 1 else f"{count} videos so far, now "
                print(f"left out: {number}{line}", file=sys.stderr)

        # One video may always fail, however few there are.
        most = max(int(self.config.max_broken * self.videos), 1)
        if count <= most:
            return

        self.save()
        if self.is_main:
            self._list_skipped()

        raise InputError(
            f"{count} of {self.videos} videos cannot be used, "
            f"more than --loop.max-broken {self.config.max_broken:g}; "
            f"{self.folder / SKIPPED} lists them; the first: {min(self.run.skipped)}"
        )

    def _is_time_to_save(self) -> bool:
        """Whether a checkpoint is due, by steps or by time; ranks may differ about the time."""
        if self.config.checkpoint_every is not None:
            return self.run.step % self.config.checkpoint_every == 0

        return time.perf_counter() - self.saved > 60 * self.config.checkpoint_minutes

    def _log(self) -> None:
        """Log the means since the last call, and show them in the progress bar."""
        now, steps = time.perf_counter(), self.since_log.count
        means = self.since_log.take()
        means["clips_per_second"] = means.pop("clips") * steps / (now - self.window)
        means["seconds"] = self.run.seconds
        self.window = now

        # Two spaces between parts: `progress_bar` splits the status there if it prints lines.
        parts = [f"{name} {means[name]:.3f}" for name in self.shown if name in means]
        losses = "  ".join(parts)
        self.bar.update(self.task, status=f"{losses}  {means['clips_per_second']:.1f} clips/s")
        if self.log:
            self.log.write(self.run.step, means)

    def save(self) -> None:
        """Write a checkpoint, and delete old ones.

        best.pt is replaced if the mean loss since the last checkpoint is the lowest so far.
        """
        self.saved = time.perf_counter()
        if not self.since_checkpoint.count:
            return  # This step is saved already.

        # Means over the steps since the last checkpoint, and over all ranks.
        means = self.since_checkpoint.take()
        loss = means[self.best]
        is_best = loss < self.run.best_loss
        self.run.best_loss = min(loss, self.run.best_loss)

        if self.is_main:
            folder = self.folder / "checkpoints"
            checkpoint.save_step(folder, self.run.step, self.run.state(), best=is_best)
            checkpoint.prune(folder, self.config.keep_last)
            self._list_skipped()

    def _list_skipped(self) -> None:
        """Write the videos that cannot be used to SKIPPED; no file if there are none."""
        if self.run.skipped:
            with atomic_write(self.folder / SKIPPED, "w") as file:
                file.writelines(f"{line}\n" for line in sorted(self.run.skipped))
