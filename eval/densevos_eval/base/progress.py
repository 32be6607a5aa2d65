"""Progress of frames and sequences on standard error: a bar on a terminal, plain lines in a log file."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

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


class FrameRate(ProgressColumn):
    """Frames a second, over the last frames."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.1f} frames/s")


@contextmanager
def frame_progress(total: int, title: str = "propagate") -> Iterator[Callable[[str], None]]:
    """A bar that says how many frames a second takes; call the result with a title after every frame.

    Where standard error is no terminal, there is a line now and then, and none for what is done within half a minute.
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
    with Progress(*columns, console=console) if terminal else LineProgress(unit="frames", ends=False) as bar:
        task = bar.add_task(title, total=total)
        yield lambda title: bar.update(task, advance=1, description=title)


@contextmanager
def sequence_progress(title: str, total: int) -> Iterator[Callable[[str], None]]:
    """A bar that vanishes at the end, or a line now and then; call the result after every sequence."""
    console = Console(stderr=True)
    terminal = console.is_terminal
    with Progress(console=console, transient=True) if terminal else LineProgress(unit="sequences", ends=False) as bar:
        task = bar.add_task(title, total=total)
        yield lambda name: bar.advance(task)
