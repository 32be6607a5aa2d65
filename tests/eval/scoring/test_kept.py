"""Scores that are kept, reused and refused: interruptions, shards, changed masks and
annotations.
"""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from densevos.base import console
from densevos.base.errors import InputError
from densevos.base.masks import read_mask, write_mask
from densevos_eval import cli
from densevos_eval.metrics import objects
from densevos_eval.metrics.registry import benchmark_metric
from densevos_eval.protocols.davis import DAVIS17
from densevos_eval.protocols.protocol import load_sequences
from densevos_eval.reports.results import check_fresh, check_same, read_all, read_results
from densevos_eval.scoring.folders import located
from densevos_eval.scoring.kept import KEPT, KeptArrays
from densevos_eval.scoring.results import results_json
from densevos_eval.scoring.score import score
from densevos_eval.sequences.sequence import VideoSequence
from tests.conftest import ROOT
from tests.eval.conftest import Benchmark


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the sequences whose masks are really looked at."""
    names: list[str] = []
    measure_objects = objects.measure_objects

    def watched(sequence: VideoSequence, *rest):
        names.append(sequence.name)
        return measure_objects(sequence, *rest)

    monkeypatch.setattr(objects, "measure_objects", watched)
    return names


def run(benchmark: Benchmark, *more: object) -> int:
    fixed = [
        "score",
        "--dataset",
        "davis17",
        "--root",
        benchmark.root,
        "--results",
        benchmark.results,
    ]
    return console.run(lambda: cli.dispatch([str(one) for one in (*fixed, "--workers", 1, *more)]))


def read(folder: Path) -> dict:
    return json.loads((folder / "results.json").read_text())


def shift(file: Path) -> None:
    write_mask(file, np.roll(read_mask(file), 1, axis=1))


KILLED = """
import os, signal, sys
from pathlib import Path
from densevos_eval.protocols.davis import DAVIS17
from densevos_eval.protocols.protocol import load_sequences
from densevos_eval.metrics.registry import benchmark_metric
from densevos_eval.scoring.kept import KeptArrays
from densevos_eval.scoring.score import score

