"""A fast way to read the PNG files that masks usually are.

Pillow reads every PNG and takes twice as long; scoring spends half of its time on it. What is the
least bit unusual is left to Pillow, so that there is one judge of what a file holds and what is
wrong with it.
"""

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, INDEXED = 0, 3  # Types of colour whose pixels are one number each.
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
"""Chunks that change no pixel value; texts and EXIF may say that the picture is turned."""


def read_plain_png(path: Path | str) -> np.ndarray | None:
    """Pixel values [H,W] uint8 of a PNG of 8-bit grey or palette indices, without interlacing and
    row filters.

    Returns None for every other file, missing and damaged ones included.
    """
    try:
        return plain_png(Path(path).read_bytes())
    except OSError:
        return None


def plain_png(content: bytes) -> np.ndarray | None:
    """The same of the content of a file."""
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

        return None if kind != b"IEND" else _pixels(header, b"".join(compressed))
    except (struct.error, zlib.error, ValueError):
        return None


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Type and data of each chunk up to the first IEND; ValueError where a checksum is wrong."""
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
    """Pillow warns of larger pictures, or refuses them."""
    return Image.MAX_IMAGE_PIXELS or float("inf")


def _pixels(header: bytes, compressed: bytes) -> np.ndarray | None:
    """Pixel values [H,W] from the two chunks; None for other depths, types and lengths, and for
    filtered rows.
    """
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    if (
        depth != 8
        or colour not in (GREY, INDEXED)
        or interlaced
        or not 0 < height * width <= _most_pixels()
    ):
        return None

    size = height * (width + 1)
    stream = zlib.decompressobj()
    content = stream.decompress(compressed, size + 1)
    if len(content) != size or not stream.eof:
        return None

    rows = np.frombuffer(content, np.uint8).reshape(height, width + 1)
    # Each row begins with the number of its filter; 0 means that pixels are stored as they are.
    return None if rows[:, 0].any() else rows[:, 1:].copy()
