"""Pages of the manual as tests use them: their blocks of code, and their commands run in this
process.

A page is tested on small data that lies in the working directory, so that its commands run as they
stand. Starting a process for each of them would load torch each time.
"""

import doctest
import re
import shlex
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

import densevos.cli
import densevos_eval.cli
from densevos.base import console
from tests.conftest import ROOT

PROGRAMS = {"densevos": densevos.cli.dispatch, "densevos-eval": densevos_eval.cli.dispatch}


def page(name: str) -> str:
    """The text of docs/NAME."""
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    """The blocks of code in one language, without their fences; those without a language for the
    empty string.
    """
    found = re.findall(r"^```(\S*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [block for tag, block in found if tag == language]


def commands(text: str, language: str = "bash") -> list[str]:
    """The commands in the blocks of one language, comments left out; a backslash joins lines to one
    command.
    """
    lines = "".join(blocks(text, language)).replace("\\\n", " ").splitlines()
    return [shlex.join(words) for line in lines if (words := shlex.split(line, comments=True))]


def call(command: str, more: Sequence[str] = ()) -> None:
    """Run a command of densevos or densevos-eval, with options that make it quick, and check that
    it succeeds.
    """
    program, *arguments = shlex.split(command)
    assert console.run(partial(PROGRAMS[program], [*arguments, *more])) == 0, command


def call_all(
    lines: Iterable[str], more: Callable[[list[str]], Sequence[str]] = lambda words: ()
) -> None:
    """Run commands in order; `more` chooses further options by the words of a command."""
    for line in lines:
        call(line, more(shlex.split(line)))


def check_examples(text: str, names: dict[str, object] | None = None) -> int:
    """Run the `>>>` examples of a page in order, compare what they print, and return their number."""
    examples = doctest.DocTestParser().get_doctest(
        "\n".join(blocks(text, "pycon")), names or {}, "page", None, 0
    )
    printed: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    assert runner.run(examples, out=printed.append).failed == 0, "".join(printed)
    return len(examples.examples)


def quotes(text: str, file: Path) -> bool:
    """Whether the Python blocks of a page are a file, from its first line to its last."""
    quoted = [
        line for block in blocks(text, "python") for line in block.splitlines() if line.strip()
    ]
    return quoted == [
        line for line in file.read_text(encoding="utf-8").splitlines() if line.strip()
    ]
