"""Scores of two folders of masks with nothing else arranged."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from densevos.base import console
from densevos.base.errors import InputError
from densevos.base.masks import write_mask
from densevos_eval import cli
from densevos_eval.scoring.two_folders import two_folders

SHAPE = (20, 30)


def square(left: int, id: int = 1) -> np.ndarray:
    mask = np.zeros(SHAPE, np.uint8)
    mask[5:15, left : left + 10] = id
    return mask


def put(folder: Path, masks: list[np.ndarray]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for t, mask in enumerate(masks):
        write_mask(folder / f"{t:05d}.png", mask)
    return folder


def evaluator(*arguments: object) -> int:
    return console.run(lambda: cli.dispatch([str(a) for a in arguments]))


def test_all_frames_count_or_all_but_the_ends(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """Half of the square is found in two of four frames: J is 1/3 there, and the ends are
    perfect.
    """
    put(tmp_path / "truth" / "a", [square(5)] * 4)
    put(tmp_path / "results" / "a", [square(5), square(10), square(10), square(5)])
    where = (
        "score",
        "--truth",
        tmp_path / "truth",
        "--results",
        tmp_path / "results",
        "--workers",
        1,
    )
    for options, expected in (((), 2 / 3), (("--skip-ends",), 1 / 3)):
        assert evaluator(*where, *options) == 0
        results = json.loads((tmp_path / "results" / "results.json").read_text())
        assert results["overall"]["J-Mean"] == pytest.approx(expected)
        assert (results["dataset"], results["split"]) == ("truth", "all")
    assert "note: all 4 frames that have a true mask count; --skip-ends" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("truth", "results"),
    [
        ("truth", "results"),
        ("truth/a", "results/a"),
        ("truth/a", "results"),
        ("truth", "results/a"),
    ],
)
def test_masks_lie_in_a_folder_of_the_sequence_or_not(
    tmp_path: Path, truth: str, results: str
) -> None:
    put(tmp_path / "truth" / "a", [square(5)] * 2)
    put(tmp_path / "results" / "a", [square(5)] * 3)
    found = two_folders(tmp_path / truth, tmp_path / results)
    (sequence,) = found.sequences
    assert sequence.frame_names == ("00000", "00001")
    assert found.places == {"a": tmp_path / "results"}


def test_black_and_white_masks_are_one_object(tmp_path: Path) -> None:
    put(tmp_path / "truth", [square(5, 255)])
    put(tmp_path / "results", [square(5, 1)])
    found = two_folders(tmp_path / "truth", tmp_path / "results")
    assert found.sequences[0].merge_objects
    assert "results: masks are black and white, so all objects are one" in found.notes
    Image.fromarray(square(5, 3)).save(tmp_path / "truth" / "00000.png")
    assert not two_folders(tmp_path / "truth", tmp_path / "results").sequences[0].merge_objects


def test_true_masks_may_be_painted(tmp_path: Path) -> None:
    """The second object is the one of the colour that appears second, in whatever frame."""
    for t, colours in enumerate(([(0, 0, 0), (255, 0, 0)], [(0, 0, 0), (0, 0, 255)])):
        (tmp_path / "truth").mkdir(exist_ok=True)
        Image.fromarray(np.array(colours, np.uint8)[square(5 * t)]).save(
            tmp_path / "truth" / f"{t:05d}.png"
        )
    put(tmp_path / "results", [square(0), square(5, 2)])
    (sequence,) = two_folders(tmp_path / "truth", tmp_path / "results").sequences
    for t, file in enumerate(sequence.truth):
        np.testing.assert_array_equal(sequence.reader(file), square(5 * t, t + 1))
    assert (
        evaluator(
            "score",
            "--truth",
            tmp_path / "truth",
            "--results",
            tmp_path / "results",
            "--workers",
            1,
        )
        == 0
    )
    results = json.loads((tmp_path / "results" / "results.json").read_text())
    assert results["overall"]["J&F-Mean"] == 1


def test_what_is_missing_is_named_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    truth, results = tmp_path / "truth", tmp_path / "results"
    put(truth / "a", [square(5)] * 3)
    put(results / "a", [square(5)])
    for folder, reason in (
        (tmp_path / "none", "--results .*none: no such folder"),
        (truth / "a" / "00000.png", "is a file, not a folder of masks"),
        (tmp_path, "--results .*: holds no masks; they are FRAME.png, or SEQUENCE/FRAME.png"),
        (
            results,
            "--results .*a: lacks 2 of 3 frames that --truth has: 00001, 00002; name masks as the "
            "true ones are",
        ),
    ):
        with pytest.raises(InputError, match=reason):
            two_folders(truth, folder)
    put(results / "a", [square(5)] * 3)
    put(truth / "b", [square(5)] * 3)
    with pytest.raises(
        InputError,
        match=r"lacks 1 of 2 folders that --truth has: b \(there: a\); name folders alike",
    ):
        two_folders(truth, results)

    for options, reason in (
        (
            ("--truth", truth, "--dataset", "davis16"),
            "--dataset: is for a benchmark or a set, not for --truth",
        ),
        (
            ("--dataset", "davis16", "--root", truth, "--skip-ends"),
            "--skip-ends: is for two folders of masks (--truth)",
        ),
        (
            ("--truth", truth, "--results", truth, results),
            "--results: names 2 folders; name one folder",
        ),
    ):
        assert evaluator("score", "--results", results, *options) == 2
        assert reason in capsys.readouterr().err
