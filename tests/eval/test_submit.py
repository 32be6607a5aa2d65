"""densevos-eval submit: what is packed, and what is refused."""

import shutil
import sys
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from densevos.base.errors import InputError
from densevos.base.masks import PALETTE, read_mask, write_mask
from densevos_eval import cli
from densevos_eval.protocols.davis import DAVIS16, DAVIS17_TESTDEV
from densevos_eval.protocols.protocol import load_sequences
from densevos_eval.protocols.registry import PROTOCOLS
from densevos_eval.protocols.ytvos import YTVOS18
from densevos_eval.scoring.folders import located
from densevos_eval.submit import submit
from tests.eval.copies import COPIES, put


@pytest.fixture
def testdev(benchmark):
    """The tiny benchmark as test-dev: first masks only."""
    (benchmark.root / "ImageSets" / "2017" / "val.txt").rename(
        benchmark.root / "ImageSets" / "2017" / "test-dev.txt"
    )
    for name in ("one", "two"):
        for t in range(1, 6):
            benchmark.annotation(name, t).unlink()
    return benchmark


def pack(benchmark, out: Path, **options) -> int:
    sequences = load_sequences(DAVIS17_TESTDEV, benchmark.root, "val")
    return submit(
        sequences, located(sequences, [benchmark.results]), DAVIS17_TESTDEV, out, **options
    )


def test_zip_of_test_dev_holds_sequences_at_the_top(testdev, tmp_path: Path) -> None:
    assert pack(testdev, tmp_path / "new" / "up.zip") == 12
    with zipfile.ZipFile(tmp_path / "new" / "up.zip") as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [
            f"{name}/{t:05d}.png" for name in ("one", "two") for t in range(6)
        ]
        for name in archive.namelist():
            image = Image.open(BytesIO(archive.read(name)))
            assert image.getpalette() == PALETTE.ravel().tolist()
            np.testing.assert_array_equal(np.asarray(image), read_mask(testdev.results / name))


def test_same_masks_make_the_same_zip(testdev, tmp_path: Path) -> None:
    for name in ("a.zip", "b.zip"):
        pack(testdev, tmp_path / name)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_folder_holds_the_same(testdev, tmp_path: Path) -> None:
    assert pack(testdev, tmp_path / "up") == 12
    assert (tmp_path / "up" / "two" / "00005.png").read_bytes() == testdev.result(
        "two", 5
    ).read_bytes()
    assert len(list((tmp_path / "up").rglob("*.png"))) == 12
    assert [file.name for file in tmp_path.glob(".up*")] == []


def test_youtube_vos_has_its_folder_and_only_required_frames(ytvos: Path, tmp_path: Path) -> None:
    sequences = load_sequences(YTVOS18, ytvos, "val")
    for sequence in sequences:
        for frame in sequence.frame_names:
            (tmp_path / "masks" / sequence.name).mkdir(parents=True, exist_ok=True)
            write_mask(
                tmp_path / "masks" / sequence.name / f"{frame}.png", np.zeros((24, 40), np.uint8)
            )
    submit(sequences, located(sequences, [tmp_path / "masks"]), YTVOS18, tmp_path / "up.zip")
    with zipfile.ZipFile(tmp_path / "up.zip") as archive:
        assert archive.namelist() == [
            *(f"Annotations/early/{t:05d}.png" for t in (0, 5, 10)),
            *(f"Annotations/late/{t:05d}.png" for t in (0, 5, 10)),
        ]


def spoil_missing(benchmark) -> str:
    benchmark.result("two", 4).unlink()
    return r"two/00004\.png: mask is missing"


def spoil_size(benchmark) -> str:
    write_mask(benchmark.result("two", 2), np.zeros((12, 20), np.uint8))
    return r"two/00002\.png: mask is 20x12 but its frame is 40x24"


def spoil_palette(benchmark) -> str:
    file = benchmark.result("two", 3)
    Image.fromarray(read_mask(file)).save(file)
    return r"two/00003\.png: has no palette"


def spoil_ids(benchmark) -> str:
    write_mask(benchmark.result("one", 3), np.full((24, 40), 2, np.uint8))
    return r"one/00003\.png: mask holds id 2, but the given masks of one hold 1"


def spoil_bytes(benchmark) -> str:
    file = benchmark.result("two", 5)
    file.write_bytes(file.read_bytes()[:-30])
    return r"two/00005\.png: mask cannot be read"


def spoil_sequence(benchmark) -> str:
    shutil.rmtree(benchmark.results / "two")
    return r"two/00000\.png: mask is missing; the server wants 6 of two"


def spoil_colours(benchmark) -> str:
    Image.new("RGB", (40, 24)).save(benchmark.result("two", 1))
    return r"two/00001\.png: mask is RGB, not indexed"


SPOILS = [
    spoil_missing,
    spoil_size,
    spoil_palette,
    spoil_ids,
    spoil_bytes,
    spoil_sequence,
    spoil_colours,
]


@pytest.mark.parametrize("spoil", SPOILS)
@pytest.mark.parametrize("out", ["up.zip", "up"])
def test_bad_submission_is_refused_and_nothing_written(
    testdev, tmp_path: Path, spoil, out: str
) -> None:
    message = spoil(testdev)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError, match=message):
        pack(testdev, tmp_path / out)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("out", ["up.zip", "up"])
