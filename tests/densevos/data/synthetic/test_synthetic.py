from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from densevos.base.errors import InputError
from densevos.base.masks import PALETTE, read_mask
from densevos.data.sources.video import open_frames
from densevos.data.synthetic.render import render_instant
from densevos.data.synthetic.scene import Scene, Sprite, random_scene, random_wave
from densevos.data.synthetic.sequences import (
    SMALLEST_VISIBLE,
    SyntheticConfig,
    make_sequence,
    write_davis,
)
from densevos.data.synthetic.textures import (
    PHOTOGRAPHS,
    load_photographs,
    random_outline,
    read_photographs,
    signed_distance,
)

SMALL = SyntheticConfig(height=48, width=80, frames=4)
STEADY = {"speed": 0, "turn": 0, "stretch": 0, "ripple": 0, "pan": 0, "light": 0, "noise": 0}


def files_of(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def centroid(mask: np.ndarray) -> np.ndarray:
    return np.argwhere(mask).mean(0)


def test_same_seed_gives_same_bytes_and_others_differ():
    first, again, other = (make_sequence(seed, SMALL) for seed in (3, 3, 4))
    assert first.frames.tobytes() == again.frames.tobytes()
    assert first.masks.tobytes() == again.masks.tobytes()
    assert not np.array_equal(first.frames, other.frames)
    assert not np.array_equal(first.frames, make_sequence(3, SMALL, "val").frames)


@settings(max_examples=12, deadline=None)
@given(st.integers(8, 97), st.integers(8, 121), st.integers(1, 3), st.integers(0, 2**40))
def test_any_size(height, width, frames, seed):
    config = SyntheticConfig(height=height, width=width, frames=frames)
    sequence = make_sequence(seed, config, "val")
    assert sequence.frames.shape == (frames, height, width, 3)
    assert sequence.masks.shape == (frames, height, width)
    assert sequence.frames.dtype == sequence.masks.dtype == np.uint8
    ids, areas = np.unique(sequence.masks[0], return_counts=True)
    objects = sequence.masks[0].max()
    assert 1 <= objects <= config.max_objects
    assert set(ids) | {0} == set(range(objects + 1))
    assert areas[ids > 0].min() >= SMALLEST_VISIBLE * height * width
    assert sequence.masks.max() == objects


def flat_scene(seed: int) -> Scene:
    """A random scene of one object, white before black."""
    config = replace(SMALL, max_objects=1, max_distractors=0)
    scene = random_scene(config, load_photographs("train"), np.random.default_rng(seed))
    white = np.dstack(
        [np.full_like(scene.sprites[0].pixels[..., :3], 255), scene.sprites[0].pixels[..., 3]]
    )
    sprite = replace(scene.sprites[0], pixels=white)
    return replace(scene, background=np.zeros_like(scene.background), sprites=(sprite,))


@pytest.mark.parametrize("seed", range(4))
def test_mask_holds_the_pixels_that_are_covered_by_half(seed):
    scene = flat_scene(seed)
    for time in (0, 2.5, 7):
        image, mask = render_instant(scene, time, 47, 81)
        assert mask.any()
        assert np.array_equal(mask > 0, image[..., 0] > 127.5)
        assert ((image > 0) & (image < 255)).any()  # edges are smooth


def test_mask_of_a_disc_is_the_disc():
    angle = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    level = signed_distance(10 * np.stack([np.cos(angle), np.sin(angle)], 1))
    start = np.array([30.3, 18.6, 1, np.log(1.5), np.log(1.5), 0, 0])
    still = random_wave(start, np.zeros(7), np.random.default_rng(0))
    pixels = np.dstack([np.zeros((*level.shape, 3), np.float32), level])
    disc = Sprite(pixels=pixels, motion=still, ripple_phase=np.zeros(2), label=3)
    rest = random_wave(np.zeros(5), np.zeros(5), np.random.default_rng(0))
    camera = random_wave(np.zeros(4), np.zeros(4), np.random.default_rng(0))
    scene = Scene(
        background=np.zeros((60, 90, 3), np.float32), sprites=(disc,), camera=camera, light=rest
    )
    _, mask = render_instant(scene, 0, 41, 63)
    y, x = np.mgrid[:41, :63]
    radius = np.hypot(x - 30.3, y - 18.6)
    assert (mask[radius < 14.5] == 3).all()
    assert (mask[radius > 15.5] == 0).all()


def test_steady_scene_has_equal_frames_and_masks():
    sequence = make_sequence(1, replace(SMALL, **STEADY))
    assert (sequence.masks == sequence.masks[0]).all()
    assert np.abs(sequence.frames - sequence.frames[0].astype(int)).max() <= 1


def test_objects_move_and_are_hidden_or_leave():
    config = SyntheticConfig(height=48, width=80, frames=16, blur_steps=0)
    shifts, shares = [], []
    for seed in range(12):
        masks = make_sequence(seed, config).masks
        for label in range(1, masks.max() + 1):
            areas = (masks == label).sum((1, 2))
            shares.append(areas.min() / areas[0])
            shifts.append(np.linalg.norm(centroid(masks[8] == label) - centroid(masks[0] == label)))
    assert np.median(shifts) > 0.04 * config.width
    assert min(shares) < 0.2  # occluded or out of the frame
    assert np.median(shares) > 0.4  # but most objects stay


def test_motion_blur_smooths_the_frame_and_keeps_the_mask():
    fast = replace(SMALL, noise=0, speed=0.1, frames=1)
    sharp, blurred = (make_sequence(2, replace(fast, shutter=shutter)) for shutter in (0, 1))
    assert np.array_equal(sharp.masks, blurred.masks)
    assert (
        cv2.Laplacian(blurred.frames[0], cv2.CV_32F).std()
        < cv2.Laplacian(sharp.frames[0], cv2.CV_32F).std()
    )


def test_pools_share_no_photograph():
    assert not set(PHOTOGRAPHS["train"]) & set(PHOTOGRAPHS["val"])
    for pool, names in PHOTOGRAPHS.items():
        photographs = load_photographs(pool)
        assert len(photographs) == len(names)
        assert all(p.ndim == 3 and p.shape[2] == 3 and p.dtype == np.uint8 for p in photographs)


def colours(folder: Path, count: int) -> list[np.ndarray]:
    """Photographs of one colour each, larger than a texture needs."""
    folder.mkdir()
    flat = [
        np.full((600, 800, 3), (40 * number, 200 - 40 * number, 90), np.uint8)
        for number in range(count)
    ]
    for number, photograph in enumerate(flat):
        Image.fromarray(photograph).save(folder / f"{number}.png")
    return flat


def test_own_photographs_are_shrunk_and_every_fifth_is_held_out(tmp_path):
    flat = colours(tmp_path / "photographs", 6)
    (tmp_path / "photographs/notes.txt").write_text("not a photograph")
    read = read_photographs(tmp_path / "photographs")
    assert [len(read[pool]) for pool in ("train", "val")] == [5, 1]
    assert all(photograph.shape == (480, 640, 3) for pool in read.values() for photograph in pool)
    assert [tuple(photograph[0, 0]) for photograph in read["val"]] == [tuple(flat[4][0, 0])]


def test_sequences_are_made_of_own_photographs(tmp_path):
    (tmp_path / "photographs").mkdir()
    for number in range(5):
        Image.new("RGB", (64, 48)).save(tmp_path / f"photographs/{number}.png")
    write_davis(
        tmp_path / "set",
        train=1,
        val=1,
        seed=0,
        config=replace(SMALL, **STEADY),
        photographs=tmp_path / "photographs",
    )
    for name in ("train-000", "val-000"):
        assert not np.asarray(Image.open(tmp_path / f"set/JPEGImages/480p/{name}/00000.jpg")).any()


def test_unusable_photographs_are_refused(tmp_path):
    colours(tmp_path / "photographs", 4)
    for folder, message in (
        (tmp_path / "none", "no such folder"),
        (tmp_path / "photographs", "holds 4 photographs"),
    ):
        with pytest.raises(InputError, match=f"--photographs .*{message}"):
            write_davis(tmp_path / "set", train=1, val=0, seed=0, config=SMALL, photographs=folder)
    assert not (tmp_path / "set").exists()


def test_outline_has_the_wanted_area():
    rng = np.random.default_rng(0)
    for area in (300, 2000):
        assert (random_outline(area, rng) > 0).sum() == pytest.approx(area, rel=0.05)


def test_signed_distance_of_a_circle():
    angle = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    level = signed_distance(20 * np.stack([np.cos(angle), np.sin(angle)], 1))
    y, x = np.mgrid[: len(level), : len(level)] - (len(level) - 1) / 2
    assert (
        np.abs(level - (20 - np.hypot(x, y))).max() < 0.6
    )  # the mask of 5x5 distances errs by 2 %


def test_wave_starts_at_start_and_moves_at_about_rate():
    rng = np.random.default_rng(0)
    rate = np.array([2.0, -3.0])
    steps = [
        wave.at(1) - wave.at(0) for wave in (random_wave(np.ones(2), rate, rng) for _ in range(100))
    ]
    assert np.array_equal(random_wave(np.ones(2), rate, rng).at(0), np.ones(2))
    assert np.mean(steps, 0) == pytest.approx(rate, rel=0.2)


def test_davis_layout(tmp_path):
    write_davis(tmp_path / "D", train=2, val=1, seed=5, config=SMALL)
    lists = {"train": ["train-000", "train-001"], "val": ["val-000"]}
    for split, names in lists.items():
        for year in ("2016", "2017"):
            assert (tmp_path / f"D/ImageSets/{year}/{split}.txt").read_text().split() == names
        for number, name in enumerate(names):
            sequence = make_sequence((5, int(split == "val"), number), SMALL, split)
            frames = open_frames(tmp_path / "D/JPEGImages/480p" / name)
            assert list(frames.names) == ["00000", "00001", "00002", "00003"]
            read = frames.read(range(SMALL.frames)).astype(int)
            assert np.abs(read - sequence.frames).mean() < 6  # JPEG
            for stem, mask in zip(frames.names, sequence.masks, strict=True):
                path = tmp_path / f"D/Annotations/480p/{name}/{stem}.png"
                assert np.array_equal(read_mask(path), mask)
                with Image.open(path) as image:
                    assert (image.mode, image.size) == ("P", (SMALL.width, SMALL.height))
                    colours = np.reshape(image.getpalette(), (-1, 3))
                assert np.array_equal(colours, PALETTE[: len(colours)])
    videos = (tmp_path / "D/train_videos.txt").read_text().split()
    assert videos == ["JPEGImages/480p/train-000", "JPEGImages/480p/train-001"]
    assert all((tmp_path / "D" / video).is_dir() for video in videos)


def test_written_sequences_do_not_depend_on_number_or_workers(tmp_path):
    config = SyntheticConfig(height=24, width=40, frames=2)
    write_davis(tmp_path / "few", train=1, val=1, seed=0, config=config, workers=1)
    write_davis(tmp_path / "many", train=3, val=2, seed=0, config=config, workers=3)
    few, many = files_of(tmp_path / "few"), files_of(tmp_path / "many")
    common = [name for name in few if name.startswith(("JPEGImages", "Annotations"))]
    assert len(common) == 8
    assert all(few[name] == many[name] for name in common)


def test_folder_that_holds_files_is_kept(tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(InputError, match="not empty"):
        write_davis(tmp_path, train=1, val=0, seed=0, config=SMALL)
    assert files_of(tmp_path) == {"mine.txt": b"keep"}
    write_davis(tmp_path, train=0, val=0, seed=0, config=SMALL, overwrite=True)
    assert not (tmp_path / "mine.txt").exists()
    assert (tmp_path / "train_videos.txt").read_text() == ""


@pytest.mark.parametrize(
    "bad",
    [
        {"height": 4},
        {"frames": 0},
        {"max_objects": 0},
        {"max_objects": 256},
        {"min_area": 0.3},
        {"noise": -1},
    ],
)
def test_unusable_config_names_the_field(bad):
    with pytest.raises(InputError, match=next(iter(bad))):
        SyntheticConfig(**bad)


def test_negative_count_or_seed_is_refused(tmp_path):
    with pytest.raises(InputError, match="seed"):
        write_davis(tmp_path, train=1, val=1, seed=-1, config=SMALL)
    with pytest.raises(InputError, match="val"):
        write_davis(tmp_path, train=1, val=-1, seed=1, config=SMALL)


def test_objects_that_cannot_all_be_seen_end_with_a_cure(monkeypatch):
    monkeypatch.setattr("densevos.data.synthetic.sequences.SMALLEST_VISIBLE", 1.1)
    with pytest.raises(InputError, match="give fewer"):
        make_sequence(0, SMALL)
