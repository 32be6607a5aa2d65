"""The registry of benchmarks, the options that they accept, and benchmarks from outside."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from densevos.base.errors import InputError
from densevos_eval import protocols
from densevos_eval.protocols.mose import MOSE
from densevos_eval.protocols.options import BenchmarkOptions
from densevos_eval.protocols.protocol import Protocol, load_sequences
from densevos_eval.protocols.registry import OTHER_MODULES, PROTOCOLS, find_protocol
from tests.conftest import ROOT
from tests.eval.conftest import FRAMES, HEIGHT, WIDTH
from tests.eval.copies import COPIES, mose, put, write_text
from tests.eval.protocols.test_layouts import run

OPTIONS: dict[str, str] = {"split": "train", "resolution": "720p", "frames": "required"}
"""Every option that a benchmark may refuse, with a value that is not its default."""

OUTSIDE = """
from dataclasses import replace
from densevos_eval.protocols.layout import need_folder, need_frames
from densevos_eval.protocols.protocol import Protocol
from densevos_eval.sequences.sequence import VideoSequence

def load(protocol, root, split, names):
    hint = f"{protocol.name} needs frames/NAME and masks/NAME (from {protocol.source})"
    need_folder(root / "frames", hint)
    sequences = []
    for name in names or sorted(folder.name for folder in (root / "frames").iterdir()):
        folder = root / "frames" / name
        frames = need_frames(folder, hint)
        truth = tuple(root / "masks" / name / f"{frame}.png" for frame in frames)
        given = {0: truth[0]}
        sequences.append(
            VideoSequence(name=name, source=folder, frame_names=frames, given=given, truth=truth)
        )
    return sequences

def forgetful(protocol, root, split, names):
    load(protocol, root, split, names)

MINE = Protocol(name="mine", source="https://example.org", layout=load, flags=frozenset())
FORGETFUL = replace(MINE, layout=forgetful)
UNSENDABLE = replace(MINE, layout=lambda *_: [])
NAMED_AS_ANOTHER = replace(MINE, name="davis17")
NUMBER = 3
"""


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the module own_benchmark and, in `data`, the files of its benchmark."""
    folder = tmp_path_factory.mktemp("outside")
    (folder / "own_benchmark.py").write_text(OUTSIDE)
    (folder / "unfinished_benchmark.py").write_text("import missing_module\n")
    COPIES["davis17"](folder / "davis")
    (folder / "data").mkdir()
    for source, target in (("JPEGImages", "frames"), ("Annotations", "masks")):
        (folder / "davis" / source / "480p").rename(folder / "data" / target)
    return folder


