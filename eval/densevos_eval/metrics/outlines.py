"""The outlines of objects in masks, as lists of pixels.

Shapes: H x W pixels; C pixels that differ from a neighbour; N pixels on outlines.
"""

from dataclasses import dataclass

import numpy as np

from densevos_eval.metrics.pixels import true_places


@dataclass(frozen=True, kw_only=True)
class Outlines:
    """The pixels on the outlines of several objects, sorted by object.

    A pixel between two objects may belong to both outlines, and is then listed twice.

    Attributes:
        objects: Number of objects.
        owner: [N] int, index of the object from 0 on.
        rows: [N] int32, rows of the pixels.
        columns: [N] int32, columns of the pixels.
    """

    objects: int
    owner: np.ndarray
    rows: np.ndarray
    columns: np.ndarray


def outlines(ids: np.ndarray, objects: int) -> Outlines:
    """Find the outline of each object.

    Outlines run where an object differs from the neighbour to the east, south or south-east. Beyond
    its border the image continues with the ids at the border, so an object that fills the image has
    no outline.

    Args:
        ids: Mask [H,W] uint8.
        objects: Number of objects, whose ids are 1 to this; other ids are no objects.
    """
    height, width = ids.shape
    flat = np.ascontiguousarray(ids).ravel()
    candidates = _changes(flat, width)
    rows, columns = np.divmod(candidates, np.int32(width))

    # Steps in the flat mask to the neighbours; 0 at the border, where a pixel is its own neighbour.
    south, east = width * (rows < height - 1), 1 * (columns < width - 1)
    values = flat.take(candidates + np.stack([0 * south, east, south, south + east]))  # [4,C]

    # A pixel lies on the outline of every object that has some, but not all, of these four pixels.
    # Each of the four is looked at unless one before it belongs to the same object.
    centre, at_east, at_south, at_south_east = values
    other_east, other_south = at_east != centre, at_south != centre
    other_south_east = at_south_east != centre
    chosen = np.stack(
        [other_east | other_south | other_south_east, other_east, other_south, other_south_east]
    )
    chosen[2] &= at_south != at_east
    chosen[3] &= (at_south_east != at_east) & (at_south_east != at_south)
    # In uint8 the background, 0, becomes 255, so it is no object either.
    chosen &= values - np.uint8(1) < objects

    # Sort by object; within an object the order of the pixels stays.
    places = np.flatnonzero(chosen)
    ids = values.ravel()[places]
    order = np.argsort(ids, kind="stable")
    pixels = (places % len(centre))[order]
    owner = ids[order].astype(np.intp) - 1

    return Outlines(objects=objects, owner=owner, rows=rows[pixels], columns=columns[pixels])


def _changes(flat: np.ndarray, width: int) -> np.ndarray:
    """Indices [C] int32 of all pixels whose id may change to the east, south or south-east.

    One long row is compared several times faster than many short ones, so the next row's first
    pixel counts as the east of a row's last.
    """
    east = np.zeros(flat.shape, dtype=bool)
    np.not_equal(flat[:-1], flat[1:], out=east[:-1])

    # Four pixels are equal if this column matches from row to row and both rows match from west to
    # east.
    changes = flat[:-width] != flat[width:]
    changes |= east[:-width]
    changes |= east[width:]

    # Pixels of the last row have no neighbour to the south.
    last_row = len(flat) - width
    last_places = last_row + np.flatnonzero(east[last_row:])
    return np.concatenate([true_places(changes), last_places]).astype(np.int32)


def lengths(outlines: Outlines) -> np.ndarray:
    """Number of pixels [objects] on each outline."""
    return np.bincount(outlines.owner, minlength=outlines.objects)
