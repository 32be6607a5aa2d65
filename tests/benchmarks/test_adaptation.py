"""The adaptation experiment: which commands run, what is chosen, and the tables of what they
leave.
"""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from densevos.base.errors import InputError
from densevos.config import AdversarialConfig
from densevos.learners import probe
from densevos.learners.image_to_video import DomainFeatures
from densevos.methods.registry import write_config
from experiments import reports
from experiments.adaptation import curves, drives, gather, pairs, run
from experiments.adaptation.tried import ADVERSARIES, CONTROLS, PARTS, Setting, extras, grid
from experiments.jobs import Command
from tests.benchmarks.folders import (
    Pretended,
    gathered,
    leave_of_segmentation,
    make_config,
    write_run,
    write_trained,
)
from tests.conftest import ROOT

TRAIN = "densevos train "


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> Pretended:
    """What is called instead of the product."""
    pretended = Pretended(leave)
    monkeypatch.setattr(run, "run_jobs", pretended)
    return pretended


def leave(command: Command) -> None:
    """The files by which made, trained, segmented and scored is known."""
    leave_of_segmentation(command)
    if command[0] == "python" and command[1].endswith("drives.py"):
        Path(command[-1]).mkdir(parents=True)


def test_all_settings_go_on_from_one_source(tmp_path: Path, pretended: Pretended) -> None:
    variables = {
        "OUT": str(tmp_path),
        "CAMVID": "/camvid",
        "GAPS": "camvid",
        "STAGES": "source grid",
        "EPOCHS": "2",
    }
    run.run(variables, ("--clips.size", "96"))

    trained = pretended.starting(TRAIN)
    assert len(trained) == 2 * (1 + 3 + 7 * 6)
    assert all(command.endswith("--resume auto --clips.size 96") for command in trained)
    sources = [command for command in trained if "--network.weights" not in command]
    assert [command.split()[2] for command in sources] == ["i2v_small_cnn", "i2v_small_swin"]
    assert all("--loss none " in command and "--loop.epochs 40 " in command for command in sources)

    data, here = tmp_path / "data", tmp_path / "camvid" / "swin"
    ceiling = next(one for one in trained if f"{here}/ceiling/" in one)
    assert ceiling.startswith(
        f"densevos train i2v_small_swin --published --labelled folder:{data}/camvid"
        f" --network.weights {here}/source/seed0/run --optimiser.lr 1e-4 --loss none --loop.seed 0 "
    )
    assert (
        f"python {ROOT}/benchmarks/experiments/adaptation/drives.py /camvid {data}/sharp.part"
        in pretended.called
    )

    clustered = here / "clustered-mu0.1-ramp" / "seed0"
    found = [command for command in pretended.called if str(clustered) in command]
    assert found[0] == (
        f"densevos train i2v_small_swin --published --labelled camvid:{data}/sharp --unlabelled "
        f"folder:{data}/camvid"
        f" --network.weights {here}/source/seed0/run --optimiser.lr 1e-4 --loss clustered"
        " --adversarial.discriminator siamese --placement spatial --adversarial.mu 0.1"
        " --adversarial.ramp-batches 76 --loop.seed 0 --loop.log-every 1"
        f" --loop.epochs 2 --out {clustered}/run --resume auto --clips.size 96"
    )
    judged = [
        command.split("--set ")[1].split(" --results ")[0]
        for command in found
        if " score " in command
    ]
    targets = [f"folder:{data}/camvid --split {split}" for split in ("choose", "report", "dusk")]
    assert judged == [*targets, f"camvid:{data}/sharp --split report"]
    assert pretended.called[-1] == f"python {ROOT}/benchmarks gather adaptation {tmp_path}"

    before = len(pretended.called)
    run.run(variables, ("--clips.size", "96"))
    assert (
        pretended.called[before:] == pretended.called[before - 1 : before]
    )  # finished runs are not repeated


def test_the_grid_can_be_shorter(tmp_path: Path, pretended: Pretended) -> None:
    variables = {
        "OUT": str(tmp_path),
        "GAPS": "shapes",
        "STAGES": "grid",
        "NETWORKS": "cnn",
        "METHODS": "global global-rate1e-3",
        "MUS": "0.1 1",
        "SCHEDULES": "ramp",
    }
    run.run(variables, ())

    # Both learning rates of the discriminator, for each mu.
    trained = pretended.starting(TRAIN)
    folders = [command.split(" --out ")[1].split("/")[-3] for command in trained]
    names = ["global-mu0.1-ramp", "global-mu1-ramp"]
    assert folders == [*names, *(f"{name}-rate1e-3" for name in names)]
    rates = ["--discriminator-optimiser.lr 1e-3" in command for command in trained]
    assert rates == [False, False, True, True]


