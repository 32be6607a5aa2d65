"""Console output of both commands: one line per warning, one line per error, and exit statuses."""

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
"""Error number of the operating system -> what the user can do about it."""


def run(command: Callable[[], object]) -> int:
    """Run a command, and print an error that ends it as one line.

    Args:
        command: The command.

    Returns:
        The exit status: 0 finished, 1 the run or the system failed (for example, the disk is full),
        2 unusable input, 130 interrupted (Ctrl-C), 141 the reader of the output is gone (as in
        `| head`), 143 stopped by SIGTERM.
    """
    if isinstance(sys.stdout, TextIOWrapper):
        # As on standard error: file names may have any encoding, and log files get each line at
        # once.
        sys.stdout.reconfigure(errors="backslashreplace", line_buffering=True)

    try:
        try:
            with _warnings_as_lines():
                command()
        finally:
            # Flushed here, so that a broken pipe is handled below and not when Python exits. Also
            # after --help, which ends with SystemExit.
            if sys.stdout is not None:
                sys.stdout.flush()
    except BrokenPipeError as error:
        # Another pipe may have broken, such as that of a process.
        if not _reader_is_gone():
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
    """Refuse options that have a new name.

    Args:
        arguments: The arguments of the command.
        renamed: Old name of an option -> the new name, with a value if it needs one.

    Raises:
        InputError: An argument is an old name; the message has the new one.
    """
    for argument in arguments:
        name = argument.partition("=")[0].replace("_", "-")
        if name in renamed:
            raise InputError(f"{name}: is now {renamed[name]}")


def print_notes(notes: Iterable[str]) -> None:
    """Print notes for the user on standard error, one line each."""
    for note in notes:
        print(f"note: {note}", file=sys.stderr)


def list_failures(
    broken: Mapping[str, object], count: int, hint: str = "fix them and pass --resume"
) -> None:
    """Print a line on standard error for each sequence that failed, if any.

    Args:
        broken: Name of a failed sequence -> the reason.
        count: Number of all sequences.
        hint: How to fix it.

    Raises:
        RunError: At least one sequence failed; the message has the number.
    """
    for name, reason in broken.items():
        print(" ".join(f"{name}: {reason}".split()), file=sys.stderr)

    if broken:
        raise RunError(f"{len(broken)} of {count} sequences have no result, the others do; {hint}")


def print_table(table: "Table") -> None:
    """Print a table on standard output.

    A terminal gets a table that fits its width. In a pipe or a file the table is as wide as it
    needs to be, so that no text is cut.

    Args:
        table: The table.
    """
    # Imported here: scripts that print their commands must work before anything is installed.
    from rich.console import Console
    from rich.measure import Measurement

    console = Console()
    # rich assumes 80 columns without a terminal, and would cut cells.
    if not sys.stdout.isatty():
        unbounded = console.options.update(max_width=sys.maxsize)
        needed = Measurement.get(console, unbounded, table).maximum
        console = Console(width=max(console.width, needed))

    console.print(table)


@contextmanager
def _warnings_as_lines() -> Iterator[None]:
    """Show UserWarnings, which are meant for users, as one line without the place in the source."""
    original = warnings.formatwarning

    def formatted(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> str:
        if category is UserWarning:
            return f"warning: {' '.join(str(message).split())}\n"

        return original(message, category, *place, **more)

    warnings.formatwarning = formatted
    try:
        yield
    finally:
        warnings.formatwarning = original


def _reader_is_gone() -> bool:
    """Whether standard output is a pipe whose other end is closed."""
    if not hasattr(select, "poll"):  # Windows
        return False

    state = select.poll()
    try:
        state.register(sys.stdout, 0)
    except (OSError, ValueError):  # standard output is no file
        return False

    return bool(state.poll(0))


def _discard_output() -> None:
    """Send the rest of the output to the null device; Python would complain of it when it exits."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)


def _fail(line: str, status: int) -> int:
    """Print the error in one line, and return the status."""
    print(" ".join(line.split()), file=sys.stderr)
    return status
