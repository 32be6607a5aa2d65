"""Experiments: run one, gather what a run left, or write result pages.

    python benchmarks run NAME [options of densevos train]
    python benchmarks gather NAME FOLDER [TABLE ...]
    python benchmarks page NAME
    python benchmarks pages

`run` does what scripts/NAME.sh documents. `gather` prints the tables of a working folder and writes
FOLDER/NAME.json. `page` writes results/NAME.md and the index results/README.md; `pages` writes all.
NAME of a page is an experiment or a speed benchmark.

RESULT=FILE makes `gather` write its JSON there, too. A result that is to be kept belongs into
experiments/NAME/result.json.

Python finds `experiments` and `harness` in the folder benchmarks: for these commands, for the speed
scripts beside this file and for the tests alike.
"""

import os
import sys
from importlib import import_module

import page_tables
from densevos.base.console import run as ended
from densevos.base.errors import InputError
from experiments import pages, reports

COMMANDS = ("run", "gather", "page")


def main(arguments: list[str]) -> None:
    """Do what the first argument says to the experiment that the second one names."""
    if arguments == ["pages"]:
        pages.write(*pages.names())
        return

    if len(arguments) < 2 or arguments[0] not in COMMANDS:
        raise InputError("name run, gather or page, and an experiment: python benchmarks run NAME")

    command, name, *more = arguments

    # Only experiments can be run and gathered; speed benchmarks are scripts and have a page alone.
    known = reports.names()
    if command == "page":
        known += page_tables.PAGES
    if name not in known:
        raise InputError(f"{name}: is not known; choose one of {', '.join(known)}")

    # Only the module that the user names is imported, so the commands start quickly.
    if command == "run":
        import_module(f"experiments.{name}.run").run(os.environ, more)
    elif command == "gather":
        reports.gather(name, *more, result=os.environ.get("RESULT"))
    else:
        pages.write(name)


if __name__ == "__main__":
    sys.exit(ended(lambda: main(sys.argv[1:])))
