"""YouTube-Objects: sparse masks of other sizes, and means over shots and classes."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from densevos.base.errors import InputError
from densevos.base.masks import write_mask
from densevos_eval import cli
from densevos_eval.metrics.registry import benchmark_metric
from densevos_eval.protocols.protocol import load_sequences
from densevos_eval.protocols.ytobjects import CLASSES, YTOBJECTS
from densevos_eval.scoring.score import score
from densevos_eval.sequences.sequence import read_given
from tests.eval.conftest import write_frames

SHOTS = {
    **dict.fromkeys(CLASSES, ("0001",)),
    "dog": ("0001/shots/001", "0001/shots/002", "0002/shots/001"),
}


@pytest.fixture
def ytobjects(tmp_path: Path) -> Path:
    """Ten classes of one shot, but three of dogs; twelve frames, masks of twice their size in 00001
    and 00011.
    """
    root = tmp_path / "YouTubeObjects"
    for one, shots in SHOTS.items():
        for shot in shots:
            write_frames(root / "JPEGImages" / one / shot, frames=13)
            (root / "JPEGImages" / one / shot / "00000.jpg").unlink()
            for frame in ("00001", "00011"):
                write_half(root / "Annotations" / one / shot / f"{frame}.png", (48, 80), value=255)
    return root


def write_half(file: Path, shape: tuple[int, int], *, value: int = 1, part: float = 0.5) -> None:
    mask = np.zeros(shape, np.uint8)
    mask[:, : int(shape[1] * part)] = value
    file.parent.mkdir(parents=True, exist_ok=True)
    write_mask(file, mask)


def write_results(folder: Path) -> Path:
    """Perfect masks at frame size, but half of the object in two of the shots of dogs."""
    for one, shots in SHOTS.items():
        for shot in shots:
            part = 0.25 if shot.endswith(("002", "0002/shots/001")) else 0.5
            for frame in ("00001", "00011"):
                write_half(folder / one / shot / f"{frame}.png", (24, 40), part=part)
    return folder


def test_shots_of_any_depth_with_their_sparse_masks(ytobjects: Path) -> None:
    sequences = load_sequences(YTOBJECTS, ytobjects, "val")
    assert len(sequences) == 12
    dog = next(sequence for sequence in sequences if sequence.name == "dog/0001/shots/002")
    assert dog.annotated == (0, 10)
    assert len(dog.frame_names) == 12
    assert (
        dog.truth[10] == ytobjects / "Annotations" / "dog" / "0001" / "shots" / "002" / "00011.png"
    )


def test_given_mask_takes_the_size_of_the_frames(ytobjects: Path) -> None:
    mask = read_given(load_sequences(YTOBJECTS, ytobjects, "val", ("car/0001",))[0])[0]
    assert mask.shape == (24, 40)
    assert np.unique(mask).tolist() == [0, 1]


def test_mean_over_frames_shots_classes(ytobjects: Path, tmp_path: Path) -> None:
    scores = score(
        load_sequences(YTOBJECTS, ytobjects, "val"),
        write_results(tmp_path / "r"),
        benchmark_metric(YTOBJECTS),
        split="val",
    )
    dog = (1 + 0.5 + 0.5) / 3
    assert scores.overall["J-Mean"] == pytest.approx((9 + dog) / 10)
    assert scores.overall["J-Mean-Shots"] == pytest.approx((9 + 3 * dog) / 12)
    assert set(scores.overall) == {"J-Mean", "J-Recall", "J-Decay", "J-Mean-Shots"}


def test_tables_have_no_contour(ytobjects: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    results = write_results(tmp_path / "results")
    arguments = [
        "score",
        "--dataset",
        "ytobjects",
        "--root",
        str(ytobjects),
        "--results",
        str(results),
    ]
    monkeypatch.setattr(sys, "argv", ["densevos-eval", *arguments, "--workers", "1"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert not end.value.code
    assert "mean over classes (10)" in capsys.readouterr().out
    assert (results / "global_results-val.csv").read_text().splitlines()[
        0
    ] == "J-Mean,J-Recall,J-Decay"
    everything = json.loads((results / "results.json").read_text())
    assert everything["sequences"]["cat/0001"]["objects"]["1"]["J"] == [1, 1]


@pytest.mark.parametrize(
    "missing",
    [
        "JPEGImages",
        "Annotations",
        "Annotations/boat",
        "JPEGImages/cow/0001",
        "JPEGImages/cow/0001/00011.jpg",
    ],
)
def test_first_missing_part_is_named_with_where_to_get_it(ytobjects: Path, missing: str) -> None:
    part = ytobjects / missing
    shutil.rmtree(part) if part.is_dir() else part.unlink()
    with pytest.raises(InputError) as error:
        load_sequences(YTOBJECTS, ytobjects, "val")
    assert str(error.value).startswith(f"{part}: ")
    assert "https://vision.cs.utexas.edu" in str(error.value)


def test_missing_result_is_named(ytobjects: Path, tmp_path: Path) -> None:
    results = write_results(tmp_path / "results")
    (results / "horse" / "0001" / "00011.png").unlink()
    scores = score(
        load_sequences(YTOBJECTS, ytobjects, "val"),
        results,
        benchmark_metric(YTOBJECTS),
        split="val",
    )
    assert list(scores.broken) == ["horse/0001"]
    assert "horse/0001/00011.png: mask is missing" in scores.broken["horse/0001"]
