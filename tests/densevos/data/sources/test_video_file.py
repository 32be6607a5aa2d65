"""Frames of video files that carry their own number: whichever are asked for, in whatever
container.
"""

import os
import random
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest

from densevos.base.errors import InputError
from densevos.data.sources import video_index
from densevos.data.sources.open import open_paths
from densevos.data.sources.quick_readers import DecordReader
from densevos.data.sources.source import frame_rate, iterate_frames
from densevos.data.sources.video import READER, open_frames
from densevos.data.sources.video_file import AvReader

BITS = 7
FRAMES = 60
X264 = ("-c:v", "libx264", "-pix_fmt", "yuv420p")
X265 = ("-c:v", "libx265", "-pix_fmt", "yuv420p", "-x265-params")
OPEN_GOP = (*X264, "-x264-params", "open-gop=1:keyint=12:min-keyint=12:bframes=3:scenecut=0")
XVID = ("-c:v", "mpeg4", "-vtag", "xvid", "-q:v", "2", "-g", "12", "-bf", "2")
MJPEG = ("-c:v", "mjpeg", "-q:v", "2", "-pix_fmt", "yuvj420p")
MPEG2 = ("-c:v", "mpeg2video", "-q:v", "2", "-g", "12", "-bf", "2")


def numbered(number: int, height: int = 48, width: int = 112) -> np.ndarray:
    """A frame of BITS upright bars, which are the bits of its number."""
    bits = number >> np.arange(BITS) & 1
    row = np.repeat(np.where(bits, 220, 30), -(-width // BITS))[:width]
    return np.broadcast_to(row[None, :, None], (height, width, 3)).astype(np.uint8)


def number_of(frame: np.ndarray) -> int:
    """The number that a frame of `numbered` carries."""
    bars = np.array_split(frame.mean(axis=(0, 2)), BITS)
    return sum(
        int(bar[len(bar) // 4 : -(len(bar) // 4)].mean() > 125) << bit
        for bit, bar in enumerate(bars)
    )


def numbers(frames: Sequence[np.ndarray] | np.ndarray) -> list[int]:
    return [number_of(frame) for frame in frames]


def ffmpeg(*arguments: str | Path, stdin: bytes | None = None) -> None:
    """Run FFmpeg; skip the test where it was built without what is asked for."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-v", "error", *map(str, arguments)]
    done = subprocess.run(command, input=stdin, capture_output=True, check=False)
    if b"Unknown encoder" in done.stderr:
        pytest.skip("this FFmpeg lacks the encoder")
    assert done.returncode == 0, done.stderr.decode()


def encode(
    path: Path,
    *arguments: str,
    frames: int = FRAMES,
    size: tuple[int, int] = (48, 112),
    rate: int = 25,
) -> Path:
    """A video of frames that carry their number."""
    raw = b"".join(numbered(number, *size).tobytes() for number in range(frames))
    source = (
        "-f",
        "rawvideo",
        "-pix_fmt",
        "rgb24",
        "-s",
        f"{size[1]}x{size[0]}",
        "-r",
        str(rate),
        "-i",
        "-",
    )
    ffmpeg(*source, *arguments, path, stdin=raw)
    return path


def check_any_order(path: Path) -> list[int]:
    """Assert that every way to ask gives the frames that come in order; their numbers."""
    in_order = np.stack(list(iterate_frames(open_frames(path))))
    count, rng, reader = len(in_order), random.Random(0), open_frames(path)
    asked = [rng.sample(range(count), 4) for _ in range(4)]
    asked += [[start + 3 * i for i in (2, 0, 3, 1)] for start in rng.sample(range(count - 9), 4)]
    asked += [[count - 1], [count // 2, 0, count // 2]]
    for indices in asked:
        np.testing.assert_array_equal(open_frames(path).read(indices), in_order[indices])
        np.testing.assert_array_equal(reader.read(indices), in_order[indices])
    return numbers(in_order)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("defaults.mp4", X264),
        ("short.mp4", (*X264, "-g", "2", "-bf", "3")),
        ("open.mp4", OPEN_GOP),
        ("open.mkv", OPEN_GOP),
        ("open.ts", OPEN_GOP),
        ("refresh.mp4", (*X264, "-x264-params", "intra-refresh=1:keyint=12")),
        ("camera.m2ts", (*X264, "-g", "12", "-bf", "3")),
        ("h264.avi", (*X264, "-g", "12", "-bf", "3")),
        ("h264.flv", (*X264, "-g", "12")),
        ("raw.h264", (*X264, "-g", "12")),
        ("open_hevc.mp4", (*X265, "log-level=0:keyint=12:min-keyint=12:bframes=4")),
        ("closed_hevc.mkv", (*X265, "log-level=0:keyint=12:open-gop=0")),
        ("leading_hevc.mp4", (*X265, "log-level=0:keyint=12:open-gop=0:radl=2:bframes=4")),
        ("xvid.avi", XVID),
        ("b_frames.mp4", ("-c:v", "mpeg4", "-q:v", "2", "-g", "12", "-bf", "2")),
        ("mpeg1.mpg", ("-c:v", "mpeg1video", "-q:v", "2")),
        ("mpeg2.vob", MPEG2),
        ("mpeg2.mxf", MPEG2),
        ("wmv.wmv", ("-c:v", "wmv2", "-q:v", "2")),
        (
            "vp8.webm",
            (
                "-c:v",
                "libvpx",
                "-b:v",
                "1M",
                "-auto-alt-ref",
                "1",
                "-lag-in-frames",
                "16",
                "-g",
                "30",
            ),
        ),
        ("vp9.webm", ("-c:v", "libvpx-vp9", "-b:v", "1M", "-g", "30", "-cpu-used", "8")),
        ("mjpeg.avi", MJPEG),
        ("theora.ogv", ("-c:v", "libtheora", "-q:v", "8")),
        ("loop.gif", ()),
        ("mono.mov", ("-c:v", "png", "-pix_fmt", "monob")),
    ],
)
def test_frames_are_those_asked_for(tmp_path: Path, name: str, arguments: tuple[str, ...]) -> None:
    path = encode(tmp_path / name, *arguments)
    assert check_any_order(path) == list(range(FRAMES))
    assert open_paths(path).videos == (path,)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
@pytest.mark.parametrize("arguments", [(*X264, "-g", "12"), OPEN_GOP, MPEG2])
def test_cuts_without_encoding_hold_no_frame_twice(
    tmp_path: Path, suffix: str, arguments: tuple[str, ...]
) -> None:
    encode(tmp_path / "whole.mkv", *arguments)
    cut = tmp_path / f"cut.{suffix}"
    ffmpeg("-ss", "0.9", "-i", tmp_path / "whole.mkv", "-t", "1.2", "-c", "copy", cut)
    if (suffix, arguments) == ("ts", OPEN_GOP):
        with pytest.raises(InputError, match=r"cut\.ts"):  # It holds no frame that stands alone.
            open_frames(cut)
    else:
        found = check_any_order(cut)
        assert found == sorted(set(found))


def test_times_of_decoding_are_not_taken_for_times_of_showing(tmp_path: Path) -> None:
    encode(tmp_path / "no_times.avi", *X264, "-g", "12", "-bf", "3")
    ffmpeg("-i", tmp_path / "no_times.avi", "-c", "copy", tmp_path / "made_up_times.mp4")
    assert check_any_order(tmp_path / "made_up_times.mp4") == list(range(FRAMES))


def test_recordings_may_start_between_key_frames(tmp_path: Path) -> None:
    stream = encode(tmp_path / "whole.ts", *X264, "-g", "12").read_bytes()
    (tmp_path / "tuned_in.ts").write_bytes(stream[188 * (len(stream) // 188 // 3) :])
    found = check_any_order(tmp_path / "tuned_in.ts")
    assert found == list(range(found[0], FRAMES))
    assert 12 < found[0] < 48


@pytest.mark.parametrize(
    ("name", "arguments", "reader"),
    [
        ("defaults.mp4", X264, DecordReader),
        ("no_b_frames.mkv", (*X264, "-bf", "0"), DecordReader),
        (
            "vp9.webm",
            ("-c:v", "libvpx-vp9", "-b:v", "1M", "-g", "30", "-cpu-used", "8"),
            DecordReader,
        ),
        ("open.mp4", OPEN_GOP, AvReader),
        ("refresh.mp4", (*X264, "-x264-params", "intra-refresh=1:keyint=12"), AvReader),
        ("xvid.avi", XVID, AvReader),
    ],
)
def test_decord_reads_only_what_is_proved(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    arguments: tuple[str, ...],
    reader: type,
) -> None:
    monkeypatch.setenv(READER, "decord")
    assert type(open_frames(encode(tmp_path / name, *arguments))) is reader


def test_avi_has_the_times_of_its_rate(tmp_path: Path) -> None:
    reader = open_frames(encode(tmp_path / "clip.avi", *XVID, rate=10))
    seconds = reader.seconds()
    assert seconds is not None
    np.testing.assert_allclose(seconds - seconds[0], np.arange(FRAMES) / 10, atol=1e-6)
    assert frame_rate(reader) == pytest.approx(10)


@pytest.mark.parametrize("width", [16, 24, 48])
def test_narrow_videos_are_read_by_the_other_decoder(tmp_path: Path, width: int) -> None:
    path = encode(tmp_path / "narrow.mp4", *X264, frames=4, size=(32, width))
    frames = open_frames(path).read([3, 0])
    assert frames.shape == (2, 32, width, 3)
    np.testing.assert_array_equal(frames, AvReader(path).read([3, 0]))


@pytest.mark.parametrize(
    "name", ["12:30:05", "http:x", "100%03d", "a#b?c", os.fsdecode(b"caf\xe9")]
)
@pytest.mark.parametrize("suffix", [".mp4", ".avi"])
def test_names_of_any_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, suffix: str
) -> None:
    video = encode(tmp_path / f"video{suffix}", *(X264 if suffix == ".mp4" else XVID), frames=4)
    monkeypatch.chdir(tmp_path)
    shutil.copy(video, name + suffix)
    assert numbers(open_frames(name + suffix).read([2, 0])) == [2, 0]


@pytest.mark.parametrize("suffix", [".mp4", ".avi"])
def test_tags_in_any_encoding(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"tagged{suffix}"
    encode(path, *(X264 if suffix == ".mp4" else XVID), "-metadata", "title=TITLE", frames=4)
    path.write_bytes(path.read_bytes().replace(b"TITLE", b"\xe9\xff\xfe\xe8\xe9"))
    assert numbers(open_frames(path).read([2, 0])) == [2, 0]


@pytest.mark.parametrize(("suffix", "arguments"), [(".ts", X264), (".avi", MJPEG)])
def test_frames_that_change_size_are_refused_by_name(
    tmp_path: Path, suffix: str, arguments: tuple[str, ...]
) -> None:
    large = encode(tmp_path / f"large{suffix}", *arguments, frames=6)
    small = encode(tmp_path / f"small{suffix}", *arguments, frames=6, size=(32, 56))
    both = tmp_path / f"both{suffix}"
    if (
        suffix == ".ts"
    ):  # Streams are made to be joined so, and some FFmpegs crash when they join them.
        both.write_bytes(large.read_bytes() + small.read_bytes())
    else:
        (tmp_path / "list").write_text(f"file {large.name}\nfile {small.name}\n")
        ffmpeg("-f", "concat", "-i", tmp_path / "list", "-c", "copy", both)
    with pytest.raises(
        InputError, match=r"both\.\w+: frames change from 112x48 to 56x32 at frame 00006"
    ):
        open_frames(both)


@pytest.mark.parametrize(
    ("name", "arguments"), [("a.mp4", X264), ("a.mkv", OPEN_GOP), ("a.ts", X264), ("a.avi", XVID)]
)
def test_damaged_files_are_read_or_refused(
    tmp_path: Path, name: str, arguments: tuple[str, ...]
) -> None:
    sound = encode(tmp_path / name, *arguments).read_bytes()
    rng = random.Random(0)
    for attempt in range(6):
        damaged = bytearray(sound[: rng.randrange(len(sound) // 2, len(sound))])
        for _ in range(3 * attempt):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        path = tmp_path / f"{attempt}{name}"
        path.write_bytes(damaged)
        try:
            reader = open_frames(path)
            frames = reader.read([len(reader) - 1, 0])
        except InputError as error:
            refused = str(error)
        else:
            refused = ""
            assert len(frames) == 2
        assert not refused or path.name in refused


def test_streams_without_a_known_codec_are_refused(tmp_path: Path) -> None:
    path = encode(tmp_path / "odd.mp4", *X264, frames=4)
    path.write_bytes(path.read_bytes().replace(b"avc1", b"qqqq"))
    with pytest.raises(InputError, match=f"^{re.escape(str(path))}: holds no video"):
        open_frames(path)


def test_a_file_is_decoded_through_only_once_until_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, passes = encode(tmp_path / "clip.avi", *XVID, frames=8), []
    decoded = video_index.decoded
    monkeypatch.setattr(
        video_index, "decoded", lambda *opened: passes.append(1) or decoded(*opened)
    )
    for _ in range(3):
        assert len(open_frames(path)) == 8
    assert len(passes) == 1
    encode(path, *XVID, frames=5)
    assert len(open_frames(path)) == 5


def test_folders_hold_videos_of_all_suffixes(tmp_path: Path) -> None:
    names = [
        f"video.{suffix}"
        for suffix in ("3gp", "TS", "mts", "m2ts", "mxf", "gif", "ogv", "asf", "vob", "rm", "y4m")
    ]
    for name in [*names, "notes.txt"]:
        (tmp_path / name).touch()
    assert sorted(video.name for video in open_paths(tmp_path).videos) == sorted(names)
