"""A training step of DUL against the plain formulation, and its affinity and losses alone.

    python benchmarks/training_step.py [--device cpu] [--batch 4] [--rounds 3] [--compile]
        [--clips 4 8 16 32]

Step: forward and backward pass on the same clips, weights and random draws.

* plain computes in float32 in contiguous layout. It has the affinity of all cells of both views to
  all anchors in memory, moved from view to view as logits, as the authors' release does.
* ours fp32 is our formulation in float32, which must give the same losses.
* ours is what `densevos train` does on this machine (bfloat16 where it is multiplied natively,
  channels last), which must give the same losses within that precision.
* ours compiled, with --compile: torch.compile of the encoder and of the losses, one graph each.

The sides take turns, and the fastest of --rounds counts, so other work on the machine touches all
alike. CPU seconds stand beside seconds of the clock for the same reason.

Affinity: losses and gradients of given keys, for more and more clips (T = 5) and more and more
frames. Memory is the largest resident one of a row less what was there before. A row that would
need more than --limit-gb is left out, and its size is given. The number of logits bounds it:
B (T - 1) h w cells times B N^2 anchors. `peak per logit` is how many float32 of memory each logit
of ours takes, `ns per logit` how much time of a processor.

The script prints tables and, as the last line, one JSON object.

Shapes: B clips, T frames, N anchors a side, h x w cells, C or K channels.
"""

import argparse
import copy
import ctypes
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

import page_tables
from densevos.config import EncoderConfig, LoopConfig, SelfTrainingConfig, ViewConfig
from densevos.data.clips import ClipBatch
from densevos.engine.optimisation import choose_precision
from densevos.engine.provenance import commit, processor
from densevos.learners.self_training import SelfTraining, losses_at
from densevos.learners.views import make_views
from densevos.models.encoder import DenseEncoder, normalise
from densevos.objectives.anchors import gather_cells, grid_indices
from harness import Row, parser_of, peak_mb, report, resident_mb

# Pixels of a cell along a side, and channels K of a key, as in the recipe of DUL.
STRIDE, KEYS = 8, 128
GB = 2**30
OBJECTIVE = SelfTrainingConfig()
Losses = dict[str, Tensor]


def main() -> None:
    """Measure the step, then the affinity alone."""
    parser = parser_of(__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch", type=int, default=4, help="clips of a step")
    parser.add_argument("--frames", type=int, default=5, help="T")
    parser.add_argument("--size", type=int, default=256, help="side of the frames, pixels")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--clips", type=int, nargs="*", default=[4, 8, 16, 32], help="of the rows of the affinity"
    )
    parser.add_argument("--limit-gb", type=float, default=8)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--compile", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    step, breaks = step_rows(options)
    figures = figures_of(step, affinity_rows(options))
    if options.compile:
        figures["graph_breaks"] = breaks

    # The settings that the rows do not have themselves.
    about = {}
    for name in ("device", "batch", "frames", "size", "rounds", "threads"):
        about[name] = getattr(options, name)

    tables = [page_tables.training_step(figures), page_tables.affinity(figures)]
    report({**figures, **about, **circumstances()}, *tables, out=options.out)


def circumstances() -> dict[str, str | None]:
    """Where, when and of which source this was measured."""
    return {
        "machine": f"{processor()}, {os.cpu_count()} cores",
        "load": f"{os.getloadavg()[0]:.1f}",
        "date": time.strftime("%Y-%m-%d"),
        "commit": commit(),
        "torch": torch.__version__,
    }


# --- the step


@dataclass
class Side:
    """One way to compute a step, and what was measured of it."""

    step: Callable[[], Losses]
    learner: SelfTraining
    seconds: float = float("inf")
    cpu_seconds: float = float("inf")
    losses: dict[str, float] | None = None

    def measure(self) -> None:
        """Take a step; keep its time where it is the shortest so far, and its losses."""
        self.learner.zero_grad()

        # A GPU works on after a call returns, so wait before both clocks start and stop.
        wait()
        start, start_cpu = time.perf_counter(), time.process_time()
        losses = self.step()
        losses["loss"].backward()
        wait()
        self.seconds = min(self.seconds, time.perf_counter() - start)
        self.cpu_seconds = min(self.cpu_seconds, time.process_time() - start_cpu)
        self.losses = {name: loss.item() for name, loss in losses.items()}


