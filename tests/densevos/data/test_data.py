"""Readers, catalogue, clips and views."""

import os
import subprocess
from collections import Counter
from dataclasses import replace
from pathlib import Path

import imageio.v3 as iio
import imageio_ffmpeg
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from densevos.base.errors import InputError, RunError
from densevos.base.images import image_header
from densevos.base.masks import read_mask
from densevos.config import ClipConfig, ViewConfig
from densevos.data.clips import ClipDataset, ClipSampler, crop_box, frame_indices, read_clip
from densevos.data.extraction import extract_frames
from densevos.data.sources.excerpt import Excerpt
from densevos.data.sources.images import read_image
from densevos.data.sources.open import open_paths, open_source
from densevos.data.sources.paths import PathSource
from densevos.data.sources.quick_readers import DecordReader
from densevos.data.sources.source import FrameReader, frame_rate, iterate_frames
from densevos.data.sources.video import open_frames
from densevos.data.sources.video_file import AvReader
from densevos.learners.views import draw_theta, make_views, warp
from densevos.recipes import dul_kinetics
from tests.densevos.conftest import worker_killed_once, write_frames


@pytest.fixture
def movie(tmp_path: Path) -> Path:
    """An H.264 file of twelve frames that darken evenly."""
    frames = np.stack([np.full((48, 64, 3), 240 - 18 * t, np.uint8) for t in range(12)])
    iio.imwrite(tmp_path / "movie.mp4", frames, fps=12, codec="libx264")
    return tmp_path / "movie.mp4"


@pytest.mark.parametrize("reader", [DecordReader, AvReader, open_frames])
def test_video_readers_agree_on_any_order(movie: Path, reader) -> None:
    video = reader(movie)
    assert len(video) == 12
    assert list(video.names[:2]) == ["00000", "00001"]
    brightness = video.read([7, 2, 11, 2]).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(brightness, [114, 204, 42, 204], atol=4)
    assert len(list(iterate_frames(video))) == 12


@pytest.mark.parametrize("reader", [DecordReader, AvReader])
def test_times_of_frames(movie: Path, reader) -> None:
    video = reader(movie)
    np.testing.assert_allclose(video.seconds(), np.arange(12) / 12, atol=1e-4)
    assert frame_rate(video) == pytest.approx(12)
    assert frame_rate(Excerpt(video, 3, 4)) is None


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_turned_videos_stand_upright(tmp_path: Path, degrees: int) -> None:
    """As telephones write them: the frames as the sensor lay, and how they are to be turned."""
    frame = np.zeros((64, 96, 3), np.uint8)
    frame[:16, :16] = 255  # in one corner
    iio.imwrite(tmp_path / "lying.mp4", np.stack([frame] * 3), fps=12, codec="libx264")
    turn = [
        "-y",
        "-v",
        "error",
        "-display_rotation",
        str(degrees),
        "-i",
        str(tmp_path / "lying.mp4"),
        "-c",
        "copy",
    ]
    subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), *turn, str(tmp_path / "turned.mov")], check=True
    )
    upright = np.rot90(frame, degrees // 90)
    for reader in (DecordReader, AvReader):
        read = reader(tmp_path / "turned.mov").read([1])[0]
        assert read.shape == upright.shape
        assert abs(read.astype(int) - upright).mean() < 8


def test_excerpt_of_a_folder(videos: Path) -> None:
    whole = open_frames(videos / "video1")
    part = Excerpt(whole, 2, 5)
    assert (len(part), part.names, part.seconds()) == (3, whole.names[2:5], None)
    np.testing.assert_array_equal(part.read([0, 2]), whole.read([2, 4]))
    assert frame_rate(part) is None


def test_folder_reader(videos: Path) -> None:
    reader = open_frames(videos / "video1")
    frames = reader.read([0, 3])
    assert frames.shape == (2, 40, 56, 3)
    assert reader.names[3] == "00003"
    np.testing.assert_array_equal(frames[0, :, 3:], frames[1, :, :-3])


def test_unusable_videos_are_refused_by_name(tmp_path: Path, movie: Path) -> None:
    (tmp_path / "empty").mkdir()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(movie.read_bytes()[:700])
    (tmp_path / "text.mp4").write_text("no video")
    for path in (tmp_path / "none.mp4", tmp_path / "empty", cut, tmp_path / "text.mp4"):
        with pytest.raises(InputError, match=path.name):
            open_frames(path)


def test_truncated_and_unequal_images_are_refused_by_name(videos: Path) -> None:
    broken = videos / "video0" / "00004.png"
    broken.write_bytes(broken.read_bytes()[:200])
    with pytest.raises(InputError, match=r"00004\.png: image cannot be read"):
        open_frames(videos / "video0").read([3, 4])
    write_frames(videos / "other", 1, width=30)
    (videos / "other" / "00000.png").rename(videos / "video1" / "00009.png")
    with pytest.raises(InputError, match=r"00009\.png: is 30x40"):
        open_frames(videos / "video1").read([0, 9])


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "CMYK"])
def test_images_of_any_kind_become_rgb(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("image.tif" if mode == "CMYK" else "image.png")
    Image.new("RGB", (6, 4), (204, 204, 204)).convert(mode).save(path)
    np.testing.assert_allclose(read_image(path), np.full((4, 6, 3), 204), atol=2)


def test_grey_images_of_16_bits_keep_their_tones(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 256 * 40, 65535]], np.uint16)).save(tmp_path / "deep.png")
    assert read_image(tmp_path / "deep.png").tolist() == [[[0] * 3, [40] * 3, [255] * 3]]


