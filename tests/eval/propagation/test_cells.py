"""Given masks on cells: which pixels count where a program resizes the mask before."""

import numpy as np
import pytest

from densevos_eval.adapters.frames import FrameSizes
from densevos_eval.propagation.cells import labels_of_cells
from densevos_eval.propagation.settings import MaskConfig

MASK = np.arange(1, 9, dtype=np.uint8)[None].repeat(4, axis=0)  # Each column has an id of its own.


def ids_of_cells(config: MaskConfig) -> list[int]:
    """Ids of the two cells of a row, of a mask 8 pixels wide that the encoder sees 5 pixels
    wide.
    """
    sizes = FrameSizes(frame=(4, 8), encoded=(4, 5), covered=(4, 5))
    labels = labels_of_cells(MASK, range(1, 9), sizes, (1, 2), config)
    return [int(label_of_cell(labels, column)) for column in range(2)]


def label_of_cell(labels: object, column: int) -> int:
    assert isinstance(labels, dict)
    return max(labels, key=lambda id: float(labels[id][0, column]))


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        # Centres of the cells are at 2 and 6 of 8 pixels.
        (MaskConfig(first_masks="hard"), [3, 7]),
        # The 5 columns are pixels 0, 2, 4, 5 and 7; the centres of the cells are at 1.25 and 3.75
        # of these.
        (MaskConfig(first_masks="hard", reduced_from="encoded"), [3, 6]),
        # The 5 columns are pixels 0, 1, 3, 4 and 6.
        (MaskConfig(first_masks="hard", reduced_from="encoded", reduced_by="corner"), [2, 5]),
    ],
)
def test_hard_labels_are_of_the_pixels_that_the_program_takes(
    config: MaskConfig, expected: list[int]
) -> None:
    assert ids_of_cells(config) == expected
