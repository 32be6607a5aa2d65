"""Given masks: what is read and what is refused."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from densevos.base.errors import InputError
from densevos.base.masks import write_mask
from densevos_eval.sequences.sequence import VideoSequence, read_given


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    folder = tmp_path / "frames"
    folder.mkdir()
    for t in range(3):
        Image.new("RGB", (80, 60)).save(folder / f"{t:05d}.jpg")
    return folder


def with_given(frames: Path, given: dict[int, Path], *, merge: bool = False) -> VideoSequence:
    names = ("00000", "00001", "00002")
    return VideoSequence(
        name="clip", source=frames, frame_names=names, given=given, merge_objects=merge
    )


def disc(value: int = 255) -> Image.Image:
    y, x = np.mgrid[:60, :80]
    return Image.fromarray(np.where((y - 30) ** 2 + (x - 40) ** 2 < 400, value, 0).astype(np.uint8))


def test_masks_of_several_frames_keep_their_ids(frames: Path, tmp_path: Path) -> None:
    first, later = np.zeros((2, 60, 80), np.uint8)
    first[10:20, 10:30], later[30:50, 40:70] = 3, 7
    write_mask(tmp_path / "a.png", first)
    write_mask(tmp_path / "b.png", later)
    masks = read_given(with_given(frames, {2: tmp_path / "b.png", 0: tmp_path / "a.png"}))
    assert list(masks) == [0, 2]
    np.testing.assert_array_equal(masks[0], first)
    np.testing.assert_array_equal(masks[2], later)


def test_merged_objects_have_id_one(frames: Path, tmp_path: Path) -> None:
    disc().save(tmp_path / "mask.png")
    mask = read_given(with_given(frames, {0: tmp_path / "mask.png"}, merge=True))[0]
    assert np.unique(mask).tolist() == [0, 1]


def test_twenty_objects_of_one_pixel_width_and_more_are_no_smoothed_mask(
    frames: Path, tmp_path: Path
) -> None:
    ids = np.zeros((60, 80), np.uint8)
    for i in range(20):
        ids[3 * i : 3 * i + 3, 10:30] = i + 1
    ids[:, 70] = 21
    write_mask(tmp_path / "mask.png", ids)
    assert len(np.unique(read_given(with_given(frames, {0: tmp_path / "mask.png"}))[0])) == 22


def test_nothing_given_reads_nothing(tmp_path: Path) -> None:
    assert read_given(with_given(tmp_path / "absent", {})) == {}


def refused(frames: Path, mask: Path) -> str:
    with pytest.raises(InputError) as error:
        read_given(with_given(frames, {0: mask}))
    assert str(mask) in str(error.value)
    return str(error.value)


def test_missing_mask_is_refused(frames: Path, tmp_path: Path) -> None:
    assert "missing" in refused(frames, tmp_path / "mask.png")


def test_other_size_is_refused(frames: Path, tmp_path: Path) -> None:
    disc().resize((40, 30), Image.Resampling.NEAREST).save(tmp_path / "mask.png")
    assert "40x30 but the frames" in refused(frames, tmp_path / "mask.png")


def test_empty_mask_is_refused(frames: Path, tmp_path: Path) -> None:
    disc(0).save(tmp_path / "mask.png")
    assert "no object" in refused(frames, tmp_path / "mask.png")


def test_rgb_mask_is_refused(frames: Path, tmp_path: Path) -> None:
    disc().convert("RGB").save(tmp_path / "mask.png")
    assert "not indexed" in refused(frames, tmp_path / "mask.png")


def test_truncated_mask_is_refused(frames: Path, tmp_path: Path) -> None:
    disc().save(tmp_path / "whole.png")
    (tmp_path / "mask.png").write_bytes((tmp_path / "whole.png").read_bytes()[:80])
    assert "cannot be read" in refused(frames, tmp_path / "mask.png")


def test_blurred_mask_is_refused(frames: Path, tmp_path: Path) -> None:
    disc().filter(ImageFilter.GaussianBlur(2)).save(tmp_path / "mask.png")
    assert "nearest neighbour" in refused(frames, tmp_path / "mask.png")


@pytest.mark.parametrize(
    "method", [Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS]
)
@pytest.mark.parametrize("size", [(200, 150), (37, 29)])
def test_interpolated_mask_is_refused(
    frames: Path, tmp_path: Path, method: Image.Resampling, size: tuple[int, int]
) -> None:
    y, x = np.mgrid[: size[1], : size[0]]
    inside = np.hypot((y / size[1] - 0.5) * 3, (x / size[0] - 0.5) * 4) < 1
    large = Image.fromarray(np.where(inside, 255, 0).astype(np.uint8))
    large.resize((80, 60), method).save(tmp_path / "mask.png")
    message = refused(frames, tmp_path / "mask.png")
    assert " ids; it was probably resized with interpolation or saved as JPEG" in message


@pytest.mark.parametrize("quality", [50, 75, 95])
def test_jpeg_mask_is_refused(frames: Path, tmp_path: Path, quality: int) -> None:
    disc().save(tmp_path / "mask.jpg", quality=quality)
    assert "saved as JPEG" in refused(frames, tmp_path / "mask.jpg")
