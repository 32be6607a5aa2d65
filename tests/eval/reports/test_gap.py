"""densevos-eval gap: the share of a domain gap that was closed, and every line of judgement."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from densevos.base import console
from densevos.base.errors import InputError
from densevos_eval import cli
from densevos_eval.reports.gap import Gap, gap_table, judgement, read_gap, warnings_of

TARGET = ("before", "after", "ceiling", "control", "statistics")


def write_results(folder: Path, miou: float | None, **more: object) -> Path:
    """results.json of two images, as score writes it of a labelled set."""
    frames = {
        name: {"mIoU": miou, "frames": [name], "sha256": {"masks": f"{miou}", "annotations": name}}
        for name in "ab"
    }
    everything = {
        "version": "0",
        "dataset": "folder",
        "split": "val",
        "overall": {"mIoU": miou, "mean accuracy": 0.5, "pixel accuracy": 0.5},
        "sequences": frames,
        "metric": "miou",
        "classes": {"road": {"IoU": miou}, "sky": {"IoU": miou}},
    }
    folder.mkdir(parents=True)
    (folder / "results.json").write_text(json.dumps({**everything, **more}))
    return folder


@pytest.fixture
def study(tmp_path: Path) -> dict[str, Path]:
    """The numbers of the first study's small CNN, and a source that kept its mIoU."""
    numbers = {
        "before": 0.315,
        "after": 0.363,
        "ceiling": 0.394,
        "control": 0.333,
        "statistics": 0.345,
    }
    every = {name: write_results(tmp_path / name, value) for name, value in numbers.items()}
    sources = {"source_before": 0.403, "source_after": 0.401}
    return every | {
        name: write_results(tmp_path / name, value, split="sharp")
        for name, value in sources.items()
    }


def run(*arguments: object) -> int:
    return console.run(lambda: cli.dispatch(["gap", *map(str, arguments)]))


def read(every: dict[str, Path]) -> Gap:
    source = {name: every.get(name) for name in ("source_before", "source_after")}
    return read_gap({name: every.get(name) for name in TARGET}, source)


def gap(before: float = 0.315, after: float = 0.363, **more: float) -> Gap:
    return Gap(before=before, after=after, **more)


def test_the_share_that_is_closed(study: dict[str, Path]) -> None:
    measured = read(study)
    assert measured.closed(measured.after) == pytest.approx(0.048 / 0.079)
    assert (
        judgement(measured) == "closes 61 % of the gap: 31.5 -> 36.3, 39.4 with the target's labels"
    )
    assert warnings_of(measured) == []


@pytest.mark.parametrize(
    ("measured", "line"),
    [
        (gap(), "gains 4.8 points: 31.5 -> 36.3; --ceiling tells how much of the gap that is"),
        (
            gap(after=0.40, ceiling=0.394),
            "closes the whole gap: 31.5 -> 40.0, 39.4 with the target's labels",
        ),
        (
            gap(after=0.319, ceiling=0.394),
            "changes nothing: 31.5 -> 31.9, 39.4 with the target's labels",
        ),
        (gap(after=0.312), "changes nothing: 31.5 -> 31.2"),
        (gap(after=0.30, ceiling=0.394), "does harm: 31.5 -> 30.0, 39.4 with the target's labels"),
        (gap(after=0.30), "does harm: 31.5 -> 30.0"),
        (
            gap(ceiling=0.315),
            "there is no gap to close: 31.5 before, 31.5 with the target's labels",
        ),
        (gap(ceiling=0.29), "there is no gap to close: 31.5 before, 29.0 with the target's labels"),
    ],
)
def test_the_judgement(measured: Gap, line: str) -> None:
    assert judgement(measured) == line


@pytest.mark.parametrize(
    ("measured", "line"),
    [
        (gap(control=0.36), "the control does as well (36.0): the adversary adds nothing"),
        (gap(control=0.38), "the control does better (38.0): the adversary adds nothing"),
        (
            gap(statistics=0.39),
            "BatchNorm's statistics of the target do better (39.0) without training:"
            " segment --adapt-statistics is enough",
        ),
        (
            gap(source_before=0.403, source_after=0.21),
            "source mIoU 40.3 -> 21.0: the adversary took what both domains need; lower "
            "--adversarial.mu",
        ),
    ],
)
def test_what_speaks_against_the_adversary(measured: Gap, line: str) -> None:
    assert warnings_of(measured) == [line]


