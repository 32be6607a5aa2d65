"""Synthetic stills and videos of five classes, each a texture and a shape, made from a seed: a
domain gap by choice.

Stills are sharp and evenly lit; videos move while a slow shutter is open, in poor light, and are
compressed. Motion, rendering and photographs are those of `densevos.data.synthetic.sequences`.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType

import numpy as np

from densevos.base.errors import InputError
from densevos.base.files import new_folder
from densevos.data.segmentation.folder_writer import write_classes, write_image
from densevos.data.synthetic.degradation import DegradationConfig, degrade, settled
from densevos.data.synthetic.render import render_frame
from densevos.data.synthetic.scene import (
    Scene,
    SyntheticConfig,
    random_area,
    random_sprite,
    random_surroundings,
)
from densevos.data.synthetic.textures import (
    Pool,
    filled_outline,
    load_photograph,
    random_outline,
    recolour,
)

CLASSES = (
    "background",
    "brick square",
    "gravel disc",
    "grass star",
    "coins cross",
    "page triangle",
)
BACKGROUNDS: Mapping[Pool, tuple[str, ...]] = MappingProxyType(
    {
        "train": ("astronaut.png", "motorcycle_left.png", "rocket.jpg", "ihc.png"),
        "val": ("chelsea.png", "coffee.png", "camera.png"),
    }
)
"""Photographs behind objects, and on those of no class; none is in both pools."""

# The blur is rendered.
_RECORDING = DegradationConfig(
    blur=(0, 0), light=(0.2, 0.5), resolution=(0.5, 0.8), quality=(15, 40)
)


@dataclass(frozen=True, kw_only=True)
class SyntheticClassesConfig:
    """What the stills and the frames of the videos look like."""

    height: int = 144
    """Height of an image, pixels."""
    width: int = 192
    """Width of an image, pixels."""
    frames: int = 8
    """Number of frames of a video."""
    max_objects: int = 4
    """Most objects of an image or a video."""
    speed: float = 0.06
    """Motion of objects in videos, fraction of the frame's width from one frame to the next."""
    pan: float = 0.03
    """Motion of the camera in videos, fraction of the frame's width from one frame to the next."""
    shutter: float = 0.9
    """How long the shutter of the videos is open, in frame intervals: the length of the motion
    blur.
    """
    recording: DegradationConfig = _RECORDING
    """What the recording of a video loses besides; one draw a video."""

    def still(self) -> SyntheticConfig:
        """One sharp frame."""
        return replace(self.video(), frames=1, speed=0.01, shutter=0, blur_steps=0)

    def video(self) -> SyntheticConfig:
        """Moving objects and camera, blurred as the shutter says; noise is added with the
        recording's.
        """
        return SyntheticConfig(
            height=self.height,
            width=self.width,
            frames=self.frames,
            max_objects=self.max_objects,
            min_area=0.05,
            max_area=0.13,
            speed=self.speed,
            pan=self.pan,
            shutter=self.shutter,
            blur_steps=4,
            noise=0,
            light=0,
            dashes=0,
        )


