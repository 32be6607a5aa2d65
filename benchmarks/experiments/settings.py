"""Environment variables that set what an experiment does."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from densevos.base.errors import InputError
from experiments.commands import ROOT

Environment = Mapping[str, str]


def required(environ: Environment, name: str, meaning: str) -> str:
    """The value of a variable.

    Raises:
        InputError: it is not set, or empty; the message says to set it to `meaning`.
    """
    value = environ.get(name)
    if not value:
        raise InputError(f"{name}: set {name} to {meaning}")

    return value


def text(environ: Environment, name: str, default: str) -> str:
    """The value of a variable; an empty one counts as not set."""
    return environ.get(name) or default


def words(environ: Environment, name: str, default: str) -> list[str]:
    """The words of a variable."""
    return text(environ, name, default).split()


def number(environ: Environment, name: str, default: int) -> int:
    """The value of a variable that is a whole number of at least 1.

    Raises:
        InputError: it is something else.
    """
    # isdecimal() refuses signs, points and spaces, which int() would partly take.
    value = text(environ, name, str(default))
    if not value.isdecimal() or int(value) < 1:
        raise InputError(f"{name}: {value} is not a whole number of at least 1")

    return int(value)


def working_folder(environ: Environment, experiment: str) -> Path:
    """OUT, or a folder of its own below runs/ of the checkout."""
    return Path(text(environ, "OUT", str(ROOT / "runs" / experiment)))


def check_known(name: str, values: Sequence[str], known: Collection[str]) -> None:
    """Check the words of a variable.

    Raises:
        InputError: one of them is not among `known`.
    """
    for value in values:
        if value not in known:
            raise InputError(f"{name}: there is no {value}; known are {', '.join(known)}")
