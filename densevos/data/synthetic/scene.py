"""Random scenes: a background, sprites in depth order, a camera and light, all moving over time.

Time is in frames; positions are in pixels of the output frame at camera rest.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from densevos.base.errors import InputError
from densevos.data.synthetic.textures import crop_texture, random_outline, recolour, shift_mean

_LEAST = {
    "height": 8,
    "width": 8,
    "frames": 1,
    "max_objects": 1,
    "max_distractors": 0,
    "noise": 0,
    "blur_steps": 0,
}


@dataclass(frozen=True, kw_only=True)
class SyntheticConfig:
    """What synthetic sequences look like; rates are typical changes from one frame to the next."""

    height: int = 240
    """Height of a frame, pixels."""
    width: int = 427
    """Width of a frame, pixels."""
    frames: int = 30
    """Number of frames of a sequence."""
    max_objects: int = 3
    """A sequence has one to this many labelled objects."""
    max_distractors: int = 2
    """Unlabelled sprites with the texture of a labelled one: none to this many."""
    min_area: float = 0.06
    """Area of the smallest object in frame 0, as a fraction of the frame."""
    max_area: float = 0.16
    """Area of the largest object in frame 0, as a fraction of the frame."""
    smallest_crop: float = 0.4
    """Side of the smallest part of a photograph that becomes a texture, as a fraction of the
    photograph.
    """
    camouflage: float = 0.6
    """Greatest share of the way that the mean colour of an object is moved to that of the
    background.
    """
    speed: float = 0.015
    """Motion of objects, fraction of the frame's width."""
    dashes: float = 0.15
    """Share of objects that run towards the edge of the frame, five times as fast, and back."""
    turn: float = 0.03
    """Rotation of objects, radians."""
    stretch: float = 0.012
    """Scaling of objects along each of their axes, natural logarithm."""
    ripple: float = 0.005
    """Bending of objects, fraction of their size."""
    pan: float = 0.006
    """Motion of the camera, fraction of the frame's width; it also zooms and rolls a little."""
    light: float = 0.015
    """Change of brightness and colour of the light, natural logarithm."""
    noise: float = 4.0
    """Standard deviation of the sensor noise, grey levels."""
    shutter: float = 0.5
    """How long the shutter is open, in frame intervals: the length of the motion blur."""
    blur_steps: int = 2
    """Renderings averaged before and after the frame's instant."""

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            if getattr(self, name) < least:
                raise InputError(
                    f"{name}: {getattr(self, name)} is too small; give at least {least}"
                )

        if self.max_objects > 255:
            raise InputError(
                f"max_objects: {self.max_objects} ids do not fit into a mask; give at most 255"
            )

        if not 0.03 <= self.min_area <= self.max_area <= 0.5:
            raise InputError("min_area, max_area: give 0.03 <= min_area <= max_area <= 0.5")


@dataclass(frozen=True, kw_only=True)
class Wave:
    """A vector [D] that changes smoothly and randomly over time: a start and K sines for each
    component.
    """

    start: np.ndarray
    amplitude: np.ndarray  # [K,D]
    frequency: np.ndarray  # [K,D], radians per frame
    phase: np.ndarray  # [K,D]

    def at(self, time: float) -> np.ndarray:
        swing = np.sin(self.frequency * time + self.phase) - np.sin(self.phase)
        return self.start + (self.amplitude * swing).sum(0)


def random_wave(
    start: np.ndarray, rate: np.ndarray, rng: np.random.Generator, quickness: float = 1
) -> Wave:
    """A wave that leaves `start` at about `rate` per frame and turns back 10 to 25 frames later.

    With `quickness` 2 it turns back twice as soon. The sign of `rate` is the direction of the first
    frames; a weaker wobble is added.
    """
    size = len(start)
    period = np.stack([rng.uniform(40, 100, size) / quickness, rng.uniform(8, 20, size)])
    frequency = 2 * np.pi / period
    strength = np.stack([rng.uniform(0.6, 1.4, size), rng.normal(0, 0.25, size)])
    phase = np.stack([rng.uniform(-0.6, 0.6, size), rng.uniform(0, 2 * np.pi, size)])
    amplitude = strength * rate / frequency

    return Wave(start=start, amplitude=amplitude, frequency=frequency, phase=phase)


