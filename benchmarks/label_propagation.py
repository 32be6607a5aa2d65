"""Label propagation against the plain formulation, side by side in one run.

    python benchmarks/label_propagation.py [--case davis] [--frames 3] [--device cpu]
    python benchmarks/label_propagation.py --case dinov3
    python benchmarks/label_propagation.py --device cuda --search windows-bf16

Both sides propagate the same features with a full context.

* davis is DUL's protocol on 480x854 at stride 8.
* dinov3 is the protocol of DINOv3's notebook: 60x80 cells of 1,024 channels, 7 + 1 frames and
  6 objects. There the plain side holds all similarities of a frame at once, as the notebook does.

--height, --width and --channels replace those of the case. --search chooses how cells are compared:
tiles (the default on a CPU), windows (the default on a GPU), or windows-bf16. For the last one the
JSON also has the share of cells whose matches may lack one (`doubtful`).

The script prints a table and, as the last line, one JSON object:

* floor: the time of the similarities that can be chosen, at the float32 matrix speed measured in
  the same run. They are all of the reference frame where it is not restricted, and a disc in each
  other frame.
* peak_mb: what ours takes beyond the first frame's features; grown_mb: how much of it came after
  the context was full.
* estimate: what the same would cost on an H200 with windows, see costs.py; goal: the frames a
  second that are aimed at there.

--estimate measures nothing. It prints the estimates of both cases in fp32 and bf16, and those of
davis with a ResNet-18 before it and the labels of pixels after it.

Shapes: C channels, L labels, n context frames, h x w cells.
"""

import argparse
import os
import statistics
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

