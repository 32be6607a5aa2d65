"""What the adversarial losses cost: a training step without one, with the general one, and with the
clustered one.

    python benchmarks/adversarial_step.py [--samples 4] [--rounds 5] [--device cuda]
        [--precision bf16]

Steps: forward and backward pass and optimiser of Swin-T + UperNet at 256 pixels, with the
discriminator behind the patch embedding, and as many labelled images as frames of videos. The three
losses take turns on the same batch in one process. A ratio is the median over rounds of two steps
of one round, so other work on the machine touches both. Steps of Video Swin on clips of four
frames, with and without checkpointing, are compared in the same way.

Memory: each step runs again in a process of its own. Its memory is the largest resident size (of a
GPU: the largest allocated) less what there was before the network.

k-means: ours against scikit-learn's on the feature maps and tokens of 16 frames. On a GPU the time
of scikit-learn's has the copy to the host in it. The ratio "as with scikit-learn" is computed: it
is the clustered step with n_init=10 of scikit-learn in the place of our k-means.

The script prints tables and, as the last line, one JSON object.
"""

import argparse
import json
import operator
import os
import statistics
import sys
from collections.abc import Callable

import torch
from sklearn.cluster import KMeans
from torch import Tensor
from torch.nn import functional as F

import page_tables
from densevos.config import AdversarialConfig, ClipConfig, I2VConfig
from densevos.config.image_to_video import NetworkConfig
from densevos.data.segmentation.samples import DomainBatch
from densevos.learners.image_to_video import ImageToVideo
from densevos.models.encoder import normalise
from densevos.objectives.clustering import kmeans
from densevos.objectives.domain_samples import maps_of, tokens_of
from harness import Row, device_name, in_own_process, parser_of, peak_mb, report, resident_mb, timed

# Eleven classes are the ten that COCO and DAVIS share, and the background.
CLASSES, CLUSTERS, ITERATIONS = 11, 11, 20
LOSSES = ("none", "general", "clustered")
VIDEO = ("video_swin", "video_swin checkpointed")
UNITS = ("maps", "tokens")


def main() -> None:
    """Run every row in a process of its own, print; or be that process."""
    parser = parser_of(__doc__, own_processes=True)
    parser.add_argument(
        "--samples", type=int, default=4, help="images, and as many frames of videos"
    )
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument(
        "--video-samples", type=int, default=2, help="images, and as many clips, of Video Swin"
    )
    parser.add_argument("--video-size", type=int, default=256, help="the paper: 512")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument(
        "--tiny", action="store_true", help="a small network, to try this script out"
    )
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.one:
        print(json.dumps(rows_of(options.one, options)))
        return

    steps = measured("race losses", options) + measured("race video", options)

    # The steps of a race share one process, so memory is measured in processes of their own.
    for row in steps:
        (memory_row,) = measured(f"memory {row['step']}", options)
        row["peak_mb"] = memory_row["peak_mb"]

    clusterings = []
    for unit in UNITS:
        clusterings += measured(f"kmeans {unit}", options)

    figures = {
        **ratios(steps, clusterings),
        **conditions(options),
        "steps": steps,
        "kmeans": clusterings,
    }
    tables = [page_tables.adversarial_step(figures), page_tables.kmeans(figures)]
    report(figures, *tables, out=options.out)


def measured(kind: str, options: argparse.Namespace) -> list[Row]:
    """The rows of one kind, measured by a new process."""
    # scikit-learn reads its number of threads from the environment.
    threads = {"OMP_NUM_THREADS": str(options.threads)}
    return in_own_process([__file__, *sys.argv[1:], "--one", kind], threads)


def rows_of(kind: str, options: argparse.Namespace) -> list[Row]:
    """What one process measures."""
    torch.manual_seed(0)
    task, _, name = kind.partition(" ")
    if task == "race":
        return race(LOSSES if name == "losses" else VIDEO, options)
    if task == "memory":
        return [memory(name, options)]

    return clusterings_of(name, options)


# Steps


