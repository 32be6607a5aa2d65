"""The page about installing: its commands run, and its extras are those of pyproject.toml."""

import re
import shlex
import tomllib
from functools import partial
from pathlib import Path

import pytest

import densevos.cli
import densevos_eval.cli
from densevos.base import console
from tests.conftest import ROOT

PAGE = ROOT / "docs" / "install.md"


def blocks(language: str) -> list[str]:
    """The lines of all code blocks in one language."""
    text = "".join(re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S))
    return text.splitlines()


def test_its_commands_write_where_they_are_told_and_need_no_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "mein Ordner ä").mkdir()
    monkeypatch.chdir(tmp_path / "mein Ordner ä")
    monkeypatch.setenv("HOME", "/nonexistent")
    programs = {"densevos": densevos.cli.dispatch, "densevos-eval": densevos_eval.cli.dispatch}
    for line in blocks("bash"):
        program, *words = shlex.split(line)
        assert console.run(partial(programs[program], words)) == 0, capsys.readouterr().err
    assert '"decoders"' in capsys.readouterr().out
    assert sorted(path.name for path in Path().iterdir()) == ["first frame.png", "my clips"]


def test_its_extras_and_versions_are_those_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    page = PAGE.read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.M)) == set(project["optional-dependencies"]) - {"dev"}
    versions = [line.rpartition(" ")[2] for line in project["classifiers"] if ":: Python :: 3." in line]
    assert f"Python {', '.join(versions[:-1])} or {versions[-1]}" in page


def test_its_other_blocks_only_install() -> None:
    assert all(line.startswith(("pip install ", "pip download ")) for line in blocks("sh"))
