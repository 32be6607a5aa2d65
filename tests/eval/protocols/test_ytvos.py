"""YouTube-VOS: objects that appear later, frames in between, frames that are asked for."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from densevos.base.errors import InputError
from densevos.base.masks import read_mask, write_mask
from densevos_eval.adapters.encoder import load_encoder
from densevos_eval.metrics.measure_objects import measure_objects
from densevos_eval.metrics.registry import benchmark_metric
from densevos_eval.propagation.propagate import Propagation
from densevos_eval.propagation.settings import PropagationConfig
from densevos_eval.protocols.options import BenchmarkOptions
from densevos_eval.protocols.protocol import load_sequences
from densevos_eval.protocols.ytvos import SEEN, YTVOS18, YTVOS19
from densevos_eval.runs.runner import write_all
from densevos_eval.scoring.score import score
from densevos_eval.sequences.sequence import read_given


def late(root: Path, **options):
    return BenchmarkOptions(dataset="ytvos18", root=root, sequences=("late",), **options).load()[0]


def edit_meta(root: Path, change) -> None:
    meta = json.loads((root / "valid" / "meta.json").read_text())
    change(meta["videos"])
    (root / "valid" / "meta.json").write_text(json.dumps(meta))


def as_train(root: Path) -> None:
    """Masks of every required frame, in a folder `train`."""
    (root / "valid").rename(root / "train")
    for name in ("early", "late"):
        folder = root / "train" / "Annotations" / name
        for frame in ("00005", "00010"):
            shutil.copy(
                folder / ("00005.png" if name == "late" else "00000.png"), folder / "copy.png"
            )
            (folder / "copy.png").rename(folder / f"{frame}.png")


@pytest.mark.parametrize("protocol", [YTVOS18, YTVOS19])
def test_all_frames_are_propagated_and_some_are_asked_for(ytvos: Path, protocol) -> None:
    early, _ = load_sequences(protocol, ytvos, "val")
    assert early.frame_names == tuple(f"{t:05d}" for t in range(11))
    assert early.written == ("00000", "00005", "00010")
    assert early.truth == ()


def test_required_frames_need_no_other(ytvos: Path) -> None:
    shutil.rmtree(ytvos / "valid_all_frames")
    sequence = late(ytvos, frames="required")
    assert sequence.frame_names == sequence.written == ("00000", "00005", "00010")
    assert dict(sequence.appears) == {1: 0, 2: 1}


def test_every_object_is_given_where_it_appears_and_nowhere_else(ytvos: Path) -> None:
    given = read_given(late(ytvos))
    assert list(given) == [0, 5]
    assert np.unique(given[0]).tolist() == [0, 1]
    assert np.unique(given[5]).tolist() == [
        0,
        2,
    ]  # object 1 is in this mask too, but is known already


def test_only_required_frames_are_written(ytvos: Path, tmp_path: Path) -> None:
    encoder = load_encoder("random:resnet18", device="cpu")
    writer = Propagation(encoder=encoder, config=PropagationConfig(context=2, radius=2))
    write_all([late(ytvos)], writer, tmp_path / "out")
    written = sorted((tmp_path / "out" / "late").iterdir())
    assert [file.name for file in written] == ["00000.png", "00005.png", "00010.png"]
    assert 2 not in read_mask(written[0])
    assert 2 in read_mask(written[1])


def test_train_is_scored_from_the_frame_after_an_object_appears(
    ytvos: Path, tmp_path: Path
) -> None:
    as_train(ytvos)
    (ytvos / "valid_all_frames").rename(ytvos / "train_all_frames")
    sequences = load_sequences(YTVOS18, ytvos, "train")
    results = tmp_path / "results"
    shutil.copytree(ytvos / "train" / "Annotations", results)
    last = read_mask(results / "late" / "00010.png")
    write_mask(results / "late" / "00010.png", np.where(last == 2, 0, last))
    write_mask(results / "late" / "00000.png", np.zeros((24, 40), np.uint8))  # given, so not scored
    arrays = measure_objects(sequences[1], results, YTVOS18)
    np.testing.assert_array_equal(arrays["J"][0], [np.nan, 1, 1])
    np.testing.assert_array_equal(arrays["F"][1], [np.nan, np.nan, 0])
    assert score(sequences, results, benchmark_metric(YTVOS18), split="train").overall[
        "J-Mean"
    ] == pytest.approx(2 / 3)


def with_categories(root: Path, first: str, second: str) -> None:
    """The second object of `late` gets a category; all first objects have another."""
    as_train(root)

    def change(videos) -> None:
        for video in videos.values():
            video["objects"]["1"]["category"] = first
        videos["late"]["objects"]["2"]["category"] = second

    meta = json.loads((root / "train" / "meta.json").read_text())
    change(meta["videos"])
    (root / "train" / "meta.json").write_text(json.dumps(meta))


def scored_train(root: Path, results: Path):
    sequences = BenchmarkOptions(
        dataset="ytvos18", root=root, split="train", frames="required"
    ).load()
    return score(sequences, results, benchmark_metric(YTVOS18), split="train")


def test_seen_and_unseen_categories_count_as_much_as_each_other(
    ytvos: Path, tmp_path: Path
) -> None:
    with_categories(ytvos, "earless_seal", "fire_engine")
    results = tmp_path / "results"
    shutil.copytree(ytvos / "train" / "Annotations", results)
    last = read_mask(results / "late" / "00010.png")
    write_mask(results / "late" / "00010.png", np.where(last == 2, 0, last))

    scores = scored_train(ytvos, results)
    assert scores.overall["J-seen-Mean"] == scores.overall["F-seen-Mean"] == 1
    assert scores.overall["J-unseen-Mean"] == scores.overall["F-unseen-Mean"] == 0
    assert (
        scores.overall["J&F-Mean"] == scores.overall["J-Mean"] == 0.5
    )  # Over the three objects it is 2/3.
    assert list(scores.rows.details["groups"]) == ["seen", "unseen"]
    assert scores.metric.title(scores) == "ytvos18 train, mean over seen and unseen objects"
    assert scores.sequences["late"]["J-Mean"] == 0.5
    assert scores.metric.files(scores)["global_results-train.csv"].startswith(
        b"J&F-Mean,J-Mean,J-Recall,J-Decay,"
    )


def test_one_group_alone_is_the_mean(ytvos: Path) -> None:
    with_categories(ytvos, "dog", "zebra")
    scores = scored_train(ytvos, ytvos / "train" / "Annotations")
    assert scores.overall["J-seen-Mean"] == scores.overall["J-Mean"] == 1
    assert "J-unseen-Mean" not in scores.overall


def test_without_all_categories_there_are_no_groups(ytvos: Path) -> None:
    as_train(ytvos)
    scores = scored_train(ytvos, ytvos / "train" / "Annotations")
    assert "J-seen-Mean" not in scores.overall
    assert "mean over objects (3)" in scores.metric.title(scores)
    assert len(SEEN) == 65


def test_object_of_the_last_frame_has_nothing_to_score(ytvos: Path, tmp_path: Path) -> None:
    edit_meta(ytvos, lambda videos: videos["late"]["objects"]["2"].update(frames=["00010"]))
    as_train(ytvos)
    results = ytvos / "train" / "Annotations"
    (sequence,) = BenchmarkOptions(
        dataset="ytvos19", root=ytvos, split="train", sequences=("late",), frames="required"
    ).load()
    assert measure_objects(sequence, results, YTVOS19)["ids"].tolist() == [1]


def test_valid_cannot_be_scored_here(ytvos: Path, tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"ytvos18: nothing to score against.*densevos-eval submit"
    ):
        score(
            load_sequences(YTVOS18, ytvos, "val"), tmp_path, benchmark_metric(YTVOS18), split="val"
        )


@pytest.mark.parametrize(
    "missing",
    [
        "valid/meta.json",
        "valid",
        "valid/Annotations",
        "valid_all_frames/JPEGImages",
        "valid_all_frames/JPEGImages/late",
        "valid_all_frames/JPEGImages/late/00005.jpg",
        "valid/Annotations/late",
        "valid/Annotations/late/00005.png",
    ],
)
def test_first_missing_part_is_named_with_where_to_get_it(ytvos: Path, missing: str) -> None:
    part = ytvos / missing
    shutil.rmtree(part) if part.is_dir() else part.unlink()
    with pytest.raises(InputError) as error:
        load_sequences(YTVOS18, ytvos, "val")
    assert str(error.value).startswith(f"{part}: ")
    assert "https://youtube-vos.org" in str(error.value)
    assert ("--frames required" in str(error.value)) == (missing == "valid_all_frames/JPEGImages")


def test_unknown_video_and_broken_meta_are_refused(ytvos: Path) -> None:
    with pytest.raises(InputError, match="has no video other"):
        load_sequences(YTVOS18, ytvos, "val", ("other",))
    edit_meta(ytvos, lambda videos: videos["late"].pop("objects"))
    with pytest.raises(InputError, match=r"meta\.json: is no list of videos"):
        load_sequences(YTVOS18, ytvos, "val")
    (ytvos / "valid" / "meta.json").write_text("{")
    with pytest.raises(InputError, match=r"meta\.json: is no list of videos"):
        load_sequences(YTVOS18, ytvos, "val")


def test_object_absent_from_the_mask_that_gives_it_is_refused(ytvos: Path) -> None:
    file = ytvos / "valid" / "Annotations" / "late" / "00005.png"
    write_mask(file, np.where(read_mask(file) == 1, 1, 0))
    with pytest.raises(InputError, match=r"00005\.png: mask lacks object 2"):
        read_given(late(ytvos))


def test_train_must_be_complete(ytvos: Path) -> None:
    as_train(ytvos)
    file = ytvos / "train" / "Annotations" / "late" / "00010.png"
    file.unlink()
    with pytest.raises(
        InputError, match=r"late/00010\.png: file is missing; ytvos18 needs .*https://youtube-vos"
    ):
        BenchmarkOptions(dataset="ytvos18", root=ytvos, split="train", frames="required").load()
