"""From a few marks to the mask of an object: quick enough that a page can ask for it after every
click.

GrabCut (Rother et al., SIGGRAPH 2004) needs to know roughly where the object is. Geodesic distances
(Bai and Sapiro, ICCV 2007) say so: a pixel probably belongs to the object if the cheapest way to
it, where colours change little, leads from a place on the object and not from one beside it. All of
this happens in a small window.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from densevos_eval.studio.geodesic import geodesic_distances
from densevos_eval.studio.marks import Box, Clear, Click, Mark, Stroke
from densevos_eval.studio.window import Window, window_around

COARSE, FINE, BOXED = 96, 160, 200
"""Longest side of the window, in pixels: where a clicked object is searched, where it is cut out,
and that of a box.
"""
MARGIN = 0.3
"""Share of the object's size by which the window is wider on each side."""
SHARES = (0.06, 0.15, 0.4)
"""How far windows reach from a click, as shares of the frame's longer side."""
SMALLEST = 60
"""Parts of fewer pixels are rarely what somebody clicks, however sharp their outline is."""
SLACK = 4
"""Pixels by which a cut may go beyond the first guess."""
LEAST = 0.3
"""A cut of a smaller share of the first guess has lost the object; the guess is taken."""
DOUBT = 0.1
"""What it costs to start from the mask before, of which a click says that it is wrong somewhere."""


def cut(frame: np.ndarray, marks: Sequence[Mark], before: np.ndarray | None = None) -> np.ndarray:
    """The mask [H,W] bool of an object in a frame [H,W,3] uint8 RGB.

    Marks change the mask in their order. A click on the object only adds to it, one beside it only
    takes away.

    Args:
        frame: The picture.
        marks: What the user has drawn, in order.
        before: The mask [H,W] bool that the object had.
    """
    mask = np.zeros(frame.shape[:2], bool) if before is None else before
    for index in range(len(marks)):
        mask = changed(frame, mask, marks[: index + 1])

    return mask


def changed(frame: np.ndarray, mask: np.ndarray, marks: Sequence[Mark]) -> np.ndarray:
    """The mask [H,W] bool after the last of the marks; `mask` is that after all others."""
    mark = marks[-1]
    start = max((index for index, other in enumerate(marks) if isinstance(other, Clear)), default=0)
    clicks = [other for other in marks[start:] if isinstance(other, Click)]
    if isinstance(mark, Stroke):
        return painted(mask, mark)
    if isinstance(mark, Box):
        return _in_box(frame, mark)
    if isinstance(mark, Click):
        return _clicked(frame, mask, clicks)

    return np.zeros_like(mask)


def painted(mask: np.ndarray, stroke: Stroke) -> np.ndarray:
    """The mask [H,W] bool with a stroke painted or erased."""
    canvas = mask.astype(np.uint8)
    places = np.array(stroke.places)
    # OpenCV counts in whole pixels; a quarter of one is as fine as a mouse.
    line = np.round(places * 4).astype(np.int32)[:, None]
    colour = int(stroke.adds)

    if len(line) > 1:
        cv2.polylines(
            canvas, [line], False, colour, thickness=max(1, round(2 * stroke.radius)), shift=2
        )

    for centre in line[:, 0]:
        cv2.circle(canvas, centre.tolist(), round(stroke.radius * 4), colour, thickness=-1, shift=2)

    return canvas.astype(bool)


def _in_box(frame: np.ndarray, box: Box) -> np.ndarray:
    """The object [H,W] bool that a box holds."""
    size = (frame.shape[0], frame.shape[1])
    inside = _box_mask(box, size)
    window = window_around(inside, size, BOXED, MARGIN)
    picture = window.part(frame, cv2.INTER_AREA)
    inside = window.part(inside.astype(np.uint8), cv2.INTER_NEAREST) > 0
    # What lies at the corners of a box is rarely the object.
    core = window.part(_box_ellipse(box, size).astype(np.uint8), cv2.INTER_NEAREST) > 0
    labels = np.where(core, cv2.GC_PR_FGD, np.where(inside, cv2.GC_PR_BGD, cv2.GC_BGD)).astype(
        np.uint8
    )
    refined = _refined(picture, labels, 2)

    return window.back(_largest(refined if refined.sum() > LEAST * core.sum() else core), size)