root, results = map(Path, sys.argv[1:])
kept = KeptArrays(out=results)
kill = lambda name: os.kill(os.getpid(), signal.SIGKILL)
sequences = load_sequences(DAVIS17, root, "val")
score(sequences, results, benchmark_metric(DAVIS17), split="val", kept=kept, on_item=kill)
"""


def test_a_killed_run_goes_on_where_it_stopped(benchmark, tmp_path: Path, scored) -> None:
    assert run(benchmark, "--out", tmp_path / "whole") == 0
    assert scored == ["one", "two"]
    command = [sys.executable, "-c", KILLED, str(benchmark.root), str(benchmark.results)]
    assert subprocess.run(command, check=False, cwd=ROOT).returncode == -9
    kept = benchmark.results / KEPT
    assert os.listdir(kept) == ["one.npz"]
    assert run(benchmark, "--resume") == 0
    assert scored == ["one", "two", "two"]
    assert read(benchmark.results)["overall"] == read(tmp_path / "whole")["overall"]
    assert (
        read(benchmark.results)["sequences"]["one"]["objects"]
        == read(tmp_path / "whole")["sequences"]["one"]["objects"]
    )
    assert not kept.exists()


def test_kept_scores_are_only_of_the_very_same_files_and_rules(benchmark, scored) -> None:
    sequences = load_sequences(DAVIS17, benchmark.root, "val")
    kept = KeptArrays(out=benchmark.results, reuse=True)

    def again(protocol=DAVIS17) -> list[str]:
        scored.clear()
        again.scores = score(
            sequences, benchmark.results, benchmark_metric(protocol), split="val", kept=kept
        )
        return list(scored)

    assert again() == ["one", "two"]
    first = again.scores
    assert again() == []
    assert results_json(again.scores) == results_json(first)
    shift(benchmark.result("two", 3))
    assert again() == ["two"]
    assert again.scores.overall != first.overall
    shift(benchmark.annotation("one", 3))
    assert again() == ["one"]
    assert again(replace(DAVIS17, contour=False)) == ["one", "two"]
    assert again(replace(DAVIS17, contour=False, skipped=(0, 0))) == ["one", "two"]
    file = benchmark.results / KEPT / "two.npz"
    for damage in (b"", file.read_bytes()[:200]):
        file.write_bytes(damage)
        assert again(replace(DAVIS17, contour=False, skipped=(0, 0))) == ["two"]
    kept = replace(kept, reuse=False)
    assert kept.file("one") == benchmark.results / KEPT / "one.npz"
    assert again() == ["one", "two"]


def test_a_broken_sequence_is_mended_without_scoring_the_others_again(
    benchmark, scored, capsys
) -> None:
    whole = benchmark.result("two", 3).read_bytes()
    benchmark.result("two", 3).write_bytes(whole[:40])
    assert run(benchmark) == 1
    assert capsys.readouterr().err.startswith(
        f"two: {benchmark.result('two', 3)}: mask cannot be read"
    )
    benchmark.result("two", 3).write_bytes(whole)
    scored.clear()
    assert run(benchmark, "--resume") == 0
    assert scored == ["two"]
    assert "broken" not in read(benchmark.results)


def test_scores_of_shards_are_those_of_one_run(benchmark, tmp_path: Path, scored, capsys) -> None:
    assert run(benchmark, "--out", tmp_path / "whole") == 0
    for i in (1, 2):
        assert run(benchmark, "--out", tmp_path / "parts", "--shard", f"{i}/2") == 0
    assert os.listdir(tmp_path / "parts") == [KEPT]
    scored.clear()
    assert run(benchmark, "--out", tmp_path / "parts", "--resume") == 0
    assert scored == []
    for file in (tmp_path / "whole").iterdir():
        assert file.read_bytes() == (tmp_path / "parts" / file.name).read_bytes()


def test_results_of_other_masks_or_annotations_are_refused(
    benchmark, tmp_path: Path, capsys
) -> None:
    assert run(benchmark) == 0
    assert run(benchmark, "--out", tmp_path / "tables") == 0
    sequences = load_sequences(DAVIS17, benchmark.root, "val")
    results, tables = read_all([benchmark.results, tmp_path / "tables"])
    check_fresh(results, sequences)
    shift(benchmark.result("one", 0))  # not scored
    check_fresh(results, sequences)
    mask = benchmark.result("two", 2).read_bytes()
    for spoil in (shift, Path.unlink):
        spoil(benchmark.result("two", 2))
        for one in (results, tables):
            with pytest.raises(
                InputError,
                match=r"results\.json: is of other masks of two than .* holds now; score",
            ):
                check_fresh(one)
    report = [
        "report",
        str(benchmark.results),
        "--dataset",
        "davis17",
        "--root",
        str(benchmark.root),
    ]
    assert console.run(lambda: cli.dispatch(report)) == 2
    assert console.run(lambda: cli.dispatch(["compare", str(benchmark.results)])) == 2
    assert capsys.readouterr().err.count("is of other masks of two") == 2
    benchmark.result("two", 2).write_bytes(mask)
    shift(benchmark.annotation("one", 2))
    check_fresh(results)
    with pytest.raises(
        InputError, match=r"is of other annotations of one than there are now; score again"
    ):
        check_fresh(results, sequences)
    assert run(benchmark) == 0
    with pytest.raises(InputError, match="one is scored against other annotations"):
        check_same(read_results(benchmark.results), tables)


def test_folders_for_results_and_tables_are_named(benchmark, capsys) -> None:
    fixed = [
        "score",
        "--dataset",
        "davis17",
        "--root",
        str(benchmark.root),
        "--results",
        str(benchmark.results),
    ]
    assert console.run(lambda: cli.dispatch([*fixed, str(benchmark.root)])) == 2
    assert "--results: names 2 folders" in capsys.readouterr().err
    assert run(benchmark, "--shard", "x") == 2
    assert not (benchmark.results / KEPT).exists()


def test_shards_without_sequences_are_done_at_once(benchmark, tmp_path: Path, capsys) -> None:
    assert run(benchmark, "--out", tmp_path / "parts", "--shard", "3/3") == 0
    assert "--shard 3/3: there are fewer sequences" in capsys.readouterr().out
    assert not (tmp_path / "parts").exists()


def test_results_without_a_folder_are_refused(benchmark) -> None:
    with pytest.raises(InputError, match="--results: names no folder"):
        located(load_sequences(DAVIS17, benchmark.root, "val"), [])
