"""Find methods by name, and read and write configuration files, which name their method."""

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
"""The method of a configuration file that names none: it is older than the second method."""


def known_methods() -> dict[str, Method]:
    """The methods of this folder by name: the METHOD of every module that has one."""
    by_name: dict[str, Method] = {}
    # Every module of the folder is imported, so that a new method needs no entry in a list.
    for info in pkgutil.iter_modules(methods.__path__):
        module = importlib.import_module(f"{methods.__name__}.{info.name}")
        if hasattr(module, "METHOD"):
            by_name[module.METHOD.name] = module.METHOD

    # Messages list methods by their names, which can differ from those of the modules.
    return dict(sorted(by_name.items()))


def find_method(name: str, where: str = "method") -> Method:
    """Find the method of this name.

    Args:
        name: Name of a method of this folder, or `package.module:NAME` of one outside.
        where: The file or option that names it, for messages.

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

    # The name goes to config.json, and a resumed run finds the method by it.
    if method.name != name:
        raise InputError(f"{where} {name}: calls itself {method.name}; its name must be {name}")

    return method


def method_of(config: RunConfig) -> Method:
    """Find the method of a configuration.

    Raises:
        InputError: It cannot be imported.
    """
    return find_method(config.METHOD)


def write_config(path: Path, config: RunConfig) -> None:
    """Write a complete configuration with the name of its method."""
    write_json(path, {"method": config.METHOD, **to_dict(config)})


def read_config(path: Path) -> RunConfig:
    """Read a complete configuration.

    Raises:
        InputError: The file is missing or broken, its method is unknown, or a key or type does not
            fit.
    """
    try:
        # A file that Windows editors wrote can begin with a byte order mark, which utf-8-sig skips.
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

    # JSON that is no object is left to `from_dict`, which explains it.
    name = values.pop("method", OLDEST) if isinstance(values, dict) else OLDEST
    method = find_method(str(name), f"{path}: method")
    try:
        config: RunConfig = from_dict(method.config, values)
    except ValueError as error:
        # `from_dict` knows only keys and types; the name of the file is added here.
        raise InputError(f"{path}: {error}") from error

    return config
