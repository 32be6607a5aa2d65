"""densevos-eval compare: differences, wins, intervals, tables, published figures."""

import csv
import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from densevos.base.errors import InputError
from densevos_eval import cli
from densevos_eval.reports.compare import bootstrap_interval, compare
from densevos_eval.reports.compare_tables import as_csv, latex, markdown, percent
from densevos_eval.reports.published import ROWS, VAL_2016, VAL_2017, published_rows, reason_against
from densevos_eval.reports.results import read_all, read_results, titles


def write_results(
    folder: Path, means: dict[str, list[float]], *, dataset: str = "davis17", **more: object
) -> Path:
    """results.json with J of the objects of each sequence; F is J and a tenth."""
    sequences = {
        name: {
            **row(values),
            "frames": ["00001", "00002"],
            "objects": {
                str(k): {"J": [j, j], "F": [j + 0.1, None]} for k, j in enumerate(values, start=1)
            },
        }
        for name, values in means.items()
    }
    overall = row([value for values in means.values() for value in values])
    everything = {
        "version": "0",
        "dataset": dataset,
        "split": "val",
        "overall": overall,
        "sequences": sequences,
    }
    folder.mkdir(parents=True)
    (folder / "results.json").write_text(json.dumps({**everything, **more}))
    return folder


def row(values: list[float]) -> dict[str, float]:
    j = float(np.mean(values))
    return {"J&F-Mean": j + 0.05, "J-Mean": j, "J-Decay": 1 - j, "F-Mean": j + 0.1}


@pytest.fixture
def pair(tmp_path: Path) -> list[Path]:
    first = write_results(tmp_path / "first", {"a": [0.5], "b": [0.4, 0.6], "c|d_e": [0.7]})
    other = write_results(tmp_path / "other", {"a": [0.6], "b": [0.3, 0.5], "c|d_e": [0.7]})
    return [first, other]