def _clicked(frame: np.ndarray, mask: np.ndarray, clicks: list[Click]) -> np.ndarray:
    """The mask [H,W] bool after the last of the clicks."""
    size = (frame.shape[0], frame.shape[1])
    click = clicks[-1]
    column, row = (int(number) for number in click.place)
    wanted = mask.copy()
    wanted[row, column] = True
    if click.adds and not mask[row, column]:
        wanted |= _around(frame, mask, clicks)

    window = window_around(wanted, size, FINE, MARGIN)
    change = window.back(_change(frame, window, mask, clicks, rounds=1)[0], size)
    return mask | change if click.adds else mask & ~change


def _around(frame: np.ndarray, mask: np.ndarray, clicks: list[Click]) -> np.ndarray:
    """Roughly what was clicked last [H,W] bool: the cut with the sharpest edge, of windows of
    several sizes.
    """
    size = (frame.shape[0], frame.shape[1])
    column, row = (int(number) for number in clicks[-1].place)
    best, rough = -1.0, np.zeros(size, bool)

    for share in SHARES:
        reach = max(8, round(share * max(size)))
        window = Window(
            top=max(0, row - reach),
            bottom=min(size[0], row + reach),
            left=max(0, column - reach),
            right=min(size[1], column + reach),
            scale=min(1.0, COARSE / (2 * reach)),
        )
        change, sharpness = _change(frame, window, mask, clicks, rounds=0)
        if sharpness > best:
            best, rough = sharpness, window.back(change, size)

    return rough


def _change(
    frame: np.ndarray, window: Window, mask: np.ndarray, clicks: list[Click], *, rounds: int
) -> tuple[np.ndarray, float]:
    """Pixels [h,w] bool of a window that the last click adds or takes away, and how sharp their
    outline is.

    rounds: Of GrabCut, after the first guess.
    """
    picture = window.part(frame, cv2.INTER_AREA)
    known = window.part(mask.astype(np.uint8), cv2.INTER_NEAREST) > 0
    radius = max(1, round(min(picture.shape[:2]) / 80))
    on, off = _discs(window, clicks, radius, picture.shape[:2])
    adds, place = clicks[-1].adds, window.place(clicks[-1].place)

    labels = _first_guess(picture, on, off, known, radius)
    open_to_change, click = known != adds, on if adds else off
    guess = _part_at((((labels & 1) == adds) & open_to_change) | click, place)
    if not rounds:
        return guess, _sharpness(picture, guess)

    # One click changes what is near it: colours alone would move outlines far away as well.
    refined = ((_refined(picture, labels, rounds) == adds) & open_to_change) | click
    near = cv2.dilate(guess.astype(np.uint8), np.ones((2 * SLACK + 1,) * 2, np.uint8)) > 0
    part = _part_at(refined & near if known.any() else refined, place)
    change = guess if not known.any() and part.sum() < LEAST * guess.sum() else part

    return _filled(change), _sharpness(picture, change)


def _sharpness(picture: np.ndarray, mask: np.ndarray) -> float:
    """How much colours change across the outline of the mask, on average; parts along the border
    count nothing.
    """
    kernel = np.ones((3, 3), np.uint8)
    inner = mask & (
        cv2.erode(mask.astype(np.uint8), kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0) == 0
    )
    gradient = cv2.morphologyEx(picture, cv2.MORPH_GRADIENT, kernel).max(-1).astype(np.float32)
    gradient[[0, -1]] = gradient[:, [0, -1]] = 0
    area = mask.sum()

    return float(gradient[inner].mean()) * min(1.0, area / SMALLEST) if inner.any() else 0.0


