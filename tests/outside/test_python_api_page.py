"""The examples of the page on Python run as they stand, in its order, and print what it says."""

import doctest
import re
import shlex
from pathlib import Path

import pytest

import densevos.cli
from tests.conftest import ROOT

PAGE = ROOT / "docs" / "python-api.md"


def blocks(language: str) -> list[str]:
    """The code blocks of the page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def test_the_examples_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (command,) = blocks("bash")
    densevos.cli.dispatch(shlex.split(command)[1:])

    examples = doctest.DocTestParser().get_doctest("\n".join(blocks("pycon")), {}, PAGE.name, str(PAGE), 0)
    assert len(examples.examples) > 30
    printed: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    assert runner.run(examples, out=printed.append).failed == 0, "".join(printed)
    assert len(list(tmp_path.glob("mask-*.png"))) == 6
    assert (tmp_path / "frame-3.png").exists()
