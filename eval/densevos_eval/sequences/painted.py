"""Masks as paint programs save them: indexed, black and white, or one flat colour for each object."""

import warnings
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from densevos.base.errors import InputError
from densevos.base.masks import PALETTE, VOID, open_mask

MOST_COLOURS = 64
FLAT = 0.5  # Share of the objects' pixels that have their flat colours, at least; of a photograph's very few have.
SHADES, MOSTLY = 32, 0.8  # A wide smooth edge has more than so many shades, while most of the mask is black or white.
ALIKE = 30  # Distance of RGB below which colours are shades of one; in the DAVIS palette most are 64 apart.

CURE = "paint each object in one flat colour on a black or transparent layer, and save that layer alone as PNG"
CODE = np.array([1 << 16, 1 << 8, 1], np.int32)  # RGB -> 0xRRGGBB


def read_painted(paths: Iterable[Path]) -> list[np.ndarray]:
    """Masks [H,W] uint8 of one video, as ids: 0 is background, and a colour is the same object in all of them.

    An indexed or grey picture holds ids already, but one in black and white (its edges may be smooth) is object 1.
    In colours, black and transparent are background; every other flat colour is an object, with the id that the
    DAVIS palette gives it if that knows all of them, else numbered in order of appearance. A cut-out photograph on
    transparent ground is object 1. Ids above 255 are numbered from 1 on, which a warning says. Raises InputError for
    files that cannot be read and for other photographs.
    """
    paths = list(paths)
    masks = _instances_numbered(paths, [_ids_or_colours(path) for path in paths])
    ids = _numbered([colour for mask in masks if mask.dtype != np.uint8 for colour in _in_order(mask)])
    return [mask if mask.dtype == np.uint8 else _replaced(mask, ids) for mask in masks]


def _ids_or_colours(path: Path) -> np.ndarray:
    """Ids [H,W] uint8, ids above 255 too [H,W] int64, or flat colours 0xRRGGBB [H,W] int32; 0 for the background."""
    image = open_mask(path)
    if image.mode.startswith("I") or image.mode == "F":
        return _deep_ids(path, np.asarray(image))
    if image.mode in ("1", "L"):
        return _black_and_white(np.asarray(image.convert("L")))
    if image.mode == "P" and not _indexed_by_colour(image):
        return np.asarray(image, dtype=np.uint8)
    return _flat_colours(path, np.asarray(image.convert("RGBA")))


def _deep_ids(path: Path, grey: np.ndarray) -> np.ndarray:
    """Ids [H,W] of a grey picture of 16 or 32 bits: uint8 if they are those of 8 bits, else int64."""
    if not (grey.min() >= 0 and grey.max() < np.inf and (grey % 1 == 0).all()):
        raise InputError(f"{path}: mask has values from {grey.min():g} to {grey.max():g}; ids are whole numbers from 0")
    ids = grey.astype(np.int64)
    if ids.max() <= VOID:
        return _black_and_white(ids.astype(np.uint8))

    # Programs that work at 16 bits save the value 1 of 8 bits as 256 or 257, and white as 65535.
    if ids.max() < 1 << 16:
        high = (ids >> 8).astype(np.uint8)
        mask = _black_and_white(high)
        solid = ids[flat(ids.astype(np.uint16))]
        lost = ((solid > 0) & (solid <= VOID)).any()
        if (mask is not high and not lost) or not (ids % 256).any() or not (ids % 257).any():
            return mask
    return ids


def _instances_numbered(paths: list[Path], masks: list[np.ndarray]) -> list[np.ndarray]:
    """The masks [H,W]; where ids are above 255 those of all masks are numbered from 1 on, alike in all of them."""
    wide = [path for path, mask in zip(paths, masks, strict=True) if mask.dtype == np.int64]
    if not wide:
        return masks
    ids = np.unique(np.concatenate([np.unique(mask) for mask in masks if mask.dtype != np.int32]))
    ids = ids[ids > 0]
    if len(ids) > VOID:
        raise InputError(
            f"{wide[0]}: mask has {len(ids)} ids up to {ids[-1]}, and masks hold 255; if they are not objects, it was"
            " resized with interpolation: make it again with nearest neighbour"
        )
    names = ", ".join(map(str, ids.tolist()))
    numbers = ", ".join(map(str, range(1, len(ids) + 1)))
    warnings.warn(f"{wide[0]}: masks hold ids up to 255, so {names} are numbered {numbers}", stacklevel=2)
    return [mask if mask.dtype == np.int32 else _numbers(mask, ids) for mask in masks]


