"""Matrices: cells that are made once, kept, refused or broken, and the tables and the page of
all.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from densevos.base import console
from densevos.base.errors import InputError, RunError, Stopped
from densevos.base.files import write_json
from densevos.base.masks import read_mask, write_mask
from densevos_eval import cli
from densevos_eval.matrix.matrix import Matrix
from densevos_eval.matrix.plan import read_plan
from densevos_eval.matrix.run import run
from densevos_eval.reports import published
from densevos_eval.runs.records import written_sequence
from densevos_eval.sequences.sequence import read_given

PLAN = """
presets = ["dul", "crw"]

[encoders]
first = "random:resnet18"
second = "random:resnet18:1"

[benchmarks.several]
dataset = "davis17"
root = "{root}"

[benchmarks.merged]
dataset = "davis16"
root = "{root}"
"""


class Recorder:
    """Instead of `propagate`: moves the first mask by some columns, and writes down which cells it
    made.
    """

    def __init__(self, fails: tuple[str, ...] = (), stops: str = "") -> None:
        self.made: list[str] = []
        self.fails, self.stops = fails, stops

    def __call__(self, videos, encoder, options, run) -> None:
        name = "/".join(run.out.parts[-3:])
        if name == self.stops:
            raise Stopped("go on with --resume")
        if name in self.fails:
            raise RunError("1 of 2 sequences have no result")
        assert run.resume
        if (run.out / "two").is_dir():
            return
        self.made.append(name)
        for sequence in videos.find():
            mask = read_given(sequence)[0]
            shift = {"dul": 2, "crw": 4}[options.preset] + (encoder.encoder == "random:resnet18")
            with written_sequence(run.out, sequence) as folder:
                for frame in sequence.frame_names:
                    write_mask(folder / f"{frame}.png", np.roll(mask, shift, axis=1))


@pytest.fixture
def plan(benchmark, tmp_path: Path) -> Path:
    file = tmp_path / "plan.toml"
    file.write_text(PLAN.format(root=benchmark.root))
    return file


def made(plan: Path, propagate: Recorder, **options) -> Path:
    out = plan.parent / "out"
    run(read_plan(plan), out, propagate, workers=1, **options)
    return out


def test_every_cell_is_made_and_all_are_in_the_tables(plan: Path, capsys) -> None:
    recorder = Recorder()
    out = made(plan, recorder)
    assert recorder.made == [cell.name for cell in read_plan(plan).cells()]
    assert len(recorder.made) == 8

    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("1/8 first/several/dul: J&F ")
    text = (out / "matrix.md").read_text()
    assert "\n".join(printed[8:]) + "\n" == text
    tables = [line for line in text.splitlines() if line.startswith("**")]
    assert [line.split(",")[0] for line in tables] == [
        "**all benchmarks",
        "**several: davis17 val",
        "**merged: davis16 val",
    ]
    overview = text.split("**")[2].strip().splitlines()
    assert overview[0] == "|  | several J&F | merged J&F |"
    assert [row.split(" | ")[0] for row in overview[2:]] == [
        "| first, dul",
        "| first, crw",
        "| second, dul",
        "| second, crw",
    ]

    numbers = json.loads((out / "matrix.json").read_text())
    assert [cell["folder"] for cell in numbers["cells"]] == recorder.made
    by_name = {cell["folder"]: cell for cell in numbers["cells"]}
    reference, other = by_name["first/several/dul"], by_name["second/several/crw"]
    assert (reference["difference"], numbers["broken"]) == ({}, {})
    assert other["difference"]["J-Mean"] == pytest.approx(
        other["overall"]["J-Mean"] - reference["overall"]["J-Mean"]
    )
    scored = json.loads((out / "second" / "several" / "crw" / "results.json").read_text())
    assert other["overall"] == scored["overall"]
    assert not (out / "second" / "several" / "crw" / ".scores").exists()


def test_page_needs_no_other_file_and_marks_published_figures(
    plan: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as whole:
        whole.setattr(published, "NAMES", {})
        out = made(plan, Recorder(), published=True)
    page = (out / "matrix.html").read_text()
    assert page.count("<table") == 3
    assert "<h1>plan</h1>" in page
    assert "2 encoders · 2 benchmarks · 2 presets" in page
    assert "<i>MAST, stride 4 (OxUvA)</i>" in page
    assert "http" not in page
    assert "*MAST, stride 4 (OxUvA)*" in (out / "matrix.md").read_text()

    out = made(plan, Recorder(), published=True)
    for name in ("matrix.html", "matrix.md"):
        text = (out / name).read_text()
        assert "MAST" not in text
        assert "published figures are left out: they are of the 30 sequences of davis17 val" in text


def test_presets_that_score_at_another_size_are_noted(plan: Path) -> None:
    plan.write_text(plan.read_text().replace('"crw"', '"cropmae"'))
    matrix = Matrix(plan=read_plan(plan), results={})
    assert matrix.notes("several") == [
        "cropmae scores annotations resized to 480x880, the others at their own size"
    ]


def test_stopped_run_goes_on_and_keeps_what_is_finished(plan: Path) -> None:
    with pytest.raises(Stopped, match="run the same command again to go on"):
        made(plan, Recorder(stops="second/several/dul"))
    kept = plan.parent / "out" / "first" / "merged" / "crw"
    before = (kept / "results.json").stat().st_mtime_ns
    assert not (plan.parent / "out" / "matrix.md").exists()

    recorder = Recorder()
    out = made(plan, recorder)
    assert recorder.made == [
        f"second/{rest}" for rest in ("several/dul", "several/crw", "merged/dul", "merged/crw")
    ]
    assert (kept / "results.json").stat().st_mtime_ns == before
    whole = {file.name: file.read_bytes() for file in out.iterdir() if file.is_file()}
    made(plan, Recorder())
    assert {file.name: file.read_bytes() for file in out.iterdir() if file.is_file()} == whole


def test_masks_that_have_changed_are_scored_again(plan: Path) -> None:
    out = made(plan, Recorder())
    file = out / "first" / "several" / "dul" / "one" / "00002.png"
    write_mask(file, np.zeros_like(read_mask(file)))
    before = json.loads((out / "matrix.json").read_text())["cells"][0]["overall"]["J-Mean"]
    made(plan, Recorder())
    assert json.loads((out / "matrix.json").read_text())["cells"][0]["overall"]["J-Mean"] < before


def test_plan_may_grow_but_not_change(plan: Path) -> None:
    made(plan, Recorder())
    text = plan.read_text()
    plan.write_text(
        text.replace("[benchmarks.several]", 'third = "random:resnet18:2"\n\n[benchmarks.several]')
    )
    recorder = Recorder()
    made(plan, recorder)
    assert len(recorder.made) == 4
    assert {name.split("/")[0] for name in recorder.made} == {"third"}

    plan.write_text(text.replace("resnet18:1", "resnet18:9"))
    with pytest.raises(InputError) as error:
        made(plan, Recorder())
    assert str(error.value).startswith(
        f'{plan}: encoders.second: is {{"encoder": "random:resnet18:9"}}, and {{"enc'
    )
    plan.write_text(text + 'sequences = ["one"]\n')
    with pytest.raises(
        InputError, match=r"benchmarks\.merged: is .*give it another name, or choose another --out"
    ):
        made(plan, Recorder())


def test_broken_cells_are_listed_and_the_others_made(plan: Path, capsys) -> None:
    broken = ("first/several/dul", "second/merged/crw")
    with pytest.raises(
        RunError,
        match="2 of 8 cells have no scores, the others do; fix them and run the same command",
    ):
        made(plan, Recorder(fails=broken))
    out = plan.parent / "out"
    assert capsys.readouterr().err.splitlines() == [
        f"{name}: 1 of 2 sequences have no result" for name in broken
    ]
    numbers = json.loads((out / "matrix.json").read_text())
    assert (len(numbers["cells"]), list(numbers["broken"])) == (6, list(broken))
    text = (out / "matrix.md").read_text()
    assert "| first, dul | – |" in text
    assert "**Without scores**" in text
    # The first row that has scores is what the others are compared with.
    assert "differences to first, crw" in text
    assert "<h2>Without scores</h2>" in (out / "matrix.html").read_text()


def test_nothing_is_computed_for_a_benchmark_that_cannot_be_scored(plan: Path, benchmark) -> None:
    plan.write_text(
        plan.read_text()
        + f'\n[benchmarks.dev]\ndataset = "davis17-testdev"\nroot = "{benchmark.root}"\n'
    )
    (benchmark.root / "ImageSets" / "2017" / "test-dev.txt").write_text("one\n")
    recorder = Recorder()
    with pytest.raises(
        InputError,
        match=r"plan\.toml: benchmarks\.dev: --dataset davis17-testdev: nothing to score",
    ):
        made(plan, recorder)
    benchmark.annotation("two", 3).unlink()
    with pytest.raises(
        InputError, match=r"plan\.toml: benchmarks\.several: .*two/00003\.png: file is missing"
    ):
        made(plan, recorder)
    assert recorder.made == []
    assert not (plan.parent / "out").exists()


def test_folder_of_something_else_is_refused(plan: Path) -> None:
    out = plan.parent / "out"
    out.mkdir()
    (out / "mine.txt").write_text("")
    with pytest.raises(InputError, match="output folder exists and is not empty"):
        made(plan, Recorder())
    (out / "plan.json").write_text("{}")
    with pytest.raises(InputError, match=r"plan\.json: is not what densevos-eval matrix writes"):
        made(plan, Recorder())


@pytest.mark.slow
def test_command_makes_masks_with_real_encoders(plan: Path, capsys) -> None:
    text = plan.read_text().replace('["dul", "crw"]', '["dul"]').split("[benchmarks.merged]")[0]
    plan.write_text(text + '[options]\ndevice = "cpu"\n')
    out = plan.parent / "out"
    arguments = ["matrix", str(plan), "--out", str(out), "--workers", "1"]
    assert console.run(lambda: cli.dispatch(arguments)) == 0
    first = capsys.readouterr().out
    assert "| first |" in first  # With one preset the encoder alone is a title.
    assert (
        sorted(file.name for file in (out / "second" / "several" / "dul" / "two").iterdir())[0]
        == "00000.png"
    )
    assert console.run(lambda: cli.dispatch(arguments)) == 0
    assert capsys.readouterr().out == first


def test_shards_make_the_cells_and_the_whole_the_tables(plan: Path) -> None:
    shards = [Recorder(), Recorder(), Recorder()]
    for number, shard in enumerate(shards, start=1):
        out = made(plan, shard, shard=f"{number}/3")
    assert not (out / "matrix.md").exists()
    assert [len(shard.made) for shard in shards] == [3, 3, 2]
    whole = {cell.name for cell in read_plan(plan).cells()}
    assert {name for shard in shards for name in shard.made} == whole

    scores = {name: (out / name / "results.json").stat().st_mtime_ns for name in whole}
    made(plan, Recorder())
    assert (out / "matrix.md").exists()
    assert {name: (out / name / "results.json").stat().st_mtime_ns for name in whole} == scores


def test_a_matrix_that_another_shard_begins_meanwhile_is_shared(
    plan: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def begun_meanwhile(folder: Path, **_: object) -> None:
        folder.mkdir()
        write_json(folder / "plan.json", read_plan(plan).facts())
        raise InputError("not empty")

    monkeypatch.setattr("densevos_eval.matrix.run.new_folder", begun_meanwhile)
    recorder = Recorder()
    made(plan, recorder, shard="2/2")
    assert len(recorder.made) == 4
