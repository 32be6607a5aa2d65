"""Zero-shot segmentation without a model: a user's commands, from frames to scores, pictures and a
movie.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from densevos.base import console
from densevos.base.masks import read_mask, write_mask
from densevos.data.sources.video import open_frames
from densevos_eval import cli

HEIGHT, WIDTH, FRAMES = 72, 108, 6
NAMES = ("boat", "camel")


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def davis(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """DAVIS-2016 of two sequences: a textured square moves over a texture that the camera passes
    by.
    """
    root = tmp_path_factory.mktemp("davis")
    for seed, name in enumerate(NAMES):
        rng = np.random.default_rng(seed)
        ground = np.kron(rng.random((HEIGHT // 4, WIDTH // 2, 3)), np.ones((4, 4, 1))) * 110 + 20
        looks = np.kron(rng.random((6, 6, 1)), np.ones((4, 4, 1))) * (60, 30, 30) + (190, 20, 20)
        images, annotations = (
            root / kind / "480p" / name for kind in ("JPEGImages", "Annotations")
        )
        images.mkdir(parents=True)
        annotations.mkdir(parents=True)
        for t in range(FRAMES):
            image, mask = ground[:, t : t + WIDTH].copy(), np.zeros((HEIGHT, WIDTH), np.uint8)
            place = (slice(24, 48), slice(10 + 4 * t, 34 + 4 * t))
            image[place], mask[place] = looks, 255
            Image.fromarray(image.astype(np.uint8)).save(images / f"{t:05d}.png")
            write_mask(annotations / f"{t:05d}.png", mask)
    (root / "ImageSets" / "2016").mkdir(parents=True)
    (root / "ImageSets" / "2016" / "val.txt").write_text("\n".join(NAMES))
    return root


def evaluator(*arguments: object) -> int:
    return console.run(lambda: cli.dispatch([str(a) for a in arguments]))


def zeroshot(root: Path, out: Path, *more: object) -> int:
    fixed = ("zeroshot", "--device", "cpu", "--workers", 1, "--dataset", "davis16", "--root", root)
    return evaluator(*fixed, "--out", out, *more)


def test_consensus_is_what_finds_objects_where_no_model_is_named(
    davis, tmp_path: Path, capsys
) -> None:
    out = tmp_path / "out"
    assert zeroshot(davis, out) == 0
    printed = capsys.readouterr().out
    assert f"{out}: masks of consensus, without training" in printed
    settings = json.loads((out / "propagation.json").read_text())
    assert (settings["foreground"], settings["short_side"], settings["encoder"]) == (
        "consensus",
        240,
        None,
    )

    scored = ("--dataset", "davis16", "--root", davis, "--results")
    for folder in (out, out / "no-crf"):
        assert evaluator("score", *scored, folder, "--workers", 1, "--no-stability") == 0
        assert json.loads((folder / "results.json").read_text())["overall"]["J-Mean"] > 0.7

    benchmark = ("--dataset", "davis16", "--root", davis)
    assert evaluator("report", out, *benchmark, "--out", tmp_path / "report.html") == 0
    assert (
        evaluator(
            "show",
            *benchmark,
            "--results",
            f"found={out}",
            "--no-movies",
            "--out",
            tmp_path / "show",
        )
        == 0
    )
    assert (tmp_path / "show" / "overview.png").is_file()


def test_motion_and_votes_of_an_encoder(davis, tmp_path: Path, capsys) -> None:
    for out, more, title in (
        ("motion", ("--method", "motion"), "motion, without training"),
        (
            "encoder",
            ("--encoder", "random:resnet18"),
            "consensus, without training, votes by features of",
        ),
    ):
        assert zeroshot(davis, tmp_path / out, "--no-crf", "--sequences", "boat", *more) == 0
        assert title in capsys.readouterr().out
        found = read_mask(tmp_path / out / "boat" / "00003.png")
        assert found.shape == (HEIGHT, WIDTH)
        assert found[36, 34] == 1
        assert found[5, 5] == 0


def test_ones_own_video_needs_nothing_else(davis, tmp_path: Path, capsys) -> None:
    folder = davis / "JPEGImages" / "480p" / "boat"
    assert evaluator("zeroshot", "--video", folder, "--no-crf", "--out", tmp_path / "out") == 0
    assert "no object" not in capsys.readouterr().out
    assert len(open_frames(tmp_path / "out" / "boat.mp4")) == FRAMES


def test_one_frame_has_no_object_and_the_command_says_so(davis, tmp_path: Path, capsys) -> None:
    clip = ("--video", davis / "JPEGImages" / "480p" / "boat", "--start", 2, "--end", 2)
    assert evaluator("zeroshot", *clip, "--no-crf", "--out", tmp_path / "out") == 0
    assert "boat: no object in any frame" in capsys.readouterr().out
    assert not read_mask(tmp_path / "out" / "boat" / "00002.png").any()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--method", "model"), "--method model: give the --model too"),
        (("--references", 3), "--references: is for a trained model, not for --method consensus"),
        (
            ("--method", "motion", "--model", "RUN"),
            "--model: is for a trained model, not for --method motion",
        ),
        (("--scales", 1, 1.5), "--scales: is for a trained model"),
        (
            ("--method", "motion", "--encoder", "random:resnet18"),
            "--encoder: is for --method consensus",
        ),
        (
            ("--model", "RUN", "--encoder", "random:resnet18"),
            "--encoder: is for --method consensus, not for model",
        ),
    ],
)
def test_options_that_do_not_go_together(
    davis, tmp_path: Path, capsys, more: tuple, said: str
) -> None:
    assert zeroshot(davis, tmp_path / "out", *more) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert said in lines[0]
    assert not (tmp_path / "out").exists()
