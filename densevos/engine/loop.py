"""The training loop: setup -> fit -> finish, the same for every learner."""

import itertools
import math
import signal
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from densevos.base.errors import InputError, RunError, Stopped
from densevos.config import LoopConfig
from densevos.data.clips import ClipSampler, VideoDataset
from densevos.engine import checkpoint, distributed
from densevos.engine.learner import Batch, Learner
from densevos.engine.optimisation import Optimisers, choose_precision, optimise
from densevos.engine.readers import Readers
from densevos.engine.reporter import Means, Reporter
from densevos.engine.run import Run


def fit(
    learner: Learner[Any],
    videos: VideoDataset,
    optimisers: Optimisers,
    config: LoopConfig,
    device: torch.device,
    folder: Path,
    resume_from: Path | None = None,
    *,
    shown: Sequence[str] = ("loss",),
    best: str = "loss",
) -> Run:
    """Train the parts of `learner` that `optimisers` names on samples of `videos`; `folder` gets checkpoints and logs.

    The progress bar shows the losses that `shown` names; the checkpoint with the lowest loss `best` is kept as best.pt.
    Raises RunError when a loss is not finite or videos cannot be read ahead (see `Readers`), Stopped after SIGTERM (the
    state is saved), InputError when no video can be used.
    """
    run, sampler = setup(learner, videos, optimisers, config, device)
    if resume_from is not None:
        try:
            run.restore(checkpoint.load(resume_from))
        except (KeyError, ValueError, RuntimeError) as error:
            raise InputError(f"{resume_from}: is of another encoder or optimiser than this run's") from error
        sampler.start = run.step
    model = DistributedDataParallel(run.learner) if distributed.ranks() > 1 else run.learner
    precision = choose_precision(config, device)
    reporter = Reporter(run, config, folder, sampler.steps_per_epoch, shown=shown, best=best)
    with reporter, sigterm() as stop_asked, Readers(videos, sampler, config, lambda: bool(stop_asked)) as batches:
        try:
            while step := list(itertools.islice(batches, sampler.accumulate)):
                values = train_step(model, run, step, config.seed, precision, device)
                reporter.after_step(step, values)
                if distributed.any_rank(bool(stop_asked), device):
                    raise Stopped
        except Stopped:
            reporter.save()
            raise Stopped(f"{folder}: saved after step {run.step}; go on with --resume auto") from None
    return run


def setup(
    learner: Learner[Any],
    videos: VideoDataset,
    optimisers: Optimisers,
    config: LoopConfig,
    device: torch.device,
) -> tuple[Run, ClipSampler]:
    """The run at step 0 and the order of its clips; a step sees no video twice, so it takes at most all of them."""
    if len(videos) < distributed.ranks():
        raise InputError(f"{len(videos)} videos are fewer than the {distributed.ranks()} processes; start fewer")
    share = len(videos) // distributed.ranks()
    batch = min(config.batch, share)
    sampler = ClipSampler(
        len(videos),
        batch,
        config.epochs,
        config.seed,
        rank=distributed.rank(),
        ranks=distributed.ranks(),
        accumulate=min(config.accumulate, share // batch),
    )
    learner.to(device)
    if config.channels_last:
        for tensor in itertools.chain(learner.parameters(), learner.buffers()):
            if tensor.dim() == 4:  # 3D convolutions have no such layout
                tensor.data = tensor.data.contiguous(memory_format=torch.channels_last)
    learner.train()
    parts = optimise(learner, optimisers, config.epochs, sampler.steps_per_epoch)
    scaler = torch.amp.GradScaler(device.type, enabled=choose_precision(config, device) == torch.float16)
    return Run(learner, parts, scaler), sampler


def train_step(
    model: nn.Module, run: Run, batches: Sequence[Batch], seed: int, precision: torch.dtype, device: torch.device
) -> dict[str, float]:
    """One step on the mean gradient of `batches`; returns the means of their named losses.

    Raises RunError, before the weights change, when a loss is not finite.
    """
    generator = torch.Generator().manual_seed(step_seed(seed, run.step))
    torch.manual_seed(step_seed(seed, run.step))  # dropout and stochastic depth take no generator
    run.learner.begin_step(len(batches))
    means = Means()
    for part in run.parts.values():
        part.optimiser.zero_grad(set_to_none=True)
    for number, batch in enumerate(batches, start=1):
        with _gradients_stay_here(model, number < len(batches)):
            with torch.autocast(device.type, dtype=precision, enabled=precision != torch.float32):
                losses: dict[str, Tensor] = model(batch, generator)
            values = {name: float(value.detach()) for name, value in losses.items()}
            if not math.isfinite(values["loss"]):
                raise RunError(
                    f"loss is {values['loss']} at step {run.step + 1}, clips {', '.join(batch.names)}; "
                    "lower --optimiser.lr, set --optimiser.clip-gradient or --loop.precision fp32"
                )
            run.scaler.scale(losses["loss"] / len(batches)).backward()
        means.add(values)
    values = means.take()
    for name, part in run.parts.items():
        if part.clip_gradient is not None:
            run.scaler.unscale_(part.optimiser)
            part.clip()
        values[f"lr_{name}" if "lr" in values else "lr"] = float(part.schedule.get_last_lr()[0])
        run.scaler.step(part.optimiser)
    run.scaler.update()
    for part in run.parts.values():
        part.schedule.step()
    run.step += 1
    return values


def _gradients_stay_here(model: nn.Module, wanted: bool) -> AbstractContextManager[None]:
    """Several processes average their gradients once a step, after its last batch."""
    return model.no_sync() if wanted and isinstance(model, DistributedDataParallel) else nullcontext()


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
