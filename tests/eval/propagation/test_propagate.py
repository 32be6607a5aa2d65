"""From frames and first masks to masks, movies and pictures on disk, as a user does it."""

import json
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from densevos.base import console
from densevos.base.masks import PALETTE, read_mask, write_mask
from densevos.data.sources.video import open_frames
from densevos.data.synthetic.sequences import SyntheticConfig, make_sequence
from densevos_eval import cli
from densevos_eval.adapters.encoder import load_encoder
from densevos_eval.propagation.propagator import Propagator
from densevos_eval.propagation.settings import PropagationConfig
from tests.eval.conftest import Benchmark, write_frames, write_masks
from tests.eval.copies import COPIES

ENCODER = ("--encoder", "random:resnet18", "--device", "cpu", "--layer", "res3")


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def evaluator(*arguments: object) -> int:
    return console.run(lambda: cli.dispatch([str(a) for a in arguments]))


def one_line(capsys: pytest.CaptureFixture) -> str:
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    return lines[0]


@pytest.mark.parametrize("dataset", ["davis16", "davis17", "folder"])
def test_propagate_then_score_then_show(benchmark: Benchmark, tmp_path: Path, dataset: str) -> None:
    where = ("--dataset", dataset, "--root", benchmark.root, "--split", "val")
    if dataset == "folder":
        for kind in ("Annotations", "JPEGImages"):
            (benchmark.root / kind / "480p").rename(benchmark.root / "x")
            (benchmark.root / kind).rmdir()
            (benchmark.root / "x").rename(benchmark.root / kind)
    out = tmp_path / "out"
    assert evaluator("propagate", *ENCODER, *where, "--out", out) == 0
    record = json.loads((out / "propagation.json").read_text())
    assert record["encoder"] == "random:resnet18"
    published = {"context": 20, "radius": 12, "topk": 10, "temperature": 0.05}
    assert published.items() <= record["propagation"].items()
    for sequence, ids in (("one", {0, 1}), ("two", {0, 1} if dataset == "davis16" else {0, 1, 2})):
        assert len(list((out / sequence).iterdir())) == 6
        for file in (out / sequence).iterdir():
            with Image.open(file) as image:
                assert (image.mode, image.size) == ("P", (40, 24))
                assert image.getpalette()[:6] == PALETTE[:2].flatten().tolist()
            assert set(np.unique(read_mask(file))) <= ids
    assert evaluator("score", *where, "--results", out, "--workers", 1) == 0
    assert 0 < json.loads((out / "results.json").read_text())["overall"]["J&F-Mean"] < 1
    assert (
        evaluator(
            "show", *where, "--results", f"ours={out}", f"again={out}", "--out", tmp_path / "shown"
        )
        == 0
    )
    assert sorted(p.name for p in (tmp_path / "shown").iterdir()) == [
        "one.mp4",
        "overview.png",
        "two.mp4",
    ]
    movie = open_frames(tmp_path / "shown" / "two.mp4").read(range(6))
    assert movie.shape[2] > 3 * 40  # three panels side by side


def test_ones_own_video(tmp_path: Path) -> None:
    sequence = make_sequence(4, SyntheticConfig(height=50, width=75, frames=5))
    even = np.pad(sequence.frames, ((0, 0), (0, 0), (0, 1), (0, 0)), mode="edge")
    iio.imwrite(tmp_path / "clip.mp4", even, fps=5, codec="libx264", macro_block_size=2)
    first = np.pad(sequence.masks[0], ((0, 0), (0, 1)), mode="edge")
    mask = np.where(first > 0, first * 40, 0).astype(np.uint8)  # ids need not begin at 1
    write_mask(tmp_path / "first.png", mask)
    arguments = ("--video", tmp_path / "clip.mp4", "--mask", tmp_path / "first.png")
    assert evaluator("propagate", *ENCODER, *arguments, "--out", tmp_path / "out") == 0
    files = sorted((tmp_path / "out" / "clip").glob("*.png"))
    assert [f.name for f in files] == [f"{t:05d}.png" for t in range(5)]
    np.testing.assert_array_equal(read_mask(files[0]), mask)
    assert set(np.unique(read_mask(files[-1]))) <= set(np.unique(mask))
    assert len(open_frames(tmp_path / "out" / "clip.mp4")) == 5