def _numbers(mask: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Where in the ascending `ids` each value of the mask [H,W] stands, from 1 on, uint8; 0 stays 0."""
    return np.where(mask > 0, np.searchsorted(ids, mask) + 1, 0).astype(np.uint8)


def _black_and_white(grey: np.ndarray) -> np.ndarray:
    """A mask of object 1 if all is black or white but for smooth edges, else the values as they are."""
    return (grey >= 128).astype(np.uint8) if _is_black_and_white(grey) else grey


def _is_black_and_white(grey: np.ndarray) -> bool:
    """Whether a grey picture [H,W] uint8 has white in it and is black or white but for smooth edges."""
    extreme = (grey == 0) | (grey == 255)
    only = not (grey[flat(grey)] % 255).any() or (len(np.unique(grey)) > SHADES and extreme.mean() > MOSTLY)
    return bool(only and 255 in grey)


def _indexed_by_colour(image: Image.Image) -> bool:
    """Whether the background of this palette picture is black, but black is not its colour 0."""
    palette = np.array(image.getpalette("RGB")).reshape(-1, 3)
    used = [i for i in np.unique(np.asarray(image)) if i < len(palette)]
    return bool(palette[0].any() and any(not palette[i].any() for i in used))


def _flat_colours(path: Path, picture: np.ndarray) -> np.ndarray:
    """The flat colour next to that of each pixel of RGBA [H,W,4], as 0xRRGGBB [H,W] int32; 0 where transparent."""
    clear = picture[..., 3] < 128
    rgb = np.where(clear[..., None], 0, picture[..., :3])
    codes = rgb.astype(np.int32) @ CODE
    colours = _distinct(codes[flat(rgb)])
    if len(colours) > MOST_COLOURS or not _painted(codes, colours):
        if clear.any():
            return np.where(clear, 0, 0xFFFFFF).astype(np.int32)
        grey = np.ascontiguousarray(rgb[..., 0])
        if (rgb == grey[..., None]).all() and _is_black_and_white(grey):  # its edges are wide, and it is no photograph
            return np.where(grey >= 128, 0xFFFFFF, 0).astype(np.int32)
        raise InputError(f"{path}: mask looks like a photograph, or was saved as JPEG; {CURE}")
    if codes.all():
        raise InputError(f"{path}: mask has no background, which is black or transparent; {CURE}")
    present, where = np.unique(codes, return_inverse=True)
    return colours[_distances(present, colours).argmin(1)][where].reshape(codes.shape)


def _painted(codes: np.ndarray, colours: np.ndarray) -> bool:
    """Whether most pixels other than black have one of the colours."""
    return not codes.any() or bool(np.isin(codes[codes != 0], colours).mean() >= FLAT)


def _distinct(codes: np.ndarray) -> np.ndarray:
    """Black and the colours 0xRRGGBB among `codes` [N] that differ from it and from more frequent ones, int32."""
    present, counts = np.unique(codes, return_counts=True)
    kept = np.zeros(1, np.int32)
    for code in present[(-counts).argsort(kind="stable")]:
        if len(kept) <= MOST_COLOURS and _distances(np.array([code]), kept).min() >= ALIKE:
            kept = np.append(kept, code)
    return kept


def _distances(codes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Euclidean distance [N,M] of the RGB of `codes` [N] from that of `others` [M]."""
    shifts = np.array([16, 8, 0])
    differences = (codes[:, None, None] >> shifts & 255) - (others[None, :, None] >> shifts & 255)
    return np.sqrt((differences**2).sum(-1))


def _numbered(colours: list[int]) -> dict[int, int]:
    palette = {int(code): id for id, code in enumerate(PALETTE.astype(np.int32) @ CODE)}
    distinct = list(dict.fromkeys(colours))
    if all(colour in palette for colour in distinct):
        return palette
    return {colour: id for id, colour in enumerate(distinct, start=1)}


def _in_order(colours: np.ndarray) -> list[int]:
    """The colours other than background, in the order in which rows of pixels show them."""
    present, first = np.unique(colours, return_index=True)
    return [int(present[i]) for i in first.argsort() if present[i]]


def _replaced(colours: np.ndarray, ids: dict[int, int]) -> np.ndarray:
    mask = np.zeros(colours.shape, np.uint8)
    for colour in _in_order(colours):
        mask[colours == colour] = ids[colour]
    return mask


def flat(picture: np.ndarray) -> np.ndarray:
    """Pixels [H,W] bool whose 3x3 neighbourhood in a picture [H,W] or [H,W,3] uint8 holds a single value."""
    square = np.ones((3, 3), np.uint8)
    same = cv2.erode(picture, square) == cv2.dilate(picture, square)
    return same if same.ndim == 2 else same.all(-1)
