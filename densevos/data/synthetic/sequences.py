"""Synthetic sequences with exact masks, made from a seed and photographs.

The photographs are those of the scikit-image wheel, or the user's own.
"""

# Shapes: T frames of a sequence, H x W pixels of a frame, h x w of a photograph.

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

import numpy as np
from PIL import Image

from densevos.base.errors import InputError
from densevos.base.files import atomic_write, new_folder
from densevos.base.masks import write_mask
from densevos.base.progress import progress_bar
from densevos.data.synthetic.render import render_frame, render_instant
from densevos.data.synthetic.scene import Scene, SyntheticConfig, random_scene
from densevos.data.synthetic.textures import PHOTOGRAPHS, Pool, load_photographs, read_photographs

__all__ = ["Pool", "SyntheticConfig", "SyntheticSequence", "make_sequence", "write_davis"]

SMALLEST_VISIBLE = 0.025
"""Least visible area of an object in frame 0, as a fraction of the frame.

Frame 0 is the one whose mask is propagated.
"""


@dataclass(frozen=True)
class SyntheticSequence:
    """A short video with masks of its objects."""

    frames: np.ndarray
    """[T,H,W,3] uint8 RGB."""
    masks: np.ndarray
    """[T,H,W] uint8 ids: 1..n for objects, which all are in frame 0, and 0 for everything else."""


def make_sequence(
    seed: int | Sequence[int],
    config: SyntheticConfig,
    photographs: Pool | Sequence[np.ndarray] = "train",
) -> SyntheticSequence:
    """Render one sequence; the same arguments give the same bytes.

    Masks are exact: a pixel has the id of the foremost object that covers its centre at the frame's
    instant, the middle of the exposure. In frame 0 every object covers at least 2.5 % of the frame.
    Later objects may be hidden, leave the frame and come back.

    Args:
        seed: Seed of all random choices.
        config: The look of the sequence.
        photographs: Textures, [h,w,3] uint8 each, or the name of a pool of the scikit-image wheel.

    Returns:
        Frames and masks.

    Raises:
        InputError: There are too many objects for all to be visible in frame 0.
    """
    rng = np.random.default_rng(seed)
    textures = load_photographs(photographs) if isinstance(photographs, str) else photographs
    scene = _scene_with_visible_objects(config, textures, rng)

    # One generator draws the scene, then the noise of each frame in order.
    rendered = [render_frame(scene, time, config, rng) for time in range(config.frames)]
    frames, masks = zip(*rendered, strict=True)

    return SyntheticSequence(np.stack(frames), np.stack(masks))


def _scene_with_visible_objects(
    config: SyntheticConfig, photographs: Sequence[np.ndarray], rng: np.random.Generator
) -> Scene:
    """Draw random scenes until all objects of one are large enough in frame 0."""
    for _ in range(100):
        scene = random_scene(config, photographs, rng)
        _, mask = render_instant(scene, 0, config.height, config.width)
        # Visible pixels of each object: distractors and other objects may hide it.
        objects = max(sprite.label for sprite in scene.sprites)
        areas = np.bincount(mask.ravel(), minlength=objects + 1)[1:]
        if areas.min() >= SMALLEST_VISIBLE * mask.size:
            return scene

    raise InputError(
        "max_objects, max_distractors: too many to see each of them in frame 0; give fewer"
    )


def write_davis(
    root: Path,
    *,
    train: int,
    val: int,
    seed: int,
    config: SyntheticConfig,
    photographs: Path | None = None,
    overwrite: bool = False,
    workers: int = 2,
) -> None:
    """Write `train` and `val` sequences to the new folder `root` in the layout of DAVIS-2017.

        JPEGImages/480p/NAME/00000.jpg      frames
        Annotations/480p/NAME/00000.png     indexed masks with the DAVIS palette
        ImageSets/2016/SPLIT.txt            names of the sequences of train and val
        ImageSets/2017/SPLIT.txt            the same
        train_videos.txt                    frame folders of the train sequences

    The folders are called 480p at any size, because the layout of the benchmark requires it. A
    sequence depends only on `seed`, its split, its number and the photographs.

    Args:
        root: Folder to write.
        train: Number of train sequences.
        val: Number of val sequences.
        seed: Seed of all random choices.
        config: The look of the sequences.
        photographs: A folder of photographs; None uses those of the scikit-image wheel.
        overwrite: Whether to replace a folder that holds files.
        workers: Number of threads.

    Raises:
        InputError: A number is negative, `root` holds files and `overwrite` is not set, or the
            folder `photographs` cannot be used.
    """
    for name, number in {"train": train, "val": val, "seed": seed}.items():
        if number < 0:
            raise InputError(f"{name}: {number} is negative; give 0 or more")

    # Photographs are read before the folder is emptied: reading may fail.
    if photographs:
        textures = read_photographs(photographs)
    else:
        textures = {pool: load_photographs(pool) for pool in PHOTOGRAPHS}

    root = new_folder(root, overwrite=overwrite)
    counts: dict[Pool, int] = {"train": train, "val": val}
    names: dict[Pool, list[str]] = {}
    for pool, count in counts.items():
        names[pool] = [f"{pool}-{number:03d}" for number in range(count)]

    with ThreadPoolExecutor(workers) as threads, progress_bar("sequences") as bar:
        task = bar.add_task("drawing", total=train + val, status="")
        for key, pool in enumerate(counts):
            # A sequence has a seed of its own, so threads may finish in any order.
            seeds = [(seed, key, number) for number in range(counts[pool])]
            written = threads.map(
                _write_sequence,
                repeat(root),
                names[pool],
                seeds,
                repeat(config),
                repeat(textures[pool]),
            )
            # Reading the results raises the errors of the threads.
            for _ in written:
                bar.advance(task)

    # Some programs read the lists of 2016, others those of 2017.
    for pool in counts:
        for year in ("2016", "2017"):
            _write_lines(root / "ImageSets" / year / f"{pool}.txt", names[pool])

    _write_lines(root / "train_videos.txt", (f"JPEGImages/480p/{name}" for name in names["train"]))


def _write_sequence(
    root: Path,
    name: str,
    seed: Sequence[int],
    config: SyntheticConfig,
    photographs: Sequence[np.ndarray],
) -> None:
    sequence = make_sequence(seed, config, photographs)
    # JPEG for frames as in DAVIS, but lossless PNG for masks, whose ids must stay exact.
    frames, masks = root / "JPEGImages/480p" / name, root / "Annotations/480p" / name
    for folder in (frames, masks):
        folder.mkdir(parents=True)

    pairs = zip(sequence.frames, sequence.masks, strict=True)
    for number, (frame, mask) in enumerate(pairs):
        with atomic_write(frames / f"{number:05d}.jpg") as file:
            Image.fromarray(frame).save(file, format="JPEG", quality=95)
        write_mask(masks / f"{number:05d}.png", mask)


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path, "w") as file:
        file.writelines(f"{line}\n" for line in lines)
