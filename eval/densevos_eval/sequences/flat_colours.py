"""One picture of a mask, as paint programs save it: the ids or the flat colours that it holds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from densevos.base.errors import InputError
from densevos.base.masks import VOID, open_mask

MOST_COLOURS = 64
FLAT = 0.5  # Share of the objects' pixels that have their flat colours, at least; of a photograph's very few have.
FEW, ROUNDED, LEAST = (
    8,
    0.9,
    0.01,
)  # JPEG leaves few colours, near which most pixels are; others have few pixels.
SHADES, MOSTLY = (
    32,
    0.8,
)  # A wide smooth edge has more than so many shades, while most of the mask is black or white.
VIVID = 64  # Difference of the channels of a colour that is no grey.
UNUSUAL = 10  # A shade that has so many times the pixels of the others was painted with.
ALIKE = 30  # Distance of RGB below which colours are shades of one; in the DAVIS palette most are 64 apart.
IN_LINE = 12  # Distance of RGB within which a colour is a mix of two others.

FIX = "paint each object in one flat colour on a black or transparent layer, and save that layer alone as PNG"
CODE = np.array([1 << 16, 1 << 8, 1], np.int32)  # RGB -> 0xRRGGBB
WHITE = 0xFFFFFF


@dataclass(frozen=True, kw_only=True)
class MaskPicture:
    """What a picture holds, at [H,W].

    values: ids uint8, or ids above 255 too int64, or colours 0xRRGGBB int32; 0 for the background.
    colours: the colour that an indexed picture shows for each of its ids.
    is_black_and_white: its only object, of id 1, was white.
    rounded: number of pixels that have the nearest colour instead of their own, as at soft edges.
    """

    values: np.ndarray
    colours: Mapping[int, int] = field(default_factory=dict)
    is_black_and_white: bool = False
    rounded: int = 0


def read_picture(path: Path) -> MaskPicture:
    """The mask at `path`; InputError when it cannot be read, and for photographs and pictures
    without background.
    """
    image = open_mask(path)
    if image.mode.startswith("I") or image.mode == "F":
        return _deep_ids(path, np.asarray(image))
    if image.mode in ("1", "L"):
        return _grey(np.asarray(image.convert("L")))
    if image.mode == "P" and not _indexed_by_colour(image):
        ids = np.asarray(image, dtype=np.uint8)
        return MaskPicture(values=ids, colours=_palette_colours(image, ids))

    return _flat_colours(path, np.asarray(image.convert("RGBA")))


def distances(codes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Euclidean distance [N,M] of the RGB of `codes` [N] from that of `others` [M]."""
    differences = as_rgb(codes)[:, None] - as_rgb(others)[None]
    return np.sqrt((differences**2).sum(-1))


def as_rgb(codes: np.ndarray) -> np.ndarray:
    """Colours 0xRRGGBB [N] as [N,3] of 0 to 255, int64."""
    return np.asarray(codes, np.int64)[:, None] >> np.array([16, 8, 0]) & 255


def flat(picture: np.ndarray) -> np.ndarray:
    """Pixels [H,W] bool whose 3x3 neighbourhood in a picture [H,W] or [H,W,3] uint8 holds a single
    value.
    """
    square = np.ones((3, 3), np.uint8)
    same = cv2.erode(picture, square) == cv2.dilate(picture, square)
    return same if same.ndim == 2 else same.all(-1)


def _deep_ids(path: Path, grey: np.ndarray) -> MaskPicture:
    """A grey picture of 16 or 32 bits: ids uint8 if they are those of 8 bits, else int64."""
    if not (grey.min() >= 0 and grey.max() < np.inf and (grey % 1 == 0).all()):
        raise InputError(
            f"{path}: mask has values from {grey.min():g} to {grey.max():g}; ids are whole numbers from 0"
        )

    ids = grey.astype(np.int64)
    if ids.max() <= VOID:
        return _grey(ids.astype(np.uint8))

    # Programs that work at 16 bits save the value 1 of 8 bits as 256 or 257, and white as 65535.
    if ids.max() < 1 << 16:
        mask = _grey((ids >> 8).astype(np.uint8))
        solid = ids[flat(ids.astype(np.uint16))]
        lost = ((solid > 0) & (solid <= VOID)).any()
        if (mask.is_black_and_white and not lost) or not (ids % 256).any() or not (ids % 257).any():
            return mask

    return MaskPicture(values=ids)


def _grey(grey: np.ndarray) -> MaskPicture:
    """Object 1 if all of [H,W] uint8 is black or white but for smooth edges, else the values as
    they are.
    """
    if not _is_black_and_white(grey):
        return MaskPicture(values=grey)

    rounded = int(((grey > 0) & (grey < 255)).sum())
    return MaskPicture(
        values=(grey >= 128).astype(np.uint8), is_black_and_white=True, rounded=rounded
    )


def _is_black_and_white(grey: np.ndarray) -> bool:
    """Whether a grey picture [H,W] uint8 has white in it and is black or white but for smooth
    edges.
    """
    extreme = (grey == 0) | (grey == 255)
    only = not (grey[flat(grey)] % 255).any() or (
        len(np.unique(grey)) > SHADES and extreme.mean() > MOSTLY
    )

    return bool(only and 255 in grey)


def _indexed_by_colour(image: Image.Image) -> bool:
    """Whether the background of this palette picture is black, but black is not its colour 0."""
    palette = np.array(image.getpalette("RGB")).reshape(-1, 3)
    used = [i for i in np.unique(np.asarray(image)) if i < len(palette)]
    return bool(palette[0].any() and any(not palette[i].any() for i in used))


