"""densevos-eval score, from masks on disk to tables."""

import csv
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from densevos.base.errors import InputError
from densevos.base.masks import read_mask, write_mask
from densevos_eval import cli
from densevos_eval.metrics.boundary import contour_accuracy
from densevos_eval.metrics.measure_objects import measure_objects
from densevos_eval.metrics.objects import ObjectsMetric, object_curves
from densevos_eval.metrics.region import region_similarity
from densevos_eval.metrics.registry import benchmark_metric
from densevos_eval.protocols.davis import DAVIS16, DAVIS17, DAVIS17_UNSUPERVISED
from densevos_eval.protocols.protocol import load_sequences
from densevos_eval.reports.results import read_results
from densevos_eval.scoring.results import results_json as as_json
from densevos_eval.scoring.score import score


def command(benchmark, *more: str, dataset: str = "davis17") -> list[str]:
    root, results = str(benchmark.root), str(benchmark.results)
    fixed = ["score", "--dataset", dataset, "--root", root, "--split", "val", "--results", results]
    return [*fixed, "--workers", "1", *more]


def run(monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> int:
    monkeypatch.setattr(sys, "argv", ["densevos-eval", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return int(end.value.code or 0)


def table(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))


def test_tables_have_the_official_columns(benchmark, monkeypatch, capsys) -> None:
    assert run(monkeypatch, command(benchmark)) == 0
    header, values = table(benchmark.results / "global_results-val.csv")
    assert header == ["J&F-Mean", "J-Mean", "J-Recall", "J-Decay", "F-Mean", "F-Recall", "F-Decay"]
    assert all(len(value.split(".")[1]) == 3 for value in values)
    rows = table(benchmark.results / "per-sequence_results-val.csv")
    assert rows[0] == ["Sequence", "J-Mean", "F-Mean"]
    assert [row[0] for row in rows[1:]] == ["one_1", "two_1", "two_2"]
    assert rows[1] == ["one_1", "1.000", "1.000"]
    assert rows[2][1] == "0.500"  # 12 pixels wide, 4 pixels beside: 8 / 16
    shown = capsys.readouterr().out
    assert "overall" in shown
    assert "0.667" in shown  # the mean over three objects, not over two sequences


def test_results_json_holds_every_frame_at_full_precision(benchmark, monkeypatch) -> None:
    assert run(monkeypatch, command(benchmark)) == 0
    everything = json.loads(
        (benchmark.results / "results.json").read_text(), parse_constant=pytest.fail
    )
    assert everything["dataset"] == "davis17"
    assert everything["split"] == "val"
    assert everything["version"]
    assert everything["overall"]["J-Mean"] == pytest.approx(2 / 3, abs=1e-15)
    two = everything["sequences"]["two"]
    assert two["frames"] == ["00001", "00002", "00003", "00004"]
    for id in (1, 2):
        for t, frame in enumerate(two["frames"]):
            pair = (
                read_mask(benchmark.annotation("two", int(frame))),
                read_mask(benchmark.result("two", int(frame))),
            )
            assert two["objects"][str(id)]["J"][t] == region_similarity(*pair, 2, 2)[id - 1, id - 1]
            assert two["objects"][str(id)]["F"][t] == contour_accuracy(*pair, 2, 2)[id - 1, id - 1]


def test_davis16_merges_objects_of_any_id(benchmark, monkeypatch) -> None:
    for t in range(6):
        mask = read_mask(benchmark.annotation("two", t))
        Image.fromarray(np.where(mask > 0, 255, 0).astype(np.uint8)).save(
            benchmark.result("two", t)
        )
    assert run(monkeypatch, command(benchmark, dataset="davis16")) == 0
    assert table(benchmark.results / "per-sequence_results-val.csv")[1:] == [
        ["one_1", "1.000", "1.000"],
        ["two_1", "1.000", "1.000"],
    ]


def as_blackswan(benchmark) -> None:
    """Sequence one under a name that DAVIS-2016 measures temporal stability on."""
    for folder in (benchmark.annotation("one", 0).parent, benchmark.result("one", 0).parent):
        folder.rename(folder.with_name("blackswan"))
    frames = benchmark.root / "JPEGImages" / "480p"
    (frames / "one").rename(frames / "blackswan")
    (benchmark.root / "ImageSets" / "2016" / "val.txt").write_text("blackswan\ntwo\n")


def test_davis16_has_temporal_stability_of_the_official_sequences(
    benchmark, monkeypatch, capsys
) -> None:
    as_blackswan(benchmark)
    write_mask(benchmark.result("blackswan", 3), np.zeros((24, 40), np.uint8))
    assert run(monkeypatch, command(benchmark, dataset="davis16")) == 0
    everything = json.loads(
        (benchmark.results / "results.json").read_text(), parse_constant=pytest.fail
    )
    assert everything["sequences"]["blackswan"]["T"] == [
        0,
        None,
        None,
    ]  # it only moves; no polygon in frame 3
    assert everything["sequences"]["blackswan"]["T-Mean"] == everything["overall"]["T-Mean"] == 0
    assert "T-Mean" not in everything["sequences"]["two"]
    assert "T-Mean" not in table(benchmark.results / "global_results-val.csv")[0]
    shown = capsys.readouterr().out.splitlines()
    assert [
        len(line.split())
        for line in shown
        if line.split()[:1] in (["overall"], ["blackswan"], ["two"])
    ] == [
        9,
        9,
        8,
    ]


def test_stability_can_be_left_out(benchmark, monkeypatch) -> None:
    as_blackswan(benchmark)
    assert run(monkeypatch, command(benchmark, "--no-stability", dataset="davis16")) == 0
    everything = json.loads((benchmark.results / "results.json").read_text())
    assert "T-Mean" not in everything["overall"]


def test_stability_without_any_polygon_is_null(benchmark, monkeypatch) -> None:
    as_blackswan(benchmark)
    for t in range(6):
        write_mask(benchmark.result("blackswan", t), np.zeros((24, 40), np.uint8))
    assert run(monkeypatch, command(benchmark, dataset="davis16")) == 0
    everything = json.loads(
        (benchmark.results / "results.json").read_text(), parse_constant=pytest.fail
    )
    assert everything["overall"]["T-Mean"] is None


def test_decay_uint8_reaches_the_tables() -> None:
    long = {
        "ids": np.array([1]),
        "J": np.linspace(1, 0, 500)[None],
        "F": np.linspace(1, 0, 500)[None],
    }
    plain, wrapped = (
        ObjectsMetric(benchmark=replace(DAVIS17, decay_uint8=flag))
        .combine({"one": long})
        .overall["J-Decay"]
        for flag in (False, True)
    )
    assert plain == pytest.approx(0.75, abs=0.01)
    assert wrapped == pytest.approx((180.5 - 62) / 499, abs=0.01)


def test_out_is_another_folder_for_the_tables(benchmark, monkeypatch, tmp_path) -> None:
    before = sorted(benchmark.results.rglob("*"))
    assert run(monkeypatch, command(benchmark, "--out", str(tmp_path / "new" / "tables"))) == 0
    assert sorted(benchmark.results.rglob("*")) == before
    assert sorted(file.name for file in (tmp_path / "new" / "tables").iterdir()) == [
        "global_results-val.csv",
        "per-sequence_results-val.csv",
        "results.json",
    ]


def test_first_and_last_frame_are_left_out(benchmark) -> None:
    for t in (0, 5):
        write_mask(benchmark.result("one", t), np.zeros((24, 40), np.uint8))
    sequences = load_sequences(DAVIS17, benchmark.root, "val")
    assert measure_objects(sequences[0], benchmark.results, DAVIS17)["J"].tolist() == [[1] * 4]


def test_extra_files_change_nothing(benchmark) -> None:
    sequences = load_sequences(DAVIS17, benchmark.root, "val")
    before = as_json(score(sequences, benchmark.results, benchmark_metric(DAVIS17), split="val"))
    write_mask(benchmark.result("one", 6), np.ones((3, 3), np.uint8))
    (benchmark.results / "one" / "notes.txt").write_text("mine")
    (benchmark.results / "three").mkdir()
    assert (
        as_json(score(sequences, benchmark.results, benchmark_metric(DAVIS17), split="val"))
        == before
    )


def test_number_of_workers_does_not_matter(benchmark) -> None:
    sequences = load_sequences(DAVIS17, benchmark.root, "val")
    one = score(sequences, benchmark.results, benchmark_metric(DAVIS17), split="val")
    two = score(sequences, benchmark.results, benchmark_metric(DAVIS17), split="val", workers=2)
    assert as_json(one) == as_json(two)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_broken_sequence_does_not_lose_the_others(benchmark, workers: int) -> None:
    sequences = load_sequences(DAVIS17, benchmark.root, "val")
    whole = score(sequences, benchmark.results, benchmark_metric(DAVIS17), split="val")
    write_mask(benchmark.result("two", 3), np.zeros((5, 5), np.uint8))
    scores = score(
        sequences, benchmark.results, benchmark_metric(DAVIS17), split="val", workers=workers
    )
    assert list(scores.broken) == ["two"]
    assert "00003.png: mask is 5x5" in scores.broken["two"]
    assert as_json(scores)["sequences"] == {"one": as_json(whole)["sequences"]["one"]}
    write_mask(benchmark.result("one", 2), np.zeros((5, 5), np.uint8))
    with pytest.raises(
        InputError, match=r"00002\.png: mask is 5x5 .* \(and so for the 1 other sequences\)"
    ):
        score(sequences, benchmark.results, benchmark_metric(DAVIS17), split="val", workers=workers)


def test_ids_need_not_be_consecutive(benchmark) -> None:
    for t in range(6):
        for file in (benchmark.annotation("two", t), benchmark.result("two", t)):
            mask = read_mask(file)
            write_mask(file, np.where(mask == 2, 38, mask))
    sequences = load_sequences(DAVIS17, benchmark.root, "val")
    objects = object_curves(measure_objects(sequences[1], benchmark.results, DAVIS17))
    assert list(objects) == [1, 38]
    assert objects[38]["J"].tolist() == [0.5] * 4


def test_void_is_background_where_the_protocol_has_none(benchmark) -> None:
    for t in range(6):
        mask = read_mask(benchmark.annotation("one", t)).copy()
        mask[0] = 255
        write_mask(benchmark.annotation("one", t), mask)
    sequences = load_sequences(DAVIS17, benchmark.root, "val")
    assert measure_objects(sequences[0], benchmark.results, DAVIS17)["J"].tolist() == [[1] * 4]


def test_unsupervised_matches_proposals_and_ignores_void(benchmark) -> None:
    (benchmark.root / "Annotations").rename(benchmark.root / "Annotations_unsupervised")
    annotations = benchmark.root / "Annotations_unsupervised" / "480p" / "two"
    for t in range(6):
        truth = read_mask(annotations / f"{t:05d}.png").copy()
        truth[:, 35:] = 255
        write_mask(annotations / f"{t:05d}.png", truth)
        # Proposals 5 and 2 are the objects 1 and 2; what lies on void, and proposal 9, costs
        # nothing.
        proposals = np.select([truth == 1, truth == 2, truth == 255], [5, 2, 2]).astype(np.uint8)
        proposals[11, 2:6] = 9
        write_mask(benchmark.result("two", t), proposals)
    sequences = load_sequences(DAVIS17_UNSUPERVISED, benchmark.root, "val")
    arrays = measure_objects(sequences[1], benchmark.results, DAVIS17_UNSUPERVISED)
    assert arrays["J"].tolist() == arrays["F"].tolist() == [[1] * 6] * 2


def spoil_missing(benchmark) -> Path:
    benchmark.result("two", 4).unlink()
    return benchmark.result("two", 4)


def spoil_folder(benchmark) -> Path:
    shutil.rmtree(benchmark.results / "two")
    return benchmark.result("two", 1)  # the first frame that is scored


def spoil_size(benchmark) -> Path:
    write_mask(benchmark.result("two", 2), np.zeros((12, 20), np.uint8))
    return benchmark.result("two", 2)


def spoil_ids(benchmark) -> Path:
    mask = read_mask(benchmark.result("two", 3)).copy()
    mask[0, 0] = 3
    write_mask(benchmark.result("two", 3), mask)
    return benchmark.result("two", 3)


def spoil_last_size(benchmark) -> Path:
    write_mask(benchmark.result("two", 5), np.zeros((12, 20), np.uint8))
    return benchmark.result("two", 5)


def spoil_colours(benchmark) -> Path:
    Image.new("RGB", (40, 24)).save(benchmark.result("two", 1))
    return benchmark.result("two", 1)


def spoil_bytes(benchmark) -> Path:
    file = benchmark.result("two", 1)
    file.write_bytes(file.read_bytes()[:-30])
    return file


def spoil_annotation(benchmark) -> Path:
    benchmark.annotation("one", 3).unlink()
    return benchmark.annotation("one", 3)


def spoil_objects(benchmark) -> Path:
    mask = read_mask(benchmark.annotation("one", 0))
    write_mask(benchmark.annotation("one", 0), np.where(mask > 0, 255, 0))
    return benchmark.annotation("one", 0)


def spoil_length(benchmark) -> Path:
    frames = benchmark.root / "JPEGImages" / "480p" / "two"
    for t in range(2, 6):
        (frames / f"{t:05d}.jpg").unlink()
        benchmark.annotation("two", t).unlink()
    return frames


@pytest.mark.parametrize(
    "spoil",
    [
        spoil_missing,
        spoil_folder,
        spoil_size,
        spoil_last_size,
        spoil_ids,
        spoil_colours,
        spoil_bytes,
        spoil_annotation,
        spoil_objects,
        spoil_length,
    ],
)
def test_a_broken_sequence_alone_is_one_line_status_two_and_nothing_written(
    benchmark, monkeypatch, capsys, spoil
) -> None:
    named = spoil(benchmark)
    before = sorted(benchmark.results.rglob("*"))
    assert (
        run(
            monkeypatch, command(benchmark, "--sequences", "one" if "one" in named.parts else "two")
        )
        == 2
    )
    said = capsys.readouterr()
    assert len(said.err.strip().splitlines()) == 1
    assert said.err.startswith(f"error: {named}: ")
    assert said.out == ""
    assert sorted(benchmark.results.rglob("*")) == before


def test_a_broken_sequence_is_told_of_at_the_end_and_no_table_is_taken_for_whole(
    benchmark, monkeypatch, capsys
) -> None:
    assert run(monkeypatch, command(benchmark)) == 0
    named = spoil_missing(benchmark)
    capsys.readouterr()
    assert run(monkeypatch, command(benchmark)) == 1
    said = capsys.readouterr()
    broken, last = said.err.splitlines()
    assert broken.startswith(f"two: {named}: mask is missing")
    assert last.startswith("error: 1 of 2 sequences have no result, the others do")
    assert "WITHOUT 1 that are broken" in said.out
    everything = json.loads((benchmark.results / "results.json").read_text())
    assert list(everything["broken"]) == ["two"]
    assert list(everything["sequences"]) == ["one"]
    assert not list(benchmark.results.glob("*.csv"))
    with pytest.raises(
        InputError, match=r"results\.json: is not of the whole split, two is broken"
    ):
        read_results(benchmark.results)


def test_too_many_ids_names_those_allowed(benchmark) -> None:
    spoil_ids(benchmark)
    sequences = load_sequences(DAVIS17, benchmark.root, "val")
    broken = score(sequences, benchmark.results, benchmark_metric(DAVIS17), split="val").broken
    assert "holds id 3, but two has the ids 1, 2" in broken["two"]


def test_score_needs_no_torch(benchmark) -> None:
    program = (
        "import atexit, os, sys\n"
        "atexit.register(lambda: 'torch' in sys.modules and os._exit(77))\n"
        "from densevos_eval.cli import main; main()"
    )
    arguments = [sys.executable, "-c", program, *command(benchmark)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (benchmark.results / "results.json").is_file()


def test_real_annotations_score_one_against_themselves(shared: Path) -> None:
    root = shared / "data" / "DAVIS"
    (sequence,) = load_sequences(DAVIS16, root, "dev", ("dog",))
    arrays = measure_objects(sequence, root / "Annotations" / "480p", DAVIS16)
    assert arrays["J"].tolist() == arrays["F"].tolist() == [[1] * (len(sequence.frame_names) - 2)]


def test_annotations_resized_to_the_size_of_masks(benchmark, monkeypatch, capsys) -> None:
    assert run(monkeypatch, command(benchmark)) == 0
    expected = json.loads((benchmark.results / "results.json").read_text())["overall"]["J-Mean"]
    for file in benchmark.results.glob("*/*.png"):
        ids = read_mask(file)
        height, width = ids.shape
        write_mask(file, np.kron(ids, np.ones((2, 3), np.uint8)))
    size = f"{2 * height}x{3 * width}"

    assert run(monkeypatch, command(benchmark)) > 0
    assert f"or resize annotations with --annotation-size {size}" in capsys.readouterr().err
    assert run(monkeypatch, command(benchmark, "--annotation-size", size)) == 0
    assert (
        json.loads((benchmark.results / "results.json").read_text())["overall"]["J-Mean"]
        == expected
    )
    for wrong, complaint in (
        ("480", "--annotation-size 480: must be HEIGHTxWIDTH"),
        ("9x9", "leave --annotation-size"),
    ):
        assert run(monkeypatch, command(benchmark, "--annotation-size", wrong)) > 0
        assert complaint in capsys.readouterr().err
