"""The blocks of the page on image-to-video adaptation run as they stand, in its order, at a tiny
size.
"""

import json
import re
import shlex
from functools import partial
from pathlib import Path

import pytest
import torch

import densevos.cli
import densevos_eval.cli
from densevos.base import console
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "image-to-video.md").read_text(encoding="utf-8")
PROGRAMS = {"densevos": densevos.cli.dispatch, "densevos-eval": densevos_eval.cli.dispatch}
FEW = (
    "--train-stills",
    "4",
    "--val-stills",
    "2",
    "--train-videos",
    "2",
    "--val-videos",
    "2",
    "--frames",
    "2",
)
QUICK = {
    "data": (*FEW, "--height", "48", "--width", "64"),
    "train": (
        *("--loop.epochs", "1", "--loop.batch", "2", "--loop.workers", "0", "--loop.device", "cpu"),
        *("--clips.size", "32", "--clips.short-side", "32", "32"),
    ),
    "segment": ("--device", "cpu"),
    "score": ("--workers", "1"),
}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings(
        "ignore:.*no labelled image with:UserWarning"
    ),  # Few stills show few classes.
    pytest.mark.filterwarnings(
        "ignore:(the control|BatchNorm's|source mIoU):UserWarning"
    ),  # So few steps help nobody.
]


def commands() -> list[list[str]]:
    """The words of each command of the page."""
    blocks = re.findall(r"^```bash\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return [shlex.split(line) for line in "".join(blocks).splitlines()]


def run(program: str, *arguments: str) -> int:
    return console.run(partial(PROGRAMS[program], [*arguments, *QUICK.get(arguments[0], ())]))


@pytest.fixture(scope="module", autouse=True)
def _in_folder(tmp_path_factory: pytest.TempPathFactory):
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("page"))
        yield


def test_the_blocks_of_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    for command in commands():
        if "--warm-start" not in command:
            assert run(*command) == 0, f"{shlex.join(command)}: {capsys.readouterr().err}"

    told = json.loads(Path("out/gap.json").read_text())
    assert told["judgement"] in capsys.readouterr().out
    assert set(told["target"]) == {"before", "statistics", "control", "after", "ceiling"}
    assert None not in told["source"].values()


def test_the_block_with_a_warm_start(capsys: pytest.CaptureFixture[str]) -> None:
    (command,) = (command for command in commands() if "--warm-start" in command)
    if not Path("shapes").is_dir():
        assert run(*commands()[0]) == 0
    assert run(*command, "--warm-start", "1") == 0, capsys.readouterr().err
    assert Path("runs/both/model.safetensors").is_file()
