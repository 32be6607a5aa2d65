"""densevos-eval sweep: the masks of propagate for every setting, from features computed once."""

import csv
import json
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from densevos.base import console
from densevos.base.errors import InputError
from densevos_eval import cli
from densevos_eval.adapters.encoder import load_encoder
from densevos_eval.presets.registry import PRESETS
from densevos_eval.propagation.settings import PropagationConfig, Setup
from densevos_eval.protocols.protocol import load_sequences
from densevos_eval.protocols.registry import PROTOCOLS
from densevos_eval.reports.results import Results, read_results
from densevos_eval.sweep.grid import Grid
from densevos_eval.sweep.remembering import FeatureFile, Remembering
from densevos_eval.sweep.sweep import sweep
from densevos_eval.sweep.table import Sweep, SweepEntry
from tests.eval.conftest import Benchmark

ENCODER = ("--encoder", "random:resnet18", "--device", "cpu", "--layer", "res3")
GRID = ("--context", 2, 0, "--topk", 3, "--radius", 3, "--temperature", 0.05, 0.2)
NAMES = [f"context{c}-radius3-top3-temperature{t}" for c in (2, 0) for t in (0.05, 0.2)]
RANDOM = load_encoder("random:resnet18", device="cpu", layer="res3")


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def evaluator(*arguments: object) -> int:
    return console.run(lambda: cli.dispatch([str(a) for a in arguments]))


def where(benchmark: Benchmark) -> tuple[object, ...]:
    return "--dataset", "davis17", "--root", benchmark.root


def one_line(capsys: pytest.CaptureFixture) -> str:
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def masks(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*.png")}


def test_masks_and_scores_are_those_of_propagate_and_score(
    benchmark: Benchmark, tmp_path: Path, capsys
) -> None:
    """Frame size 24x40 is no multiple of the stride; sequence two has two objects."""
    out = tmp_path / "out"
    assert evaluator("sweep", *ENCODER, *where(benchmark), *GRID, "--out", out, "--workers", 1) == 0
    shown = capsys.readouterr().out
    assert f"change from {NAMES[0]}" in " ".join(shown.split())
    assert sorted(p.name for p in out.iterdir()) == sorted([*NAMES, "sweep.csv", "sweep.json"])
    for name, (context, temperature) in zip(
        NAMES, [(2, 0.05), (2, 0.2), (0, 0.05), (0, 0.2)], strict=True
    ):
        single = tmp_path / name
        setting = ("--context", context, "--radius", 3, "--topk", 3, "--temperature", temperature)
        assert evaluator("propagate", *ENCODER, *where(benchmark), *setting, "--out", single) == 0
        assert masks(single) == masks(out / name)
        assert len(masks(single)) == 12
        assert evaluator("score", *where(benchmark), "--results", single, "--workers", 1) == 0
        assert read_results(single).overall == read_results(out / name).overall
    folders = [out / name for name in NAMES[:2]]
    assert evaluator("compare", *folders) == 0
    assert evaluator("report", folders[1], "--against", folders[0], *where(benchmark)) == 0


def test_table_files(benchmark: Benchmark, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert evaluator("sweep", *ENCODER, *where(benchmark), *GRID, "--out", out, "--workers", 1) == 0
    everything = json.loads((out / "sweep.json").read_text())
    rows = everything["settings"]
    values = [row["J&F-Mean"] for row in rows]
    assert values == sorted(values, reverse=True)
    by_name = {row["setting"]: row for row in rows}
    assert sorted(by_name) == sorted(NAMES)
    assert everything["first"] == NAMES[0]
    for name, row in by_name.items():
        assert row["J&F-Mean"] == read_results(out / name).overall["J&F-Mean"]
        assert row["difference"] == row["J&F-Mean"] - by_name[NAMES[0]]["J&F-Mean"]
        assert row["seconds"] >= 0
    assert (by_name[NAMES[1]]["context"], by_name[NAMES[1]]["temperature"]) == (2, 0.2)
    assert 0 < everything["share_of_time_saved"] < 1
    assert (everything["encoder"], everything["layer"], everything["dataset"]) == (
        "random:resnet18",
        "res3",
        "davis17",
    )
    lines = list(csv.DictReader((out / "sweep.csv").read_text().splitlines()))
    assert [line["setting"] for line in lines] == [row["setting"] for row in rows]
    assert [float(line["J-Mean"]) for line in lines] == [row["J-Mean"] for row in rows]


def test_every_frame_is_encoded_once(benchmark: Benchmark, tmp_path: Path) -> None:
    batches = []

    def network(frames: torch.Tensor) -> torch.Tensor:
        batches.append(len(frames))
        return RANDOM.network(frames)

    sequences = load_sequences(PROTOCOLS["davis17"], benchmark.root, "val")
    settings = Grid(context=(1, 2, 3), radius=(2, 3), topk=(2,)).setups()
    counted = []
    found = sweep(
        sequences,
        replace(RANDOM, network=network),
        settings,
        PROTOCOLS["davis17"],
        tmp_path / "out",
        split="val",
        on_frame=counted.append,
    )
    assert batches == [1] * 12
    assert len(counted) == 12 * len(settings)
    assert list(found.entries) == list(settings)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_features_come_back_to_the_last_bit(memory_format: torch.memory_format) -> None:
    def network(frames: torch.Tensor) -> torch.Tensor:
        return frames[..., ::8, ::8].contiguous(memory_format=memory_format)

    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (3, 20, 33, 3), dtype=np.uint8)
    encoder = replace(RANDOM, network=network, stride=8)
    with tempfile.TemporaryFile() as file:
        remembering = Remembering.of(encoder, FeatureFile(file=file))
        for frame in (*frames, *frames[::-1], frames[0].reshape(33, 20, 3)):
            found, expected = remembering.of_frame(frame), encoder.of_frame(frame)
            assert torch.equal(found, expected)
            assert found.stride() == expected.stride()


def test_grid() -> None:
    settings = Grid(context=(5, 20), radius=(8, 12.5), temperature=(0.05, 0.05)).setups()
    assert list(settings) == [
        f"context{context}-radius{radius}-top10-temperature0.05"
        for context in (5, 20)
        for radius in (8, 12.5)
    ]
    assert list(Grid().setups().values()) == [Setup()]
    dino = list(Grid(preset="dino", topk=(5, 10)).setups().values())
    preset = PRESETS["dino"]
    assert dino[0] == replace(preset.setup, normalisation=preset.normalisation, positions="dino")
    assert dino[1].propagation == replace(dino[0].propagation, topk=10)
    both = Grid(window=("circle", "square"), reference=("near",)).setups()
    assert [name.removeprefix("context20-radius12-top10-temperature0.05") for name in both] == [
        "-circle",
        "-square",
    ]
    assert [setup.propagation.window for setup in both.values()] == ["circle", "square"]
    with pytest.raises(InputError, match="--radius: must be above 0 with --reference near"):
        Grid(radius=(3, 0), reference=("near",))


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        (("--topk", 5, 0), "--topk: must be 1 or more, is 0"),
        (("--context", 5, -1), "--context: must be 0 or more, is -1"),
        (("--radius", "nan"), "--radius: must be 0 or more"),
        (("--temperature", 0), "--temperature: must be above 0"),
        (("--contexts", 5), "--contexts: is now --context, which takes several values"),
        (("--dataset", "davis17-unsupervised", "--annotations", "Annotations"), "no mask is given"),
        (("--sequences", "three"), "three"),
        (("--workers", 0), "--workers"),
    ],
)
def test_unusable_input_is_told_in_one_line(
    benchmark: Benchmark, tmp_path: Path, capsys, more, complaint
) -> None:
    assert evaluator("sweep", *ENCODER, *where(benchmark), *more, "--out", tmp_path / "out") == 2
    assert complaint in one_line(capsys)
    assert not (tmp_path / "out").exists()


