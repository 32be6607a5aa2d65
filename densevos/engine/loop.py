"""The training loop: setup -> fit -> finish, the same for every learner."""

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
    """Train the parts of `learner` that `optimisers` names on samples of `videos`; `folder` gets
    checkpoints and logs.

    The progress bar shows the losses that `shown` names; the checkpoint with the lowest loss `best`
    is kept as best.pt; `on_epoch` is called on rank 0 after every --loop.encoder-every epochs;
    `timer` measures what steps wait for. Raises RunError when a loss is not finite, another rank is
    lost or videos cannot be read ahead (see `Readers`), Stopped after SIGTERM (the state is saved),
    InputError when too few videos can be used.
    """
    run, sampler = setup(learner, videos, optimisers, config, device)
    if resume_from is not None:
        try:
            run.restore(checkpoint.load(resume_from))
        except (KeyError, ValueError, RuntimeError) as error:
            raise InputError(
                f"{resume_from}: is of another encoder or optimiser than this run's"
            ) from error

        sampler.start = run.step

    precision = choose_precision(config, device)
    reporter = Reporter(run, config, folder, sampler, shown=shown, best=best, on_epoch=on_epoch)
    with distributed.lost_ranks_named(), sigterm() as stop_asked, reporter:
        model = (
            DistributedDataParallel(run.learner) if distributed.world_size() > 1 else run.learner
        )
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
                reporter.save()
                if reporter.is_main:
                    raise Stopped(
                        f"{folder}: saved after step {run.step}; go on with --resume auto"
                    ) from None

                raise Stopped(f"rank {distributed.rank()}, after step {run.step}") from None

    return run


def _taken(batches: Iterator[Any], count: int, timer: StepTimer | Untimed) -> list[Batch]:
    """The next batches, `count` of them but at the end."""
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
    """The batches of this rank, read ahead; for a GPU in pinned memory."""

    def say(line: str) -> None:
        where = f"rank {distributed.rank()}: " if distributed.world_size() > 1 else ""
        print(f"{where}{line}; another process goes on", file=sys.stderr)

    with Readers(videos, sampler, config, lambda: bool(stop_asked), say) as readers:
        if device.type != "cuda":
            yield readers
            return

        with Ahead(readers, pinned) as batches:
            yield batches


def _agree(reporter: Reporter, batches: Sequence[Batch], stop_asked: bool) -> None:
    """Let all ranks know what one of them knows: that it was asked to stop, and videos that cannot
    be used.
    """
    run = reporter.run
    skipped = {line for batch in batches for line in batch.skipped} - run.skipped
    stops, news = distributed.totals((stop_asked, len(skipped)))

    if news:
        everywhere = distributed.gathered(
            (sorted(skipped), dict(run.left_out))
        )  # Readers may add to it meanwhile.
        for _, left_out in everywhere:
            run.left_out.update(left_out)

        reporter.leave_out(line for lines, _ in everywhere for line in lines)

    if stops:
        raise Stopped


def setup(
    learner: Learner[Any],
    videos: VideoDataset,
    optimisers: Optimisers,
    config: LoopConfig,
    device: torch.device,
) -> tuple[Run, ClipSampler]:
    """The run at step 0 and the order of its clips; a step sees no video twice, so it takes at most
    all of them.
    """
    ranks = distributed.world_size()
    if len(videos) < ranks:
        raise InputError(f"{len(videos)} videos are fewer than the {ranks} processes; start fewer")

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
    learner.to(device)
    if config.sync_batchnorm:
        synchronised(learner, device)
    if config.channels_last:
        for tensor in itertools.chain(learner.parameters(), learner.buffers()):
            if tensor.dim() == 4:  # 3D convolutions have no such layout
                tensor.data = tensor.data.contiguous(memory_format=torch.channels_last)

    if config.compile:
        learner.compile_step()

    learner.train()
    parts = optimise(learner, optimisers, config.epochs, sampler.steps_per_epoch)
    scaler = torch.amp.GradScaler(
        device.type, enabled=choose_precision(config, device) == torch.float16
    )

    return Run(learner, parts, scaler, left_out=videos.left_out), sampler


