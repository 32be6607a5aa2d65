"""Marks that a user draws over a frame to show an object: clicks, boxes and strokes of a brush."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from densevos.base.errors import InputError

# Limits on requests: people draw far less, so that more is an error or an attack.
MOST_MARKS = 2000
MOST_PLACES = 20_000

Place = tuple[float, float]
"""x, y in pixels of the frame."""


@dataclass(frozen=True, kw_only=True)
class Click:
    """A place that is on the object (`adds`) or beside it."""

    place: Place
    adds: bool = True


@dataclass(frozen=True, kw_only=True)
class Box:
    """Two opposite corners of a rectangle around the complete object."""

    corners: tuple[Place, Place]


@dataclass(frozen=True, kw_only=True)
class Stroke:
    """A line of a brush that paints the object (`adds`) or erases it.

    places: Points of the line.
    radius: Radius of the brush, in pixels of the frame.
    """

    places: tuple[Place, ...]
    radius: float
    adds: bool = True


@dataclass(frozen=True, kw_only=True)
class Clear:
    """Forget the mask that the object had, and all marks before this one."""


Mark = Click | Box | Stroke | Clear


def parse_marks(values: object, size: tuple[int, int]) -> list[Mark]:
    """Parse the marks that a page sends as JSON.

    Args:
        values: A list of `{"kind": "click", "x": 3, "y": 4, "adds": true}`,
            `{"kind": "box", "places": [[x, y], [x, y]]}`,
            `{"kind": "brush", "places": [[x, y], ...], "radius": 5, "adds": true}` or
            `{"kind": "clear"}`.
        size: [H,W] of the frame; places outside of it are moved to its border.

    Raises:
        InputError: The values have another form.
    """
    if not isinstance(values, list) or len(values) > MOST_MARKS:
        raise InputError(f"marks: must be a list of at most {MOST_MARKS} clicks, boxes and strokes")

    return [_mark(value, size) for value in values]


def _mark(value: object, size: tuple[int, int]) -> Mark:
    if not isinstance(value, Mapping):
        raise InputError("marks: each must be an object with a kind: click, box, brush or clear")

    kind = value.get("kind")
    if kind == "clear":
        return Clear()
    if kind == "click":
        return Click(place=_place([value.get("x"), value.get("y")], size), adds=_adds(value))

    # Boxes and strokes both consist of places.
    places = _places(value.get("places"), size)
    if kind == "box" and len(places) == 2:
        return Box(corners=(places[0], places[1]))
    if kind == "brush" and places:
        radius = min(max(_number(value.get("radius")), 0.5), float(max(size)))
        return Stroke(places=places, radius=radius, adds=_adds(value))

    raise InputError(
        f"marks: {kind!r} is no mark, or lacks its places; send a click, box, brush or clear"
    )


def _adds(value: Mapping[str, Any]) -> bool:
    """Whether a mark adds to the object, as it does by default."""
    return value.get("adds", True) is not False


def _places(values: object, size: tuple[int, int]) -> tuple[Place, ...]:
    if not isinstance(values, list) or len(values) > MOST_PLACES:
        raise InputError(f"marks: places must be a list of at most {MOST_PLACES} pairs [x, y]")

    return tuple(_place(value, size) for value in values)


def _place(value: object, size: tuple[int, int]) -> Place:
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != 2:
        raise InputError("marks: a place must be a pair [x, y]")

    # The mouse may leave the frame while it draws.
    height, width = size
    x, y = (_number(number) for number in value)
    return min(max(x, 0.0), width - 1.0), min(max(y, 0.0), height - 1.0)


def _number(value: object) -> float:
    """A number of a mark, limited to a range that OpenCV can draw."""
    # In Python, True is an int. NaN is the only number that is not equal to itself.
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        raise InputError("marks: a coordinate or radius must be a number")

    return float(min(max(value, -1e6), 1e6))
