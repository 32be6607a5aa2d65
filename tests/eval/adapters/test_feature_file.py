"""Features of a video in a file."""

from pathlib import Path

import numpy as np
import pytest
import torch

from densevos.base import console
from densevos.base.errors import InputError
from densevos_eval import cli
from densevos_eval.adapters.encoder import load_encoder
from densevos_eval.adapters.feature_file import write_features
from tests.eval.conftest import write_frames

ENCODER = ("--encoder", "random:resnet18", "--device", "cpu", "--layer", "res3")


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def evaluator(*arguments: object) -> int:
    return console.run(lambda: cli.dispatch([str(a) for a in arguments]))


def test_a_file_holds_what_the_encoder_gives(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    write_frames(tmp_path / "clip")  # six frames of 24x40
    encoder = load_encoder("random:resnet18", layer="res3", device="cpu")
    expected = encoder.features(tmp_path / "clip").numpy()
    out = tmp_path / "new" / "clip.npz"
    where = ("features", tmp_path / "clip", *ENCODER, "--out", out)
    assert evaluator(*where, "--number", "float32") == 0
    shape = f"6 frames, {expected.shape[1]} channels, 3x5 cells of 8 pixels"
    assert capsys.readouterr().out == f"{out}: {shape}\n"
    with np.load(out, allow_pickle=False) as stored:
        np.testing.assert_array_equal(stored["features"], expected)
        assert stored["frames"].tolist() == [f"{t:05d}" for t in range(6)]
        facts = {
            name: stored[name].tolist()
            for name in ("stride", "frame_size", "encoded_size", "encoder", "layer")
        }
    sizes = {"frame_size": [24, 40], "encoded_size": [24, 40]}
    assert facts == {"stride": 8, "encoder": "random:resnet18", "layer": "res3", **sizes}

    assert evaluator(*where) == 2
    assert f"{out}: exists; pass --overwrite" in capsys.readouterr().err
    assert evaluator(*where, "--overwrite", "--start", 1, "--end", 4, "--step", 2) == 0
    with np.load(out) as stored:
        assert stored["features"].dtype == np.float16
        np.testing.assert_array_equal(stored["features"], expected[[1, 3]].astype(np.float16))
        assert stored["frames"].tolist() == ["00001", "00003"]


def test_what_cannot_be_done_leaves_no_file(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    write_frames(tmp_path / "clip")
    where = ("features", tmp_path / "clip", *ENCODER, "--out")
    for out, options, reason in (
        (tmp_path / "f.npz", ("--step", 0), "--step: must be 1 or more frames, is 0"),
        (tmp_path / "f.npz", ("--max-side", 0), "--max-side: must be 1 or more pixels, is 0"),
        (tmp_path / "f.npz", ("--start", 9), "--start 9: "),
        (tmp_path, (), "is a folder; name the file"),
    ):
        assert evaluator(*where, out, *options) == 2
        assert reason in capsys.readouterr().err
    encoder = load_encoder("random:resnet18", layer="res3", device="cpu")
    frames = np.zeros((2, 24, 40, 3), np.uint8)
    with pytest.raises(InputError, match="has 2 frames where 3 were announced"):
        write_features(tmp_path / "f.npz", encoder, frames, ["a", "b", "c"], (24, 40))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip"]
