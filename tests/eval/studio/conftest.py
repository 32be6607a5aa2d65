"""A project of the small clip."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from densevos_eval.studio.project import open_project
from densevos_eval.studio.session import Session
from tests.eval.studio.clips import write_clip


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    """An open project of the clip in tmp_path/clip, whose folder is tmp_path/work; without an
    encoder.
    """
    session = Session(
        open_project(tmp_path / "work", write_clip(tmp_path / "clip")), encoder="random:resnet18"
    )
    yield session
    session.close()
