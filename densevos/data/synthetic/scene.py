"""Random scenes: a background, sprites in depth order, a camera and light, all moving over time.

Time is in frames. Positions are in pixels of the output frame while the camera is at rest.
"""

# Shapes: h x w pixels of a photograph or background, S x S of a sprite, D components of a state.

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from densevos.base.errors import InputError
from densevos.data.synthetic.textures import crop_texture, random_outline, recolour, shift_mean

# Least values of settings.
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
    """The look of synthetic sequences; rates are typical changes per frame."""

    height: int = 240
    """Height of a frame, pixels."""
    width: int = 427
    """Width of a frame, pixels."""
    frames: int = 30
    """Number of frames in a sequence."""
    max_objects: int = 3
    """Maximum number of labelled objects in a sequence; the minimum is one."""
    max_distractors: int = 2
    """Maximum number of unlabelled objects that share the texture of a labelled one."""
    min_area: float = 0.06
    """Area of the smallest object in frame 0, as a fraction of the frame."""
    max_area: float = 0.16
    """Area of the largest object in frame 0, as a fraction of the frame."""
    smallest_crop: float = 0.4
    """Side of the smallest crop of a photograph used as a texture, as a fraction of the photograph.
    """
    camouflage: float = 0.6
    """Maximum shift of an object's mean colour towards the background's, as a fraction of their
    difference.
    """
    speed: float = 0.015
    """Motion of objects per frame, as a fraction of the frame's width."""
    dashes: float = 0.15
    """Fraction of objects that dash to the edge of the frame and back, at five times the speed."""
    turn: float = 0.03
    """Rotation of objects per frame, radians."""
    stretch: float = 0.012
    """Scaling of objects along each axis per frame, as a natural logarithm."""
    ripple: float = 0.005
    """Bending of objects per frame, as a fraction of their size."""
    pan: float = 0.006
    """Motion of the camera per frame, as a fraction of the frame's width; it also zooms and rolls.
    """
    light: float = 0.015
    """Change of brightness and colour of the light per frame, as a natural logarithm."""
    noise: float = 4.0
    """Standard deviation of the sensor noise, grey levels."""
    shutter: float = 0.5
    """Time the shutter is open, in frame intervals; it sets the length of the motion blur."""
    blur_steps: int = 2
    """Number of renderings averaged on each side of the frame's instant."""

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if value < least:
                raise InputError(f"{name}: {value} is too small; give at least {least}")

        if self.max_objects > 255:
            raise InputError(
                f"max_objects: {self.max_objects} ids do not fit into a mask; give at most 255"
            )

        if not 0.03 <= self.min_area <= self.max_area <= 0.5:
            raise InputError("min_area, max_area: give 0.03 <= min_area <= max_area <= 0.5")


@dataclass(frozen=True, kw_only=True)
class Wave:
    """A vector [D] that changes smoothly over time: its start, and K sines per component."""

    start: np.ndarray  # [D], the value at time 0
    amplitude: np.ndarray  # [K,D]
    frequency: np.ndarray  # [K,D], radians per frame
    phase: np.ndarray  # [K,D], radians

    def at(self, time: float) -> np.ndarray:
        """The vector [D] at a time, in frames."""
        swing = np.sin(self.frequency * time + self.phase) - np.sin(self.phase)
        position: np.ndarray = self.start + (self.amplitude * swing).sum(0)
        return position


def random_wave(
    start: np.ndarray, rate: np.ndarray, rng: np.random.Generator, quickness: float = 1
) -> Wave:
    """Draw a wave that leaves `start` at about `rate` and turns back 10 to 25 frames later.

    A weaker and faster wave is added to it.

    Args:
        start: Value at time 0, [D].
        rate: Change per frame, [D]; its sign is the direction of the first frames.
        rng: Source of all random choices.
        quickness: Factor by which the wave turns back earlier.

    Returns:
        The wave, with K = 2.
    """
    size = len(start)
    # Row 0 is the main wave, row 1 the weaker one.
    period = np.stack([rng.uniform(40, 100, size) / quickness, rng.uniform(8, 20, size)])
    frequency = 2 * np.pi / period
    # The slope of a sine at phase 0 is amplitude * frequency, so this starts at about `rate`.
    strength = np.stack([rng.uniform(0.6, 1.4, size), rng.normal(0, 0.25, size)])
    phase = np.stack([rng.uniform(-0.6, 0.6, size), rng.uniform(0, 2 * np.pi, size)])
    amplitude = strength * rate / frequency

    return Wave(start=start, amplitude=amplitude, frequency=frequency, phase=phase)


