"""Layouts of benchmarks that differ from the usual one in their names, lists or numbers, and are in
order.
"""

import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from densevos.base.errors import InputError
from densevos.base.masks import read_mask, write_mask
from densevos_eval import cli
from densevos_eval.protocols.options import BenchmarkOptions
from densevos_eval.sequences.sequence import VideoSequence
from tests.eval.conftest import moving_rectangles, write_frames, write_masks
from tests.eval.copies import COPIES


def load(root: Path, dataset: str = "folder", **options) -> list[VideoSequence]:
    return BenchmarkOptions(dataset=dataset, root=root, **options).load()


def names(root: Path, dataset: str = "folder") -> list[str]:
    return [sequence.name for sequence in load(root, dataset)]


def own_folder(root: Path, *sequences: str) -> Path:
    """Frames and masks of every sequence, six of each, without a list."""
    for name in sequences:
        write_frames(root / "JPEGImages" / name)
        write_masks(root / "Annotations" / name, moving_rectangles({1: 8}))
    return root


def write_list(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["densevos-eval", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return int(end.value.code or 0)


@pytest.mark.parametrize("dataset", ["davis16", "folder"])
@pytest.mark.parametrize("resolution", ["480p", "1080p"])
def test_lists_of_the_davis_2016_archive(benchmark, dataset: str, resolution: str) -> None:
    shutil.rmtree(benchmark.root / "ImageSets")
    line = "/JPEGImages/480p/{0}/{1:05d}.jpg /Annotations/480p/{0}/{1:05d}.png \n"
    content = "".join(line.format(name, t) for name in ("two", "one") for t in range(6))
    write_list(benchmark.root / "ImageSets" / resolution / "val.txt", content.encode())
    assert names(benchmark.root, dataset) == ["two", "one"]


@pytest.mark.parametrize("resolution", ["Full-Resolution", "1080p", "854x480"])
def test_any_resolution_is_found_where_it_is_the_only_one(benchmark, resolution: str) -> None:
    for side in ("JPEGImages", "Annotations"):
        (benchmark.root / side / "480p").rename(benchmark.root / side / resolution)
    first, _ = load(benchmark.root, "davis17")
    assert first.source == benchmark.root / "JPEGImages" / resolution / "one"


def test_the_flag_for_another_resolution_is_named(benchmark) -> None:
    for side in ("JPEGImages", "Annotations"):
        (benchmark.root / side / "480p").rename(benchmark.root / side / "small")
    with pytest.raises(InputError, match=r"JPEGImages/one: folder is missing.*--resolution"):
        load(benchmark.root, "davis17")


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbfmy cat\r\n# mine\r\ndog\r\n",
        "my cat\r\n  # mine\r\ndog\r\n".encode("utf-16"),
        b"my cat\ndog dog\nmy cat\n",
    ],
)
def test_lists_hold_one_name_a_line(content: bytes, tmp_path: Path) -> None:
    own_folder(tmp_path, "my cat", "dog", "another")
    write_list(tmp_path / "ImageSets" / "val.txt", content)
    assert names(tmp_path) == ["my cat", "dog"]


def test_lists_with_several_names_on_a_line_are_still_read(tmp_path: Path) -> None:
    own_folder(tmp_path, "cat", "dog")
    write_list(tmp_path / "ImageSets" / "val.txt", b"dog cat")
    assert names(tmp_path) == ["dog", "cat"]


@pytest.mark.parametrize("name", [".ipynb_checkpoints", "@eaDir", "__MACOSX"])
def test_folders_of_a_system_are_no_sequences(tmp_path: Path, name: str) -> None:
    own_folder(tmp_path, "a", "b")
    for side in ("JPEGImages", "Annotations"):
        (tmp_path / side / name).mkdir()
    assert names(tmp_path) == ["a", "b"]


