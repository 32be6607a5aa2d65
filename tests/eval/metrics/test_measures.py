"""Parts of people (VIP, mean IoU) and joints (JHMDB, PCK), from files to tables."""

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from densevos.base.errors import InputError
from densevos.base.masks import write_mask
from densevos_eval import cli
from densevos_eval.adapters.encoder import load_encoder
from densevos_eval.metrics.confusion import class_iou, confusion
from densevos_eval.metrics.joints_box import JointsBoxMetric
from densevos_eval.metrics.keypoints import correct_keypoints
from densevos_eval.metrics.parts import PartsMetric
from densevos_eval.metrics.registry import benchmark_metric
from densevos_eval.propagation.joint_maps import joint_maps, joints_of_maps
from densevos_eval.propagation.propagate import Propagation
from densevos_eval.propagation.settings import PropagationConfig
from densevos_eval.protocols.jhmdb import JHMDB
from densevos_eval.protocols.protocol import load_sequences
from densevos_eval.protocols.vip import VIP
from densevos_eval.runs.runner import write_all
from densevos_eval.scoring.score import score
from densevos_eval.sequences.joints import read_joints, read_positions, write_joints
from densevos_eval.sequences.sequence import VideoSequence
from tests.eval.conftest import moving_rectangles, write_frames, write_masks

JOINTS = np.stack(
    [np.linspace(4, 32, 15), np.linspace(2, 20, 15)], axis=1
)  # (x, y) in a frame of 40x24


@pytest.fixture
def vip(tmp_path: Path) -> Path:
    """VIP_Fine with two videos."""
    root = tmp_path / "VIP_Fine"
    for name, ids in {"videos1": {1: 8}, "videos2": {1: 1, 13: 14}}.items():
        write_frames(root / "Images" / name)
        write_masks(root / "Annotations" / "Category_ids" / name, moving_rectangles(ids))
    (root / "lists").mkdir()
    (root / "lists" / "val_videos.txt").write_text("videos1\nvideos2\n")
    return root


@pytest.fixture
def jhmdb(tmp_path: Path) -> Path:
    """JHMDB with two actions of one test video each, six frames and joints that go right by a pixel
    a frame.
    """
    root = tmp_path / "JHMDB"
    (root / "splits").mkdir(parents=True)
    joints = np.stack([JOINTS + np.array([t, 0]) for t in range(6)])
    for action in ("catch", "golf"):
        write_frames(root / "Rename_Images" / action / "clip")
        file = root / "joint_positions" / action / "clip" / "joint_positions.mat"
        file.parent.mkdir(parents=True)
        savemat(file, {"pos_img": joints.transpose(2, 1, 0) + 1})
        (root / "splits" / f"{action}_test_split1.txt").write_text("clip.avi 2\nother.avi 1\n")
    return root


def test_confusion_counts_pixels_and_leaves_void_out() -> None:
    truth, prediction = np.array([[0, 1, 2, 255]], np.uint8), np.array([[0, 2, 2, 1]], np.uint8)
    pixels = confusion(truth, prediction, 4)
    assert pixels.sum() == 3
    np.testing.assert_array_equal(class_iou(pixels), [1, 0, 0.5, np.nan])


def test_parts_are_counted_with_and_without_first_frames(vip: Path, tmp_path: Path) -> None:
    sequences = load_sequences(VIP, vip, "val")
    results = tmp_path / "results"
    shutil.copytree(vip / "Annotations" / "Category_ids", results)
    right = {"mIoU": 1, "mIoU-without-first": 1}
    assert score(sequences, results, benchmark_metric(VIP), split="val").overall == right

    for t in range(6):  # Part 13 is called background.
        write_mask(results / "videos2" / f"{t:05d}.png", moving_rectangles({1: 1})[t])
    measured = score(sequences, results, benchmark_metric(VIP), split="val")
    for frames, column in ((6, "mIoU"), (5, "mIoU-without-first")):
        background = frames * (2 * 24 * 40 - 3 * 96)
        assert measured.overall[column] == pytest.approx(
            (background / (background + frames * 96) + 1 + 0) / 3
        )
    assert measured.sequences["videos1"] == right
    assert measured.provenance["videos1"].frames == tuple(f"{t:05d}" for t in range(6))


def test_the_given_frame_of_parts_counts_in_one_column_alone(vip: Path, tmp_path: Path) -> None:
    sequences = load_sequences(VIP, vip, "val", ("videos1",))
    shutil.copytree(vip / "Annotations" / "Category_ids", tmp_path / "results")
    write_mask(tmp_path / "results" / "videos1" / "00000.png", np.zeros((24, 40), np.uint8))
    overall = score(sequences, tmp_path / "results", benchmark_metric(VIP), split="val").overall
    assert overall["mIoU-without-first"] == 1
    background = 6 * (24 * 40 - 96)
    assert overall["mIoU"] == pytest.approx((background / (background + 96) + 5 / 6) / 2)


