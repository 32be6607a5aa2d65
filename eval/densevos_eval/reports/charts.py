"""SVG charts as text, coloured by the page's style sheet."""

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

WIDTH, HEIGHT = 880, 200
LEFT, RIGHT, TOP, BOTTOM = 40, 10, 10, 30


def curves(
    frames: Sequence[str], lines: Mapping[str, np.ndarray], classes: Mapping[str, str], worst: int
) -> str:
    """Lines of shares [frames] over the frames of a sequence; a title appears over each frame.

    lines: label -> values, 0 to 1, NaN where there is none. classes: label -> CSS classes of the
    line. worst: index of a frame to mark.
    """
    x, step = _places(len(frames))
    parts = [_grid(), _frame_axis(frames, x)]
    parts.append(
        f'<line class="worst" x1="{x[worst]:.1f}" x2="{x[worst]:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>'
    )
    parts += [_line(x, values, classes[label]) for label, values in lines.items()]

    for t, name in enumerate(frames):
        title = "\n".join(
            [
                f"frame {name}",
                *(f"{label} {_percent(values[t])}" for label, values in lines.items()),
            ]
        )
        parts.append(
            f'<rect class="hit" x="{x[t] - step / 2:.1f}" y="{TOP}" width="{step:.1f}"'
            f' height="{HEIGHT - BOTTOM - TOP}"><title>{escape(title)}</title></rect>'
        )

    label = escape(f"{', '.join(lines)} over {len(frames)} frames", quote=True)
    return f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">{"".join(parts)}</svg>'


def bar(value: float, other: float | None = None) -> str:
    """A share as a horizontal bar, with a tick where the other result is."""
    if value != value:
        return ""

    tick = (
        ""
        if other is None or other != other
        else f'<rect class="tick" x="{100 * other - 1:.1f}" width="2" height="12"/>'
    )

    return (
        '<svg class="bar" viewBox="0 0 100 12" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="track" width="100" height="12"/>'
        f'<rect class="value" width="{100 * value:.1f}" height="12"/>{tick}'
        "</svg>"
    )


def _places(count: int) -> tuple[np.ndarray, float]:
    """Horizontal places [count] of the frames, and the room of each."""
    step = (WIDTH - LEFT - RIGHT) / count
    return LEFT + step * (np.arange(count) + 0.5), step


def _height(share: np.ndarray | float) -> np.ndarray | float:
    return TOP + (1 - share) * (HEIGHT - TOP - BOTTOM)


def _grid() -> str:
    parts = []
    for mark in (0, 25, 50, 75, 100):
        y = _height(mark / 100)
        parts.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        )
        parts.append(f'<text class="y" x="{LEFT - 6}" y="{y + 4:.1f}">{mark}</text>')

    return "".join(parts)


def _frame_axis(frames: Sequence[str], x: np.ndarray) -> str:
    """Names of some eight frames, evenly spaced."""
    every = max(1, -(-len(frames) // 8))
    return "".join(
        f'<text class="x" x="{x[t]:.1f}" y="{HEIGHT - 10}">{escape(frames[t])}</text>'
        for t in range(0, len(frames), every)
    )


def _line(x: np.ndarray, values: np.ndarray, style: str) -> str:
    """One polyline for each run of frames with numbers; a dot where a run is a single frame."""
    known = np.flatnonzero(~np.isnan(values))
    runs = np.split(known, np.flatnonzero(np.diff(known) > 1) + 1)
    parts = []

    for run in runs:
        points = [f"{x[t]:.1f},{_height(values[t]):.1f}" for t in run]
        if len(points) == 1:
            points *= 2  # with round caps, a line without length is a dot

        parts.append(
            f'<polyline class="line {style}" points="{" ".join(points)}"/>' if points else ""
        )

    return "".join(parts)


def _percent(value: float) -> str:
    return "–" if value != value else f"{100 * value:.1f}"