def test_better_starts_are_those_of_the_source_training(
    tmp_path: Path, pretended: Pretended
) -> None:
    variables = {"OUT": str(tmp_path), "GAPS": "shapes", "STAGES": "source grid", "METHODS": "none"}
    run.run(variables | {"NETWORKS": "lite dul", "ENCODER": "encoder.safetensors"}, ())
    lite, dul, after_lite, after_dul = pretended.starting(TRAIN)
    assert " --network.backbone efficientnet_lite0 --network.weights imagenet --loss none " in lite
    assert " --network.weights encoder.safetensors --loss none " in dul
    source = f"--network.weights {tmp_path}/shapes"
    assert f" --network.backbone efficientnet_lite0 {source}/lite/source/seed0/run " in after_lite
    assert f" {source}/dul/source/seed0/run " in after_dul
    assert "efficientnet" not in after_dul


def test_other_seeds_take_the_setting_that_was_chosen(tmp_path: Path, pretended: Pretended) -> None:
    write_experiment(tmp_path)
    variables = {
        "OUT": str(tmp_path),
        "GAPS": "shapes",
        "NETWORKS": "cnn",
        "SEEDS": "0 7",
        "JOBS": "2",
    }
    run.run(variables | {"STAGES": "seeds", "METHODS": "none global spatial"}, ())
    assert pretended.at_once == [1, 2, 1]  # data, runs, gathering

    none, best = pretended.starting(TRAIN)  # spatial was never run, so there is nothing to repeat
    assert "/none/seed7/run" in none
    assert "/global-mu0.1/seed7/run" in best
    assert "--adversarial.mu 0.1 --adversarial.ramp-batches 0 --loop.seed 7 " in best


def test_statistics_of_the_target_are_a_second_evaluation(
    tmp_path: Path, pretended: Pretended
) -> None:
    write_experiment(tmp_path)
    variables = {
        "OUT": str(tmp_path),
        "GAPS": "shapes",
        "NETWORKS": "cnn",
        "SEEDS": "0",
        "METHODS": "none",
    }
    run.run(variables | {"STAGES": "statistics"}, ())
    assert not pretended.starting(TRAIN)
    segmented = pretended.starting("densevos-eval segment")
    none = f"{tmp_path}/shapes/cnn/none/seed0"
    videos = f"--adapt-statistics --adapt-from folder:{tmp_path}/data/shapes/videos"
    for command, end in zip(
        segmented,
        (
            f"{videos} --out {none}/statistics-train/target-choose ",
            f"--adapt-statistics --out {none}/statistics/target-choose ",
            f"--adapt-statistics --out {none}/statistics/target-report ",
            # The source has results of the first kind.
            "/source/seed0/statistics/target-choose ",
            "/source/seed0/statistics/target-report ",
        ),
        strict=True,
    ):
        assert end in command


def test_parts_of_the_cnn_get_statistics_by_themselves(
    tmp_path: Path, pretended: Pretended
) -> None:
    write_experiment(tmp_path)
    variables = {"OUT": str(tmp_path), "GAPS": "shapes", "STAGES": "layers"}
    run.run(variables, ())

    # A Swin has BatchNorm in its decoder only, so it has no parts to compare.
    source = tmp_path / "shapes" / "cnn" / "source" / "seed0"
    segmented = pretended.starting("densevos-eval segment")
    assert len(segmented) == 2 * len(PARTS)  # target-choose and target-report
    assert all(f" --model {source}/run " in command for command in segmented)
    videos = f"folder:{tmp_path}/data/shapes/videos"
    options = f"--adapt-from {videos} --adapt-layers backbone.layer4 classifier"
    assert f"{options} --out {source}/layers/stage4-head/target-report " in segmented[-1]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"GAPS": "x"}, "GAPS: there is no x; known are camvid, shapes"),
        ({"METHODS": "x"}, "METHODS: there is no x; known are none, mixed, ceiling"),
        ({"NETWORKS": "x"}, "NETWORKS: there is no x; known are cnn, swin, lite, dul"),
        ({"MUS": "0.2"}, "MUS: there is no 0.2; known are 0.01, 0.1, 1"),
        ({"SCHEDULES": "x"}, "SCHEDULES: there is no x; known are constant, ramp"),
        ({"STAGES": "x"}, "STAGES: there is no x; known are source, grid"),
        ({"JOBS": "0"}, "JOBS: 0 is not a whole number of at least 1"),
        ({"NETWORKS": "dul", "GAPS": "shapes"}, "ENCODER: set ENCODER to an encoder"),
        ({}, "CAMVID: set CAMVID to the root of CamVid, or GAPS=shapes"),
    ],
)
def test_unusable_variables_are_refused(wrong: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=f"^{message}"):
        run.settings_from(wrong, ())