def test_open_source_finds_folders_files_and_lists(
    videos: Path, movie: Path, tmp_path: Path
) -> None:
    assert [v.name for v in open_paths(videos).videos] == ["video0", "video1", "video2", "video3"]
    assert len(open_source(tmp_path)) == 5
    assert open_paths(movie).videos == (movie,)
    listed = tmp_path / "list.txt"
    listed.write_bytes(
        b"\xef\xbb\xbfdata/video2\r\n\r\n# a comment\r\n" + bytes(movie) + b"\r\n"
    )  # from Windows
    assert open_paths(listed).videos == (videos / "video2", movie)
    assert open_source(videos).identity() != open_source(listed).identity()


def test_links_are_followed_once(videos: Path, tmp_path: Path) -> None:
    (tmp_path / "linked").symlink_to(videos)
    (videos / "round").symlink_to(videos)
    assert [v.name for v in open_paths(tmp_path / "linked").videos] == [
        "video0",
        "video1",
        "video2",
        "video3",
    ]


def test_open_source_names_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "void").mkdir()
    (tmp_path / "list.txt").write_text("gone\n")
    for source, reason in (
        ("nowhere", "no such data"),
        ("void", "holds no frame folders"),
        ("list.txt", "gone"),
    ):
        with pytest.raises(InputError, match=reason):
            open_source(tmp_path / source)


@settings(deadline=None, max_examples=100)
@given(st.integers(2, 7), st.integers(1, 12), st.integers(0, 90), st.integers(0, 1000))
def test_frames_of_a_clip_are_evenly_spaced_and_shuffled(
    frames: int, gap: int, extra: int, seed: int
) -> None:
    length = frames + extra
    indices = frame_indices(length, ClipConfig(frames=frames, gap=gap), np.random.default_rng(seed))
    expected = min(length, frames * gap) // frames
    assert len(indices) == frames
    assert set(np.diff(sorted(indices))) == {expected}
    assert min(indices) >= 0
    assert max(indices) < length


def test_every_frame_of_a_video_is_used() -> None:
    config, rng = ClipConfig(frames=5, gap=10), np.random.default_rng(0)
    clips = [frame_indices(50, config, rng) for _ in range(500)]
    assert {min(clip) for clip in clips} == set(
        range(10)
    )  # the last frame of a clip is its first + 40
    assert {frame for clip in clips for frame in clip} == set(range(50))
    assert {clip[0] - min(clip) for clip in clips} == {0, 10, 20, 30, 40}