def compared(folders: list[Path]):
    return compare(read_all(folders), np.random.default_rng(0))


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["densevos-eval", "compare", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return int(end.value.code or 0)


def test_differences_and_wins(pair) -> None:
    (differences,) = compared(pair).differences
    one = differences["J&F-Mean"]
    assert one.value == pytest.approx(-0.1 / 4)  # of the four objects one gains .1 and two lose .1
    assert (one.wins, one.losses, one.ties) == (1, 1, 1)
    assert one.interval[0] < one.value < one.interval[1]


def test_a_small_decay_wins(pair) -> None:
    decay = compared(pair).differences[0]["J-Decay"]
    assert decay.value == pytest.approx(0.1 / 4)
    assert (decay.wins, decay.losses, decay.ties) == (1, 1, 1)


def test_no_interval_where_the_whole_is_no_mean_over_sequences(tmp_path) -> None:
    def pixels(name: str, value: float, each: float) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        sequences = {"a": {"mIoU": each}, "b": {"mIoU": each}}
        everything = {
            "dataset": "vip",
            "split": "val",
            "overall": {"mIoU": value},
            "sequences": sequences,
        }
        (folder / "results.json").write_text(json.dumps(everything))
        return folder

    comparison = compared([pixels("one", 0.3, 0.5), pixels("two", 0.4, 0.52)])
    assert comparison.first.headline == "mIoU"
    assert comparison.differences[0]["mIoU"].interval is None
    assert "| 40.0 (+10.0) | – | 2 / 0 / 0 |" in markdown(comparison)


def test_classes_are_resampled_within(tmp_path) -> None:
    """YouTube-Objects: the mean over classes is that of the table, whatever the number of shots."""
    shots = {"cat/1": 0.1, "cat/2": 0.2, "cat/3": 0.3, "dog/1": 0.9}

    def write(name: str, gain: float) -> Path:
        values = {shot: value + gain * (shot.startswith("dog")) for shot, value in shots.items()}
        sequences = {
            shot: {"J-Mean": value, "objects": {"1": {"J": [value]}}}
            for shot, value in values.items()
        }
        overall = {"J-Mean": np.mean([0.2, values["dog/1"]])}
        everything = {
            "dataset": "ytobjects",
            "split": "val",
            "overall": overall,
            "sequences": sequences,
        }
        (tmp_path / name).mkdir()
        (tmp_path / name / "results.json").write_text(json.dumps(everything))
        return tmp_path / name

    one = compared([write("first", 0), write("other", 0.05)]).differences[0]["J-Mean"]
    assert one.interval == pytest.approx(
        (0.025, 0.025)
    )  # only the one dog differs, and it is drawn every time


@settings(deadline=None, max_examples=15)
@given(st.lists(st.floats(-1, 1), min_size=2, max_size=12), st.integers(0, 99))
def test_interval_lies_within_the_differences_and_repeats(each: list[float], seed: int) -> None:
    values, ones, groups = np.array(each), np.ones(len(each)), np.full(len(each), "")
    interval = bootstrap_interval(values, ones, groups, np.random.default_rng(seed))
    assert min(each) - 1e-9 <= interval[0] <= interval[1] <= max(each) + 1e-9
    assert interval == bootstrap_interval(values, ones, groups, np.random.default_rng(seed))


def test_interval_has_the_width_that_theory_gives() -> None:
    each = np.random.default_rng(1).normal(0.02, 0.1, 400)
    low, high = bootstrap_interval(each, np.ones(400), np.full(400, ""), np.random.default_rng(0))
    error = each.std() / 20
    assert low == pytest.approx(each.mean() - 1.96 * error, abs=0.1 * error)
    assert high == pytest.approx(each.mean() + 1.96 * error, abs=0.1 * error)


def test_markdown(pair) -> None:
    text = markdown(compared(pair), published_rows("davis17", "val"))
    lines = text.splitlines()
    assert any(line.startswith("| first | 60.0 | 55.0 | 65.0 |") for line in lines)
    assert any(
        line.startswith("| other | 57.5 (-2.5) | 52.5 (-2.5) | 62.5 (-2.5) |") for line in lines
    )
    assert "| c\\|d\\_e | 75.0 | 75.0 (+0.0) |" in lines
    dul = next(line for line in lines if "DUL (YouTube-VOS)" in line)
    assert "69.3" in dul
    assert "published [1]" in dul
    assert any("[1] published: Araslanov" in line and "Table 1" in line for line in lines)
    for table in text.split("\n\n"):
        rows = [line.replace("\\|", "") for line in table.splitlines() if line.startswith("|")]
        assert len({line.count("|") for line in rows}) <= 1


def test_latex_escapes(pair) -> None:
    text = latex(compared(pair), published_rows("davis17", "val"))
    assert r"c|d\_e & 75.0 & 75.0 ($+$0.0) \\" in text
    assert r"J\&F" in text
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 2


def test_csv_holds_every_number(pair) -> None:
    rows = list(
        csv.DictReader(io.StringIO(as_csv(compared(pair), published_rows("davis17", "val"))))
    )
    found = {(one["result"], one["sequence"], one["metric"]): one for one in rows}
    whole = found["other", "overall", "J-Mean"]
    assert float(whole["value"]) == pytest.approx(0.525)
    assert float(whole["difference"]) == pytest.approx(-0.025)
    assert float(whole["low"]) < float(whole["high"])
    assert (whole["won"], whole["lost"], whole["same"]) == ("1", "1", "1")
    assert float(found["other", "b", "F-Mean"]["difference"]) == pytest.approx(-0.1)
    published = found["CRW (Kinetics-400)", "overall", "J&F-Mean"]
    assert float(published["value"]) == 0.676
    assert "NeurIPS 2021" in published["source"]


def test_published_figures_are_consistent() -> None:
    assert {row.source.split(", ")[-1].split(" (")[0] for row in ROWS} == {
        f"Table {n}" for n in (1, 2, 3, 5, 6)
    }
    methods = {row.method.split(",")[0] for row in ROWS}
    assert methods >= {"DUL", "CRW", "MAST", "CorrFlow", "ContrastCorr", "MuG", "TimeCycle"}
    for one in ROWS:
        if one.figures.keys() >= {"J&F-Mean", "J-Mean", "F-Mean"}:
            middle = (one.figures["J-Mean"] + one.figures["F-Mean"]) / 2
            assert one.figures["J&F-Mean"] == pytest.approx(middle, abs=0.101), one.method
    with pytest.raises(InputError, match=r"davis16 dev.*leave it out"):
        published_rows("davis16", "dev")


def test_published_figures_stand_beside_results_of_the_whole_split_alone(golden: Path) -> None:
    assert set(VAL_2017) == set(json.loads((golden / "davis2017_classes.json").read_text())["val"])
    assert len(VAL_2016) == 20
    assert reason_against("davis16", "val", reversed(VAL_2016)) is None
    assert reason_against("ytobjects", "val", ["cat/1"]) is None
    message = "they are of the 20 sequences of davis16 val, not of 19 of them alone"
    assert (
        reason_against("davis16", "val", VAL_2016[1:])
        == f"published figures are left out: {message}"
    )
    assert "not of 20 of them and 10 others" in str(reason_against("davis16", "val", VAL_2017))
    assert "the 474 sequences of ytvos18 val, not of 8 sequences" in str(
        reason_against("ytvos18", "val", VAL_2016[:8])
    )


def test_percent() -> None:
    assert [percent(v, sign=True) for v in (0.0251, -0.0004, float("nan"), None)] == [
        "+2.5",
        "+0.0",
        "–",
        "–",
    ]


def test_titles_tell_apart(tmp_path) -> None:
    assert titles([tmp_path / "a" / "davis", tmp_path / "b" / "davis"]) == ["a/davis", "b/davis"]
    with pytest.raises(InputError, match="named twice"):
        titles([tmp_path / "a", tmp_path / "b" / ".." / "a"])


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"dataset": "davis16"}, "davis16 val against davis17 val"),
        ({"split": "dev"}, "davis17 dev against davis17 val"),
        ({"sequences": {}}, "sequence a is not in"),
    ],
)
def test_other_benchmarks_are_refused(tmp_path, monkeypatch, capsys, change, complaint) -> None:
    first = write_results(tmp_path / "first", {"a": [0.5]})
    other = write_results(tmp_path / "other", {"a": [0.5]}, **change)
    assert run(monkeypatch, first, other) == 2
    error = capsys.readouterr().err
    assert complaint in error
    assert error.count("\n") == 1


