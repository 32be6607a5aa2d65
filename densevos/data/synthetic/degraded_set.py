"""Write a degraded copy of a segmentation dataset with its labels, in the layout `folder`."""

import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from densevos.base.files import name_bytes, new_folder
from densevos.data.segmentation.folder_writer import write_classes, write_image
from densevos.data.segmentation.segmentation_set import Shot
from densevos.data.segmentation.sets.registry import open_set, parse_spec
from densevos.data.synthetic.degradation import DegradationConfig, degrade, settled


def degrade_set(
    spec: str,
    root: Path,
    *,
    splits: Sequence[str] = ("train",),
    labels: bool = True,
    config: DegradationConfig,
    seed: int = 0,
    workers: int = 2,
    overwrite: bool = False,
) -> int:
    """Write degraded copies of all frames of a segmentation dataset.

    All frames of a video share light, noise, resolution, quality and the length of the blur. The
    direction of the blur is random for each frame. A frame depends only on `seed`, its split and
    its name. Labels are those of the sharp frames.

    Args:
        spec: The dataset, SET:ROOT.
        root: Folder to write.
        splits: Splits to copy.
        labels: Whether to copy the labels.
        config: Ranges of the degradation.
        seed: Seed of all random choices.
        workers: Number of threads.
        overwrite: Whether to replace a folder that holds files.

    Returns:
        The number of frames.

    Raises:
        InputError: The dataset cannot be read, or `root` holds files and `overwrite` is not set, or
            emptying it would delete a part of the dataset's folder.
    """
    # All splits are opened before the folder is emptied: one may be missing.
    opened = {split: open_set(spec, split, labels=labels) for split in splits}
    root = new_folder(root, overwrite=overwrite, sets=[parse_spec(spec)[1]])
    write_classes(root, next(iter(opened.values())).classes)

    # Shots are written in parallel, as each has random numbers of its own.
    frames = 0
    with ThreadPoolExecutor(workers) as threads:
        for split, dataset in opened.items():
            write = partial(_write_shot, root, split, config, seed, dataset.kind == "video")
            frames += sum(threads.map(write, dataset.shots))

    return frames


def _write_shot(
    root: Path, split: str, config: DegradationConfig, seed: int, video: bool, shot: Shot
) -> int:
    """Write the frames of one video or image and return their number."""
    reader = shot.open()
    # A video is one folder below its split, whatever folders its name has in the dataset.
    place = f"{split}/{shot.name.replace('/', '-')}"
    # Drawn once for all frames.
    amounts = settled(config, _generator(seed, place))

    for index, frame in enumerate(reader.names):
        name = f"{place}/{frame}" if video else place
        # The direction of the blur and the noise are new in each frame.
        rng = _generator(seed, f"{name}#{index}")
        degraded = degrade(reader.read([index])[0], amounts, rng)
        labels = shot.labels(index) if index in shot.labelled else None
        write_image(root, name, degraded, labels)

    return len(reader)


def _generator(seed: int, name: str) -> np.random.Generator:
    """A generator that depends on the seed and a name only, not on the order of writing."""
    # Not `hash`, which differs from process to process.
    return np.random.default_rng((seed, zlib.crc32(name_bytes(name))))