def test_settings_have_names_of_their_own() -> None:
    for network in ("cnn", "swin"):
        methods = (*CONTROLS, *ADVERSARIES)
        names = [
            one.name
            for one in (*(one for method in methods for one in grid(method)), *extras(network))
        ]
        assert len(set(names)) == len(names)
    assert (
        Setting(method="clustered", mu="1", ramp=True, clusters="5").name == "clustered-mu1-ramp-K5"
    )


def test_drives_are_kept_apart(tmp_path: Path) -> None:
    """No image is in two splits, and the drive at dusk is in neither training nor choice."""
    names = {
        "train": ["0001TP_1", "0006R0_f1", "0016E5_1"],
        "val": [f"0016E5_{number:03d}" for number in range(100, 160)],
    }
    for split, listed in names.items():
        for kind, suffix in (("", ".jpg"), ("annot", ".png")):
            (tmp_path / "camvid" / f"{split}{kind}").mkdir(parents=True)
            for name in listed:
                picture = Image.fromarray(np.zeros((2, 2), np.uint8))
                picture.save(tmp_path / "camvid" / f"{split}{kind}" / f"{name}{suffix}")

    drives.write(tmp_path / "camvid", tmp_path / "out")
    found = {
        path.name: sorted(one.stem for one in path.iterdir())
        for path in (tmp_path / "out").iterdir()
    }
    assert found["train"] == ["0006R0_f1", "0016E5_1"] == found["trainannot"]
    assert found["dusk"] == ["0001TP_1"]
    assert found["choose"] == names["val"][:50]
    assert found["report"] == names["val"][50:]


def test_parts_are_shown_between_none_and_all(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    write_experiment(tmp_path)
    source = tmp_path / "shapes" / "cnn" / "source" / "seed0"
    for part, score in (("stage1", 0.32), ("head", 0.35)):
        results = source / "layers" / part / "target-report" / "results.json"
        results.parent.mkdir(parents=True)
        results.write_text(json.dumps({"overall": {"mIoU": score}, "classes": {}}))

    _, result = gathered(capsys, "adaptation", str(tmp_path))
    table = gather.tables(result)["shapes, cnn, layers"].splitlines()
    assert table[2] == "| new statistics in | none | stage1 | head | all |"
    assert table[4] == "| target-choose | 30.0 |  |  | 30.0 |"
    assert table[5] == "| target-report | 31.0 | 32.0 | 35.0 | 36.0 |"


def test_discriminators_are_compared_by_how_fast_they_learn(
    tmp_path: Path, pretended: Pretended, capsys: pytest.CaptureFixture
) -> None:
    write_experiment(tmp_path)
    source = tmp_path / "shapes" / "cnn" / "source" / "seed0"
    variables = {"OUT": str(tmp_path), "GAPS": "shapes", "NETWORKS": "cnn", "STAGES": "pairs"}
    run.run(variables, ())
    assert len(pretended.called) == 1  # Nothing but the gathering: no clustered run is there.

    pretended.called.clear()
    write_trained(
        tmp_path / "shapes" / "cnn" / "clustered-mu1" / "seed0" / "run",
        make_config("i2v_small_cnn", 0),
    )
    run.run(variables, ())
    script = ROOT / "benchmarks" / "experiments" / "adaptation" / "pairs.py"
    clustered = tmp_path / "shapes" / "cnn" / "clustered-mu1" / "seed0" / "run"
    assert pretended.called[0] == f"python {script} {clustered} {source}/pairs.json"

    row = {"discriminator": "siamese", "rate": 1e-3, "accuracy": {"30": 0.5, "100": 0.554}}
    (source / "pairs.json").write_text(json.dumps([row]))
    _, result = gathered(capsys, "adaptation", str(tmp_path))
    table = gather.tables(result)["shapes, cnn, pairs"].splitlines()
    assert table[2] == "| discriminator | rate | 30 steps | 100 steps |"
    assert table[4] == "| siamese | 0.001 | 50 % | 55 % |"


def test_discriminators_learn_features_that_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairs, "STEPS", (1, 40))
    torch.manual_seed(0)
    is_source = torch.arange(8) < 4
    features = []
    for _ in range(4):
        tap = torch.randn(8, 1, 6, 4, 4) + 3 * is_source[:, None, None, None, None]
        seen = torch.ones(8, 1, dtype=torch.bool)
        features.append(DomainFeatures(tap=tap, is_source=is_source, seen=seen))

    adversary = probe.new_adversary("maps", features[0].tap, AdversarialConfig())
    accuracies = pairs.learned(adversary, features, 1e-3)
    assert list(accuracies) == [1, 40]
    assert accuracies[1] < accuracies[40]
    assert accuracies[40] > 0.95


