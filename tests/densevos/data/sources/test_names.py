"""Names of frames, folders and lists: their order, and which of them are no videos."""

from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from densevos.base.errors import InputError
from densevos.base.masks import write_mask
from densevos.base.names import frame_order
from densevos.data.sources.frame_folder import FolderReader
from densevos.data.sources.open import open_paths
from densevos.data.sources.source import iterate_frames
from tests.densevos.conftest import write_frames


@pytest.fixture
def movie(tmp_path: Path) -> Path:
    """A video file of two frames."""
    iio.imwrite(tmp_path / "movie.mp4", np.zeros((2, 48, 64, 3), np.uint8), fps=12, codec="libx264")
    return tmp_path / "movie.mp4"


def make_folder(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.mark.parametrize(
    "names",
    [
        ["1", "2", "9", "10", "11", "100"],
        ["img (1)", "img (2)", "img (10)"],
        ["clip.mp4.8", "clip.mp4.9", "clip.mp4.10"],
        ["frame2_left", "frame10_left"],
        ["0.25", "0.5", "9.0", "10.0"],
        ["1305031102.175304", "1305031102.211214"],
        ["99998", "99999", "100000", "100001"],  # our own frames of a long video
        ["a-0001", "a-0002", "a0001", "a0002", "b"],  # padded: as text
    ],
)
def test_frames_are_ordered_by_number(names: list[str], tmp_path: Path) -> None:
    for value, name in enumerate(names):
        Image.new("L", (4, 4), value).save(tmp_path / f"{name}.png")
    reader = FolderReader(tmp_path)
    assert reader.names == names
    assert [frame[0, 0, 0] for frame in iterate_frames(reader)] == list(range(len(names)))


@given(st.lists(st.text("ab-_. ", max_size=3), min_size=2, max_size=6), st.integers(1, 6))
def test_padded_names_keep_the_order_of_text(heads: list[str], width: int) -> None:
    names = [f"{head}{number:0{width}d}.png" for head in heads for number in (9, 0, 5)]
    assert sorted(names, key=frame_order) == sorted(names)


def test_two_frames_of_one_name_are_refused(videos: Path) -> None:
    frame = videos / "video0" / "00003.png"
    Image.open(frame).save(frame.with_suffix(".JPG"))
    with pytest.raises(InputError, match=r"00003\.png: has the name of 00003\.JPG"):
        FolderReader(videos / "video0")


@pytest.mark.parametrize("name", [".ipynb_checkpoints", "__MACOSX", "@eaDir", "$RECYCLE.BIN"])
def test_what_a_system_left_behind_is_no_video(name: str, videos: Path) -> None:
    write_frames(videos / name / "video0", 3)
    Image.new("RGB", (4, 4)).save(videos / "video0" / "._00000.png")
    (videos / "video1" / "Thumbs.db").touch()
    (videos / "video2" / "00000.png.png").mkdir()
    source = open_paths(videos)
    assert [video.name for video in source.videos] == ["video0", "video1", "video2", "video3"]
    assert [len(source.open(index)) for index in range(4)] == [9] * 4


def test_images_that_are_no_frames_are_left_out_with_a_note(videos: Path, movie: Path) -> None:
    movie.rename(videos / "movie.mp4")
    for thumbnail in ("movie", "other"):
        Image.new("RGB", (4, 4)).save(videos / f"{thumbnail}.jpg")
    (videos / "more").mkdir()
    (videos / "video3").rename(videos / "more" / "clip")
    Image.new("RGB", (4, 4)).save(videos / "more" / "clip.jpg")
    write_mask(make_folder(videos / "Annotations_2017" / "480p" / "cat") / "00000.png", np.eye(4))
    write_mask(make_folder(videos / "video1" / "Ground-Truth") / "00000.png", np.eye(4))
    write_mask(make_folder(videos / "odd") / "00000.png", np.eye(4))
    Image.new("RGB", (4, 4)).save(videos / "video2" / "00000_old.JPEG")
    with pytest.warns(UserWarning, match="left out|take .* out"):
        source = open_paths(videos)
    assert [video.name for video in source.videos] == [
        "clip",
        "movie.mp4",
        "odd",
        "video0",
        "video1",
        "video2",
    ]
    said = sorted(source.notes)
    assert len(said) == 5
    assert f"{videos}: images beside video files are left out" in said[4]
    assert f"{videos / 'more'}: images beside folders, a single one or those named" in said[1]
    masks = f"{videos / 'Annotations_2017' / '480p' / 'cat'}, {videos / 'video1' / 'Ground-Truth'}: masks are left out"
    assert masks in said[0]
    assert f"{videos / 'video2'}: holds images of several formats" in said[3]
    assert f"{videos / 'odd'}: holds indexed images, which look like masks" in said[2]


def test_many_numbered_images_beside_their_video_are_frames(videos: Path, movie: Path) -> None:
    movie.rename(videos / "video0" / "movie.mp4")
    with pytest.warns(
        UserWarning, match="video0: numbered images beside video files are used as frames"
    ):
        source = open_paths(videos / "video0")
    assert source.videos == (videos / "video0", videos / "video0" / "movie.mp4")


def test_jpegs_in_a_folder_called_masks_are_frames(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(make_folder(tmp_path / "masks") / "0.jpg")
    assert open_paths(tmp_path).videos == (tmp_path / "masks",)


@pytest.mark.parametrize(
    "content",
    [
        b"movie.mp4 0\ndata/my clip 4 1\n",
        b"movie.mp4,0\n'data/my clip',4\n",
        b"path,label\n  # a comment\nmovie.mp4\t7\ndata/my clip;2\n",
        "movie.mp4\r\ndata/my clip\r\n".encode("utf-16"),  # as PowerShell writes it
    ],
)
def test_the_first_column_of_a_list_counts(content: bytes, videos: Path, movie: Path) -> None:
    (videos / "video0").rename(videos / "my clip")
    listed = movie.with_name("list.txt")
    listed.write_bytes(content)
    assert open_paths(listed).videos == (movie, videos / "my clip")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("label,youtube_id,split\nabseiling,abc,train\n", "one folder or video file a line"),
        ("video9 3\n", "lists .*video9 3, which does not exist"),
        ("path,label\nvideo9,3\n", "lists .*video9,3, which does not exist"),
        ("data/video1/00000.png\n", "lists the image .*; list its folder, .*video1"),
    ],
)
def test_lists_that_say_no_video_are_refused(content: str, reason: str, videos: Path) -> None:
    listed = videos.with_name("list.csv")
    listed.write_text(content)
    with pytest.raises(InputError, match=reason):
        open_paths(listed)