def race(names: tuple[str, ...], options: argparse.Namespace) -> list[Row]:
    """Seconds of steps that take turns; the first step of each is left out."""
    steps = {name: step_of(name, options) for name in names}

    # The first step also allocates memory, and chooses algorithms on a GPU.
    for step in steps.values():
        step()

    # Each round starts with another step, so none always follows the same one.
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for number in range(options.rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            seconds[name].append(timed(steps[name], options.device))

    # Losses are compared with the general one, Video Swin with itself without checkpointing.
    base = seconds["general" if names == LOSSES else names[0]]
    rows: list[Row] = []
    for name, mine in seconds.items():
        # Ratios of the same round: load that slows a whole round then cancels.
        ratios = map(operator.truediv, mine, base)
        row: Row = {
            "step": name,
            "seconds": round(statistics.median(mine), 4),
            "fastest": round(min(mine), 4),
            "ratio": round(statistics.median(ratios), 4),
            "ratio_fastest": round(min(mine) / min(base), 4),
        }
        rows.append(row)

    return rows


def memory(name: str, options: argparse.Namespace) -> Row:
    """Peak memory of three steps: weights, gradients and optimiser included."""
    device = torch.device(options.device)
    if device.type == "cuda":
        torch.zeros(1, device=device)  # The context of CUDA is not memory of the step.

    before = resident_mb(device)
    step = step_of(name, options)

    # The optimiser makes its moments in the first step, so the peak comes only later.
    for _ in range(3):
        step()

    return {"step": name, "peak_mb": round(peak_mb(device) - before)}


def step_of(name: str, options: argparse.Namespace) -> Callable[[], None]:
    """One training step of a learner on a batch that is always the same."""
    config = configuration(name, options)
    classes = list(map(str, range(CLASSES)))  # Names have no influence on time.
    learner = ImageToVideo(config, classes).to(options.device).train()
    optimiser = torch.optim.AdamW(learner.parameters(), lr=1e-5)

    # The same batch and draws at every step, so only the loss differs between steps.
    samples = options.video_samples if name in VIDEO else options.samples
    batch = a_batch(samples, config.clips)
    generator = torch.Generator().manual_seed(0)
    lower = options.precision == "bf16"

    def step() -> None:
        # As in training: losses under autocast, the backward pass outside of it.
        with torch.autocast(torch.device(options.device).type, dtype=torch.bfloat16, enabled=lower):
            losses = learner(batch, generator)

        optimiser.zero_grad(set_to_none=True)
        losses["loss"].backward()
        optimiser.step()

    return step


def configuration(name: str, options: argparse.Namespace) -> I2VConfig:
    """The papers' networks; both losses take feature maps of the patch embedding."""
    video = name in VIDEO
    size = options.video_size if video else options.size
    small = {"embed_dim": 12, "depths": (1, 1, 1, 1), "hidden": 16} if options.tiny else {}

    # No weights are loaded: a step takes the same time with random ones.
    network = NetworkConfig(
        architecture="video_swin" if video else "swin_upernet",
        checkpointing=name.endswith("checkpointed"),
        **small,
    )

    return I2VConfig(
        labelled=("none",),
        loss="general" if video else name,
        network=network,
        clips=ClipConfig(frames=network.clip_frames if video else 1, size=size),
        adversarial=AdversarialConfig(clusters=CLUSTERS, iterations=ITERATIONS),
    )


def a_batch(samples: int, clips: ClipConfig) -> DomainBatch:
    """Images with labels, and clips without."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(
        0, CLASSES, (samples, clips.size, clips.size), generator=generator, dtype=torch.uint8
    )
    # Pixels of the images and of the clips' frames in one array, cut apart below.
    pixels = textures(samples * (1 + clips.frames), clips.size, generator)

    # Label 255 means unlabelled: the clips teach through the adversarial loss alone.
    return DomainBatch(
        images=pixels[:samples],
        image_labels=labels,
        clips=pixels[samples:].unflatten(0, (samples, clips.frames)),
        clip_labels=torch.full(
            (samples, clips.frames, clips.size, clips.size), 255, dtype=torch.uint8
        ),
        real=torch.ones(samples, clips.frames, dtype=torch.bool),
        labelled=torch.zeros(samples, clips.frames, dtype=torch.bool),
        names=("",) * samples,
        skipped=(),
    )


def textures(count: int, size: int, generator: torch.Generator) -> Tensor:
    """Frames [N,3,S,S] uint8 with structure of every scale, as photographs have."""
    frames = torch.zeros(count, 3, size, size)
    for cells in (4, 16, 64):
        # Finer structure is fainter, in proportion to the square root of its cells.
        noise = torch.randn(count, 3, cells, cells, generator=generator) / cells**0.5
        frames += F.interpolate(noise, size=(size, size), mode="bilinear")

    return (255 * torch.sigmoid(2 * frames)).byte()


# k-means


def clusterings_of(unit: str, options: argparse.Namespace) -> list[Row]:
    """Seconds and inertia of four k-means of the same points."""
    points = points_of(unit, options)

    # The same number of clusters for all; scikit-learn also in its default and its common setting.
    def scikit_learn(**settings: float | int) -> Tensor:
        # It works in NumPy on the CPU, so the copy from a GPU belongs to its time.
        clustering = KMeans(CLUSTERS, random_state=0, **settings).fit(points.cpu().numpy())
        return torch.from_numpy(clustering.cluster_centers_)

    methods: dict[str, Callable[[], Tensor]] = {
        "ours": lambda: kmeans(points, CLUSTERS, ITERATIONS, torch.Generator().manual_seed(0))[1],
        "scikit-learn n_init=1, as many iterations": lambda: scikit_learn(
            n_init=1, max_iter=ITERATIONS, tol=0
        ),
        "scikit-learn": lambda: scikit_learn(),
        "scikit-learn n_init=10": lambda: scikit_learn(n_init=10),
    }

    rows = []
    for name, method in methods.items():
        # This call also warms up; the fastest of the others counts.
        centres = method()
        seconds = [timed(method, options.device) for _ in range(options.rounds)]

        row: Row = {
            "unit": unit,
            "points": "x".join(map(str, points.shape)),
            "k-means": name,
            "seconds": round(min(seconds), 4),
            "inertia": float(f"{inertia(points, centres):.5g}"),
        }
        rows.append(row)

    return rows


@torch.no_grad()
def points_of(unit: str, options: argparse.Namespace) -> Tensor:
    """Maps [16*C,h*w] or tokens [16*h*w,C] of the patch embedding."""
    learner = ImageToVideo(configuration("none", options), ["a", "b"]).to(options.device)
    frames = textures(16, options.size, torch.Generator().manual_seed(0)).to(options.device)

    # The network takes clips, so each image becomes a clip of one frame.
    tap = learner.network.encode(normalise(frames.float() / 255)[:, None])["spatial"]
    chosen = maps_of if unit == "maps" else tokens_of

    return chosen(tap, torch.ones(16, 1, dtype=torch.bool)).contiguous()


def inertia(points: Tensor, centres: Tensor) -> float:
    """Sum of squared distances to the nearest centre."""
    # In float64: the sum has many terms, and a claim rests on its digits.
    distances = torch.cdist(points.double(), centres.to(points).double())
    return float(distances.amin(1).square().sum())


# Figures


def ratios(steps: list[Row], clusterings: list[Row]) -> Row:
    """The figures that a claim is made of."""
    by_step = {str(row["step"]): row for row in steps}
    general = float(by_step["general"]["seconds"])
    clustered = float(by_step["clustered"]["seconds"])

    maps = {}
    for row in clusterings:
        if row["unit"] == "maps":
            maps[str(row["k-means"])] = float(row["seconds"])

    # The step as it would be with scikit-learn's k-means in the place of ours.
    theirs = clustered - maps["ours"] + maps["scikit-learn n_init=10"]
    checkpointed = by_step["video_swin checkpointed"]
    return {
        "clustered_over_general": by_step["clustered"]["ratio"],
        "clustered_over_general_fastest": by_step["clustered"]["ratio_fastest"],
        "clustered_over_general_as_with_scikit_learn": round(theirs / general, 2),
        "checkpointing_time_ratio": checkpointed["ratio"],
        "checkpointing_memory_ratio": round(
            float(checkpointed["peak_mb"]) / max(1, float(by_step["video_swin"]["peak_mb"])), 3
        ),
    }


def conditions(options: argparse.Namespace) -> Row:
    """What it was measured with."""
    settings = dict(vars(options))

    # They say how the script was run, not what was measured; the device follows by its name.
    for name in ("one", "out", "device"):
        del settings[name]

    return {**settings, "device": device_name(options.device), "torch": torch.__version__}


if __name__ == "__main__":
    main()