@dataclass(frozen=True, kw_only=True)
class Sprite:
    """A textured shape and its motion."""

    pixels: np.ndarray
    """[S,S,4] float32: RGB, and signed distance to the outline (positive inside), in pixels."""
    motion: Wave
    """(x, y, angle, log stretch along both axes, ripple along both axes as a fraction of S)."""
    ripple_phase: np.ndarray
    """Phase of the ripple along both axes, [2] radians."""
    label: int
    """Id of the object; 0 for a distractor."""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Everything needed to render any instant."""

    background: np.ndarray
    """[h,w,3] float32, larger than the frame."""
    sprites: tuple[Sprite, ...]
    """Sprites from back to front."""
    camera: Wave
    """(x, y, roll, log zoom)."""
    light: Wave
    """(log gain of R, G and B, slope of log gain along x and y)."""


def random_scene(
    config: SyntheticConfig, photographs: Sequence[np.ndarray], rng: np.random.Generator
) -> Scene:
    """Draw a background, labelled objects with other textures, and distractors among them.

    Args:
        config: Numbers, sizes and motion of the objects.
        photographs: Textures, [h,w,3] uint8 each.
        rng: Source of all random choices.

    Returns:
        The scene; its objects have the labels 1, 2, ..., its distractors 0.
    """
    # A sequence without objects would have nothing to segment.
    objects = int(rng.integers(1, config.max_objects + 1))
    distractors = int(rng.integers(config.max_distractors + 1))

    # Every object and the background has its own photograph as long as there are enough.
    order = rng.permutation(len(photographs))
    coats = [recolour(photographs[order[i % order.size]], rng) for i in range(objects + 1)]
    wall = coats.pop()
    # Camouflage: mean colour alone must not tell an object from the background.
    coats = [shift_mean(coat, wall, rng.uniform(0, config.camouflage)) for coat in coats]

    sprites = []
    for label in list(range(1, objects + 1)) + [0] * distractors:
        # A distractor has the texture of a random object: texture alone must not identify one.
        coat = coats[label - 1] if label else coats[rng.integers(objects)]
        level = random_outline(random_area(config, rng), rng)
        sprites.append(random_sprite(config, label, coat, level, rng))

    return random_surroundings(config, wall, sprites, rng)


def random_surroundings(
    config: SyntheticConfig, wall: np.ndarray, sprites: Sequence[Sprite], rng: np.random.Generator
) -> Scene:
    """Put sprites before a background, and draw camera and light.

    Args:
        config: Size of the frame, and motion of camera and light.
        wall: The photograph [h,w,3] whose part becomes the background.
        sprites: Sprites; they get a random order of depth.
        rng: Source of all random choices.

    Returns:
        The scene.
    """
    # Larger than the frame by 30 %: the camera rarely reaches its edge.
    height, width = round(1.3 * config.height), round(1.3 * config.width)
    background = crop_texture(wall, height, width, rng, config.smallest_crop)
    ordered = tuple(sprites[i] for i in rng.permutation(len(sprites)))

    # Pan along x and y in pixels, then roll in radians and log zoom.
    camera_rate = config.pan * _signs(4, rng) * np.array([config.width, config.width, 0.3, 0.5])
    camera = random_wave(np.zeros(4), camera_rate, rng)

    # One sign for all components: the channels brighten or darken together.
    light_rate = config.light * _signs(1, rng) * np.array([1, 1, 1, 0.7, 0.7])
    light = random_wave(np.zeros(5), light_rate, rng)

    return Scene(background=background, sprites=ordered, camera=camera, light=light)


def random_area(config: SyntheticConfig, rng: np.random.Generator) -> float:
    """Draw the area of an object, pixels; its logarithm is uniform."""
    share = config.min_area * (config.max_area / config.min_area) ** rng.uniform()
    return float(share * config.height * config.width)


def random_sprite(
    config: SyntheticConfig,
    label: int,
    coat: np.ndarray,
    level: np.ndarray,
    rng: np.random.Generator,
) -> Sprite:
    """Draw an object at a random place with a random motion.

    Args:
        config: Size of the frame, and motion of objects.
        label: Id of the object; 0 for a distractor.
        coat: The photograph [h,w,3] that its texture is cut from.
        level: Signed distance to its outline [S,S], positive inside, in pixels.
        rng: Source of all random choices.

    Returns:
        The sprite.
    """
    frame = np.array([config.width, config.height])
    # Objects start away from the edges of the frame.
    position, target = rng.uniform(0.15, 0.85, (2, 2)) * frame

    # A dashing object leaves the middle of the frame; another one moves towards a random place.
    dashes = rng.uniform() < config.dashes
    way = position - frame / 2 if dashes else target - position
    factor, quickness = (5, 3) if dashes else (1, 1)
    velocity = factor * config.speed * config.width * way / np.hypot(way[0], way[1])

    # The components of `Sprite.motion`: position, angle, stretch, ripple.
    angle = rng.uniform(-np.pi, np.pi)
    ripple = rng.normal(0, 0.04, 2)
    start = np.concatenate([position, [angle, 0, 0], ripple])
    rates = np.array([config.turn, config.stretch, config.stretch, config.ripple, config.ripple])
    rate = np.concatenate([velocity, rates * _signs(5, rng)])
    motion = random_wave(start, rate, rng, quickness=quickness)

    # [S,S,3] texture and [S,S] distance are warped together, as four channels.
    texture = crop_texture(coat, len(level), len(level), rng, config.smallest_crop)
    return Sprite(
        pixels=np.dstack([texture, level]),
        motion=motion,
        ripple_phase=rng.uniform(0, 2 * np.pi, 2),
        label=label,
    )


def _signs(size: int, rng: np.random.Generator) -> np.ndarray:
    return rng.choice((-1.0, 1.0), size)
