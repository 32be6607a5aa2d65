"""The mask of an object from a few marks, fast enough for an answer to every click.

GrabCut (Rother et al., SIGGRAPH 2004) needs a rough guess of the object. It comes from geodesic
distances (Bai and Sapiro, ICCV 2007): a pixel probably belongs to the object if the cheapest path
to it, along which colours change little, starts on the object and not beside it. Both work on a
small window of the frame.
"""

# Shapes: H x W pixels of the frame, h x w pixels of the shrunk window.

from collections.abc import Sequence

import cv2
import numpy as np

from densevos_eval.studio.geodesic import geodesic_distances
from densevos_eval.studio.marks import Box, Clear, Click, Mark, Stroke
from densevos_eval.studio.window import Window, window_around

COARSE, FINE, BOXED = 96, 160, 200
"""Longest side of the window, in pixels, to search a clicked object, to cut it out, and to cut out
the object in a box."""

MARGIN = 0.3
"""Space around the object on each side of the window, as a share of the object's size."""

SHARES = (0.06, 0.15, 0.4)
"""How far search windows reach from a click, as shares of the frame's longer side."""

SMALLEST = 60
"""Pixels below which a part is unlikely to be what the user clicked, however sharp its outline."""

SLACK = 4
"""Most pixels by which a cut may extend beyond the first guess."""

LEAST = 0.3
"""Smallest share of the first guess that a cut may keep; a smaller cut has lost the object, so that
the guess is used instead."""

DOUBT = 0.1
"""Cost of a path that starts in the mask before the click: the click says that this mask is wrong
somewhere."""


def cut(frame: np.ndarray, marks: Sequence[Mark], before: np.ndarray | None = None) -> np.ndarray:
    """Cut out an object.

    Marks change the mask in their order. A click on the object only adds to the mask, and a click
    beside it only takes away.

    Args:
        frame: [H,W,3] uint8 RGB.
        marks: The user's marks, in order.
        before: The object's mask [H,W] bool before the marks; None for an empty one.

    Returns:
        The mask [H,W] bool.
    """
    mask = np.zeros(frame.shape[:2], bool) if before is None else before
    for index in range(len(marks)):
        mask = changed(frame, mask, marks[: index + 1])

    return mask


def changed(frame: np.ndarray, mask: np.ndarray, marks: Sequence[Mark]) -> np.ndarray:
    """Change a mask by the last of the marks.

    Args:
        frame: [H,W,3] uint8 RGB.
        mask: The mask [H,W] bool after all other marks.
        marks: The user's marks, in order.

    Returns:
        The mask [H,W] bool after all marks.
    """
    # Earlier clicks count too, back to where the user has cleared the mask.
    clicks: list[Click] = []
    for earlier in marks:
        if isinstance(earlier, Clear):
            clicks.clear()
        elif isinstance(earlier, Click):
            clicks.append(earlier)

    mark = marks[-1]
    if isinstance(mark, Stroke):
        return painted(mask, mark)
    if isinstance(mark, Box):
        return _in_box(frame, mark)
    if isinstance(mark, Click):
        return _clicked(frame, mask, clicks)

    return np.zeros_like(mask)


def painted(mask: np.ndarray, stroke: Stroke) -> np.ndarray:
    """Paint or erase a stroke.

    Args:
        mask: [H,W] bool.
        stroke: The stroke.

    Returns:
        The new mask [H,W] bool.
    """
    canvas = mask.astype(np.uint8)
    places = np.array(stroke.places)
    # OpenCV takes whole numbers: with a shift of 2 bits these are quarters of a pixel, which is as
    # precise as a mouse.
    line = np.round(places * 4).astype(np.int32)[:, None]
    colour = int(stroke.adds)

    if len(line) > 1:
        thickness = max(1, round(2 * stroke.radius))
        cv2.polylines(canvas, [line], False, colour, thickness=thickness, shift=2)

    # Discs round the corners, and draw a stroke of a single place.
    for centre in line[:, 0]:
        cv2.circle(canvas, centre.tolist(), round(stroke.radius * 4), colour, thickness=-1, shift=2)

    return canvas.astype(bool)