@pytest.mark.parametrize(
    ("length", "starts", "offsets"),
    [
        (3, 1, [0, 0, 1, 1, 2]),  # shorter than a clip: frames repeat
        (7, 1, [0, 1, 2, 4, 5]),
        (48, 1, [0, 9, 19, 28, 38]),
        (52, 3, [0, 10, 20, 30, 40]),
    ],
)
def test_frames_of_kinetics_are_those_of_the_release(
    length: int, starts: int, offsets: list[int]
) -> None:
    """By hand from its rule: gap = min(length, 50) / 5, frame int(i * gap), start in 0 .. length -
    min(length, 50).
    """
    config, rng = dul_kinetics(Path("kinetics")).clips, np.random.default_rng(0)
    clips = [frame_indices(length, config, rng) for _ in range(100)]
    assert {clip[0] for clip in clips} == set(range(starts))
    assert all([frame - clip[0] for frame in clip] == offsets for clip in clips)


def test_a_video_shorter_than_a_clip_repeats_frames(tmp_path: Path) -> None:
    write_frames(tmp_path / "short", 2)
    reader = open_frames(tmp_path / "short")
    config = ClipConfig(
        frames=4, size=24, short_side=(24, 24), spacing="fraction", order="ascending", flip=False
    )
    clip = read_clip(reader, config, np.random.default_rng(0))
    assert torch.equal(clip[0], clip[1])
    assert torch.equal(clip[2], clip[3])
    assert not torch.equal(clip[0], clip[2])
    with pytest.raises(InputError, match="has 2 frames, fewer than the 4 of a clip"):
        read_clip(reader, replace(config, spacing="whole"), np.random.default_rng(0))


@settings(deadline=None, max_examples=100)
@given(
    st.integers(20, 900),
    st.integers(20, 900),
    st.sampled_from(["random", "centre"]),
    st.integers(0, 1000),
)
def test_crop_stays_inside_the_frame(width: int, height: int, crop: str, seed: int) -> None:
    config = ClipConfig(size=128, short_side=(128, 192), crop=crop)
    left, top, side = crop_box(width, height, config, np.random.default_rng(seed))
    assert left >= -1e-9
    assert top >= -1e-9
    assert left + side <= width + 1e-9
    assert top + side <= height + 1e-9


SMALL = ClipConfig(frames=3, gap=2, size=24, short_side=(24, 32))


def test_clip_depends_on_seed_epoch_and_video_alone(videos: Path) -> None:
    dataset = ClipDataset(open_source(videos), SMALL, seed=5)
    clip = dataset[2, 1]
    assert clip.frames.shape == (3, 3, 24, 24)
    assert clip.frames.dtype == torch.uint8
    assert torch.equal(clip.frames, ClipDataset(open_source(videos), SMALL, seed=5)[2, 1].frames)
    assert not torch.equal(clip.frames, dataset[3, 1].frames)
    assert not torch.equal(
        clip.frames, ClipDataset(open_source(videos), SMALL, seed=6)[2, 1].frames
    )


def test_centre_crop_without_flip_is_the_middle_of_the_frames(videos: Path) -> None:
    config = ClipConfig(frames=3, gap=1, size=40, short_side=(40, 40), crop="centre", flip=False)
    clip = read_clip(open_frames(videos / "video0"), config, np.random.default_rng(0))
    order = frame_indices(9, config, np.random.default_rng(0))
    expected = open_frames(videos / "video0").read(order)[:, :, 8:48]
    np.testing.assert_array_equal(clip.permute(0, 2, 3, 1).numpy(), expected)


