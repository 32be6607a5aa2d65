"""Synthetic stills and videos of five classes with an intended domain gap between the two.

A class is a texture and a shape. Stills are sharp and evenly lit. Videos have motion blur, poor
light and compression. Motion, rendering and photographs are those of
`densevos.data.synthetic.sequences`.
"""

# Shapes: T frames of a video, H x W pixels of a frame, h x w of a photograph, S x S of a sprite.

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
"""Photographs for backgrounds and for distractors; no photograph is in both pools."""

# No blur here: the scene is rendered with motion blur.
_RECORDING = DegradationConfig(
    blur=(0, 0), light=(0.2, 0.5), resolution=(0.5, 0.8), quality=(15, 40)
)


@dataclass(frozen=True, kw_only=True)
class SyntheticClassesConfig:
    """The look of the stills and of the frames of the videos."""

    height: int = 144
    """Height of an image, pixels."""
    width: int = 192
    """Width of an image, pixels."""
    frames: int = 8
    """Number of frames in a video."""
    max_objects: int = 4
    """Maximum number of objects in an image or a video."""
    speed: float = 0.06
    """Motion of objects in videos, as a fraction of the frame's width per frame."""
    pan: float = 0.03
    """Motion of the camera in videos, as a fraction of the frame's width per frame."""
    shutter: float = 0.9
    """Time the shutter is open in videos, in frame intervals; it sets the length of the motion
    blur.
    """
    recording: DegradationConfig = _RECORDING
    """Degradation of videos besides motion blur; each video draws its amounts once."""

    def still(self) -> SyntheticConfig:
        """The configuration of one sharp frame."""
        return replace(self.video(), frames=1, speed=0.01, shutter=0, blur_steps=0)

    def video(self) -> SyntheticConfig:
        """The configuration of blurred frames with moving objects and camera, without noise."""
        # Sensor noise belongs to the recording, which adds it after the light is reduced.
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
    """Render a sharp image.

    Args:
        config: The look of the image.
        pool: The photographs to use.
        rng: Source of all random choices.

    Returns:
        Image [H,W,3] uint8 RGB and class ids [H,W] uint8.
    """
    still = config.still()
    return render_frame(class_scene(still, pool, rng), 0, still, rng)


def make_video(
    config: SyntheticClassesConfig, pool: Pool, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Render a video and degrade its frames.

    Args:
        config: The look of the video.
        pool: The photographs to use.
        rng: Source of all random choices.

    Returns:
        Frames [T,H,W,3] uint8 RGB and class ids [T,H,W] uint8. Ids hold for the middle of the
        exposure of each frame.
    """
    # The scene and the recording are drawn once per video, so they do not flicker between frames.
    video = config.video()
    scene = class_scene(video, pool, rng)
    recording = settled(config.recording, rng)

    # All frames are rendered before the first is degraded: the order of random draws.
    rendered = [render_frame(scene, time, video, rng) for time in range(video.frames)]
    frames, labels = zip(*rendered, strict=True)

    return np.stack([degrade(frame, recording, rng) for frame in frames]), np.stack(labels)


@dataclass(frozen=True, kw_only=True)
class SyntheticCounts:
    """Numbers of stills and videos to write."""

    train_stills: int = 300
    """Number of training stills."""
    val_stills: int = 60
    """Number of validation stills."""
    train_videos: int = 60
    """Number of training videos."""
    val_videos: int = 20
    """Number of validation videos."""


def write_classes_sets(
    root: Path,
    *,
    counts: SyntheticCounts,
    seed: int,
    config: SyntheticClassesConfig,
    overwrite: bool = False,
    workers: int = 2,
) -> None:
    """Write the labelled sets ROOT/stills and ROOT/videos with the splits train and val.

    Both have the layout `folder`. Videos have labels for evaluation; training can use them as
    unlabelled videos. Each still or video depends only on `seed`, its split and its number.

    Args:
        root: Folder to write.
        counts: Numbers of stills and videos.
        seed: Seed of all random choices.
        config: The look of stills and videos.
        overwrite: Whether to replace a folder that holds files.
        workers: Number of threads.

    Raises:
        InputError: A number is negative, or `root` holds files and `overwrite` is not set.
    """
    # Check the numbers before the folder is emptied.
    for name, number in {**vars(counts), "seed": seed}.items():
        if number < 0:
            raise InputError(f"--{name.replace('_', '-')}: {number} is negative; give 0 or more")

    root = new_folder(root, overwrite=overwrite)
    with ThreadPoolExecutor(workers) as threads:
        # The seed of an image is built from split, kind and number, so threads may finish in any
        # order.
        for kind, write in (("stills", _write_still), ("videos", _write_video)):
            (root / kind).mkdir()
            write_classes(root / kind, CLASSES)
            for key, pool in enumerate(BACKGROUNDS):
                numbers = range(getattr(counts, f"{pool}_{kind}"))
                write_one = partial(write, root / kind, config, pool, (seed, key))
                # Reading the results raises the errors of the threads.
                for _ in threads.map(write_one, numbers):
                    pass


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
    """Draw a scene of objects of random classes and of distractors without a class.

    Colour is no cue to the class: textures are grey and tinted at random.

    Args:
        config: Numbers, sizes and motion of the objects.
        pool: The photographs to use.
        rng: Source of all random choices.

    Returns:
        One to `max_objects` sprites, labelled with their class, and up to `max_distractors` with
        label 0.
    """
    # The first photograph is the background, the second one covers the distractors.
    walls = [recolour(load_photograph(name), rng) for name in rng.permutation(BACKGROUNDS[pool])]

    objects = rng.integers(1, config.max_objects + 1)
    sprites = []
    for label in rng.integers(1, len(CLASSES), objects):
        coat = recolour(texture(label), rng)
        level = outline(label, random_area(config, rng), rng)
        sprites.append(random_sprite(config, label, coat, level, rng))

    for _ in range(rng.integers(config.max_distractors + 1)):
        # Distractors look like another background and have random shapes, so an edge alone is no
        # sign of a class.
        level = random_outline(random_area(config, rng), rng)
        sprites.append(random_sprite(config, 0, walls[1], level, rng))

    return random_surroundings(config, walls[0], sprites, rng)


def texture(label: int) -> np.ndarray:
    """The part [h,w,3] uint8 of a photograph that is the texture of class `label`."""
    # A small part, so that the pattern is large on an object.
    return load_photograph(f"{CLASSES[label].split()[0]}.png")[:256, :256]


def outline(label: int, area: float, rng: np.random.Generator) -> np.ndarray:
    """Draw the shape of a class, slightly stretched.

    Args:
        label: Number of the class.
        area: Area of the shape, pixels.
        rng: Source of the random stretch.

    Returns:
        Signed distance to the outline [S,S] float32, positive inside, in pixels.
    """
    radii = np.array(_RADII[CLASSES[label].split()[1]])
    # Corners of the regular shape, stretched along x and y by about 10 %.
    angle = np.linspace(0, 2 * np.pi, len(radii), endpoint=False)
    corners = radii[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)
    return filled_outline(corners * np.exp(rng.normal(0, 0.1, 2)), area)


# Distances of the corners of a shape from its centre, at equal angles.
_RADII = {
    "square": [1] * 4,
    "disc": [1] * 36,
    "star": [1, 0.45] * 5,
    "triangle": [1] * 3,
    "cross": [1, 1, 0.45] * 4,
}
