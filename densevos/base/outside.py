"""Import a user's own code by `package.module:NAME`, from the working directory."""

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
    """Import an object that the user named.

    Args:
        spec: `package.module:NAME`; NAME may have dots.
        flag: The option or argument that named it, for error messages.

    Returns:
        The object.

    Raises:
        InputError: The module cannot be imported, or it has no such name.
    """
    module, _, names = spec.partition(":")

    # The working directory stays on the import path: worker processes inherit the path and import
    # the same module again.
    working_directory = str(Path.cwd())
    if working_directory not in sys.path:
        sys.path.append(working_directory)

    try:
        target: Any = importlib.import_module(module)
        for name in names.split("."):
            target = getattr(target, name)
    except Exception as error:  # Importing runs the user's code, which may raise any error.
        reason = " ".join(str(error).split())[:160]
        raise InputError(
            f"{flag} {spec}: cannot be imported ({type(error).__name__}: {reason}); "
            "module:name must be importable from the working directory"
        ) from error

    return target
