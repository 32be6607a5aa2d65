"""The training loop: setup -> fit -> finish, the same for every learner."""

import math
import os
import signal
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader

from densevos.config import LoopConfig, OptimiserConfig
from densevos.data.clips import ClipSampler, VideoDataset
from densevos.engine import checkpoint, distributed
from densevos.engine.optimisation import choose_precision, make_optimiser, make_schedule
from densevos.engine.reporter import Reporter
from densevos.engine.run import Run
from densevos.errors import InputError, RunError, Stopped


def fit(
    learner: nn.Module,
    videos: VideoDataset,
    optimiser_config: OptimiserConfig,
    config: LoopConfig,
    device: torch.device,
    folder: Path,
    resume_from: Path | None = None,
) -> Run:
    """Train `learner` on samples of `videos`; checkpoints and logs go to `folder`.

    Raises RunError when a loss is not finite, Stopped after SIGTERM (the state is saved), InputError when no
    video can be used.
    """
    run, sampler = setup(learner, videos, optimiser_config, config, device)
    if resume_from is not None:
        try:
            run.restore(checkpoint.load(resume_from))
        except (KeyError, ValueError, RuntimeError) as error:
            raise InputError(f"{resume_from}: is of another encoder or optimiser than this run's") from error
        sampler.start = run.step
    model = DistributedDataParallel(run.learner) if distributed.ranks() > 1 else run.learner
    loader = DataLoader(
        videos,
        batch_sampler=sampler,
        num_workers=min(config.workers, os.cpu_count() or 1),
        collate_fn=videos.collate,
        worker_init_fn=_leave_signals_to_parent,
    )
    precision = choose_precision(config, device)
    reporter = Reporter(run, config, folder, sampler.steps_per_epoch)
    with reporter, sigterm() as stop_asked, closing(_batches(loader)) as batches:
        for batch in batches:
            values = train_step(model, run, batch, optimiser_config, config.seed, precision, device)
            reporter.after_step(batch, values)
            if distributed.any_rank(bool(stop_asked), device):
                reporter.save()
                raise Stopped(f"{folder}: saved after step {run.step}; go on with --resume auto")
    return run


def setup(
    learner: nn.Module,
    videos: VideoDataset,
    optimiser_config: OptimiserConfig,
    config: LoopConfig,
    device: torch.device,
) -> tuple[Run, ClipSampler]:
    """The run at step 0 and the order of its clips; a batch holds no video twice, so it is at most all of them."""
    if len(videos) < distributed.ranks():
        raise InputError(f"{len(videos)} videos are fewer than the {distributed.ranks()} processes; start fewer")
    batch = min(config.batch, len(videos) // distributed.ranks())
    sampler = ClipSampler(
        len(videos), batch, config.epochs, config.seed, rank=distributed.rank(), ranks=distributed.ranks()
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
    batch: Any,
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


def _batches(loader: DataLoader) -> Generator[Any, None, None]:
    """The batches of `loader`; whatever ends the loop ends the reading processes."""
    batches = iter(loader)
    try:
        yield from batches
    except InputError as error:  # From a reading process it comes with that process's traceback before it.
        raise InputError(str(error).rpartition("InputError: ")[2]) from None
    finally:
        # Readers ignore SIGTERM, with which multiprocessing would end them at exit: it would wait for ever.
        if loader.num_workers:
            batches._shutdown_workers()  # type: ignore[attr-defined]


def _leave_signals_to_parent(_: int) -> None:
    # A signal to the whole process group must not kill the readers before the state is saved.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