def test_unusable_videos_are_passed_over_and_counted(videos: Path) -> None:
    write_frames(videos / "short", 2)
    (videos / "broken.mp4").write_text("no video")
    source = open_source(videos)
    dataset = ClipDataset(source, SMALL, seed=0)
    batch = dataset.collate([dataset[0, k] for k in range(len(source))])
    assert batch.frames.shape == (6, 3, 3, 24, 24)
    assert len(set(batch.skipped)) == 2
    assert any("short: has 2 frames, fewer than the 3" in reason for reason in batch.skipped)
    assert any("broken.mp4" in reason for reason in batch.skipped)


def test_stand_ins_are_drawn_at_random_and_are_not_in_the_batch(videos: Path) -> None:
    """A missing class of a sorted list must not make its successor come once for each of its
    videos.
    """
    for k in range(40):
        (videos / f"broken{k:02d}").mkdir()
        (videos / f"broken{k:02d}" / "00000.png").write_text("broken")
    for k in range(4, 20):
        write_frames(videos / f"video{k}", 9, seed=k)
    dataset = ClipDataset(open_source(videos), SMALL, seed=0)
    names = Counter(dataset[0, index].name for index in range(40))
    assert len(names) > 10
    assert max(names.values()) < 10
    assert [dataset[0, 3].name] * 2 == [
        dataset[0, 3].name,
        ClipDataset(dataset.source, SMALL, seed=0)[0, 3].name,
    ]
    batch = dataset.batch([(0, index) for index in (3, *range(41, 45))], beside=range(45, 59))
    assert Path(batch.names[0]).name in (
        "video0",
        "video9",
    )  # Those of the list that the step does not take.


def test_no_usable_video_is_an_error(tmp_path: Path) -> None:
    write_frames(tmp_path / "a" / "short", 2)
    with pytest.raises(InputError, match="none of the 1 videos can be used"):
        ClipDataset(open_source(tmp_path / "a"), SMALL, seed=0)[0, 0]


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 30), st.integers(1, 5), st.integers(1, 3), st.integers(1, 3), st.integers(0, 99)
)
def test_sampler_resumes_where_it_was_and_shares_between_ranks(
    videos: int, batch: int, epochs: int, ranks: int, seed: int
) -> None:
    if videos < batch * ranks:
        return
    whole = [
        list(ClipSampler(videos, batch, epochs, seed, rank=r, ranks=ranks)) for r in range(ranks)
    ]
    steps = len(ClipSampler(videos, batch, epochs, seed, ranks=ranks))
    assert all(len(batches) == steps == epochs * (videos // (batch * ranks)) for batches in whole)
    start = steps // 2
    assert (
        list(ClipSampler(videos, batch, epochs, seed, start=start, ranks=ranks)) == whole[0][start:]
    )
    for epoch in range(epochs):
        seen = [i for batches in whole for b in batches for e, i in b.keys if e == epoch]
        assert len(seen) == len(set(seen)), "a video appears once an epoch"


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10_000), st.floats(0.2, 1.0))
def test_theta_is_a_crop_inside_the_first_view(seed: int, low: float) -> None:
    theta = draw_theta(8, ViewConfig(zoom=(low, 1.0)), torch.Generator().manual_seed(seed))
    scale, shift = theta[:, [0, 1], [0, 1]], theta[:, :, 2]
    assert bool((scale.abs() >= low - 1e-6).all())
    assert bool((scale.abs() + shift.abs() <= 1 + 1e-5).all())
    assert torch.equal(scale[:, 0].abs(), scale[:, 1])
    assert bool((theta[:, 0, 1] == 0).all())