def test_small_losses_of_the_source_and_worse_rivals_are_no_warning() -> None:
    assert (
        warnings_of(gap(control=0.35, statistics=0.35, source_before=0.4, source_after=0.33)) == []
    )


def test_the_table() -> None:
    screen = Console(width=100, file=io.StringIO())
    everything = gap(
        ceiling=0.394, control=0.333, statistics=0.3, source_before=0.4, source_after=0.39
    )
    screen.print(gap_table(everything))
    lines = [line.split() for line in screen.file.getvalue().splitlines()]
    assert ["before", "31.5"] in lines
    assert ["before,", "statistics", "of", "the", "target", "30.0", "-1.5", "-19"] in lines
    assert ["control", "(mu", "0)", "33.3", "+1.8", "23"] in lines
    assert ["after", "36.3", "+4.8", "61"] in lines
    assert ["with", "the", "target's", "labels", "39.4", "+7.9"] in lines
    assert ["source", "after", "39.0", "-1.0"] in lines


def test_the_command_prints_a_table_a_line_and_warnings_and_writes_all_numbers(
    study: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = (
        "--before",
        study["before"],
        "--after",
        study["after"] / "results.json",
        "--ceiling",
        study["ceiling"],
    )
    out = tmp_path / "new" / "gap.json"
    with pytest.warns(UserWarning, match="the control does as well"):
        assert run(*options, "--control", study["after"], "--out", out) == 0
    *_, last = capsys.readouterr().out.splitlines()
    assert last.startswith("closes 61 % of the gap")
    told = json.loads(out.read_text())
    assert told["target"]["after"] == pytest.approx(
        {"mIoU": 0.363, "difference": 0.048, "closed": 0.048 / 0.079}
    )
    assert told["judgement"] == last
    assert told["source"] == {"before": None, "after": None}
    assert len(told["warnings"]) == 1


@pytest.mark.parametrize(
    ("name", "more", "message"),
    [
        ("after", {"dataset": "camvid"}, "camvid val against folder val; score both alike"),
        ("after", {"split": "train"}, "folder train against folder val; score both alike"),
        (
            "ceiling",
            {"classes": {"road": {"IoU": 0.3}}},
            "its classes are road, there road, sky; score both alike",
        ),
        (
            "control",
            {"sequences": {}},
            "sequence a is not in .*control/results.json; score both on the same sequences",
        ),
        (
            "after",
            {"overall": {"J-Mean": 0.3}},
            r"--after \S+: has no mIoU; score it with --set SET:ROOT",
        ),
        (
            "before",
            {"overall": {"mIoU": None}},
            r"--before \S+: its mIoU is no number, since nothing is annotated",
        ),
        ("after", {"broken": {"b": "no mask"}}, "is not of the whole split, b is broken"),
        (
            "source_after",
            {},
            "source_after: cannot be compared with .*source_before: folder val against folder "
            "sharp",
        ),
        (
            "statistics",
            {"made_with": {"model": "m"}},
            r"--statistics \S+: was segmented without --adapt-statistics",
        ),
    ],
)
def test_results_that_do_not_belong_together(
    study: dict[str, Path], tmp_path: Path, name: str, more: dict[str, object], message: str
) -> None:
    study[name] = write_results(tmp_path / "other" / name, 0.4, **more)
    with pytest.raises(InputError, match=message):
        read(study)


def test_other_frames_or_annotations_are_refused(study: dict[str, Path]) -> None:
    file = study["after"] / "results.json"
    text = file.read_text()
    file.write_text(text.replace('"annotations": "b"', '"annotations": "new"'))
    with pytest.raises(InputError, match="b is scored against other annotations"):
        read(study)
    file.write_text(text.replace('"frames": ["b"]', '"frames": ["c"]'))
    with pytest.raises(InputError, match="b is scored in other frames"):
        read(study)


def test_statistics_that_were_adapted_are_taken(study: dict[str, Path], tmp_path: Path) -> None:
    study["statistics"] = write_results(
        tmp_path / "other", 0.4, made_with={"statistics": "of 51 frames (0)"}
    )
    assert read(study).statistics == 0.4


def test_one_result_on_the_source_alone_says_nothing(study: dict[str, Path]) -> None:
    del study["source_after"]
    with pytest.raises(InputError, match="--source-before, --source-after: belong together"):
        read(study)


def test_missing_results_are_one_line(study: dict[str, Path], tmp_path: Path, capsys) -> None:
    assert run("--before", study["before"], "--after", tmp_path / "none") == 2
    assert (
        "none/results.json: is missing; write it with densevos-eval score"
        in capsys.readouterr().err
    )
