"""MuG on real videos: which commands run, the controls, and the table of what they leave."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from densevos.base.errors import InputError
from densevos.base.masks import read_mask, write_mask
from experiments import reports
from experiments.jobs import Command
from experiments.mug_dev import look, run
from experiments.mug_dev.controls import CONTROLS
from tests.benchmarks.folders import Pretended, option

MASKS = ("", "_no_crf", "_equal_area")
ENDINGS = ("_consensus", "", "_cam")


def masks(folder: Path, share: int) -> None:
    """Two masks of 4x10 with so many columns of foreground; those that are there stay, as with the
    commands.
    """
    (folder / "bear").mkdir(parents=True, exist_ok=True)
    ids = np.zeros((4, 10), np.uint8)
    ids[:, :share] = 1
    for name in ("00000", "00001"):
        if not (folder / "bear" / f"{name}.png").exists():
            write_mask(folder / "bear" / f"{name}.png", ids)


def leave(command: Command) -> None:
    """What the commands would make; controls run."""
    match command:
        case ("densevos", "data", "frames", *_):
            (option(command, "--out") / "bear").mkdir(parents=True)
        case ("densevos", "data", "foreground", *_):
            masks(option(command, "--out"), 4)
        case ("densevos", "train", *_):
            leave_run(option(command, "--out"))
        case ("densevos-eval", "propagate", *_):
            masks(option(command, "--out"), 8)
        case ("densevos-eval", "zeroshot", *_):
            leave_zeroshot(option(command, "--out"))
        case ("densevos-eval", "score", *_):
            scores = {"J-Mean": 0.25, "F-Mean": 0.5}
            if "--no-stability" not in command:
                scores["T-Mean"] = 0.125
            results = {"overall": scores, "sequences": {"bear": scores}}
            (option(command, "--results") / "results.json").write_text(json.dumps(results))
        case ("python", script, control, *paths) if script.endswith("controls.py"):
            CONTROLS[control](*map(Path, paths))


def leave_run(out: Path) -> None:
    """A run of two rounds."""
    facts = {"steps": 8, "videos": 1, "config": {}, "seconds": 60}
    for number in (1, 2):
        masks(out / f"round{number}" / "maps", 2)
        (out / f"round{number}" / "metrics.jsonl").write_text('{"step": 8, "frame": 0.5}\n')
    (out / "encoder.json").write_text(json.dumps({"training": facts}))
    (out / "provenance.json").write_text(
        json.dumps({"machine": "m", "versions": {}, "git_commit": "c"})
    )


def leave_zeroshot(out: Path) -> None:
    """Masks with and without CRF, and soft masks that fall from the first row to the last."""
    masks(out, 8)
    masks(out / "no-crf", 8)
    for name in ("00000", "00001"):
        soft = out / "no-crf" / "bear" / "probabilities" / "1" / f"{name}.png"
        soft.parent.mkdir(parents=True, exist_ok=True)
        Image.linear_gradient("L").resize((10, 4)).rotate(180).save(soft)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A DAVIS of one sequence."""
    (tmp_path / "DAVIS/ImageSets/2016").mkdir(parents=True)
    (tmp_path / "DAVIS/ImageSets/2016/dev.txt").write_text("bear\n")
    (tmp_path / "DAVIS/JPEGImages/480p/bear").mkdir(parents=True)
    Image.new("RGB", (20, 8)).save(tmp_path / "DAVIS/JPEGImages/480p/bear/00000.jpg")
    return tmp_path


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> Pretended:
    """What is called instead of the product."""
    pretended = Pretended(leave)
    monkeypatch.setattr(run, "run_jobs", pretended)
    return pretended


def run_in(folder: Path, **variables: str) -> dict[str, Any]:
    """Run the experiment, and gather what it left."""
    wanted = {"VIDEOS": folder / "videos", "DAVIS": folder / "DAVIS", "OUT": folder / "out"}
    run.run({name: str(value) for name, value in wanted.items()} | variables, ())
    reports.gather("mug_dev", str(folder / "out"), result=str(folder / "kept.json"))
    found: dict[str, Any] = reports.read_json(folder / "out" / "mug_dev.json")
    assert reports.read_json(folder / "kept.json") == found
    return found


