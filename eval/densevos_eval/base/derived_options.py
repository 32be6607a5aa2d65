"""Make options of the command line from the configuration that they set.

So each option is declared only once.
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
        prefix: Start of the names of the options.
        presets: Configurations by name. The help of each option lists their values.
    """
    types: dict[str, Any] = get_type_hints(config)
    # None means that the user did not give the option.
    options = []
    for name in _names(config):
        options.append((prefix + name, types[name] | None, field(default=None)))

    help_texts = {}
    # The help tells the default of every preset, because the option itself has none.
    for name, text in descriptions(config).items():
        help_texts[prefix + name] = text + _values(name, presets or {})

    return _with_help(make_dataclass("Options", options, frozen=True, kw_only=True), help_texts)


def several(config: type) -> Any:
    """A dataclass with every field of `config` as an option that takes any number of values.

    Args:
        config: A dataclass whose fields are described by the strings below them. The options have
            no values by default.
    """
    types: dict[str, Any] = get_type_hints(config)
    options = []
    for name in _names(config):
        options.append((name, _any_number(types[name]), field(default=())))

    # An empty tuple means that the user did not give the option.
    made = make_dataclass("Options", options, frozen=True, kw_only=True)
    return _with_help(made, descriptions(config))


def given(options: Any, config: type, *, prefix: str = "") -> dict[str, Any]:
    """The options that the user gave.

    Args:
        options: An instance of what `optional` returned.
        config: The configuration of the options.
        prefix: Start of the names of the options.

    Returns:
        Values by the name of the field of `config`.
    """
    # Options that were left out must not replace the values of a preset.
    values = {}
    for name in _names(config):
        value = getattr(options, prefix + name)
        if value is not None:
            values[name] = value

    return values


def descriptions(config: type) -> dict[str, str]:
    """The strings below the fields of a dataclass, by field. They are read from its source."""
    # Python keeps no docstrings of fields, so they are taken from the syntax tree.
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(config))).body
    assert isinstance(definition, ast.ClassDef)

    # A description is the string right below its field.
    texts: dict[str, str] = {}
    for statement, below in zip(definition.body, definition.body[1:], strict=False):
        if not (isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)):
            continue

        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            texts[statement.target.id] = " ".join(str(below.value.value).split())

    return texts


def _values(name: str, presets: Mapping[str, Any]) -> str:
    """The values of a field by preset: ` (default: dul, crw: 20; dino: 7)`.

    If all presets agree, it is ` (default: 20)`. If all leave it out, it is empty.
    """
    # Presets with the same value share an entry.
    by_value: dict[str, list[str]] = {}
    for preset, config in presets.items():
        by_value.setdefault(f"{getattr(config, name)}", []).append(preset)

    # A default that no preset sets would tell the reader nothing.
    if set(by_value) <= {"None"}:
        return ""
    if len(by_value) == 1:
        return f" (default: {next(iter(by_value))})"

    listed = [f"{', '.join(names)}: {value}" for value, names in by_value.items()]
    return f" (default: {'; '.join(listed)})"


def _names(config: Any) -> list[str]:
    return [field.name for field in fields(config)]


def _any_number(element: Any) -> Any:
    """The type of a tuple of any length."""
    return tuple[element, ...]


def _with_help(made: type, help_texts: Mapping[str, str]) -> type:
    """The class with help texts in its docstring, where the command line looks for them."""
    lines = [f"    {name}: {text}" for name, text in help_texts.items()]
    made.__doc__ = "\n".join(["Options.", "", "Args:", *lines])
    return made