def make_still(
    config: SyntheticClassesConfig, pool: Pool, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A sharp image [H,W,3] uint8 RGB and its class ids [H,W] uint8."""
    still = config.still()
    return render_frame(class_scene(still, pool, rng), 0, still, rng)


def make_video(
    config: SyntheticClassesConfig, pool: Pool, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Frames [T,H,W,3] uint8 RGB and class ids [T,H,W] uint8; ids are those of the middle of each
    exposure.
    """
    video = config.video()
    scene, recording = class_scene(video, pool, rng), settled(config.recording, rng)
    rendered = [render_frame(scene, time, video, rng) for time in range(video.frames)]
    frames, labels = zip(*rendered, strict=True)

    return np.stack([degrade(frame, recording, rng) for frame in frames]), np.stack(labels)


@dataclass(frozen=True, kw_only=True)
class SyntheticCounts:
    """How many stills and videos are written."""

    train_stills: int = 300
    """Number of stills to train on."""
    val_stills: int = 60
    """Number of stills to evaluate on."""
    train_videos: int = 60
    """Number of videos to train on."""
    val_videos: int = 20
    """Number of videos to evaluate on."""


def write_classes_sets(
    root: Path,
    *,
    counts: SyntheticCounts,
    seed: int,
    config: SyntheticClassesConfig,
    overwrite: bool = False,
    workers: int = 2,
) -> None:
    """Write two sets of the layout `folder`, ROOT/stills and ROOT/videos, each with the splits
    train and val.

    Videos have labels for judging; to learn from them without, name them as unlabelled. A still or
    video depends on `seed`, its split and its number only. InputError when `root` holds files,
    unless `overwrite`.
    """
    for name, number in {**vars(counts), "seed": seed}.items():
        if number < 0:
            raise InputError(f"--{name.replace('_', '-')}: {number} is negative; give 0 or more")

    root = new_folder(root, overwrite=overwrite)
    with ThreadPoolExecutor(workers) as threads:
        for kind, write in (("stills", _write_still), ("videos", _write_video)):
            (root / kind).mkdir()
            write_classes(root / kind, CLASSES)
            for key, pool in enumerate(BACKGROUNDS):
                many = range(getattr(counts, f"{pool}_{kind}"))
                for _ in threads.map(partial(write, root / kind, config, pool, (seed, key)), many):
                    pass  # Taking the results raises what went wrong in a thread.


def _write_still(
    root: Path, config: SyntheticClassesConfig, pool: Pool, seed: tuple[int, int], number: int
) -> None:
    image, labels = make_still(config, pool, np.random.default_rng((*seed, 0, number)))
    write_image(root, f"{pool}/{number:05d}", image, labels)


def _write_video(
    root: Path, config: SyntheticClassesConfig, pool: Pool, seed: tuple[int, int], number: int
) -> None:
    frames, labels = make_video(config, pool, np.random.default_rng((*seed, 1, number)))
    for time, frame in enumerate(frames):
        write_image(root, f"{pool}/{number:03d}/{time:05d}", frame, labels[time])


def class_scene(config: SyntheticConfig, pool: Pool, rng: np.random.Generator) -> Scene:
    """One to `max_objects` objects of random classes, labelled with them, and up to
    `max_distractors` of none.

    Colours say nothing about the class: textures are grey and tinted at random.
    """
    walls = [recolour(load_photograph(name), rng) for name in rng.permutation(BACKGROUNDS[pool])]
    sprites = [
        random_sprite(
            config,
            label,
            recolour(texture(label), rng),
            outline(label, random_area(config, rng), rng),
            rng,
        )
        for label in rng.integers(1, len(CLASSES), rng.integers(1, config.max_objects + 1))
    ]
    sprites += [
        random_sprite(config, 0, walls[1], random_outline(random_area(config, rng), rng), rng)
        for _ in range(rng.integers(config.max_distractors + 1))
    ]

    return random_surroundings(config, walls[0], sprites, rng)


def texture(label: int) -> np.ndarray:
    """The photograph [h,w,3] uint8 that objects of class `label` are cut from: a part of it, to be
    seen large.
    """
    return load_photograph(f"{CLASSES[label].split()[0]}.png")[:256, :256]


def outline(label: int, area: float, rng: np.random.Generator) -> np.ndarray:
    """The shape of class `label`, a little out of true: signed distance [S,S] with `area` pixels
    inside.
    """
    radii = np.array(_RADII[CLASSES[label].split()[1]])
    angle = np.linspace(0, 2 * np.pi, len(radii), endpoint=False)
    corners = radii[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)
    return filled_outline(corners * np.exp(rng.normal(0, 0.1, 2)), area)


_RADII = {
    "square": [1] * 4,
    "disc": [1] * 36,
    "star": [1, 0.45] * 5,
    "triangle": [1] * 3,
    "cross": [1, 1, 0.45] * 4,
}