def test_copies_of_a_file_manager_change_nothing(tmp_path: Path) -> None:
    COPIES["jhmdb"](tmp_path / "jhmdb")
    write_list(tmp_path / "jhmdb" / "splits" / "._golf_test_split1.txt", b"\x00\x05\xff")
    assert names(tmp_path / "jhmdb", "jhmdb") == ["catch/clip", "golf/clip"]
    COPIES["ytobjects"](tmp_path / "objects")
    before = names(tmp_path / "objects", "ytobjects")
    shutil.copytree(
        tmp_path / "objects/Annotations/cow/0001", tmp_path / "objects/Annotations/cow/@eaDir"
    )
    assert names(tmp_path / "objects", "ytobjects") == before


@pytest.mark.parametrize("dataset", ["folder", "davis17", "davis17-testdev", "ytobjects", "vip"])
def test_masks_may_be_called_png_in_capitals(dataset: str, tmp_path: Path) -> None:
    COPIES[dataset](tmp_path)
    before = load(tmp_path, dataset)
    for mask in list((tmp_path / "Annotations").rglob("*.png")):
        mask.rename(mask.with_suffix(".PNG"))
    for one, other in zip(load(tmp_path, dataset), before, strict=True):
        assert dict(one.given) == {t: file.with_suffix(".PNG") for t, file in other.given.items()}
        assert [file.name.upper() for file in one.truth] == [
            file.name.upper() for file in other.truth
        ]
        assert all(one.truth[t].is_file() for t in one.annotated or range(len(one.truth)))


def test_results_may_be_called_png_in_capitals(benchmark, monkeypatch, capsys) -> None:
    for mask in list(benchmark.results.rglob("*.png")):
        mask.rename(mask.with_suffix(".PNG"))
    options = [
        "--dataset",
        "davis17",
        "--root",
        benchmark.root,
        "--results",
        benchmark.results,
        "--workers",
        1,
    ]
    assert run(monkeypatch, "score", *options, "--sequences", "one") == 0
    assert "1.000" in capsys.readouterr().out


def test_two_masks_or_frames_of_one_name_are_refused(tmp_path: Path) -> None:
    own_folder(tmp_path, "a")
    frame, mask = (
        tmp_path / "JPEGImages" / "a" / "00003.jpg",
        tmp_path / "Annotations" / "a" / "00003.png",
    )
    shutil.copy(mask, mask.with_suffix(".PNG"))
    with pytest.raises(InputError, match=r"00003\.png: is a mask of the same frame as 00003\.PNG"):
        load(tmp_path)
    shutil.copy(mask, frame.with_suffix(".png"))
    with pytest.raises(InputError, match=r"00003\.png: has the name of 00003\.jpg"):
        load(tmp_path)


def test_unpadded_frames_and_masks_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for t in range(12):
        for side, suffix in (("JPEGImages", "jpg"), ("Annotations", "png")):
            file = tmp_path / side / "a" / f"{t}.{suffix}"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (4, 4), t).save(file)
    (sequence,) = load(tmp_path)
    assert sequence.frame_names == tuple(map(str, range(12)))
    assert [int(read_mask(file)[0, 0]) for file in sequence.truth] == list(range(12))


def keep_masks(folder: Path, kept: set[int]) -> None:
    for mask in folder.iterdir():
        if int(mask.stem) not in kept:
            mask.unlink()


@pytest.mark.parametrize(
    ("kept", "empty", "given", "annotated"),
    [
        ({0, 1, 2, 3, 4, 5}, set(), 0, ()),
        ({0, 2, 5}, set(), 0, (0, 2, 5)),
        ({2, 3, 4, 5}, set(), 2, (2, 3, 4, 5)),
        ({0, 1, 2, 3, 4, 5}, {0, 1}, 2, (2, 3, 4, 5)),
        ({1, 3, 5}, {1}, 3, (3, 5)),
        ({0, 3}, {0, 3}, 0, (0, 3)),  # no object at all, which propagation says
    ],
)
def test_the_first_mask_that_holds_an_object_is_given(
    kept: set[int], empty: set[int], given: int, annotated: tuple[int, ...], tmp_path: Path
) -> None:
    masks = own_folder(tmp_path, "a") / "Annotations" / "a"
    keep_masks(masks, kept)
    for t in empty:
        write_mask(masks / f"{t:05d}.png", np.zeros((24, 40)))
    (sequence,) = load(tmp_path)
    assert dict(sequence.given) == {given: masks / f"{given:05d}.png"}
    assert sequence.annotated == annotated


