"""Masks as paint programs save them."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFilter

from densevos.base.errors import InputError
from densevos.base.masks import PALETTE, write_mask
from densevos_eval.sequences.painted import read_painted

SIZE = (80, 60)
IDS = np.zeros((60, 80), np.uint8)
IDS[10:30, 5:30], IDS[35:55, 40:75] = 1, 2
RED, BLUE, WHITE = (255, 0, 0), (20, 60, 250), (255, 255, 255)


def painted(*colours: tuple[int, ...], ground: tuple[int, ...] = (0, 0, 0)) -> np.ndarray:
    """The two objects of IDS in these colours, [60,80,C]."""
    return np.array([ground, *colours], np.uint8)[IDS]


def saved(path: Path, picture: np.ndarray, **options: int) -> Path:
    Image.fromarray(picture).save(path, **options)
    return path


def smooth_disc() -> Image.Image:
    large = Image.new("L", (8 * SIZE[0], 8 * SIZE[1]))
    ImageDraw.Draw(large).ellipse((160, 80, 480, 400), fill=255)
    return large.resize(SIZE, Image.Resampling.LANCZOS)


def test_indexed_and_grey_ids_are_kept(tmp_path: Path) -> None:
    write_mask(tmp_path / "indexed.png", 3 * IDS)
    files = [tmp_path / "indexed.png", saved(tmp_path / "grey.png", 3 * IDS)]
    files.append(saved(tmp_path / "wide.png", (3 * IDS).astype(np.uint16)))
    for ids in read_painted(files).ids:
        np.testing.assert_array_equal(ids, 3 * IDS)


@pytest.mark.parametrize("kind", [np.uint16, np.int32, np.float32])
def test_ids_above_255_are_numbered_alike_in_all_masks(tmp_path: Path, kind: type) -> None:
    """KITTI-MOTS: class x 1000 + instance."""
    suffix = "png" if kind is np.uint16 else "tif"
    first = saved(tmp_path / f"first.{suffix}", np.array([0, 1002, 2001], kind)[IDS])
    second = saved(tmp_path / f"second.{suffix}", np.array([0, 7, 1002], kind)[IDS])
    read = read_painted([first, second])
    masks = read.ids
    assert (
        f"{first}: masks hold ids up to 255, so 7, 1002, 2001 are numbered 1, 2, 3" in read.warnings
    )
    np.testing.assert_array_equal(masks, [np.array([0, 2, 3])[IDS], np.array([0, 1, 2])[IDS]])
    assert masks[0].dtype == np.uint8


def test_deep_masks_that_hold_no_ids_are_refused(tmp_path: Path) -> None:
    for picture, reason in (
        (np.arange(4800).reshape(60, 80).astype(np.uint16), "has 4799 ids up to 4799"),
        (IDS.astype(np.int32) - 1, "values from -1 to 1"),
        (IDS.astype(np.float32) / 4, "values from 0 to 0.5; ids are whole numbers"),
    ):
        file = saved(tmp_path / "mask.tif", picture)
        with pytest.raises(InputError, match=rf"mask\.tif: .*{reason}"):
            read_painted([file])


def test_a_void_of_65535_beside_ids_is_not_black_and_white(tmp_path: Path) -> None:
    file = saved(tmp_path / "void.png", np.array([0, 3, 65535], np.uint16)[IDS])
    assert "3, 65535 are numbered 1, 2" in read_painted([file]).warnings[0]
    np.testing.assert_array_equal(read_painted([file]).ids[0], IDS)


def test_black_and_white_is_one_object(tmp_path: Path) -> None:
    smooth_disc().save(tmp_path / "smooth.png")
    smooth_disc().convert("RGB").save(tmp_path / "rgb.png")
    smooth_disc().convert("RGB").save(tmp_path / "rgb.jpg", quality=85)
    smooth_disc().save(tmp_path / "grey.jpg", quality=85)
    saved(tmp_path / "wide.png", np.asarray(smooth_disc()).astype(np.uint16) * 257)
    expected = np.asarray(smooth_disc()) >= 128
    for name in ("smooth.png", "rgb.png", "rgb.jpg", "grey.jpg", "wide.png"):
        ids = read_painted([tmp_path / name]).ids[0]
        assert ids.dtype == np.uint8
        assert (ids != expected).mean() < 0.002, name
    smooth_disc().resize((800, 600)).save(
        tmp_path / "soft.png"
    )  # as a soft brush at a high resolution
    assert np.unique(read_painted([tmp_path / "soft.png"]).ids[0]).tolist() == [0, 1]
    smooth_disc().resize((800, 600)).convert("RGB").save(tmp_path / "soft.png")
    expected = np.asarray(smooth_disc().resize((800, 600))) >= 128
    np.testing.assert_array_equal(read_painted([tmp_path / "soft.png"]).ids[0], expected)
    saved(tmp_path / "thin.png", 255 * np.eye(60, 80, dtype=np.uint8))
    np.testing.assert_array_equal(read_painted([tmp_path / "thin.png"]).ids[0], np.eye(60, 80))


def test_each_colour_is_an_object(tmp_path: Path) -> None:
    files = [
        saved(tmp_path / "rgb.png", painted(RED, BLUE)),
        saved(tmp_path / "layer.png", painted((*RED, 255), (*BLUE, 255), ground=(90, 90, 90, 0))),
        tmp_path / "quantised.png",
    ]
    Image.fromarray(painted(RED, BLUE)).quantize(4, dither=Image.Dither.NONE).save(files[-1])
    for file in files:
        np.testing.assert_array_equal(read_painted([file]).ids[0], IDS)


def test_a_colour_is_the_same_object_in_every_mask(tmp_path: Path) -> None:
    first = saved(tmp_path / "first.png", painted(RED, BLUE))
    later = saved(tmp_path / "later.png", painted(BLUE, WHITE))
    ids = read_painted([first, later]).ids
    np.testing.assert_array_equal(ids[0], IDS)
    np.testing.assert_array_equal(ids[1], np.array([0, 2, 3])[IDS])


def test_colours_of_the_palette_are_its_ids(tmp_path: Path) -> None:
    file = saved(tmp_path / "palette.png", painted(tuple(PALETTE[7]), tuple(PALETTE[2])))
    np.testing.assert_array_equal(read_painted([file]).ids[0], np.array([0, 7, 2])[IDS])


def test_smooth_edges_between_colours_go_to_the_nearest(tmp_path: Path) -> None:
    large = Image.fromarray(painted(RED, BLUE)).resize((320, 240), Image.Resampling.BICUBIC)
    large.save(tmp_path / "smooth.png")
    ids = read_painted([tmp_path / "smooth.png"]).ids[0]
    assert set(np.unique(ids)) == {0, 1, 2}
    assert (ids != np.repeat(np.repeat(IDS, 4, axis=0), 4, axis=1)).mean() < 0.01


def photograph() -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.clip(rng.normal(120, 40, (60, 80, 3)), 1, 255).astype(np.uint8)


def test_a_cut_out_photograph_is_one_object(tmp_path: Path) -> None:
    alpha = (255 * (IDS > 0)).astype(np.uint8)[..., None]
    file = saved(tmp_path / "cut.png", np.concatenate([photograph(), alpha], axis=2))
    np.testing.assert_array_equal(read_painted([file]).ids[0], IDS > 0)


def test_photographs_and_full_pictures_are_refused(tmp_path: Path) -> None:
    over = np.where(IDS[..., None] == 1, RED, photograph()).astype(np.uint8)
    for picture, reason in (
        (photograph(), "looks like a photograph"),
        (over, "looks like a photograph"),
        (painted(RED, BLUE, ground=WHITE), "no background"),
    ):
        file = saved(tmp_path / "mask.png", picture)
        with pytest.raises(InputError, match=rf"mask\.png: .*{reason}.*black or transparent layer"):
            read_painted([file])
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(InputError, match=r"text\.png: mask cannot be read"):
        read_painted([tmp_path / "text.png"])
    with pytest.raises(InputError, match=r"none\.png: mask is missing"):
        read_painted([tmp_path / "none.png"])


@settings(deadline=None, max_examples=20)
@given(st.sets(st.integers(1, 26), min_size=1, max_size=8), st.integers(0, 99))
def test_any_colours_far_apart_come_back_as_regions(
    tmp_path_factory: pytest.TempPathFactory, which, seed
) -> None:
    """Colours from the corners, edges and faces of the RGB cube; blocks of at least 4x4 pixels."""
    cube = (
        np.stack(np.meshgrid(*[[0, 128, 255]] * 3, indexing="ij"), axis=-1)
        .reshape(-1, 3)
        .astype(np.uint8)
    )
    blocks = np.random.default_rng(seed).choice([0, *which], (5, 6))
    blocks[0, 0] = 0
    codes = np.repeat(np.repeat(blocks, 4, axis=0), 4, axis=1)
    file = saved(tmp_path_factory.mktemp("cube") / "mask.png", cube[codes])
    ids = read_painted([file]).ids[0]
    pairs = {(int(a), int(b)) for a, b in zip(codes.flat, ids.flat, strict=True)}
    assert len(pairs) == len(np.unique(codes)) == len(np.unique(ids))
    assert (0, 0) in pairs


def test_notes_say_which_colour_is_which_object(tmp_path: Path) -> None:
    pixels = [f"{(id == IDS).sum():,} pixels" for id in (1, 2)]
    file = saved(tmp_path / "rgb.png", painted(RED, BLUE))
    assert read_painted([file]).notes == (
        f"{file}: red (255, 0, 0) is object 1, {pixels[0]}",
        f"{file}: blue (20, 60, 250) is object 2, {pixels[1]}",
    )
    layer = saved(
        tmp_path / "layer.png", painted((*RED, 255), (90, 140, 60, 255), ground=(90, 90, 90, 0))
    )
    assert f"{layer}: (90, 140, 60) is object 2, {pixels[1]}" in read_painted([layer]).notes
    write_mask(tmp_path / "indexed.png", IDS)
    indexed = tmp_path / "indexed.png"
    assert (
        f"{indexed}: number 2, (0, 128, 0), is object 2, {pixels[1]}"
        in read_painted([indexed]).notes
    )
    white = saved(tmp_path / "white.png", (255 * (IDS == 1)).astype(np.uint8))
    assert read_painted([white]).notes == (f"{white}: white is object 1, {pixels[0]}",)
    assert not any(read_painted([path]).warnings for path in (file, layer, indexed, white))


def test_colours_near_known_ones_are_those_objects(tmp_path: Path) -> None:
    """A correction that another program saved, with other rounding."""
    first = saved(tmp_path / "first.png", painted(RED, BLUE))
    later = saved(tmp_path / "later.png", painted((22, 58, 247), (254, 2, 1)))
    read = read_painted([first, later])
    np.testing.assert_array_equal(read.ids[1], np.array([0, 2, 1])[IDS])
    assert f"{later}: colour red (254, 2, 1) counts as red (255, 0, 0), object 1" in read.notes
    assert not read.warnings


def test_a_correction_in_rgb_has_the_ids_of_the_palette_that_was_first(tmp_path: Path) -> None:
    indexed = Image.fromarray(IDS)
    indexed.putpalette([0, 0, 0, *RED, *BLUE])
    indexed.save(tmp_path / "first.png")
    later = saved(tmp_path / "later.png", painted(BLUE, (250, 250, 20)))
    read = read_painted([tmp_path / "first.png", later])
    np.testing.assert_array_equal(read.ids[1], np.array([0, 2, 3])[IDS])
    assert read.warnings == (
        f"{later}: yellow (250, 250, 20) is new and becomes object 3, 700 pixels",
    )


def test_new_colours_that_may_be_mistakes_are_named(tmp_path: Path) -> None:
    first = saved(tmp_path / "first.png", painted(RED, BLUE))
    later = saved(tmp_path / "later.png", painted((200, 20, 20), BLUE))
    (line,) = read_painted([first, later]).warnings
    assert line.startswith(f"{later}: red (200, 20, 20) is new and becomes object 3")
    assert "it is near red (255, 0, 0) of object 1: paint both alike" in line
    swapped = Image.fromarray(IDS)
    swapped.putpalette([0, 0, 0, *BLUE, *RED])
    swapped.save(tmp_path / "swapped.png")
    lines = read_painted([first, tmp_path / "swapped.png"]).warnings
    assert (
        "blue (20, 60, 250) is number 1 of its palette, but object 2 had this colour before"
        in lines[0]
    )


def test_a_mask_in_black_and_white_counts_as_the_only_object(tmp_path: Path) -> None:
    white = saved(tmp_path / "white.png", (255 * (IDS == 1)).astype(np.uint8))
    write_mask(tmp_path / "seven.png", 7 * (IDS == 1))
    read = read_painted([tmp_path / "seven.png", white])
    np.testing.assert_array_equal(read.ids[1], 7 * (IDS == 1))
    assert not read.warnings
    two = read_painted([saved(tmp_path / "two.png", painted(RED, BLUE)), white])
    assert two.warnings == (
        f"{white}: is black and white, and counts as object 1; paint it in the colour of another "
        f"object if that is"
        " meant",
    )


def test_a_wide_soft_brush_is_one_object(tmp_path: Path) -> None:
    """At high resolutions neighbouring pixels of its edge are equal, as those of flat colours
    are.
    """
    distance = np.hypot(*np.mgrid[-100:100, -100:100])
    strength = np.clip((95 - distance) / 60, 0, 1)[..., None]
    wide = np.repeat(np.repeat((strength * RED).astype(np.uint8), 4, axis=0), 4, axis=1)
    read = read_painted([saved(tmp_path / "soft.png", wide)])
    np.testing.assert_array_equal(read.ids[0], wide[..., 0] >= 128)
    assert "pixels of soft edges or rounded colours count as the nearest colour" in read.notes[-1]

    disc = Image.fromarray(np.where(distance[..., None] < 60, RED, 0).astype(np.uint8))
    disc.filter(ImageFilter.GaussianBlur(15)).save(tmp_path / "blurred.png")
    ids = read_painted([tmp_path / "blurred.png"]).ids[0]
    assert (ids != (distance < 60)).mean() < 0.05

    # Shades that many pixels have are objects, whatever edges are like.
    large = Image.fromarray(painted(tuple(PALETTE[1]), tuple(PALETTE[9]))).resize(
        (800, 600), Image.Resampling.BICUBIC
    )
    large.save(tmp_path / "palette.png")
    assert np.unique(read_painted([tmp_path / "palette.png"]).ids[0]).tolist() == [0, 1, 9]


def test_jpeg_rounds_colours_but_they_stay_objects(tmp_path: Path) -> None:
    large = Image.fromarray(painted(RED, BLUE)).resize((320, 240), Image.Resampling.NEAREST)
    large.save(tmp_path / "mask.jpg", quality=90)
    read = read_painted([tmp_path / "mask.jpg"])
    assert np.unique(read.ids[0]).tolist() == [0, 1, 2]
    assert (read.ids[0] != np.repeat(np.repeat(IDS, 4, axis=0), 4, axis=1)).mean() < 0.02


def test_an_inverted_mask_is_reported(tmp_path: Path) -> None:
    inverted = saved(tmp_path / "inverted.png", (255 * (IDS == 0)).astype(np.uint8))
    (line,) = read_painted([inverted, inverted]).warnings
    assert line.startswith(f"{inverted}: object 1 covers 75% of the frame and 100% of its border")
    assert "invert the mask" in line
