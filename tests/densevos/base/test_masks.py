"""Masks as they are written: ids of any type of numbers, and nothing cast to other ids in
silence.
"""

from pathlib import Path

import numpy as np
import pytest

from densevos.base.errors import InputError
from densevos.base.masks import read_mask, write_mask


@pytest.mark.parametrize("numbers", [np.uint8, np.bool_, np.int64, np.float32])
def test_masks_of_whole_numbers_are_written_as_they_are(tmp_path: Path, numbers: type) -> None:
    mask = np.eye(4, 6).astype(numbers)
    write_mask(tmp_path / "mask.png", mask)
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.png"), mask)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.full((4, 6), 0.9), "not whole"),
        (np.full((4, 6), np.nan), "not whole"),
        (np.full((4, 6), 256), "has 256 to 256"),
        (np.full((4, 6), -1), "has -1 to -1"),
        (np.zeros((4, 6, 3), np.uint8), r"be \[H,W\], is \[4, 6, 3\]"),
    ],
)
def test_what_is_no_map_of_ids_is_refused(tmp_path: Path, mask: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=rf"mask\.png: mask must .*{message}"):
        write_mask(tmp_path / "mask.png", mask)
    assert not list(tmp_path.iterdir())