import page_tables
from costs import H200, Costs, costs_of
from densevos_eval.adapters.frames import FrameSizes
from densevos_eval.adapters.specs import load_backbone
from densevos_eval.presets.registry import PRESETS
from densevos_eval.propagation.cells import enlarged_labels, labels_of_pixels
from densevos_eval.propagation.labels import LabelPropagation
from densevos_eval.propagation.search import is_near
from densevos_eval.propagation.searches import tile_search, window_search
from densevos_eval.propagation.settings import MaskConfig, PropagationConfig
from harness import Row, device_name, parser_of, peak_mb, report, resident_mb, table, timed


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is propagated.

    Args:
        height, width: cells of a frame.
        channels: channels of the features.
        labels: labels, the background among them.
        config: settings of the propagation.
        block: queries that the plain side compares at once.
        goal: frames a second that are aimed at on an H200.
    """

    height: int
    width: int
    channels: int
    labels: int
    config: PropagationConfig
    block: int
    goal: int


# windows-bf16 compares candidates in bfloat16 first, and the best of them again in float32.
SEARCHES = {
    "tiles": tile_search,
    "windows": window_search,
    "windows-bf16": partial(window_search, bf16=True),
}
# 480x854 pixels at stride 8 are 60x107 cells. Labels count the background: 3 objects for davis, 6
# for dinov3. A block of 10**9 queries is more than a frame has, so there is one block.
CASES = {
    "davis": Case(
        height=60,
        width=107,
        channels=512,
        labels=4,
        config=PRESETS["dul"].setup.propagation,
        block=100,
        goal=60,
    ),
    "dinov3": Case(
        height=60,
        width=80,
        channels=1024,
        labels=7,
        config=PRESETS["dinov3"].setup.propagation,
        block=10**9,
        goal=20,
    ),
}


def main() -> None:
    """Measure, print, and write the JSON where asked."""
    parser = parser_of(__doc__)
    parser.add_argument("--case", choices=CASES, default="davis")
    parser.add_argument("--frames", type=int, default=3, help="frames that are measured")
    parser.add_argument("--height", type=int)
    parser.add_argument("--width", type=int)
    parser.add_argument("--channels", type=int)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--search", choices=SEARCHES)
    parser.add_argument("--estimate", action="store_true", help="estimate only, both cases")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    # Estimates count work on tensors without values, so they need no GPU.
    if options.estimate:
        rows = estimates()
        names = next(iter(rows.values()))  # All rows have the same keys.
        cells = [[name, *row.values()] for name, row in rows.items()]
        report(rows, table(["", *names], cells), out=options.out)

        return

    if options.search is None:
        options.search = "tiles" if options.device == "cpu" else "windows"

    figures = measure(options, case_of(options))
    report(figures, table_of(figures), out=options.out)


def case_of(options: argparse.Namespace) -> Case:
    """The case of the options, at their size."""
    case = CASES[options.case]
    changes = {}
    for name in ("height", "width", "channels"):
        value = getattr(options, name)
        if value:
            changes[name] = value

    return replace(case, **changes)


def at_pixels(soft: Tensor) -> Tensor:
    """Labels [8h,8w] of soft masks [L,h,w], at the size of the frame."""
    size = (8 * soft.shape[1], 8 * soft.shape[2])
    sizes = FrameSizes(frame=size, encoded=size, covered=size)
    return torch.from_numpy(enlarged_labels(soft, list(range(len(soft))), sizes, MaskConfig()))


@torch.inference_mode()
def measure(options: argparse.Namespace, case: Case) -> Row:
    """Time, memory and agreement of both sides over the same frames, and the floor."""
    device = torch.device(options.device)
    # The first frame that sees a full context: the reference frame and `context` recent ones.
    full = case.config.context + 1
    ours = run_ours(case, options.search, full + options.frames, device)
    seconds, difference, equal = run_plain(case, ours.soft, full, device)

    floor = floor_seconds(case, device)
    estimate = estimated(case, bf16=options.search == "windows-bf16")

    # Only frames with a full context count, on both sides.
    mine = statistics.median(ours.seconds[full:])
    theirs = statistics.median(seconds)

    row: Row = {
        "case": options.case,
        "speedup": round(theirs / mine, 2),
        "max_abs_diff": difference,
        "labels_equal": equal,
        "floor_ratio": round(mine / floor, 2),
        "seconds_dense": round(theirs, 4),
        "seconds_ours": round(mine, 4),
        "seconds_floor": round(floor, 4),
        "frames_per_second": round(1 / mine, 2),
        "goal_h200": case.goal,
    }
    for name, value in figures_of(estimate).items():
        row[f"estimate_{name}"] = value

    return row | {
        "doubtful": round(ours.doubtful, 4),
        "peak_mb": round(ours.peak_mb),
        "grown_mb": round(ours.grown_mb),
        "peak_mb_dense": round(peak_mb(device) - ours.before_mb),
        "frames": options.frames,
        "cells": f"{case.height}x{case.width}",
        "channels": case.channels,
        "objects": case.labels - 1,
        "search": options.search,
        "threads": options.threads,
        "device": device_name(device),
        "torch": torch.__version__,
    }


def figures_of(costs: Costs) -> Row:
    """An estimate in figures."""
    # Memory is what was there before, as features and context, and the most that was made.
    return {
        "frames_per_second": round(1 / costs.seconds(H200), 1),
        "gpu_ms": round(1000 * costs.gpu, 2),
        "tflop_fp32": round(costs.fp32 / 1e12, 3),
        "tflop_bf16": round(costs.bf16 / 1e12, 3),
        "gb_moved": round(costs.bytes / 1e9, 2),
        "kernels": costs.kernels,
        "peak_mb": round((costs.state + costs.peak) / 2**20),
    }


def estimates() -> dict[str, Row]:
    """The estimates of all cases in both precisions, and those of whole frames."""
    rows = {}
    for precision, bf16 in (("fp32", False), ("bf16", True)):
        for name, case in CASES.items():
            rows[f"{name} {precision}"] = figures_of(estimated(case, bf16=bf16))

        # A whole frame: the encoder before the propagation, and labels of pixels after it.
        whole = estimated(CASES["davis"], bf16=bf16, encoder="random:resnet18")
        rows[f"frame {precision}"] = figures_of(whole)

    return rows


@dataclass(frozen=True, kw_only=True)
class Ours:
    """What our program gave and took.

    Args:
        soft: soft masks [L,h,w] of every frame.
        seconds: seconds of every frame.
        before_mb: memory before.
        peak_mb: the most memory beyond that.
        grown_mb: how much memory grew after the context was full.
        doubtful: share of the cells whose matches may lack one.
    """

    soft: list[Tensor]
    seconds: list[float]
    before_mb: float
    peak_mb: float
    grown_mb: float
    doubtful: float


def run_ours(case: Case, search: str, frames: int, device: torch.device) -> Ours:
    """Propagate with our program."""
    masks = first_masks(case, device)
    propagation = LabelPropagation(config=case.config, new_search=SEARCHES[search])
    soft: list[Tensor] = []
    seconds: list[float] = []
    before = full = 0.0

    for t, features in enumerate(smooth_features(case, frames, device)):
        # The first features are there already, so memory is what propagation adds to them.
        if t == 0:
            before = peak_mb(device)

        # Defaults bind this frame's values, which the loop changes later.
        def step(features: Tensor = features, first: bool = t == 0) -> None:
            soft.append(propagation.step(features, masks if first else None))

        seconds.append(timed(step, device))

        # From here on memory should not grow: old frames leave as new ones come.
        if t == case.config.context + 1:
            full = resident_mb(device)

    return Ours(
        soft=soft,
        seconds=seconds,
        before_mb=before,
        peak_mb=peak_mb(device) - before,
        grown_mb=resident_mb(device) - full,
        doubtful=propagation.doubtful(),
    )


@torch.no_grad()
def estimated(case: Case, *, bf16: bool, encoder: str | None = None) -> Costs:
    """What a frame with a full context costs on an H200, given its features.

    Args:
        case: what is propagated.
        bf16: preselect candidates in bf16.
        encoder: computes the features from the frame's pixels; the labels of its pixels then count
            as well.
    """
    propagation = LabelPropagation(config=case.config, new_search=partial(window_search, bf16=bf16))
    size = (8 * case.height, 8 * case.width)
    sizes = FrameSizes(frame=size, encoded=size, covered=size)
    features = torch.empty(case.channels, case.height, case.width, device="meta")
    masks = dict.fromkeys(range(case.labels), features[0])

    # Fill the context first: later frames cost more than early ones.
    for time in range(case.config.context + 1):
        propagation.step(features, masks if time == 0 else None)

    if encoder is None:
        return costs_of(lambda: propagation.step(features))

    # The encoder computes in the precision of its pixels.
    backbone = load_backbone(encoder)
    assert backbone.module is not None
    precision = torch.bfloat16 if bf16 else torch.float32
    pixels = torch.empty(1, 3, *size, dtype=precision, device="meta")
    backbone.module.eval().to(pixels)

    def frame() -> None:
        backbone.features(pixels, backbone.default)
        labels_of_pixels(propagation.step(features), propagation.ids, sizes, MaskConfig())

    return costs_of(frame)


def run_plain(
    case: Case, soft: list[Tensor], full: int, device: torch.device
) -> tuple[list[float], float, float]:
    """Run the plain formulation on the frames that have a full context.

    Args:
        case: what is propagated.
        soft: our soft masks [L,h,w] of every frame.
        full: number of the first frame that has a full context.
        device: where to compute.

    Returns:
        Seconds of each of these frames, the largest difference from `soft`, and the share of pixels
        that get the same label.
    """
    near = near_cells(case, device)
    seconds: list[float] = []
    difference = equal = 0.0
    recent: deque[Tensor] = deque(maxlen=case.config.context)
    first = None

    for t, features in enumerate(smooth_features(case, len(soft), device)):
        if first is None:
            first = features

        # The context is the reference frame and the recent ones, with the labels that ours gave
        # them: both sides then start each frame from the same labels.
        if t >= full:
            context = torch.stack([first, *recent])
            labels = torch.stack([soft[0], *soft[t - case.config.context : t]])
            results: list[Tensor] = []
            step = partial(plain, features, context, labels, near, case)
            seconds.append(timed(partial(_keep, step, results), device))

            (result,) = results
            difference = max(difference, (result - soft[t]).abs().max().item())
            equal += (at_pixels(result) == at_pixels(soft[t])).float().mean().item()

        recent.append(features)

    return seconds, difference, equal / len(seconds)


def _keep(step: Callable[[], Tensor], results: list[Tensor]) -> None:
    """Append what a step returns."""
    results.append(step())


def plain(query: Tensor, context: Tensor, labels: Tensor, near: Tensor, case: Case) -> Tensor:
    """Propagate as the field does: all similarities of a block of queries with the whole context.

    Args:
        query: features [C,h,w] of the frame.
        context: features [n,C,h,w] of the context, the first frame first.
        labels: soft masks [n,L,h,w] of the context.
        near: [h*w,h*w] bool, whether a query may match a cell. It also restricts the first frame,
            unless that may be matched everywhere.
        case: the settings.
    """
    config = case.config

    # All cells of the context in one row, frame by frame: keys [C,n*h*w], labels [L,n*h*w].
    keys = context.flatten(2).permute(1, 0, 2).flatten(1)
    table = labels.flatten(2).permute(1, 0, 2).flatten(1)

    # The cells of the first frame, which come first, are not restricted.
    free = near.shape[1] if config.reference == "everywhere" else 0

    rows = []
    for queries, reachable in zip(
        query.flatten(1).T.split(case.block), near.split(case.block), strict=True
    ):
        # [block,n*h*w]; cells out of reach get no weight. The view writes into `similarity`.
        similarity = queries @ keys
        restricted = similarity[:, free:].view(len(queries), -1, near.shape[1])
        restricted.masked_fill_(~reachable[:, None], -torch.inf)

        # With `all`, every cell as similar as the last of the best counts.
        best, index = similarity.topk(int(config.topk))
        if config.ties == "all":
            kept = torch.where(similarity >= best[:, -1:], similarity, -torch.inf)
            rows.append(table @ (kept / config.temperature).softmax(1).T)
        else:
            rows.append((table[:, index] * (best / config.temperature).softmax(1)).sum(2))

    return torch.cat(rows, dim=1).view(-1, *query.shape[1:])


def smooth_features(case: Case, frames: int, device: torch.device) -> Iterator[Tensor]:
    """Unit features [C,h,w] of successive frames.

    They vary smoothly in space and drift over time around a common direction, as those of a
    network do.
    """
    generator = torch.Generator().manual_seed(0)
    size = (case.height, case.width)
    coarse = torch.randn(
        2, case.channels, case.height // 4 + 2, case.width // 4 + 2, generator=generator
    )
    start, drift = F.interpolate(coarse, size=size, mode="bilinear", align_corners=True)
    common = torch.randn(case.channels, 1, 1, generator=generator)

    # Drawn on the CPU, so that features are the same on every device.
    for t in range(frames):
        noise = torch.randn(case.channels, *size, generator=generator)
        yield F.normalize(common + start + 0.05 * t * drift + 0.2 * noise, dim=0).to(device)


def first_masks(case: Case, device: torch.device) -> dict[int, Tensor]:
    """Background and objects as vertical stripes."""
    # The label of each column [w], then of each cell [h,w].
    of_column = torch.arange(case.width, device=device) * case.labels // case.width
    stripe = of_column.expand(case.height, case.width)
    return {label: (stripe == label).float() for label in range(case.labels)}


def near_cells(case: Case, device: torch.device) -> Tensor:
    """Whether two cells are within reach of each other, [h*w,h*w] bool."""
    cells = torch.arange(case.height * case.width, device=device)
    return is_near(cells[:, None], cells, case.width, case.config.radius, case.config.window)


def floor_seconds(case: Case, device: torch.device) -> float:
    """Time of the similarities that count at the speed of one large float32 matrix product."""
    near = near_cells(case, device)
    cells, reach = len(near), int(near.sum(1).max())

    # A product of C channels is C multiplications and C additions.
    of_first = cells if case.config.reference == "everywhere" else reach
    flop = cells * (of_first + case.config.context * reach) * 2 * case.channels

    # The speed of the machine, here and now: the fastest of five products.
    matrix = torch.randn(cells, case.channels, device=device)
    product = min(timed(lambda: matrix @ matrix.T, device) for _ in range(5))

    return flop / (2 * cells * cells * case.channels / product)


def table_of(figures: Row) -> str:
    """The figures that compare, and the estimate beside the goal."""
    text = f"{figures['estimate_frames_per_second']} frames/s, {figures['estimate_peak_mb']} MB"
    estimate = table(
        ["", "H200"], [["estimate", text], ["goal", f"{figures['goal_h200']} frames/s"]]
    )

    return page_tables.label_propagation(figures) + "\n\n" + estimate


if __name__ == "__main__":
    main()
