"""Semantic masks scored on disk, as a user does it, and compared."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import jaccard_score

from densevos.base import console
from densevos.base.errors import InputError
from densevos.base.masks import read_mask, write_mask
from densevos.data.segmentation.segmentation_set import SegmentationSet
from densevos.data.segmentation.sets.registry import open_set
from densevos_eval import cli
from densevos_eval.drawing.confusion_picture import confusion_picture
from densevos_eval.metrics.classes import ClassesMetric
from densevos_eval.metrics.metric import Scores
from densevos_eval.metrics.registry import metric_classes
from densevos_eval.scoring.results import results_json, scores_table, write_scores
from densevos_eval.scoring.score import score as score_items

CLASSES = ("background", "dog", "car", "kite")
SIZES = {"a": (20, 30), "b": (24, 16), "c": (20, 30)}


def labels(name: str, seed: int = 0) -> np.ndarray:
    """Ids [H,W] of the first three classes and some void; `kite` is annotated nowhere."""
    rng = np.random.default_rng([seed, ord(name[0])])
    ids = rng.integers(0, 3, SIZES[name]).astype(np.uint8)
    return np.where(rng.random(ids.shape) < 0.1, 255, ids).astype(np.uint8)


def predictions(name: str) -> np.ndarray:
    ids = labels(name, seed=1)
    return np.where(np.random.default_rng(2).random(ids.shape) < 0.6, labels(name), ids) % 4


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three labelled images as a `folder` set, split val."""
    root = tmp_path / "set"
    for name, (height, width) in SIZES.items():
        for kind in ("images", "masks"):
            (root / kind / "val").mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (width, height), (90, 120, 30)).save(
            root / "images" / "val" / f"{name}.jpg"
        )
        write_mask(root / "masks" / "val" / f"{name}.png", labels(name))
    (root / "classes.txt").write_text("\n".join(CLASSES))
    return root


@pytest.fixture
def results(root: Path, tmp_path: Path) -> Path:
    for name in SIZES:
        (tmp_path / "results" / name).mkdir(parents=True)
        write_mask(tmp_path / "results" / name / f"{name}.png", predictions(name))
    return tmp_path / "results"


def val(root: Path) -> SegmentationSet:
    return open_set(f"folder:{root}", "val")


def score_classes(labelled: SegmentationSet, results: Path, **options) -> Scores:
    shots = [shot for shot in labelled.shots if shot.labelled]
    return score_items(shots, results, ClassesMetric(labelled=labelled), split="val", **options)


def run(*arguments: object) -> int:
    return console.run(lambda: cli.dispatch([str(argument) for argument in arguments]))


def score(root: Path, results: Path, *more: object) -> int:
    return run("score", "--set", f"folder:{root}", "--results", results, "--workers", "1", *more)


def test_pixels_of_all_frames_are_counted_together(root: Path, results: Path) -> None:
    scores = score_classes(val(root), results)
    truth = np.concatenate([labels(name).ravel() for name in SIZES])
    found = np.concatenate([predictions(name).ravel() for name in SIZES])
    counted = truth != 255
    each = jaccard_score(truth[counted], found[counted], labels=[0, 1, 2], average=None)
    assert scores.rows.details["averaged"] == list(CLASSES[:3])
    assert scores.overall["mIoU"] == pytest.approx(each.mean())
    assert scores.overall["pixel accuracy"] == pytest.approx(
        np.mean(truth[counted] == found[counted])
    )
    assert list(scores.sequences) == ["a", "b", "c"]


