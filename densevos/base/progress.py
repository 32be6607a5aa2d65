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
"""Shortest time between two lines of a log file."""

SPEED_SECONDS = 600
"""Seconds over which the speed is averaged to estimate the time left. Steps and videos differ in
length, so it must be long.
"""


def progress_bar(unit: str = "") -> Progress:
    """Make a progress display on standard error: the count, a status, time spent and time left.

    It is a bar on a terminal, and lines (`LineProgress`) in a file or pipe.

    Args:
        unit: What is counted, such as steps or videos.

    Returns:
        The display. Its tasks need a field `status`, a text beside the count: add_task(...,
        status="").
    """
    console = Console(stderr=True)
    # A bar redraws its line, which would fill a log file with control characters.
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
    """Print a line about a long command before it starts, unless a terminal shows its bar."""
    if not sys.stderr.isatty():
        _to_stderr(line)


class LineProgress(Progress):
    """Progress as plain lines, for log files.

    Args:
        unit: What is counted.
        ends: Print a line when a task ends; not needed if the command prints a summary.
        seconds: Seconds between two lines.
        quiet: If given, a line is also printed whenever a tenth of a task was finished since the
            last line, and for the first step, but none within so many seconds of the last line.
        rate: Print steps per second.
        header: A line to print before the first one.
        write: Called with each line; None prints to standard error.
        clock: Returns the time in seconds; it never goes back.
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
        # No thread redraws anything: lines are printed when a step is recorded.
        super().__init__(auto_refresh=False, speed_estimate_period=SPEED_SECONDS, get_time=clock)
        self._unit = unit
        self._ends = ends
        self._seconds = seconds
        self._quiet, self._rate, self._header = quiet, rate, header
        self._write = write or _to_stderr
        self._last_line, self._last_count = clock(), 0.0

    def start(self) -> None:
        """Start the time until the first line; there is no bar to draw."""
        self._last_line = self.get_time()

    def stop(self) -> None:
        """Print a last line for every task that made a step."""
        for task in self.tasks:
            # A task without any step has nothing to report.
            if self._ends and (task.speed is not None or task.finished):
                self._print(task, f"took {duration(task.elapsed or 0)}")

        # A second stop prints nothing.
        self.disable = True

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
        # `stop` prints the line of a finished task.
        if task.finished or not self._is_due(task):
            return

        self._last_line, self._last_count = self.get_time(), task.completed
        left = task.time_remaining
        self._print(task, "" if left is None else f"{duration(left)} left")

    def _is_due(self, task: Task) -> bool:
        """Whether a line of this task is due now."""
        waited = self.get_time() - self._last_line
        if waited >= self._seconds:
            return True
        # Without `quiet` only the time since the last line counts.
        if self._quiet is None or waited < self._quiet:
            return False

        # The first step shows that the command works; a tenth is progress worth a line.
        if self._last_count == 0:
            return True

        return task.total is not None and task.completed - self._last_count >= task.total / 10

    def _print(self, task: Task, time_spent_or_left: str) -> None:
        """Print the line of a task."""
        if self.disable:
            return
        # The header precedes the first line, so a task without any line prints none.
        if self._header:
            self._write(self._header)
            self._header = ""

        total = "" if task.total is None else f"/{task.total:.0f}"
        count = f"{task.description} {task.completed:.0f}{total} {self._unit}".rstrip()

        # rich keeps the speed of a finished task apart.
        speed = task.finished_speed or task.speed
        rate = f"{speed:.1f} {self._unit}/s" if self._rate and speed else ""

        # A status is made for a bar, where two spaces separate its parts.
        status = ", ".join(str(task.fields.get("status", "")).split("  "))
        parts = (count, status, rate, time_spent_or_left)
        self._write(", ".join(part for part in parts if part))


def duration(seconds: float) -> str:
    """Format a duration as hours:minutes:seconds.

    >>> duration(3725.4)
    '1:02:05'

    Args:
        seconds: The duration; fractions are dropped.

    Returns:
        The text.
    """
    minutes, remainder = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{remainder:02d}"


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