def test_existing_output_is_replaced_only_on_demand(testdev, tmp_path: Path, out: str) -> None:
    pack(testdev, tmp_path / out)
    with pytest.raises(InputError, match="pass --overwrite"):
        pack(testdev, tmp_path / out)
    assert pack(testdev, tmp_path / out, overwrite=True) == 12


def test_what_else_lies_in_results_is_not_packed(testdev, tmp_path: Path) -> None:
    write_mask(testdev.result("one", 6), np.full((3, 3), 9, np.uint8))
    (testdev.results / "one" / "joints.json").write_text("mine")
    (testdev.results / "one" / "probabilities").mkdir()
    shutil.copytree(testdev.results / "two", testdev.results / "three")
    assert pack(testdev, tmp_path / "up.zip") == 12
    with zipfile.ZipFile(tmp_path / "up.zip") as archive:
        assert {name.split("/")[0] for name in archive.namelist()} == {"one", "two"}
        assert len(archive.namelist()) == 12


def test_what_is_read_is_never_replaced(testdev, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    for out in (testdev.results, tmp_path, testdev.root):
        with pytest.raises(InputError, match="which is read; choose another --out"):
            pack(testdev, out, overwrite=True)
    assert sorted(tmp_path.rglob("*")) == before


def test_kind_of_output_that_is_there_is_kept(testdev, tmp_path: Path) -> None:
    (tmp_path / "up").write_text("mine")
    (tmp_path / "up.zip").mkdir()
    with pytest.raises(InputError, match="up: is a file, not a folder"):
        pack(testdev, tmp_path / "up", overwrite=True)
    with pytest.raises(InputError, match=r"up\.zip: is a folder, not a zip"):
        pack(testdev, tmp_path / "up.zip", overwrite=True)


@pytest.mark.parametrize("out", ["up.zip", "up"])
def test_output_appears_only_when_whole(testdev, tmp_path: Path, monkeypatch, out: str) -> None:
    pack(testdev, tmp_path / out)
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}

    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "writestr", full_disk)
    monkeypatch.setattr(shutil, "copyfile", full_disk)
    with pytest.raises(OSError, match="No space left"):
        pack(testdev, tmp_path / out, overwrite=True)
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before


@pytest.mark.parametrize(
    "dataset", [name for name, one in PROTOCOLS.items() if one.submission is None]
)
def test_other_benchmarks_are_judged_here(dataset: str, tmp_path: Path) -> None:
    COPIES[dataset](tmp_path / "root")
    sequences = load_sequences(PROTOCOLS[dataset], tmp_path / "root", "val")
    with pytest.raises(
        InputError,
        match=f"{dataset}: has no server .* public; score the masks with densevos-eval score",
    ):
        submit(sequences, {}, PROTOCOLS[dataset], tmp_path / "up.zip")


def test_split_with_public_annotations_is_judged_here(tmp_path: Path) -> None:
    COPIES["ytvos18"](tmp_path)
    for name in ("valid", "valid_all_frames"):
        (tmp_path / name).rename(tmp_path / name.replace("valid", "train"))
    for name, frames in {"early": (5, 10), "late": (15,)}.items():
        for t in frames:
            put(tmp_path / "train" / "Annotations" / name / f"{t:05d}.png", np.ones((24, 40)))
    with pytest.raises(InputError, match="ytvos18: has no server"):
        submit(load_sequences(YTVOS18, tmp_path, "train"), {}, YTVOS18, tmp_path / "up.zip")


def test_benchmark_without_server_names_those_with_one(benchmark, tmp_path: Path) -> None:
    sequences = load_sequences(DAVIS16, benchmark.root, "val")
    with pytest.raises(
        InputError, match=r"davis16: has no server .* davis17-testdev, .*ytvos18, ytvos19"
    ):
        submit(sequences, {}, DAVIS16, tmp_path / "up.zip")


@pytest.mark.parametrize(("command", "status"), [("submit", 0), ("score", 2)])
def test_test_dev_is_submitted_not_scored(
    testdev, tmp_path, monkeypatch, capsys, command: str, status: int
) -> None:
    arguments = [
        "--dataset",
        "davis17-testdev",
        "--root",
        str(testdev.root),
        "--results",
        str(testdev.results),
    ]
    out = tmp_path / "up.zip"
    monkeypatch.setattr(sys, "argv", ["densevos-eval", command, *arguments, "--out", str(out)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert (end.value.code or 0) == status
    said = capsys.readouterr()
    assert out.is_file() == (status == 0)
    assert ("12 masks" in said.out) == (status == 0)
    assert ("densevos-eval submit" in said.err) == (status == 2)
    assert len(said.err.splitlines()) == (status == 2)


def test_masks_of_shards_lie_in_several_folders(
    testdev, tmp_path: Path, monkeypatch, capsys
) -> None:
    where = ["--dataset", "davis17-testdev", "--root", str(testdev.root)]
    parts = [str(tmp_path / f"part{i}") for i in (1, 2)]
    for part, name in zip(parts, ("two", "one"), strict=True):
        (tmp_path / part / name).mkdir(parents=True)
        (tmp_path / part / "propagation.json").write_text("{}")
        for t in range(6):
            shutil.copy(testdev.result(name, t), tmp_path / part / name)
    command = [
        "densevos-eval",
        "submit",
        *where,
        "--results",
        *parts,
        "--out",
        str(tmp_path / "up.zip"),
    ]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert (end.value.code or 0) == 0, capsys.readouterr().err
    pack(testdev, tmp_path / "whole.zip")
    assert (tmp_path / "up.zip").read_bytes() == (tmp_path / "whole.zip").read_bytes()
