"""The published rows of the image-to-video papers: which commands run, and the tables of what they
leave.
"""

import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from densevos.base import console
from densevos.base.errors import InputError
from densevos.commands.train import parsed_arguments
from densevos_eval import cli
from experiments import reports
from experiments.i2v_tables import run
from tests.benchmarks.folders import (
    Pretended,
    gathered,
    leave_of_segmentation,
    make_config,
    write_results,
    write_trained,
)
from tests.conftest import ROOT

TRAIN = "densevos train "
PUBLISHED = reports.read_json(ROOT / "benchmarks" / "experiments" / "i2v_tables" / "published.json")


def commands(*options: str, **variables: str) -> list[str]:
    """The commands of a dry run."""
    chosen = run.settings_from({"DRY": "1", "OUT": "runs", **variables}, options)
    lines = [shlex.join(command) for job in run.jobs(chosen) for command in job.steps]
    return list(dict.fromkeys(lines))


def rows() -> Iterator[dict[str, Any]]:
    for table in PUBLISHED["tables"].values():
        yield from table["rows"]


def test_every_published_row_is_trained_and_judged_once() -> None:
    found = commands()
    for row in rows():
        (train,) = [
            c for c in found if c.startswith(TRAIN) and f"--out runs/{row['run']}/seed0/run " in c
        ]
        adversarial = {"-": "--loss none"}.get(row["placement"], f"--placement {row['placement']}")
        assert f"--loss {row['loss'].split(',')[0]}" in train
        assert adversarial in train
        assert ("--names runs/coco_train" in train) == ("COCO" in row["labelled"])
        labelled, _, unlabelled = (
            train.partition("--labelled ")[2].partition(" --loss")[0].partition(" --unlabelled ")
        )
        assert [spec.split(":")[1] for spec in labelled.split()] == row["labelled"].split("+")
        assert unlabelled.split(":")[-1].replace("VOC", "Pascal") == row["unlabelled"].strip("-")
        results = f"runs/{row['run']}/seed0/{row['judged']}"
        score = (
            "score --dataset davis17-unsupervised"
            if row["judged"] == "unovost"
            else "score --metric miou"
        )
        assert len([c for c in found if score in c and c.endswith(results)]) == 1
    trained = {
        command.partition("--out runs/")[2].split("/")[0]
        for command in found
        if command.startswith(TRAIN)
    }
    assert trained == {row["run"] for row in rows()}


def test_tables_are_those_of_the_papers_in_their_order() -> None:
    known = run.tables(("dog",))
    assert list(known) == list(PUBLISHED["tables"])
    assert {name: len(table["rows"]) for name, table in PUBLISHED["tables"].items()} == {
        name: len(rows) for name, rows in known.items()
    }


def test_images_of_coco_are_found_once_for_each_choice_of_classes() -> None:
    found = commands(FBMS_CLASSES="cell phone,dog")
    listed = [
        command.partition(" --split ")[2]
        for command in found
        if " data classes coco:COCO " in command
    ]
    assert listed == [
        "train --write-names runs/coco_train.txt",
        "train --wanted 'cell phone' dog --write-names runs/coco_train_cell-phone-dog.txt",
        "val --write-names runs/coco_val.txt",
    ]
    judged = [
        command
        for command in found
        if command.startswith("densevos-eval") and "--set coco:" in command
    ]
    assert judged
    assert all("--split val --names runs/coco_val.txt " in command for command in judged)
    assert any("--wanted 'cell phone' dog --out runs/fbms-coco/" in command for command in found)


def test_numbers_of_clusters() -> None:
    trained = [
        command for command in commands(TABLES="clusters", SEEDS="0 1") if command.startswith(TRAIN)
    ]
    assert len(trained) == 8
    for clusters in (2, 5, 11, 22):
        assert (
            sum(
                f"--adversarial.clusters {clusters} --loop.batch 4" in command
                for command in trained
            )
            == 2
        )


