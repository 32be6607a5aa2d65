"""J and F of many frames: the evaluator against the straightforward formulation, in one run.

    python benchmarks/scoring.py --frames 2000 --workers 1 2

Straightforward means a stack of float64 masks for each object and video, and a dilation of the full
frame for every outline. Masks of 480x854 pixels are drawn first and lie on disk as PNG; both sides
read them from there, in the time that is measured. The script checks that the numbers are
identical, and prints a table and, as the last line, one JSON object.
"""

import math
import os
import platform
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

import page_tables
from densevos.base.masks import read_mask, write_mask
from densevos_eval.metrics.metric import Scores
from densevos_eval.metrics.registry import benchmark_metric
from densevos_eval.protocols.davis import DAVIS17
from densevos_eval.scoring.score import score
from densevos_eval.sequences.sequence import VideoSequence
from harness import parser_of, report

# The size of DAVIS at 480p, and the scored frames of a sequence.
HEIGHT, WIDTH, LENGTH = 480, 854, 25
Curves = dict[tuple[str, int], tuple[np.ndarray, np.ndarray]]  # (sequence, object) -> J, F [frames]


def main() -> None:
    """Draw masks, score them both ways, compare."""
    parser = parser_of(__doc__)
    parser.add_argument("--frames", type=int, default=2000, help="frames that are scored")
    parser.add_argument("--objects", type=int, default=3, help="objects in every frame")
    parser.add_argument(
        "--workers", type=int, nargs="+", default=[1, 2], help="numbers of processes to score with"
    )
    options = parser.parse_args()
    cv2.setNumThreads(1)  # One process means one core, on both sides.
    with tempfile.TemporaryDirectory() as folder:
        sequences = draw(Path(folder), options.frames, options.objects)
        result = measure(sequences, Path(folder) / "results", options.workers)

    report(result, page_tables.scoring(result), out=options.out)


def draw(folder: Path, frames: int, objects: int) -> list[VideoSequence]:
    """Draw sequences of at most LENGTH scored frames.

    Their masks lie below `folder`: ellipses that drift, and a wobbly copy of them as results.
    """
    sequences = []
    for number, start in enumerate(range(0, frames, LENGTH)):
        # Two frames more than are scored: DAVIS leaves out the first and the last.
        length = min(LENGTH, frames - start) + 2
        names = tuple(f"{t:05d}" for t in range(length))

        truth, results = folder / "truth" / f"video{number}", folder / "results" / f"video{number}"
        truth.mkdir(parents=True)
        results.mkdir(parents=True)

        generator = np.random.default_rng(number)
        centres = generator.uniform([150, 100], [WIDTH - 150, HEIGHT - 100], (objects, 2))
        axes = generator.uniform(30, 110, (objects, 2))

        for t, name in enumerate(names):
            drifted = centres + 1.5 * t
            write_mask(truth / f"{name}.png", ellipses(drifted, axes))

            # A few pixels off in place and size, so J and F are high but not 1.
            noise = generator.normal(0, 4, (2, objects, 2))
            wobbly = ellipses(drifted + noise[0], axes + noise[1])
            write_mask(results / f"{name}.png", wobbly)

        files = tuple(truth / f"{name}.png" for name in names)
        sequences.append(
            VideoSequence(name=truth.name, source=truth, frame_names=names, truth=files)
        )

    return sequences