def test_all_kinds_of_knowledge_are_learned_from_and_judged_once(
    folder: Path, pretended: Pretended
) -> None:
    found = run_in(folder, TRANSDUCTIVE="1", KNOWLEDGE="consensus saliency cam")
    kinds = [f"mug{of}_round{number}{crf}" for of in ENDINGS for number in (1, 2) for crf in MASKS]
    assert {
        "saliency",
        "saliency_no_crf",
        "saliency_mean",
        "cam",
        "one_shot",
        "one_shot_release_cam",
        *kinds,
    } <= set(found)
    assert {"consensus", "consensus_no_crf", "one_shot_consensus"} <= set(found)
    assert {f"mug_transductive{of}_round2" for of in ENDINGS} <= set(found)
    mean = read_mask(folder / "out" / "saliency_mean" / "bear" / "00000.png")
    assert mean[:, :8].all()
    assert not mean[:, 8:].any()
    equal = read_mask(folder / "out" / "mug_cam_round2" / "equal-area" / "bear" / "00001.png")
    assert equal[
        0
    ].all()  # A soft mask that falls from the first row to the last, cut at the maps' share, .4.
    assert equal[:2].mean() >= 0.5
    assert not equal[2:].any()
    assert found["saliency"] == {"J": 25.0, "F": 50.0, "T": 12.5, "J_sequences": {"bear": 25.0}}
    assert found["saliency_mean"].keys() == {"J", "F", "J_sequences"}
    assert len(pretended.starting("densevos train ")) == 6
    assert pretended.called[-1].endswith(f"benchmarks gather mug_dev {folder / 'out'}")

    before = len(pretended.called)
    run_in(folder, TRANSDUCTIVE="1", KNOWLEDGE="consensus saliency cam")
    again = pretended.called[before:]
    assert not [
        line for line in again if line.startswith(("densevos-eval score ", "densevos data frames"))
    ]
    going_on = ("densevos train ", "densevos-eval zeroshot ", "densevos-eval propagate ")
    assert all("--resume" in line for line in again if line.startswith(going_on))


def test_commands_of_one_kind_of_maps(folder: Path, pretended: Pretended) -> None:
    run_in(folder, KNOWLEDGE="saliency")
    out = folder / "out"
    where = f"--dataset davis16 --root {folder}/DAVIS --split dev"
    assert (out / "judged.txt").read_text() == f"{folder.resolve()}/DAVIS/JPEGImages/480p/bear\n"
    found = [
        line for line in pretended.called if not line.startswith(("python", "densevos-eval score"))
    ]
    foreground, evaluated = (
        "densevos data foreground",
        f"{out}/judged.txt --method saliency --uncertain 0",
    )
    assert found == [
        f"densevos data frames {folder}/videos --short-side 192 --every 3 --out {out}/frames.part "
        f"--overwrite",
        f"{foreground} {out}/frames --method saliency --out {out}/maps_saliency",
        f"{foreground} {evaluated} --out {out}/saliency",
        f"{foreground} {evaluated} --no-crf --out {out}/saliency_no_crf",
        f"densevos train mug_small --data {out}/frames --foreground {out}/maps_saliency"
        f" --out {out}/mug_saliency --resume auto",
        *(
            f"densevos-eval zeroshot --model {out}/mug_saliency/round{number} {where}"
            f" --out {out}/mug_saliency_round{number} --save-probabilities --resume"
            for number in (1, 2)
        ),
        *(
            f"densevos-eval propagate --preset {preset} --encoder "
            f"{out}/mug_saliency/encoder.safetensors {where}"
            f" --out {out}/mug_saliency_one_shot_{preset} --resume"
            for preset in ("mug", "mug-release")
        ),
    ]
    unsteady = [line for line in pretended.called if line.endswith(" --no-stability")]
    assert len(unsteady) == 2 + 2 * 2
    assert len(pretended.starting(f"densevos-eval score {where} --results ")) == 3 + 3 * 2 + 2


def test_maps_of_what_moves_are_made_of_all_frames(folder: Path, pretended: Pretended) -> None:
    run_in(folder, TRANSDUCTIVE="1")
    out = folder / "out"
    assert pretended.starting("densevos data ") == [
        f"densevos data frames {folder}/videos --short-side 192 --every 1 --out "
        f"{out}/frames_all.part --overwrite",
        f"densevos data foreground {out}/frames_all --method consensus --out {out}/maps_consensus",
        f"densevos data foreground {out}/judged.txt --method consensus --uncertain 0 --out "
        f"{out}/consensus",
        f"densevos data foreground {out}/judged.txt --method consensus --uncertain 0 --no-crf"
        f" --out {out}/consensus_no_crf",
        f"densevos data frames {out}/judged.txt --short-side 192 --every 1 --out "
        f"{out}/frames_judged_all.part"
        " --overwrite",
        f"densevos data foreground {out}/transductive_all.txt --method consensus"
        f" --out {out}/maps_transductive_consensus",
    ]