def _in_box(frame: np.ndarray, box: Box) -> np.ndarray:
    """The object [H,W] bool inside a box."""
    size = (frame.shape[0], frame.shape[1])
    inside = _box_mask(box, size)
    window = window_around(inside, size, BOXED, MARGIN)
    picture = window.part(frame, cv2.INTER_AREA)
    inside = window.part(inside.astype(np.uint8), cv2.INTER_NEAREST) > 0

    # The corners of a box are rarely part of the object.
    ellipse = _box_ellipse(box, size)
    core = window.part(ellipse.astype(np.uint8), cv2.INTER_NEAREST) > 0

    # Outside of the box there is only background.
    labels = np.where(inside, cv2.GC_PR_BGD, cv2.GC_BGD)
    labels = np.where(core, cv2.GC_PR_FGD, labels).astype(np.uint8)
    refined = _refined(picture, labels, 2)

    # GrabCut may lose an object that looks like the background.
    is_lost = refined.sum() <= LEAST * core.sum()
    return window.back(_largest(core if is_lost else refined), size)


def _clicked(frame: np.ndarray, mask: np.ndarray, clicks: list[Click]) -> np.ndarray:
    """The mask [H,W] bool after the last of the clicks."""
    size = (frame.shape[0], frame.shape[1])
    click = clicks[-1]
    column, row = (int(number) for number in click.place)

    # The window must show what the click may change: the mask, and the object around the click.
    wanted = mask.copy()
    wanted[row, column] = True
    if click.adds and not mask[row, column]:
        wanted |= _around(frame, mask, clicks)

    window = window_around(wanted, size, FINE, MARGIN)
    change = window.back(_change(frame, window, mask, clicks, rounds=1)[0], size)
    corrected: np.ndarray = mask | change if click.adds else mask & ~change
    return corrected


def _around(frame: np.ndarray, mask: np.ndarray, clicks: list[Click]) -> np.ndarray:
    """A guess [H,W] bool of what was clicked last: the sharpest cut in windows of several sizes."""
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
    """Pixels [h,w] bool of a window that the last click changes, and how sharp their outline is.

    rounds: Rounds of GrabCut after the first guess; 0 for the guess itself.
    """
    picture = window.part(frame, cv2.INTER_AREA)
    before = window.part(mask.astype(np.uint8), cv2.INTER_NEAREST) > 0
    radius = max(1, round(min(picture.shape[:2]) / 80))
    on, off = _discs(window, clicks, radius, picture.shape[:2])

    last = clicks[-1]
    adds, place = last.adds, window.place(last.place)
    click = on if adds else off
    # A click only adds, or only takes away.
    can_change = before != adds

    # In OpenCV's labels, the last bit is 1 for certain and for probable foreground.
    labels = _first_guess(picture, on, off, before, radius)
    guess = _part_at((((labels & 1) == adds) & can_change) | click, place)
    if not rounds:
        return guess, _sharpness(picture, guess)

    refined = ((_refined(picture, labels, rounds) == adds) & can_change) | click
    if before.any():
        # A correction changes only what is near the guess: colours alone would also move outlines
        # far away.
        kernel = np.ones((2 * SLACK + 1,) * 2, np.uint8)
        near = cv2.dilate(guess.astype(np.uint8), kernel) > 0
        change = _part_at(refined & near, place)
    else:
        change = _part_at(refined, place)
        if change.sum() < LEAST * guess.sum():
            change = guess

    return _filled(change), _sharpness(picture, change)