@dataclass(frozen=True, kw_only=True)
class Sprite:
    """A textured shape and its motion.

    `pixels` is [S,S,4] float32: RGB and signed distance to the outline (positive inside), in
    pixels. `motion` is (x, y, angle, log stretch along both axes, ripple along both axes as a
    fraction of S). `label` is the object id, 0 for a distractor.
    """

    pixels: np.ndarray
    motion: Wave
    ripple_phase: np.ndarray  # [2]
    label: int


@dataclass(frozen=True, kw_only=True)
class Scene:
    """All that is needed to render any instant; `sprites` are ordered from back to front.

    `camera` is (x, y, roll, log zoom); `light` is (log gain of R, G, B, slope of log gain along x,
    y).
    """

    background: np.ndarray  # [h,w,3] float32, larger than the frame
    sprites: tuple[Sprite, ...]
    camera: Wave
    light: Wave


def random_scene(
    config: SyntheticConfig, photographs: Sequence[np.ndarray], rng: np.random.Generator
) -> Scene:
    """A background, labelled objects with textures of other photographs, and distractors among
    them.
    """
    objects = int(rng.integers(1, config.max_objects + 1))
    distractors = int(rng.integers(config.max_distractors + 1))
    order = rng.permutation(len(photographs))
    coats = [recolour(photographs[order[i % order.size]], rng) for i in range(objects + 1)]
    wall = coats.pop()
    coats = [shift_mean(coat, wall, rng.uniform(0, config.camouflage)) for coat in coats]
    labels = [*range(1, objects + 1), *[0] * distractors]
    sprites = [
        random_sprite(
            config,
            label,
            coats[label - 1 if label else rng.integers(objects)],
            random_outline(random_area(config, rng), rng),
            rng,
        )
        for label in labels
    ]

    return random_surroundings(config, wall, sprites, rng)


def random_surroundings(
    config: SyntheticConfig, wall: np.ndarray, sprites: Sequence[Sprite], rng: np.random.Generator
) -> Scene:
    """The scene of `sprites`, in random depth order, before a part of the photograph `wall`
    [h,w,3].
    """
    return Scene(
        background=crop_texture(
            wall, round(1.3 * config.height), round(1.3 * config.width), rng, config.smallest_crop
        ),
        sprites=tuple(sprites[i] for i in rng.permutation(len(sprites))),
        camera=random_wave(
            np.zeros(4),
            config.pan * _signs(4, rng) * np.array([config.width, config.width, 0.3, 0.5]),
            rng,
        ),
        light=random_wave(
            np.zeros(5), config.light * _signs(1, rng) * np.array([1, 1, 1, 0.7, 0.7]), rng
        ),
    )


def random_area(config: SyntheticConfig, rng: np.random.Generator) -> float:
    """Area of an object, pixels."""
    share = config.min_area * (config.max_area / config.min_area) ** rng.uniform()
    return float(share * config.height * config.width)


def random_sprite(
    config: SyntheticConfig,
    label: int,
    coat: np.ndarray,
    level: np.ndarray,
    rng: np.random.Generator,
) -> Sprite:
    """An object of outline `level` (signed distance [S,S]) cut from the photograph `coat`,
    somewhere and on its way.
    """
    frame = np.array([config.width, config.height])
    position, target = rng.uniform(0.15, 0.85, (2, 2)) * frame
    dashes = rng.uniform() < config.dashes
    way = position - frame / 2 if dashes else target - position
    velocity = (5 if dashes else 1) * config.speed * config.width * way / np.hypot(*way)
    rates = np.array([config.turn, config.stretch, config.stretch, config.ripple, config.ripple])
    motion = random_wave(
        np.array([*position, rng.uniform(-np.pi, np.pi), 0, 0, *rng.normal(0, 0.04, 2)]),
        np.array([*velocity, *rates * _signs(5, rng)]),
        rng,
        quickness=3 if dashes else 1,
    )

    return Sprite(
        pixels=np.dstack(
            [crop_texture(coat, len(level), len(level), rng, config.smallest_crop), level]
        ),
        motion=motion,
        ripple_phase=rng.uniform(0, 2 * np.pi, 2),
        label=label,
    )


def _signs(size: int, rng: np.random.Generator) -> np.ndarray:
    return rng.choice((-1.0, 1.0), size)