def test_unovost_has_the_networks_of_the_table_of_the_cnn() -> None:
    found = commands(TABLES="unovost", DAVIS_UNSUPERVISED="/davis17")
    trained = [command for command in found if command.startswith(TRAIN)]
    assert trained == [command for command in commands(TABLES="cnn") if command in trained]
    for name in ("cnn-coco", "cnn-coco-general-global-davis"):
        (tracked,) = [
            c
            for c in found
            if " zeroshot " in c and c.endswith(f"--out runs/{name}/seed0/unovost --resume")
        ]
        assert (
            f"--proposals segments:runs/{name}/seed0/run --embedding runs/{name}/seed0/run "
            f"--dataset" in tracked
        )
        assert "--linking unovost" in tracked
        assert "--dataset davis17-unsupervised --root /davis17 " in tracked


def test_commands_of_unovost_are_understood(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """All options are; what is missed is the data."""
    nowhere = tmp_path / "nowhere"
    found = commands(TABLES="unovost", DAVIS_UNSUPERVISED=str(nowhere))
    for command in (one for one in found if one.startswith("densevos-eval")):
        assert console.run(partial(cli.dispatch, command.split()[1:])) == 2
        assert f"{nowhere}" in capsys.readouterr().err


def test_objects_of_unovost_are_scored_by_their_mean_iou(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    for name, mean in (("cnn-coco", 0.25), ("cnn-coco-general-global-davis", 0.26)):
        here = tmp_path / name / "seed0"
        (here / "unovost").mkdir(parents=True)
        (here / "unovost" / "results.json").write_text(
            json.dumps({"overall": {"J&F-Mean": 0.5, "J-Mean": mean}})
        )
        write_trained(
            here / "run",
            make_config("i2v_cnn", 0, loss="none" if name == "cnn-coco" else "general"),
        )
    said, _ = gathered(capsys, "i2v_tables", str(tmp_path), "unovost")
    row = "| CNN | COCO | DAVIS | general | global | unovost | 27.84 | +1.35 | 26.00 | +1.00 | 1 |"
    assert row in said


def test_commands_are_understood() -> None:
    """Training commands parse, with the recipes and options that there are, and make sense."""
    found = commands("--loop.device", "cpu")
    kinds = {
        shape_of(command): command.split()[2:] for command in found if command.startswith(TRAIN)
    }
    for words in kinds.values():
        config = parsed_arguments(words).config
        config.check()
        assert config.loop.device == "cpu"
        assert (config.warm_epochs, config.adversarial.mu, config.adversarial.ramp_batches) == (
            0,
            1,
            0,
        )


def shape_of(command: str) -> tuple[str, ...]:
    """The recipe, the names of the options, and the placement."""
    words = command.split()
    placement = words[words.index("--placement") + 1] if "--placement" in words else ""
    return words[2], placement, *(word for word in words if word.startswith("--"))


def test_the_script_prints_the_commands_without_an_installation() -> None:
    done = subprocess.run(
        ["bash", str(ROOT / "scripts" / "i2v_tables.sh"), "--loop.device", "cpu"],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": os.environ["PATH"], "DRY": "1", "TABLES": "cnn fbms"},
    )
    expected = commands("--loop.device", "cpu", OUT="runs/i2v_tables", TABLES="cnn fbms")
    assert done.stdout.splitlines() == expected


def test_rows_without_data_are_left_out_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    pretended = Pretended(leave_of_segmentation)
    monkeypatch.setattr(run, "run_jobs", pretended)
    variables = {
        "OUT": str(tmp_path),
        "COCO": "/coco",
        "DAVIS": "/davis",
        "TABLES": "cnn pascal fbms unovost",
    }
    run.run(variables, ())
    said = capsys.readouterr().err
    assert "left out: cnn-coco-general-global-ytbb on DAVIS, which needs YTBB" in said
    assert "left out: fbms-coco on FBMS, which needs FBMS" in said
    assert "left out: cnn-coco on DAVIS_UNSUPERVISED, which needs DAVIS_UNSUPERVISED" in said
    assert len(pretended.starting(TRAIN)) == 5
    assert pretended.called[-1].endswith(
        f"benchmarks gather i2v_tables {tmp_path} cnn pascal fbms unovost"
    )

    before = len(pretended.called)
    run.run(variables, ())
    assert [command.split()[0] for command in pretended.called[before:]] == [
        "python"
    ]  # finished runs are kept


def test_unknown_table_is_refused() -> None:
    with pytest.raises(InputError, match=r"^TABLES: there is no nonsense; known are cnn, swin"):
        commands(TABLES="nonsense")


@pytest.fixture
def scored(tmp_path: Path) -> Path:
    """Results of two seeds of two rows."""
    for name, loss, miou in (
        ("swin-coco", "none", 0.30),
        ("swin-coco-clustered-spatial-davis", "clustered", 0.40),
    ):
        for seed in (0, 1):
            here = tmp_path / name / f"seed{seed}"
            write_results(here / "davis", miou + 0.02 * seed)
            write_trained(here / "run", make_config("i2v_swin", seed, loss=loss))
    return tmp_path


def refused(folder: Path, *wanted: str) -> str:
    """What it complains of."""
    with pytest.raises(InputError) as error:
        reports.gather("i2v_tables", str(folder), *wanted)
    assert not (folder / "i2v_tables.json").exists()
    return str(error.value)


def test_table_has_published_figures_beside_ones_own(
    scored: Path, capsys: pytest.CaptureFixture
) -> None:
    said, result = gathered(capsys, "i2v_tables", str(scored), "swin")
    row = (
        "| Swin | COCO | DAVIS | clustered | spatial | davis | 38.53 | +8.55 | 41.00 ± 1.41 | "
        "+10.00 | 2 | 30 (640) |"
    )
    assert row in said.splitlines()
    assert (
        "| Swin | COCO | DAVIS | general | global | davis | 25.27 | -4.71 | – | – | 0 | – |" in said
    )
    assert "other budgets" in said
    assert "* Table 7 of B replaces the CNN encoder of UnOVOST and says neither" in said
    assert result["tables"]["swin"][3]["scores"] == pytest.approx({"seed0": 40, "seed1": 42})
    assert result["git_commits"] == ["seed0", "seed1"]
    assert json.loads((scored / "i2v_tables.json").read_text()) == result


@pytest.mark.parametrize("seed", [1, 2])
def test_rows_of_another_budget_are_refused(scored: Path, seed: int) -> None:
    here = scored / "swin-coco-clustered-spatial-davis" / f"seed{seed}"
    shutil.rmtree(scored / "swin-coco-clustered-spatial-davis")
    write_results(here / "davis", 0.5)
    write_trained(here / "run", make_config("i2v_swin", seed, epochs=2))
    assert refused(scored, "swin").startswith(
        f"{here}/run: was trained with loop.epochs 2, but {scored}/swin-coco/seed0/run with 30"
    )


def test_rows_that_began_with_other_weights_are_refused(scored: Path) -> None:
    """Their configurations are alike where the weights could be fetched for one of them only."""
    for here in (scored / "swin-coco-clustered-spatial-davis").glob("*/run"):
        (here / "model.json").write_text(
            json.dumps({"training": {"steps": 40, "seconds": 90, "began": "X"}})
        )
    said = refused(scored, "swin")
    assert "seed0/run: was trained with initial weights X, but " in said
    assert f"{scored}/swin-coco/seed0/run with at random" in said


def test_unknown_table_of_the_gathered_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path, "swine").startswith("swine: is no table of published.json; ")


def test_published_gains_are_those_of_the_papers() -> None:
    by_run = {
        (name, row["run"], row["judged"]): row
        for name, t in PUBLISHED["tables"].items()
        for row in t["rows"]
    }
    gains = {
        key: round(row["miou"] - by_run[key[0], row["against"], key[2]]["miou"], 2)
        for key, row in by_run.items()
        if "against" in row and "miou" in row
    }
    swin = [gain for (table, *_), gain in gains.items() if table == "swin"]
    assert swin == [-4.71, 2.72, 8.55, 3.04, 2.18, 6.58, 12.3]
    assert [gain for (table, *_), gain in gains.items() if table == "videoswin"] == [
        11.13,
        6.71,
        7.9,
    ]
    assert gains["unovost", "cnn-coco-general-global-davis", "unovost"] == 1.35
    assert gains["fbms", "fbms-coco-general-spatial-fbms", "fbms"] == 0.49
