"""The blocks of the page about one's own video run as they stand, in its order, on a small clip."""

import shlex
import shutil
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import torch
from PIL import Image

from densevos.base.masks import read_mask
from densevos.data.synthetic.sequences import SyntheticConfig, make_sequence
from tests import pages

PAGE = pages.page("own-video.md").replace("120", "004").replace("121", "5")
ENCODER = ("--encoder", "random:resnet18", "--device", "cpu")
COLOURS = np.array([(0, 0, 0), (255, 0, 0), (0, 0, 255), (255, 255, 0), (0, 255, 0)], np.uint8)

pytestmark = pytest.mark.slow


def test_the_blocks_of_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.set_num_threads(1)
    sequence = make_sequence(4, SyntheticConfig(height=32, width=48, frames=6))
    iio.imwrite("clip.mp4", np.asarray(sequence.frames), fps=5, codec="libx264", macro_block_size=2)
    painted = {"frame.png": ("first.png", 0), "frame-00004.png": ("masks/00004.png", 4)}

    for line in pages.commands(PAGE):
        program, *arguments = shlex.split(line)
        if program == "mkdir":
            Path(arguments[-1]).mkdir()
        elif program == "cp":
            shutil.copy(*arguments)
        else:
            pages.call(line, ENCODER if arguments[0] in ("propagate", "features") else ())
        if arguments[0] == "frame":
            name, frame = painted[arguments[-1]]
            Image.fromarray(COLOURS[sequence.masks[frame]]).save(name)

    said = capsys.readouterr().err
    assert "note: first.png: yellow (255, 255, 0) is object 1" in said
    assert "note: clip: masks have changed; 4 frames are kept, 2 are computed again" in said
    assert read_mask("out/clip/00004.png")[sequence.masks[4] > 0].all()
    assert len(list(Path("part/clip").glob("*.png"))) == 2
    assert Path("soft/clip/probabilities/1/00005.png").is_file()
    assert Path("scores/results.json").is_file()

    names: dict[str, object] = {}
    for block in pages.blocks(PAGE, "python"):
        exec(block, names)
    assert names["features"].shape == np.load("features.npz")["features"].shape  # type: ignore[attr-defined]
    assert "is object 1" in capsys.readouterr().out