def test_full_folders_are_refused_and_half_a_sweep_leaves_no_features(
    benchmark: Benchmark, tmp_path, capsys
) -> None:
    out = tmp_path / "out"
    for name in ("one", "two"):
        frame = benchmark.root / "JPEGImages" / "480p" / name / "00003.jpg"
        frame.write_bytes(frame.read_bytes()[:100])
    assert evaluator("sweep", *ENCODER, *where(benchmark), *GRID, "--out", out) == 2
    assert "00003.jpg" in one_line(capsys)
    assert {file.suffix for file in out.rglob("*") if file.is_file()} == {".json"}
    assert evaluator("sweep", *ENCODER, *where(benchmark), *GRID, "--out", out) == 2
    assert "--overwrite" in one_line(capsys)


@pytest.mark.parametrize("broken", ["one", "two"])
def test_a_broken_sequence_does_not_lose_the_others(
    benchmark: Benchmark, tmp_path: Path, capsys, broken: str
) -> None:
    other = {"one": "two", "two": "one"}[broken]
    grid = ("--context", 2, 0, "--topk", 3, "--radius", 3, "--workers", 1)
    frame = benchmark.root / "JPEGImages" / "480p" / broken / "00003.jpg"
    frame.write_bytes(frame.read_bytes()[:100])
    assert evaluator("sweep", *ENCODER, *where(benchmark), *grid, "--out", tmp_path / "out") == 1
    said = capsys.readouterr()
    assert "WITHOUT 1 that are broken" in " ".join(said.out.split())
    reason, last = said.err.splitlines()
    assert reason.startswith(f"{broken}: {frame}: ")
    assert last == "error: 1 of 2 sequences have no result, the others do; fix them and sweep again"
    alone = ("--sequences", other, "--out", tmp_path / "alone")
    assert evaluator("sweep", *ENCODER, *where(benchmark), *grid, *alone) == 0
    found, expected = (
        json.loads((tmp_path / out / "sweep.json").read_text()) for out in ("out", "alone")
    )
    assert list(found["broken"]) == [broken]
    assert "broken" not in expected
    for rows in (found["settings"], expected["settings"]):
        assert all(row.pop("seconds") >= 0 for row in rows)
    assert found["settings"] == expected["settings"]
    with pytest.raises(InputError, match=f"is not of the whole split, {broken} is broken"):
        read_results(tmp_path / "out" / found["first"])


def test_settings_without_a_number_come_last() -> None:
    def entry(value: float) -> SweepEntry:
        overall = {"J&F-Mean": value}
        results = Results(
            title="", folder=Path(), dataset="davis17", split="val", overall=overall, sequences={}
        )
        return SweepEntry(config=PropagationConfig(), results=results, seconds=3)

    values = {"a": 0.5, "b": float("nan"), "c": 0.7, "d": 0.5}
    found = Sweep(
        entries={name: entry(value) for name, value in values.items()}, encoder={}, features=2
    )
    assert [name for name, _ in found.ranked] == ["c", "a", "d", "b"]
    assert found.difference("c") == pytest.approx(0.2)
    assert found.saved == pytest.approx(
        6 / (6 + 2 + 12)
    )  # 2 s of features instead of 8, 12 s of masks