def test_other_frames_are_refused(tmp_path) -> None:
    first = write_results(tmp_path / "first", {"a": [0.5]})
    other = write_results(tmp_path / "other", {"a": [0.5]})
    file = other / "results.json"
    file.write_text(file.read_text().replace("00002", "00003"))
    with pytest.raises(InputError, match="a is scored in other frames"):
        read_all([first, other])


def test_unreadable_results_are_named(tmp_path) -> None:
    with pytest.raises(
        InputError, match=r"results.json: is missing; write it with densevos-eval score"
    ):
        read_results(tmp_path)
    (tmp_path / "all.zip").touch()
    with pytest.raises(InputError, match=r"all.zip: is a file, not a folder of results; unpack it"):
        read_results(tmp_path / "all.zip")
    (tmp_path / "results.json").write_text('{"dataset": "davis17"}')
    with pytest.raises(InputError, match=r"results.json: is not what densevos-eval score writes"):
        read_results(tmp_path)


def test_command(pair, tmp_path, monkeypatch, capsys) -> None:
    assert run(monkeypatch, *pair, "--published") == 0
    shown = capsys.readouterr()
    assert "| other | 57.5 (-2.5)" in shown.out
    assert "*MuG (OxUvA)*" not in shown.out
    assert (
        "note: published figures are left out: they are of the 30 sequences of davis17 val, not of "
        "3 others" in shown.err
    )
    whole = write_results(
        tmp_path / "whole", {name: [0.5] for name in VAL_2017}, annotation_size="480x880"
    )
    assert run(monkeypatch, whole, "--published") == 0
    shown = capsys.readouterr()
    assert "*MuG (OxUvA)*" in shown.out
    assert "* whole: annotations scored at 480x880" in shown.out
    assert not shown.err
    assert run(monkeypatch, *pair, "--format", "csv", "--out", tmp_path / "new" / "table.csv") == 0
    assert (tmp_path / "new" / "table.csv").read_text().startswith("result,sequence,metric")
    assert run(monkeypatch) == 2
