"""SegTrack v2: a folder of black-and-white masks for each object, in PNG or BMP."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from densevos.base.errors import InputError
from densevos_eval.metrics.registry import benchmark_metric
from densevos_eval.protocols.protocol import load_sequences
from densevos_eval.protocols.segtrack import SEGTRACK2, SEGTRACK2_MERGED
from densevos_eval.runs.fingerprint import input_fingerprint, truth_fingerprint
from densevos_eval.scoring.score import score
from densevos_eval.sequences.sequence import read_given
from tests.eval.copies import MASKS, fbms, put, put_white, segtrack
from tests.eval.protocols.test_layouts import run


def write_results(folder: Path, masks=MASKS) -> Path:
    for name, of_sequence in masks.items():
        for t, mask in enumerate(of_sequence):
            put(folder / name / f"{name}_{t:05d}.png", mask)
    return folder


def test_objects_of_several_folders_are_one_mask(tmp_path: Path) -> None:
    segtrack(tmp_path)
    one, two = load_sequences(SEGTRACK2, tmp_path, "val")
    np.testing.assert_array_equal(read_given(one)[0], MASKS["one"][0])
    np.testing.assert_array_equal(read_given(two)[0], MASKS["two"][0])
    np.testing.assert_array_equal(two.reader(two.truth[4]), MASKS["two"][4])


def test_objects_apart_or_merged(tmp_path: Path) -> None:
    segtrack(tmp_path)
    swapped = {"one": MASKS["one"], "two": np.array([0, 2, 1], np.uint8)[MASKS["two"]]}
    results = write_results(tmp_path / "results", swapped)
    scores = score(
        load_sequences(SEGTRACK2, tmp_path, "val"),
        results,
        benchmark_metric(SEGTRACK2),
        split="val",
    )
    assert scores.overall["J-Mean"] == pytest.approx(1 / 3)
    assert len(scores.provenance["two"].frames) == 5  # The first frame is given.

    sequences = load_sequences(SEGTRACK2_MERGED, tmp_path, "val")
    scores = score(sequences, results, benchmark_metric(SEGTRACK2_MERGED), split="val")
    assert scores.overall["J&F-Mean"] == 1
    assert len(scores.provenance["two"].frames) == 6


def test_fingerprints_are_of_all_layers(tmp_path: Path) -> None:
    segtrack(tmp_path)
    two = load_sequences(SEGTRACK2, tmp_path, "val")[1]
    before = input_fingerprint(two), truth_fingerprint(two)
    put_white(tmp_path / "GroundTruth" / "two" / "2" / "two_00000.bmp", MASKS["two"][1] == 2)
    assert input_fingerprint(two) != before[0]
    assert truth_fingerprint(two) != before[1]


def test_without_a_list_all_folders_are_sequences(tmp_path: Path) -> None:
    segtrack(tmp_path)
    shutil.rmtree(tmp_path / "ImageSets")
    assert [one.name for one in load_sequences(SEGTRACK2, tmp_path, "val")] == ["one", "two"]


def test_layers_of_other_sizes_are_refused(tmp_path: Path) -> None:
    segtrack(tmp_path)
    file = tmp_path / "GroundTruth" / "two" / "2" / "two_00000.bmp"
    Image.new("L", (8, 8)).save(file)
    with pytest.raises(
        InputError, match=r"two_00000\.bmp: has another size than .*1/two_00000\.png"
    ):
        read_given(load_sequences(SEGTRACK2, tmp_path, "val")[1])


def test_annotations_in_layers_and_colours_are_drawn(tmp_path: Path, monkeypatch) -> None:
    for dataset, copy, first in (("segtrack2", segtrack, 0), ("fbms", fbms, 1)):
        root, results = tmp_path / dataset, tmp_path / f"{dataset}-results"
        copy(root)
        for name, masks in MASKS.items():
            for t, mask in enumerate(masks):
                frame = (
                    f"{name}_{t + first:05d}"
                    if dataset == "segtrack2"
                    else f"{name}_{t + first:04d}"
                )
                put(results / name / f"{frame}.png", mask)
        where = ("--dataset", dataset, "--root", root)
        assert run(monkeypatch, "score", *where, "--results", results, "--workers", 1) == 0
        assert (
            run(monkeypatch, "report", results, *where, "--out", tmp_path / f"{dataset}.html") == 0
        )
        assert (tmp_path / f"{dataset}.html").read_text().count("<article") == 2

        shown = (
            "--results",
            f"mine={results}",
            "--out",
            tmp_path / f"{dataset}-shown",
            "--no-movies",
        )
        assert run(monkeypatch, "show", *where, *shown) == 0
        assert (tmp_path / f"{dataset}-shown" / "overview.png").is_file()
