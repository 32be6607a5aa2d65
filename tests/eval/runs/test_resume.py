"""Propagation that is interrupted, shared out, or meets broken sequences: what is on disk
afterwards.
"""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest
import torch

from densevos.base import console
from densevos.base.errors import InputError
from densevos.base.masks import read_mask, write_mask
from densevos.config import EncoderConfig
from densevos.models.encoder import DenseEncoder, save_encoder
from densevos_eval import cli
from densevos_eval.adapters.encoder import load_encoder
from densevos_eval.adapters.options import EncoderOptions
from densevos_eval.base.devices import spread_over
from densevos_eval.propagation.propagate import Propagation
from densevos_eval.propagation.settings import PropagationConfig, Setup
from densevos_eval.protocols.davis import DAVIS17
from densevos_eval.protocols.protocol import load_sequences
from densevos_eval.runs.fingerprint import fingerprint
from densevos_eval.runs.runner import write_all
from densevos_eval.sequences.sequence import VideoSequence
from tests.conftest import ROOT
from tests.eval.conftest import Benchmark, moving_rectangles, write_frames, write_masks

CONFIG = PropagationConfig(context=2, radius=3)
OPTIONS = EncoderOptions(encoder="random:resnet18", layer="res3")
LOAD = partial(Propagation.loaded, "cpu", encoder=OPTIONS, setup=Setup(propagation=CONFIG))


@cache
def writer() -> Propagation:
    torch.set_num_threads(1)
    return LOAD()


@pytest.fixture
def three(benchmark: Benchmark) -> list[VideoSequence]:
    """Sequences one and two, and a third of two objects."""
    write_frames(benchmark.root / "JPEGImages" / "480p" / "zebra")
    write_masks(benchmark.root / "Annotations" / "480p" / "zebra", moving_rectangles({1: 3, 2: 12}))
    (benchmark.root / "ImageSets" / "2017" / "val.txt").write_text("one\ntwo\nzebra\n")
    return load_sequences(DAVIS17, benchmark.root, "val")


def run(sequences: list[VideoSequence], out: Path, **options) -> dict:
    return write_all(sequences, writer(), out, **options)


def files(out: Path) -> dict[str, bytes]:
    """Every file but the records, which hold the seconds that a sequence took."""
    found = [file for file in out.rglob("*") if file.is_file() and ".propagation" not in file.parts]
    return {str(file.relative_to(out)): file.read_bytes() for file in found}


def evaluator(*arguments: object) -> int:
    return console.run(lambda: cli.dispatch([str(a) for a in arguments]))


def options(benchmark: Benchmark, out: Path, *more: object) -> tuple[object, ...]:
    where = ("--dataset", "davis17", "--root", benchmark.root, "--out", out)
    return (
        "propagate",
        "--encoder",
        "random:resnet18",
        "--device",
        "cpu",
        "--layer",
        "res3",
        *where,
        *more,
    )


@pytest.mark.slow
def test_numbers_do_not_depend_on_processes(three, tmp_path: Path) -> None:
    run(three, tmp_path / "one")
    ticks: list[str] = []
    run(three, tmp_path / "two", loads=[LOAD, LOAD], on_step=ticks.append)
    assert files(tmp_path / "one") == files(tmp_path / "two")
    assert len(files(tmp_path / "one")) == 3 * 6 + 1
    assert sorted(ticks) == ["one"] * 6 + ["two"] * 6 + ["zebra"] * 6


KILLED = """
import os, signal, sys
from pathlib import Path
from densevos_eval.protocols.davis import DAVIS17
from densevos_eval.protocols.protocol import load_sequences
from tests.eval.runs.test_resume import run

frames = []
def kill(name):
    frames.append(name)
    if len(frames) == 10:  # in the middle of the second sequence
        os.kill(os.getpid(), signal.SIGKILL)

run(load_sequences(DAVIS17, Path(sys.argv[1]), "val"), Path(sys.argv[2]), on_step=kill)
"""


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_very_same_files(three, benchmark, tmp_path: Path) -> None:
    out = tmp_path / "killed"
    command = [sys.executable, "-c", KILLED, str(benchmark.root), str(out)]
    assert subprocess.run(command, check=False, cwd=ROOT).returncode == -9
    assert sorted(path.name for path in out.iterdir()) == [
        ".propagation",
        ".two.part",
        "one",
        "propagation.json",
    ]
    half = out / ".two.part" / "00001.png"
    half.write_bytes(half.read_bytes()[:20])
    before = (out / "one" / "00003.png").stat().st_mtime_ns
    with pytest.raises(InputError, match="holds a run; pass --resume"):
        run(three, out)
    ticks: list[str] = []
    assert run(three, out, resume=True, on_step=ticks.append) == {}
    run(three, tmp_path / "whole")
    assert files(out) == files(tmp_path / "whole")
    assert (out / "one" / "00003.png").stat().st_mtime_ns == before
    assert len(ticks) == 18  # the bar counts what was there too


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-20])