def ramp(batch: int, frames: int, height: int, width: int) -> torch.Tensor:
    """Frames whose channels are the normalised x and y coordinates of their pixels."""
    x = (torch.arange(width) + 0.5) / width * 2 - 1
    y = (torch.arange(height) + 0.5) / height * 2 - 1
    return torch.stack([x.expand(height, -1), y[:, None].expand(-1, width)]).expand(
        batch, frames, 2, -1, -1
    )


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(8, 40), st.integers(8, 40))
def test_warp_shows_the_place_that_theta_says_and_inverts(
    seed: int, height: int, width: int
) -> None:
    theta = draw_theta(3, ViewConfig(), torch.Generator().manual_seed(seed))
    coordinates = ramp(3, 2, height, width)
    second = warp(coordinates, theta)
    homogeneous = torch.cat([coordinates[:, 0], torch.ones(3, 1, height, width)], dim=1)
    expected = torch.einsum("bij,bjhw->bihw", theta, homogeneous)
    half = torch.tensor([1 / width, 1 / height]).view(2, 1, 1)
    inside = (
        (expected.abs() <= 1 - half).all(dim=1, keepdim=True).expand_as(expected)
    )  # the border is clamped
    for t in range(2):
        torch.testing.assert_close(second[:, t][inside], expected[inside], rtol=0, atol=1e-4)
    scale = theta[:, [0, 1], [0, 1]]
    back = torch.diag_embed(1 / scale)
    inverse = torch.cat([back, -(theta[:, :, 2] / scale)[:, :, None]], dim=2)
    product = torch.einsum("bij,bjk->bik", inverse[:, :, :2], theta[:, :, :2])
    torch.testing.assert_close(product, torch.eye(2).expand(3, 2, 2))
    once_more = warp(second, inverse)[:, 0]
    unclamped = (
        (coordinates[:, 0] - theta[:, :, 2, None, None]) / scale[:, :, None, None]
    ).abs() <= 1 - 2 * half
    clamped_out = warp(inside.float()[:, None], inverse)[:, 0] > 0.999
    visible = (unclamped.all(dim=1, keepdim=True) & clamped_out).expand_as(once_more)
    torch.testing.assert_close(once_more[visible], coordinates[:, 0][visible], rtol=0, atol=1e-4)


def test_one_transform_for_all_frames_of_a_clip() -> None:
    frames = torch.rand(2, 1, 3, 16, 16).expand(2, 4, 3, 16, 16)
    views = make_views(frames, ViewConfig(), torch.Generator().manual_seed(1))
    assert views.first is frames
    assert all(torch.equal(views.second[:, 0], views.second[:, t]) for t in range(4))
    assert not torch.equal(views.theta[0], views.theta[1])


