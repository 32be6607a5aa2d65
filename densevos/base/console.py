"""How both commands speak of trouble: a line for each warning, and at the end one line and an exit status."""

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from densevos.base.errors import InputError, RunError, Stopped


def run(command: Callable[[], object]) -> int:
    """Run `command`, print what stopped it as one line, and return the exit status.

    0 done, 1 the run or the system failed (disk full, say), 2 unusable input, 130 interrupted, 143 stopped by SIGTERM.
    """
    try:
        with _warnings_as_lines():
            command()
    except InputError as error:
        return _fail(f"error: {error}", 2)
    except (RunError, OSError) as error:
        return _fail(f"error: {error}", 1)
    except Stopped as error:
        return _fail(f"stopped: {error}", 143)
    except KeyboardInterrupt:
        return _fail("interrupted", 130)
    return 0


@contextmanager
def _warnings_as_lines() -> Iterator[None]:
    """Show warnings meant for users, the UserWarnings, without the place in the source that gave them."""
    plain = warnings.formatwarning

    def formatted(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> str:
        ours = category is UserWarning
        return f"warning: {' '.join(str(message).split())}\n" if ours else plain(message, category, *place, **more)

    warnings.formatwarning = formatted
    try:
        yield
    finally:
        warnings.formatwarning = plain


def _fail(line: str, status: int) -> int:
    print(" ".join(line.split()), file=sys.stderr)
    return status
