"""Time and memory of MuG's objectives against a plain formulation, and of a whole training step.

    python benchmarks/mug_step.py [--videos 4 16] [--match-size 16] [--limit-gb 16]

* Objectives: losses and gradients of given features at the paper's sizes (64x64 cells, K = 8). The
  plain formulation has every affinity in memory, and the mask of h*w x h*w cells of the long-term
  term.
* Step: one whole training step of the recipe `mug_small`, and the share of each granularity: how
  much shorter a step is without it. The shares leave out encoding, which they have in common.
* Inference: zero-shot segmentation of 480x854 frames by that network, and the dense CRF on one
  core.

Each row is a process of its own; its memory is the largest resident one less what imports and
inputs take. A row that would need more than --limit-gb is left out, and its size is given. The
script prints tables and, as the last line, one JSON object.

Shapes: N videos, K frames of a video, h x w cells.
"""

import argparse
import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from skimage import data
from torch import Tensor
from torch.nn import functional as F

import page_tables
from densevos.data.foreground.crf import refine
from densevos.data.video_samples import SHORT, VideoBatch
from densevos.inference.segmenter import Segmenter
from densevos.learners.mug import GRANULARITIES, Mug
from densevos.models.aggregation import aggregate
from densevos.models.geometry import GeometricRegressor
from densevos.models.mug import KEY, VALUE, MugNetwork, pooled
from densevos.objectives.matching import affinity, cosines, inlier_score
from densevos.objectives.tracking import gaussian_map, response, tracking_loss
from densevos.objectives.video import instance_loss
from densevos.recipes import mug_small
from harness import Row, in_own_process, parser_of, peak_mb, report, resident_mb

# K, cells a side of the feature maps and of the tracked patch, channels of the short- and long-term
# features.
SEGMENTS, CELLS, PATCH, EMBEDDING = 8, 64, 16, 64
GB = 2**30


def main() -> None:
    """Run every row in a process of its own, print; or be that process."""
    parser = parser_of(__doc__, own_processes=True)
    parser.add_argument("--videos", type=int, nargs="+", default=[4, 16])
    parser.add_argument(
        "--match-size", type=int, default=16, help="cells a side of the long-term term; paper: 64"
    )
    parser.add_argument("--limit-gb", type=float, default=16)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.one:
        print(json.dumps(one_row(options.one, options.videos[0], options.match_size)))
        return

    rows = []
    for kind in ("objectives plain", "objectives ours", "step"):
        for videos in options.videos:
            rows.append(row_of(kind, videos, options))

    rows.append(row_of("inference", 1, options))

    figures = {
        "rows": rows,
        "cells": CELLS,
        "match_size": options.match_size,
        "threads": options.threads,
    }
    by_kind = {(row["kind"], row["videos"]): row for row in rows}

    # Memory can be compared by its size alone; time only where the plain side ran.
    for videos in options.videos:
        plain = by_kind["objectives plain", videos]
        ours = by_kind["objectives ours", videos]
        figures[f"memory_ratio_n{videos}"] = ratio(plain["peak_mb"], ours["peak_mb"], digits=1)
        if plain["seconds"]:
            figures[f"time_ratio_n{videos}"] = ratio(plain["seconds"], ours["seconds"], digits=2)

    tables = [page_tables.mug_step(figures), page_tables.granularities(figures)]
    report(figures, *tables, out=options.out)


def ratio(plain: float | str, ours: float | str, *, digits: int) -> float:
    """How many times as much the plain formulation takes."""
    return round(float(plain) / float(ours), digits)


def row_of(kind: str, videos: int, options: argparse.Namespace) -> Row:
    """Measure one row, or give its size where the plain affinities alone are over the limit."""
    # Every cell with the pooled cells (half as many a side) of all references of its frame.
    affinities = videos * SEGMENTS * CELLS**2 * (SEGMENTS - 1) * CELLS**2 // 4

    # Products and their softmax, in float32 of 4 bytes.
    needed = 2 * affinities * 4
    if kind == "objectives plain" and needed > options.limit_gb * GB:
        return {
            "kind": kind,
            "videos": videos,
            "seconds": 0,
            "peak_mb": round(needed / 2**20),
            "by": "size alone",
        }

    chosen = ["--match-size", str(options.match_size), "--threads", str(options.threads)]
    return in_own_process([__file__, "--one", kind, "--videos", str(videos), *chosen])


def one_row(kind: str, videos: int, match_size: int) -> Row:
    """Time (the fastest of three) and memory of one kind."""
    torch.manual_seed(0)
    if kind == "step":
        return whole_step(videos)
    if kind == "inference":
        return inference(128)

    features = inputs(videos)
    regressor = GeometricRegressor(match_size)
    video, long = our_video, our_long
    if kind == "objectives plain":
        video, long = plain_video, plain_long

    # The short-term term is the same on both sides; it belongs to the whole.
    def step() -> float:
        loss = video(features) + long(features, regressor) + short(features)
        loss.backward()
        return float(loss.detach())

    return {**measured(step), "kind": kind, "videos": videos, "by": "measured"}


