"""Options of the command line derived from the configuration that they set, so that each is
declared once.
"""

import ast
import inspect
import textwrap
from collections.abc import Mapping
from dataclasses import field, fields, make_dataclass
from typing import Any, get_type_hints


def optional(config: type, *, prefix: str = "", presets: Mapping[str, Any] | None = None) -> Any:
    """A dataclass with every field of `config` as an option that may be left out (None).

    Args:
        config: A dataclass whose fields are described by the strings below them.
        prefix: What the names of the options begin with.
        presets: Configurations by name; the description of each option tells their values.
    """
    kinds: dict[str, Any] = get_type_hints(config)
    options = [(prefix + name, kinds[name] | None, field(default=None)) for name in _names(config)]
    help_texts = {
        prefix + name: text + _values(name, presets or {})
        for name, text in descriptions(config).items()
    }

    return _with_help(make_dataclass("Options", options, frozen=True, kw_only=True), help_texts)


def several(config: type) -> Any:
    """A dataclass with every field of `config` as an option that takes any number of values, none
    by default.
    """
    kinds: dict[str, Any] = get_type_hints(config)
    options = [(name, _any_number(kinds[name]), field(default=())) for name in _names(config)]
    return _with_help(
        make_dataclass("Options", options, frozen=True, kw_only=True), descriptions(config)
    )


def given(options: Any, config: type, *, prefix: str = "") -> dict[str, Any]:
    """The fields of `config` that the user gave in `options`, which `optional` has made."""
    values = {name: getattr(options, prefix + name) for name in _names(config)}
    return {name: value for name, value in values.items() if value is not None}


def descriptions(config: type) -> dict[str, str]:
    """What the strings below the fields of a dataclass say of them; reads its source."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(config))).body
    assert isinstance(definition, ast.ClassDef)

    texts: dict[str, str] = {}
    for statement, below in zip(definition.body, definition.body[1:], strict=False):
        if not (isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)):
            continue
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            texts[statement.target.id] = " ".join(str(below.value.value).split())

    return texts


def _values(name: str, presets: Mapping[str, Any]) -> str:
    """The values of a field by preset: ` (default: dul, crw: 20; dino: 7)`, or ` (default: 20)`
    where all agree.
    """
    by_value: dict[str, list[str]] = {}
    for preset, config in presets.items():
        by_value.setdefault(f"{getattr(config, name)}", []).append(preset)

    if set(by_value) <= {"None"}:
        return ""
    if len(by_value) == 1:
        return f" (default: {next(iter(by_value))})"

    listed = [f"{', '.join(names)}: {value}" for value, names in by_value.items()]
    return f" (default: {'; '.join(listed)})"


def _names(config: Any) -> list[str]:
    return [one.name for one in fields(config)]


def _any_number(kind: Any) -> Any:
    return tuple[kind, ...]


def _with_help(made: type, help_texts: Mapping[str, str]) -> type:
    lines = [f"    {name}: {text}" for name, text in help_texts.items()]
    made.__doc__ = "\n".join(["Options.", "", "Args:", *lines])
    return made
