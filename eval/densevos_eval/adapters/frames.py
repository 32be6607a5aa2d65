"""Bring frames to the size and the colours that an encoder sees. No network is needed here."""

# Shapes: H x W pixels of a frame.

import math
from dataclasses import dataclass
from io import BytesIO
from typing import Literal

import cv2
import numpy as np
from PIL import Image

from densevos.base.errors import InputError
from densevos_eval.base.sizes import Size, parse_size

Resampling = Literal["smooth", "bilinear", "bilinear-float", "bicubic", "nearest"]


@dataclass(frozen=True, kw_only=True)
class FrameConfig:
    """Size and colours of the frames that an encoder sees; the default keeps frames as they are.

    Raises:
        InputError: A value is out of range, or two values do not fit together.
    """

    frame_size: str | None = None
    """Resize frames to HEIGHTxWIDTH before they are encoded, whatever their aspect."""
    short_side: int | None = None
    """Resize frames so that their short side has this many pixels."""
    long_side: int | None = None
    """Resize frames so that their long side has this many pixels."""
    multiple: int | Literal["cell"] = 1
    """With --short-side or --long-side, round sides to multiples of this many pixels, or of the
    encoder's cells (cell)."""
    rounding: Literal["nearest", "down", "up"] = "nearest"
    """Direction in which --multiple rounds."""
    rounded: Literal["both", "other"] = "both"
    """Sides that --multiple rounds: both, or only the side that is not named (other), so that the
    named side keeps its length."""
    resampling: Resampling = "smooth"
    """How frames are resized: smooth (area average to shrink, bicubic to enlarge), bilinear (8-bit
    pixels, no smoothing), bilinear-float (float pixels, no smoothing), bicubic (with smoothing), or
    nearest."""
    converted: str | None = None
    """Resize frames and masks to HEIGHTxWIDTH with nearest neighbour before everything else, like
    programs that convert a dataset first."""
    converted_quality: int | None = None
    """With --converted, compress the converted frames as JPEG of this quality (1 to 95), like a
    converted dataset on disk. When left out, they are not compressed again."""
    colour: Literal["rgb", "lab"] = "rgb"
    """Colours that the encoder sees: RGB, or the lightness of CIE Lab in all three channels
    (lab)."""

    def __post_init__(self) -> None:
        sizes = {
            "--frame-size": self.frame_size,
            "--short-side": self.short_side,
            "--long-side": self.long_side,
        }
        flags = [flag for flag, size in sizes.items() if size is not None]
        if len(flags) > 1:
            raise InputError(f"{' and '.join(flags)}: give one of them")

        for flag, side in (("--short-side", self.short_side), ("--long-side", self.long_side)):
            if side is not None and side < 1:
                raise InputError(f"{flag}: must be 1 or more pixels, is {side}")

        if self.multiple != "cell" and self.multiple < 1:
            raise InputError(f"--multiple: must be 1 or more pixels, is {self.multiple}")

        if self.converted_quality is not None:
            if self.converted is None:
                raise InputError("--converted-quality: needs --converted")
            if not 1 <= self.converted_quality <= 95:
                raise InputError(
                    f"--converted-quality: must be from 1 to 95, is {self.converted_quality}"
                )

        # These raise InputError for a text that is no size.
        for flag, text in (("--frame-size", self.frame_size), ("--converted", self.converted)):
            if text is not None:
                parse_size(text, flag)

    def conversion(self) -> Size | None:
        """[H,W] to which the dataset is converted first; None for frames as they are."""
        if self.converted is None:
            return None

        return parse_size(self.converted, "--converted")

    def encoded_size(self, frame: Size, cell: int) -> Size:
        """The size at which the encoder sees a frame.

        Args:
            frame: [H,W] of the frame.
            cell: Side of the encoder's cells in pixels.

        Returns:
            [H,W] in pixels.
        """
        # A converted dataset has frames of one size, so its sides count, not those of the frame.
        height, width = self.conversion() or frame
        if self.frame_size is not None:
            return parse_size(self.frame_size, "--frame-size")

        side = self.short_side or self.long_side
        if side is None:
            return height, width

        multiple = cell if self.multiple == "cell" else self.multiple
        if self.rounded == "both":
            side = _rounded(side, multiple, self.rounding)

        # The other side keeps the aspect of the frame, up to rounding. If a frame is square, the
        # height counts as the named side, as in the published programs.
        names_height = height <= width if self.short_side else height >= width
        if names_height:
            return side, _rounded(side * width / height, multiple, self.rounding)

        return _rounded(side * height / width, multiple, self.rounding), side


AS_THEY_ARE = FrameConfig()
"""Frames are encoded at their own size."""


