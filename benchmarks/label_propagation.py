"""Label propagation against the dense formulation, side by side in one run.

    python benchmarks/label_propagation.py [--frames 3] [--height 60 --width 107 --channels 512] [--device cpu]

Both propagate the same features at DAVIS size (480x854 at stride 8) with a full context. Prints a table and, as
the last line, one JSON object. The floor is what the similarities that can be chosen (all of the reference
frame, a disc in each recent frame) cost at the float32 matrix speed measured in the same run.
"""

import argparse
import os
import statistics

import torch
from torch import Tensor
from torch.nn import functional as F

from densevos_eval.adapters.frames import FrameSizes
from densevos_eval.propagation.cells import enlarged_labels
from densevos_eval.propagation.labels import LabelPropagation
from densevos_eval.propagation.settings import MaskConfig, PropagationConfig
from harness import Row, device_name, parser_of, peak_mb, report, table, timed

LABELS = 4
CONFIG = PropagationConfig()


def main() -> None:
    """Measure, print, and write the JSON where asked."""
    parser = parser_of(__doc__)
    parser.add_argument("--frames", type=int, default=3, help="frames that are measured")
    parser.add_argument("--height", type=int, default=60)
    parser.add_argument("--width", type=int, default=107)
    parser.add_argument("--channels", type=int, default=512)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    figures = measure(options)
    report(figures, table_of(figures), out=options.out)


def at_pixels(soft: Tensor) -> Tensor:
    """Labels [8h,8w] of soft masks [L,h,w], at the size of the frame."""
    size = (8 * soft.shape[1], 8 * soft.shape[2])
    sizes = FrameSizes(frame=size, encoded=size, covered=size)
    return torch.from_numpy(enlarged_labels(soft, list(range(len(soft))), sizes, MaskConfig()))


@torch.inference_mode()
def measure(options: argparse.Namespace) -> Row:
    """Seconds a frame, largest difference, share of pixels alike, memory and floor over the same frames."""
    device = torch.device(options.device)
    frames = CONFIG.context + 1 + options.frames
    stream = smooth_features(frames, options.height, options.width, options.channels, device)
    before = peak_mb()
    masks = first_masks(options.height, options.width, device)
    ours, soft = LabelPropagation(config=CONFIG), []
    seconds_ours = []
    for t, features in enumerate(stream):
        given = masks if t == 0 else None
        seconds_ours.append(timed(lambda: soft.append(ours.step(features, given)), device))  # noqa: B023
    peak = peak_mb() - before
    near = near_cells(options.height, options.width, device)
    seconds_dense, difference, equal = [], 0.0, 0.0
    for t in range(CONFIG.context + 1, frames):
        recent = range(t - CONFIG.context, t)
        context = torch.stack([stream[0], *(stream[i] for i in recent)])
        labels = torch.stack([soft[0], *(soft[i] for i in recent)])
        result: list[Tensor] = []
        seconds_dense.append(timed(lambda: result.append(dense(stream[t], context, labels, near)), device))  # noqa: B023
        difference = max(difference, (result[0] - soft[t]).abs().max().item())
        equal += (at_pixels(result[0]) == at_pixels(soft[t])).float().mean().item() / options.frames
    floor = floor_seconds(options, near, device)
    mine, theirs = statistics.median(seconds_ours[CONFIG.context + 1 :]), statistics.median(seconds_dense)
    return {
        "speedup": round(theirs / mine, 2),
        "max_abs_diff": difference,
        "labels_equal": equal,
        "floor_ratio": round(mine / floor, 2),
        "seconds_dense": round(theirs, 4),
        "seconds_ours": round(mine, 4),
        "seconds_floor": round(floor, 4),
        "peak_mb": round(peak),
        "frames": options.frames,
        "cells": f"{options.height}x{options.width}",
        "channels": options.channels,
        "threads": options.threads,
        "device": device_name(device),
        "torch": torch.__version__,
    }


def dense(query: Tensor, context: Tensor, labels: Tensor, near: Tensor, block: int = 100) -> Tensor:
    """The field's formulation: all similarities of a block of queries [C,h,w] with a context [n,C,h,w].

    The first context frame is not restricted; labels [n,L,h,w]; near [h*w,h*w] says which cells are.
    """
    keys = context.flatten(2).permute(1, 0, 2).flatten(1)
    table = labels.flatten(2).permute(1, 0, 2).flatten(1)
    rows = []
    for queries, reachable in zip(query.flatten(1).T.split(block), near.split(block), strict=True):
        similarity = queries @ keys
        restricted = similarity[:, near.shape[1] :].view(len(queries), len(context) - 1, -1)
        restricted.masked_fill_(~reachable[:, None], -torch.inf)
        best, index = similarity.topk(CONFIG.topk)
        rows.append((table[:, index] * (best / CONFIG.temperature).softmax(1)).sum(2))
    return torch.cat(rows, dim=1).view(-1, *query.shape[1:])


def smooth_features(frames: int, h: int, w: int, channels: int, device: torch.device) -> Tensor:
    """Unit features [T,C,h,w] that vary smoothly in space and drift over time around a common direction."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randn(2, channels, h // 4 + 2, w // 4 + 2, generator=generator)
    start, drift = F.interpolate(coarse, size=(h, w), mode="bilinear", align_corners=True)
    common = torch.randn(channels, 1, 1, generator=generator)
    features = torch.empty(frames, channels, h, w, device=device)
    for t in range(frames):
        noise = torch.randn(channels, h, w, generator=generator)
        features[t] = F.normalize(common + start + 0.05 * t * drift + 0.2 * noise, dim=0)
    return features


def first_masks(h: int, w: int, device: torch.device) -> dict[int, Tensor]:
    """Background and objects as vertical stripes."""
    stripe = (torch.arange(w, device=device) * LABELS // w).expand(h, w)
    return {label: (stripe == label).float() for label in range(LABELS)}


def near_cells(h: int, w: int, device: torch.device) -> Tensor:
    """Whether two cells are nearer than the radius, [h*w,h*w] bool."""
    y, x = torch.meshgrid(torch.arange(h, device=device), torch.arange(w, device=device), indexing="ij")
    place = torch.stack([y.flatten(), x.flatten()], dim=1)
    offset = place[:, None] - place[None]
    return offset.square().sum(2) < CONFIG.radius**2


def floor_seconds(options: argparse.Namespace, near: Tensor, device: torch.device) -> float:
    """Time of the similarities that count at the speed of one large float32 matrix product."""
    cells = len(near)
    disc = int(near.sum(1).max())
    flop = cells * (cells + CONFIG.context * disc) * 2 * options.channels
    matrix = torch.randn(cells, options.channels, device=device)
    product = min(timed(lambda: matrix @ matrix.T, device) for _ in range(5))
    return flop / (2 * cells * cells * options.channels / product)


def table_of(figures: Row) -> str:
    """The figures that compare."""
    rows = []
    for name in ("dense", "ours", "floor"):
        seconds = float(figures[f"seconds_{name}"])
        rows.append([name, f"{seconds:.3f}", f"{seconds / float(figures['seconds_floor']):.1f}"])
    return table(["", "seconds/frame", "times the floor"], rows)


if __name__ == "__main__":
    main()