def batch_of_one(config: LoopConfig, ranks: int) -> int:
    """Clips that one of `ranks` processes takes a batch; InputError when --loop.global-batch cannot
    be shared.
    """
    if config.global_batch is None:
        return config.batch
    if config.global_batch % ranks:
        raise InputError(
            f"--loop.global-batch {config.global_batch}: is no multiple of the {ranks} processes"
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
    """One step on the mean gradient of `batches`; returns the means of their named losses over all
    ranks.

    The host waits for the device once, for all losses. Raises RunError, before the weights change,
    when a loss is not finite.
    """
    generator = torch.Generator().manual_seed(step_seed(seed, run.step))
    # Dropout and stochastic depth take no generator, and differ between ranks.
    torch.manual_seed(step_seed(seed, run.step) * distributed.world_size() + distributed.rank())
    run.learner.begin_step(len(batches))
    for part in run.parts.values():
        part.optimiser.zero_grad(set_to_none=True)

    losses: list[dict[str, Tensor]] = []
    for number, batch in enumerate(batches, start=1):
        with _gradients_stay_here(model, number < len(batches)), timer.part("loss"):
            with torch.autocast(device.type, dtype=precision, enabled=precision != torch.float32):
                found: dict[str, Tensor] = model(batch, generator)
            run.scaler.scale(found["loss"] / len(batches)).backward()

        losses.append({name: value.detach() for name, value in found.items()})

    with timer.part("update"):
        values = _update(run, losses, batches)

    run.step += 1
    return values


def _update(
    run: Run, losses: Sequence[dict[str, Tensor]], batches: Sequence[Batch]
) -> dict[str, float]:
    """Change the weights, unless a loss is not finite, and return what is logged of the step."""
    norms = {}
    for name, part in run.parts.items():
        run.scaler.unscale_(part.optimiser)
        norms[name] = part.gradient_norm()

    values = _read(losses, list(norms.values()), batches, run.step)
    for name, part in run.parts.items():
        part.clip(norms[name])
        values[f"lr_{name}" if "lr" in values else "lr"] = float(part.schedule.get_last_lr()[0])
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
    """The mean of each loss over batches and ranks, and the length of the gradient.

    Raises RunError when a loss that is learned from is not finite.
    """
    names = list(losses[0])
    device = losses[0]["loss"].device
    rows = [torch.stack([one[name].to(device).float() for name in names]) for one in losses]
    numbers = torch.cat([*rows, torch.stack([norm.float() for norm in norms])]).tolist()
    found = [
        numbers[start : start + len(names)]
        for start in range(0, len(rows) * len(names), len(names))
    ]
    lengths = numbers[len(rows) * len(names) :]
    by_name = [dict(zip(names, one, strict=True)) for one in found]
    wild = [
        batch for one, batch in zip(by_name, batches, strict=True) if not math.isfinite(one["loss"])
    ]
    sums = distributed.totals([sum(column) for column in zip(*found, strict=True)])
    values = {
        name: total / (len(losses) * distributed.world_size())
        for name, total in zip(names, sums, strict=True)
    }

    if not math.isfinite(values["loss"]):
        clips = [name for batch in wild for name in batch.names]
        where = f"clips {', '.join(clips)}" if clips else "in another process"
        raise RunError(
            f"loss is {values['loss']} at step {step + 1}, {where}; "
            "lower --optimiser.lr, set --optimiser.clip-gradient or --loop.precision fp32"
        )

    length = math.hypot(*lengths)
    return (
        {**values, "gradient_norm": length} if math.isfinite(length) else values
    )  # float16 overflows now and then


def _gradients_stay_here(model: nn.Module, wanted: bool) -> AbstractContextManager[None]:
    """Several processes average their gradients once a step, after its last batch."""
    return (
        model.no_sync() if wanted and isinstance(model, DistributedDataParallel) else nullcontext()
    )


def step_seed(seed: int, step: int) -> int:
    """The seed of what is drawn for the whole batch of one step: of no rank, and the same on a run
    that was resumed.
    """
    return seed * 1_000_003 + step


@contextmanager
def sigterm() -> Iterator[list[int]]:
    """Collects SIGTERM instead of dying of it: the list is non-empty once one came."""
    received: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: received.append(number))
    try:
        yield received
    finally:
        signal.signal(signal.SIGTERM, before)
