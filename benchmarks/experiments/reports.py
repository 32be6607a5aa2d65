"""Results of experiments: gathered from a working folder, printed and kept.

An experiment is a folder with

    run.py        run(environ, train_options) -> None: train and evaluate; what is finished stays
    gather.py     gather(folder, *wanted) -> dict: the results of a working folder, as JSON
                  tables(result) -> {name: Markdown}: what is printed, and what a page can show
    result.json   the kept result; none before the experiment was run at its intended size
    page.md       the words of its page; {{NAME}} stands for a table or a fact of the result
"""

import json
from importlib import import_module
from pathlib import Path
from typing import Any

from densevos.base.errors import InputError
from densevos.base.files import write_json
from experiments.commands import EXPERIMENTS

Result = dict[str, Any]


def names() -> list[str]:
    """The experiments that there are."""
    return sorted(path.parent.name for path in EXPERIMENTS.glob("*/run.py"))


def gather(name: str, *arguments: str, result: str | None = None) -> None:
    """Gather a working folder; print its tables and, as the last line, its JSON.

    Args:
        name: the experiment.
        arguments: the working folder, and what else the experiment's `gather` takes.
        result: file to write the JSON to, besides FOLDER/NAME.json.

    Raises:
        InputError: no folder is given, or its runs cannot be compared.
    """
    if not arguments:
        raise InputError(f"gather {name}: name the working folder")

    folder, *wanted = arguments

    # Imported by its name, so that a new experiment is a new folder and no other change.
    gathered = import_module(f"experiments.{name}.gather").gather(Path(folder), *wanted)
    print(*tables(name, gathered).values(), sep="\n\n", end="\n\n")

    # The folder has its own copy; `result` is usually the kept one of the experiment.
    write_json(Path(folder) / f"{name}.json", gathered)
    if result:
        write_json(Path(result), gathered)

    print(json.dumps(gathered))


def tables(name: str, result: Result) -> dict[str, str]:
    """The tables of a result, by their names."""
    by_name: dict[str, str] = import_module(f"experiments.{name}.gather").tables(result)
    return by_name


def read_json(path: Path) -> Any:
    """One JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))
