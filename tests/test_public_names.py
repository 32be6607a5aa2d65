"""What the two packages offer to scripts, and videos as scripts open them."""

from pathlib import Path

import numpy as np
import pytest

import densevos
import densevos_eval
from densevos.base.errors import InputError
from tests.eval.conftest import write_frames


@pytest.mark.parametrize("package", [densevos, densevos_eval])
def test_every_public_name_is_there(package) -> None:
    for name in package.__all__:
        assert getattr(package, name).__doc__, name
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = package.nothing


def test_a_video_is_gone_through_and_picked_from(tmp_path: Path) -> None:
    write_frames(tmp_path / "clip")
    video = densevos.open_video(tmp_path / "clip")
    frames = np.stack(list(video))
    assert (len(video), video.names[1], frames.shape) == (6, "00001", (6, 24, 40, 3))
    assert repr(video) == f"Video({str(tmp_path / 'clip')!r}, frames=6)"
    assert np.array_equal(video[-1], frames[5])
    assert np.array_equal(video[1:6:2], frames[1:6:2])
    assert video.seconds() is None
    with pytest.raises(IndexError):
        _ = video[6]
    with pytest.raises(InputError, match="no such frame folder or video file"):
        densevos.open_video(tmp_path / "none.mp4")


def test_pictures_of_frames_are_of_frames(tmp_path: Path) -> None:
    frame, labels = np.zeros((24, 40, 3), np.uint8), np.zeros((24, 40), np.uint8)
    labels[5:15, 5:20] = 1
    picture = densevos_eval.overlay(frame, labels > 0)
    assert np.asarray(picture)[10, 10].any()
    assert not np.asarray(picture)[20, 30].any()
    with pytest.raises(
        InputError, match=r"labels: must be of the frame's size \[24, 40\], are \[40, 24\]"
    ):
        densevos_eval.overlay(frame, labels.T)
    with pytest.raises(InputError, match=r"frame: must be \[H,W,3\] uint8"):
        densevos_eval.overlay(frame / 255, labels)
