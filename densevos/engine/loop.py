"""The training loop: setup -> fit -> finish, the same for every learner."""

import math
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader

from densevos.config import LoopConfig, OptimiserConfig
from densevos.data.clips import ClipBatch, ClipDataset, ClipSampler, collate
from densevos.engine import checkpoint, distributed
from densevos.engine.logging import MetricsLog, progress_bar
from densevos.engine.optimisation import choose_precision, make_optimiser, make_schedule
from densevos.errors import RunError, Stopped


@dataclass
class Run:
    """The state of a training run: all that a checkpoint holds."""

    learner: nn.Module
    optimiser: Optimizer
    schedule: LambdaLR
    scaler: torch.amp.GradScaler
    step: int = 0
    seconds: float = 0.0
    best_loss: float = math.inf
    skipped: set[str] = field(default_factory=set)

    def state(self) -> checkpoint.State:
        """Everything as tensors and plain values. Random draws of step k follow from (seed, k): nothing to keep."""
        return {
            "learner": self.learner.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
            "scaler": self.scaler.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "best_loss": self.best_loss,
            "skipped": sorted(self.skipped),
            "torch_rng": torch.get_rng_state(),
        }

    def restore(self, state: checkpoint.State) -> None:
        """Go on from a checkpoint."""
        self.learner.load_state_dict(state["learner"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.schedule.load_state_dict(state["schedule"])
        self.scaler.load_state_dict(state["scaler"])
        self.step, self.seconds, self.best_loss = state["step"], state["seconds"], state["best_loss"]
        self.skipped = set(state["skipped"])
        torch.set_rng_state(state["torch_rng"])


def fit(
    learner: nn.Module,
    clips: ClipDataset,
    optimiser_config: OptimiserConfig,
    config: LoopConfig,
    device: torch.device,
    folder: Path,
    resume_from: Path | None = None,
) -> Run:
    """Train `learner` on `clips`; checkpoints and logs go to `folder`.

    Raises RunError when a loss is not finite, Stopped after SIGTERM (the state is saved), InputError when no
    video can be used.
    """
    run, sampler = setup(learner, clips, optimiser_config, config, device)
    if resume_from is not None:
        run.restore(checkpoint.load(resume_from))
        sampler.start = run.step
    model = DistributedDataParallel(run.learner) if distributed.ranks() > 1 else run.learner
    loader = DataLoader(
        clips,
        batch_sampler=sampler,
        num_workers=config.workers,
        collate_fn=collate,
        pin_memory=device.type == "cuda",
        worker_init_fn=_leave_signals_to_parent,
    )
    precision = choose_precision(config, device)
    reporter = Reporter(run, config, folder, sampler.steps_per_epoch)
    with reporter, sigterm() as stop_asked:
        for batch in loader:
            values = train_step(model, run, batch, optimiser_config, config.seed, precision, device)
            reporter.after_step(batch, values)
            if stop_asked:
                reporter.save()
                raise Stopped(f"{folder}: saved after step {run.step}; go on with --resume auto")
    return run


def setup(
    learner: nn.Module,
    clips: ClipDataset,
    optimiser_config: OptimiserConfig,
    config: LoopConfig,
    device: torch.device,
) -> tuple[Run, ClipSampler]:
    """The run at step 0 and the order of its clips."""
    batch = min(config.batch, max(len(clips) // distributed.ranks(), 1))
    sampler = ClipSampler(
        len(clips), batch, config.epochs, config.seed, rank=distributed.rank(), ranks=distributed.ranks()
    )
    learner.to(device)
    if config.channels_last:
        learner.to(memory_format=torch.channels_last)
    learner.train()
    optimiser = make_optimiser(learner, optimiser_config)
    schedule = make_schedule(optimiser, optimiser_config, config.epochs, sampler.steps_per_epoch)
    scaler = torch.amp.GradScaler(device.type, enabled=choose_precision(config, device) == torch.float16)
    return Run(learner, optimiser, schedule, scaler), sampler


def train_step(
    model: nn.Module,
    run: Run,
    batch: ClipBatch,
    optimiser_config: OptimiserConfig,
    seed: int,
    precision: torch.dtype,
    device: torch.device,
) -> dict[str, float]:
    """One step; returns its named losses. Raises RunError, before the weights change, when the loss is not finite."""
    generator = torch.Generator().manual_seed(step_seed(seed, run.step))
    with torch.autocast(device.type, dtype=precision, enabled=precision != torch.float32):
        losses: dict[str, Tensor] = model(batch, generator)
    values = {name: float(value.detach()) for name, value in losses.items()}
    if not math.isfinite(values["loss"]):
        raise RunError(
            f"loss is {values['loss']} at step {run.step + 1}, clips {', '.join(batch.names)}; "
            "lower --optimiser.lr, set --optimiser.clip-gradient or --loop.precision fp32"
        )
    run.optimiser.zero_grad(set_to_none=True)
    run.scaler.scale(losses["loss"]).backward()
    if optimiser_config.clip_gradient is not None:
        run.scaler.unscale_(run.optimiser)
        nn.utils.clip_grad_norm_(run.learner.parameters(), optimiser_config.clip_gradient)
    values["lr"] = float(run.schedule.get_last_lr()[0])
    run.scaler.step(run.optimiser)
    run.scaler.update()
    run.schedule.step()
    run.step += 1
    return values


def step_seed(seed: int, step: int) -> int:
    """The seed of everything drawn on the device side of one step, the same on a run that was resumed."""
    return (seed * 1_000_003 + step) * max(distributed.ranks(), 1) + distributed.rank()


@contextmanager
def sigterm() -> Iterator[list[int]]:
    """Collects SIGTERM instead of dying of it: the list is non-empty once one came."""
    received: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: received.append(number))
    try:
        yield received
    finally:
        signal.signal(signal.SIGTERM, before)


def _leave_signals_to_parent(_: int) -> None:
    # A signal to the whole process group must not kill the readers before the state is saved.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


class Reporter:
    """What happens between steps: means to the log and the bar, checkpoints to disk (rank 0 alone)."""

    def __init__(self, run: Run, config: LoopConfig, folder: Path, steps_per_epoch: int):
        self.run, self.config, self.folder = run, config, folder
        self.total = config.epochs * steps_per_epoch
        self.sums: dict[str, float] = {}
        self.count = self.clips = 0
        self.leads = distributed.rank() == 0

    def __enter__(self) -> "Reporter":
        (self.folder / "checkpoints").mkdir(parents=True, exist_ok=True)
        self.log = MetricsLog(self.folder, self.run.step) if self.leads else None
        self.bar = progress_bar()
        self.bar.disable = not self.leads
        self.bar.start()
        self.task = self.bar.add_task("training", total=self.total, completed=self.run.step, status="")
        self.started = time.perf_counter() - self.run.seconds
        self.window = time.perf_counter()
        return self

    def __exit__(self, *_: Any) -> None:
        self.bar.stop()
        if self.log:
            self.log.close()

    def after_step(self, batch: ClipBatch, values: dict[str, float]) -> None:
        """Count, log every `log_every` steps, save every `checkpoint_every` and at the end."""
        self.run.skipped.update(batch.skipped)
        self.run.seconds = time.perf_counter() - self.started
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
        self.count += 1
        self.clips += len(batch.names)
        last = self.run.step == self.total
        if self.run.step % self.config.log_every == 0 or last:
            self._log()
        if self.run.step % self.config.checkpoint_every == 0 or last:
            self.save()
        self.bar.update(self.task, completed=self.run.step)

    def _log(self) -> None:
        means = {name: total / self.count for name, total in self.sums.items()}
        means["clips_per_second"] = self.clips / (time.perf_counter() - self.window)
        means["seconds"] = self.run.seconds
        self.bar.update(self.task, status=_status(means))
        if self.log:
            self.log.write(self.run.step, means)
            self._keep_best(means["loss"])
        self.sums, self.count, self.clips, self.window = {}, 0, 0, time.perf_counter()

    def _keep_best(self, loss: float) -> None:
        if loss < self.run.best_loss:
            self.run.best_loss = loss
            checkpoint.save(self.folder / "checkpoints" / "best.pt", self.run.state())

    def save(self) -> None:
        """Write a checkpoint and delete those that are no longer kept."""
        if self.leads:
            checkpoint.save(checkpoint.checkpoint_path(self.folder / "checkpoints", self.run.step), self.run.state())
            checkpoint.prune(self.folder / "checkpoints", self.config.keep_last)


def _status(means: dict[str, float]) -> str:
    shown = ("loss", "self_training", "cross_view", "agreement")
    losses = "  ".join(f"{name} {means[name]:.3f}" for name in shown if name in means)
    return f"{losses}  {means['clips_per_second']:.1f} clips/s"
