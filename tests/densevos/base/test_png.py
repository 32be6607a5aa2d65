"""Masks read the fast way are those that Pillow reads, and what Pillow refuses is still refused."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image, PngImagePlugin

from densevos.base.errors import InputError
from densevos.base.masks import PALETTE, read_mask, write_mask
from densevos.base.png import SIGNATURE, read_plain_png

masks = arrays(
    np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=30), elements=st.integers(0, 255)
)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(
    rows: bytes, size: tuple[int, int], *, depth: int = 8, colour: int = 0, extra: bytes = b""
) -> bytes:
    """A grey PNG [H,W] = `size` of these rows, each with the number of its filter in front."""
    header = struct.pack(">IIBBBBB", size[1], size[0], depth, colour, 0, 0, 0)
    return (
        SIGNATURE
        + chunk(b"IHDR", header)
        + extra
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


@given(masks)
def test_masks_that_we_write_are_read_the_fast_way(
    tmp_path_factory: pytest.TempPathFactory, mask: np.ndarray
) -> None:
    file = tmp_path_factory.mktemp("mask") / "mask.png"
    write_mask(file, mask)
    read = read_plain_png(file)
    assert read is not None
    np.testing.assert_array_equal(read, mask)
    assert read.flags.c_contiguous
    assert read.flags.writeable


@given(masks, st.sampled_from(["L", "P", "1", "small palette", "text", "filtered"]))
def test_any_mask_is_read_as_pillow_does(
    tmp_path_factory: pytest.TempPathFactory, mask: np.ndarray, kind: str
) -> None:
    file = tmp_path_factory.mktemp("mask") / "mask.png"
    image = Image.fromarray(mask)
    text = PngImagePlugin.PngInfo()
    if kind == "P":
        image.putpalette(PALETTE.tobytes())
    elif kind == "1":
        image = image.convert("1")
    elif kind == "small palette":  # Pillow then packs several pixels into a byte.
        image = Image.fromarray(mask % 3)
        image.putpalette(PALETTE[:3].tobytes())
    elif kind == "text":
        text.add_text("Software", "painted")
    image.save(file, pnginfo=text, compress_level=0 if kind == "filtered" else 6)
    with Image.open(file) as opened:
        expected = np.asarray(opened, dtype=np.uint8)
    np.testing.assert_array_equal(read_mask(file), expected)


def test_a_turned_picture_is_turned(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # Orientation: a quarter turn.
    mask = np.arange(6, dtype=np.uint8).reshape(2, 3)
    Image.fromarray(mask).save(tmp_path / "turned.png", exif=exif)
    assert read_plain_png(tmp_path / "turned.png") is None
    np.testing.assert_array_equal(read_mask(tmp_path / "turned.png"), np.rot90(mask, -1))


@pytest.mark.parametrize("position", [3, 20, 30, 45, -10, -2])
def test_a_wrong_byte_is_never_read_the_fast_way(tmp_path: Path, position: int) -> None:
    content = bytearray(png(bytes([0, 1, 2, 3, 0, 4, 5, 6]), (2, 3)))
    content[position] ^= 0x40
    (tmp_path / "mask.png").write_bytes(content)
    assert read_plain_png(tmp_path / "mask.png") is None


@pytest.mark.parametrize("content", [b"", b"no picture", SIGNATURE, png(bytes(8), (2, 3))[:40]])
def test_what_is_damaged_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "mask.png").write_bytes(content)
    assert read_plain_png(tmp_path / "mask.png") is None
    with pytest.raises(InputError, match=r"mask\.png: mask cannot be read"):
        read_mask(tmp_path / "mask.png")


def test_what_is_unusual_is_left_to_pillow(tmp_path: Path) -> None:
    rows = bytes([0, 1, 2, 3, 0, 4, 5, 6])
    unusual = {
        "filtered": png(bytes([1, 1, 1, 1, 0, 4, 5, 6]), (2, 3)),
        "shorter": png(rows[:4], (2, 3)),
        "cut off": png(rows, (2, 3))[:-20],
        "longer": png(rows + b"more", (2, 3)),
        "exif": png(rows, (2, 3), extra=chunk(b"eXIf", b"")),
        "deep": png(bytes([0, 1, 2, 3, 4, 5, 6]), (1, 3), depth=16),
        "coloured": png(bytes([0, 1, 2, 3]), (1, 1), colour=2),
    }
    for name, content in unusual.items():
        (tmp_path / f"{name}.png").write_bytes(content)
        assert read_plain_png(tmp_path / f"{name}.png") is None, name
    assert read_mask(tmp_path / "filtered.png").tolist() == [[1, 2, 3], [4, 5, 6]]
    assert read_plain_png(tmp_path / "nowhere.png") is None
    with pytest.raises(InputError, match=r"nowhere\.png: mask is missing"):
        read_mask(tmp_path / "nowhere.png")
