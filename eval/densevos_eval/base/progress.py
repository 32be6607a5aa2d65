"""Progress of frames and sequences on standard error: a bar on a terminal, plain lines in a log
file.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from densevos.base.progress import LineProgress

QUIET_SECONDS = 5
"""A log file gets no line on work that is done within so many seconds, and none sooner after
another.
"""


class FrameRate(ProgressColumn):
    """Frames a second, over the last frames."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.1f} frames/s")


@contextmanager
def frame_progress(
    total: int, title: str = "propagate", header: str = ""
) -> Iterator[Callable[[str], None]]:
    """A bar that says how many frames a second takes; call the result with a title after every
    frame.

    Where standard error is no terminal, there are the header and a line every half minute or tenth
    of the frames, and nothing for what is done within a few seconds.
    """
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        FrameRate(),
        TimeRemainingColumn(),
    )
    terminal = console.is_terminal
    with Progress(*columns, console=console) if terminal else _lines("frames", header) as bar:
        task = bar.add_task(title, total=total)
        yield lambda title: bar.update(task, advance=1, description=title)


@contextmanager
def sequence_progress(title: str, total: int, header: str = "") -> Iterator[Callable[[str], None]]:
    """A bar that vanishes at the end, or lines as of `frame_progress`; call the result after every
    sequence.
    """
    console = Console(stderr=True)
    terminal = console.is_terminal
    with (
        Progress(console=console, transient=True)
        if terminal
        else _lines("sequences", header) as bar
    ):
        task = bar.add_task(title, total=total)
        yield lambda name: bar.advance(task)


def run_header(
    title: str, sequences: int, frames: int, settings: Mapping[str, Any], *more: str
) -> str:
    """One line on what a command sets out to do: videos, frames, what else is given, and the
    settings.

    Of the settings those with a plain value are named, and the numbers of the group `propagation`.

    >>> run_header("propagate", 2, 80, {"encoder": "mine", "propagation": {"context": 20}}, "into out")
    'propagate: 2 sequences, 80 frames, into out; encoder mine, context 20'
    """
    numbers = {
        name: value
        for name, value in settings.get("propagation", {}).items()
        if not isinstance(value, str)
    }
    count = f"{sequences} sequence{'s' if sequences != 1 else ''}, {frames} frames"

    return f"{title}: {', '.join((count, *more))}; {', '.join(_plain({**settings, **numbers}))}"


def _plain(settings: Mapping[str, Any]) -> Iterator[str]:
    """Settings with a plain value that says something, and is no hash."""
    for name, value in settings.items():
        if isinstance(value, str | int | float) and value is not False and name != "weights":
            yield f"{name} {value}"


def _lines(unit: str, header: str) -> LineProgress:
    return LineProgress(unit=unit, ends=False, quiet=QUIET_SECONDS, rate=True, header=header)