def test_extraction_writes_small_frames_and_tells_what_it_skipped(
    movie: Path, videos: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad.mp4").write_text("no video")
    done = extract_frames(tmp_path, tmp_path / "out", short_side=24, workers=1)
    assert (done.written, done.kept) == (5, 0)
    (reason,) = done.skipped
    assert "bad.mp4" in reason
    assert open_frames(tmp_path / "out" / "movie").read([0]).shape == (1, 24, 32, 3)
    assert [v.name for v in open_paths(tmp_path / "out").videos] == [
        "movie",
        "video0",
        "video1",
        "video2",
        "video3",
    ]


def test_extraction_leaves_no_half_video_and_no_name_twice(videos: Path, tmp_path: Path) -> None:
    broken = videos / "video0" / "00004.png"
    broken.write_bytes(broken.read_bytes()[:200])
    (videos / "video1").rename(videos / "2024.1")
    (videos / "video2").rename(videos / "2024.2")
    out = tmp_path / "out"
    done = extract_frames(videos, out, short_side=24, workers=1)
    assert (done.written, len(done.skipped)) == (3, 1)
    assert sorted(file.name for file in out.iterdir()) == [
        "2024.1",
        "2024.2",
        "frames.json",
        "video3",
    ]


def test_a_worker_that_dies_costs_one_video(videos: Path, tmp_path: Path) -> None:
    long = write_frames(videos / "long", 300)
    out = tmp_path / "out"
    with worker_killed_once(out / ".long.part" / "00000.jpg"):
        done = extract_frames(videos, out, short_side=24, workers=1)
    assert done.written == 4
    (reason,) = done.skipped
    assert reason.startswith(f"{long}: its process died (exit status -9)")
    assert sorted(file.name for file in out.iterdir()) == [
        "frames.json",
        *(f"video{k}" for k in range(4)),
    ]


def test_extraction_goes_on_and_is_shared(videos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    os.mkfifo(videos / "pipe.mp4")  # reading it would never end
    write_frames(out / ".video2.part", 1)  # of a run that was killed
    first = extract_frames(videos, out, short_side=24, shard="1/2", workers=1, timeout=3)
    assert (first.written, first.kept) == (2, 0)
    (reason,) = first.skipped
    assert reason.startswith(f"{videos / 'pipe.mp4'}: gave nothing for 3 s")
    assert sorted(file.name for file in out.glob("*/")) == [".video2.part", "video1", "video3"]

    before = (out / "video1" / "00000.jpg").stat().st_mtime_ns
    (videos / "pipe.mp4").unlink()
    again = extract_frames(videos, out, short_side=24, workers=1)
    assert (again.written, again.kept, again.skipped) == (2, 2, ())
    assert (out / "video1" / "00000.jpg").stat().st_mtime_ns == before
    assert sorted(file.name for file in out.glob("*/")) == [f"video{k}" for k in range(4)]
    assert len(list((out / "video2").iterdir())) == 9

    with pytest.raises(
        InputError, match=r"its frames were made with another short_side \(frames\.json\)"
    ):
        extract_frames(videos, out, short_side=32)
    with pytest.raises(InputError, match="--shard 1/2: with --overwrite it would delete"):
        extract_frames(videos, out, short_side=24, shard="1/2", overwrite=True)


def test_extraction_refuses_before_it_touches_the_output(videos: Path, tmp_path: Path) -> None:
    old = write_frames(tmp_path / "old", 1)
    for source, options, reason in (
        (videos, {"short_side": 0}, "--short-side 0"),
        (videos, {"short_side": 24, "workers": 0}, "--workers 0"),
        (tmp_path / "nowhere", {"short_side": 24}, "no such data folder"),
        (old, {"short_side": 24}, "--overwrite would delete"),
    ):
        with pytest.raises(InputError, match=reason):
            extract_frames(source, old, overwrite=True, **options)
    assert len(list(old.iterdir())) == 1


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
def test_images_stand_as_their_exif_says(tmp_path: Path, orientation: int, suffix: str) -> None:
    """Every orientation: stored so that it comes out as the picture that viewers show, its mask and
    its size alike.
    """
    shown = np.zeros((48, 64, 3), np.uint8)
    shown[:16, :32] = 255
    back = {
        2: "FLIP_LEFT_RIGHT",
        3: "ROTATE_180",
        4: "FLIP_TOP_BOTTOM",
        5: "TRANSPOSE",
        6: "ROTATE_90",
    }
    back |= {7: "TRANSVERSE", 8: "ROTATE_270"}
    stored = Image.fromarray(shown)
    if orientation > 1:
        stored = stored.transpose(Image.Transpose[back[orientation]])
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = tmp_path / f"frame.{suffix}"
    stored.save(file, exif=exif)
    assert image_header(file)[0] == shown.shape[:2]
    assert abs(read_image(file).astype(int) - shown).mean() < 4

    if suffix == "png":
        stored.convert("L").save(file, exif=exif)
        np.testing.assert_array_equal(read_mask(file), shown[..., 0])


def test_a_damaged_exif_block_does_not_lose_the_picture(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8), (200, 0, 0)).save(
        tmp_path / "a.png", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff\xff"
    )
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), np.full((8, 8, 3), (200, 0, 0)))


