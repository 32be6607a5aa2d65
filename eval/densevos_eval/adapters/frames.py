"""How a frame becomes what an encoder sees: its size, resampling and colours. Pixels and sizes
only, no network.
"""

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
    """Size and colours of the frames that an encoder sees; the default takes frames as they are."""

    frame_size: str | None = None
    """Resize frames to HEIGHTxWIDTH before they are encoded, whatever their aspect."""
    short_side: int | None = None
    """Resize frames so that their short side has this many pixels."""
    long_side: int | None = None
    """Resize frames so that their long side has this many pixels."""
    multiple: int | Literal["cell"] = 1
    """With --short-side or --long-side: round sides to multiples of this many pixels, or of the
    encoder's cells.
    """
    rounding: Literal["nearest", "down", "up"] = "nearest"
    """Direction in which --multiple rounds."""
    rounded: Literal["both", "other"] = "both"
    """Sides that --multiple rounds: both, or only the other one, so that the named side keeps its
    length.
    """
    resampling: Resampling = "smooth"
    """How frames are resized: smooth (area average to shrink, bicubic to enlarge), bilinear of
    8-bit or of float pixels without smoothing, bicubic with smoothing, or nearest."""
    converted: str | None = None
    """Resize frames and masks to HEIGHTxWIDTH with nearest neighbour before everything else, as
    programs do that convert a data set beforehand."""
    converted_quality: int | None = None
    """With --converted: compress frames as JPEG of this quality (1 to 95) after that, as a
    converted data set on disk is; without it, converted frames are not compressed again."""
    colour: Literal["rgb", "lab"] = "rgb"
    """Colours that the encoder sees: RGB, or three times the lightness of CIE Lab."""

    def __post_init__(self) -> None:
        named = [
            name
            for name in ("frame_size", "short_side", "long_side")
            if getattr(self, name) is not None
        ]
        if len(named) > 1:
            flags = " and ".join(f"--{name.replace('_', '-')}" for name in named)
            raise InputError(f"{flags}: give one of them")

        for name in ("short_side", "long_side"):
            side = getattr(self, name)
            if side is not None and side < 1:
                raise InputError(f"--{name.replace('_', '-')}: must be 1 or more pixels, is {side}")

        if self.multiple != "cell" and self.multiple < 1:
            raise InputError(f"--multiple: must be 1 or more pixels, is {self.multiple}")
        if self.converted_quality is not None:
            if self.converted is None:
                raise InputError("--converted-quality: needs --converted")
            if not 1 <= self.converted_quality <= 95:
                raise InputError(
                    f"--converted-quality: must be from 1 to 95, is {self.converted_quality}"
                )

        for name in ("frame_size", "converted"):
            text = getattr(self, name)
            if text is not None:
                parse_size(text, f"--{name.replace('_', '-')}")

    def conversion(self) -> Size | None:
        """[H,W] that the data set is converted to first, None for frames as they are."""
        return parse_size(self.converted, "--converted") if self.converted else None

    def encoded_size(self, frame: Size, cell: int) -> Size:
        """[H,W] that a frame [H,W] = `frame` is resized to; `cell` is the side of an encoder's cell
        in pixels.
        """
        height, width = self.conversion() or frame
        if self.frame_size is not None:
            return parse_size(self.frame_size, "--frame-size")

        side = self.short_side or self.long_side
        if side is None:
            return height, width

        # Of a square frame the height is the named side, as in the published programs.
        by_height = height <= width if self.short_side else height >= width
        multiple = cell if self.multiple == "cell" else self.multiple
        named = side if self.rounded == "other" else _rounded(side, multiple, self.rounding)
        other = named * width / height if by_height else named * height / width
        other = _rounded(other, multiple, self.rounding)

        return (named, other) if by_height else (other, named)


AS_THEY_ARE = FrameConfig()


@dataclass(frozen=True, kw_only=True)
class FrameSizes:
    """Sizes [H,W] on the way of one frame."""

    frame: Size
    """The frame as it is."""
    converted: Size | None = None
    """The frame as it is converted first, None where it is not."""
    encoded: Size
    """The frame as the encoder sees it."""
    covered: Size
    """What the cells cover: larger than `encoded` where the encoder needs whole cells and the frame
    is padded.
    """


