"""Reads one painted mask, as paint programs save it: the ids or the flat colours that it holds."""

# Shapes: H x W pixels of a mask, N colours of its pixels, M flat colours.
# "Distance" is Euclidean in RGB of 0 to 255. "Shades" are colours that soft edges leave.

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from densevos.base.errors import InputError
from densevos.base.masks import VOID, open_mask

MOST_COLOURS = 64  # A picture with more flat colours is a photograph.

# Least share of the objects' pixels that must have flat colours. In photographs very few have.
FLAT = 0.5

# A mask saved as JPEG has at most FEW colours. At least the share ROUNDED of its pixels is near one
# of them, and each has at least the share LEAST of the flat pixels.
FEW = 8
ROUNDED = 0.9
LEAST = 0.01

# A wide smooth edge has more than SHADES shades, while at least the share MOSTLY of all pixels has
# flat colours.
SHADES = 32
MOSTLY = 0.8

VIVID = 64  # Least difference between the channels of a colour that is not grey.
UNUSUAL = 10  # A shade with this many times the usual number of pixels was painted on purpose.
ALIKE = 30  # Distance below which colours count as one; most colours of DAVIS are 64 apart.
IN_LINE = 12  # Distance from the line between two colours within which a colour mixes them.

FIX = (
    "paint each object in one flat colour on a black or transparent layer, and save that layer"
    " alone as PNG"
)
CODE = np.array([1 << 16, 1 << 8, 1], np.int32)  # RGB -> 0xRRGGBB
WHITE = 0xFFFFFF


@dataclass(frozen=True, kw_only=True)
class MaskPicture:
    """What a painted mask holds.

    values: [H,W]: ids uint8, or int64 if some are above 255, or colours 0xRRGGBB int32. 0 is the
        background.
    colours: id -> colour 0xRRGGBB in the palette of an indexed picture.
    is_black_and_white: the picture has one object, which is white and has id 1.
    rounded: number of pixels that got the nearest flat colour instead of their own, as at soft
        edges.
    """

    values: np.ndarray
    colours: Mapping[int, int] = field(default_factory=dict)
    is_black_and_white: bool = False
    rounded: int = 0


