"""Objects that appear in any frame, and ids that nobody annotated: --dataset folder, against
vos-benchmark.
"""

import csv
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from densevos.base.errors import InputError
from densevos.base.masks import write_mask
from densevos_eval.metrics.measure_objects import measure_objects
from densevos_eval.metrics.metric import Arrays, Scores
from densevos_eval.metrics.objects import object_curves, summary
from densevos_eval.metrics.registry import benchmark_metric
from densevos_eval.protocols.davis import DAVIS16, DAVIS17
from densevos_eval.protocols.folder import FOLDER
from densevos_eval.protocols.protocol import Protocol, load_sequences
from densevos_eval.scoring.score import score
from tests.eval.conftest import write_frames, write_masks
from tests.eval.metrics.test_metrics import plain_contour_accuracy, plain_region_similarity
from tests.eval.protocols.test_layouts import run

ALL_FRAMES = replace(FOLDER, skipped=(0, 0))  # What --count-ends asks for.


def write_set(root: Path, name: str, truth: np.ndarray, prediction: np.ndarray) -> None:
    """One sequence [T,H,W] of a --dataset folder, and its results in ROOT/results."""
    write_frames(
        root / "JPEGImages" / name, frames=len(truth), size=(truth.shape[2], truth.shape[1])
    )
    write_masks(root / "Annotations" / name, truth)
    write_masks(root / "results" / name, prediction)


def measured(root: Path, protocol: Protocol = FOLDER, name: str = "one") -> Arrays:
    (sequence,) = load_sequences(protocol, root, "val", (name,))
    return measure_objects(sequence, root / "results", protocol)


def video(*frames: Sequence[int]) -> np.ndarray:
    """Masks [T,6,8] of objects that fill two rows each: a frame is the ids of its rows, from the
    top.
    """
    masks = np.zeros((len(frames), 6, 8), np.uint8)
    for mask, ids in zip(masks, frames, strict=True):
        for place, id in enumerate(ids):
            mask[2 * place : 2 * place + 2] = id
    return masks


@pytest.fixture
def peer(shared: Path) -> dict[str, np.ndarray]:
    """Masks of seven sequences, and what vos-benchmark prints for them."""
    with np.load(shared / "golden" / "peers" / "vos_benchmark.npz") as stored:
        return dict(stored)


@pytest.mark.parametrize(("kind", "protocol"), [("skip", FOLDER), ("all", ALL_FRAMES)])
def test_scores_are_those_of_vos_benchmark(
    peer: dict[str, np.ndarray], tmp_path: Path, kind: str, protocol: Protocol
) -> None:
    for name in peer["sequences"].tolist():
        write_set(tmp_path, name, peer[f"truth/{name}"], peer[f"predicted/{name}"])
    scores = score(
        load_sequences(protocol, tmp_path, "val"),
        tmp_path / "results",
        benchmark_metric(protocol),
        split="val",
    )
    assert not scores.broken

    names, ids = peer[f"{kind}/names"].tolist(), peer[f"{kind}/ids"].tolist()
    objects = {
        (name, int(id)): one
        for name, details in scores.rows.sequence_details.items()
        for id, one in details["objects"].items()
    }
    assert sorted(objects) == sorted(zip(names, ids, strict=True))
    for name, id, region, contour in zip(
        names, ids, peer[f"{kind}/J"], peer[f"{kind}/F"], strict=True
    ):
        assert 100 * objects[name, id]["J-Mean"] == pytest.approx(region, abs=1e-10), (name, id)
        assert 100 * objects[name, id]["F-Mean"] == pytest.approx(contour, abs=1e-10), (name, id)
    overall = [100 * scores.overall[column] for column in ("J&F-Mean", "J-Mean", "F-Mean")]
    np.testing.assert_allclose(overall, peer[f"{kind}/global"], rtol=0, atol=1e-10)