def test_files_say_what_is_scored(root: Path, results: Path, tmp_path: Path) -> None:
    assert score(root, results, "--out", tmp_path / "tables") == 0
    told = json.loads((tmp_path / "tables" / "results.json").read_text())
    with open(tmp_path / "tables" / "classes.csv") as file:
        rows = list(csv.DictReader(file))
    assert (told["dataset"], told["split"], told["metric"]) == ("folder", "val", "miou")
    assert told["averaged"] == ["background", "dog", "car"]
    assert told["classes"]["kite"] == {"IoU": None, "accuracy": None, "pixels": 0}
    assert np.sum(told["confusion"]) == sum(np.sum(labels(name) != 255) for name in SIZES)
    assert told["sequences"]["b"]["masks"] == "../results"
    mean = np.mean([told["classes"][name]["IoU"] for name in told["averaged"]])
    assert told["overall"]["mIoU"] == pytest.approx(mean)
    found = np.mean([told["classes"][name]["accuracy"] for name in told["averaged"]])
    assert told["overall"]["mean accuracy"] == pytest.approx(found)
    assert [row["class"] for row in rows] == [*CLASSES, "mean", "all pixels"]
    assert rows[3]["IoU"] == rows[-1]["IoU"] == ""
    assert float(rows[-2]["IoU"]) == pytest.approx(mean, abs=1e-6)
    assert float(rows[-2]["accuracy"]) == pytest.approx(found, abs=1e-6)
    assert float(rows[-1]["accuracy"]) == pytest.approx(told["overall"]["pixel accuracy"], abs=1e-6)
    assert np.asarray(Image.open(tmp_path / "tables" / "confusion.png")).ndim == 3


