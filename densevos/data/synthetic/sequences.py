"""Synthetic sequences with exact masks, made from a seed and the photographs of the scikit-image
wheel.
"""

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

SMALLEST_VISIBLE = (
    0.025  # of the frame: what an object must show in frame 0, whose mask is propagated
)


@dataclass(frozen=True)
class SyntheticSequence:
    """A short video and its ids: 1..n are objects, every one of them is in frame 0; 0 is all
    else.
    """

    frames: np.ndarray  # [T,H,W,3] uint8 RGB
    masks: np.ndarray  # [T,H,W] uint8


def make_sequence(
    seed: int | Sequence[int],
    config: SyntheticConfig,
    photographs: Pool | Sequence[np.ndarray] = "train",
) -> SyntheticSequence:
    """Render one sequence; the same arguments give the same bytes.

    `photographs` are [h,w,3] uint8, or the name of a pool of those in the scikit-image wheel.
    Masks are exact: a pixel has the id of the foremost object that covers its centre at the frame's
    instant, the middle of the time the shutter is open. Objects show at least 2.5 % of the frame in
    frame 0; later they may be hidden, leave and come back. InputError when so many do not fit.
    """
    rng = np.random.default_rng(seed)
    textures = load_photographs(photographs) if isinstance(photographs, str) else photographs
    scene = _scene_with_visible_objects(config, textures, rng)
    rendered = [render_frame(scene, time, config, rng) for time in range(config.frames)]
    frames, masks = zip(*rendered, strict=True)

    return SyntheticSequence(np.stack(frames), np.stack(masks))


def _scene_with_visible_objects(
    config: SyntheticConfig, photographs: Sequence[np.ndarray], rng: np.random.Generator
) -> Scene:
    """Draw random scenes until all objects of one show enough in frame 0."""
    for _ in range(100):
        scene = random_scene(config, photographs, rng)
        _, mask = render_instant(scene, 0, config.height, config.width)
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
        ImageSets/2016/SPLIT.txt, ImageSets/2017/SPLIT.txt      names of the sequences of train and
        val train_videos.txt                    frame folders of the train sequences, relative to
        `root`

    The folders are called 480p whatever the size, because the layout of the benchmark says so. A
    sequence depends on `seed`, its split, its number and the photographs only: those of the wheel,
    or of a folder.

    Raises:
        InputError: `root` holds files and `overwrite` is not set, or the folder `photographs`
            cannot be used.
    """
    for name, number in {"train": train, "val": val, "seed": seed}.items():
        if number < 0:
            raise InputError(f"{name}: {number} is negative; give 0 or more")

    textures = (
        read_photographs(photographs)
        if photographs
        else {pool: load_photographs(pool) for pool in PHOTOGRAPHS}
    )
    root = new_folder(root, overwrite=overwrite)
    counts: dict[Pool, int] = {"train": train, "val": val}
    names = {
        pool: [f"{pool}-{number:03d}" for number in range(count)] for pool, count in counts.items()
    }

    with ThreadPoolExecutor(workers) as threads, progress_bar("sequences") as bar:
        task = bar.add_task("drawing", total=train + val, status="")
        for key, pool in enumerate(counts):
            seeds = [(seed, key, number) for number in range(counts[pool])]
            written = threads.map(
                _write_sequence,
                repeat(root),
                names[pool],
                seeds,
                repeat(config),
                repeat(textures[pool]),
            )
            for _ in written:
                bar.advance(task)  # Taking the results raises what went wrong in a thread.

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
    frames, masks = root / "JPEGImages/480p" / name, root / "Annotations/480p" / name
    for folder in (frames, masks):
        folder.mkdir(parents=True)

    for number, (frame, mask) in enumerate(zip(sequence.frames, sequence.masks, strict=True)):
        with atomic_write(frames / f"{number:05d}.jpg") as file:
            Image.fromarray(frame).save(file, format="JPEG", quality=95)
        write_mask(masks / f"{number:05d}.png", mask)


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path, "w") as file:
        file.writelines(f"{line}\n" for line in lines)
