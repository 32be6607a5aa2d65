"""The dense CRF of one frame: ours against pydensecrf2, in time, memory and result.

    pip install pydensecrf2
    python benchmarks/crf.py --images /data/DAVIS/JPEGImages/480p [--rounds 3]

Both sides refine the middle frame of every sequence, on one thread, from a blurred map with noise.
Times are the fastest of some rounds in which the sides take turns. A side's memory is what a
process that refines the first frame grows by. The script prints a table and, as the last line, one
JSON object.
"""

# Shapes: an image has H x W pixels; L labels. pydensecrf takes pixels in one row, [L,H*W].

import argparse
import datetime
import functools
import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

import page_tables
from densevos.data.foreground.crf import PRESETS, CrfConfig, colour_features, position_features
from densevos.data.foreground.mean_field import infer, pairwise_term
from harness import Row, in_own_process, parser_of, peak_mb, report, resident_mb

MANUAL = CrfConfig(bilateral_sxy=80.0, bilateral_srgb=13.0, bilateral_compat=10.0)
SETTINGS = {**PRESETS, "manual": MANUAL}
"""Our presets, and the values of the example in pydensecrf's manual."""


def main() -> None:
    """Time every setting and number of labels, then measure the memory of both sides.

    With --one this is a process that measures the memory of one side.
    """
    parser = parser_of(__doc__, own_processes=True)
    parser.add_argument(
        "--images", type=Path, required=True, help="folder with a folder of frames per sequence"
    )
    parser.add_argument(
        "--settings", nargs="+", choices=SETTINGS, default=["mug", "cosnet", "manual"]
    )
    parser.add_argument("--labels", type=int, nargs="+", default=[2, 5])
    parser.add_argument(
        "--sequences", type=int, default=10, help="the first so many sequences of the folder"
    )
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    images = middle_frames(options.images, options.sequences)
    if options.one:
        print(json.dumps(memory(SIDES[options.one], images[0])))
        return

    rows: list[Row] = []
    for name in options.settings:
        for labels in options.labels:
            compared = compare(images, SETTINGS[name], labels, options.rounds)
            rows.append({"setting": name, "labels": labels, **compared})

    # Memory is that of a new process for each side, which has not run the other one.
    grown = {}
    for side in SIDES:
        arguments = [__file__, "--one", side, "--images", str(options.images)]
        grown[side] = in_own_process(arguments)

    figures = figures_of(rows, grown, images, options)
    report(figures, page_tables.crf(figures), out=options.out)


