"""The outlines of objects in masks, as lists of pixels.

C is the number of pixels that differ from a neighbour, N that of pixels on outlines.
"""

from dataclasses import dataclass

import numpy as np

from densevos_eval.metrics.pixels import true_places


@dataclass(frozen=True, kw_only=True)
class Outlines:
    """The pixels [N] on the outlines of several objects, object by object; one between two objects
    is in both.

    owner: index of the object from 0 on; rows, columns: int32.
    """

    objects: int
    owner: np.ndarray
    rows: np.ndarray
    columns: np.ndarray


def outlines(ids: np.ndarray, objects: int) -> Outlines:
    """Pixels of each object of the mask [H,W] that differ from their neighbour to the east, south
    or south-east.

    At the image's border the mask goes on as it ends, so an object that fills it has no outline.
    Objects have the ids 1 to `objects`; others are none of these.
    """
    height, width = ids.shape
    flat = np.ascontiguousarray(ids).ravel()
    candidates = _changes(flat, width)
    rows, columns = np.divmod(candidates, np.int32(width))
    south, east = width * (rows < height - 1), 1 * (columns < width - 1)
    values = flat.take(candidates + np.stack([0 * south, east, south, south + east]))  # [4,C]

    # A pixel lies on the outline of every object that has some, but not all, of these four pixels.
    # Each of the four is looked at unless one before it is of the same object.
    here, at_east, at_south, at_south_east = values
    other_east, other_south, other_south_east = (neighbour != here for neighbour in values[1:])
    chosen = np.stack(
        [other_east | other_south | other_south_east, other_east, other_south, other_south_east]
    )
    chosen[2] &= at_south != at_east
    chosen[3] &= (at_south_east != at_east) & (at_south_east != at_south)
    chosen &= values - np.uint8(1) < objects  # The background, 0, becomes 255.

    places = np.flatnonzero(chosen)
    ids = values.ravel()[places]
    order = np.argsort(ids, kind="stable")
    pixels = (places % len(here))[order]
    owner = ids[order].astype(np.intp) - 1

    return Outlines(objects=objects, owner=owner, rows=rows[pixels], columns=columns[pixels])


def _changes(flat: np.ndarray, width: int) -> np.ndarray:
    """Indices [C] int32 of all pixels whose id may change to the east, south or south-east.

    One long row is compared several times faster than many short ones, so the next row's first
    pixel counts as the east of a row's last.
    """
    east = np.zeros(flat.shape, dtype=bool)
    np.not_equal(flat[:-1], flat[1:], out=east[:-1])
    # Two rows are the same from here to the south-east, if both of them and this column are.
    changes = flat[:-width] != flat[width:]
    changes |= east[:-width]
    changes |= east[width:]
    last_row = len(flat) - width
    found = [true_places(changes), last_row + np.flatnonzero(east[last_row:])]

    return np.concatenate(found).astype(np.int32)


def lengths(outlines: Outlines) -> np.ndarray:
    """Number of pixels [objects] on each outline."""
    return np.bincount(outlines.owner, minlength=outlines.objects)
