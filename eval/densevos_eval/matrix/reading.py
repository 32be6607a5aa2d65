"""Read tables of a TOML file strictly as options of a command.

Every error is one line that names the file and the key.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from densevos.base.errors import InputError

Made = TypeVar("Made")


def table_of(file: Path, where: str, value: object) -> Mapping[str, Any]:
    """Check that a value is a table.

    Args:
        file: The TOML file.
        where: Name of the table.
        value: What the file has under this name.

    Raises:
        InputError: The value is not a table.
    """
    if not isinstance(value, dict):
        raise InputError(f"{file}: {where}: is no table of KEY = VALUE; write [{where}]")

    return value


def check_keys(file: Path, where: str, table: Mapping[str, Any], known: Mapping[str, bool]) -> None:
    """Check the keys of a table.

    Args:
        file: The TOML file.
        where: Name of the table; empty for the top level of the file.
        table: Its content.
        known: Key -> whether it is required.

    Raises:
        InputError: A key is unknown, or a required key is missing.
    """
    # Keys at the top level have no table to name.
    prefix = f"{where}." if where else ""
    # Unknown keys come first: a misspelt one would otherwise be reported as missing.
    for key in table:
        if key not in known:
            raise InputError(
                f"{file}: {prefix}{key}: is no known key; known are {', '.join(known)}"
            )

    for key, is_required in known.items():
        if is_required and key not in table:
            raise InputError(f"{file}: {prefix}{key}: is missing")


def options_of(
    file: Path, where: str, kind: Callable[..., Made], values: Mapping[str, Any]
) -> Made:
    """Make the options of a command from their values; `check_keys` has checked the names.

    Args:
        file: The TOML file.
        where: Name of the table that the values come from.
        kind: A dataclass of options; it may reject values with an InputError of its own.
        values: Name of a field -> its value in the file.

    Raises:
        InputError: A value has another type than its field, or `kind` rejects it.
    """
    # The fields' own types decide, so that a new option needs no code here.
    hints = get_type_hints(kind)
    fitted = {}
    for key, value in values.items():
        try:
            fitted[key] = _fitted(hints[key], value)
        except TypeError:
            raise InputError(
                f"{file}: {where}.{key}: {value!r} is not {_described(hints[key])}"
            ) from None

    try:
        # The class checks ranges and combinations, and its message gets the place in the file.
        return kind(**fitted)
    except InputError as error:
        raise InputError(f"{file}: {where}: {error}") from error


def _fitted(kind: Any, value: Any) -> Any:
    """The value in the type of a field: paths from strings, tuples from lists; else TypeError."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        for member in arguments:
            # The first member of the union that takes the value wins.
            try:
                return _fitted(member, value)
            except TypeError:
                continue
    elif origin is Literal:
        if value in arguments:
            return value
    elif origin is tuple:
        if isinstance(value, list):
            # All items are taken to have the type of the first argument.
            return tuple(_fitted(arguments[0], item) for item in value)
    elif kind is Path:
        if isinstance(value, str):
            return Path(value)
    elif kind is float:
        # In Python, True is an int.
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
    elif type(value) is kind:
        return value

    raise TypeError


def _described(kind: Any) -> str:
    """A type in words, for messages."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        # TOML has no null, so nobody can write None.
        return " or ".join(_described(member) for member in arguments if member is not type(None))
    if origin is Literal:
        return f"one of {', '.join(map(str, arguments))}"
    if origin is tuple:
        return f"a list, each {_described(arguments[0])}"

    # Words of TOML rather than of Python, since the reader wrote TOML.
    names = {
        str: "a string",
        Path: "a path",
        int: "a whole number",
        float: "a number",
        bool: "true or false",
    }

    return names.get(kind, str(kind))
