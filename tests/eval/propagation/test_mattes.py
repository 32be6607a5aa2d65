"""Soft masks as alpha mattes."""

from pathlib import Path

import numpy as np
from PIL import Image

from densevos_eval.propagation.mattes import write_mattes


def test_mattes_have_the_size_asked_for_and_add_up(tmp_path: Path) -> None:
    object_ = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)
    for size in ((3, 4), (30, 41)):
        write_mattes(tmp_path / str(size), "00007", size, [(0, 1 - object_), (5, object_)])
        mattes = {id: Image.open(tmp_path / str(size) / str(id) / "00007.png") for id in (0, 5)}
        assert all(matte.mode == "L" and matte.size == size[::-1] for matte in mattes.values())
        total = sum(np.asarray(matte).astype(int) for matte in mattes.values())
        assert abs(total - 255).max() <= 1
    np.testing.assert_array_equal(
        np.asarray(Image.open(tmp_path / "(3, 4)" / "5" / "00007.png")), np.round(255 * object_)
    )
