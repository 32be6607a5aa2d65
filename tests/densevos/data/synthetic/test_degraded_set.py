"""Degraded copies of sets, and the sets of synthetic classes, as the layout `folder` reads them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from densevos.base.errors import InputError
from densevos.cli import dispatch
from densevos.data.segmentation.folder_writer import write_classes, write_image
from densevos.data.segmentation.segmentation_set import SegmentationSet
from densevos.data.segmentation.sets.registry import open_set
from densevos.data.sources.images import read_image
from densevos.data.synthetic.classes import (
    CLASSES,
    SyntheticClassesConfig,
    SyntheticCounts,
    make_still,
    write_classes_sets,
)
from densevos.data.synthetic.degradation import DegradationConfig
from densevos.data.synthetic.degraded_set import degrade_set

SMALL = SyntheticClassesConfig(height=48, width=64, frames=2)
COUNTS = SyntheticCounts(train_stills=3, val_stills=1, train_videos=2, val_videos=1)


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("synthetic") / "sets"
    write_classes_sets(root, counts=COUNTS, seed=0, config=SMALL)
    return root


@pytest.fixture
def camvid(tmp_path: Path) -> Path:
    """Two images in the layout of CamVid, with void."""
    for name in ("a", "b"):
        image, _ = make_still(SMALL, "train", np.random.default_rng(ord(name)))
        ids = np.arange(48 * 64, dtype=np.uint8).reshape(48, 64) % 12
        for folder, pixels in (("train", image), ("trainannot", ids)):
            (tmp_path / "camvid" / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(tmp_path / "camvid" / folder / f"{name}.png")
    return tmp_path / "camvid"


def files_of(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def assert_same_labels(one: SegmentationSet, other: SegmentationSet) -> None:
    assert one.classes == other.classes
    assert [shot.name for shot in one.shots] == [shot.name for shot in other.shots]
    for a, b in zip(one.shots, other.shots, strict=True):
        assert a.labelled == b.labelled
        for index in a.labelled:
            np.testing.assert_array_equal(a.labels(index), b.labels(index))


def test_images_are_copied_with_labels_and_void(camvid: Path, tmp_path: Path) -> None:
    assert degrade_set(f"camvid:{camvid}", tmp_path / "out", config=DegradationConfig()) == 2
    copy, sharp = open_set(f"folder:{tmp_path / 'out'}"), open_set(f"camvid:{camvid}")
    assert copy.kind == "images"
    assert_same_labels(copy, sharp)
    assert 255 in copy.shots[0].labels(0)
    degraded, original = (one.shots[0].open().read([0])[0] for one in (copy, sharp))
    assert degraded.mean() < 0.9 * original.mean()


def test_videos_are_copied_frame_by_frame(synthetic: Path, tmp_path: Path) -> None:
    source = f"folder:{synthetic / 'videos'}"
    config = DegradationConfig(blur=(0, 0), light=(0.1, 0.9), noise=(0, 0))
    assert degrade_set(source, tmp_path / "out", splits=("train", "val"), config=config) == 6
    for split in ("train", "val"):
        copy, sharp = open_set(f"folder:{tmp_path / 'out'}", split), open_set(source, split)
        assert copy.kind == "video"
        assert_same_labels(copy, sharp)
        for a, b in zip(
            copy.shots, sharp.shots, strict=True
        ):  # frames of one video lose the same light
            darker = [
                x.mean() / y.mean()
                for x, y in zip(a.open().read([0, 1]), b.open().read([0, 1]), strict=True)
            ]
            assert darker[0] == pytest.approx(darker[1], rel=0.05)


def test_a_frame_depends_on_the_seed_and_its_name_only(camvid: Path, tmp_path: Path) -> None:
    for name, seed, workers in (("one", 0, 1), ("two", 0, 3), ("other", 1, 1)):
        degrade_set(
            f"camvid:{camvid}",
            tmp_path / name,
            config=DegradationConfig(),
            seed=seed,
            workers=workers,
        )
    (camvid / "train" / "a.png").unlink()
    (camvid / "trainannot" / "a.png").unlink()
    degrade_set(f"camvid:{camvid}", tmp_path / "alone", config=DegradationConfig())
    one, two, other, alone = (
        files_of(tmp_path / name) for name in ("one", "two", "other", "alone")
    )
    assert one == two
    assert one["images/train/b.jpg"] == alone["images/train/b.jpg"]
    assert one["images/train/b.jpg"] != other["images/train/b.jpg"]


def test_unlabelled_images_need_no_masks(tmp_path: Path) -> None:
    image, _ = make_still(SMALL, "train", np.random.default_rng(0))
    write_image(tmp_path / "own", "train/a", image, None)
    degrade_set(
        f"folder:{tmp_path / 'own'}", tmp_path / "out", labels=False, config=DegradationConfig()
    )
    assert list(files_of(tmp_path / "out")) == ["images/train/a.jpg"]
    with pytest.raises(InputError, match=r"classes\.txt"):
        degrade_set(f"folder:{tmp_path / 'own'}", tmp_path / "out2", config=DegradationConfig())
    assert not (tmp_path / "out2").exists()


def test_the_set_that_is_read_is_not_emptied(synthetic: Path) -> None:
    before = files_of(synthetic)
    for part in (synthetic, synthetic / "stills", synthetic / "stills" / "masks" / "train"):
        with pytest.raises(InputError, match="would delete"):
            degrade_set(
                f"folder:{synthetic / 'stills'}", part, config=DegradationConfig(), overwrite=True
            )
    with pytest.raises(InputError, match="not empty"):
        degrade_set(
            f"folder:{synthetic / 'stills'}", synthetic / "videos", config=DegradationConfig()
        )
    assert files_of(synthetic) == before


def test_synthetic_sets_are_whole_and_repeatable(synthetic: Path, tmp_path: Path) -> None:
    for kind, shots, frames in (("stills", 3, 1), ("videos", 2, 2)):
        opened = open_set(f"folder:{synthetic / kind}")
        assert (opened.classes, len(opened.shots)) == (CLASSES, shots)
        assert all(shot.labelled == tuple(range(frames)) for shot in opened.shots)
    write_classes_sets(tmp_path / "again", counts=COUNTS, seed=0, config=SMALL, workers=1)
    assert files_of(tmp_path / "again") == files_of(synthetic)
    more = SyntheticCounts(train_stills=4, val_stills=1, train_videos=2, val_videos=1)
    write_classes_sets(tmp_path / "more", counts=more, seed=0, config=SMALL)
    assert files_of(tmp_path / "more").items() >= files_of(synthetic).items()


def test_negative_counts_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--train-stills: -1 is negative"):
        write_classes_sets(
            tmp_path / "x", counts=SyntheticCounts(train_stills=-1), seed=0, config=SMALL
        )
    assert not (tmp_path / "x").exists()


def test_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    few = ["--train-stills", "2", "--val-stills", "1", "--train-videos", "1", "--val-videos", "1"]
    sizes = ["--height", "32", "--width", "48", "--frames", "2"]
    dispatch(["data", "synth-classes", "--out", str(tmp_path / "s"), "--seed", "3", *few, *sizes])
    stills = f"folder:{tmp_path / 's' / 'stills'}"
    dispatch(
        [
            "data",
            "degrade",
            stills,
            "--out",
            str(tmp_path / "d"),
            "--split",
            "train",
            "val",
            "--light",
            "1",
            "1",
        ]
    )
    said = capsys.readouterr().out
    assert f"{tmp_path / 'd'}: 3 degraded frames of {stills}" in said
    assert read_image(tmp_path / "d" / "images" / "val" / "00000.jpg").shape == (32, 48, 3)


def test_classes_are_written_where_there_are_any(tmp_path: Path) -> None:
    write_classes(tmp_path, [])
    assert not list(tmp_path.iterdir())
    write_classes(tmp_path, ["background", "cell phone"])
    assert (tmp_path / "classes.txt").read_text() == "background\ncell phone\n"