@dataclass(frozen=True, kw_only=True)
class FrameSizes:
    """The sizes [H,W] that one frame takes on its way to cells.

    Args:
        frame: Size of the frame itself.
        converted: Size to which it is converted first; None if it is not converted.
        encoded: Size at which the encoder sees it.
        covered: Size of the area that the cells cover. It is larger than `encoded` if the encoder
            needs whole cells, so that the frame is padded.
    """

    frame: Size
    converted: Size | None = None
    encoded: Size
    covered: Size


def resized_pixels(frame: np.ndarray, size: Size, config: FrameConfig) -> np.ndarray:
    """Resize a frame and convert its colours.

    Args:
        frame: A frame [H,W,3] uint8 RGB.
        size: [H,W] of the result.
        config: How frames are resized.

    Returns:
        Pixels [H,W,3] uint8, or float32 in 0..1 if the resampling or the colours need it.
    """
    # First come the steps that made a converted dataset on disk.
    conversion = config.conversion()
    if conversion:
        frame = nearest(frame, conversion)
    if config.converted_quality is not None:
        frame = compressed(frame, config.converted_quality)

    # Floats are interpolated without rounding to bytes.
    if config.resampling == "bilinear-float" and size != frame.shape[:2]:
        return _coloured(_resampled(frame.astype(np.float32) / 255, size, "bilinear"), config)

    return _coloured(_resampled(frame, size, config.resampling), config)


def nearest(image: np.ndarray, size: Size) -> np.ndarray:
    """Resize an image [H,W] or [H,W,3] uint8 to `size`: a pixel takes the one at its centre."""
    if image.shape[:2] == size:
        return image

    # OpenCV takes (width, height). Only its exact variant samples at the centres of pixels.
    return np.asarray(cv2.resize(image, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT))


def nearest_corner(image: np.ndarray, size: Size) -> np.ndarray:
    """Resize as `nearest` does, but a pixel takes the one at its upper left corner."""
    if image.shape[:2] == size:
        return image

    return np.asarray(cv2.resize(image, size[::-1], interpolation=cv2.INTER_NEAREST))


def compressed(frame: np.ndarray, quality: int) -> np.ndarray:
    """A frame [H,W,3] uint8 RGB after Pillow wrote it as JPEG of a quality of 1 to 95."""
    file = BytesIO()
    Image.fromarray(frame).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file).convert("RGB"))


def padded_to(image: np.ndarray, multiple: int) -> np.ndarray:
    """Repeat edge pixels at the bottom and right until both sides are multiples of `multiple`."""
    height, width = image.shape[:2]
    # -height % multiple is what the height lacks to the next multiple.
    padding = [(0, -height % multiple), (0, -width % multiple)]
    if image.ndim > 2:
        padding.append((0, 0))  # the channels

    return np.pad(image, padding, mode="edge")


def scaled_size(size: Size, scale: float) -> Size:
    """[H,W] times `scale`, rounded, at least one pixel."""
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def whole_cells(size: Size, cell: int) -> Size:
    """[H,W], rounded up to multiples of `cell` pixels."""
    return size[0] + -size[0] % cell, size[1] + -size[1] % cell


def _rounded(side: float, multiple: int, rounding: str) -> int:
    """A length rounded to multiples of `multiple`, at least one of them."""
    count = side / multiple
    if rounding == "up":
        whole = math.ceil(count)
    elif rounding == "down":
        whole = math.floor(count)
    else:
        # Halves are rounded up, as in the program of VFS; `round` would round them to even numbers.
        whole = math.floor(count + 0.5)

    return max(multiple, whole * multiple)


def _resampled(frame: np.ndarray, size: Size, resampling: Resampling) -> np.ndarray:
    if size == frame.shape[:2]:
        return frame
    if resampling == "nearest":
        return nearest(frame, size)
    if resampling == "bicubic":
        # Pillow smooths when it shrinks a frame bicubically, and OpenCV does not.
        return np.asarray(Image.fromarray(frame).resize(size[::-1], Image.Resampling.BICUBIC))

    # An area average avoids aliasing in a smaller frame, but it would give a larger one hard edges.
    kind = cv2.INTER_LINEAR
    if resampling == "smooth":
        shrinks = size[0] * size[1] < frame.shape[0] * frame.shape[1]
        kind = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC

    return np.asarray(cv2.resize(frame, size[::-1], interpolation=kind))


def _coloured(pixels: np.ndarray, config: FrameConfig) -> np.ndarray:
    """RGB as it is, or the lightness of Lab in all three channels."""
    if config.colour == "rgb":
        return pixels

    if pixels.dtype != np.uint8:
        # OpenCV gives bytes of Lab another range than floats, and the next step counts on bytes.
        pixels = np.round(pixels * 255).astype(np.uint8)

    # The program of UVC divides OpenCV's 8-bit lightness by 256, not by 255.
    lightness = cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB)[..., :1]
    return np.repeat(lightness.astype(np.float32) / 256, 3, axis=2)