def _discs(
    window: Window, clicks: list[Click], radius: int, small: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Pixels [h,w] bool around the clicks on the object, and around those beside it; later ones
    cover earlier ones.
    """
    drawn = np.zeros(small, np.uint8)
    for click in clicks:
        row, column = window.place(click.place)
        cv2.circle(drawn, (column, row), radius, 1 if click.adds else 2, -1)

    return drawn == 1, drawn == 2


def _first_guess(
    picture: np.ndarray, on: np.ndarray, off: np.ndarray, known: np.ndarray, radius: int
) -> np.ndarray:
    """Labels [h,w] uint8 for GrabCut to start from."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (4 * radius + 1,) * 2)
    rim = np.zeros_like(on)
    rim[[0, -1]] = rim[:, [0, -1]] = True
    if known.any():
        rim &= cv2.dilate(known.astype(np.uint8), disc) == 0

    costs_on, costs_off = np.full((2, *on.shape), np.inf, np.float32)
    costs_on[known] = DOUBT
    costs_off[rim] = 0
    costs_on[on], costs_off[on] = 0, np.inf
    costs_on[off], costs_off[off] = np.inf, 0
    guess = geodesic_distances(picture, costs_on) < geodesic_distances(picture, costs_off)
    labels = np.where(guess, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    labels[rim | off] = cv2.GC_BGD
    labels[on] = cv2.GC_FGD

    return labels


def _refined(picture: np.ndarray, labels: np.ndarray, rounds: int) -> np.ndarray:
    """The object [h,w] bool after GrabCut; the first guess if all of it is object, or nothing."""
    inside = (labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)
    if inside.all() or not inside.any():
        return inside

    cv2.setRNGSeed(0)  # GrabCut's k-means starts from OpenCV's own generator.
    bgr = np.ascontiguousarray(picture[..., ::-1])
    labels = labels.copy()
    cv2.grabCut(
        bgr,
        labels,
        (0, 0, 0, 0),
        np.zeros((1, 65)),
        np.zeros((1, 65)),
        rounds,
        cv2.GC_INIT_WITH_MASK,
    )

    return (labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)


def _part_at(mask: np.ndarray, place: tuple[int, int]) -> np.ndarray:
    """The connected part [h,w] bool of the mask that holds a place."""
    _, parts = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    return (parts == parts[place]) & mask


def _largest(mask: np.ndarray) -> np.ndarray:
    """The parts of the mask that are at least a fifth as large as its largest one, without small
    holes.
    """
    count, parts, statistics, _ = cv2.connectedComponentsWithStats(
        mask.astype(np.uint8), connectivity=4
    )
    areas = statistics[:, cv2.CC_STAT_AREA]
    large = [part for part in range(1, count) if areas[part] >= 0.2 * areas[1:].max()]

    return _filled(np.isin(parts, large))


def _filled(mask: np.ndarray) -> np.ndarray:
    """The mask [h,w] bool without holes of less than a hundredth of its size."""
    count, holes, statistics, _ = cv2.connectedComponentsWithStats(
        (~mask).astype(np.uint8), connectivity=4
    )
    small = [
        hole for hole in range(1, count) if statistics[hole, cv2.CC_STAT_AREA] < 0.01 * mask.sum()
    ]

    return mask | np.isin(holes, small)


def _box_ellipse(box: Box, size: tuple[int, int]) -> np.ndarray:
    """The ellipse [H,W] bool that fills a box."""
    (left, top), (right, bottom) = _sorted(box)
    centre, axes = (
        (int(left + right) // 2, int(top + bottom) // 2),
        (int(right - left) // 2, int(bottom - top) // 2),
    )
    drawn = np.zeros(size, np.uint8)
    cv2.ellipse(drawn, centre, axes, 0, 0, 360, 1, -1)

    return drawn > 0


def _box_mask(box: Box, size: tuple[int, int]) -> np.ndarray:
    mask = np.zeros(size, bool)
    (left, top), (right, bottom) = _sorted(box)
    mask[int(top) : int(bottom) + 1, int(left) : int(right) + 1] = True
    return mask


def _sorted(box: Box) -> tuple[tuple[float, float], tuple[float, float]]:
    """Upper left and lower right corner."""
    (x0, y0), (x1, y1) = box.corners
    return (min(x0, x1), min(y0, y1)), (max(x0, x1), max(y0, y1))
