"""How both commands end: one line and an exit status."""

import sys
from collections.abc import Callable

from densevos.errors import InputError, RunError, Stopped


def run(command: Callable[[], object]) -> int:
    """Run `command`, print what stopped it as one line, and return the exit status.

    0 done, 1 the run or the system failed (disk full, say), 2 unusable input, 130 interrupted, 143 stopped by SIGTERM.
    """
    try:
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


def _fail(line: str, status: int) -> int:
    print(" ".join(line.split()), file=sys.stderr)
    return status