def test_agreement_is_the_iou_with_the_first_maps(folder: Path, pretended: Pretended) -> None:
    found = run_in(folder, KNOWLEDGE="saliency", LEAVE_OUT="video")
    assert sum("--objective.video-weight 0" in line for line in pretended.called) == 1
    # Two columns of the maps' four; four of eight on the judged frames.
    assert found["agreement"] == {
        name: {"trained": 50.0, "judged": 50.0} for name in ("mug_saliency", "mug_without_video")
    }
    ids = np.full((4, 10), 255, np.uint8)
    ids[:, :3] = 1
    write_mask(folder / "out" / "maps_saliency" / "bear" / "00001.png", ids)
    assert run_in(folder, KNOWLEDGE="saliency")["agreement"]["mug_saliency"][
        "trained"
    ] == pytest.approx(58.3)


def test_tables_have_the_papers_figures_beside(folder: Path, pretended: Pretended) -> None:
    kinds = "consensus saliency cam"
    found = reports.tables(
        "mug_dev", run_in(folder, LEAVE_OUT="video", TRANSDUCTIVE="1", KNOWLEDGE=kinds)
    )
    row = "25.00 (50.00, 12.50)"  # of consensus maps the paper has no figures
    assert f"| MuG round 2, CRF | {row} | {row} | 58.0 | {row} | 61.2 |" in found["maps and rounds"]
    assert (
        "| MuG round 2, no CRF | 25.00 (50.00) | 25.00 (50.00) | 55.3 |" in found["maps and rounds"]
    )
    assert "| round 2 | 25.00 (50.00) | 25.00 (50.00, 12.50) |" in found["transductive cam"]
    assert "| video | 25.00 (50.00, 12.50) | 25.00 (50.00, 12.50) | 56.4 |" in found["left out"]
    assert "| mug_saliency | 50.0 | 50.0 |" in found["agreement"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({}, "VIDEOS: set VIDEOS to a folder of videos"),
        ({"VIDEOS": "v"}, "DAVIS: set DAVIS to the root"),
        (
            {"VIDEOS": "v", "DAVIS": "d", "KNOWLEDGE": "x"},
            "KNOWLEDGE: there is no x; known are consensus, ",
        ),
        (
            {"VIDEOS": "v", "DAVIS": "d", "LEAVE_OUT": "x"},
            "LEAVE_OUT: there is no x; known are frame, short",
        ),
    ],
)
def test_unusable_variables_are_refused(wrong: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=f"^{message}"):
        run.settings_from(wrong, ())


def test_a_split_without_a_list_is_refused(folder: Path, pretended: Pretended) -> None:
    with pytest.raises(
        InputError, match=r"2016/no\.txt: no such list of sequences; check DAVIS and SPLIT"
    ):
        run_in(folder, SPLIT="no")


def test_the_picture_shows_maps_cells_and_masks_with_their_j(tmp_path: Path) -> None:
    ids = np.zeros((40, 80), np.uint8)
    ids[10:30, 20:60] = 1
    frames, maps, truth = (tmp_path / name for name in ("frames", "maps", "truth"))
    for folder in (frames, maps, truth):
        (folder / "bear").mkdir(parents=True)
    for k in range(4):
        Image.new("RGB", (80, 40)).save(frames / "bear" / f"{k:05d}.jpg")
        write_mask(truth / "bear" / f"{k:05d}.png", 255 * ids)
        half = ids.copy()
        half[20:] = 255  # unknown, so no foreground
        write_mask(maps / "bear" / f"{k:05d}.png", half)

    columns = [look.Column("maps", maps), look.Column("cells", maps, 4)]
    assert look.overlap(columns[0], truth, "bear", "00001") == 0.5
    assert look.mean_overlap(columns[1], truth, "bear") == pytest.approx(0.5, abs=0.1)
    foreground, unknown = look.shares(columns[1], "bear", "00000")
    assert foreground.mean() == 2 / 16
    assert unknown.mean() == 1 / 2
    image = look.picture(frames, columns, truth, ["bear"], 0.5)
    assert image.size == (3 * look.WIDTH, look.HEADER + look.HEIGHT)
    red, green, _ = image.getpixel(
        (look.WIDTH + look.WIDTH // 2, look.HEADER + 3 * look.HEIGHT // 8)
    )
    assert red > 2 * green
