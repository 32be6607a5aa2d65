"""Files appear whole or not at all; masks keep their ids; commands end in one line."""

import errno
import os
import platform
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from densevos.base import console
from densevos.base.errors import InputError, RunError, Stopped
from densevos.base.files import atomic_write, name_bytes, new_folder, write_json
from densevos.base.masks import PALETTE, read_mask, write_mask
from densevos.data.sources.images import read_image


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    write_json(path, {"J": 1})

    def fill_the_disk() -> None:
        with atomic_write(path) as file:
            file.write(b"half of")
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match=r"No space left on device: .*result\.json"):
        fill_the_disk()
    assert path.read_text() == '{\n  "J": 1\n}\n'
    assert list(tmp_path.iterdir()) == [path]


def test_disk_full_for_real(tmp_path: Path) -> None:
    """/dev/full refuses every byte, as a full disk does."""
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    target = tmp_path / "disk"
    target.mkdir()
    mask = np.zeros((4, 4), np.uint8)
    part = target / f".00000.png.{platform.node()}-{os.getpid()}.part"
    part.symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        write_mask(target / "00000.png", mask)
    assert list(target.iterdir()) == []


def test_output_folder(tmp_path: Path) -> None:
    out = new_folder(tmp_path / "a" / "b", overwrite=False)
    new_folder(out, overwrite=False)  # empty: fine
    (out / "old").write_text("x")
    with pytest.raises(InputError, match="--overwrite"):
        new_folder(out, overwrite=False)
    assert list(new_folder(out, overwrite=True).iterdir()) == []
    (tmp_path / "file").write_text("x")
    (out / ".config.json.7.part").write_text("half")
    new_folder(out, overwrite=False)  # what a killed run left is no file of the user's
    with pytest.raises(InputError, match="is a file"):
        new_folder(tmp_path / "file", overwrite=True)


def test_palette_is_the_benchmarks() -> None:
    expected = [
        (0, 0, 0),
        (128, 0, 0),
        (0, 128, 0),
        (128, 128, 0),
        (0, 0, 128),
        (128, 0, 128),
        (0, 128, 128),
    ]
    assert [tuple(colour) for colour in PALETTE[:7].tolist()] == expected
    assert PALETTE[255].tolist() == [224, 224, 192]
    assert len({tuple(c) for c in PALETTE.tolist()}) == 256


def test_masks_keep_ids_and_palette(tmp_path: Path) -> None:
    ids = np.arange(256, dtype=np.uint8).reshape(8, 32)
    write_mask(tmp_path / "m.png", ids)
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png"), ids)
    with Image.open(tmp_path / "m.png") as image:
        assert image.mode == "P"
        np.testing.assert_array_equal(np.array(image.getpalette()).reshape(-1, 3), PALETTE)


def test_unusable_masks_are_refused_by_name(tmp_path: Path) -> None:
    rgb, cut = tmp_path / "rgb.png", tmp_path / "cut.png"
    Image.new("RGB", (9, 9)).save(rgb)
    write_mask(cut, np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8))
    cut.write_bytes(cut.read_bytes()[:-900])
    for path, reason in (
        (rgb, "not indexed"),
        (cut, "cannot be read"),
        (tmp_path / "none.png", "is missing"),
    ):
        with pytest.raises(InputError, match=f"{path.name}: .*{reason}"):
            read_mask(path)


@pytest.mark.parametrize("read", [read_mask, read_image])
def test_pictures_too_large_to_be_safe_are_refused_by_name(
    read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("L", (9, 9)).save(tmp_path / "huge.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40)
    with pytest.raises(InputError, match=r"huge\.png: .*too large .*make it smaller"):
        read(tmp_path / "huge.png")


def fail(error: BaseException):
    def command() -> None:
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InputError("mask.png: bad\n  very bad"), 2),
        (RunError("loss is nan"), 1),
        (OSError(errno.ENOSPC, "No space left on device", "out.png"), 1),
        (Stopped("saved"), 143),
        (KeyboardInterrupt(), 130),
    ],
)
def test_commands_end_in_one_line_and_a_status(
    error, status: int, capsys: pytest.CaptureFixture
) -> None:
    assert console.run(fail(error)) == status
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_names_of_any_encoding_are_escaped_on_the_screen_and_kept_in_files(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    name = os.fsdecode(b"caf\xe9")
    assert console.run(lambda: print(name)) == 0
    assert capsys.readouterr().out == "caf\\udce9\n"
    with atomic_write(tmp_path / "names.txt", "w") as file:
        file.write(name)
    assert (tmp_path / "names.txt").read_bytes() == b"caf\xe9"
    assert name_bytes("Zoë") + name_bytes(name) == "Zoë".encode() + b"caf\xe9"


def test_warnings_are_shown_as_lines(capsys: pytest.CaptureFixture) -> None:
    plain = warnings.formatwarning

    def show() -> None:
        print(
            warnings.formatwarning(
                "the last layer\n  begins anew", UserWarning, "adaptation.py", 86
            ),
            end="",
        )

    assert console.run(show) == 0
    assert capsys.readouterr().out == "warning: the last layer begins anew\n"
    assert warnings.formatwarning is plain


def test_commands_that_succeed_return_zero_and_defects_are_not_hidden() -> None:
    assert console.run(lambda: None) == 0
    with pytest.raises(ZeroDivisionError):
        console.run(lambda: 1 // 0)


def test_no_part_of_a_set_is_deleted(tmp_path: Path) -> None:
    labels = tmp_path / "set" / "masks" / "train"
    labels.mkdir(parents=True)
    (labels / "a.png").touch()
    for inside in (labels, tmp_path / "set"):
        with pytest.raises(InputError, match=r"would delete (a part of )?.*set, which is read"):
            new_folder(inside, overwrite=True, sets=[tmp_path / "set"])
    with pytest.raises(InputError, match=r"would delete .*set, which is read"):
        new_folder(tmp_path, overwrite=True, sets=[tmp_path / "set"])
    assert (labels / "a.png").is_file()

    # An empty folder in it, and one beside it, are as good as any.
    new_folder(tmp_path / "set" / "out", overwrite=True, sets=[tmp_path / "set"])
    (tmp_path / "set2").mkdir()
    (tmp_path / "set2" / "old").touch()
    new_folder(tmp_path / "set2", overwrite=True, sets=[tmp_path / "set"])
    assert not (tmp_path / "set2" / "old").exists()
