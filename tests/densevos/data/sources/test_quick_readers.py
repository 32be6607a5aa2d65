"""Decoders of video files: the same frames bit for bit, whichever reads them and in whatever
order.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from densevos.base.errors import InputError
from densevos.data.sources import video
from densevos.data.sources.quick_readers import (
    DecordReader,
    MemoryReader,
    QuickReader,
    TorchcodecReader,
    read_ascending,
)
from densevos.data.sources.source import iterate_frames
from densevos.data.sources.video import loading_problem, open_frames, quick_readers
from densevos.data.sources.video_file import AvReader
from densevos.data.sources.video_proof import proved_times
from tests.densevos.data.sources.test_video_file import OPEN_GOP, X264, encode, ffmpeg, numbers

ORDER = [31, 2, 59, 17, 2, 30]
QUICK = [
    DecordReader,
    pytest.param(
        TorchcodecReader, marks=pytest.mark.skipif("loading_problem('torchcodec') is not None")
    ),
]
PIXELS = ["yuv420p", "yuvj420p", "yuv444p", "yuv420p10le"]


@pytest.fixture(scope="module")
def movie(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return encode(
        tmp_path_factory.mktemp("movie") / "movie.mp4",
        *X264,
        "-g",
        "12",
        "-bf",
        "3",
        size=(50, 114),
    )


@pytest.mark.parametrize("quick", QUICK)
@pytest.mark.parametrize("turn", [None, "90"])
def test_decoders_agree_on_every_bit(
    movie: Path, tmp_path: Path, quick: type[QuickReader], turn: str | None
) -> None:
    if turn:
        ffmpeg("-display_rotation", turn, "-i", movie, "-c", "copy", tmp_path / "turned.mov")
        movie = tmp_path / "turned.mov"
    reader, expected = quick(movie), AvReader(movie)
    frames = reader.read(ORDER)
    assert frames.dtype == np.uint8
    np.testing.assert_array_equal(frames, expected.read(ORDER))
    np.testing.assert_allclose(reader.seconds(), expected.seconds(), atol=1e-5)
    assert reader.names == expected.names


@pytest.mark.parametrize("quick", QUICK)
def test_frames_are_decoded_in_ascending_order_and_put_back(
    movie: Path, quick: type[QuickReader]
) -> None:
    reader = quick(movie)
    assert numbers(reader.read(ORDER)) == ORDER
    ascending, places = np.unique(ORDER, return_inverse=True)
    np.testing.assert_array_equal(reader.read(ORDER), quick(movie).read(ascending.tolist())[places])


def test_each_frame_is_asked_for_once() -> None:
    asked: list[list[int]] = []

    def decode(ascending: list[int]) -> np.ndarray:
        asked.append(ascending)
        return np.array(ascending)

    assert read_ascending(decode, [5, 1, 5, 9]).tolist() == [5, 1, 5, 9]
    assert read_ascending(decode, range(3)).tolist() == [0, 1, 2]
    assert asked == [[1, 5, 9], [0, 1, 2]]


@pytest.mark.parametrize("quick", QUICK)
@pytest.mark.parametrize("pixels", PIXELS)
def test_whole_videos_are_the_frames_that_are_read(
    tmp_path: Path, quick: type[QuickReader], pixels: str
) -> None:
    path = encode(
        tmp_path / "movie.mp4", "-c:v", "libx264", "-pix_fmt", pixels, frames=14, size=(50, 114)
    )
    reader = quick(path)
    np.testing.assert_array_equal(np.stack(list(iterate_frames(reader))), reader.read(range(14)))


@pytest.mark.parametrize("quick", QUICK)
@pytest.mark.parametrize("place", [0.3, 0.5, 0.8])
def test_damaged_videos_are_read_whole_or_refused_by_name(
    movie: Path, tmp_path: Path, quick: type[QuickReader], place: float
) -> None:
    content = bytearray(movie.read_bytes())
    content[int(place * len(content))] ^= 255
    path = tmp_path / "damaged.mp4"
    path.write_bytes(content)
    reader, count, refused = quick(path), 0, ""
    try:
        for _ in iterate_frames(reader):
            count += 1
    except InputError as error:
        refused = str(error)
    assert count == len(reader) or refused.startswith(f"{path}: ")


@pytest.mark.parametrize("quick", QUICK)
def test_content_in_memory_is_read_like_its_file(movie: Path, quick: type[QuickReader]) -> None:
    reader = quick("shard.tar:movie", movie.read_bytes())
    np.testing.assert_array_equal(reader.read(ORDER), quick(movie).read(ORDER))
    np.testing.assert_allclose(reader.seconds(), quick(movie).seconds(), atol=1e-5)
    assert sum(1 for _ in reader.in_order()) == len(reader)
    with pytest.raises(InputError, match=r"^shard\.tar:movie: video cannot be decoded"):
        quick("shard.tar:movie", b"no video" * 100)


def test_content_that_decoders_open_and_cannot_read_is_read_in_order(
    movie: Path, tmp_path: Path
) -> None:
    narrow = encode(tmp_path / "narrow.mp4", *X264, frames=6, size=(32, 16))
    reader = DecordReader("shard.tar:narrow", narrow.read_bytes())
    np.testing.assert_array_equal(reader.read([5, 0, 3]), AvReader(narrow).read([5, 0, 3]))
    for wrong in (60, -1):
        with pytest.raises(IndexError, match=f"^a: there is no frame {wrong};"):
            MemoryReader("a", movie.read_bytes()).read([0, wrong])
    with pytest.raises(InputError, match=r"^a: video cannot be decoded"):
        MemoryReader("a", b"none")


@pytest.mark.parametrize(("asked", "reader"), [("decord", DecordReader), ("pyav", AvReader)])
def test_the_decoder_may_be_asked_for(
    movie: Path, monkeypatch: pytest.MonkeyPatch, asked: str, reader: type
) -> None:
    monkeypatch.setenv(video.READER, asked)
    assert type(open_frames(movie)) is reader


@pytest.mark.skipif("loading_problem('torchcodec') is not None")
def test_torchcodec_reads_where_it_loads_and_only_what_is_proved(
    movie: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    assert type(open_frames(movie)) is TorchcodecReader
    unproved = encode(tmp_path / "open.mp4", *OPEN_GOP)
    assert proved_times(unproved) is None
    monkeypatch.setenv(video.READER, "torchcodec")
    assert type(open_frames(movie)) is TorchcodecReader
    assert type(open_frames(unproved)) is AvReader
    monkeypatch.delenv(video.READER)
    monkeypatch.delitem(sys.modules, torch.__name__)
    assert quick_readers() == [DecordReader]


def test_a_decoder_that_is_unknown_or_does_not_load_is_one_line(
    movie: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(video.READER, "ffmpeg")
    with pytest.raises(
        InputError, match=r"^DENSEVOS_READER=ffmpeg: is no decoder; give auto, torchcodec, decord"
    ):
        open_frames(movie)
    monkeypatch.setenv(video.READER, "torchcodec")
    monkeypatch.setattr(video, "loading_problem", lambda name: "no module")
    with pytest.raises(
        InputError, match=r"^DENSEVOS_READER=torchcodec: does not load \(no module\); install it"
    ):
        open_frames(movie)
    monkeypatch.delenv(video.READER)
    assert type(open_frames(movie)) is AvReader


def test_why_a_decoder_does_not_load(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(module: str) -> Sequence[object]:
        raise RuntimeError("\n  Could not load libtorchcodec\nmore lines")

    monkeypatch.setattr(video, "import_module", fails)
    assert loading_problem.__wrapped__("torchcodec") == "RuntimeError: Could not load libtorchcodec"
