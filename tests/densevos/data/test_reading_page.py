"""The commands of docs/reading.md run as they stand, on small videos."""

import re
import shlex
from pathlib import Path

import pytest

from densevos import cli
from densevos.base import console
from tests.conftest import ROOT
from tests.densevos.data.sources.test_video_file import X264, encode
from tests.densevos.test_cli import QUICK


@pytest.mark.slow
def test_commands_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "videos").mkdir()
    for number in range(2):
        encode(tmp_path / "videos" / f"{number}.mp4", *X264, frames=6)
    blocks = re.findall(r"^```\n(.*?)^```$", (ROOT / "docs" / "reading.md").read_text(), re.S | re.M)
    lines = [line for block in blocks for line in block.splitlines()]
    assert len(lines) == 4
    for line in lines:
        *variables, command = re.fullmatch(r"(?:(\w+)=(\w+) )?densevos (.*)", line).groups()
        if variables[0]:
            monkeypatch.setenv(*variables)
        arguments = shlex.split(command)
        arguments += QUICK if arguments[0] == "train" else ["--workers", "1"] if "pack" in arguments else []
        assert console.run(lambda given=arguments: cli.dispatch(given)) == 0, capsys.readouterr().err
    assert (tmp_path / "runs" / "packed" / "encoder.safetensors").exists()
