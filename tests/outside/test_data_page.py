"""The page about large sets of videos: its table is that of the catalogue, and its commands run as
they stand.
"""

import sys
from pathlib import Path

import pytest

from densevos.data.catalogue.layout import Layout
from densevos.data.catalogue.registry import known_layouts
from densevos.data.foreground.map_files import MapFolder
from densevos.data.sources.index_file import read_index
from tests import pages
from tests.densevos.data.catalogue import layout_copies as copies
from tests.densevos.test_cli import QUICK

PAGE = pages.page("data.md")


def row_of(layout: Layout) -> str:
    """A layout's row of the table."""
    address = layout.address.partition(" (")[0]
    cells = [
        f"`{layout.name}`",
        layout.title,
        f"`{layout.tree}`",
        "-" if layout.rate is None else f"{layout.rate:g}",
        "-" if layout.recipe is None else f"{layout.gap} (`{layout.recipe}`)",
        layout.size,
        f"<{address}>" if address.startswith("http") else address,
    ]
    return f"| {' | '.join(cells)} |"


def test_the_table_is_that_of_the_catalogue() -> None:
    rows = [
        line
        for line in PAGE.splitlines()
        if line.startswith("| `") and not line.startswith("| `--")
    ]
    assert rows == [row_of(layout) for layout in known_layouts().values()]


def quick(words: list[str]) -> list[str]:
    """Options that make a command of the page quick."""
    if words[1] == "train":
        return [*QUICK, "--clips.gap", "1"]
    options = ["--no-crf", "--short-side", "32"] if words[2] == "foreground" else []
    if words[2] in ("index", "check", "frames", "foreground"):
        options += ["--workers", "1"]
    return options


@pytest.mark.slow
def test_the_commands_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copies.oxuva(tmp_path / "oxuva")
    for day in ("monday", "tuesday"):
        copies.frames(tmp_path / "drives" / day / "front1", ["000000.png", "000001.png"])
    (example,) = pages.blocks(PAGE, "python")
    (tmp_path / "my_layouts.py").write_text(example)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])  # the working directory joins it
    pages.call_all(pages.commands(PAGE), quick)

    assert list(read_index(tmp_path / "all.npz").paths) == [
        "images/dev/vid0001",
        "images/test/vid0002",
    ]
    assert len(read_index(tmp_path / "drives.npz")) == 2
    assert (tmp_path / "runs" / "oxuva" / "encoder.safetensors").is_file()
    assert len(list((tmp_path / "frames" / "vid0001").iterdir())) == 120
    assert len(MapFolder(tmp_path / "maps").frames("vid0001")) == 120
