"""How both commands speak of trouble: a line for each warning, and at the end one line and an exit
status.
"""

import errno
import os
import select
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any

from densevos.base.errors import InputError, RunError, Stopped

if TYPE_CHECKING:
    from rich.table import Table

HINTS = {
    errno.EACCES: "; choose a path that you may write to, or change its permissions",
    errno.EPERM: "; choose a path that you may write to, or change its permissions",
    errno.EROFS: "; this disk cannot be written to, so choose another path",
    errno.ENOSPC: "; free some space, or choose another disk",
    errno.EDQUOT: "; your share of this disk is full: delete files, or choose another disk",
    errno.EMFILE: "; allow more open files (ulimit -n), or use fewer --workers",
    errno.ENAMETOOLONG: "; choose a shorter path",
}
"""Number of an error of the system -> what to do about it."""


def run(command: Callable[[], object]) -> int:
    """Run `command`, print what stopped it as one line, and return the exit status.

    0 done, 1 the run or the system failed (disk full, say), 2 unusable input, 130 interrupted, 141
    nobody reads on what is printed (as `| head` does), 143 stopped by SIGTERM.
    """
    if isinstance(sys.stdout, TextIOWrapper):
        # Like standard error: names of files may be of any encoding, and log files get each line at
        # once.
        sys.stdout.reconfigure(errors="backslashreplace", line_buffering=True)

    try:
        try:
            with _warnings_as_lines():
                command()
        finally:  # also after --help, which ends with SystemExit
            if sys.stdout is not None:
                sys.stdout.flush()
    except BrokenPipeError as error:
        if not _nobody_reads_on():
            return _fail(f"error: {error}", 1)
        _discard_output()
        return 141
    except InputError as error:
        return _fail(f"error: {error}", 2)
    except RunError as error:
        return _fail(f"error: {error}", 1)
    except OSError as error:
        return _fail(f"error: {error}{HINTS.get(error.errno or 0, '')}", 1)
    except Stopped as error:
        return _fail(f"stopped: {error}", 143)
    except KeyboardInterrupt:
        return _fail("interrupted", 130)

    return 0


def refuse_old_spellings(arguments: Sequence[str], renamed: Mapping[str, str]) -> None:
    """Raise InputError for an option that has another name now; the line tells the new one.

    Args:
        arguments: What follows the command.
        renamed: Old name of an option -> the new one, perhaps with what it takes.
    """
    for argument in arguments:
        name = argument.partition("=")[0].replace("_", "-")
        if name in renamed:
            raise InputError(f"{name}: is now {renamed[name]}")


def print_notes(notes: Iterable[str]) -> None:
    """Print what the user should know, a line each on standard error."""
    for note in notes:
        print(f"note: {note}", file=sys.stderr)


def list_failures(
    broken: Mapping[str, object], count: int, hint: str = "fix them and pass --resume"
) -> None:
    """Print a line on standard error for each sequence that failed; nothing if there is none.

    Args:
        broken: Name of a sequence -> why it failed.
        count: Number of all sequences.
        hint: What to do about it.

    Raises:
        RunError: There are some; it tells how many.
    """
    for name, reason in broken.items():
        print(" ".join(f"{name}: {reason}".split()), file=sys.stderr)

    if broken:
        raise RunError(f"{len(broken)} of {count} sequences have no result, the others do; {hint}")


def print_table(table: "Table") -> None:
    """Print a table on standard output: as wide as it needs to be, unless that is a terminal.

    A terminal gets a table that fits into its width. A pipe and a file have no width, and what
    reads them wants every column and every letter.
    """
    from rich.console import (
        Console,
    )  # Imported here: scripts print their commands before anything is installed.
    from rich.measure import Measurement

    console = Console()
    if not sys.stdout.isatty():
        unbounded = console.options.update(max_width=sys.maxsize)
        needed = Measurement.get(console, unbounded, table).maximum
        console = Console(width=max(console.width, needed))

    console.print(table)


@contextmanager
def _warnings_as_lines() -> Iterator[None]:
    """Show warnings meant for users, the UserWarnings, without the place in the source that gave
    them.
    """
    plain = warnings.formatwarning

    def formatted(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> str:
        ours = category is UserWarning
        return (
            f"warning: {' '.join(str(message).split())}\n"
            if ours
            else plain(message, category, *place, **more)
        )

    warnings.formatwarning = formatted
    try:
        yield
    finally:
        warnings.formatwarning = plain


def _nobody_reads_on() -> bool:
    """Whether the reader of standard output is gone, so that it is this pipe that broke."""
    if not hasattr(select, "poll"):  # Windows
        return False

    state = select.poll()
    try:
        state.register(sys.stdout, 0)
    except (OSError, ValueError):  # standard output is no file
        return False

    return bool(state.poll(0))


def _discard_output() -> None:
    """Give what is not written yet to nobody: Python would report at its end that it could not
    write it.
    """
    nobody = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nobody, sys.stdout.fileno())
    os.close(nobody)


def _fail(line: str, status: int) -> int:
    print(" ".join(line.split()), file=sys.stderr)
    return status
