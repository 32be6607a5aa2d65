"""The training loop, the same for every learner: set up, take steps, report.

A step takes one or several batches (--loop.accumulate), computes their losses, averages the
gradients over batches and ranks, and updates the weights once. In between, the `Reporter` logs and
saves. Everything that a step draws follows from the seed and the step's number, so a run that is
resumed ends bit for bit like one that was never interrupted.
"""

import itertools
import math
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
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
from densevos.engine.ahead import Ahead, pinned
from densevos.engine.batchnorm import synchronised
from densevos.engine.learner import Batch, Learner
from densevos.engine.optimisation import Optimisers, choose_precision, optimise
from densevos.engine.profile import StepTimer, Untimed
from densevos.engine.readers import Readers
from densevos.engine.reporter import Reporter
from densevos.engine.run import Run

UNTIMED = Untimed()


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
    on_epoch: Callable[[int], object] = lambda epoch: None,
    timer: StepTimer | Untimed = UNTIMED,
) -> Run:
    """Train a learner until the last epoch, and write checkpoints and logs.

    Args:
        learner: The networks and objectives to train.
        videos: The data set that samples are drawn from.
        optimisers: The parts of `learner` that are trained, and how.
        config: Options of the loop.
        device: Where the networks compute.
        folder: The run folder, which gets checkpoints and logs.
        resume_from: The checkpoint to continue from; None starts at step 0.
        shown: Names of the losses in the progress bar.
        best: Name of the loss whose lowest mean selects best.pt.
        on_epoch: Called on rank 0 with the number of epochs after every --loop.encoder-every.
        timer: Measures what steps wait for.

    Returns:
        The state of the run after its last step.

    Raises:
        InputError: Too few videos can be used, or `resume_from` does not fit this run.
        RunError: A loss is not finite, another rank is lost, or videos cannot be read ahead (see
            `Readers`).
        Stopped: SIGTERM came; the state is saved.
    """
    run, sampler = setup(learner, videos, optimisers, config, device)
    if resume_from is not None:
        try:
            run.restore(checkpoint.load(resume_from))
        except (KeyError, ValueError, RuntimeError) as error:
            raise InputError(
                f"{resume_from}: is of another encoder or optimiser than this run's"
            ) from error

        # The sampler's order follows from the seed, so it can start at any step.
        sampler.start = run.step

    precision = choose_precision(config, device)
    reporter = Reporter(run, config, folder, sampler, shown=shown, best=best, on_epoch=on_epoch)
    with distributed.lost_ranks_named(), sigterm() as stop_asked, reporter:
        # Averages the gradients of all ranks in the backward pass.
        model: nn.Module = run.learner
        if distributed.world_size() > 1:
            model = DistributedDataParallel(run.learner)

        with (
            timer.watch(run.learner),
            _batches(videos, sampler, config, device, stop_asked) as batches,
        ):
            try:
                while step := _taken(batches, sampler.accumulate, timer):
                    values = train_step(model, run, step, config.seed, precision, device, timer)
                    reporter.after_step(step, values)
                    _agree(reporter, step, bool(stop_asked))
                    timer.end_step()
            except Stopped:
                # Between two steps, so the state is that of a finished step.
                reporter.save()
                if reporter.is_main:
                    raise Stopped(
                        f"{folder}: saved after step {run.step}; go on with --resume auto"
                    ) from None

                raise Stopped(f"rank {distributed.rank()}, after step {run.step}") from None

    return run


def _taken(batches: Iterator[Any], count: int, timer: StepTimer | Untimed) -> list[Batch]:
    """The next `count` batches; fewer at the end, and none after it."""
    with timer.part("data"):
        return list(itertools.islice(batches, count))


@contextmanager
def _batches(
    videos: VideoDataset,
    sampler: ClipSampler,
    config: LoopConfig,
    device: torch.device,
    stop_asked: list[int],
) -> Iterator[Iterator[Any]]:
    """The batches of this rank, read ahead; in pinned memory if they go to a GPU."""

    def report_loss(line: str) -> None:
        prefix = f"rank {distributed.rank()}: " if distributed.world_size() > 1 else ""
        print(f"{prefix}{line}; another process goes on", file=sys.stderr)

    with Readers(videos, sampler, config, lambda: bool(stop_asked), report_loss) as readers:
        if device.type != "cuda":
            yield readers
            return

        with Ahead(readers, pinned) as batches:
            yield batches


