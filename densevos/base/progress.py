"""Progress of long work on standard error: a bar on a terminal, plain lines in a log file."""

import sys
import time
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

LINE_SECONDS = 30
"""Least time between two lines of a log file."""

SPEED_SECONDS = 600
"""The time left follows from the speed over the last so many seconds: steps and videos differ in
length.
"""


def progress_bar(unit: str = "") -> Progress:
    """Make a display of steps done, a line of losses and clips/s, time spent and left.

    Where standard error is no terminal, `LineProgress` prints lines instead of a bar.

    Args:
        unit: What is counted, such as steps or videos.

    Returns:
        The display. Its tasks have a field `status`, what is shown besides the count: add_task(...,
        status="").
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        return LineProgress(unit=unit)

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TextColumn("{task.fields[status]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )

    return Progress(*columns, console=console, speed_estimate_period=SPEED_SECONDS)


def print_header(line: str) -> None:
    """Print what a long command is about to do, at once, where standard error is no terminal and
    shows no bar.
    """
    if not sys.stderr.isatty():
        _to_stderr(line)


class LineProgress(Progress):
    """Progress as plain lines, for log files: one every `seconds` at most, and one of each task at
    the end.

    Args:
        unit: What is counted.
        ends: Whether tasks have a line at their end; not where the command itself says what it did.
        seconds: Time after which there is another line.
        quiet: Where given, there is also a line when a tenth of a task is done since the last one,
            and a first line soon, but none within so many seconds of the start or of the last line.
        rate: Whether lines say how many steps a second takes.
        header: What to print before the first line.
        write: Takes a line; standard error by default.
        clock: Seconds, ever rising.
    """

    def __init__(
        self,
        *,
        unit: str = "",
        ends: bool = True,
        seconds: float = LINE_SECONDS,
        quiet: float | None = None,
        rate: bool = False,
        header: str = "",
        write: Callable[[str], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        super().__init__(auto_refresh=False, speed_estimate_period=SPEED_SECONDS, get_time=clock)
        self._unit, self._ends, self._seconds, self._write = (
            unit,
            ends,
            seconds,
            write or _to_stderr,
        )
        self._quiet, self._rate, self._header = quiet, rate, header
        self._last_line, self._last_count = clock(), 0.0

    def start(self) -> None:
        """Start counting the time until the first line; there is no bar to draw."""
        self._last_line = self.get_time()

    def stop(self) -> None:
        """Print where every task ended. Tasks that made no step since their start are left out."""
        for task in self.tasks:
            if self._ends and (task.speed is not None or task.finished):
                self._print(task, f"took {duration(task.elapsed or 0)}")

        self.disable = True  # a second stop prints nothing

    def update(self, task_id: TaskID, *args: Any, **fields: Any) -> None:
        """Record a step, as `Progress.update` does, and print a line when it is time."""
        super().update(task_id, *args, **fields)
        self._print_if_due(task_id)

    def advance(self, task_id: TaskID, advance: float = 1) -> None:
        """Record a step, as `Progress.advance` does, and print a line when it is time."""
        super().advance(task_id, advance)
        self._print_if_due(task_id)

    def _print_if_due(self, task_id: TaskID) -> None:
        task = self._tasks[task_id]
        if task.finished or not self._is_due(task):
            return  # what is finished gets its line from `stop`

        self._last_line, self._last_count = self.get_time(), task.completed
        left = task.time_remaining
        self._print(task, "" if left is None else f"{duration(left)} left")

    def _is_due(self, task: Task) -> bool:
        waited = self.get_time() - self._last_line
        if waited >= self._seconds or self._quiet is None or waited < self._quiet:
            return waited >= self._seconds

        is_first = self._last_count == 0
        return is_first or (
            task.total is not None and task.completed - self._last_count >= task.total / 10
        )

    def _print(self, task: Task, time_spent_or_left: str) -> None:
        if self.disable:
            return
        if self._header:
            self._write(self._header)
            self._header = ""

        total = "" if task.total is None else f"/{task.total:.0f}"
        count = f"{task.description} {task.completed:.0f}{total} {self._unit}".rstrip()

        speed = task.finished_speed or task.speed
        rate = f"{speed:.1f} {self._unit}/s" if self._rate and speed else ""

        # A status is made for a bar: its parts lie two spaces apart.
        status = ", ".join(str(task.fields.get("status", "")).split("  "))
        self._write(", ".join(part for part in (count, status, rate, time_spent_or_left) if part))


def duration(seconds: float) -> str:
    """Seconds as hours:minutes:seconds.

    >>> duration(3725.4)
    '1:02:05'
    """
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