def measured(step: Callable[[], float]) -> Row:
    """Seconds and peak memory beyond now of a step that is run three times."""
    before, seconds, loss = resident_mb(), [], 0.0

    # The first step also fills caches; the fastest counts.
    for _ in range(3):
        start = time.perf_counter()
        loss = step()
        seconds.append(time.perf_counter() - start)

    return {
        "seconds": round(min(seconds), 3),
        "peak_mb": round(peak_mb() - before),
        "loss": round(loss, 4),
    }


def inputs(videos: int) -> dict[str, Tensor]:
    """Features as the network gives them, leaves of the graph."""
    shapes = {
        "key": (videos, SEGMENTS, KEY, CELLS, CELLS),
        "value": (videos, SEGMENTS, VALUE, CELLS, CELLS),
        "pair": (videos, 2, EMBEDDING, CELLS, CELLS),
        "maps": (videos, EMBEDDING, CELLS, CELLS),
        "patches": (videos, EMBEDDING, PATCH, PATCH),
    }

    # Channels are the third dimension from the end; features have unit length along it.
    features = {}
    for name, shape in shapes.items():
        features[name] = F.normalize(torch.randn(*shape), dim=-3).requires_grad_()

    return features


def references(features: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Pooled keys and values of every frame's references [N*K,K-1,*,h/2,w/2]."""
    # Every other frame of a video is a reference of a frame: indices [K,K-1].
    others = []
    for frame in range(SEGMENTS):
        others.append([other for other in range(SEGMENTS) if other != frame])

    both = []
    for name in ("key", "value"):
        small = pooled(features[name].flatten(0, 1)).unflatten(0, features[name].shape[:2])
        both.append(small[:, others].flatten(0, 1))  # [N,K,K-1,*,h/2,w/2] before flattening

    return both[0], both[1]


def video_loss(aggregated: Tensor, features: dict[str, Tensor]) -> Tensor:
    """The loss of the video granularity, given the aggregated values [N*K,*,h,w]."""
    # Each frame beside what its references say of it, [N,K,*,h,w], averaged over cells.
    values = features["value"]
    r = torch.cat([aggregated, values.flatten(0, 1)], dim=1).unflatten(0, values.shape[:2])
    means = r.mean((3, 4))

    # Two frames of a video are a positive pair, frames of other videos are negatives.
    return instance_loss(means[:, 0], means[:, 1], 0.1)


def our_video(features: dict[str, Tensor]) -> Tensor:
    """The video objective as training computes it, block by block."""
    keys = features["key"].flatten(0, 1)
    aggregated = aggregate(keys, *references(features), 0.07)

    return video_loss(aggregated, features)


def plain_video(features: dict[str, Tensor]) -> Tensor:
    """The video objective with the affinity of all cells in memory."""
    keys, values = references(features)

    # Queries [N*K,h*w,*] with all cells of all references [N*K,*,(K-1)*h*w/4].
    rows = features["key"].flatten(0, 1).flatten(2).transpose(1, 2)
    weights = torch.softmax(rows @ keys.transpose(1, 2).flatten(2) / 0.07, dim=2)
    aggregated = weights @ values.transpose(1, 2).flatten(2).transpose(1, 2)

    return video_loss(aggregated.transpose(1, 2).unflatten(2, (CELLS, CELLS)), features)


def matched(features: dict[str, Tensor], side: int) -> tuple[Tensor, Tensor]:
    """Cosines of the cells of two frames, from the first to the second and back."""
    # Averaged to the cells of the long-term term, then again of unit length.
    small = F.normalize(F.adaptive_avg_pool2d(features["pair"].flatten(0, 1), side), dim=1)
    first, second = small.unflatten(0, features["pair"].shape[:2]).unbind(1)

    similarity = cosines(first, second)  # [N,side*side,side*side]
    return similarity, similarity.transpose(1, 2)


def our_long(features: dict[str, Tensor], regressor: GeometricRegressor) -> Tensor:
    """The long-term objective as training computes it, by box sums."""
    side = regressor.side
    scores = []
    for similarity in matched(features, side):
        theta = regressor(similarity)
        scores.append(inlier_score(affinity(similarity, 0.07), theta, (side, side)))

    return -torch.stack(scores).sum(0).mean()


def plain_long(features: dict[str, Tensor], regressor: GeometricRegressor) -> Tensor:
    """The long-term objective with the inlier mask of every cell in memory."""
    side = regressor.side

    # One map a cell, [1,side*side,side,side]: 1 at the cell and its eight neighbours.
    single = torch.eye(side * side).view(1, side * side, side, side)
    mask = F.max_pool2d(single, 3, stride=1, padding=1)

    scores = []
    for similarity in matched(features, side):
        # Each map moves as the regressed transformation says.
        size = [len(similarity), 1, side, side]
        grid = F.affine_grid(regressor(similarity), size, align_corners=True)
        warped = F.grid_sample(mask.expand(len(similarity), -1, -1, -1), grid, align_corners=True)
        scores.append((warped.flatten(2) * affinity(similarity, 0.07)).sum((1, 2)) / side**2)

    return -torch.stack(scores).sum(0).mean()


def short(features: dict[str, Tensor]) -> Tensor:
    """The short-term objective: tracking a patch; both sides share it."""
    centres = torch.full((len(features["maps"]), 2), CELLS // 2)
    logits = 10 * response(features["patches"], features["maps"]) - 5
    return tracking_loss(logits, gaussian_map(centres, (CELLS, CELLS), 1.6))


def whole_step(videos: int) -> Row:
    """A training step of mug_small, and what leaving each granularity's turn alone takes of it."""
    config = mug_small(Path(), Path())
    size, frames = config.clips.size, config.clips.segments + SHORT

    # Random maps have both labels everywhere, so no term of the loss is skipped.
    maps = torch.randint(0, 2, (videos, frames, size, size), dtype=torch.uint8)
    batch = VideoBatch(
        frames=torch.randint(0, 256, (videos, frames, 3, size, size), dtype=torch.uint8),
        initial=maps,
        predicted=maps,
        pairs=torch.tensor([[0, frames - SHORT - 1]] * videos),
        videos=torch.arange(videos),
        dropped=0,
        names=("x",) * videos,
        skipped=(),
    )
    learner = Mug(config.encoder, config.objective).train()

    def step() -> float:
        loss = learner(batch, torch.Generator().manual_seed(0))["loss"]
        loss.backward()
        return float(loss.detach())

    row = measured(step)

    # A step without one granularity computes the other three.
    without = {}
    for name in GRANULARITIES:
        without[name] = tuple(other for other in GRANULARITIES if other != name)

    seconds: dict[str, list[float]] = {name: [] for name in ("whole", *GRANULARITIES)}

    # The steps take turns, so other work on the machine touches all alike.
    for _ in range(3):
        for name, times in seconds.items():
            # No option of the learner leaves out the computation: weight 0 still computes it all.
            chosen = without.get(name, GRANULARITIES)
            learner._chosen = lambda chosen=chosen: chosen  # type: ignore[method-assign]
            start = time.perf_counter()
            step()
            times.append(time.perf_counter() - start)

    whole = min(seconds["whole"])
    for name in GRANULARITIES:
        row[f"{name} share"] = round(1 - min(seconds[name]) / whole, 2)

    return {**row, "kind": "step", "videos": videos, "by": "measured"}


class Repeated:
    """One image again and again, as a reader of frames."""

    def __init__(self, image: np.ndarray, length: int):
        self.path, self.image, self.length = Path("image"), image, length
        self.names = [f"{index:05d}" for index in range(length)]

    def __len__(self) -> int:
        return self.length

    def read(self, indices: Sequence[int]) -> np.ndarray:
        """As many as are asked for."""
        return np.stack([self.image] * len(indices))

    def seconds(self) -> np.ndarray | None:
        """A folder of frames has no times."""
        return None


def inference(frames: int) -> Row:
    """Frames a second of zero-shot segmentation without CRF, and seconds a frame of the CRF."""
    config = mug_small(Path(), Path())
    image = cv2.resize(data.astronaut(), (854, 480))
    network = MugNetwork(
        config.encoder, config.objective.readout, config.objective.aggregate_temperature
    )
    segmenter = Segmenter(network, config.clips.size, config.clips.segments, torch.device("cpu"))

    # One clip first: it warms up, and gives the CRF a map.
    probability = next(segmenter(Repeated(image, 16)))
    before, start = resident_mb(), time.perf_counter()
    count = sum(1 for _ in segmenter(Repeated(image, frames)))
    seconds = time.perf_counter() - start
    peak = round(peak_mb() - before)

    # Eight frames: one takes a good part of a second, and they all cost the same.
    start = time.perf_counter()
    for _ in range(8):
        refine(probability, image)

    crf = (time.perf_counter() - start) / 8
    return {
        "kind": "inference",
        "videos": 1,
        "seconds": round(seconds / count, 4),
        "peak_mb": peak,
        "frames_per_second": round(count / seconds, 1),
        "crf_seconds_per_frame": round(crf, 3),
        "by": "measured",
    }


if __name__ == "__main__":
    main()
