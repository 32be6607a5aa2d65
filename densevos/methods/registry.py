"""Methods by name, and configuration files, which say the name of their method."""

import importlib
import json
import pkgutil
from pathlib import Path

from densevos import methods
from densevos.base.errors import InputError
from densevos.base.files import write_json
from densevos.base.outside import from_outside, is_outside
from densevos.config import RunConfig, from_dict, to_dict
from densevos.methods.method import Method

OLDEST = "dul"
"""The method of configuration files that name none: they are older than the second method."""


def known_methods() -> dict[str, Method]:
    """The methods of this folder by name. A module of the folder is a method's if it has a
    METHOD.
    """
    modules = [
        importlib.import_module(f"{methods.__name__}.{module.name}")
        for module in pkgutil.iter_modules(methods.__path__)
    ]
    found = [module.METHOD for module in modules if hasattr(module, "METHOD")]

    return {method.name: method for method in sorted(found, key=lambda method: method.name)}


def find_method(name: str, where: str = "method") -> Method:
    """The method that goes by `name`, or that `package.module:NAME` names.

    Args:
        name: What config.json calls the method.
        where: The file or option that names it, for the message.

    Raises:
        InputError: There is no such method, or it cannot be imported.
    """
    known = known_methods()
    if name in known:
        return known[name]
    if not is_outside(name):
        raise InputError(f"{where} {name!r} is unknown; known are {', '.join(known)}")

    method = from_outside(name, where)
    if not isinstance(method, Method):
        raise InputError(
            f"{where} {name}: is {type(method).__name__}, not a Method (densevos.methods.method)"
        )

    if method.name != name:
        raise InputError(f"{where} {name}: calls itself {method.name}; its name must be {name}")

    return method


def method_of(config: RunConfig) -> Method:
    """The method whose configuration this is; InputError when it cannot be imported."""
    return find_method(config.METHOD)


def write_config(path: Path, config: RunConfig) -> None:
    """Write the complete configuration, under the name of its method."""
    write_json(path, {"method": config.METHOD, **to_dict(config)})


def read_config(path: Path) -> RunConfig:
    """Read a complete configuration.

    Raises:
        InputError: The file is missing or broken, its method is unknown, or a key or type does not
            fit.
    """
    try:
        values = json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise InputError(
            f"{path}: no such configuration file; every run has one, RUN/config.json"
        ) from None
    except IsADirectoryError:
        raise InputError(
            f"{path}: is a folder; name the file, such as {Path(path) / 'config.json'}"
        ) from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(
            f"{path}: is not valid JSON ({error}); correct it, or take the config.json of a run"
        ) from error

    name = values.pop("method", OLDEST) if isinstance(values, dict) else OLDEST
    method = find_method(str(name), f"{path}: method")
    try:
        config: RunConfig = from_dict(method.config, values)
    except ValueError as error:
        raise InputError(f"{path}: {error}") from error

    return config