def resized_pixels(frame: np.ndarray, size: Size, config: FrameConfig) -> np.ndarray:
    """A frame [H,W,3] uint8 RGB at `size`: uint8, or float32 in 0..1 where the resampling or the
    colours ask for it.
    """
    conversion = config.conversion()
    if conversion:
        frame = nearest(frame, conversion)
    if config.converted_quality is not None:
        frame = compressed(frame, config.converted_quality)
    if config.resampling == "bilinear-float" and size != frame.shape[:2]:
        return _coloured(_resampled(frame.astype(np.float32) / 255, size, "bilinear"), config)

    return _coloured(_resampled(frame, size, config.resampling), config)


def nearest(image: np.ndarray, size: Size) -> np.ndarray:
    """An image [H,W] or [H,W,3] uint8 resized to [H,W] = `size`: each pixel takes the one at its
    centre.
    """
    if image.shape[:2] == size:
        return image

    return np.asarray(cv2.resize(image, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT))


def nearest_corner(image: np.ndarray, size: Size) -> np.ndarray:
    """An image [H,W] or [H,W,3] uint8 resized to [H,W] = `size`: each pixel takes the one at its
    upper left corner.
    """
    if image.shape[:2] == size:
        return image

    return np.asarray(cv2.resize(image, size[::-1], interpolation=cv2.INTER_NEAREST))


def compressed(frame: np.ndarray, quality: int) -> np.ndarray:
    """A frame [H,W,3] uint8 RGB as it is after Pillow wrote it as JPEG of a quality of 1 to 95."""
    file = BytesIO()
    Image.fromarray(frame).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file).convert("RGB"))


def padded_to(image: np.ndarray, multiple: int) -> np.ndarray:
    """Edge pixels repeated at the bottom and right until both sides are multiples of `multiple`."""
    sides = [(0, -length % multiple) for length in image.shape[:2]]
    return np.pad(image, [*sides, *[(0, 0)] * (image.ndim - 2)], mode="edge")


def scaled_size(size: Size, scale: float) -> Size:
    """[H,W] times `scale`, rounded, at least one pixel."""
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def whole_cells(size: Size, cell: int) -> Size:
    """[H,W] made larger to multiples of `cell` pixels."""
    return size[0] + -size[0] % cell, size[1] + -size[1] % cell


def _rounded(side: float, multiple: int, rounding: str) -> int:
    """A length as a multiple of `multiple`, at least one of them; halves are rounded up, as VFS's
    program does.
    """
    whole = side / multiple
    if rounding == "nearest":
        whole += 0.5

    count = math.ceil(whole) if rounding == "up" else math.floor(whole)
    return max(multiple, count * multiple)


def _resampled(frame: np.ndarray, size: Size, resampling: Resampling) -> np.ndarray:
    if size == frame.shape[:2]:
        return frame
    if resampling == "nearest":
        return nearest(frame, size)
    if resampling == "bicubic":
        return np.asarray(Image.fromarray(frame).resize(size[::-1], Image.Resampling.BICUBIC))

    kind = cv2.INTER_LINEAR
    if resampling == "smooth":
        kind = (
            cv2.INTER_AREA
            if size[0] * size[1] < frame.shape[0] * frame.shape[1]
            else cv2.INTER_CUBIC
        )

    return np.asarray(cv2.resize(frame, size[::-1], interpolation=kind))


def _coloured(pixels: np.ndarray, config: FrameConfig) -> np.ndarray:
    """RGB as it is, or the lightness of Lab three times: OpenCV's 8-bit value over 256, as UVC's
    program has it.
    """
    if config.colour == "rgb":
        return pixels
    if pixels.dtype != np.uint8:
        pixels = np.round(pixels * 255).astype(np.uint8)

    lightness = cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB)[..., :1]
    return np.repeat(lightness.astype(np.float32) / 256, 3, axis=2)