def test_parts_of_another_size_or_class_are_refused(vip: Path, tmp_path: Path) -> None:
    sequences = load_sequences(VIP, vip, "val")
    results = tmp_path / "results"
    shutil.copytree(vip / "Annotations" / "Category_ids", results)
    write_mask(results / "videos1" / "00002.png", np.full((24, 40), 20, np.uint8))
    assert (
        "holds class 20"
        in score(sequences, results, benchmark_metric(VIP), split="val").broken["videos1"]
    )
    write_mask(results / "videos1" / "00002.png", np.zeros((3, 4), np.uint8))
    broken = score(sequences, results, benchmark_metric(VIP), split="val").broken
    assert "00002.png: mask is (3, 4)" in broken["videos1"]
    with pytest.raises(InputError, match=r"00002\.png: mask is \(3, 4\)"):
        score(sequences[:1], results, benchmark_metric(VIP), split="val")


def test_parts_of_the_peer_score_as_in_the_peer(shared: Path, tmp_path: Path) -> None:
    """CRW's own prediction of a square video, with the counts and the mean IoU that its program
    prints.
    """
    with np.load(shared / "golden" / "peers" / "vip_square.npz") as stored:
        peer = dict(stored)
    write_masks(tmp_path / "truth", peer["ids0"])
    write_masks(tmp_path / "results" / "video", peer["predicted0"])
    names = tuple(f"{t:05d}" for t in range(len(peer["ids0"])))
    truth = tuple(tmp_path / "truth" / f"{name}.png" for name in names)
    sequence = VideoSequence(name="video", source=tmp_path, frame_names=names, truth=truth)

    metric = PartsMetric(benchmark=VIP)
    arrays = metric.measure(sequence, tmp_path / "results")
    np.testing.assert_array_equal(arrays["pixels"], peer["hist"])
    overall = metric.combine({"video": arrays}).overall
    assert overall["mIoU"] == pytest.approx(float(peer["miou"]), abs=1e-12)
    # Left out, the frame whose mask was given no longer helps.
    assert overall["mIoU-without-first"] < overall["mIoU"]


def test_vip_layout_names_what_is_missing(vip: Path) -> None:
    shutil.rmtree(vip / "Annotations" / "Category_ids" / "videos2")
    with pytest.raises(
        InputError, match="Category_ids/videos2: folder is missing; vip needs Images/"
    ):
        load_sequences(VIP, vip, "val")


def test_keypoints_are_correct_within_a_share_of_the_box() -> None:
    truth = np.array(
        [[[0, 0], [20, 10], [10, 5], [-1, 5]]], dtype=float
    )  # box 20x10; the last is outside
    prediction = truth + np.array([[[2, 0], [0, 2.1], [np.nan, 0], [0, 0]]])
    np.testing.assert_array_equal(
        correct_keypoints(truth, prediction, (24, 40), 0.1), [[1, 0, 0, np.nan]]
    )
    np.testing.assert_array_equal(
        correct_keypoints(truth, prediction, (24, 40), 0.2), [[1, 1, 0, np.nan]]
    )
    nowhere = np.full_like(truth, -5)
    assert np.isnan(correct_keypoints(nowhere, truth, (24, 40), 0.1)).all()


@pytest.mark.parametrize("cells", [(12, 20), (6, 10)])
def test_joints_survive_their_maps(cells: tuple[int, int]) -> None:
    far_apart = JOINTS[::4]
    maps = joint_maps(far_apart, (24, 40), cells)
    assert maps.sum(axis=0).max() <= 1 + 1e-12
    np.testing.assert_allclose(joints_of_maps(maps, (24, 40)), far_apart, atol=24 / cells[0] / 2)
    assert np.isnan(joints_of_maps(np.zeros((2, *cells)), (24, 40))).all()


def test_positions_are_counted_from_zero(jhmdb: Path) -> None:
    positions = read_positions(jhmdb / "joint_positions" / "golf" / "clip" / "joint_positions.mat")
    assert positions.shape == (6, 15, 2)
    np.testing.assert_allclose(positions[2], JOINTS + np.array([2, 0]))


