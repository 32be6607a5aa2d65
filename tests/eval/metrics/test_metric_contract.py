"""A metric written as one file scores, writes results.json, prints its table and is compared;
nothing else changes.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from densevos.base import console
from densevos.base.errors import InputError
from densevos_eval import cli, metrics
from densevos_eval.metrics.metric import Rows, Scores
from densevos_eval.metrics.objects import ObjectsMetric
from densevos_eval.metrics.registry import (
    benchmark_metric,
    find_metric,
    find_sequence_metric,
    find_shot_metric,
    metric_classes,
)
from densevos_eval.protocols.jhmdb import JHMDB
from densevos_eval.protocols.registry import PROTOCOLS
from densevos_eval.protocols.vip import VIP
from densevos_eval.scoring.results import results_json, scores_table
from tests.eval.conftest import Benchmark

COVERAGE = '''
"""Coverage: the share of the pixels of objects that any object of the result covers."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from densevos.base.masks import read_mask
from densevos_eval.metrics.metric import Rows
from densevos_eval.metrics.sequence_metric import SequenceMetric


@dataclass(frozen=True, kw_only=True)
class Coverage(SequenceMetric):
    name: ClassVar[str] = "coverage"

    def measure(self, item, folder):
        shares = []
        for name, file in zip(item.frame_names, item.truth):
            truth, found = read_mask(file) > 0, read_mask(folder / item.name / f"{name}.png") > 0
            shares.append((truth & found).sum() / truth.sum())
        return {"shares": np.array(shares)}

    def combine(self, arrays):
        rows = {name: {"coverage": float(one["shares"].mean())} for name, one in arrays.items()}
        overall = {"coverage": float(np.mean([row["coverage"] for row in rows.values()]))}
        details = {name: {"shares": one["shares"]} for name, one in arrays.items()}
        return Rows(overall=overall, sequences=rows, sequence_details=details)


METRIC = Coverage
'''

# J over two groups of objects, as benchmarks with seen and unseen categories ask for.
GROUPS = '''
"""J&F of objects with even and with odd ids."""

from dataclasses import dataclass
from typing import ClassVar

from densevos_eval.metrics.metric import Rows
from densevos_eval.metrics.objects import ObjectsMetric, object_curves, summary


@dataclass(frozen=True, kw_only=True)
class Groups(ObjectsMetric):
    name: ClassVar[str] = "groups"

    def combine(self, arrays):
        rows = super().combine(arrays)
        overall = {}
        for group, rest in (("odd", 1), ("even", 0)):
            objects = [entry for one in arrays.values() for entry in object_curves(one).items()]
            curves = [curve for id, curve in objects if id % 2 == rest]
            overall[f"J&F-{group}"] = summary(curves)["J&F-Mean"]
        overall["J&F-Mean"] = sum(overall.values()) / 2
        return Rows(
            overall=overall,
            sequences=rows.sequences,
            sequence_details=rows.sequence_details,
        )


