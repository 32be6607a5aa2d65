"""A progress bar that counts frames and says how many of them a second takes."""

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


class FrameRate(ProgressColumn):
    """Frames a second, over the last frames."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.1f} frames/s")


@contextmanager
def frame_progress(total: int, title: str = "propagate") -> Iterator[Callable[[str], None]]:
    """A bar on standard error, where that is a terminal; call the result with a title after every frame."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        FrameRate(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=total)
        yield lambda title: bar.update(task, advance=1, description=title)


@contextmanager
def sequence_progress(title: str, total: int) -> Iterator[Callable[[str], None]]:
    """A bar that vanishes at the end; call the result after every sequence."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=total)
        yield lambda name: bar.advance(task)