def _agree(reporter: Reporter, batches: Sequence[Batch], stop_asked: bool) -> None:
    """Share between ranks which videos cannot be used, and stop all if one was asked to stop."""
    run = reporter.run
    skipped: set[str] = set()
    for batch in batches:
        skipped.update(batch.skipped)

    skipped -= run.skipped
    stops, new_lines = distributed.totals((stop_asked, len(skipped)))

    # The sums are the same on all ranks, so all ranks enter the exchange, or none.
    if new_lines:
        # The dictionary is copied because readers may add to it meanwhile.
        from_ranks = distributed.gathered((sorted(skipped), dict(run.left_out)))
        for _, left_out in from_ranks:
            run.left_out.update(left_out)

        reporter.leave_out(itertools.chain.from_iterable(lines for lines, _ in from_ranks))

    if stops:
        raise Stopped


def setup(
    learner: Learner[Any],
    videos: VideoDataset,
    optimisers: Optimisers,
    config: LoopConfig,
    device: torch.device,
) -> tuple[Run, ClipSampler]:
    """Make the run at step 0 and the order of its clips.

    Args:
        learner: The networks and objectives; they move to `device`.
        videos: The data set.
        optimisers: The parts of `learner` that are trained, and how.
        config: Options of the loop.
        device: Where the networks compute.

    Returns:
        The run, and the sampler of this rank's batches.

    Raises:
        InputError: There are fewer videos than processes, or the batch cannot be shared equally.
    """
    ranks = distributed.world_size()
    if len(videos) < ranks:
        raise InputError(f"{len(videos)} videos are fewer than the {ranks} processes; start fewer")

    # A step sees no video twice, so a small data set bounds the batch and the accumulation.
    share = len(videos) // ranks
    batch = min(batch_of_one(config, ranks), share)
    sampler = ClipSampler(
        len(videos),
        batch,
        config.epochs,
        config.seed,
        rank=distributed.rank(),
        ranks=ranks,
        accumulate=min(config.accumulate, share // batch),
    )

    # Optimisers come after this: they must hold the parameters that are on the device.
    learner.to(device)
    if config.sync_batchnorm:
        synchronised(learner, device)

    # Convolutions in float16 and bfloat16 are faster with channels as the last dimension.
    if config.channels_last:
        for tensor in itertools.chain(learner.parameters(), learner.buffers()):
            # Module.to(memory_format=...) would refuse 3D convolutions, which have no such layout.
            if tensor.dim() == 4:
                tensor.data = tensor.data.contiguous(memory_format=torch.channels_last)

    if config.compile:
        learner.compile_step()

    learner.train()
    parts = optimise(learner, optimisers, config.epochs, sampler.steps_per_epoch)

    # Only float16 needs loss scaling: bfloat16 has the exponents of float32.
    scales_loss = choose_precision(config, device) == torch.float16
    scaler = torch.amp.GradScaler(device.type, enabled=scales_loss)

    return Run(learner, parts, scaler, left_out=videos.left_out), sampler


def batch_of_one(config: LoopConfig, ranks: int) -> int:
    """Clips per batch of one process.

    Args:
        config: Options of the loop.
        ranks: Number of processes.

    Returns:
        --loop.batch, or this process's share of --loop.global-batch.

    Raises:
        InputError: --loop.global-batch is not a multiple of `ranks`.
    """
    if config.global_batch is None:
        return config.batch
    if config.global_batch % ranks:
        raise InputError(
            f"--loop.global-batch {config.global_batch}: is not a multiple of the {ranks} processes"
        )

    return config.global_batch // ranks


def train_step(
    model: nn.Module,
    run: Run,
    batches: Sequence[Batch],
    seed: int,
    precision: torch.dtype,
    device: torch.device,
    timer: StepTimer | Untimed = UNTIMED,
) -> dict[str, float]:
    """Take one step along the mean gradient of several batches.

    The host waits for the device only once, for all losses.

    Args:
        model: The learner, wrapped in DistributedDataParallel if there are several processes.
        run: The run, which is changed in place.
        batches: The batches of this step, of this rank.
        seed: Seed of the run.
        precision: Number format of the networks.
        device: Where the networks compute.
        timer: Measures what the step waits for.

    Returns:
        Name -> mean of each loss over batches and ranks, the gradient's norm and learning rates.

    Raises:
        RunError: A loss is not finite; the weights are still those of the step before.
    """
    generator = torch.Generator().manual_seed(step_seed(seed, run.step))
    # Dropout and stochastic depth draw from torch's global generator. They must differ between
    # ranks, which see different clips.
    torch.manual_seed(step_seed(seed, run.step) * distributed.world_size() + distributed.rank())
    run.learner.begin_step(len(batches))

    # None instead of zeros: the first backward pass then writes gradients instead of adding them.
    for part in run.parts.values():
        part.optimiser.zero_grad(set_to_none=True)

    losses: list[dict[str, Tensor]] = []
    for number, batch in enumerate(batches, start=1):
        with _gradients_stay_here(model, number < len(batches)), timer.part("loss"):
            with torch.autocast(device.type, dtype=precision, enabled=precision != torch.float32):
                batch_losses: dict[str, Tensor] = model(batch, generator)

            # Divided, so that the gradients of all batches add up to their mean.
            run.scaler.scale(batch_losses["loss"] / len(batches)).backward()

        losses.append({name: value.detach() for name, value in batch_losses.items()})

    with timer.part("update"):
        values = _update(run, losses, batches)

    run.step += 1
    return values


def _update(
    run: Run, losses: Sequence[dict[str, Tensor]], batches: Sequence[Batch]
) -> dict[str, float]:
    """Change the weights, unless a loss is not finite, and return what the log gets."""
    # Norms are of the true gradient, so loss scaling is undone first.
    norms = {}
    for name, part in run.parts.items():
        run.scaler.unscale_(part.optimiser)
        norms[name] = part.gradient_norm()

    values = _read(losses, list(norms.values()), batches, run.step)

    # The first part's rate is logged as lr, so that runs with one part and with several have a
    # curve in common; every other part adds lr_NAME.
    for number, (name, part) in enumerate(run.parts.items()):
        rate_name = "lr" if number == 0 else f"lr_{name}"
        values[rate_name] = float(part.schedule.get_last_lr()[0])
        part.clip(norms[name])
        run.scaler.step(part.optimiser)

    run.scaler.update()
    for part in run.parts.values():
        part.schedule.step()

    return values


def _read(
    losses: Sequence[dict[str, Tensor]],
    norms: Sequence[Tensor],
    batches: Sequence[Batch],
    step: int,
) -> dict[str, float]:
    """The mean of each loss over batches and ranks, and the gradient's norm; see `train_step`."""
    names = list(losses[0])
    loss_rows, part_norms = _copied_to_host(losses, norms)

    sums = distributed.totals([sum(column) for column in zip(*loss_rows, strict=True)])
    values = {}
    for name, total in zip(names, sums, strict=True):
        values[name] = total / (len(losses) * distributed.world_size())

    # Only the loss that is learned from must be finite; the others are just logged.
    if not math.isfinite(values["loss"]):
        clips: list[str] = []
        for row, batch in zip(loss_rows, batches, strict=True):
            if not math.isfinite(row[names.index("loss")]):
                clips.extend(batch.names)

        origin = f"clips {', '.join(clips)}" if clips else "in another process"
        raise RunError(
            f"loss is {values['loss']} at step {step + 1}, {origin}; "
            "lower --optimiser.lr, set --optimiser.clip-gradient or --loop.precision fp32"
        )

    # In float16 a gradient overflows now and then; the scaler skips that step.
    norm = math.hypot(*part_norms)
    if math.isfinite(norm):
        values["gradient_norm"] = norm

    return values


def _copied_to_host(
    losses: Sequence[dict[str, Tensor]], norms: Sequence[Tensor]
) -> tuple[list[list[float]], list[float]]:
    """The losses of each batch [batches][names], and the norms, in one copy from the device."""
    device = losses[0]["loss"].device
    width = len(losses[0])
    names = list(losses[0])

    rows = []
    for batch_losses in losses:
        rows.append(torch.stack([batch_losses[name].to(device).float() for name in names]))

    # One tensor, so that the host waits for the device only once.
    rows.append(torch.stack([norm.float() for norm in norms]))
    numbers: list[float] = torch.cat(rows).tolist()

    end = len(losses) * width
    loss_rows = [numbers[start : start + width] for start in range(0, end, width)]

    return loss_rows, numbers[end:]


def _gradients_stay_here(model: nn.Module, wanted: bool) -> AbstractContextManager[None]:
    """Keep gradients in this process: ranks average them once a step, after its last batch."""
    if wanted and isinstance(model, DistributedDataParallel):
        return model.no_sync()

    return nullcontext()


def step_seed(seed: int, step: int) -> int:
    """Seed of what one step draws for the batch of all ranks together.

    It depends on no rank and on no earlier step, so a resumed run draws the same.

    Args:
        seed: Seed of the run.
        step: Number of finished steps.

    Returns:
        The seed.
    """
    return seed * 1_000_003 + step


@contextmanager
def sigterm() -> Iterator[list[int]]:
    """Collect SIGTERM instead of dying of it: the list is not empty once the signal came."""
    # The loop looks at the list after every step, and saves: a handler that raised an error could
    # leave the weights half updated.
    received: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: received.append(number))
    try:
        yield received
    finally:
        signal.signal(signal.SIGTERM, before)
