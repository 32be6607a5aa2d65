"""Tables of a TOML file -> options of a command, strictly: what does not fit is one line that names
file and key.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from densevos.base.errors import InputError

Made = TypeVar("Made")


def table_of(file: Path, where: str, value: object) -> Mapping[str, Any]:
    """The value as a table; InputError that names it if it is none."""
    if not isinstance(value, dict):
        raise InputError(f"{file}: {where}: is no table of KEY = VALUE; write [{where}]")
    return value


def check_keys(file: Path, where: str, table: Mapping[str, Any], known: Mapping[str, bool]) -> None:
    """Raise InputError for a key that is not known, and for one that is needed and missing.

    Args:
        file: The TOML file.
        where: Name of the table, empty for the whole file.
        table: Its content.
        known: Keys -> whether the key is needed.
    """
    prefix = f"{where}." if where else ""
    for key in table:
        if key not in known:
            raise InputError(
                f"{file}: {prefix}{key}: is no known key; known are {', '.join(known)}"
            )

    for key, needed in known.items():
        if needed and key not in table:
            raise InputError(f"{file}: {prefix}{key}: is missing")


def options_of(
    file: Path, where: str, kind: Callable[..., Made], values: Mapping[str, Any]
) -> Made:
    """Options of a command from their values by name, which have been checked by `check_keys`.

    Args:
        file: The TOML file.
        where: Name of the table that the values come from.
        kind: A dataclass of options; it may refuse values with an InputError of its own.
        values: Name of a field -> its value, as TOML has it.

    Raises:
        InputError: A value is of another type than its field, or is refused.
    """
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
        return kind(**fitted)
    except InputError as error:
        raise InputError(f"{file}: {where}: {error}") from error


def _fitted(kind: Any, value: Any) -> Any:
    """The value as the type wants it: paths from strings, tuples from lists; TypeError if it does
    not fit.
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        for member in arguments:
            try:
                return _fitted(member, value)
            except TypeError:
                continue
    elif origin is Literal:
        if value in arguments:
            return value
    elif origin is tuple:
        if isinstance(value, list):
            return tuple(_fitted(arguments[0], one) for one in value)
    elif kind is Path:
        if isinstance(value, str):
            return Path(value)
    elif kind is float:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
    elif type(value) is kind:
        return value

    raise TypeError


def _described(kind: Any) -> str:
    """A type in words for messages."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return " or ".join(_described(member) for member in arguments if member is not type(None))
    if origin is Literal:
        return f"one of {', '.join(map(str, arguments))}"
    if origin is tuple:
        return f"a list, each {_described(arguments[0])}"

    names = {
        str: "a string",
        Path: "a path",
        int: "a whole number",
        float: "a number",
        bool: "true or false",
    }

    return names.get(kind, str(kind))