def middle_frames(folder: Path, count: int) -> list[np.ndarray]:
    """RGB [H,W,3] uint8 of the frame in the middle of each of the first sequences."""
    sequences = [sorted(sequence.iterdir()) for sequence in sorted(folder.iterdir())[:count]]
    return [np.array(Image.open(frames[len(frames) // 2]).convert("RGB")) for frames in sequences]


def energy_of(image: np.ndarray, labels: int, seed: int) -> np.ndarray:
    """Energies [L,H*W] float32 of labels that lie in noisy, overlapping blobs."""
    height, width, _ = image.shape
    generator = np.random.default_rng(seed)

    # A blob for each label, in the inner part of the image.
    y, x = np.mgrid[:height, :width]
    centres = generator.uniform(
        [0.2 * height, 0.2 * width], [0.8 * height, 0.8 * width], (labels, 2)
    )
    distances = np.stack([np.hypot(y - cy, x - cx) for cy, cx in centres]) / (0.1 * height)

    # A softmax of noisy scores over the labels, [L,H,W].
    score = -distances + generator.normal(0, 0.5, distances.shape)
    probability = np.exp(score - score.max(axis=0))
    probability /= probability.sum(axis=0)

    # Clipped, so that no label of any pixel is ruled out before the refinement.
    return -np.log(probability.clip(0.01, 1)).reshape(labels, -1).astype(np.float32)


def ours(energy: np.ndarray, image: np.ndarray, config: CrfConfig) -> np.ndarray:
    """Probabilities [L,H*W] by densevos."""
    positions = position_features(*image.shape[:2], config.gaussian_sxy)
    colours = colour_features(image, config.bilateral_sxy, config.bilateral_srgb)
    terms = [
        pairwise_term(positions, config.gaussian_compat),
        pairwise_term(colours, config.bilateral_compat),
    ]

    return infer(energy, terms, config.iterations)


def theirs(energy: np.ndarray, image: np.ndarray, config: CrfConfig) -> np.ndarray:
    """Probabilities [L,H*W] by pydensecrf2."""
    from pydensecrf import densecrf  # Needs a compiler to install, so only this side imports it.

    height, width, _ = image.shape
    crf = densecrf.DenseCRF2D(width, height, len(energy))
    crf.setUnaryEnergy(energy)
    crf.addPairwiseGaussian(sxy=config.gaussian_sxy, compat=config.gaussian_compat)
    crf.addPairwiseBilateral(
        sxy=config.bilateral_sxy,
        srgb=config.bilateral_srgb,
        rgbim=image,
        compat=config.bilateral_compat,
    )

    return np.array(crf.inference(config.iterations))


Side = Callable[[np.ndarray, np.ndarray, CrfConfig], np.ndarray]
SIDES: dict[str, Side] = {"ours": ours, "pydensecrf2": theirs}


def compare(images: list[np.ndarray], config: CrfConfig, labels: int, rounds: int) -> Row:
    """Mean seconds a frame of both sides, and how far their probabilities and masks differ."""
    wall, cpu = dict.fromkeys(SIDES, 0.0), dict.fromkeys(SIDES, 0.0)
    largest, far, changed = 0.0, 0, 0
    for seed, image in enumerate(images):
        energy = energy_of(image, labels, seed)
        fastest = dict.fromkeys(SIDES, (float("inf"), float("inf")))
        results = {}

        # The sides take turns, so other work on the machine touches both.
        for _ in range(rounds):
            for side, refine in SIDES.items():
                results[side], seconds = timed(functools.partial(refine, energy, image, config))

                # The clock and the processor may have their shortest times in different rounds.
                fastest[side] = tuple(map(min, fastest[side], seconds))

        for side in SIDES:
            wall[side] += fastest[side][0] / len(images)
            cpu[side] += fastest[side][1] / len(images)

        # Of each pixel, the largest difference over labels [H*W].
        mine, other = results["ours"], results["pydensecrf2"]
        difference = np.abs(mine - other).max(axis=0)
        largest = max(largest, float(difference.max()))
        far += int((difference > 1e-4).sum())
        changed += int((mine.argmax(axis=0) != other.argmax(axis=0)).sum())

    row: Row = {}
    for side in SIDES:
        row[f"seconds_{side}"] = round(wall[side], 4)

    # On a machine that others use, only the time of the processor says how much work there is.
    for side in SIDES:
        row[f"cpu_{side}"] = round(cpu[side], 4)

    return row | {
        "times_faster": round(wall["pydensecrf2"] / wall["ours"], 2),
        "times_faster_cpu": round(cpu["pydensecrf2"] / cpu["ours"], 2),
        "largest_difference": float(f"{largest:.1e}"),
        "pixels_over_1e-4": far,
        "pixels_of_another_label": changed,
    }


def timed(work: Callable[[], np.ndarray]) -> tuple[np.ndarray, tuple[float, float]]:
    """The result, and seconds on the clock and of the processor."""
    start, busy = time.perf_counter(), time.process_time()
    result = work()
    return result, (time.perf_counter() - start, time.process_time() - busy)


def memory(side: Side, image: np.ndarray) -> float:
    """MB by which this process grows at most while it refines one image."""
    energy = energy_of(image, 2, seed=0)

    # A corner of 8x8 pixels first: it loads the libraries, whose memory does not count.
    side(energy[:, :64].copy(), image[:8, :8].copy(), PRESETS["mug"])

    before = resident_mb()
    side(energy, image, PRESETS["mug"])

    return round(peak_mb() - before, 1)


def figures_of(
    rows: list[Row], grown: dict[str, float], images: list[np.ndarray], options: argparse.Namespace
) -> dict[str, object]:
    """All that was measured, and where."""
    from densevos.engine.provenance import commit  # Imports torch, which the rows do without.

    # The command without the place of the data on this machine.
    command = ["python benchmarks/crf.py --images DAVIS/JPEGImages/480p"]
    command += [f"--sequences {len(images)}", f"--rounds {options.rounds}"]
    return {
        "rows": rows,
        "peak_mb": grown,
        "images": len(images),
        "size": list(images[0].shape[:2]),
        "pixels": sum(image.shape[0] * image.shape[1] for image in images),
        "command": " ".join(command),
        "date": f"{datetime.date.today()}",
        "commit": commit(),
        "machine": {
            "processor": platform.machine(),
            "cores": os.cpu_count(),
            "load": round(os.getloadavg()[0], 2),
        },
    }


if __name__ == "__main__":
    main()