def test_the_table_says_what_is_averaged(
    root: Path, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert score(root, results) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert (
        "folder val: mean over 3 classes, background included (1 without annotation left out)"
        in out
    )
    assert "3 frames, void not counted" in out
    assert "kite – –" in out


def test_numbers_do_not_depend_on_processes(root: Path, results: Path) -> None:
    one, two = (score_classes(val(root), results, workers=workers) for workers in (1, 2))
    assert results_json(one) == results_json(two)


def test_masks_of_images_may_lie_side_by_side(root: Path, results: Path, tmp_path: Path) -> None:
    for name in SIZES:
        (tmp_path / "flat").mkdir(exist_ok=True)
        write_mask(tmp_path / "flat" / f"{name}.png", predictions(name))
    inside, beside = (score_classes(val(root), folder) for folder in (results, tmp_path / "flat"))
    np.testing.assert_array_equal(
        inside.rows.details["confusion"], beside.rows.details["confusion"]
    )
    assert inside.provenance["a"].fingerprints == beside.provenance["a"].fingerprints


def spoil_missing(file: Path) -> str:
    file.unlink()
    return f"{file}: mask is missing"


def spoil_size(file: Path) -> str:
    write_mask(file, read_mask(file)[:, :-2])
    return f"{file}: mask is 28x20 but its labels are 30x20; write it at the size of the frame"


def spoil_ids(file: Path) -> str:
    write_mask(file, np.full((20, 30), 4))
    return (
        f"{file}: 600 pixels have id 4, but the 4 classes are 0 (background) to 3 (kite); "
        f"write ids of these"
    )


def spoil_bytes(file: Path) -> str:
    file.write_bytes(file.read_bytes()[:40])
    return f"{file}: mask cannot be read"


@pytest.mark.parametrize("spoil", [spoil_missing, spoil_size, spoil_ids, spoil_bytes])
def test_a_bad_mask_is_one_line_and_loses_nothing(spoil, root: Path, results: Path, capsys) -> None:
    assert score(root, results) == 0
    told = spoil(results / "c" / "c.png")
    capsys.readouterr()
    assert score(root, results) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith(f"c: {told}")
    assert lines[1] == (
        "error: 1 of 3 sequences have no result, the others do; fix them and pass --resume"
    )
    kept = json.loads((results / "results.json").read_text())
    assert list(kept["broken"]) == ["c"]
    assert list(kept["sequences"]) == ["a", "b"]
    assert not (results / "classes.csv").exists()
    assert not (results / "confusion.png").exists()


def test_nothing_to_score_is_one_line(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert score(root, tmp_path / "nowhere") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("mask is missing (and so for the 2 other sequences)")
    assert not (tmp_path / "nowhere").exists()


def test_a_wrong_annotation_is_told_of(
    root: Path, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_mask(root / "masks" / "val" / "a.png", np.full(SIZES["a"], 9))
    assert score(root, results) == 1
    assert "a.png: value 9 (600 pixels) is outside the class map" in capsys.readouterr().err


def test_masks_of_other_classes_are_refused(root: Path, results: Path) -> None:
    (results / "segment.json").write_text(json.dumps({"classes": ["sky", "road"]}))
    with pytest.raises(
        InputError, match="masks hold the classes sky, road, the set has background, dog"
    ):
        score_classes(val(root), results)


def test_a_set_without_labels_is_refused(root: Path, results: Path) -> None:
    with pytest.raises(
        InputError, match="--set folder: has no labels, so there is nothing to score"
    ):
        score_classes(open_set(f"folder:{root}", "val", labels=False), results)


def test_old_spelling_names_the_new_one(
    root: Path, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ("--dataset", "folder", "--root", root, "--results", results)
    for metric in (
        ["--metric=miou"],
        ["--metric", "miou"],
        ["--metric", "miou", "--classes", "dog"],
    ):
        assert run("score", *where, *metric) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("error: --dataset: is now --set SET:ROOT")
        assert "--wanted" in line


def test_metric_is_an_option(root: Path, results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ("--set", f"folder:{root}", "--results", results, "--workers", "1")
    assert run("score", "--metric", "miou", *where) == 0
    capsys.readouterr()
    assert run("score", *where, "--metric", "dice") == 2
    assert (
        f"error: --metric dice: is none of {', '.join(metric_classes())}; name"
        in capsys.readouterr().err
    )
    assert run("score", *where, "--metric", "objects") == 2
    assert "--metric objects: scores benchmarks, not labelled sets" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "told"),
    [
        (
            ("--sequences", "a"),
            "--sequences: is for a benchmark (--dataset), not for a labelled set; leave it out",
        ),
        (
            ("--no-stability",),
            "--no-stability: is for a benchmark (--dataset), not for a labelled set; leave it out",
        ),
        (
            ("--dataset", "folder"),
            "--dataset: is for a benchmark (--dataset), not for a labelled set; leave it out",
        ),
    ],
)
def test_options_of_benchmarks_are_refused(option, told, root: Path, results: Path, capsys) -> None:
    assert score(root, results, *option) == 2
    assert capsys.readouterr().err == f"error: {told}\n"


def test_wanted_classes_are_scored(
    root: Path, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for file in results.glob("*/*.png"):
        write_mask(file, (read_mask(file) == 1).astype(np.uint8))
    assert score(root, results, "--wanted", "dog") == 0
    told = json.loads((results / "results.json").read_text())
    assert list(told["classes"]) == ["background", "dog"]


def test_shards_and_interrupted_runs_of_classes_go_on(
    root: Path, results: Path, tmp_path: Path
) -> None:
    assert score(root, results, "--out", tmp_path / "whole") == 0
    for i in (1, 2):
        assert score(root, results, "--out", tmp_path / "parts", "--shard", f"{i}/2") == 0
    assert [file.name for file in (tmp_path / "parts").iterdir()] == [".scores"]
    assert score(root, results, "--out", tmp_path / "parts", "--resume") == 0
    for file in (tmp_path / "whole").iterdir():
        assert file.read_bytes() == (tmp_path / "parts" / file.name).read_bytes()


def test_scoring_loads_no_torch(root: Path, results: Path) -> None:
    code = (
        "import sys; from densevos_eval import cli; cli.dispatch(sys.argv[1:]);"
        " sys.exit(bool({'torch', 'transformers'} & set(sys.modules)))"
    )
    command = [
        sys.executable,
        "-c",
        code,
        "score",
        "--set",
        f"folder:{root}",
        "--results",
        str(results),
    ]
    assert (
        subprocess.run([*command, "--workers", "1"], check=False, capture_output=True).returncode
        == 0
    )


@pytest.fixture
def two(root: Path, results: Path, tmp_path: Path) -> list[Path]:
    """Two scored folders; the second is perfect."""
    for name in SIZES:
        (tmp_path / "perfect" / name).mkdir(parents=True)
        write_mask(tmp_path / "perfect" / name / f"{name}.png", labels(name) % 255)
    for folder in (results, tmp_path / "perfect"):
        write_scores(score_classes(val(root), folder), folder)
    return [results, tmp_path / "perfect"]


def test_compare_shows_classes_side_by_side(
    two: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("compare", *two) == 0
    first, second = (json.loads((folder / "results.json").read_text()) for folder in two)
    told = capsys.readouterr().out
    assert (
        "**folder val, 3 sequences, in per cent; differences to results**" in told
    )  # mIoU has no interval
    dog, mean = (100 * one for one in (first["classes"]["dog"]["IoU"], first["overall"]["mIoU"]))
    assert f"| dog | {dog:.1f} | 100.0 (+{100 - dog:.1f}) |" in told
    assert "| kite | – | – (–) |" in told
    assert f"| results | {mean:.1f} |" in told
    assert second["overall"]["mIoU"] == 1
    assert run("compare", *two, "--format", "csv") == 0
    assert (
        f"perfect,overall,IoU dog,1.0,{1 - first['classes']['dog']['IoU']}"
        in capsys.readouterr().out
    )


def test_compare_refuses_other_classes_and_other_masks(
    two: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    told = json.loads((two[1] / "results.json").read_text())
    del told["classes"]
    (two[1] / "results.json").write_text(json.dumps(told))
    assert run("compare", *two) == 2
    assert (
        "its classes are none, there background, dog, car, kite; score both alike"
        in capsys.readouterr().err
    )
    write_mask(two[0] / "a" / "a.png", labels("a") % 255)
    assert run("compare", two[0]) == 2
    assert "is of other masks of a than" in capsys.readouterr().err


def test_report_of_classes_is_refused(
    two: list[Path], root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in SIZES:  # a benchmark of this name is there too
        (root / "JPEGImages" / name).mkdir(parents=True)
        (root / "Annotations" / name).mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(root / "JPEGImages" / name / "00000.jpg")
        write_mask(root / "Annotations" / name / "00000.png", np.ones((8, 8)))
    assert run("report", two[0], "--dataset", "folder", "--root", root) == 2
    assert (
        "has IoU of classes, which have no report page; look at confusion.png"
        in capsys.readouterr().err
    )


def test_the_picture_is_darker_where_the_share_is_larger() -> None:
    classes = ("sky", "a rather long name of a class", "road")
    picture = confusion_picture(np.array([[90, 10, 0], [0, 0, 0], [0, 0, 5]]), classes, "title")
    grid = picture[-16 - 3 * 44 :, -16 - 3 * 44 : -16].astype(
        int
    )  # cells of 44 pixels before a margin of 16
    tints = np.array([[grid[44 * i + 3, 44 * j + 3].sum() for j in range(3)] for i in range(3)])
    assert tints[0, 0] < tints[0, 1] < tints[0, 2] == 3 * 255
    assert tints[1].tolist() == [3 * 255] * 3
    assert tints[2, 2] < tints[0, 0]


def test_a_picture_of_many_classes_stays_small() -> None:
    picture = confusion_picture(np.eye(150, dtype=int), [f"class {k}" for k in range(150)])
    assert picture.shape[0] < 2600
    assert picture.shape[1] < 2600


def test_a_table_without_broken_shots_says_nothing_of_them(root: Path, results: Path) -> None:
    assert "WITHOUT" not in str(scores_table(score_classes(val(root), results)).title)
    (results / "c" / "c.png").unlink()
    assert "WITHOUT 1 that are broken" in str(scores_table(score_classes(val(root), results)).title)
