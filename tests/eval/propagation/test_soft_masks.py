"""Soft masks on disk."""

from pathlib import Path

import numpy as np
from PIL import Image

from densevos_eval.propagation.soft_masks import write_soft_masks


def test_soft_masks_have_the_size_asked_for_and_add_up(tmp_path: Path) -> None:
    object_ = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)
    for size in ((3, 4), (30, 41)):
        write_soft_masks(tmp_path / str(size), "00007", size, [(0, 1 - object_), (5, object_)])
        files = {id: Image.open(tmp_path / str(size) / str(id) / "00007.png") for id in (0, 5)}
        assert all(file.mode == "L" and file.size == size[::-1] for file in files.values())
        total = sum(np.asarray(file).astype(int) for file in files.values())
        assert abs(total - 255).max() <= 1
    np.testing.assert_array_equal(
        np.asarray(Image.open(tmp_path / "(3, 4)" / "5" / "00007.png")), np.round(255 * object_)
    )
