"""Show progress on standard error: a bar on a terminal, plain lines in a log file."""

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
"""Least time between lines in a log file. Work that takes less time gets no line at all."""


class FrameRate(ProgressColumn):
    """A column with the frames per second, measured over the last frames."""

    def render(self, task: Task) -> Text:
        """The text of the column for a task."""
        # A finished task shows its mean speed; before the second frame there is none.
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.1f} frames/s")


@contextmanager
def frame_progress(
    total: int, title: str = "propagate", header: str = ""
) -> Iterator[Callable[[str], None]]:
    """Show a bar with the number of frames per second.

    If standard error is no terminal, print the header, and a line every half minute or tenth of the
    frames. Work of a few seconds prints nothing.

    Args:
        total: Number of frames.
        title: First title of the bar.
        header: First line in a log file.

    Yields:
        A function to be called with a title after every frame.
    """
    console = Console(stderr=True)
    # The speed in frames per second tells a user whether the device is used well.
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        FrameRate(),
        TimeRemainingColumn(),
    )
    display: Progress
    if console.is_terminal:
        display = Progress(*columns, console=console)
    else:
        display = _lines("frames", header)

    with display as bar:
        task = bar.add_task(title, total=total)
        # The title changes with each frame, because several sequences may take turns.
        yield lambda title: bar.update(task, advance=1, description=title)


@contextmanager
def sequence_progress(title: str, total: int, header: str = "") -> Iterator[Callable[[str], None]]:
    """Show a bar that vanishes at the end, or print lines like `frame_progress`.

    Args:
        title: Title of the bar.
        total: Number of sequences.
        header: First line in a log file.

    Yields:
        A function to be called with a name after every sequence.
    """
    console = Console(stderr=True)
    display: Progress
    if console.is_terminal:
        # The bar vanishes, so that only the table of scores stays on the screen.
        display = Progress(console=console, transient=True)
    else:
        display = _lines("sequences", header)

    with display as bar:
        task = bar.add_task(title, total=total)
        yield lambda name: bar.advance(task)


def run_header(
    title: str, sequences: int, frames: int, settings: Mapping[str, Any], *more: str
) -> str:
    """One line about the work of a command: its sequences, frames and settings.

    Args:
        title: Name of the command.
        sequences: Number of sequences.
        frames: Number of frames.
        settings: Settings of the run. Only plain values are listed, and the numbers of the group
            `propagation`.
        more: What else to list after the frames.

    >>> settings = {"encoder": "mine", "propagation": {"context": 20}}
    >>> run_header("propagate", 2, 80, settings, "into out")
    'propagate: 2 sequences, 80 frames, into out; encoder mine, context 20'
    """
    # Texts of the group `propagation` would make the line too long.
    listed = dict(settings)
    for name, value in settings.get("propagation", {}).items():
        if not isinstance(value, str):
            listed[name] = value

    # Work comes first and settings last, since the settings may be many.
    plural = "" if sequences == 1 else "s"
    work = ", ".join([f"{sequences} sequence{plural}", f"{frames} frames", *more])
    return f"{title}: {work}; {', '.join(_plain(listed))}"


def _plain(settings: Mapping[str, Any]) -> Iterator[str]:
    """Settings with a plain value that is of interest. The hash of the weights is not."""
    for name, value in settings.items():
        # A switch that is off is no news.
        if isinstance(value, str | int | float) and value is not False and name != "weights":
            yield f"{name} {value}"


def _lines(unit: str, header: str) -> LineProgress:
    """Progress for a log file. Commands print their own last line, so tasks have none."""
    return LineProgress(unit=unit, ends=False, quiet=QUIET_SECONDS, rate=True, header=header)
