"""Things that live outside the repository: `package.module:NAME`, importable from the working
directory.
"""

import importlib
import re
import sys
from pathlib import Path
from typing import Any

from densevos.base.errors import InputError


def is_outside(spec: str) -> bool:
    """Whether `spec` has the form `package.module:NAME`."""
    return re.fullmatch(r"[^\W\d][\w.]*:[^\W\d][\w.]*", spec) is not None


def from_outside(spec: str, flag: str) -> Any:
    """Import what `spec`, `package.module:NAME`, names.

    The working directory joins the import path for good: worker processes, which inherit the path,
    import the same module again.

    Args:
        spec: `package.module:NAME`; NAME may have dots.
        flag: The option or argument that named it, for the message.

    Raises:
        InputError: The module cannot be imported, or it has no such name.
    """
    module, _, names = spec.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)

    try:
        found: Any = importlib.import_module(module)
        for name in names.split("."):
            found = getattr(found, name)
    except Exception as error:  # Importing runs the user's code, which raises whatever it likes.
        reason = " ".join(str(error).split())[:160]
        raise InputError(
            f"{flag} {spec}: cannot be imported ({type(error).__name__}: {reason}); "
            "module:name must be importable from the working directory"
        ) from error

    return found
