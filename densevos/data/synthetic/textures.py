"""Pixels that synthetic scenes are made of: photographs, crops of them, random outlines."""

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
HELD_OUT = 5  # Every fifth of your own photographs is for the validation sequences alone.
PHOTOGRAPH_SIDE = 480
PHOTOGRAPH_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")

# All of them lie in the scikit-image wheel; none is fetched. No photograph is in both pools.
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
    """A photograph of the wheel, [h,w,3] uint8 RGB and read-only (grey ones have equal
    channels).
    """
    with as_file(files("skimage") / "data" / name) as path:
        photograph = read_image(path)

    photograph.setflags(write=False)
    return photograph


def load_photographs(pool: Pool) -> tuple[np.ndarray, ...]:
    """The photographs of one pool."""
    return tuple(load_photograph(name) for name in PHOTOGRAPHS[pool])


def read_photographs(folder: Path) -> dict[Pool, tuple[np.ndarray, ...]]:
    """Your own photographs, in the order of their names: every fifth one is for `val`, all others
    are for `train`.

    They are shrunk to a short side of 480 pixels, so that many of them fit into memory.

    Raises:
        InputError: There is no such folder, it holds fewer than five photographs, or one of them
            cannot be read.
    """
    if not folder.is_dir():
        raise InputError(
            f"--photographs {folder}: no such folder; give a folder of JPEG, PNG or WebP files"
        )

    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in PHOTOGRAPH_SUFFIXES)
    if len(paths) < HELD_OUT:
        raise InputError(
            f"--photographs {folder}: holds {len(paths)} photographs; give at least {HELD_OUT},"
            " every fifth is for the validation sequences"
        )

    photographs = [_shrunk(read_image(path)) for path in paths]
    held_out = photographs[HELD_OUT - 1 :: HELD_OUT]
    others = [
        photograph for number, photograph in enumerate(photographs, start=1) if number % HELD_OUT
    ]

    return {"train": tuple(others), "val": tuple(held_out)}


def _shrunk(photograph: np.ndarray) -> np.ndarray:
    """A photograph [h,w,3] whose short side is at most PHOTOGRAPH_SIDE pixels."""
    height, width = photograph.shape[:2]
    scale = PHOTOGRAPH_SIDE / min(height, width)
    if scale >= 1:
        return photograph

    return cv2.resize(
        photograph, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA
    )


def recolour(photograph: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Photograph [h,w,3] with channels permuted and scaled at random; float32 in 0..255."""
    gains = np.exp(rng.normal(0, 0.15, 3)).astype(np.float32)
    return np.clip(photograph[..., rng.permutation(3)] * gains, 0, 255)


def shift_mean(photograph: np.ndarray, towards: np.ndarray, share: float) -> np.ndarray:
    """Move the mean colour of `photograph` by `share` (0..1) of the way to the mean colour of
    `towards`.
    """
    step = share * (towards.mean((0, 1)) - photograph.mean((0, 1)))
    return np.clip(photograph + step, 0, 255)


def crop_texture(
    photograph: np.ndarray, height: int, width: int, rng: np.random.Generator, smallest: float = 0.4
) -> np.ndarray:
    """A random crop, float32 [height,width,3]: the one with most contrast of three, maybe mirrored.

    The crop spans `smallest` to 90 % of what fits into the photograph at the wanted aspect ratio.
    """
    fit = min(photograph.shape[0] / height, photograph.shape[1] / width)
    crops = []
    for _ in range(3):
        scale = rng.uniform(smallest, 0.9) * fit
        h, w = max(1, round(height * scale)), max(1, round(width * scale))
        y, x = rng.integers(photograph.shape[0] - h + 1), rng.integers(photograph.shape[1] - w + 1)
        crops.append(photograph[y : y + h, x : x + w])

    crop = max(crops, key=lambda pixels: float(pixels.std()))[:, :: rng.choice((-1, 1))]
    method = cv2.INTER_AREA if crop.shape[0] > height else cv2.INTER_CUBIC
    resized = cv2.resize(
        np.ascontiguousarray(crop, np.float32), (width, height), interpolation=method
    )

    return np.clip(resized, 0, 255)


def random_outline(area: float, rng: np.random.Generator) -> np.ndarray:
    """Signed distance to a smooth closed curve, float32 [S,S], positive inside, in pixels.

    The radius is the exponential of a random Fourier series of the angle, so it stays positive and
    the curve never crosses itself, while strong terms carve concavities. `area` is the area inside
    in pixels; S follows from it.
    """
    angle = np.linspace(0, 2 * np.pi, 180, endpoint=False)
    order = np.arange(2, 8)
    waves = np.cos(order * angle[:, None] + rng.uniform(0, 2 * np.pi, order.size))
    radius = np.exp(waves @ (rng.normal(0, 0.6, order.size) / order))

    return filled_outline(radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1), area)


def filled_outline(curve: np.ndarray, area: float) -> np.ndarray:
    """Signed distance to the closed polygon `curve` [N,2], moved to the middle and scaled to `area`
    pixels inside.
    """
    curve = curve * np.sqrt(area / cv2.contourArea(curve.astype(np.float32)))
    return signed_distance(curve - (curve.max(0) + curve.min(0)) / 2)


def signed_distance(curve: np.ndarray) -> np.ndarray:
    """Signed distance in pixels to the closed polygon `curve` [N,2], float32 [S,S], origin in the
    middle.

    S is such that the curve lies inside the disc that touches the sides.
    """
    finer = 4  # Distances are taken on a finer grid: they are exact to about an eighth of a pixel.
    size = 2 * int(np.ceil(np.hypot(*curve.T).max() + 2))
    points = np.round((curve + size / 2) * finer - 0.5).astype(np.int32)
    inside = cv2.fillPoly(np.zeros((size * finer, size * finer), np.uint8), [points], 1)
    within, beyond = (cv2.distanceTransform(side, cv2.DIST_L2, 5) for side in (inside, 1 - inside))

    return cv2.resize((within - beyond) / finer, (size, size), interpolation=cv2.INTER_AREA)