@pytest.fixture
def importable(outside: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Work in that folder, and forget its modules afterwards."""
    monkeypatch.chdir(outside)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield outside
    sys.modules.pop("own_benchmark", None)


def command(folder: Path, *arguments: object) -> None:
    """Run densevos-eval in the folder, as a process of its own."""
    path = os.pathsep.join(map(str, [ROOT, ROOT / "eval"]))
    finished = subprocess.run(
        [sys.executable, "-m", "densevos_eval", *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr


def test_every_file_of_the_folder_is_registered() -> None:
    files = {file.stem for file in Path(protocols.__path__[0]).glob("*.py")}
    benchmarks = files - OTHER_MODULES - {"__init__"}

    registered: list[str] = []
    for name in sorted(benchmarks):
        module = sys.modules[f"{protocols.__name__}.{name}"]
        registered += [protocol.name for protocol in module.PROTOCOLS]

    assert registered == list(PROTOCOLS)  # Also: no two files share a name.
    assert registered[0] == "davis16"


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("dataset", PROTOCOLS)
def test_flags_are_the_options_that_are_accepted(dataset: str, option: str) -> None:
    chosen: dict[str, Any] = {option: OPTIONS[option]}
    accepted = option in PROTOCOLS[dataset].flags
    if accepted:
        BenchmarkOptions(dataset=dataset, root=Path(), **chosen)
    else:
        with pytest.raises(InputError, match=f"^--{option} {OPTIONS[option]}: .*leave it out"):
            BenchmarkOptions(dataset=dataset, root=Path(), **chosen)


@pytest.mark.parametrize("dataset", PROTOCOLS)
def test_flags_are_the_options_that_change_what_is_loaded(dataset: str, tmp_path: Path) -> None:
    COPIES[dataset](tmp_path)
    protocol = PROTOCOLS[dataset]
    usual = loaded(protocol, tmp_path)

    # Each option as BenchmarkOptions hands it on, without its check.
    changed = {
        "split": loaded(protocol, tmp_path, split="train"),
        "resolution": loaded(replace(protocol, resolution="720p"), tmp_path),
        "frames": loaded(replace(protocol, all_frames=False), tmp_path),
    }
    assert {option for option, found in changed.items() if found != usual} == protocol.flags


def loaded(protocol: Protocol, root: Path, split: str = "val") -> object:
    """The sequences of a benchmark, or what is said instead."""
    try:
        return load_sequences(protocol, root, split)
    except InputError as error:
        return str(error)


def test_help_lists_every_benchmark(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    for name in ("score", "propagate", "submit", "zeroshot"):
        assert run(monkeypatch, name, "--help") == 0
        page = " ".join(capsys.readouterr().out.split())
        assert f"Choices: {', '.join(PROTOCOLS)}." in page, name


def test_unknown_benchmark_is_answered_with_the_known_ones(monkeypatch, capsys) -> None:
    assert run(monkeypatch, "score", "--dataset", "davis18", "--root", "x", "--results", "y") == 2
    said = capsys.readouterr().err
    known = ", ".join(PROTOCOLS)
    assert said.startswith(
        f"error: --dataset davis18: is no known benchmark; choose one of {known},"
    )
    assert len(said.splitlines()) == 1


@pytest.mark.slow
def test_benchmark_from_outside_is_propagated_scored_and_compared(
    importable: Path, monkeypatch
) -> None:
    where = ("--dataset", "own_benchmark:MINE", "--root", importable / "data")
    fixed = ("--encoder", "random:resnet18", "--context", 2, "--radius", 2, "--device", "cpu")
    out, copy = importable / "out", importable / "copy"

    # Two workers are two processes, and each imports the benchmark again.
    command(importable, "propagate", *where, "--workers", 2, *fixed, "--out", out)
    command(importable, "score", *where, "--workers", 2, "--results", out)

    results = json.loads((out / "results.json").read_text())
    assert results["dataset"] == "mine"
    assert list(results["sequences"]) == ["one", "two"]

    # The results are of a benchmark that the registry does not know.
    shutil.copytree(out, copy)
    assert run(monkeypatch, "compare", out, copy, "--out", importable / "table.md") == 0
    assert run(monkeypatch, "report", out, *where, "--out", importable / "page.html") == 0


@pytest.mark.parametrize(
    ("dataset", "complaint"),
    [
        ("own_benchmark:THEIRS", "cannot be imported (AttributeError"),
        ("unfinished_benchmark:MINE", "cannot be imported (ModuleNotFoundError"),
        (
            "own_benchmark:NUMBER",
            "is a int; it must be a densevos_eval.protocols.protocol.Protocol",
        ),
        ("own_benchmark:NAMED_AS_ANOTHER", "differs from the known benchmark davis17; give"),
        ("own_benchmark:UNSENDABLE", "cannot be sent to worker processes"),
        ("own_benchmark:FORGETFUL", "its layout failed (TypeError: 'NoneType' object"),
    ],
)
def test_broken_benchmark_from_outside_gives_one_line(
    importable: Path, dataset: str, complaint: str, monkeypatch, capsys
) -> None:
    where = ("--dataset", dataset, "--root", importable / "data", "--results", importable)
    assert run(monkeypatch, "score", *where) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: --dataset {dataset}: {complaint}")
    assert len(said.splitlines()) == 1


def test_benchmark_from_outside_says_what_is_missing(importable: Path, monkeypatch, capsys) -> None:
    root = importable / "nowhere"
    where = ("--dataset", "own_benchmark:MINE", "--root", root, "--results", importable)
    assert run(monkeypatch, "score", *where) == 2
    assert capsys.readouterr().err.startswith(f"error: {root / 'frames'}: folder is missing; mine")
    assert run(monkeypatch, "score", *where, "--split", "train") == 2
    assert "own_benchmark:MINE has no splits; leave it out" in capsys.readouterr().err


def test_known_benchmark_may_be_named_as_one_from_outside() -> None:
    assert find_protocol("densevos_eval.protocols.mose:MOSE") is MOSE


def test_videos_of_mose_lie_at_the_top_of_its_zip(tmp_path: Path, monkeypatch) -> None:
    mose(tmp_path / "valid")
    mose(tmp_path / "results", range(FRAMES))
    results, packed = tmp_path / "results" / "Annotations", tmp_path / "up.zip"
    where = ("--dataset", "mose", "--root", tmp_path, "--results", results)
    assert run(monkeypatch, "submit", *where, "--out", packed) == 0
    with zipfile.ZipFile(packed) as archive:
        names = [f"{video}/{t:05d}.png" for video in ("one", "two") for t in range(FRAMES)]
        assert archive.namelist() == names


def test_mose_has_all_masks_of_train_and_the_first_of_valid(tmp_path: Path) -> None:
    mose(tmp_path / "train", range(FRAMES))
    mose(tmp_path / "valid")
    for video in load_sequences(MOSE, tmp_path, "train"):
        assert len(video.truth) == FRAMES
    for split in ("val", "valid"):
        videos = load_sequences(MOSE, tmp_path, split)
        assert [video.source.parts[-3] for video in videos] == ["valid", "valid"]
        assert all(video.truth == () and list(video.given) == [0] for video in videos)

    (tmp_path / "train" / "Annotations" / "two" / "00003.png").unlink()
    missing = r"train/Annotations/two/00003\.png: file is missing; mose needs train/JPEGImages/"
    with pytest.raises(InputError, match=missing):
        load_sequences(MOSE, tmp_path, "train")


def test_mose_is_scored_without_the_first_and_the_last_frame(
    tmp_path: Path, monkeypatch, capsys
) -> None:
    mose(tmp_path / "train", range(FRAMES))
    mose(tmp_path / "valid")
    results = tmp_path / "results"
    shutil.copytree(tmp_path / "train" / "Annotations", results)
    for t in (0, FRAMES - 1):
        put(results / "one" / f"{t:05d}.png", np.zeros((HEIGHT, WIDTH)))

    where = ("--dataset", "mose", "--root", tmp_path, "--results", results, "--workers", 1)
    assert run(monkeypatch, "score", *where, "--split", "train") == 0
    assert json.loads((results / "results.json").read_text())["overall"]["J&F-Mean"] == 1

    capsys.readouterr()
    assert run(monkeypatch, "score", *where) == 2
    assert "mose: nothing to score against" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["valid", "val"])
def test_mose_with_its_splits_in_one_folder(tmp_path: Path, name: str) -> None:
    mose(tmp_path, range(FRAMES))
    with pytest.raises(InputError, match=r"ImageSets/valid\.txt: list of sequences is missing"):
        load_sequences(MOSE, tmp_path, "val")
    write_text(tmp_path / "ImageSets" / "train.txt", "one\n")
    write_text(tmp_path / "ImageSets" / f"{name}.txt", "two\n")
    assert [video.name for video in load_sequences(MOSE, tmp_path, "val")] == ["two"]
    assert [video.name for video in load_sequences(MOSE, tmp_path, "train")] == ["one"]


def test_list_of_mose_chooses_among_the_videos_of_a_split(tmp_path: Path) -> None:
    mose(tmp_path / "valid")
    write_text(tmp_path / "ImageSets" / "valid.txt", "two\n")
    assert [video.name for video in load_sequences(MOSE, tmp_path, "val")] == ["two"]