def _sharpness(picture: np.ndarray, mask: np.ndarray) -> float:
    """The mean change of colours across the outline of a mask, reduced for very small masks."""
    kernel = np.ones((3, 3), np.uint8)
    eroded = cv2.erode(mask.astype(np.uint8), kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    outline = mask & (eroded == 0)
    if not outline.any():
        return 0.0

    # An outline along the border of the window is no edge of an object.
    gradient = cv2.morphologyEx(picture, cv2.MORPH_GRADIENT, kernel).max(-1).astype(np.float32)
    gradient[[0, -1]] = gradient[:, [0, -1]] = 0
    area = mask.sum()

    sharpness: float = float(gradient[outline].mean()) * min(1.0, area / SMALLEST)
    return sharpness


def _discs(
    window: Window, clicks: list[Click], radius: int, small: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Discs [h,w] bool around the clicks on the object, and around those beside it."""
    # In one picture, so that later clicks cover earlier ones.
    drawn = np.zeros(small, np.uint8)
    for click in clicks:
        row, column = window.place(click.place)
        cv2.circle(drawn, (column, row), radius, 1 if click.adds else 2, -1)

    return drawn == 1, drawn == 2


def _first_guess(
    picture: np.ndarray, on: np.ndarray, off: np.ndarray, before: np.ndarray, radius: int
) -> np.ndarray:
    """Labels [h,w] uint8 from which GrabCut starts.

    on, off: Discs of the clicks [h,w] bool. before: The mask [h,w] bool before the last click.
    """
    # The border of the window is background, except where the object reaches it.
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (4 * radius + 1,) * 2)
    rim = np.zeros_like(on)
    rim[[0, -1]] = rim[:, [0, -1]] = True
    if before.any():
        rim &= cv2.dilate(before.astype(np.uint8), disc) == 0

    # What it costs to start a path of the object, or of the background, at each pixel. Clicks come
    # last: they outweigh mask and border.
    costs_on = np.full(on.shape, np.inf, np.float32)
    costs_off = np.full(on.shape, np.inf, np.float32)
    costs_on[before] = DOUBT
    costs_off[rim] = 0
    costs_on[on], costs_off[on] = 0, np.inf
    costs_on[off], costs_off[off] = np.inf, 0

    guess = geodesic_distances(picture, costs_on) < geodesic_distances(picture, costs_off)
    labels = np.where(guess, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    # These GrabCut must not change.
    labels[rim | off] = cv2.GC_BGD
    labels[on] = cv2.GC_FGD

    return labels


def _refined(picture: np.ndarray, labels: np.ndarray, rounds: int) -> np.ndarray:
    """The object [h,w] bool after rounds of GrabCut."""
    # GrabCut fails without pixels of both kinds.
    inside: np.ndarray = (labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)
    if inside.all() or not inside.any():
        return inside

    # GrabCut's k-means draws from OpenCV's own generator: the same marks must give the same mask.
    cv2.setRNGSeed(0)
    bgr = np.ascontiguousarray(picture[..., ::-1])
    labels = labels.copy()  # changed in place
    no_box = (0, 0, 0, 0)
    # Colour models of background and object, which OpenCV fills.
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(bgr, labels, no_box, models[0], models[1], rounds, cv2.GC_INIT_WITH_MASK)

    refined: np.ndarray = (labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)
    return refined


def _part_at(mask: np.ndarray, place: tuple[int, int]) -> np.ndarray:
    """The connected part [h,w] bool of a mask that contains a place (row, column)."""
    _, parts = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    part: np.ndarray = (parts == parts[place]) & mask
    return part


def _largest(mask: np.ndarray) -> np.ndarray:
    """The parts of a mask with at least a fifth of the largest one's area, without small holes."""
    count, parts, statistics, _ = cv2.connectedComponentsWithStats(
        mask.astype(np.uint8), connectivity=4
    )
    # Part 0 is the background.
    areas = statistics[:, cv2.CC_STAT_AREA]
    large = [part for part in range(1, count) if areas[part] >= 0.2 * areas[1:].max()]
    return _filled(np.isin(parts, large))


def _filled(mask: np.ndarray) -> np.ndarray:
    """The mask [h,w] bool without holes of less than a hundredth of its area."""
    count, holes, statistics, _ = cv2.connectedComponentsWithStats(
        (~mask).astype(np.uint8), connectivity=4
    )
    areas = statistics[:, cv2.CC_STAT_AREA]
    small = [hole for hole in range(1, count) if areas[hole] < 0.01 * mask.sum()]
    return mask | np.isin(holes, small)


def _box_ellipse(box: Box, size: tuple[int, int]) -> np.ndarray:
    """The ellipse [H,W] bool that fills a box."""
    (left, top), (right, bottom) = _sorted(box)
    centre = (int(left + right) // 2, int(top + bottom) // 2)
    axes = (int(right - left) // 2, int(bottom - top) // 2)
    drawn = np.zeros(size, np.uint8)
    cv2.ellipse(drawn, centre, axes, 0, 0, 360, 1, -1)

    return drawn > 0


def _box_mask(box: Box, size: tuple[int, int]) -> np.ndarray:
    """The pixels [H,W] bool inside a box."""
    mask = np.zeros(size, bool)
    (left, top), (right, bottom) = _sorted(box)
    mask[int(top) : int(bottom) + 1, int(left) : int(right) + 1] = True
    return mask


def _sorted(box: Box) -> tuple[tuple[float, float], tuple[float, float]]:
    """The upper left and the lower right corner of a box."""
    (x0, y0), (x1, y1) = box.corners
    return (min(x0, x1), min(y0, y1)), (max(x0, x1), max(y0, y1))
