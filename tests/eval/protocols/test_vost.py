"""VOST: masks of every second frame, void, and the last quarter of a video."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest

from densevos.base.errors import InputError
from densevos.base.masks import read_mask
from densevos_eval.metrics.registry import benchmark_metric
from densevos_eval.protocols.options import BenchmarkOptions
from densevos_eval.protocols.vost import VOST
from densevos_eval.scoring.results import write_scores
from densevos_eval.scoring.score import score
from densevos_eval.sequences.sequence import read_given
from tests.eval.copies import put, put_frame, vost, write_text


def options(root: Path, **more) -> BenchmarkOptions:
    return BenchmarkOptions(dataset="vost", root=root, **more)


def test_all_frames_are_propagated_and_the_annotated_ones_are_asked_for(tmp_path: Path) -> None:
    vost(tmp_path)
    video = options(tmp_path).load()[1]
    asked = tuple(f"frame{12 * t:05d}" for t in range(6))
    assert len(video.frame_names) == 12
    assert video.written == asked
    assert [video.frame_names[t] for t in video.annotated] == list(
        asked[:-1]
    )  # The last one does not count.

    few = options(tmp_path, frames="required").load()[1]
    assert few.frame_names == few.written == asked
    assert few.annotated == (0, 1, 2, 3, 4)


def test_void_is_background_in_the_given_mask(tmp_path: Path) -> None:
    vost(tmp_path)
    (video, _) = options(tmp_path).load()
    assert 255 in read_mask(video.given[0])
    assert np.unique(read_given(video)[0]).tolist() == [0, 1]


def test_numbers_are_those_of_the_authors_program(tmp_path: Path, golden: Path) -> None:
    """golden/vost.npz: random videos with void pixels, and what the authors' evaluation prints of
    them.
    """
    known = np.load(golden / "vost.npz")
    videos = [key.split("/")[1] for key in known.files if key.startswith("truth/")]
    for video in videos:
        for t, mask in enumerate(known[f"truth/{video}"]):
            put_frame(tmp_path / "JPEGImages" / video / f"frame{t:05d}.jpg", t)
            put(tmp_path / "Annotations" / video / f"frame{t:05d}.png", mask)
            put(tmp_path / "results" / video / f"frame{t:05d}.png", known[f"predicted/{video}"][t])
    write_text(tmp_path / "ImageSets" / "val.txt", "".join(f"{video}\n" for video in videos))

    sequences = options(tmp_path, frames="required").load()
    scores = score(sequences, tmp_path / "results", benchmark_metric(VOST), split="val")
    columns = ["J-Mean", "J-Recall", "J-Decay", "J_last-Mean", "J_last-Recall", "J_last-Decay"]
    assert list(scores.overall) == columns
    np.testing.assert_allclose(list(scores.overall.values()), known["global"], rtol=0, atol=1e-12)

    write_scores(scores, tmp_path / "results")
    lines = (tmp_path / "results" / "per-sequence_results-val.csv").read_text().splitlines()
    rows = list(csv.DictReader(lines))
    assert [row["Sequence"] for row in rows] == known["names"].tolist()
    for column, key in (("J-Mean", "J"), ("J_last-Mean", "J_last")):
        assert [row[column] for row in rows] == [f"{value:.3f}" for value in known[key]]


def test_video_of_test_has_its_masks_on_the_server(tmp_path: Path) -> None:
    vost(tmp_path)
    for file in (tmp_path / "Annotations" / "one").iterdir():
        if file.stem != "frame00000":
            file.unlink()
    (video, _) = options(tmp_path).load()
    assert (video.truth, list(video.given), len(video.written)) == ((), [0], 12)


def test_frames_that_are_missing_may_be_left_out(tmp_path: Path) -> None:
    vost(tmp_path)
    shutil.rmtree(tmp_path / "JPEGImages_10fps")
    with pytest.raises(
        InputError,
        match=r"JPEGImages_10fps: folder is missing; get it as well, or pass --frames req",
    ):
        options(tmp_path).load()
    assert len(options(tmp_path, frames="required").load()) == 2
