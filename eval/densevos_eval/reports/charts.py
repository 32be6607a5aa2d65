"""SVG charts as text, coloured by the page's style sheet."""

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

# Shapes: arrays are [frames], one value for each frame of a sequence.
# The chart and the margins around its lines, in SVG units, which are pixels on a wide screen.
WIDTH, HEIGHT = 880, 200
LEFT, RIGHT, TOP, BOTTOM = 40, 10, 10, 30
NAMED_FRAMES = 8


def curves(
    frames: Sequence[str], lines: Mapping[str, np.ndarray], classes: Mapping[str, str], worst: int
) -> str:
    """Draw shares over the frames of a sequence; a tooltip appears over each frame.

    Args:
        frames: Names of the frames.
        lines: Label -> values [frames], 0 to 1, NaN where there is none.
        classes: Label -> CSS classes of the line.
        worst: Index of a frame to mark.

    Returns:
        An SVG element.
    """
    x, step = _places(len(frames))
    bottom = HEIGHT - BOTTOM
    # Later parts cover earlier ones: grid and mark lie below the curves.
    mark = x[worst]
    parts = [_grid(), _frame_axis(frames, x)]
    parts.append(f'<line class="worst" x1="{mark:.1f}" x2="{mark:.1f}" y1="{TOP}" y2="{bottom}"/>')
    for label, values in lines.items():
        parts.append(_line(x, values, classes[label]))

    # Invisible rectangles over the lines: browsers show their titles as tooltips.
    for t, name in enumerate(frames):
        facts = [f"frame {name}"]
        facts += [f"{label} {_percent(values[t])}" for label, values in lines.items()]
        title = escape("\n".join(facts))
        parts.append(
            f'<rect class="hit" x="{x[t] - step / 2:.1f}" y="{TOP}" width="{step:.1f}"'
            f' height="{bottom - TOP}"><title>{title}</title></rect>'
        )

    # Screen readers announce this label instead of the lines.
    label = escape(f"{', '.join(lines)} over {len(frames)} frames", quote=True)
    box = f'viewBox="0 0 {WIDTH} {HEIGHT}"'
    return f'<svg class="chart" {box} role="img" aria-label="{label}">{"".join(parts)}</svg>'


def bar(value: float, other: float | None = None) -> str:
    """Draw a share as a horizontal bar.

    Args:
        value: The share, 0 to 1.
        other: Another result's share, which a tick marks; None or NaN for no tick.

    Returns:
        An SVG element; empty if `value` is NaN.
    """
    if value != value:  # NaN
        return ""

    # The box is 100 units wide, so that a unit is one per cent.
    tick = ""
    if other is not None and other == other:  # not NaN
        tick = f'<rect class="tick" x="{100 * other - 1:.1f}" width="2" height="12"/>'

    return (
        '<svg class="bar" viewBox="0 0 100 12" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="track" width="100" height="12"/>'
        f'<rect class="value" width="{100 * value:.1f}" height="12"/>{tick}'
        "</svg>"
    )


def _places(count: int) -> tuple[np.ndarray, float]:
    """Horizontal places [count] of the frames, and the width of each."""
    step = (WIDTH - LEFT - RIGHT) / count
    # Each frame lies in the middle of its part of the width, where its tooltip appears.
    return LEFT + step * (np.arange(count) + 0.5), step


def _height(share: np.ndarray | float) -> np.ndarray | float:
    """The vertical place of a share; SVG counts from the top."""
    return TOP + (1 - share) * (HEIGHT - TOP - BOTTOM)


def _grid() -> str:
    """Horizontal lines at every quarter, with their labels in per cent."""
    parts = []
    for mark in (0, 25, 50, 75, 100):
        # The label's baseline is a little lower than the line, which centres its digits on it.
        y = _height(mark / 100)
        parts.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        )
        parts.append(f'<text class="y" x="{LEFT - 6}" y="{y + 4:.1f}">{mark}</text>')

    return "".join(parts)


def _frame_axis(frames: Sequence[str], x: np.ndarray) -> str:
    """Names of at most eight frames, evenly spaced."""
    every = max(1, -(-len(frames) // NAMED_FRAMES))  # rounded up
    parts = []
    for t in range(0, len(frames), every):
        name = escape(frames[t])
        parts.append(f'<text class="x" x="{x[t]:.1f}" y="{HEIGHT - 10}">{name}</text>')

    return "".join(parts)


def _line(x: np.ndarray, values: np.ndarray, style: str) -> str:
    """One polyline for each run of frames with numbers; a dot if a run is a single frame."""
    # A line across frames without numbers would show scores that nobody measured.
    numbered = np.flatnonzero(~np.isnan(values))
    runs = np.split(numbered, np.flatnonzero(np.diff(numbered) > 1) + 1)
    parts = []

    for run in runs:
        points = [f"{x[t]:.1f},{_height(values[t]):.1f}" for t in run]
        # Without numbers, numpy gives one empty run.
        if not points:
            continue
        if len(points) == 1:
            points *= 2  # with round caps, a line without length is a dot

        parts.append(f'<polyline class="line {style}" points="{" ".join(points)}"/>')

    return "".join(parts)


def _percent(value: float) -> str:
    """A share in per cent with one decimal; a dash for NaN."""
    return "–" if value != value else f"{100 * value:.1f}"