@pytest.mark.parametrize(
    "spoil", [cut, Path.unlink, lambda file: write_mask(file, np.ones((24, 40), np.uint8))]
)
def test_a_mask_that_is_not_as_it_was_written_is_made_again(three, tmp_path: Path, spoil) -> None:
    out = tmp_path / "out"
    run(three[:2], out)
    expected = files(out)
    spoil(out / "two" / "00004.png")
    run(three[:2], out, resume=True)
    assert files(out) == expected


def test_another_run_is_not_gone_on_with(three, benchmark, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(three[:1], out)
    with pytest.raises(InputError, match=r"propagation\.json: has context 2, not 5; pass the same"):
        write_all(
            three,
            replace(writer(), config=PropagationConfig(context=5, radius=3)),
            out,
            resume=True,
        )
    other = load_encoder("random:resnet18:7", layer="res3")
    with pytest.raises(
        InputError, match=r"has encoder random:resnet18, not random:resnet18:7; pass"
    ):
        write_all(three, replace(writer(), encoder=other), out, resume=True)
    with pytest.raises(InputError, match="--overwrite: deletes what --resume"):
        run(three, out, resume=True, overwrite=True)
    given = benchmark.annotation("one", 0)
    write_mask(given, read_mask(given)[:, ::-1])
    with pytest.raises(InputError, match="one: was made from other frames or given masks"):
        run(three, out, resume=True)
    (out / "propagation.json").write_text("[")
    with pytest.raises(InputError, match=r"propagation\.json: cannot be read"):
        run(three, out, resume=True)
    (out / "propagation.json").unlink()
    with pytest.raises(InputError, match="output folder exists and is not empty"):
        run(three, out, resume=True)


def test_an_encoder_is_known_by_its_weights_not_its_path(three, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        torch.manual_seed(0)
        save_encoder(
            tmp_path / name / "encoder.safetensors",
            DenseEncoder(EncoderConfig(architecture="resnet18")),
            {},
        )
    a, b = (load_encoder(str(tmp_path / name), device="cpu", layer="res3") for name in ("a", "b"))
    out = tmp_path / "out"
    write_all(three[:1], replace(writer(), encoder=a), out)
    write_all(three[:1], replace(writer(), encoder=b), out, resume=True)
    save_encoder(
        tmp_path / "b" / "encoder.safetensors",
        DenseEncoder(EncoderConfig(architecture="resnet18")),
        {},
    )
    other = load_encoder(str(tmp_path / "b"), device="cpu", layer="res3")
    with pytest.raises(
        InputError, match=r"propagation\.json: has encoder .*a, not .*b; pass the same"
    ):
        write_all(three[:1], replace(writer(), encoder=other), out, resume=True)


def test_a_broken_sequence_does_not_lose_the_others(
    three, benchmark, tmp_path: Path, capsys
) -> None:
    out = tmp_path / "out"
    frame = benchmark.root / "JPEGImages" / "480p" / "two" / "00003.jpg"
    whole = frame.read_bytes()
    frame.write_bytes(whole[:100])
    assert evaluator(*options(benchmark, out)) == 1
    broken, last = capsys.readouterr().err.splitlines()
    assert broken.startswith(f"two: {frame}: image cannot be read")
    assert (
        last == "error: 1 of 3 sequences have no result, the others do; fix them and pass --resume"
    )
    assert sorted(path.name for path in out.iterdir()) == [
        ".propagation",
        "one",
        "propagation.json",
        "zebra",
    ]
    frame.write_bytes(whole)
    assert evaluator(*options(benchmark, out, "--resume")) == 0
    assert evaluator(*options(benchmark, tmp_path / "whole")) == 0
    assert files(out) == files(tmp_path / "whole")


def test_unusable_given_masks_are_told_of_and_all_of_them_touch_nothing(
    three, benchmark, tmp_path, capsys
) -> None:
    out = tmp_path / "out"
    write_mask(benchmark.annotation("zebra", 0), np.zeros((24, 40), np.uint8))
    assert evaluator(*options(benchmark, out, "--sequences", "zebra")) == 2
    assert "00000.png: mask holds no object" in capsys.readouterr().err
    assert not out.exists()
    assert list(run(three[1:], out)) == ["zebra"]
    write_mask(benchmark.annotation("two", 0), np.zeros((5, 5), np.uint8))
    with pytest.raises(
        InputError, match=r"00000\.png: mask is 5x5 .* \(and so for the 1 other sequences\)"
    ):
        run(three[1:], tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_shards_share_a_folder_or_have_their_own(three, benchmark, tmp_path: Path, capsys) -> None:
    run(three, tmp_path / "whole")
    for i in (1, 2):
        run(three[i - 1 :: 2], tmp_path / f"shard{i}")
    for out in ("shared", "shared"):
        run(three[:2], tmp_path / out, resume=True)
        run(three[2:], tmp_path / out, resume=True)
    assert files(tmp_path / "shared") == files(tmp_path / "whole")
    score = ("score", "--dataset", "davis17", "--root", benchmark.root, "--workers", 1)
    assert evaluator(*score, "--results", tmp_path / "whole") == 0
    folders = [tmp_path / "shard1", tmp_path / "shard2"]
    assert evaluator(*score, "--results", *folders, "--out", tmp_path / "tables") == 0
    for table in ("global_results-val.csv", "per-sequence_results-val.csv"):
        assert (tmp_path / "tables" / table).read_bytes() == (
            tmp_path / "whole" / table
        ).read_bytes()
    merged, whole = (
        json.loads((tmp_path / out / "results.json").read_text()) for out in ("tables", "whole")
    )
    ways = {name: one.pop("masks") for name, one in merged["sequences"].items()}
    assert ways == {"one": "../shard1", "two": "../shard2", "zebra": "../shard1"}
    assert merged == whole
    capsys.readouterr()
    for spoil, said in (
        (lambda: None, "--results: names 2 folders"),
        (
            lambda: shutil.copytree(folders[0] / "one", folders[1] / "one"),
            f"{folders[0]} holds this sequence too",
        ),
        (
            lambda: [shutil.rmtree(folder / "one") for folder in folders],
            "none of the folders holds one",
        ),
        (lambda: edit_settings(folders[1]), "propagation.json: has topk 9, not 10"),
    ):
        spoil()
        tables = () if said.startswith("--results") else ("--out", tmp_path / "tables")
        assert evaluator(*score, "--results", *folders, *tables) == 2
        assert said in capsys.readouterr().err


def edit_settings(folder: Path) -> None:
    settings = json.loads((folder / "propagation.json").read_text())
    settings["propagation"]["topk"] = 9
    (folder / "propagation.json").write_text(json.dumps(settings))


def test_shards_of_the_command(three, benchmark, tmp_path: Path, capsys) -> None:
    assert evaluator(*options(benchmark, tmp_path / "out", "--shard", "4/2")) == 2
    assert "--shard 4/2: must be I/N" in capsys.readouterr().err
    assert evaluator(*options(benchmark, tmp_path / "out", "--workers", "0")) == 2
    for i in (1, 2, 3, 4):
        assert evaluator(*options(benchmark, tmp_path / "out", "--shard", f"{i}/4")) == 0
    assert sorted(p.name for p in (tmp_path / "out").iterdir() if p.name[0] != ".") == [
        "one",
        "propagation.json",
        "two",
        "zebra",
    ]


def test_overwrite_never_deletes_what_is_read(three, benchmark, capsys) -> None:
    assert evaluator(*options(benchmark, benchmark.root, "--overwrite")) == 2
    assert "--overwrite would delete" in capsys.readouterr().err
    assert benchmark.annotation("one", 0).is_file()


def test_processes_take_the_gpus_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    assert spread_over("cpu", None) == ["cpu"]
    assert spread_over("cpu", 2) == ["cpu", "cpu"]
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert spread_over("auto", None) == ["cuda:0", "cuda:1"]
    assert spread_over("cuda", 3) == ["cuda:0", "cuda:1", "cuda:0"]
    assert spread_over("cuda:1", 2) == ["cuda:1", "cuda:1"]


def test_fingerprints_of_files_named_in_any_encoding(tmp_path: Path) -> None:
    """Latin-1 names: two that differ have different fingerprints."""
    files = [tmp_path / os.fsdecode(name) for name in (b"caf\xe9.png", b"caf\xe8.png", b"caf.png")]
    for file in files:
        file.write_bytes(b"alike")
    assert len({fingerprint([file], {"name": file.stem}) for file in files}) == 3