def test_a_kept_result_does_not_say_where_weights_lay(tmp_path: Path) -> None:
    write_experiment(tmp_path)
    folder = tmp_path / "shapes" / "cnn" / "source" / "seed0"
    for weights, kept in (
        (f"{tmp_path}/encoders/a.safetensors", "encoders/a.safetensors"),
        ("/elsewhere/a.safetensors", "a.safetensors"),
        ("imagenet", "imagenet"),
    ):
        config = make_config("i2v_small_cnn", 0)
        network = replace(config.network, weights=weights)
        write_config(folder / "run" / "config.json", replace(config, network=network))
        told = {"steps": 40, "seconds": 90, "began": f"{weights} has no decoder that fits"}
        (folder / "run" / "model.json").write_text(json.dumps({"training": told}))
        assert gather.result(folder)["began"] == f"{kept} has no decoder that fits"


def test_experiment_is_gathered(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    write_experiment(tmp_path)
    said, result = gathered(capsys, "adaptation", str(tmp_path), result=str(tmp_path / "kept.json"))
    lines = said.splitlines()
    assert "**shapes, cnn**, 4 epochs, 40 steps" in lines
    # Each method by its choice, on other images; gains by seed; (41 - 31) / (51 - 31) of the gap.
    none = "| none | 31.00 ± 1.41 |  | -5.00 (0/1) |  |  | 40.00 ± 0.00 | 38.00 (of 1) |  | 2 |"
    ceiling = "| ceiling | 51.00 | +21.00 (1/1) | +16.00 (1/1) | 100 % |  | 40.00 |  |  | 1 |"
    best = (
        "| global-mu0.1 | 41.00 | +11.00 (1/1) | +6.00 (1/1) | 50 % | 20.00 | 40.00 |  | source 40 "
        "%, target 60 % | 1 |"
    )
    adapted = (
        "| source, new statistics | 36.00 | +6.00 (1/1) | +1.00 (1/1) | 25 % |  |  |  |  | 1 |"
    )
    for row in (none, ceiling, best, adapted):
        assert row in lines
    # No run was evaluated with statistics of the segmented frames, so no column tells of them.
    assert not any("of the segmented frames" in line for line in lines)
    assert "| global | 20.0 | **45.0** |  |  |  | 30.0 |" in lines

    one = result["experiments"]["shapes, cnn"]["global-mu0.1"]["seed0"]
    assert (one["target-report"], one["accuracy_target"]) == (41.0, 0.6)
    assert (one["epochs"], one["steps"], one["samples"], one["minutes"]) == (4, 40, 320, 1.5)
    assert one["classes"] == {"sky": 41.0, "sign": None}
    assert one["curve"]["step"] == list(range(2, 41, 2))
    assert one["curve"]["accuracy_source"] == [1.0] * 18 + [0.4] * 2
    assert json.loads((tmp_path / "adaptation.json").read_text()) == result
    assert json.loads((tmp_path / "kept.json").read_text()) == result


def test_steps_without_pairs_do_not_count(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    idle = {
        "adversarial": [0.0, 0.6],
        "accuracy_mixed": [0.0, 0.5],
        "clusters_used": [0, 8],
        "coverage": [0, 0.9],
    }
    here = tmp_path / "camvid" / "swin" / "clustered-mu1" / "seed0"
    write_run(
        here,
        SCORES,
        make_config("i2v_small_swin", 0),
        {"segmentation": [1], "chance": [0.64], **idle},
    )
    _, result = gathered(capsys, "adaptation", str(tmp_path))
    one = result["experiments"]["camvid, swin"]["clustered-mu1"]["seed0"]
    assert (one["adversarial"], one["accuracy_mixed"], one["without_pairs"]) == (0.6, 0.5, 0.9)
    assert one["curve"]["adversarial"] == [None] * 18 + [0.6] * 2

    never = {name: values[:1] for name, values in idle.items()}
    shutil.rmtree(here)
    write_run(
        here,
        SCORES,
        make_config("i2v_small_swin", 0),
        {"segmentation": [1], "chance": [0.64], **never},
    )
    said, _ = gathered(capsys, "adaptation", str(tmp_path))
    assert "| clustered-mu1 | 31.00 | 40.00 | 1 |" in said.splitlines()


def test_runs_of_another_budget_are_refused(tmp_path: Path) -> None:
    write_experiment(tmp_path)
    here = tmp_path / "shapes" / "cnn" / "global-mu1" / "seed0"
    write_run(here, SCORES, make_config("i2v_small_cnn", 0, epochs=2), {"segmentation": [1]})
    with pytest.raises(InputError) as error:
        reports.gather("adaptation", str(tmp_path))
    assert str(error.value).startswith(f"{here}/run: was trained with loop.epochs 2, but ")
    assert not (tmp_path / "adaptation.json").exists()


def test_runs_that_are_not_finished_are_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    write_experiment(tmp_path)
    none = tmp_path / "shapes" / "cnn" / "none"
    (none / "seed1" / "source" / "results.json").unlink()
    (none / "seed2" / "run").mkdir(parents=True)

    _, result = gathered(capsys, "adaptation", str(tmp_path))
    assert list(result["experiments"]["shapes, cnn"]["none"]) == ["seed0"]


def test_a_choice_is_by_the_images_to_choose_on(tmp_path: Path) -> None:
    write_experiment(tmp_path)
    assert gather.choice(tmp_path / "shapes" / "cnn", "global") == Setting(
        method="global", mu="0.1"
    )
    assert gather.choice(tmp_path / "shapes" / "cnn", "spatial") is None


SCORES = {"target-choose": 0.3, "target-report": 0.31, "source": 0.4}


def write_experiment(runs: Path) -> None:
    """shapes, cnn: a source, its controls and one method in three settings, of which one is best
    where it counts.
    """
    general = {
        "adversarial": [0.0, 0.7],
        "chance": [0.69],
        "accuracy_source": [1.0, 0.4],
        "accuracy_target": [0.6],
    }
    found: list[tuple[str, int, dict[str, Any], dict[str, list[float]], dict[str, float]]] = [
        ("source", 0, {"loss": "none"}, {}, SCORES),
        ("none", 0, {"loss": "none"}, {}, SCORES | {"target-report": 0.30}),
        ("none", 1, {"loss": "none"}, {}, SCORES | {"target-report": 0.32}),
        ("mixed", 0, {}, general, SCORES | {"target-report": 0.35}),
        ("ceiling", 0, {"loss": "none"}, {}, SCORES | {"target-report": 0.51}),
        ("global-mu0.01", 0, {}, general, SCORES | {"target-choose": 0.2, "target-report": 0.48}),
        (
            "global-mu0.1",
            0,
            {},
            general,
            SCORES | {"target-choose": 0.45, "target-report": 0.41, "target-dusk": 0.2},
        ),
        ("global-mu1-ramp", 0, {}, general, SCORES | {"target-report": 0.39}),
    ]
    for setting, seed, options, known, scores in found:
        folder = runs / "shapes" / "cnn" / setting / f"seed{seed}"
        config = make_config(
            "i2v_small_cnn", seed, epochs=40 if setting == "source" else 4, **options
        )
        write_run(folder, scores, config, {"segmentation": [2, 1], **known})
    for setting, judged, score in (
        ("source", "target-choose", 0.3),
        ("source", "target-report", 0.36),
        ("none", "target-report", 0.38),
    ):
        adapted = runs / "shapes" / "cnn" / setting / "seed0" / "statistics-train" / judged
        adapted.mkdir(parents=True)
        results = {"overall": {"mIoU": score}, "classes": {}}
        (adapted / "results.json").write_text(json.dumps(results))
    (runs / "data" / "shapes").mkdir(parents=True)
    (runs / "data" / "shapes_report").mkdir(parents=True)


def test_curves_draw_a_line_for_each_method_with_a_discriminator(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    write_experiment(tmp_path)
    _, result = gathered(capsys, "adaptation", str(tmp_path))
    svg = curves.draw(result)
    assert svg.count("<polyline") == 2  # mixed, and global in the setting that was chosen
    (points,) = [part.split('"')[0].split() for part in svg.split('<polyline points="')[1:2]]
    # Right in 80 % of cases at first and in 50 % in the last tenth: (1 + .6) / 2 and (.4 + .6) / 2.
    heights = [float(point.split(",")[1]) for point in points]
    assert heights == pytest.approx(
        [curves.height_of(0.8)] * 18 + [curves.height_of(0.5)] * 2, abs=0.1
    )