@st.composite
def masks(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Truth and prediction [T,H,W] of ids that come and go, some of them far apart, some predicted
    only.
    """
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    size = (draw(st.integers(3, 6)), draw(st.integers(1, 9)), draw(st.integers(1, 9)))
    ids = np.array([0, 1, 2, 7, 254], np.uint8)
    truth, prediction = ids[rng.integers(0, 4, size)], ids[rng.integers(0, 5, size)]
    for masks in (truth, prediction):
        for frame in masks:
            frame[np.isin(frame, rng.choice(ids, draw(st.integers(0, 3))))] = 0
    truth[draw(st.integers(0, len(truth) - 1)), 0, 0] = 1
    return truth, prediction


@settings(max_examples=40, deadline=None)
@given(masks(), st.booleans())
def test_objects_score_as_by_the_plain_formulation(
    tmp_path_factory: pytest.TempPathFactory, pair: tuple[np.ndarray, np.ndarray], ends: bool
) -> None:
    truth, prediction = pair
    root = tmp_path_factory.mktemp("set")
    write_set(root, "one", truth, prediction)
    # Leading annotations without object are as if they were not there: the first with one is given.
    first = int(np.argmax(truth.any(axis=(1, 2))))
    counted = slice(first, None) if ends else slice(first + 1, -1)
    truth, prediction = truth[counted], prediction[counted]
    if not len(truth):
        return

    curves = object_curves(measured(root, ALL_FRAMES if ends else FOLDER))
    assert list(curves) == [id for id in (1, 2, 7) if (truth == id).any()]
    for id, one in curves.items():
        begin = int(np.argmax(((truth == id) | (prediction == id)).any(axis=(1, 2))))
        assert np.isnan(one["J"][:begin]).all()
        assert np.isnan(one["F"][:begin]).all()
        pairs = [(t == id, p == id) for t, p in zip(truth[begin:], prediction[begin:], strict=True)]
        assert one["J"][begin:].tolist() == [plain_region_similarity(*pair) for pair in pairs]
        assert one["F"][begin:].tolist() == pytest.approx(
            [plain_contour_accuracy(*pair) for pair in pairs], abs=1e-12
        )


def test_a_late_object_counts_from_the_frame_it_appears_in(tmp_path: Path) -> None:
    truth = video([1], [1], [1, 2], [1, 2], [1, 2], [1, 2])
    found = video([1], [1], [1], [1], [1, 2], [1, 2])
    write_set(tmp_path, "one", truth, found)
    arrays = measured(tmp_path)
    assert arrays["ids"].tolist() == [1, 2]
    np.testing.assert_array_equal(arrays["J"], [[1, 1, 1, 1], [np.nan, 0, 0, 1]])
    np.testing.assert_array_equal(arrays["F"], [[1, 1, 1, 1], [np.nan, 0, 0, 1]])


def test_an_object_that_is_predicted_too_early_is_wrong_from_there(tmp_path: Path) -> None:
    write_set(
        tmp_path, "one", video([1], [1], [1], [1, 2], [1]), video([1], [1], [1, 2], [1, 2], [1])
    )
    np.testing.assert_array_equal(measured(tmp_path)["J"], [[1, 1, 1], [np.nan, 0, 1]])


def test_a_stray_id_costs_where_it_takes_pixels(tmp_path: Path) -> None:
    truth = video([1, 2], [1, 2], [1, 2], [1, 2])
    beside, instead = truth.copy(), truth.copy()
    beside[1, 5, :] = 9
    instead[1, 0, :] = 9
    for name, masks in {"beside": beside, "instead": instead}.items():
        write_set(tmp_path, name, truth, masks)
    assert measured(tmp_path, name="beside")["J"].tolist() == [[1, 1], [1, 1]]
    assert measured(tmp_path, name="instead")["J"].tolist() == [[0.5, 1], [1, 1]]
    assert measured(tmp_path, name="instead")["stray"].tolist() == [9]
    assert measured(tmp_path, name="instead")["ids"].tolist() == [1, 2]


def test_an_object_of_the_last_frame_alone_counts_only_with_the_ends(tmp_path: Path) -> None:
    write_set(tmp_path, "one", video([1], [1], [1], [1, 2]), video([1], [1], [1], [1, 2]))
    assert measured(tmp_path)["ids"].tolist() == [1]
    arrays = measured(tmp_path, ALL_FRAMES)
    assert arrays["ids"].tolist() == [1, 2]
    np.testing.assert_array_equal(arrays["J"], [[1, 1, 1, 1], [np.nan, np.nan, np.nan, 1]])


def test_ids_of_frames_that_do_not_count_have_no_score(tmp_path: Path) -> None:
    """Object 3 is in the first annotation alone: what is predicted for it later is background."""
    write_set(tmp_path, "one", video([1, 3], [1], [1], [1]), video([1, 3], [1, 3], [3], [1, 5]))
    arrays = measured(tmp_path)
    assert arrays["ids"].tolist() == [1]
    assert arrays["J"].tolist() == [[1, 0]]
    assert arrays["stray"].tolist() == [3]  # 5 is predicted in a frame that does not count.
    assert measured(tmp_path, ALL_FRAMES)["ids"].tolist() == [1, 3]


def test_a_sequence_whose_objects_are_in_its_ends_has_no_numbers(tmp_path: Path) -> None:
    write_set(tmp_path, "ends", video([1], [], [], [1]), video([1], [], [], [1]))
    write_set(tmp_path, "whole", video([1], [1], [1], [1]), video([1], [1], [1], [1]))
    scores = score(
        load_sequences(FOLDER, tmp_path, "val"),
        tmp_path / "results",
        benchmark_metric(FOLDER),
        split="val",
    )
    assert not scores.broken
    assert scores.sequences["ends"] == {}
    assert scores.overall == scores.sequences["whole"]


def test_no_object_in_any_annotation_is_an_error(tmp_path: Path) -> None:
    write_set(tmp_path, "one", 255 * video([1], [1], [1], [1]), video([1], [1], [1], [1]))
    with pytest.raises(
        InputError, match=r"00000\.png: annotation holds no object; number the objects from 1 on"
    ):
        measured(tmp_path)


def test_void_is_no_object(tmp_path: Path) -> None:
    write_set(
        tmp_path, "one", video([1, 255], [1, 255], [1, 255], [1]), video([1], [1], [1, 1], [1])
    )
    arrays = measured(tmp_path)
    assert arrays["ids"].tolist() == [1]
    assert arrays["J"].tolist() == [[1, 0.5]]  # It counts as background, as in DAVIS-2017.
    assert measured(tmp_path, replace(FOLDER, ignore_void=True))["J"].tolist() == [[1, 1]]


def test_merged_objects_are_one_that_may_come_late(tmp_path: Path) -> None:
    merged = replace(FOLDER, name="merged", merge_objects=True)
    write_set(tmp_path, "one", video([7], [], [3, 4], [4]), video([1], [9], [2, 2], [1]))
    arrays = measured(tmp_path, merged)
    assert arrays["ids"].tolist() == [1]
    assert arrays["J"].tolist() == [[0, 1]]
    assert arrays["stray"].tolist() == []


def test_sparse_annotations_count_up_to_the_last(tmp_path: Path) -> None:
    """Annotations of frames 0, 2 and 5: no end is spared, since the last is as good as the
    others.
    """
    truth = video([1], [], [1], [], [], [1, 2])
    write_set(tmp_path, "one", truth, video([1], [8], [1], [8], [8], [1, 2]))
    for t in (1, 3, 4):
        (tmp_path / "Annotations" / "one" / f"{t:05d}.png").unlink()
    arrays = measured(tmp_path)
    assert arrays["ids"].tolist() == [1, 2]
    np.testing.assert_array_equal(arrays["J"], [[1, 1], [np.nan, 1]])
    assert arrays["stray"].tolist() == []  # 8 is predicted in frames without annotation.
    assert measured(tmp_path, ALL_FRAMES)["J"].shape == (2, 3)


@pytest.mark.parametrize("protocol", [FOLDER, DAVIS16, DAVIS17])
def test_masks_of_frames_that_do_not_count_may_be_missing(
    tmp_path: Path, protocol: Protocol
) -> None:
    truth = video([1, 2], [1, 2], [1, 2], [1, 2])
    write_set(tmp_path, "one", truth, truth)
    for t in (0, 3):
        (tmp_path / "results" / "one" / f"{t:05d}.png").unlink()
    folders = replace(protocol, list_required=False)
    sequences = load_sequences(folders, tmp_path, "val")
    scores = score(sequences, tmp_path / "results", benchmark_metric(folders), split="val")
    assert not scores.broken
    assert scores.overall["J&F-Mean"] == 1
    if protocol is FOLDER:
        broken = r"00000\.png: mask is missing"
        with pytest.raises(InputError, match=broken):
            score(sequences, tmp_path / "results", benchmark_metric(ALL_FRAMES), split="val")


def test_davis_refuses_other_ids_and_leaves_late_objects_out(tmp_path: Path) -> None:
    truth = video([1], [1, 2], [1, 2], [1])
    write_set(tmp_path, "one", truth, video([1], [1], [1], [1]))
    (sequence,) = load_sequences(replace(DAVIS17, list_required=False), tmp_path, "val")
    assert measure_objects(sequence, tmp_path / "results", DAVIS17)["ids"].tolist() == [1]
    write_mask(tmp_path / "results" / "one" / "00001.png", truth[1])
    with pytest.raises(InputError, match=r"00001\.png: mask holds id 2, but one has the ids 1"):
        measure_objects(sequence, tmp_path / "results", DAVIS17)


def test_the_command_counts_the_ends_when_asked_and_tells_of_stray_ids(
    tmp_path: Path, monkeypatch, capsys
) -> None:
    truth = video([1], [1], [1], [1])
    write_set(tmp_path, "one", truth, video([], [1, 9], [1], [1]))
    fixed = (
        "score",
        "--dataset",
        "folder",
        "--root",
        tmp_path,
        "--results",
        tmp_path / "results",
        "--workers",
        1,
    )
    assert run(monkeypatch, *fixed) == 0
    shown = capsys.readouterr().out
    assert "ids that no scored frame has as an object count as background (one: 9)" in " ".join(
        shown.split()
    )
    everything = json.loads((tmp_path / "results" / "results.json").read_text())
    assert everything["overall"]["J-Mean"] == 1
    assert everything["sequences"]["one"]["stray"] == [9]

    assert run(monkeypatch, *fixed, "--count-ends") == 0
    everything = json.loads((tmp_path / "results" / "results.json").read_text())
    assert everything["overall"]["J-Mean"] == 3 / 4
    assert everything["sequences"]["one"]["frames"] == ["00000", "00001", "00002", "00003"]
    capsys.readouterr()
    davis = ("score", "--dataset", "davis17", "--root", tmp_path, "--results", tmp_path / "results")
    assert run(monkeypatch, *davis, "--count-ends") == 2
    assert capsys.readouterr().err.startswith(
        "error: --count-ends: davis17 itself says which frames count"
    )


def test_a_decay_that_is_no_number_is_an_empty_cell() -> None:
    """As davis2017-evaluation writes it, whose quarters of 8 bits may end before they begin."""
    curve = np.linspace(1, 0, 300)
    assert np.isnan(summary([{"J": curve, "F": curve}], decay_uint8=True)["J-Decay"])
    metric = benchmark_metric(replace(DAVIS17, decay_uint8=True))
    arrays = {"ids": np.array([1]), "J": curve[None], "F": curve[None]}
    scores = Scores(metric=metric, split="val", rows=metric.combine({"long": arrays}))
    header, values = csv.reader(
        metric.files(scores)["global_results-val.csv"].decode().splitlines()
    )
    cells = dict(zip(header, values, strict=True))
    assert (cells["J-Decay"], cells["F-Decay"], cells["J-Mean"]) == ("", "", "0.500")
