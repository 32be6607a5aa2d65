"""Layouts find the videos of their sets, and frames come in order of time."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from densevos.base.errors import InputError
from densevos.config import ClipConfig, TrainConfig
from densevos.data.catalogue.registry import find_layout, find_videos, known_layouts
from densevos.data.clips import frame_indices
from densevos.data.sources.video import open_frames
from densevos.recipes import RECIPES
from tests.densevos.data.catalogue import layout_copies as copies

TWELVE = list(range(12))
HOLED = [*range(60), *range(90, 150)]
KINETICS = [
    "train/crying/-a_b_000001_000011.mp4",
    "train/flat.mp4",
    "train/pull ups/it's [1]_000010_000020.MP4",
]

# Name of a layout, its copy, the videos of the first split, and the numbers of the first one's
# frames.
SETS: list[tuple[str, Callable[[Path], None], list[str], list[int]]] = [
    ("kinetics400", copies.kinetics, KINETICS, TWELVE),
    ("kinetics700", copies.kinetics, KINETICS, TWELVE),
    ("oxuva", copies.oxuva, ["images/dev/vid0001", "images/test/vid0002"], HOLED),
    (
        "ytvos",
        copies.ytvos,
        ["train/JPEGImages/003234408d", "train/JPEGImages/0043f083b5"],
        list(range(0, 100, 5)),
    ),
    (
        "trackingnet",
        copies.trackingnet,
        ["TRAIN_0/frames/-0cRX", "TRAIN_11/frames/zz_9"],
        list(range(130)),
    ),
    ("lasot", copies.lasot, [f"airplane/airplane-{n}/img" for n in (1, 2, 20)], list(range(1, 13))),
    ("got10k", copies.got10k, ["train/GOT-10k_Train_000001"], list(range(1, 13))),
    ("davis", copies.davis, ["JPEGImages/480p/bear"], TWELVE),
    ("folder", copies.folder, ["clip.mp4", "deep/within"], TWELVE),
]


@pytest.mark.parametrize(("name", "copy", "videos", "numbers"), SETS, ids=[row[0] for row in SETS])
def test_videos_are_found_and_their_frames_come_in_order_of_time(
    name: str, copy, videos: list[str], numbers: list[int], tmp_path: Path
) -> None:
    copy(tmp_path)
    assert find_videos(find_layout(name), tmp_path) == videos
    reader = open_frames(tmp_path / videos[0])
    assert [int(frame) for frame in reader.names] == numbers

    # The numbers of the frames that a clip of five shows, by their grey.
    grey = 10 if videos[0].endswith(".mp4") else 1
    clip = sorted(
        frame_indices(len(reader), ClipConfig(gap=2, order="ascending"), np.random.default_rng(1))
    )
    seen = reader.read(clip).mean(axis=(1, 2, 3)) / grey
    np.testing.assert_allclose(seen, np.array(numbers)[clip], atol=0.7)
    assert set(np.diff(clip)) == {2}


def test_every_layout_is_tested_and_says_what_its_gap_means() -> None:
    layouts = known_layouts()
    assert set(layouts) == {name for name, *_ in SETS}
    for layout in layouts.values():
        if layout.recipe is not None:
            config = RECIPES[layout.recipe](Path())
            assert isinstance(config, TrainConfig)
            assert config.clips.gap == layout.gap
    # A third of a second in all of them.
    assert {layout.gap / (layout.rate or 30) for layout in layouts.values() if layout.gap} == {
        1 / 3
    }


@pytest.mark.parametrize(
    ("name", "copy", "split", "videos"),
    [("kinetics400", copies.kinetics, "val", ["val/crying/other_000000_000010.mp4"]),
     ("oxuva", copies.oxuva, "dev", ["images/dev/vid0001"]),
     ("ytvos", copies.ytvos, "valid", ["valid/JPEGImages/0062f687f1"]),
     ("trackingnet", copies.trackingnet, "test", ["TEST/frames/test1"]),
     ("lasot", copies.lasot, "test", ["airplane/airplane-1/img"]),
     ("lasot", copies.lasot, "train", ["airplane/airplane-2/img", "airplane/airplane-20/img"]),
     ("got10k", copies.got10k, "val", ["val/GOT-10k_Val_000001"]),
     ("davis", copies.davis, "val", ["JPEGImages/480p/blackswan"]),
     ("davis", copies.davis, "all", ["JPEGImages/480p/bear", "JPEGImages/480p/blackswan"])],
)  # fmt: skip
def test_other_splits(name: str, copy, split: str, videos: list[str], tmp_path: Path) -> None:
    copy(tmp_path)
    assert find_videos(find_layout(name), tmp_path, split) == videos


def test_root_may_be_the_folder_of_the_split(tmp_path: Path) -> None:
    copies.ytvos(tmp_path / "y")
    videos = ["JPEGImages/003234408d", "JPEGImages/0043f083b5"]
    assert (
        find_videos(find_layout("ytvos"), tmp_path / "y" / "train") == videos
    )  # and no Annotations
    copies.kinetics(tmp_path / "k")
    assert len(find_videos(find_layout("kinetics400"), tmp_path / "k" / "train")) == 3
    copies.oxuva(tmp_path / "o")
    assert find_videos(find_layout("oxuva"), tmp_path / "o" / "images") == [
        "dev/vid0001",
        "test/vid0002",
    ]


@pytest.mark.parametrize(
    ("name", "split", "reason"),
    [("trackingnet", None, "holds no videos of TrackingNet, split train; they would lie in "
                           "ROOT/TRAIN_K/frames/VIDEO"),
     ("ytvos", "val", "--split val: ytvos has train, valid, test"),
     ("lasot", "train", r"testing_set\.txt: file is missing; put"),
     ("davis", "train", "holds no videos of DAVIS"),
     ("imagenet", None, "--dataset imagenet: is unknown; known are davis, folder, got10k"),
     ("pathlib:Path", None, "--dataset pathlib:Path: is type, not a Layout")],
)  # fmt: skip
def test_what_cannot_be_found_is_told(
    name: str, split: str | None, reason: str, tmp_path: Path
) -> None:
    (tmp_path / "a" / "b" / "img").mkdir(parents=True)
    with pytest.raises(InputError, match=reason):
        find_videos(find_layout(name), tmp_path, split)


def test_a_layout_from_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copies.folder(tmp_path / "mine")
    (tmp_path / "my_layouts.py").write_text(
        "from dataclasses import replace\n"
        "from densevos.data.catalogue.folder import LAYOUT\n"
        "MINE = replace(LAYOUT, name='mine', find=lambda root, split: ['deep/within'])\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert find_videos(find_layout("my_layouts:MINE"), tmp_path / "mine") == ["deep/within"]
