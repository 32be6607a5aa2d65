"""Every benchmark from a small copy of its layout to masks and scores, and what is said when a part
is missing.
"""

import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from densevos.base.masks import read_mask
from densevos_eval import cli
from densevos_eval.protocols.options import BenchmarkOptions
from densevos_eval.protocols.registry import PROTOCOLS
from densevos_eval.sequences.sequence import VideoSequence
from tests.eval.copies import COPIES

DAVIS_PARTS = ["JPEGImages", "JPEGImages/480p/two", "JPEGImages/480p/two/00002.jpg"]
YTVOS_PARTS = [
    "valid",
    "valid/meta.json",
    "valid_all_frames/JPEGImages/late",
    "valid_all_frames/JPEGImages/late/00005.jpg",
    "valid/Annotations",
    "valid/Annotations/late",
    "valid/Annotations/late/00010.png",
]


def davis_parts(list_file: str, annotation: str, annotations: str = "Annotations") -> list[str]:
    below = [f"480p/two/{annotation}", "480p/two", "480p"]
    return [*DAVIS_PARTS, list_file, annotations, *(f"{annotations}/{part}" for part in below)]


VOST_PARTS = [
    "Annotations",
    "ImageSets/val.txt",
    "JPEGImages_10fps",
    "JPEGImages_10fps/two",
    "JPEGImages_10fps/two/frame00012.jpg",
    "Annotations/two",
]
LVOS_PARTS = [
    "valid",
    "valid/valid_meta.json",
    "valid/JPEGImages",
    "valid/JPEGImages/seenseen",
    "valid/JPEGImages/R3UJGYwy/00000006.jpg",
    "valid/Annotations",
    "valid/Annotations/R3UJGYwy/00000006.png",
]
SEGTRACK_PARTS = [
    "JPEGImages",
    "GroundTruth",
    "GroundTruth/two",
    "JPEGImages/two/two_00003.png",
    "GroundTruth/one/one_00002.png",
]
FBMS_PARTS = ["Testset", "Testset/two/GroundTruth"]
PARTS = {
    "davis16": davis_parts("ImageSets/2016/val.txt", "00003.png"),
    "davis17": davis_parts("ImageSets/2017/val.txt", "00003.png"),
    "davis17-testdev": davis_parts("ImageSets/2017/test-dev.txt", "00000.png"),
    "davis17-unsupervised": davis_parts(
        "ImageSets/2017/val.txt", "00003.png", "Annotations_unsupervised"
    ),
    "ytvos18": YTVOS_PARTS,
    "ytvos19": YTVOS_PARTS,
    "ytobjects": [
        "JPEGImages",
        "Annotations",
        "Annotations/cow",
        "JPEGImages/cow/0001",
        "JPEGImages/cow/0001/00011.jpg",
    ],
    "vip": [
        "Images",
        "lists/val_videos.txt",
        "Images/videos2/00002.jpg",
        "Annotations/Category_ids",
        "Annotations/Category_ids/videos2",
        "Annotations/Category_ids/videos2/00003.png",
    ],
    "jhmdb": [
        "Rename_Images",
        "splits",
        "joint_positions",
        "Rename_Images/golf/clip",
        "Rename_Images/golf/clip/00003.png",
        "joint_positions/golf/clip/joint_positions.mat",
    ],
    "mose": [
        "valid/JPEGImages",
        "valid/Annotations",
        "valid/Annotations/two",
        "valid/Annotations/two/00000.png",
    ],
    "vost": VOST_PARTS,
    "lvos1": LVOS_PARTS,
    "lvos2": LVOS_PARTS,
    "segtrack2": SEGTRACK_PARTS,
    "segtrack2-merged": SEGTRACK_PARTS,
    "fbms": FBMS_PARTS,
    "fbms-motion": FBMS_PARTS,
    "folder": [
        part for part in davis_parts("ImageSets/val.txt", "any of them") if "any" not in part
    ],
}
EVERY_PART = [(dataset, part) for dataset, parts in PARTS.items() for part in [".", *parts]]


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["densevos-eval", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return int(end.value.code or 0)


def propagate(
    monkeypatch: pytest.MonkeyPatch, dataset: str, root: Path, out: Path, *more: str
) -> int:
    fixed = [
        "propagate",
        "--encoder",
        "random:resnet18",
        "--context",
        2,
        "--radius",
        2,
        "--device",
        "cpu",
    ]
    return run(monkeypatch, *fixed, "--dataset", dataset, "--root", root, "--out", out, *more)


def test_there_is_a_copy_of_every_benchmark() -> None:
    assert set(COPIES) == set(PARTS) == set(PROTOCOLS)


@pytest.mark.parametrize(("dataset", "part"), EVERY_PART)
def test_missing_part_is_named_with_where_to_get_it(
    dataset: str, part: str, tmp_path: Path, monkeypatch, capsys
) -> None:
    root, out = tmp_path / "root", tmp_path / "out"
    COPIES[dataset](root)
    missing = root / part
    shutil.rmtree(missing) if missing.is_dir() else missing.unlink()
    tables = ["--dataset", dataset, "--root", root, "--results", tmp_path / "results", "--out", out]
    commands = {"score": lambda: run(monkeypatch, "score", *tables)}
    if PROTOCOLS[dataset].first_mask_given:
        commands["propagate"] = lambda: propagate(monkeypatch, dataset, root, out)
    if PROTOCOLS[dataset].submission:
        commands["submit"] = lambda: run(monkeypatch, "submit", *tables)
    for command in commands.values():
        assert command() == 2
        said = capsys.readouterr().err
        assert said.startswith(f"error: {missing}: ")
        assert PROTOCOLS[dataset].source in said
        assert len(said.splitlines()) == 1
        assert not out.exists()


def test_nothing_can_be_propagated_where_no_mask_is_given(
    tmp_path: Path, monkeypatch, capsys
) -> None:
    COPIES["davis17-unsupervised"](tmp_path / "root")
    assert propagate(monkeypatch, "davis17-unsupervised", tmp_path / "root", tmp_path / "out") == 2
    said = capsys.readouterr().err
    assert "davis17-unsupervised: gives no masks, so there is nothing to propagate" in said
    assert len(said.splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "dataset", [name for name, one in PROTOCOLS.items() if one.first_mask_given]
)
def test_whole_copy_is_propagated_and_judged(dataset: str, tmp_path: Path, monkeypatch) -> None:
    if PROTOCOLS[dataset].frame_size:  # smaller, to be quick
        monkeypatch.setitem(PROTOCOLS, dataset, replace(PROTOCOLS[dataset], frame_size=(32, 48)))
    root, out = tmp_path / "root", tmp_path / "out"
    COPIES[dataset](root)
    *_, sequence = BenchmarkOptions(dataset=dataset, root=root).load()  # one is enough here
    assert propagate(monkeypatch, dataset, root, out, "--sequences", sequence.name) == 0
    check_result(sequence, out)
    scored = ["score", "--workers", 1, "--out", out] if sequence.truth or sequence.joints else None
    judge = scored or ["submit", "--out", tmp_path / "up.zip"]
    options = ["--dataset", dataset, "--root", root, "--sequences", sequence.name, "--results", out]
    assert run(monkeypatch, *judge, *options) == 0
    assert (out / "results.json" if scored else tmp_path / "up.zip").is_file()


def check_result(sequence: VideoSequence, out: Path) -> None:
    """Files of the frames that are asked for, and no others; masks at the frames' size, the given
    ones kept.
    """
    if sequence.joints:
        assert (out / sequence.name / "joints.json").is_file()
        return
    files = sorted((out / sequence.name).glob("*.png"))
    assert [file.stem for file in files] == list(sequence.written)
    assert all(read_mask(file).shape == (24, 40) for file in files)
    first = read_mask(out / sequence.name / f"{sequence.frame_names[min(sequence.given)]}.png")
    given = sequence.reader(sequence.given[min(sequence.given)])
    assert np.mean((first > 0) == (given > 0)) > 0.95


def test_object_handed_over_after_the_first_frame(tmp_path: Path, monkeypatch) -> None:
    """YouTube-VOS: nothing is known before frame 5, the second object joins in frame 10."""
    root = tmp_path / "root"
    COPIES["ytvos18"](root)
    for frames in ("all", "required"):
        out = tmp_path / frames
        assert (
            propagate(monkeypatch, "ytvos18", root, out, "--frames", frames, "--sequences", "late")
            == 0
        )
        assert sorted(file.name for file in (out / "late").glob("*.png")) == [
            "00005.png",
            "00010.png",
            "00015.png",
        ]
        fifth, tenth = (read_mask(out / "late" / name) for name in ("00005.png", "00010.png"))
        assert np.unique(fifth).tolist() == [0, 1]
        np.testing.assert_array_equal(
            fifth, read_mask(root / "valid" / "Annotations" / "late" / "00005.png")
        )
        assert 2 in tenth


def test_all_frames_may_lie_a_folder_deeper(tmp_path: Path) -> None:
    COPIES["ytvos19"](tmp_path)
    (tmp_path / "all_frames").mkdir()
    (tmp_path / "valid_all_frames").rename(tmp_path / "all_frames" / "valid_all_frames")
    early, _ = BenchmarkOptions(dataset="ytvos19", root=tmp_path).load()
    assert early.source == tmp_path / "all_frames" / "valid_all_frames" / "JPEGImages" / "early"


def test_files_of_a_file_manager_are_no_masks(tmp_path: Path) -> None:
    COPIES["davis17"](tmp_path)
    (tmp_path / "Annotations" / "480p" / "one" / "._00000.png").write_text("")
    assert len(BenchmarkOptions(dataset="davis17", root=tmp_path).load()) == 2


def test_other_splits_of_a_benchmark_can_be_named(tmp_path: Path) -> None:
    COPIES["davis17-testdev"](tmp_path)
    lists = tmp_path / "ImageSets" / "2017"
    (lists / "test-challenge.txt").write_text("two\n")
    for split, names in {
        "val": ["one", "two"],
        "test-dev": ["one", "two"],
        "test-challenge": ["two"],
    }.items():
        found = BenchmarkOptions(dataset="davis17-testdev", root=tmp_path, split=split).load()
        assert [sequence.name for sequence in found] == names
