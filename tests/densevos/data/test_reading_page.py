"""The commands of docs/reading.md run as they stand, on small videos."""

import shlex
from pathlib import Path

import pytest

from tests import pages
from tests.densevos.data.sources.test_video_file import X264, encode
from tests.densevos.test_cli import QUICK


@pytest.mark.slow
def test_commands_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "videos").mkdir()
    for number in range(2):
        encode(tmp_path / "videos" / f"{number}.mp4", *X264, frames=6)
    lines = pages.commands(pages.page("reading.md"))
    assert len(lines) == 4
    for line in lines:
        words = shlex.split(line)
        if "=" in words[0]:
            monkeypatch.setenv(*words.pop(0).split("="))
        quick = QUICK if "train" in words else ("--workers", "1") if "pack" in words else ()
        pages.call(shlex.join(words), quick)
    assert (tmp_path / "runs" / "packed" / "encoder.safetensors").exists()
