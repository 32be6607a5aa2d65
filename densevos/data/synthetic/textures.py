"""The pixels of synthetic scenes: photographs, crops of them, and random outlines."""

# Shapes: h x w pixels of a photograph, S x S of a sprite, N corners of a polygon.

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import cv2
import numpy as np

from densevos.base.errors import InputError
from densevos.data.sources.images import read_image

Pool = Literal["train", "val"]
HELD_OUT = 5  # Every fifth of the user's photographs is for validation sequences only.
PHOTOGRAPH_SIDE = 480  # Largest short side of the user's photographs, pixels.
PHOTOGRAPH_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")

# All of them lie in the scikit-image wheel; none is downloaded. No photograph is in both pools.
PHOTOGRAPHS: Mapping[Pool, Sequence[str]] = MappingProxyType(
    {
        "train": (
            "astronaut.png",
            "motorcycle_left.png",
            "rocket.jpg",
            "ihc.png",
            "gravel.png",
            "coins.png",
            "page.png",
        ),
        "val": ("chelsea.png", "coffee.png", "camera.png", "grass.png", "brick.png"),
    }
)


@cache
def load_photograph(name: str) -> np.ndarray:
    """Load a photograph of the scikit-image wheel.

    Args:
        name: Name of the file.

    Returns:
        [h,w,3] uint8 RGB, read-only; the channels of grey photographs are equal.
    """
    with as_file(files("skimage") / "data" / name) as path:
        photograph = read_image(path)

    # All callers share the cached array.
    photograph.setflags(write=False)
    return photograph


def load_photographs(pool: Pool) -> tuple[np.ndarray, ...]:
    """The photographs of one pool, [h,w,3] uint8 RGB each."""
    return tuple(load_photograph(name) for name in PHOTOGRAPHS[pool])


def read_photographs(folder: Path) -> dict[Pool, tuple[np.ndarray, ...]]:
    """Read the user's photographs: every fifth one for `val`, all others for `train`.

    They are shrunk to a short side of 480 pixels, so that many of them fit into memory.

    Args:
        folder: A folder of JPEG, PNG or WebP files; they are sorted by name.

    Returns:
        The photographs of both pools, [h,w,3] uint8 RGB each.

    Raises:
        InputError: The folder is missing, holds fewer than five photographs, or one of them cannot
            be read.
    """
    if not folder.is_dir():
        raise InputError(
            f"--photographs {folder}: no such folder; give a folder of JPEG, PNG or WebP files"
        )

    # Sorted by name, so that the same folder always gives the same pools.
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in PHOTOGRAPH_SUFFIXES)
    if len(paths) < HELD_OUT:
        raise InputError(
            f"--photographs {folder}: holds {len(paths)} photographs; give at least {HELD_OUT},"
            " every fifth is for the validation sequences"
        )

    photographs = [_shrunk(read_image(path)) for path in paths]
    held_out = photographs[HELD_OUT - 1 :: HELD_OUT]
    others = []
    for number, photograph in enumerate(photographs, start=1):
        if number % HELD_OUT:
            others.append(photograph)

    return {"train": tuple(others), "val": tuple(held_out)}


def _shrunk(photograph: np.ndarray) -> np.ndarray:
    """A photograph [h,w,3] whose short side is at most PHOTOGRAPH_SIDE pixels."""
    height, width = photograph.shape[:2]
    scale = PHOTOGRAPH_SIDE / min(height, width)
    if scale >= 1:
        return photograph

    size = (round(width * scale), round(height * scale))
    return cv2.resize(photograph, size, interpolation=cv2.INTER_AREA)