def _palette_colours(image: Image.Image, ids: np.ndarray) -> dict[int, int]:
    """The colours 0xRRGGBB of the ids above 0 in an indexed picture; those without an entry are
    left out.
    """
    palette = np.array(image.getpalette("RGB")).reshape(-1, 3) @ CODE
    return {int(id): int(palette[id]) for id in np.unique(ids) if 0 < id < len(palette)}


def _flat_colours(path: Path, picture: np.ndarray) -> MaskPicture:
    """The flat colour next to that of each pixel of RGBA [H,W,4]; 0 where transparent."""
    clear = picture[..., 3] < 128
    rgb = np.where(clear[..., None], 0, picture[..., :3])
    codes = rgb.astype(np.int32) @ CODE
    solid = codes[flat(rgb)]
    colours = _distinct(solid)
    present, counts = np.unique(codes, return_counts=True)
    if len(colours) <= MOST_COLOURS:
        colours = _painted(present, counts, colours, solid)

    if len(colours) > MOST_COLOURS or len(colours) == 0:
        if clear.any():
            return MaskPicture(
                values=np.where(clear, 0, WHITE).astype(np.int32)
            )  # a photograph that is cut out

        grey = np.ascontiguousarray(rgb[..., 0])
        if (rgb == grey[..., None]).all() and _is_black_and_white(
            grey
        ):  # its edges are wide, and it is no photograph
            return _grey(grey)

        raise InputError(f"{path}: mask looks like a photograph; {FIX}")

    if codes.all() and not _has_dark_ground(present, counts):
        raise InputError(f"{path}: mask has no background, which is black or transparent; {FIX}")

    nearest = colours[distances(present, colours).argmin(1)]
    values = nearest[np.searchsorted(present, codes)]
    return MaskPicture(values=values, rounded=int(counts[nearest != present].sum()))


def _has_dark_ground(present: np.ndarray, counts: np.ndarray) -> bool:
    """Whether more than specks of a picture are black but for rounding."""
    dark = distances(present, np.zeros(1, np.int32))[:, 0] < ALIKE
    return bool(counts[dark].sum() > LEAST * counts.sum())


def _painted(
    present: np.ndarray, counts: np.ndarray, colours: np.ndarray, solid: np.ndarray
) -> np.ndarray:
    """Those of the colours [M] that were painted with; none where the picture is none of flat
    colours.

    present, counts: the colours [N] of all pixels, and how many pixels have each.
    solid: the colours of pixels amid others of their own.
    """
    if not present.any():
        return colours

    is_object = present != 0
    total = counts[is_object].sum()

    soft = _soft_edges(present, counts, colours)
    colours = np.setdiff1d(colours, soft, assume_unique=True)
    known = np.isin(present, colours)
    if counts[is_object & known].sum() >= FLAT * total:
        return colours
    if len(colours) <= FEW:
        # A soft edge may be wider than what it surrounds. But of a grey photograph all colours are
        # mixes of black and white, and few are black or white.
        vivid = [
            colour for colour in colours.tolist() if np.ptp(as_rgb(np.array([colour]))) > VIVID
        ]
        is_dark = distances(present, np.zeros(1, np.int32))[:, 0] < ALIKE
        is_mix = np.any([is_dark, *(_mixes(present, colour) for colour in vivid)], axis=0)
        is_flat = soft.size and counts[known].sum() >= MOSTLY * counts.sum()
        if is_flat or (vivid and counts[known | is_mix].sum() >= ROUNDED * counts.sum()):
            return colours

    # JPEG rounds the colours, and leaves specks of others along edges.
    shares = np.array([(solid == colour).sum() for colour in colours]) / max(1, (solid != 0).sum())
    colours = colours[(shares >= LEAST) | (colours == 0)]
    if len(colours) > FEW:
        return colours[:0]

    near = distances(present, colours).min(1) < ALIKE
    return colours if counts[is_object & near].sum() >= ROUNDED * total else colours[:0]


def _soft_edges(present: np.ndarray, counts: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """The colours [n] that are but shades of a wide soft brush.

    Such a brush leaves many mixes of its colour and black, none of which has many more pixels than
    the others.
    """
    soft = np.zeros(0, colours.dtype)
    for colour in sorted(
        colours.tolist(), key=lambda code: -int((as_rgb(np.array([code])) ** 2).sum())
    ):
        if colour in soft or colour == 0:
            continue

        between = _mixes(present, colour)
        if between.sum() > SHADES:
            shades = colours[_mixes(colours, colour)]
            usual = np.median(counts[between])
            soft = np.append(
                soft, shades[counts[np.searchsorted(present, shades)] <= UNUSUAL * usual]
            )

    return soft


def _mixes(codes: np.ndarray, colour: int) -> np.ndarray:
    """Which of the colours [N] lie on the line from black to a colour, and are neither."""
    end = as_rgb(np.array([colour]))[0]
    rgb = as_rgb(codes)
    share = rgb @ end / (end @ end)
    apart = np.sqrt(((rgb - share[:, None] * end) ** 2).sum(1))
    is_colour = distances(codes, np.array([colour]))[:, 0] == 0

    return (apart < IN_LINE) & (share > 0.02) & (share < 1) & ~is_colour


def _distinct(codes: np.ndarray) -> np.ndarray:
    """Black and the colours 0xRRGGBB among `codes` [N] that differ from it and from more frequent
    ones, int32.
    """
    present, counts = np.unique(codes, return_counts=True)
    kept = np.zeros(1, np.int32)
    for code in present[(-counts).argsort(kind="stable")]:
        if len(kept) <= MOST_COLOURS and distances(np.array([code]), kept).min() >= ALIKE:
            kept = np.append(kept, code)

    return kept