def test_files_of_joints_keep_two_decimals_and_the_lost_ones(tmp_path: Path) -> None:
    joints = np.stack([JOINTS, JOINTS])
    joints[1, 3] = np.nan
    write_joints(tmp_path / "joints.json", joints)
    np.testing.assert_allclose(
        read_joints(tmp_path / "joints.json", joints.shape), joints, atol=0.006
    )
    with pytest.raises(InputError, match=r"has joints \[2, 15, 2\], its sequence has \[3, 15, 2\]"):
        read_joints(tmp_path / "joints.json", (3, 15, 2))


def test_joints_are_propagated_and_scored(jhmdb: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    sequences = load_sequences(replace(JHMDB, frame_size=(24, 40)), jhmdb, "val")
    assert [sequence.name for sequence in sequences] == ["catch/clip", "golf/clip"]
    config = PropagationConfig(context=2, radius=1, topk=1)
    out = tmp_path / "out"
    encoder = load_encoder("random:resnet18", device="cpu")
    write_all(sequences, Propagation(encoder=encoder, config=config), out)
    overall = score(sequences, out, benchmark_metric(JHMDB), split="val").overall
    assert list(overall) == ["PCK@.1", "PCK@.2"]
    assert 0 <= overall["PCK@.1"] <= overall["PCK@.2"] <= 1
    for action in ("catch", "golf"):
        write_joints(out / action / "clip" / "joints.json", np.stack([JOINTS] * 6))
    # The joints move by 1 to 5 pixels. The box is 28 by 18 pixels, .06 and .12 of its diagonal are
    # 1.997 and 3.995.
    measured = score(sequences, out, benchmark_metric(JHMDB), split="val")
    expected = {"PCK@.1": pytest.approx(1 / 5), "PCK@.2": pytest.approx(3 / 5)}
    assert measured.overall == measured.sequences["golf/clip"] == expected
    assert measured.rows.details["joints"]["PCK@.2"].tolist() == [3 / 5] * 15
    box = JointsBoxMetric(benchmark=JHMDB)  # Of the longest side, 2.8 and 5.6 pixels.
    measured = score(sequences, out, box, split="val")
    assert (
        measured.overall
        == measured.sequences["golf/clip"]
        == {"PCK@.1": pytest.approx(2 / 5), "PCK@.2": 1}
    )
    arguments = ["score", "--dataset", "jhmdb", "--root", str(jhmdb), "--results", str(out)]
    monkeypatch.setattr(sys, "argv", ["densevos-eval", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert not end.value.code
    assert "PCK@.2" in capsys.readouterr().out
    assert json.loads((out / "results.json").read_text())["overall"]["PCK@.2"] == pytest.approx(
        3 / 5
    )


def test_a_lost_joint_is_null_and_costs_the_box_metric_only(jhmdb: Path, tmp_path: Path) -> None:
    (sequence, _) = load_sequences(JHMDB, jhmdb, "val")
    assert sequence.joints is not None
    joints = read_positions(sequence.joints)
    joints[3, 14] = np.nan
    (tmp_path / sequence.name).mkdir(parents=True)
    write_joints(tmp_path / sequence.name / "joints.json", joints)
    assert json.loads((tmp_path / sequence.name / "joints.json").read_text())[3][14] is None
    overall = score([sequence], tmp_path, benchmark_metric(JHMDB), split="val").overall
    assert overall == {"PCK@.1": 1, "PCK@.2": 1}
    overall = score([sequence], tmp_path, JointsBoxMetric(benchmark=JHMDB), split="val").overall
    assert overall == {"PCK@.1": pytest.approx(74 / 75), "PCK@.2": pytest.approx(74 / 75)}


@pytest.mark.parametrize(
    "missing",
    [
        "Rename_Images",
        "joint_positions",
        "splits",
        "Rename_Images/golf/clip",
        "joint_positions/golf/clip/joint_positions.mat",
    ],
)
def test_first_missing_part_of_jhmdb_is_named(jhmdb: Path, missing: str) -> None:
    part = jhmdb / missing
    shutil.rmtree(part) if part.is_dir() else part.unlink()
    with pytest.raises(InputError) as error:
        load_sequences(JHMDB, jhmdb, "val")
    assert str(error.value).startswith(f"{part}: ")
    assert "http://jhmdb.is.tue.mpg.de" in str(error.value)


def test_damaged_positions_are_named(jhmdb: Path) -> None:
    file = jhmdb / "joint_positions" / "golf" / "clip" / "joint_positions.mat"
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(InputError, match=r"joint_positions\.mat: is no"):
        read_positions(file)


def test_unknown_split_of_jhmdb_is_named(jhmdb: Path) -> None:
    with pytest.raises(InputError, match=r"CLASS_test_split3\.txt: file is missing"):
        load_sequences(JHMDB, jhmdb, "split3")