METRIC = Groups
'''


@pytest.fixture
def more_metrics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two files more in densevos_eval/metrics."""
    folder = tmp_path / "more"
    folder.mkdir()
    (folder / "coverage.py").write_text(COVERAGE)
    (folder / "groups.py").write_text(GROUPS)
    monkeypatch.setattr(metrics, "__path__", [*metrics.__path__, str(folder)])
    for name in ("coverage", "groups"):
        monkeypatch.delitem(sys.modules, f"densevos_eval.metrics.{name}", raising=False)
    return folder


def run(*arguments: object) -> int:
    return console.run(lambda: cli.dispatch([str(argument) for argument in arguments]))


def score(benchmark: Benchmark, *more: object) -> int:
    fixed = (
        "--dataset",
        "davis17",
        "--root",
        benchmark.root,
        "--results",
        benchmark.results,
        "--workers",
        1,
    )
    return run("score", *fixed, *more)


def test_a_metric_is_one_file(
    benchmark: Benchmark, more_metrics: Path, tmp_path: Path, capsys
) -> None:
    assert score(benchmark, "--metric", "coverage", "--out", tmp_path / "coverage") == 0
    shown = capsys.readouterr().out.splitlines()
    assert [
        line.split() for line in shown if line.split()[:1] in (["overall"], ["one"], ["two"])
    ] == [
        ["overall", "0.833"],
        ["one", "1.000"],
        ["two", "0.667"],
    ]
    written = json.loads((tmp_path / "coverage" / "results.json").read_text())
    assert written["metric"] == "coverage"
    assert written["overall"]["coverage"] == pytest.approx(5 / 6)
    assert written["sequences"]["two"]["shares"] == pytest.approx([2 / 3] * 6)
    assert len(written["sequences"]["two"]["frames"]) == 6
    assert [file.name for file in (tmp_path / "coverage").iterdir()] == ["results.json"]
    assert run("compare", tmp_path / "coverage") == 0
    assert "| coverage | 83.3 |" in capsys.readouterr().out
    assert (
        run("report", tmp_path / "coverage", "--dataset", "davis17", "--root", benchmark.root) == 0
    )


def test_a_metric_may_extend_another(
    benchmark: Benchmark, more_metrics: Path, tmp_path: Path, capsys
) -> None:
    out = tmp_path / "groups"
    assert score(benchmark, "--metric", "groups", "--out", out) == 0
    overall = json.loads((out / "results.json").read_text())["overall"]
    assert list(overall) == ["J&F-odd", "J&F-even", "J&F-Mean"]
    assert score(benchmark) == 0
    objects = json.loads((benchmark.results / "results.json").read_text())["sequences"]["two"][
        "objects"
    ]
    assert overall["J&F-even"] == objects["2"]["J&F-Mean"]
    capsys.readouterr()
    assert run("compare", benchmark.results, out) == 2
    assert (
        "its metric is groups, there the benchmark's own; score both alike"
        in capsys.readouterr().err
    )


def test_shards_of_a_new_metric_give_the_numbers_of_one_run(
    benchmark: Benchmark, more_metrics: Path, tmp_path: Path
) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert score(benchmark, "--metric", "coverage", "--out", whole) == 0
    for shard in ("1/2", "2/2"):
        assert score(benchmark, "--metric", "coverage", "--out", parts, "--shard", shard) == 0
    (benchmark.results / "one" / "notes.txt").write_text("mine")
    assert score(benchmark, "--metric", "coverage", "--out", parts, "--resume") == 0
    assert (whole / "results.json").read_bytes() == (parts / "results.json").read_bytes()


def test_kept_arrays_of_another_metric_are_not_reused(
    benchmark: Benchmark, more_metrics: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert score(benchmark, "--out", out, "--shard", "1/1") == 0
    assert score(benchmark, "--out", out, "--resume", "--metric", "coverage") == 0
    assert list(json.loads((out / "results.json").read_text())["overall"]) == ["coverage"]


def test_a_metric_may_live_outside_the_repository(
    benchmark: Benchmark, tmp_path: Path, monkeypatch, capsys
) -> None:
    (tmp_path / "my_metric_outside.py").write_text(COVERAGE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    assert score(benchmark, "--metric", "my_metric_outside:Coverage") == 0
    assert json.loads((benchmark.results / "results.json").read_text())["metric"] == "coverage"
    for name in ("np", "SequenceMetric"):
        assert score(benchmark, "--metric", f"my_metric_outside:{name}") == 2
        assert (
            f"--metric my_metric_outside:{name}: is no metric; name a class that"
            in capsys.readouterr().err
        )


def test_every_benchmark_asks_for_a_metric_that_there_is() -> None:
    names = [
        "ending",
        "joints",
        "joints-box",
        "long-term",
        "miou",
        "motion",
        "objects",
        "parts",
        "seen",
    ]
    assert sorted(metric_classes()) == names
    for protocol in PROTOCOLS.values():
        assert benchmark_metric(protocol).is_implied
    assert not ObjectsMetric(benchmark=VIP).is_implied


def test_metrics_that_do_not_fit_are_one_line(
    benchmark: Benchmark, capsys: pytest.CaptureFixture[str]
) -> None:
    assert score(benchmark, "--metric", "joints") == 2
    assert (
        capsys.readouterr().err
        == "error: --metric joints: davis17 has no joints; leave --metric out\n"
    )
    with pytest.raises(
        InputError,
        match="--metric miou: scores labelled sets, not benchmarks; name the set with --set",
    ):
        find_sequence_metric("miou")
    with pytest.raises(
        InputError,
        match="--metric parts: scores benchmarks, not labelled sets; name one with --dataset",
    ):
        find_shot_metric("parts")
    known = "miou, ending, joints, joints-box, long-term, motion, objects, parts, seen"
    with pytest.raises(InputError, match=f"--metric dice: is none of {known}"):
        find_metric("dice")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            (),
            "--dataset: is missing; name a benchmark with --dataset and --root, a labelled set "
            "with --set, or",
        ),
        (
            ("--dataset", "davis17"),
            "--root: is missing; name a benchmark with --dataset and --root, a labelled set",
        ),
        (
            ("--dataset", "davis17", "--root", ".", "--wanted", "dog"),
            "--wanted: is for a labelled set (--set SET:ROOT)",
        ),
        (("--set", "davis17:."), "davis17:.: is no SET:ROOT, where SET is one of ade20k, camvid"),
    ],
)
def test_what_is_missing_or_does_not_fit_is_one_line(
    arguments, told, tmp_path: Path, capsys
) -> None:
    assert run("score", "--results", tmp_path, *arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {told}")


def test_numbers_that_are_none_become_null_at_any_depth() -> None:
    rows = Rows(
        overall={"J-Mean": np.nan},
        sequences={"one": {"J-Mean": np.float64(0.5)}},
        sequence_details={"one": {"curve": np.array([0.5, np.nan]), "ids": np.array([3])}},
        details={"groups": {"odd": (np.nan, 1)}},
    )
    written = results_json(Scores(metric=benchmark_metric(JHMDB), split="val", rows=rows))
    assert json.loads(json.dumps(written), parse_constant=pytest.fail) == {
        "version": written["version"],
        "dataset": "jhmdb",
        "split": "val",
        "overall": {"J-Mean": None},
        "sequences": {"one": {"J-Mean": 0.5, "frames": [], "curve": [0.5, None], "ids": [3]}},
        "groups": {"odd": [None, 1]},
    }


def test_rows_may_lack_columns_of_the_table() -> None:
    rows = Rows(overall={"A-B": 0.25, "C": np.nan}, sequences={"one": {"C": 1.0}})
    table = scores_table(Scores(metric=benchmark_metric(JHMDB), split="val", rows=rows))
    assert [list(column.cells) for column in table.columns] == [
        ["overall", "one"],
        ["0.250", ""],
        ["nan", "1.000"],
    ]
    assert [column.header for column in table.columns] == ["sequence", "A\nB", "C"]
