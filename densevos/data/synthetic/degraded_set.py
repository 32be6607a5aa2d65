"""A degraded copy of a segmentation set, with its labels, in the layout of `folder`."""

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
    """Write degraded copies of all frames of SET:ROOT to the new folder `root`; returns how many.

    All frames of a video share their amounts of light, noise, resolution and quality, and the
    length of the blur; its direction is each frame's own. A frame depends on `seed`, its split and
    its name only. Labels are those of the sharp frames. InputError when the set cannot be read and
    when `root` holds files, unless `overwrite`.
    """
    opened = {split: open_set(spec, split, labels=labels) for split in splits}
    root = new_folder(root, overwrite=overwrite, inputs=[parse_spec(spec)[1]])
    write_classes(root, next(iter(opened.values())).classes)

    with ThreadPoolExecutor(workers) as threads:
        return sum(
            sum(
                threads.map(
                    partial(_write_shot, root, split, config, seed, one.kind == "video"), one.shots
                )
            )
            for split, one in opened.items()
        )


def _write_shot(
    root: Path, split: str, config: DegradationConfig, seed: int, video: bool, shot: Shot
) -> int:
    """Write the frames of one shot; returns how many."""
    reader = shot.open()
    place = f"{split}/{shot.name.replace('/', '-')}"
    amounts = settled(config, _generator(seed, place))

    for index, frame in enumerate(reader.names):
        name = f"{place}/{frame}" if video else place
        degraded = degrade(reader.read([index])[0], amounts, _generator(seed, f"{name}#{index}"))
        write_image(root, name, degraded, shot.labels(index) if index in shot.labelled else None)

    return len(reader)


def _generator(seed: int, name: str) -> np.random.Generator:
    return np.random.default_rng((seed, zlib.crc32(name_bytes(name))))
