"""A fast reader for the simple PNG files that masks usually are.

Pillow reads every PNG, but takes twice as long, and scoring spends half of its time on reading. All
files with unusual features are left to Pillow, so that it alone decides what they contain and what
is wrong with them. The format: https://www.w3.org/TR/png.
"""

# Shapes: H x W pixels

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, INDEXED = 0, 3  # colour types with one number per pixel
PLAIN_CHUNKS = {
    b"IHDR",
    b"PLTE",
    b"IDAT",
    b"IEND",
    b"tRNS",
    b"gAMA",
    b"sRGB",
    b"pHYs",
    b"tIME",
    b"bKGD",
}
"""Chunks that do not affect pixel values. Text chunks and EXIF may turn the image, so they are not
among them.
"""


def read_plain_png(path: Path | str) -> np.ndarray | None:
    """Read a PNG of 8-bit grey values or palette indices, without interlacing and row filters.

    Args:
        path: The file.

    Returns:
        Pixel values [H,W] uint8; None for every other file, also if it is missing or damaged.
    """
    try:
        return plain_png(Path(path).read_bytes())
    except OSError:
        return None


def plain_png(content: bytes) -> np.ndarray | None:
    """Decode the content of a file; see `read_plain_png`."""
    if not content.startswith(SIGNATURE):
        return None

    header, compressed, kind = b"", [], b""
    try:
        for kind, data in _chunks(content):
            if kind not in PLAIN_CHUNKS:
                return None
            if kind == b"IHDR":
                header = data
            elif kind == b"IDAT":
                compressed.append(data)

        # A file without its end is truncated, even if all rows are there.
        if kind != b"IEND":
            return None

        return _pixels(header, b"".join(compressed))
    except (struct.error, zlib.error, ValueError):  # a damaged file
        return None


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Type and data of each chunk up to the first IEND; ValueError if a checksum is wrong."""
    # A chunk: length of the data (4 bytes), type (4), data, checksum of type and data (4).
    position, kind = len(SIGNATURE), b""
    while kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", content, position)
        data = content[position + 8 : position + 8 + length]
        (checksum,) = struct.unpack_from(">I", content, position + 8 + length)
        if zlib.crc32(data, zlib.crc32(kind)) != checksum:
            raise ValueError("checksum of a chunk")

        yield kind, data
        position += length + 12


def _most_pixels() -> float:
    """Largest number of pixels that Pillow reads without a warning or an error."""
    return Image.MAX_IMAGE_PIXELS or float("inf")


def _pixels(header: bytes, compressed: bytes) -> np.ndarray | None:
    """Pixel values [H,W] of the two chunks IHDR and IDAT; None for unusual files."""
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    if depth != 8 or colour not in (GREY, INDEXED) or interlaced:
        return None
    # Small files of huge images are left to Pillow, which refuses or warns of them.
    if not 0 < height * width <= _most_pixels():
        return None

    # Each row starts with the number of its filter. One more byte is asked for, so that content
    # which is too long shows, without decompressing all of it.
    size = height * (width + 1)
    stream = zlib.decompressobj()
    content = stream.decompress(compressed, size + 1)
    if len(content) != size or not stream.eof:
        return None

    rows = np.frombuffer(content, np.uint8).reshape(height, width + 1)
    has_filters = rows[:, 0].any()  # filter 0 stores pixels unchanged
    return None if has_filters else rows[:, 1:].copy()
