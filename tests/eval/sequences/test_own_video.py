"""One's own video: which frames are used, which masks belong to them, and what is written."""

import shutil
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import torch
from PIL import Image

from densevos.base import console
from densevos.base.errors import InputError
from densevos.base.masks import read_mask, write_mask
from densevos.data.sources.source import frame_rate
from densevos.data.sources.video import open_frames
from densevos.data.synthetic.sequences import SyntheticConfig, make_sequence
from densevos_eval import cli
from densevos_eval.sequences.own_video import own_video
from densevos_eval.sequences.sequence import read_given
from tests.eval.conftest import write_frames

FRAMES = 10
ENCODER = ("--encoder", "random:resnet18", "--device", "cpu", "--layer", "res3")


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Ten frames of 48x64, five of them a second, and first.png and masks/ beside it."""
    sequence = make_sequence(4, SyntheticConfig(height=48, width=64, frames=FRAMES))
    iio.imwrite(
        tmp_path / "clip.mp4",
        np.asarray(sequence.frames),
        fps=5,
        codec="libx264",
        macro_block_size=2,
    )
    write_mask(tmp_path / "first.png", sequence.masks[0])
    (tmp_path / "masks").mkdir()
    for name, t in {"00002": 2, "7": 7}.items():
        write_mask(tmp_path / "masks" / f"{name}.png", sequence.masks[t])
    return tmp_path / "clip.mp4"


def evaluator(*arguments: object) -> int:
    return console.run(lambda: cli.dispatch([str(a) for a in arguments]))


@pytest.mark.parametrize(
    ("start", "end", "first", "last"),
    [
        (None, None, 0, 9),
        ("3", None, 3, 9),
        ("00003", "5", 3, 5),
        ("0.6s", "1s", 3, 5),
        ("0.5s", "1.15s", 3, 5),
    ],
)
def test_start_and_end(
    clip: Path, start: str | None, end: str | None, first: int, last: int
) -> None:
    sequence = own_video(clip, clip.parent / "first.png", start=start, end=end)
    assert sequence.name == "clip"
    assert sequence.frame_names == tuple(f"{t:05d}" for t in range(first, last + 1))
    assert list(read_given(sequence)) == [0]
    frames, whole = sequence.frames(), open_frames(clip)
    assert len(frames) == last - first + 1
    np.testing.assert_array_equal(frames.read([0, -1 + len(frames)]), whole.read([first, last]))
    assert frame_rate(frames) == pytest.approx(5)


def test_masks_of_several_frames(clip: Path) -> None:
    masks = clip.parent / "masks"
    assert list(own_video(clip, masks).given) == [2, 7]  # 00002.png and 7.png
    later = own_video(clip, masks, start="3", end="8")
    assert later.given == {4: masks / "7.png"}


def test_a_single_mask_that_has_the_name_of_another_frame_is_reported(clip: Path) -> None:
    write_mask(clip.parent / "masks" / "00007.png", np.ones((48, 64), np.uint8))
    with pytest.warns(
        UserWarning,
        match=r"00007\.png: is taken as the mask of the first frame, 00000; .* its folder",
    ):
        assert list(own_video(clip, clip.parent / "masks" / "00007.png").given) == [0]
    own_video(clip, clip.parent / "masks" / "00007.png", start="7")


def test_what_cannot_be_used(clip: Path) -> None:
    masks = clip.parent / "masks"
    for options, reason in (
        ({"start": "10"}, "--start 10: .* has frames 00000 to 00009"),
        ({"end": "2x"}, "--end 2x: .* has frames"),
        ({"start": "2s"}, "--start 2s: the last frame of .* is at 1.80s"),
        ({"start": "5", "end": "4"}, "--start 5 --end 4: the end lies before the start"),
        ({"start": "8"}, "holds no mask of the frames that are used; name one 00008.png"),
    ):
        with pytest.raises(InputError, match=reason):
            own_video(clip, masks, **options)
    shutil.copy(masks / "7.png", masks / "00007.png")
    with pytest.raises(InputError, match=r"7\.png: is a mask of the same frame as 0*7\.png"):
        own_video(clip, masks)
    (masks / "00007.png").unlink()
    (masks / "7.png").rename(masks / "77.png")
    with pytest.raises(
        InputError, match=r"77\.png: .* has no frame of this name; its frames are 00000 to 00009"
    ):
        own_video(clip, masks)


def test_a_folder_of_frames_has_names_but_no_times(tmp_path: Path) -> None:
    write_frames(tmp_path / "my.clip")
    for t in range(6):
        (tmp_path / "my.clip" / f"{t:05d}.jpg").rename(tmp_path / "my.clip" / f"{100 + 5 * t}.jpg")
    write_mask(tmp_path / "x.png", np.ones((24, 40), np.uint8))
    sequence = own_video(tmp_path / "my.clip", tmp_path / "x.png", start="105", end="115")
    assert (sequence.name, sequence.frame_names) == ("my.clip", ("105", "110", "115"))
    for start, reason in (("1s", "have no times"), ("106", "has frames 100 to 125")):
        with pytest.raises(InputError, match=reason):
            own_video(tmp_path / "my.clip", tmp_path / "x.png", start=start)


def test_a_mask_among_the_frames_is_refused(tmp_path: Path) -> None:
    write_frames(tmp_path / "clip")
    write_mask(tmp_path / "clip" / "first.png", np.ones((24, 40), np.uint8))
    with pytest.raises(InputError, match=r"first\.png: lies among the frames .* move it out of"):
        own_video(tmp_path / "clip", tmp_path / "clip" / "first.png")


def test_options_of_benchmarks_are_refused(clip: Path, capsys) -> None:
    where = ("--video", clip, "--mask", clip.parent / "first.png", "--out", clip.parent / "out")
    for option in (
        ("--split", "train"),
        ("--sequences", "a"),
        ("--frames", "required"),
        ("--resolution", "480p"),
    ):
        assert evaluator("propagate", *ENCODER, *where, *option) == 2
        assert f"{option[0]}: is for a --dataset, not for a --video" in capsys.readouterr().err
    assert not (clip.parent / "out").exists()


def test_going_on_never_deletes_what_is_read(clip: Path, capsys) -> None:
    """The frames of the second video lie where its masks would be written."""
    out = clip.parent / "out"
    given = ("--mask", clip.parent / "first.png", "--out", out, "--resume")
    assert evaluator("propagate", *ENCODER, "--video", clip, *given) == 0
    write_frames(out / "other", size=(64, 48))
    assert evaluator("propagate", *ENCODER, "--video", out / "other", *given) == 2
    assert f"{out}: holds {out / 'other'}, which is read" in capsys.readouterr().err
    assert len(list((out / "other").glob("*.jpg"))) == 6


def test_propagate_writes_soft_masks_and_a_movie_of_the_frames_used(clip: Path, capsys) -> None:
    out = clip.parent / "out"
    where = ("--video", clip, "--mask", clip.parent / "first.png", "--start", "0.6s", "--end", 6)
    assert (
        evaluator(
            "propagate", *ENCODER, *where, "--max-side", 40, "--save-probabilities", "--out", out
        )
        == 0
    )
    names = ["00003.png", "00004.png", "00005.png", "00006.png"]
    assert sorted(file.name for file in (out / "clip").glob("*.png")) == names
    printed = capsys.readouterr()
    assert f"{out / 'clip'}: 4 masks" in printed.out
    assert "first.png: number 1, (128, 0, 0), is object 1" in printed.err
    first = read_mask(clip.parent / "first.png")
    np.testing.assert_array_equal(read_mask(out / "clip" / names[0]), first)
    soft_masks = out / "clip" / "probabilities"
    assert sorted(folder.name for folder in soft_masks.iterdir()) == [
        str(id) for id in np.unique(first)
    ]
    for name in names:
        ids = read_mask(out / "clip" / name)
        assert ids.shape == first.shape  # worked on smaller, written as large as the frames
        soft = {
            int(folder.name): np.asarray(Image.open(folder / name)).astype(int)
            for folder in soft_masks.iterdir()
        }
        assert abs(sum(soft.values()) - 255).max() <= len(soft) / 2
        likeliest = np.array(sorted(soft))[np.argmax([soft[id] for id in sorted(soft)], axis=0)]
        assert (likeliest == ids).mean() > 0.98
    movie = open_frames(out / "clip.mp4")
    assert movie.read([0, 3]).shape == (2, 48, 64, 3)
    assert frame_rate(movie) == pytest.approx(5)


def test_odd_sizes_make_movies(tmp_path: Path) -> None:
    write_frames(tmp_path / "clip", frames=3, size=(31, 23))
    mask = np.zeros((23, 31), np.uint8)
    mask[5:15, 5:20] = 255
    Image.fromarray(mask).save(tmp_path / "first.png")
    where = (
        "--video",
        tmp_path / "clip",
        "--mask",
        tmp_path / "first.png",
        "--out",
        tmp_path / "out",
    )
    assert evaluator("propagate", *ENCODER, *where) == 0
    assert np.unique(read_mask(tmp_path / "out" / "clip" / "00000.png")).tolist() == [0, 1]
    movie = open_frames(tmp_path / "out" / "clip.mp4")
    assert movie.read([0]).shape == (1, 24, 32, 3)
    assert frame_rate(movie) == pytest.approx(24)


def test_a_frame_to_paint_on(clip: Path, capsys) -> None:
    picture = clip.parent / "new" / "frame.png"
    assert evaluator("frame", clip, "--at", "0.8s", "--out", picture) == 0
    assert "frame 00004" in capsys.readouterr().out
    np.testing.assert_array_equal(np.asarray(Image.open(picture)), open_frames(clip).read([4])[0])
    assert evaluator("frame", clip, "--out", picture.parent) == 2
    assert f"{picture.parent}: is a folder; name the image" in capsys.readouterr().err
    assert evaluator("frame", clip, "--at", "99", "--out", picture) == 2
    assert "--at 99" in capsys.readouterr().err