GREY = np.arange(20, 236, dtype=np.uint8).reshape(12, 18)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("8.png", GREY.astype(np.uint16)),
        ("10.png", GREY.astype(np.uint16) * 4),
        ("12.png", GREY.astype(np.uint16) * 16),
        ("14.png", GREY.astype(np.uint16) * 64),
        ("16.png", GREY.astype(np.uint16) * 256),
        ("8.tif", GREY.astype(np.int32)),
        ("20.tif", GREY.astype(np.int32) * 4096),
        ("1.tif", GREY.astype(np.float32) / 255),
        ("255.tif", GREY.astype(np.float32)),
    ],
)
def test_deep_grey_is_scaled_by_its_bits(tmp_path: Path, name: str, values: np.ndarray) -> None:
    Image.fromarray(values).save(tmp_path / name)
    np.testing.assert_array_equal(
        read_image(tmp_path / name), np.repeat(GREY[..., None], 3, axis=2)
    )


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (GREY.astype(np.int32) - 40, "from -20 to 195"),
        (GREY.astype(np.float32) * 4, "up to 940"),
        (np.where(GREY == 99, np.nan, GREY).astype(np.float32), "from nan to nan"),
    ],
)
def test_grey_of_no_known_range_is_refused_with_what_was_found(
    tmp_path: Path, values, reason: str
) -> None:
    Image.fromarray(values).save(tmp_path / "frame.tif")
    with pytest.raises(InputError, match=rf"frame\.tif: .*grey values {reason}; scale them"):
        read_image(tmp_path / "frame.tif")


def test_deep_grey_frames_of_one_video_are_scaled_alike(tmp_path: Path) -> None:
    """A dark frame of a 12-bit video stays dark, whichever frames are read with it."""
    for t, brightest in enumerate((0, 200, 900, 4000)):
        Image.fromarray(np.full((8, 8), brightest, np.uint16)).save(tmp_path / f"{t}.png")
    assert open_frames(tmp_path).read([1])[0].max() == 200 >> 4
    assert open_frames(tmp_path).read([0, 1, 2, 3]).max(axis=(1, 2, 3)).tolist() == [0, 12, 56, 250]


def test_names_of_any_encoding(videos: Path, tmp_path: Path) -> None:
    """A folder named in Latin-1, found in a folder or in a list that holds the same bytes."""
    name = os.fsdecode(b"caf\xe9")
    (videos / "video0").rename(videos / name)
    (tmp_path / "list.txt").write_bytes(b"data/caf\xe9\ndata/video1\n")
    found, listed = open_paths(videos), open_paths(tmp_path / "list.txt")
    assert found.names[0] == listed.names[0] == name
    assert len(found.identity()) == len(listed.identity()) == 64
    assert len(listed.open(0)) == 9


def test_lists_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes(b"\x89PNG\0\0")
    with pytest.raises(InputError, match=r"list\.txt: is not a text file"):
        open_paths(tmp_path / "list.txt")


class Failing:
    """Videos of a source, of which the first raises an error of its own when it is opened."""

    def __init__(self, source: PathSource, error: Exception):
        self.source, self.error = source, error

    def __len__(self) -> int:
        return len(self.source)

    def title(self, index: int) -> str:
        return self.source.title(index)

    def open(self, index: int) -> FrameReader:
        if index == 0:
            raise self.error
        return self.source.open(index)


@pytest.mark.parametrize(
    "error", [ValueError("all input arrays\nmust"), StopIteration(), MemoryError(), KeyError("a")]
)
def test_a_video_is_left_out_by_name_whatever_its_reader_raises(
    videos: Path, error: Exception
) -> None:
    clips = ClipDataset(
        Failing(open_paths(videos), error),
        ClipConfig(frames=2, size=32, short_side=(32, 40)),
        seed=0,
    )
    started: list[str] = []
    clips.on_read = started.append
    clip = clips[0, 0]
    (reason,) = clip.skipped
    assert reason.startswith(f"{videos}/video0: cannot be read ({type(error).__name__}")
    assert len(reason.splitlines()) == 1
    assert len(started) == len(set(started)) == 2  # The second stands in for the first.
    assert started == [f"{videos}/video0", clip.name]


def test_an_error_of_the_run_is_not_the_videos(videos: Path) -> None:
    clips = ClipDataset(Failing(open_paths(videos), RunError("stop")), ClipConfig(), seed=0)
    with pytest.raises(RunError, match="stop"):
        clips[0, 0]