def ellipses(centres: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """Ids [H,W] of ellipses at the centres (x, y) [objects,2], later ones in front."""
    ids = np.zeros((HEIGHT, WIDTH), np.uint8)
    for i, (centre, axis) in enumerate(zip(centres.astype(int), axes.astype(int), strict=True)):
        cv2.ellipse(
            ids,
            centre.tolist(),
            axis.tolist(),
            angle=30 * i,
            startAngle=0,
            endAngle=360,
            color=i + 1,
            thickness=-1,
        )

    return ids


def measure(sequences: list[VideoSequence], results: Path, workers: list[int]) -> dict[str, object]:
    """Seconds of both sides, and that they agree to the last bit."""
    # The straightforward program, in one process.
    start, busy = time.perf_counter(), time.process_time()
    expected: Curves = {}
    for sequence in sequences:
        expected |= straightforward(sequence, results)

    plain, plain_busy = time.perf_counter() - start, time.process_time() - busy

    # Ours, with each number of processes; every run must give the same numbers.
    ours, ours_busy = {}, {}

    for count in workers:
        start, busy = time.perf_counter(), time.process_time()
        scores = score(sequences, results, benchmark_metric(DAVIS17), split="val", workers=count)
        ours[count], ours_busy[count] = time.perf_counter() - start, time.process_time() - busy
        check_identical(expected, scores)

    # On a machine that others use, only the time of the processor says how much work there is. That
    # of several workers is not known here: it is their own.
    cpu = {}
    if 1 in ours_busy:
        cpu = {"plain": round(plain_busy, 3), "ours": round(ours_busy[1], 3)}

    # JSON has only text as keys, so numbers of workers become text.
    seconds, scaling = {}, {}
    for count, taken in ours.items():
        seconds[str(count)] = round(taken, 3)
        scaling[str(count)] = round(ours[workers[0]] / taken, 2)

    return {
        "frames": sum(len(sequence.frame_names) - 2 for sequence in sequences),
        "objects": len(expected) // len(sequences),
        "identical": True,
        "seconds_plain": round(plain, 3),
        "seconds_ours": seconds,
        "seconds_cpu": cpu,
        "speedup": round(plain / ours[workers[0]], 2),
        "scaling": scaling,
        "machine": {
            "processor": platform.machine(),
            "cores": os.cpu_count(),
            "load": round(os.getloadavg()[0], 2),
        },
    }


def check_identical(expected: Curves, scores: Scores) -> None:
    """Raise AssertionError unless every J and F is the same number."""
    for name, details in scores.rows.sequence_details.items():
        for id, curves in details["objects"].items():
            # Equal, not close: both sides must count the same pixels.
            region, contour = expected[name, int(id)]
            np.testing.assert_array_equal(curves["J"], region)
            np.testing.assert_array_equal(curves["F"], contour)


def straightforward(sequence: VideoSequence, results: Path) -> Curves:
    """J and F of every object by the definition, all masks of the video in memory."""
    # Ids [frames,H,W] without the first and the last frame, which DAVIS does not score.
    truth = np.stack(list(map(read_mask, sequence.truth[1:-1])))
    files = [results / sequence.name / f"{name}.png" for name in sequence.frame_names[1:-1]]
    prediction = np.stack(list(map(read_mask, files)))

    # All objects of the video at once, [objects,frames,H,W], as straightforward programs do.
    ids = range(1, int(read_mask(sequence.truth[0]).max()) + 1)
    wanted = np.stack([truth == id for id in ids]).astype(np.float64)
    predicted = np.stack([prediction == id for id in ids]).astype(np.float64)

    # Each measure is a number of two masks, computed frame by frame.
    curves = {}
    for number, id in enumerate(ids):
        region = np.array(list(map(plain_region, wanted[number], predicted[number])))
        contour = np.array(list(map(plain_contour, wanted[number], predicted[number])))
        curves[sequence.name, id] = (region, contour)

    return curves


def plain_region(truth: np.ndarray, prediction: np.ndarray) -> float:
    """Intersection over union of two masks [H,W]."""
    union = np.sum(np.logical_or(truth, prediction))

    # Two empty masks agree, by the convention of DAVIS.
    return float(np.sum(np.logical_and(truth, prediction)) / union) if union else 1.0


def plain_contour(truth: np.ndarray, prediction: np.ndarray) -> float:
    """F-measure of the outlines of two masks [H,W]."""
    # Outlines may lie 0.8 % of the diagonal apart, the tolerance of DAVIS; a disc is that wide.
    radius = math.ceil(0.008 * math.hypot(*truth.shape))
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    footprint = (x**2 + y**2 <= radius**2).astype(np.uint8)

    wanted, predicted = plain_outline(truth), plain_outline(prediction)
    wide_wanted = cv2.dilate(wanted.astype(np.uint8), footprint)
    wide_predicted = cv2.dilate(predicted.astype(np.uint8), footprint)

    # Without an outline the ratios have no denominator: 1 if both are empty, else 0.
    if not wanted.any() or not predicted.any():
        return float(not wanted.any() and not predicted.any())

    precision = np.sum(predicted * wide_wanted) / np.sum(predicted)
    recall = np.sum(wanted * wide_predicted) / np.sum(wanted)
    return float(2 * precision * recall / (precision + recall)) if precision + recall else 0.0


def plain_outline(mask: np.ndarray) -> np.ndarray:
    """Pixels [H,W] bool that differ from the neighbour to the east, south or south-east."""
    # Each is the mask moved by one pixel; at the border, where there is no neighbour, the nearest
    # one inside stands in.
    mask = mask.astype(bool)
    east, south, south_east = mask.copy(), mask.copy(), mask.copy()
    east[:, :-1], south[:-1], south_east[:-1, :-1] = mask[:, 1:], mask[1:], mask[1:, 1:]
    south_east[-1, :-1], south_east[:-1, -1] = mask[-1, 1:], mask[1:, -1]

    return (mask ^ east) | (mask ^ south) | (mask ^ south_east)


if __name__ == "__main__":
    main()
