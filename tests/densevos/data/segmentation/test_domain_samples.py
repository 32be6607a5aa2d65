"""Samples of two domains: what is in them, how they are cut, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from densevos.base.errors import InputError, RunError
from densevos.base.masks import write_mask
from densevos.config import ClipConfig
from densevos.data.segmentation.samples import DomainSamples, clip_indices
from densevos.data.segmentation.segmentation_set import SegmentationSet, Shot
from densevos.data.segmentation.sets.registry import open_set
from tests.densevos.conftest import write_frames

STILLS = ClipConfig(frames=1, gap=1, size=32, short_side=(32, 40))
CLIPS = ClipConfig(frames=4, gap=2, size=32, short_side=(32, 40))


def labelled_images(root: Path, count: int = 3) -> str:
    """A `folder` set of images whose label is whether red is high."""
    frames = write_frames(root / "images" / "train", count)
    (root / "classes.txt").write_text("low\nhigh\n")
    (root / "masks" / "train").mkdir(parents=True)
    for file in frames.iterdir():
        red = np.asarray(Image.open(file))[..., 0]
        write_mask(root / "masks" / "train" / file.name, (red > 128).astype(np.uint8))
    return f"folder:{root}"


def labelled_clip(root: Path, masked: tuple[int, ...], frames: int = 9) -> str:
    """A `folder` set of one clip with masks of some frames."""
    folder = write_frames(root / "images" / "train" / "clip", frames)
    (root / "classes.txt").write_text("low\nhigh\n")
    (root / "masks" / "train" / "clip").mkdir(parents=True)
    for t, file in enumerate(sorted(folder.iterdir())):
        if t in masked:
            red = np.asarray(Image.open(file))[..., 0]
            write_mask(root / "masks" / "train" / "clip" / file.name, (red > 128).astype(np.uint8))
    return f"folder:{root}"


@pytest.fixture
def images(tmp_path: Path) -> SegmentationSet:
    return open_set(labelled_images(tmp_path / "stills"))


@pytest.fixture
def unlabelled(videos: Path) -> SegmentationSet:
    return open_set(f"videos:{videos}", labels=False)


def agreement(frames: torch.Tensor, labels: torch.Tensor) -> float:
    """How far labels follow the red channel of frames [...,3,S,S], as they are made."""
    return float(((frames.select(-3, 0) > 128) == (labels == 1)).float().mean())


def test_a_batch_is_images_with_labels_and_clips_without(images, unlabelled) -> None:
    samples = DomainSamples([images], [unlabelled], CLIPS, seed=0)
    assert len(samples) == 3
    batch = samples.collate([samples[0, 0], samples[0, 1]])
    assert batch.images.shape == (2, 3, 32, 32)
    assert batch.clips.shape == (2, 4, 3, 32, 32)
    assert batch.images.dtype == batch.clips.dtype == batch.image_labels.dtype == torch.uint8
    assert agreement(batch.images, batch.image_labels) > 0.85  # near 0.5 when cut apart
    assert (batch.clip_labels == 255).all()
    assert batch.real.all()
    assert not batch.labelled.any()
    assert [Path(name).name for name in batch.names] == ["00000.png", "00001.png"]


def test_labels_of_unlabelled_sets_are_not_looked_at(images, tmp_path: Path) -> None:
    spec = labelled_clip(tmp_path / "clips", masked=(0, 1))
    for mask in (tmp_path / "clips" / "masks").rglob("*.png"):
        mask.unlink()
    samples = DomainSamples([images], [open_set(spec, labels=False)], STILLS, seed=0)
    assert not samples[0, 0].tensors["labelled"].any()


@pytest.mark.parametrize("config", [STILLS, CLIPS])
def test_labelled_frames_are_in_their_clips(tmp_path: Path, config: ClipConfig) -> None:
    clips = open_set(labelled_clip(tmp_path / "clips", masked=(0, 7, 8)))
    samples = DomainSamples([], [clips], config, seed=0)
    assert len(samples) == 3
    for epoch in range(5):
        batch = samples.collate([samples[epoch, k] for k in range(3)])
        assert batch.images.shape == (0, 3, 32, 32)
        assert batch.labelled.any(1).all()
        assert (batch.clip_labels[~batch.labelled] == 255).all()
        assert agreement(batch.clips[batch.labelled], batch.clip_labels[batch.labelled]) > 0.85


def test_labelled_videos_beside_images_keep_their_labels(images, tmp_path: Path) -> None:
    clips = open_set(labelled_clip(tmp_path / "clips", masked=(4,)))
    sample = DomainSamples([images], [clips], CLIPS, seed=0)[0, 0]
    assert int(sample.tensors["labelled"].sum()) == 1
    assert sample.tensors["images"].shape[0] == 1


def test_an_unlabelled_image_is_a_clip_with_empty_frames(images, tmp_path: Path) -> None:
    others = open_set(labelled_images(tmp_path / "others"), labels=False)
    batch = DomainSamples([images], [others], CLIPS, seed=0)
    tensors = batch[0, 0].tensors
    assert tensors["real"].tolist() == [[True, False, False, False]]
    assert tensors["clips"][0, 0].any()
    assert not tensors["clips"][0, 1:].any()


def test_without_videos_there_are_no_clips(images) -> None:
    batch = (samples := DomainSamples([images], [], CLIPS, seed=0)).collate([samples[0, 0]])
    assert batch.clips.shape == (0, 4, 3, 32, 32)
    assert batch.real.shape == (0, 4)


def test_the_same_sample_whoever_asks(images, unlabelled) -> None:
    first, second = (DomainSamples([images], [unlabelled], CLIPS, seed=3) for _ in range(2))
    second[5, 2]
    for name, tensor in first[1, 2].tensors.items():
        assert torch.equal(tensor, second[1, 2].tensors[name])
    assert not torch.equal(first[0, 2].tensors["images"], first[1, 2].tensors["images"])


def test_indices_of_clips() -> None:
    rng = np.random.default_rng(0)
    for _ in range(100):
        length, frames, gap = (
            int(rng.integers(4, 30)),
            int(rng.integers(1, 5)),
            int(rng.integers(1, 6)),
        )
        around = int(rng.integers(length))
        indices = clip_indices(length, frames, gap, rng, around, "v")
        assert around in indices
        assert len(indices) == frames
        assert 0 <= indices[0] <= indices[-1] < length
        steps = set(np.diff(indices).tolist())
        assert len(steps) <= 1
        assert max(steps, default=1) <= gap
        free = clip_indices(length, frames, gap, rng, None, "v")
        assert max(np.diff(free), default=gap) == gap or length < (frames - 1) * gap + 1


def test_short_and_broken_videos_are_passed_over_and_told_of(
    images, unlabelled, tmp_path: Path
) -> None:
    short = Shot(name="short", source=write_frames(tmp_path / "short", 3))
    mixed = SegmentationSet(
        name="videos", kind="video", classes=(), shots=(short, *unlabelled.shots[:1])
    )
    samples = DomainSamples([images], [mixed], CLIPS, seed=0)
    reasons = {
        reason for epoch in range(8) for reason in samples.collate([samples[epoch, 0]]).skipped
    }
    assert reasons == {f"{short.source}: has 3 frames, fewer than the 4 of a clip; left out"}
    with pytest.raises(
        RunError, match=r"none of the 1 videos can be used; give others; the first: .*short"
    ):
        DomainSamples(
            [images],
            [SegmentationSet(name="v", kind="video", classes=(), shots=(short,))],
            CLIPS,
            0,
        )[0, 0]


def test_an_unreadable_image_is_passed_over_but_wrong_labels_stop(tmp_path: Path) -> None:
    spec = labelled_images(tmp_path / "stills")
    opened = open_set(spec)
    (tmp_path / "stills" / "images" / "train" / "00001.png").write_bytes(b"no image")
    samples = DomainSamples([opened], [], STILLS, seed=0)
    sample = samples[0, 1]
    assert sample.name.endswith("00002.png")
    assert "00001.png: image cannot be read" in sample.skipped[0]
    mask = tmp_path / "stills" / "masks" / "train" / "00002.png"
    write_mask(mask, np.full((40, 56), 7, np.uint8))
    with pytest.raises(RunError, match=r"masks/train/00002\.png.*7"):
        samples[0, 2]
    with pytest.raises(InputError, match="has 3 frames, fewer than the 4"):
        clip_indices(3, 4, 1, np.random.default_rng(0), None, "v")