def recolour(photograph: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Permute the channels of a photograph [h,w,3] and scale each one; float32 in 0..255."""
    gains = np.exp(rng.normal(0, 0.15, 3)).astype(np.float32)
    return np.clip(photograph[..., rng.permutation(3)] * gains, 0, 255)


def shift_mean(photograph: np.ndarray, towards: np.ndarray, share: float) -> np.ndarray:
    """Shift the mean colour of a photograph towards that of another one.

    Args:
        photograph: [h,w,3] in 0..255.
        towards: The other photograph, [h,w,3] in 0..255; its size may differ.
        share: Size of the shift as a fraction (0..1) of the difference of the means.

    Returns:
        [h,w,3] in 0..255.
    """
    # Clipping makes the true shift a little smaller near black and white.
    step = share * (towards.mean((0, 1)) - photograph.mean((0, 1)))
    shifted: np.ndarray = np.clip(photograph + step, 0, 255)
    return shifted


def crop_texture(
    photograph: np.ndarray, height: int, width: int, rng: np.random.Generator, smallest: float = 0.4
) -> np.ndarray:
    """Draw three crops of a photograph and scale the one with most contrast, maybe mirrored.

    Args:
        photograph: [h,w,3].
        height: Height of the result, pixels.
        width: Width of the result, pixels.
        rng: Source of all random choices.
        smallest: Least size of a crop as a fraction of the largest crop with the wanted aspect
            ratio; the greatest size is 0.9.

    Returns:
        [height,width,3] float32.
    """
    # The largest crop of the wanted aspect ratio is `fit` times as large as the result.
    fit = min(photograph.shape[0] / height, photograph.shape[1] / width)
    crops = []
    for _ in range(3):
        scale = rng.uniform(smallest, 0.9) * fit
        h, w = max(1, round(height * scale)), max(1, round(width * scale))
        y, x = rng.integers(photograph.shape[0] - h + 1), rng.integers(photograph.shape[1] - w + 1)
        crops.append(photograph[y : y + h, x : x + w])

    # A crop of sky or wall alone would give an object without texture.
    best = max(crops, key=lambda pixels: float(pixels.std()))
    crop = best[:, :: rng.choice((-1, 1))]
    # Averages avoid aliasing when a crop shrinks; cubic interpolation stays sharp when it grows.
    method = cv2.INTER_AREA if crop.shape[0] > height else cv2.INTER_CUBIC
    pixels = np.ascontiguousarray(crop, np.float32)
    resized = cv2.resize(pixels, (width, height), interpolation=method)

    # Cubic interpolation overshoots at edges.
    return np.clip(resized, 0, 255)


def random_outline(area: float, rng: np.random.Generator) -> np.ndarray:
    """Draw a smooth closed curve.

    The radius is the exponential of a random Fourier series of the angle. So it is positive and the
    curve never crosses itself, and strong terms make it concave in places.

    Args:
        area: Area inside the curve, pixels.
        rng: Source of the random series.

    Returns:
        Signed distance to the curve [S,S] float32, positive inside, in pixels; S follows from the
        area.
    """
    # Orders 0 and 1 would only change size and position; high orders are weaker.
    angle = np.linspace(0, 2 * np.pi, 180, endpoint=False)
    order = np.arange(2, 8)
    waves = np.cos(order * angle[:, None] + rng.uniform(0, 2 * np.pi, order.size))
    radius = np.exp(waves @ (rng.normal(0, 0.6, order.size) / order))

    curve = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)
    return filled_outline(curve, area)


def filled_outline(curve: np.ndarray, area: float) -> np.ndarray:
    """Scale a closed polygon to an area, move it to the middle, and compute its signed distance.

    Args:
        curve: Corners (x, y), [N,2], in any unit.
        area: Area inside the polygon, pixels.

    Returns:
        [S,S] float32, positive inside, in pixels.
    """
    # Area grows with the square of the scale.
    curve = curve * np.sqrt(area / cv2.contourArea(curve.astype(np.float32)))
    return signed_distance(curve - (curve.max(0) + curve.min(0)) / 2)


def signed_distance(curve: np.ndarray) -> np.ndarray:
    """Compute the signed distance to a closed polygon.

    Args:
        curve: Corners (x, y), [N,2], pixels; the origin is the middle of the result.

    Returns:
        [S,S] float32, positive inside, in pixels. S is so large that the polygon lies inside the
        disc that touches the sides.
    """
    # On a grid four times as fine, distances are exact to about an eighth of a pixel.
    finer = 4
    size = 2 * int(np.ceil(np.hypot(*curve.T).max() + 2))
    points = np.round((curve + size / 2) * finer - 0.5).astype(np.int32)
    inside = cv2.fillPoly(np.zeros((size * finer, size * finer), np.uint8), [points], 1)
    within = cv2.distanceTransform(inside, cv2.DIST_L2, 5)
    beyond = cv2.distanceTransform(1 - inside, cv2.DIST_L2, 5)
    distance = (within - beyond) / finer

    return cv2.resize(distance, (size, size), interpolation=cv2.INTER_AREA)
