"""FBMS-59: sparse labels in colours or grey values, merged or as regions."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from densevos.base.errors import InputError
from densevos_eval.metrics.registry import benchmark_metric
from densevos_eval.protocols.fbms import FBMS, FBMS_MOTION
from densevos_eval.protocols.options import BenchmarkOptions
from densevos_eval.protocols.protocol import load_sequences
from densevos_eval.scoring.score import score
from densevos_eval.sequences.sequence import read_given
from tests.densevos.data.segmentation.segmentation_copies import put_colours
from tests.eval.copies import MASKS, fbms, put


def write_results(folder: Path, masks=MASKS) -> Path:
    for name, of_sequence in masks.items():
        for t, mask in enumerate(of_sequence):
            put(folder / name / f"{name}_{t + 1:04d}.png", mask)
    return folder


def test_labelled_frames_count_and_objects_are_merged(tmp_path: Path) -> None:
    fbms(tmp_path)
    sequences = load_sequences(FBMS, tmp_path, "val")
    assert [(one.name, one.annotated, len(one.frame_names)) for one in sequences] == [
        ("one", (0, 4), 6),
        ("two", (0, 4), 6),
    ]
    np.testing.assert_array_equal(read_given(sequences[1])[0], MASKS["two"][0] > 0)
    np.testing.assert_array_equal(sequences[0].reader(sequences[0].truth[4]), MASKS["one"][4])

    # What is in frames without labels does not matter.
    masks = {
        name: np.where(np.arange(6)[:, None, None] % 4 == 0, one, 0) for name, one in MASKS.items()
    }
    results = write_results(tmp_path / "results", masks)
    assert score(sequences, results, benchmark_metric(FBMS), split="val").overall["J&F-Mean"] == 1


def test_first_labelled_frame_with_an_object_is_given(tmp_path: Path) -> None:
    fbms(tmp_path)
    put_colours(
        tmp_path / "Testset" / "one" / "GroundTruth" / "one_0001_gt.pgm", np.zeros((24, 40), int)
    )
    assert list(load_sequences(FBMS, tmp_path, "val")[0].given) == [4]


def test_colours_that_the_definition_lacks_are_background(tmp_path: Path) -> None:
    fbms(tmp_path)
    sequence = load_sequences(FBMS, tmp_path, "val")[1]
    put_colours(sequence.truth[4], np.full((24, 40), 0x123456))
    assert not sequence.reader(sequence.truth[4]).any()


def test_frames_are_enough_for_finding_objects(tmp_path: Path) -> None:
    fbms(tmp_path)
    shutil.rmtree(tmp_path / "Testset" / "one" / "GroundTruth")
    found = BenchmarkOptions(dataset="fbms-motion", root=tmp_path).load(annotated=False)
    assert [(one.name, one.truth) for one in found] == [("one", ()), ("two", ())]


def test_motion_gives_no_mask_and_scores_regions(tmp_path: Path) -> None:
    fbms(tmp_path)
    sequences = load_sequences(FBMS_MOTION, tmp_path, "val")
    assert not any(sequence.given for sequence in sequences)

    # Ids of the result are free; one object of the second sequence is missed.
    renamed = {"one": MASKS["one"] * 9, "two": np.array([4, 4, 7], np.uint8)[MASKS["two"]]}
    results = write_results(tmp_path / "results", renamed)
    scores = score(sequences, results, benchmark_metric(FBMS_MOTION), split="val")
    assert scores.rows.details == {"count": {"found": 2, "objects": 3}}
    assert scores.overall["Found"] == pytest.approx(2 / 3)
    assert scores.sequences["one"] == {"F": 1, "P": 1, "R": 1, "Found": 1}

    background, missed = 960 - 192, 96
    precision = (
        background / (background + missed) + 1 + 1
    ) / 3  # The region without a segment has precision 1.
    assert scores.sequences["two"]["P"] == pytest.approx(precision)
    assert scores.sequences["two"]["R"] == pytest.approx(2 / 3)
    means = (1 + precision) / 2, (1 + 2 / 3) / 2
    assert scores.overall["F"] == pytest.approx(2 * means[0] * means[1] / sum(means))


def test_probabilities_weigh_the_pixels(tmp_path: Path) -> None:
    fbms(tmp_path)
    sequence = load_sequences(FBMS_MOTION, tmp_path, "val", ("two",))[0]
    for t in sequence.annotated:
        file = sequence.truth[t].with_suffix(".pgm")
        put_colours(
            file, np.where(MASKS["two"][t] == 2, 0, 255)
        )  # Nothing is known where the second object is.
    results = write_results(
        tmp_path / "results", {"two": np.where(MASKS["two"] == 2, 0, MASKS["two"])}
    )
    scores = score([sequence], results, benchmark_metric(FBMS_MOTION), split="val")
    assert scores.overall == {"F": 1, "P": 1, "R": 1, "Found": 1}


def test_label_image_that_is_missing_is_named(tmp_path: Path) -> None:
    fbms(tmp_path)
    label = tmp_path / "Testset" / "two" / "GroundTruth" / "two_0005_gt.ppm"
    label.unlink()
    with pytest.raises(InputError, match=f"^{label}: label image is missing"):
        load_sequences(FBMS, tmp_path, "val")