def step_rows(options: argparse.Namespace) -> tuple[list[Row], int]:
    """A row of each side, and the graph breaks of the compiled one.

    Raises:
        AssertionError: losses differ.
    """
    # Noise: what frames show has no influence on the time of a step.
    shape = (options.batch, options.frames, 3, options.size, options.size)
    draw = torch.Generator().manual_seed(0)
    frames = torch.randint(0, 256, shape, dtype=torch.uint8, generator=draw)
    batch = ClipBatch(frames=frames, names=("clip",) * options.batch, skipped=())
    sides, breaks = sides_of(batch, torch.device(options.device), compiled=options.compile), 0

    for number in range(options.rounds + 1):
        for side in sides.values():
            side.measure()
            # The first round fills caches and compiles, so it does not count.
            if number == 0:
                side.seconds = side.cpu_seconds = float("inf")

    # torch counts for the whole process where it could not compile in one graph.
    if options.compile:
        breaks = sum(torch._dynamo.utils.counters["graph_break"].values())

    check(sides)
    count = options.batch * options.frames
    return [row_of(name, side, count) for name, side in sides.items()], breaks


def wait() -> None:
    """Wait for the GPU, where there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def sides_of(batch: ClipBatch, device: torch.device, *, compiled: bool) -> dict[str, Side]:
    """Every side, with the same weights.

    Each has a copy of its own, because running statistics of BatchNorm move.
    """
    torch.manual_seed(0)
    learner = SelfTraining(
        DenseEncoder(EncoderConfig(stride=STRIDE, key_channels=KEYS)), OBJECTIVE, ViewConfig()
    )
    learner.to(device)
    native = choose_precision(LoopConfig(), device)

    def ours(precision: torch.dtype, *, compiled: bool = False) -> Side:
        own = in_channels_last(copy.deepcopy(learner))
        if compiled:
            own.compile_step()

        def step() -> Losses:
            with torch.autocast(device.type, precision, enabled=precision != torch.float32):
                return own(batch, torch.Generator().manual_seed(0))

        return Side(step, own)

    # The same seed for all sides: augmentations and anchors are then the same.
    def plain() -> Losses:
        return plain_step(learner, batch, torch.Generator().manual_seed(0))

    # Copies are made before the first step, so all sides have the same weights and statistics.
    sides = {
        "plain": Side(plain, learner),
        "ours fp32": ours(torch.float32),
        "ours": ours(native),
    }
    if compiled:
        sides["ours compiled"] = ours(native, compiled=True)

    return sides


def in_channels_last(learner: SelfTraining) -> SelfTraining:
    """The learner laid out as the loop lays it out."""
    # Only weights of convolutions have four dimensions, which the layout is about.
    for tensor in (*learner.parameters(), *learner.buffers()):
        if tensor.dim() == 4:
            tensor.data = tensor.data.contiguous(memory_format=torch.channels_last)

    return learner


def check(sides: dict[str, Side]) -> None:
    """Check that a side's losses are those of the plain formulation, within its precision.

    Raises:
        AssertionError: they differ by more.
    """
    plain = sides["plain"].losses
    assert plain is not None
    for name, side in sides.items():
        assert side.losses is not None
        # Where bfloat16 makes another anchor the dominant one, its label differs.
        tolerance = 1e-3 if name == "ours fp32" else 3e-2

        for loss in ("loss", "self_training", "cross_view"):
            difference = abs(side.losses[loss] - plain[loss])
            assert difference < tolerance * plain[loss], (name, loss, side.losses, plain)


def row_of(name: str, side: Side, frames: int) -> Row:
    """What was measured of a side, which has computed so many frames a step."""
    assert side.losses is not None
    return {
        "side": name,
        "seconds": round(side.seconds, 3),
        "cpu_seconds": round(side.cpu_seconds, 3),
        "frames_per_second": round(frames / side.seconds, 2),
        "loss": round(side.losses["loss"], 4),
    }


# --- the plain formulation


def plain_step(learner: SelfTraining, batch: ClipBatch, generator: torch.Generator) -> Losses:
    """The step of Sec. 3.3 as the release takes it: float32, contiguous."""
    frames = batch.frames.to(next(learner.parameters()).device)
    views = make_views(normalise(frames.float() / 255), learner.views, generator)
    count = views.first.shape[1]

    def encoded(frames: Tensor) -> Tensor:
        return learner.encoder(frames.flatten(0, 1)).unflatten(0, frames.shape[:2])

    # Only the first view and the reference frame of the second one need gradients.
    main = encoded(torch.cat([views.first, views.second[:, :1]], dim=1))
    with torch.no_grad():
        later = encoded(views.second[:, 1:])

    # Keys of both views [B,T,K,h,w].
    first, second = main[:, :count], torch.cat([main[:, count:], later], dim=1)

    # Cells of the anchors first, then those of the cross-view loss, as our step draws them.
    grids = (OBJECTIVE.anchor_grid, OBJECTIVE.cross_view_grid)
    indices = [grid_indices(len(first), *first.shape[-2:], cells, generator) for cells in grids]
    return plain_losses(first, second, views.theta, indices[0], indices[1])


def plain_losses(
    first: Tensor, second: Tensor, theta: Tensor, anchors: Tensor, cells: Tensor
) -> Losses:
    """Losses at given anchors and cells.

    The affinity of all cells of both views to all anchors is in memory.

    Args:
        first: keys [B,T,K,h,w] of the first view.
        second: keys [B,T,K,h,w] of the second view.
        theta: affine maps [B,2,3] from the first view to the second.
        anchors: indices [B,N^2] of the anchors' cells.
        cells: indices of the cells of the cross-view loss.
    """
    clips, count = first.shape[:2]
    own = anchors.shape[1]

    # Similarities of every cell of both views to every anchor, as logits.
    q = gather_cells(first[:, 0], anchors).flatten(0, 1)  # [B*N^2,K]
    v = torch.einsum("btkhw,ak->btahw", first, q).flatten(0, 1) / OBJECTIVE.temperature

    # The second view gives labels, so no gradient goes through it. [B*T,B*N^2,h,w] like v.
    logits = torch.einsum("btkhw,ak->btahw", second.detach(), q.detach())
    v_hat = logits.flatten(0, 1) / OBJECTIVE.temperature
    aligned = moved(v, theta, count)

    # Whether an anchor is of the clip that a frame is of, [B*T,B*N^2].
    numbers = torch.arange(clips, device=first.device)
    among = numbers.repeat_interleave(count)[:, None] == numbers.repeat_interleave(own)

    # Labels come from the second view, among the anchors of the same clip.
    shares = torch.softmax(v_hat, dim=1) * among[:, :, None, None]
    labels = shares.argmax(dim=1)

    # The reference frame, which the anchors are from, has no part in the mean.
    errors = F.cross_entropy(aligned, labels, reduction="none").unflatten(0, (clips, count))
    self_training = errors[:, 1:].mean()

    # Cross-view: a cell of the aligned first view is to match itself in the second one.
    r = gather_cells(moved(first[:, 0], theta, 1), cells).flatten(0, 1)
    r_hat = gather_cells(second[:, 0], cells).flatten(0, 1)
    cross_view = F.cross_entropy(
        r @ r_hat.T / OBJECTIVE.temperature, torch.arange(len(r), device=r.device)
    )
    loss = self_training + OBJECTIVE.cross_view_weight * cross_view

    return {"loss": loss, "self_training": self_training, "cross_view": cross_view}


def moved(maps: Tensor, theta: Tensor, count: int) -> Tensor:
    """Maps [B*count,C,h,w] of the first view onto the second."""
    grid = F.affine_grid(
        theta.repeat_interleave(count, dim=0), list(maps.shape), align_corners=False
    )
    return F.grid_sample(maps, grid, mode="nearest", align_corners=False)


# --- affinity and losses alone


def affinity_rows(options: argparse.Namespace) -> list[Row]:
    """Rows for more and more clips of five frames, then for fewer frames of half the most clips."""
    sizes = [(clips, 5) for clips in options.clips]
    if options.clips:
        sizes += [(options.clips[-1] // 2 or 1, frames) for frames in (2, 3, 4)]

    side, most = options.size // STRIDE, options.limit_gb * GB
    device = torch.device(options.device)

    rows = []
    for clips, frames in sizes:
        for kind in ("plain", "ours"):
            rows.append(affinity_row(kind, clips, frames, side, most, device))

    return rows


def logits_of(kind: str, clips: int, frames: int, side: int) -> int:
    """Entries of the affinity that is in memory.

    The plain side's has the reference frame as well, and both views.
    """
    counted = frames - 1
    if kind == "plain":
        counted = 2 * frames

    cells = clips * side**2 * counted
    return cells * clips * OBJECTIVE.anchor_grid**2


def affinity_row(
    kind: str, clips: int, frames: int, side: int, most: float, device: torch.device
) -> Row:
    """Time (the faster of two) and memory of losses and gradients of given keys.

    A row that would need more than `most` bytes has its size alone.
    """
    # Counted with four float32 of 4 bytes a logit, for what the losses and their gradients keep.
    logits = logits_of("ours", clips, frames, side)
    if logits_of(kind, clips, frames, side) * 4 * 4 > most:
        return {
            "side": kind,
            "clips": clips,
            "frames": frames,
            "logits": logits,
            "by": "size alone",
        }

    torch.manual_seed(0)
    shape = (clips, frames, KEYS, side, side)
    first = F.normalize(torch.randn(shape), dim=2).to(device)
    second = F.normalize(torch.randn(shape), dim=2).to(device)
    first.requires_grad_()

    # A view that is a crop of the other, as augmentation gives it.
    theta = torch.tensor([[0.75, 0, 0.1], [0, 0.75, -0.1]]).repeat(clips, 1, 1).to(device)
    draw = torch.Generator().manual_seed(0)
    grids = (OBJECTIVE.anchor_grid, OBJECTIVE.cross_view_grid)
    anchors, cells = (grid_indices(clips, side, side, grid, draw) for grid in grids)

    # Two turns: the first one also fills caches.
    memory = Memory(device)
    seconds, cpu_seconds, loss = [], [], 0.0

    for _ in range(2):
        first.grad = None
        wait()
        start, start_cpu = time.perf_counter(), time.process_time()

        if kind == "plain":
            losses = plain_losses(first, second, theta, anchors, cells)
        else:
            losses = losses_at(first, second, theta, anchors, cells, OBJECTIVE)

        losses["loss"].backward()
        wait()
        seconds.append(time.perf_counter() - start)
        cpu_seconds.append(time.process_time() - start_cpu)
        loss = losses["loss"].item()

    peak = memory.peak_mb()
    return {
        "side": kind,
        "clips": clips,
        "frames": frames,
        "logits": logits,
        "seconds": round(min(seconds), 3),
        "peak_mb": round(peak),
        "peak_per_logit": round(peak * 2**20 / 4 / logits, 1),
        "ns_per_logit": round(min(cpu_seconds) / logits * 1e9, 2),
        "loss": round(loss, 4),
        "by": "measured",
    }


class Memory:
    """The most memory from now on, less what is used now: of the GPU, or else of the process."""

    def __init__(self, device: torch.device) -> None:
        self.gpu = device.type == "cuda"
        if self.gpu:
            torch.cuda.reset_peak_memory_stats()
            self.before = torch.cuda.memory_allocated() / 2**20
        else:
            # Give back what was freed, and forget the largest so far: writing 5 resets VmHWM.
            ctypes.CDLL(None).malloc_trim(0)
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
            self.before = resident_mb()

    def peak_mb(self) -> float:
        """Megabytes."""
        most = peak_mb()
        if self.gpu:
            most = torch.cuda.max_memory_allocated() / 2**20

        return most - self.before


# --- what is written


def figures_of(step: list[Row], alone: list[Row]) -> dict[str, object]:
    """All rows, and how many times as fast as the plain side the others are."""
    by_side = {row["side"]: row for row in step}
    plain = by_side["plain"]
    figures: dict[str, object] = {"step": step, "affinity": alone}
    for name, row in by_side.items():
        if name == "plain":
            continue

        key = str(name).replace(" ", "_")
        times = float(plain["seconds"]) / float(row["seconds"])
        cpu_times = float(plain["cpu_seconds"]) / float(row["cpu_seconds"])
        figures[f"speedup_{key}"] = round(times, 2)
        figures[f"cpu_speedup_{key}"] = round(cpu_times, 2)

    return figures


if __name__ == "__main__":
    main()
