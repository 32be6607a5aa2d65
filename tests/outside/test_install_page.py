"""The page about installing: its commands run, and its extras are those of pyproject.toml."""

import re
import tomllib
from pathlib import Path

import pytest

from tests import pages
from tests.conftest import ROOT

PAGE = pages.page("install.md")


def test_its_commands_write_where_they_are_told_and_need_no_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "mein Ordner ä").mkdir()
    monkeypatch.chdir(tmp_path / "mein Ordner ä")
    monkeypatch.setenv("HOME", "/nonexistent")
    pages.call_all(pages.commands(PAGE))
    assert '"decoders"' in capsys.readouterr().out
    assert sorted(path.name for path in Path().iterdir()) == ["first frame.png", "my clips"]


def test_its_extras_and_versions_are_those_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(re.findall(r"^\| `(\w+)` \|", PAGE, re.M)) == set(
        project["optional-dependencies"]
    ) - {"dev"}
    versions = [
        line.rpartition(" ")[2] for line in project["classifiers"] if ":: Python :: 3." in line
    ]
    assert f"Python {', '.join(versions[:-1])} or {versions[-1]}" in PAGE


def test_its_other_blocks_only_install() -> None:
    assert all(
        line.startswith(("pip install ", "pip download ")) for line in pages.commands(PAGE, "sh")
    )
