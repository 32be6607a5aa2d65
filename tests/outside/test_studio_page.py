"""The page about the studio: its commands run, and the command line goes on with a project."""

from pathlib import Path
from typing import Any

import pytest
import torch

from densevos_eval.studio import server
from densevos_eval.studio.project import open_project
from densevos_eval.studio.session import Session
from tests import pages
from tests.conftest import ROOT
from tests.eval.studio.clips import FRAMES, write_clip

ENCODER = ("--encoder", "random:resnet18", "--device", "cpu")


def test_the_commands_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.set_num_threads(1)
    write_clip(Path("clip.mp4"))  # A folder of frames serves as well.
    opened: list[tuple[Any, ...]] = []
    monkeypatch.setattr(server, "serve", lambda *arguments, **options: opened.append(arguments))

    studio, propagate = pages.commands(pages.page("studio.md"))
    pages.call(studio, ENCODER)
    video, out, _ = opened[0]
    assert (video, out) == (Path("clip.mp4"), Path("clip-studio"))

    session = Session(open_project(out, video), encoder="random:resnet18")
    session.set_object(1, None, None, None)
    session.accept(2, 0, 1, [{"kind": "brush", "places": [[24, 30]], "radius": 14}])
    session.close()
    pages.call(propagate, ENCODER)
    again = Session(open_project(out, video), encoder="random:resnet18")
    assert again.state()["fresh"] == [[0, FRAMES]]


def test_the_picture_of_the_page_is_small() -> None:
    assert (ROOT / "docs" / "studio.jpg").stat().st_size < 150_000