def read_picture(path: Path) -> MaskPicture:
    """Read a painted mask.

    Raises:
        InputError: if the file cannot be read, is a photograph, or has no background.
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
    """Compute distances [N,M] in RGB between colours `codes` [N] and `others` [M], 0xRRGGBB."""
    differences = as_rgb(codes)[:, None] - as_rgb(others)[None]
    distance: np.ndarray = np.sqrt((differences**2).sum(-1))
    return distance


def as_rgb(codes: np.ndarray) -> np.ndarray:
    """Split colours 0xRRGGBB [N] into channels [N,3] of 0 to 255, int64."""
    channels: np.ndarray = np.asarray(codes, np.int64)[:, None] >> np.array([16, 8, 0]) & 255
    return channels


def flat(picture: np.ndarray) -> np.ndarray:
    """Find pixels amid others of the same value.

    Args:
        picture: [H,W] or [H,W,3], uint8 or uint16.

    Returns:
        [H,W] bool: whether all 3x3 pixels around a pixel have the same value.
    """
    square = np.ones((3, 3), np.uint8)
    same = cv2.erode(picture, square) == cv2.dilate(picture, square)
    inside: np.ndarray = same if same.ndim == 2 else same.all(-1)
    return inside


def _deep_ids(path: Path, grey: np.ndarray) -> MaskPicture:
    """A grey picture of 16 or 32 bits: ids uint8 if they were made with 8 bits, else int64."""
    is_finite = grey.min() >= 0 and grey.max() < np.inf
    if not (is_finite and (grey % 1 == 0).all()):
        raise InputError(
            f"{path}: mask has values from {grey.min():g} to {grey.max():g};"
            " ids are whole numbers from 0"
        )

    ids = grey.astype(np.int64)
    if ids.max() <= VOID:
        return _grey(ids.astype(np.uint8))

    # Programs that work at 16 bits save the value 1 of 8 bits as 256 or 257, and white as 65535.
    if ids.max() < 1 << 16:
        mask = _grey((ids >> 8).astype(np.uint8))
        solid = ids[flat(ids.astype(np.uint16))]
        # Real ids below 256 would vanish with the lower byte.
        is_lossy = ((solid > 0) & (solid <= VOID)).any()
        is_scaled = not (ids % 256).any() or not (ids % 257).any()
        if is_scaled or (mask.is_black_and_white and not is_lossy):
            return mask

    return MaskPicture(values=ids)


def _grey(grey: np.ndarray) -> MaskPicture:
    """A grey picture [H,W] uint8: object 1 if it is black and white, else its values as ids."""
    if not _is_black_and_white(grey):
        return MaskPicture(values=grey)

    values = (grey >= 128).astype(np.uint8)
    rounded = int(((grey > 0) & (grey < 255)).sum())
    return MaskPicture(values=values, is_black_and_white=True, rounded=rounded)


def _is_black_and_white(grey: np.ndarray) -> bool:
    """Whether a grey picture [H,W] uint8 has white and is otherwise black, except smooth edges."""
    if 255 not in grey:
        return False

    has_grey_areas = (grey[flat(grey)] % 255).any()
    if not has_grey_areas:
        return True

    # A wide smooth edge can look like areas of grey.
    extreme = (grey == 0) | (grey == 255)
    return bool(len(np.unique(grey)) > SHADES and extreme.mean() > MOSTLY)


def _indexed_by_colour(image: Image.Image) -> bool:
    """Whether an indexed picture has black pixels, but black is not colour 0 of its palette."""
    palette = np.array(image.getpalette("RGB")).reshape(-1, 3)
    if not palette[0].any():
        return False

    used = np.unique(np.asarray(image))
    used_colours = palette[used[used < len(palette)]]
    return bool((used_colours == 0).all(1).any())


def _palette_colours(image: Image.Image, ids: np.ndarray) -> dict[int, int]:
    """The colours 0xRRGGBB of the ids above 0 in an indexed picture."""
    palette = np.array(image.getpalette("RGB")).reshape(-1, 3) @ CODE
    # Ids may lie beyond the end of a short palette.
    return {int(id): int(palette[id]) for id in np.unique(ids) if 0 < id < len(palette)}


def _flat_colours(path: Path, picture: np.ndarray) -> MaskPicture:
    """The flat colour nearest to each pixel of RGBA [H,W,4]; 0 if the pixel is transparent."""
    clear = picture[..., 3] < 128
    rgb = np.where(clear[..., None], 0, picture[..., :3])
    codes = rgb.astype(np.int32) @ CODE
    solid = codes[flat(rgb)]
    colours = _distinct(solid)
    present, counts = np.unique(codes, return_counts=True)
    if len(colours) <= MOST_COLOURS:
        colours = _painted(present, counts, colours, solid)

    if len(colours) > MOST_COLOURS or len(colours) == 0:
        # A photograph with transparent parts was cut out: what is left of it is the object.
        if clear.any():
            return MaskPicture(values=np.where(clear, 0, WHITE).astype(np.int32))

        # A black-and-white mask with wide smooth edges has too many colours too.
        grey = np.ascontiguousarray(rgb[..., 0])
        if (rgb == grey[..., None]).all() and _is_black_and_white(grey):
            return _grey(grey)

        raise InputError(f"{path}: mask looks like a photograph; {FIX}")

    if codes.all() and not _has_dark_ground(present, counts):
        raise InputError(f"{path}: mask has no background, which is black or transparent; {FIX}")

    nearest = colours[distances(present, colours).argmin(1)]
    values = nearest[np.searchsorted(present, codes)]
    return MaskPicture(values=values, rounded=int(counts[nearest != present].sum()))


def _has_dark_ground(present: np.ndarray, counts: np.ndarray) -> bool:
    """Whether more than the share LEAST of a picture is nearly black."""
    dark = distances(present, np.zeros(1, np.int32))[:, 0] < ALIKE
    return bool(counts[dark].sum() > LEAST * counts.sum())


def _painted(
    present: np.ndarray, counts: np.ndarray, colours: np.ndarray, solid: np.ndarray
) -> np.ndarray:
    """Those of the colours [M] that were painted on purpose; none if the picture is a photograph.

    present, counts: the colours [N] of all pixels, and the number of pixels of each.
    solid: the colours of the pixels in flat areas.
    """
    if not present.any():
        return colours

    is_object = present != 0
    total = counts[is_object].sum()

    soft = _soft_edges(present, counts, colours)
    colours = np.setdiff1d(colours, soft, assume_unique=True)
    is_flat_colour = np.isin(present, colours)
    if counts[is_object & is_flat_colour].sum() >= FLAT * total:
        return colours

    if len(colours) <= FEW:
        # A soft edge may be wider than the object inside it. Only vivid colours count: all colours
        # of a grey photograph are mixes of black and white.
        vivid = [
            colour for colour in colours.tolist() if np.ptp(as_rgb(np.array([colour]))) > VIVID
        ]
        is_mix = distances(present, np.zeros(1, np.int32))[:, 0] < ALIKE
        for colour in vivid:
            is_mix = is_mix | _mixes(present, colour)

        is_flat = soft.size and counts[is_flat_colour].sum() >= MOSTLY * counts.sum()
        explained = counts[is_flat_colour | is_mix].sum()
        if is_flat or (vivid and explained >= ROUNDED * counts.sum()):
            return colours

    # JPEG rounds the colours, and leaves specks of other colours along edges.
    shares = np.array([(solid == colour).sum() for colour in colours]) / max(1, (solid != 0).sum())
    colours = colours[(shares >= LEAST) | (colours == 0)]
    if len(colours) > FEW:
        return colours[:0]

    is_near = distances(present, colours).min(1) < ALIKE
    if counts[is_object & is_near].sum() < ROUNDED * total:
        return colours[:0]

    return colours


def _soft_edges(present: np.ndarray, counts: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """The colours [n] that are only shades of a wide soft brush.

    Such a brush leaves many mixes of its colour and black, and no mix has many more pixels than the
    others.
    """
    soft = np.zeros(0, colours.dtype)
    # From bright to dark: a shade is darker than the brush's colour.
    brightness = {code: int((as_rgb(np.array([code])) ** 2).sum()) for code in colours.tolist()}
    for colour in sorted(brightness, key=lambda code: -brightness[code]):
        if colour in soft or colour == 0:
            continue

        between = _mixes(present, colour)
        if between.sum() > SHADES:
            shades = colours[_mixes(colours, colour)]
            usual = np.median(counts[between])
            shade_counts = counts[np.searchsorted(present, shades)]
            soft = np.append(soft, shades[shade_counts <= UNUSUAL * usual])

    return soft


def _mixes(codes: np.ndarray, colour: int) -> np.ndarray:
    """Which of the colours [N] are mixes of a colour and black: on the line between them."""
    end = as_rgb(np.array([colour]))[0]
    rgb = as_rgb(codes)
    share = rgb @ end / (end @ end)
    apart = np.sqrt(((rgb - share[:, None] * end) ** 2).sum(1))
    is_colour = distances(codes, np.array([colour]))[:, 0] == 0

    mixed: np.ndarray = (apart < IN_LINE) & (share > 0.02) & (share < 1) & ~is_colour
    return mixed


def _distinct(codes: np.ndarray) -> np.ndarray:
    """Black, and the colours 0xRRGGBB of `codes` that differ from all more frequent ones, int32."""
    present, counts = np.unique(codes, return_counts=True)
    # Stops one above MOST_COLOURS, which is enough to recognise a photograph.
    kept = np.zeros(1, np.int32)
    for code in present[(-counts).argsort(kind="stable")]:
        if len(kept) <= MOST_COLOURS and distances(np.array([code]), kept).min() >= ALIKE:
            kept = np.append(kept, code)

    return kept
