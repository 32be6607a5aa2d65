"""Draw what discriminators knew while they trained: a panel for each gap and network.

    PYTHONPATH=benchmarks python -m experiments.adaptation.curves RESULT.json OUT.svg

A line is the chosen setting of one method, the mean over its seeds: how often its discriminator was
right, as a mean over the kinds of features or pairs that it tells apart. At 50 % it knows nothing.
"""

import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from densevos.base.files import atomic_write
from experiments.adaptation.gather import Networks, Runs, best_of

WIDTH, HEIGHT, MARGIN = 300, 180, 42
LOW, HIGH = 0.4, 1.0
"""Shares of right answers at the lower and upper edge of a panel."""
COLOURS = {
    "mixed": "#777777",
    "spatial": "#0072b2",
    "stage3": "#56b4e9",
    "global": "#d55e00",
    "global-rate1e-3": "#e69f00",
    "clustered": "#009e73",
    "clustered-global": "#cc79a7",
    "clustered-global-rate1e-3": "#882255",
}

Point = tuple[float, float]


def draw(result: Mapping[str, Any]) -> str:
    """The SVG of a gathered result."""
    experiments = result["experiments"]
    panels = [
        panel(
            name,
            settings,
            left=number % 2 * (WIDTH + MARGIN),
            top=number // 2 * (HEIGHT + 2 * MARGIN),
        )
        for number, (name, settings) in enumerate(experiments.items())
    ]
    rows = (len(experiments) + 1) // 2
    size = (2 * (WIDTH + MARGIN) + MARGIN, rows * (HEIGHT + 2 * MARGIN) + MARGIN)
    body = "\n".join([*panels, legend(top=size[1] - 0.6 * MARGIN)])

    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size[0]} {size[1]}" '
        f'font-family="sans-serif"'
        f' font-size="11">\n<rect width="100%" height="100%" fill="white"/>\n{body}\n</svg>\n'
    )


def panel(name: str, settings: Networks, *, left: float, top: float) -> str:
    """One gap and network: a frame, the line of chance, and a line for each method."""
    lines = [
        f'<g transform="translate({left + MARGIN},{top + MARGIN})">',
        f'<text y="-8" font-weight="bold">{name}: how often the discriminator is right</text>',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="#bbbbbb"/>',
    ]

    for share in (0.5, 0.75, 1.0):
        y = height_of(share)
        lines.append(f'<line x2="{WIDTH}" y1="{y:.1f}" y2="{y:.1f}" stroke="#dddddd"/>')
        lines.append(f'<text x="-6" y="{y + 4:.1f}" text-anchor="end">{100 * share:.0f} %</text>')

    for method, colour in COLOURS.items():
        setting = best_of(settings, method)
        points = points_of(settings[setting]) if setting else []
        if points:
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
            lines.append(
                f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
            )

    return "\n".join([*lines, "</g>"])


def legend(*, top: float) -> str:
    """The colours of all methods, four in a row."""
    entries = []
    for number, (method, colour) in enumerate(COLOURS.items()):
        x = MARGIN + number % 4 * 170
        y = top + number // 4 * 16
        entries.append(f'<rect x="{x}" y="{y - 8:.1f}" width="12" height="8" fill="{colour}"/>')
        entries.append(f'<text x="{x + 16}" y="{y:.1f}">{method}</text>')

    return "\n".join(entries)


def points_of(runs: Runs) -> list[Point]:
    """The line of one setting; points at which no run has an accuracy are left out."""
    curves = [right_of(run["curve"]) for run in runs.values()]
    points = []
    for number, values in enumerate(zip(*curves, strict=True)):
        known = [value for value in values if value is not None]
        if known:
            x = WIDTH * (number + 0.5) / len(curves[0])
            points.append((x, height_of(statistics.fmean(known))))

    return points


def right_of(curve: Mapping[str, Sequence[float | None]]) -> list[float | None]:
    """Balanced accuracy at each point: of both domains, or of pairs of one domain and of two."""
    source, target, mixed = (
        curve.get(f"accuracy_{kind}") for kind in ("source", "target", "mixed")
    )
    if source is None or target is None:
        return []

    balanced: list[float | None] = []
    for number in range(len(source)):
        one_domain = mean(source[number], target[number])
        balanced.append(mean(one_domain, mixed[number]) if mixed else one_domain)

    return balanced


def mean(first: float | None, second: float | None) -> float | None:
    """The mean of two numbers; None where one is missing."""
    return None if first is None or second is None else (first + second) / 2


def height_of(share: float) -> float:
    """The y of a share of right answers."""
    return HEIGHT * (HIGH - min(max(share, LOW), HIGH)) / (HIGH - LOW)


if __name__ == "__main__":
    gathered = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    with atomic_write(Path(sys.argv[2]), "w") as file:
        file.write(draw(gathered))