@settings(deadline=None, max_examples=15)
@given(st.integers(9, 40), st.integers(9, 40), st.integers(0, 999))
def test_any_frame_size_and_any_ids(height: int, width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    frames = rng.integers(0, 256, (3, height, width, 3), dtype=np.uint8)
    mask = np.zeros((height, width), np.uint8)
    mask[: height // 2], mask[:, : width // 2] = 7, 200
    propagator = Propagator(RANDOM, PropagationConfig(context=2, radius=3))
    np.testing.assert_array_equal(propagator.step(frames[0], mask), mask)
    for frame in frames[1:]:
        labels = propagator.step(frame)
        assert labels.shape == (height, width)
        assert set(np.unique(labels)) <= {0, 7, 200}


RANDOM = load_encoder("random:resnet18", device="cpu", layer="res3")


def test_matches_that_are_doubtful_are_told(
    benchmark: Benchmark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Propagator, "doubtful", lambda self: 0.1)
    where = (
        "--dataset",
        "davis16",
        "--root",
        benchmark.root,
        "--split",
        "val",
        "--out",
        tmp_path / "out",
    )
    with pytest.warns(UserWarning, match="--precision fp32 is exact"):
        assert evaluator("propagate", *ENCODER, "--precision", "bf16", *where) == 0


def test_a_still_scene_keeps_its_mask() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    mask = np.zeros((64, 96), np.uint8)
    mask[16:48, 24:72] = 1
    propagator = Propagator(RANDOM, PropagationConfig(topk=1))
    propagator.step(frame, mask)
    later = [propagator.step(frame) for _ in range(4)]
    overlap = (later[-1] & mask).sum() / (later[-1] | mask).sum()
    assert overlap > 0.8  # the mask is as coarse as the cells
    np.testing.assert_array_equal(later[0], later[-1])


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A frame folder of its own."""
    write_frames(tmp_path / "clip")
    return tmp_path / "clip"


def bad_masks(folder: Path) -> dict[str, str]:
    """Files of unusable first masks and what is said of each."""
    rng = np.random.default_rng(0)
    write_mask(folder / "size.png", np.ones((10, 10), np.uint8))
    write_mask(folder / "nothing.png", np.zeros((24, 40), np.uint8))
    disc = np.hypot(*np.mgrid[-12:12, -20:20]) < 9
    smooth = Image.fromarray((200 * disc).astype(np.uint8)).resize(
        (13, 8), Image.Resampling.BILINEAR
    )
    smooth = smooth.resize((40, 24), Image.Resampling.BICUBIC)
    Image.fromarray(np.asarray(smooth)).save(folder / "smooth.png")
    Image.fromarray(rng.integers(0, 255, (24, 40, 3), np.uint8)).save(folder / "rgb.png")
    (folder / "text.png").write_text("no image")
    return {
        "size.png": "10x10 but the frames",
        "nothing.png": "holds no object",
        "smooth.png": "nearest neighbour",
        "rgb.png": "looks like a photograph",
        "text.png": "cannot be read",
        "none.png": "missing",
    }


def test_unusable_first_masks(clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    for name, reason in bad_masks(tmp_path).items():
        arguments = (
            "propagate",
            *ENCODER,
            "--video",
            clip,
            "--mask",
            tmp_path / name,
            "--out",
            tmp_path / "out",
        )
        assert evaluator(*arguments) == 2
        said = one_line(capsys)
        assert name in said
        assert reason in said
        assert not (tmp_path / "out").exists()


def test_unusable_frames_encoders_and_folders(benchmark: Benchmark, tmp_path: Path, capsys) -> None:
    where = ("--dataset", "davis17", "--root", benchmark.root, "--split", "val")
    out = tmp_path / "out"
    assert (
        evaluator("propagate", "--encoder", tmp_path / "none.safetensors", *where, "--out", out)
        == 2
    )
    assert "none.safetensors" in one_line(capsys)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("precious")
    assert evaluator("propagate", *ENCODER, *where, "--out", tmp_path / "full") == 2
    assert "--overwrite" in one_line(capsys)
    frame = benchmark.root / "JPEGImages" / "480p" / "two" / "00003.jpg"
    frame.write_bytes(frame.read_bytes()[:100])
    assert evaluator("propagate", *ENCODER, *where, "--sequences", "two", "--out", out) == 2
    assert "00003.jpg" in one_line(capsys)
    assert evaluator("propagate", *ENCODER, "--out", tmp_path / "x") == 2
    assert "--dataset and --root, or --video and --mask" in one_line(capsys)
    assert evaluator("propagate", *ENCODER, *where, "--out", tmp_path / "x", "--topk", 0) == 2


def test_show_needs_titles_and_folders(benchmark: Benchmark, tmp_path: Path, capsys) -> None:
    where = (
        "--dataset",
        "davis17",
        "--root",
        benchmark.root,
        "--split",
        "val",
        "--out",
        tmp_path / "out",
    )
    for results, reason in (
        (benchmark.results, "must be TITLE=FOLDER"),
        ("a=nowhere", "no such folder"),
    ):
        assert evaluator("show", *where, "--results", results) == 2
        assert reason in one_line(capsys)
    (benchmark.results / "two" / "00002.png").unlink()
    assert evaluator("show", *where, "--results", f"a={benchmark.results}") == 2
    assert "00002.png" in one_line(capsys)


def test_two_runs_agree(tmp_path: Path) -> None:
    sequence = make_sequence(2, SyntheticConfig(height=48, width=64, frames=3))
    folder = tmp_path / "clip"
    folder.mkdir()
    for t, frame in enumerate(sequence.frames):
        Image.fromarray(frame).save(folder / f"{t:05d}.png")
    write_masks(tmp_path / "mask", sequence.masks[:1])
    for out in ("a", "b"):
        where = (
            "--video",
            folder,
            "--mask",
            tmp_path / "mask" / "00000.png",
            "--out",
            tmp_path / out,
        )
        assert evaluator("propagate", *ENCODER, *where) == 0
    for t in range(3):
        a, b = (read_mask(tmp_path / out / "clip" / f"{t:05d}.png") for out in ("a", "b"))
        np.testing.assert_array_equal(a, b)


def test_show_deletes_nothing_that_it_reads(benchmark: Benchmark, tmp_path: Path, capsys) -> None:
    where = (
        "--dataset",
        "davis17",
        "--root",
        benchmark.root,
        "--results",
        f"a={benchmark.results}",
        "--overwrite",
    )
    for out in (benchmark.results, benchmark.root, tmp_path):
        assert evaluator("show", *where, "--out", out) == 2
        assert "--overwrite would delete" in capsys.readouterr().err
    assert benchmark.result("one", 0).is_file()
    assert benchmark.annotation("one", 0).is_file()


def test_show_draws_masks_only(tmp_path: Path, capsys) -> None:
    COPIES["jhmdb"](tmp_path / "root")
    where = (
        "--dataset",
        "jhmdb",
        "--root",
        tmp_path / "root",
        "--results",
        f"a={tmp_path}",
        "--out",
        tmp_path / "x",
    )
    assert evaluator("show", *where) == 2
    assert "--dataset jhmdb: has joints instead of masks" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def test_rates_of_movies_are_checked(benchmark: Benchmark, tmp_path: Path, capsys) -> None:
    where = ("--dataset", "davis17", "--root", benchmark.root, "--out", tmp_path / "out")
    for fps in (0, -3, "nan", "inf"):
        assert evaluator("show", *where, "--results", f"a={benchmark.results}", "--fps", fps) == 2
        assert "--fps: must be above 0" in capsys.readouterr().err
    assert evaluator("propagate", "--encoder", "random:resnet18", *where, "--fps", 5) == 2
    assert "--fps: is for the movie of a --video" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