def test_annotated_frames_after_the_given_one_are_scored(
    tmp_path: Path, monkeypatch, capsys
) -> None:
    own_folder(tmp_path, "dense", "sparse", "tiny")
    keep_masks(tmp_path / "Annotations" / "sparse", {1, 2, 4, 5})
    for side in ("JPEGImages", "Annotations"):
        keep_masks(tmp_path / side / "tiny", {0, 1})
    results = tmp_path / "results"
    for name in ("dense", "sparse"):
        write_masks(results / name, moving_rectangles({1: 8}))
    for t in (0, 5):  # neither is scored where every frame has an annotation
        (results / "dense" / f"{t:05d}.png").unlink()
    options = ["--dataset", "folder", "--root", tmp_path, "--results", results, "--workers", 1]
    assert run(monkeypatch, "score", *options) == 0
    said = capsys.readouterr()
    assert "tiny: left out, since none of its 2 frames is scored" in said.err
    assert "sparse: annotations of some frames only, so 3 of 6 frames are scored" in said.err
    assert (
        (results / "global_results-val.csv").read_text().splitlines()[1].startswith("1.000,1.000")
    )
    written = json.loads((results / "results.json").read_text())["sequences"]
    assert written["sparse"]["frames"] == ["00002", "00004", "00005"]
    assert written["dense"]["frames"] == ["00001", "00002", "00003", "00004"]


@pytest.mark.parametrize("command", ["score", "submit"])
def test_results_in_an_archive_are_to_be_unpacked(
    benchmark, command: str, tmp_path: Path, monkeypatch, capsys
) -> None:
    archive = shutil.make_archive(str(tmp_path / "packed"), "zip", benchmark.results)
    options = [
        "--dataset",
        "davis17",
        "--root",
        benchmark.root,
        "--results",
        archive,
        "--out",
        tmp_path / "out",
    ]
    assert run(monkeypatch, command, *options) == 2
    assert capsys.readouterr().err == (
        f"error: --results {archive}: is a file, not a folder of masks; unpack it if it is an "
        f"archive\n"
    )
    with pytest.raises(InputError, match=r"packed\.zip: is a file, not a folder; unpack it"):
        load(Path(archive), "davis17")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_frame_that_may_not_be_read_costs_its_sequence(
    benchmark, tmp_path: Path, monkeypatch, capsys
) -> None:
    frame = benchmark.root / "JPEGImages" / "480p" / "one" / "00002.jpg"
    frame.chmod(0)
    check_one_is_broken(benchmark, frame, tmp_path, monkeypatch, capsys)


def test_a_frame_that_the_disk_refuses_costs_its_sequence(
    benchmark, tmp_path: Path, monkeypatch, capsys
) -> None:
    frame = benchmark.root / "JPEGImages" / "480p" / "one" / "00002.jpg"
    frame.unlink()
    frame.symlink_to(frame)  # a circle: opening it fails, for root as well
    check_one_is_broken(benchmark, frame, tmp_path, monkeypatch, capsys)


def check_one_is_broken(benchmark, frame: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    """Sequence two is done, at first and when the run goes on, and the frame of the other is
    named.
    """
    options = ["--dataset", "davis17", "--root", benchmark.root, "--out", tmp_path / "out"]
    encoder = ["--encoder", "random:resnet18", "--context", 2, "--radius", 2, "--device", "cpu"]
    for resume in ([], ["--resume"]):
        assert run(monkeypatch, "propagate", *encoder, *options, *resume) == 1
        assert f"one: {frame}: cannot be read" in capsys.readouterr().err
        assert len(list((tmp_path / "out" / "two").iterdir())) == 6
