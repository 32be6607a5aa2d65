"""Configurations as JSON: a strict round trip."""

import dataclasses
import json
import types
import typing
from pathlib import Path
from typing import Any, Literal

from densevos.config.parts import ADDED_LATER

UNPREFIXED = ("sets",)
"""Groups whose options go without the group's name on the command line, as they do in other
commands.
"""


def flag(group: str, name: str) -> str:
    """The option that sets a value of a group: --loop.epochs, --wanted."""
    option = name.replace("_", "-")
    return f"--{option}" if group in UNPREFIXED else f"--{group}.{option}"


def to_dict(config: Any) -> dict[str, Any]:
    """A config dataclass as plain JSON values."""
    # Tuples become lists, and paths texts, because JSON has neither.
    values: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(config), default=str))
    return values


def from_dict(kind: Any, value: Any, where: str = "") -> Any:
    """Build `kind` (a dataclass or a type in one) from JSON values; ValueError names the key that
    does not fit.
    """
    if dataclasses.is_dataclass(kind):
        return _dataclass_from(kind, value, where)

    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    # A choice is compared by value; any other value falls through to the error.
    if origin is Literal and value in arguments:
        return value
    # Optional values: None, or the first type of the union that is not None.
    if origin in (types.UnionType, typing.Union):
        if value is None and type(None) in arguments:
            return None
        return from_dict(next(a for a in arguments if a is not type(None)), value, where)

    # Tuples of any length have one type; others have one type for each place.
    if origin is tuple and arguments[-1] is Ellipsis and isinstance(value, list):
        return tuple(from_dict(arguments[0], v, where) for v in value)
    if origin is tuple and isinstance(value, list) and len(value) == len(arguments):
        return tuple(from_dict(a, v, where) for a, v in zip(arguments, value, strict=True))
    # A whole number may stand for a float, as in a file edited by hand. A boolean is an int in
    # Python, but no number here.
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind is Path and isinstance(value, str):
        return Path(value)
    # Exact types: isinstance would take True for an int.
    if isinstance(kind, type) and type(value) is kind:
        return value

    raise ValueError(
        f"{where}: {value!r} is not {getattr(kind, '__name__', kind) if origin is None else kind}"
    )


def _dataclass_from(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise ValueError(f"{where or 'the file'}: must be an object of named values")

    # Resolved, since annotations may be texts.
    types_of = typing.get_type_hints(kind)
    hints = {field.name: types_of[field.name] for field in dataclasses.fields(kind)}
    prefix = f"{where}." if where else ""
    # A misspelt key must not be ignored: the run would have other settings than its file says.
    unknown = sorted(value.keys() - hints.keys())
    if unknown:
        raise ValueError(f"unknown key {prefix}{unknown[0]}; known are {', '.join(hints)}")

    # Files of older runs lack newer fields, whose defaults are what those runs did.
    older = {field.name for field in dataclasses.fields(kind) if field.metadata == ADDED_LATER}
    missing = sorted(hints.keys() - value.keys() - older)
    if missing:
        raise ValueError(f"key {prefix}{missing[0]} is missing")

    return kind(**{name: from_dict(hints[name], v, prefix + name) for name, v in value.items()})
