"""The table of `scripts/mug_dev.sh`: first foreground maps against MuG after each round, with and without CRF.

    python benchmarks/mug_dev.py runs/mug_dev [FILE.json]

reads what the script left in its working folder and prints a Markdown table beside the paper's figures (Lu et al., CVPR
2020, Tables 1 and 3, on the whole of DAVIS-2016 val) and, as the last line, one JSON object; the JSON is also written
to runs/mug_dev/mug_dev.json, and to FILE.json where one is named.
Transductive: trained with the frames of the judged sequences too, unlabelled. saliency_mean and cam_mean: the mean of
all maps as the mask of every frame. Equal area: without CRF, each frame's mask as large as the training maps are on
average, as the mean map's is. Agreement tells what a network has learned of its maps: mean IoU of its masks after the
first round, without CRF, with the first maps, on the frames it was trained with and on the judged ones.
"""

import json
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from densevos.base.files import write_json
from densevos.base.masks import read_mask

PAPER = {
    "saliency": 37.2,
    "cam": 45.3,
    "mug_round1": 50.8,
    "mug_round2": 58.0,
    "mug_round2_no_crf": 55.3,
    "mug_cam_round1": 54.9,
    "mug_cam_round2": 61.2,
    "mug_cam_round2_no_crf": 58.7,
    "mug_without_frame_round2": 40.2,
    "mug_without_short_round2": 51.3,
    "mug_without_long_round2": 52.8,
    "mug_without_video_round2": 56.4,
    "one_shot": 63.1,
    "one_shot_cam": 65.7,
}


def main(folder: Path, *copies: Path) -> None:
    """Join the scores and runs of one working folder; write them into it, and to `copies`."""
    rows = {name: scores(path) for name, path in results(folder) if path.is_file()}
    runs = {path.parent.name: run(path.parent) for path in sorted(folder.glob("mug_*/encoder.json"))}
    provenance = json.loads(min(folder.glob("mug_*/provenance.json")).read_text(encoding="utf-8"))
    made = {key: provenance[key] for key in ("machine", "versions", "git_commit")}
    learned = {name: agreements(folder, name) for name in runs}
    print(table(rows), agreement_table(learned), sep="\n\n")
    result = {**rows, "runs": runs, "agreement": learned, **made}
    for path in (folder / "mug_dev.json", *copies):
        write_json(path, result)
    print(json.dumps(result))


def results(folder: Path) -> Iterator[tuple[str, Path]]:
    """Names of rows, and where their results.json would lie. What began with saliency maps is named without it."""
    for kind, of in (("saliency", ""), ("cam", "_cam")):
        yield kind, folder / kind / "results.json"
        yield f"{kind}_no_crf", folder / f"{kind}_no_crf" / "results.json"
        yield f"{kind}_mean", folder / f"{kind}_mean" / "results.json"
        yield from zero_shot(folder, f"mug_{kind}", f"mug{of}")
        yield f"one_shot{of}", folder / f"mug_{kind}_one_shot_mug" / "results.json"
        yield f"one_shot_release{of}", folder / f"mug_{kind}_one_shot_mug-release" / "results.json"
        yield from zero_shot(folder, f"mug_transductive_{kind}", f"mug_transductive{of}")
    for left_out in ("frame", "short", "long", "video"):
        yield from zero_shot(folder, *[f"mug_without_{left_out}"] * 2)


def zero_shot(folder: Path, run: str, name: str) -> Iterator[tuple[str, Path]]:
    """The rows of one run."""
    for number in (1, 2):
        masks = folder / f"{run}_round{number}"
        yield f"{name}_round{number}", masks / "results.json"
        yield f"{name}_round{number}_no_crf", masks / "no-crf" / "results.json"
        yield f"{name}_round{number}_equal_area", masks / "equal-area" / "results.json"


def scores(path: Path) -> dict[str, Any]:
    """Mean J and F in percent, T where it was scored, and J of each sequence."""
    found = json.loads(path.read_text(encoding="utf-8"))
    sequences = {name: round(100 * row["J-Mean"], 1) for name, row in found["sequences"].items()}
    overall = found["overall"]
    means = {key: round(100 * overall[f"{key}-Mean"], 2) for key in "JFT" if overall.get(f"{key}-Mean") is not None}
    return {**means, "J_sequences": sequences}


def run(folder: Path) -> dict[str, Any]:
    """What a training run took, and its last line of the log."""
    training = json.loads((folder / "encoder.json").read_text(encoding="utf-8"))["training"]
    last = {
        log.parent.name: json.loads(log.read_text(encoding="utf-8").splitlines()[-1])
        for log in sorted(folder.glob("round*/metrics.jsonl"))
    }
    where = {key: Path(value).name for key, value in training["config"].items() if key in ("data", "foreground")}
    kept = {name: training.get(name) for name in ("git_commit", "steps", "videos")}
    kept["config"] = {**training["config"], **where}
    return {**kept, "train_minutes": round(training["seconds"] / 60, 1), "last": last}


def agreements(folder: Path, name: str) -> dict[str, float]:
    """Agreement of one run's first round with its maps on training frames, and with such maps on judged ones."""
    kind = "cam" if name.endswith("_cam") else "saliency"
    first = folder / f"maps_{name.removeprefix('mug_')}"
    first = first if first.is_dir() else folder / f"maps_{kind}"
    trained = agreement(folder / name / "round1" / "maps", first)
    return {"trained": trained, "judged": agreement(folder / f"{name}_round1" / "no-crf", folder / kind)}


def agreement(masks: Path, others: Path) -> float:
    """Mean over frames VIDEO/FRAME.png of the foreground's IoU where both know, in percent; two empty masks agree."""
    shared = [(path, others / path.relative_to(masks)) for path in sorted(masks.glob("*/*.png"))]
    pairs = [(read_mask(one), read_mask(other)) for one, other in shared if other.is_file()]
    return round(100 * statistics.fmean(iou((a == 1)[b < 255], (b == 1)[b < 255]) for a, b in pairs), 1)


def iou(first: np.ndarray, second: np.ndarray) -> float:
    """Intersection over union of two boolean arrays; 1 when both are empty."""
    union = np.count_nonzero(first | second)
    return np.count_nonzero(first & second) / union if union else 1.0


def agreement_table(learned: dict[str, dict[str, float]]) -> str:
    """Markdown, in percent."""
    lines = ["| IoU with the first maps | trained frames | judged frames |", "|---|---|---|"]
    lines += [f"| {name} | {row['trained']:.1f} | {row['judged']:.1f} |" for name, row in learned.items()]
    return "\n".join(lines)


def table(rows: dict[str, dict[str, Any]]) -> str:
    """Markdown, in percent."""
    lines = ["| masks | J | F | T | J of the paper |", "|---|---|---|---|---|"]
    for name, row in rows.items():
        figures = [f"{row[key]:.1f}" if key in row else "" for key in "JFT"]
        lines.append(f"| {name} | {' | '.join(figures)} | {PAPER.get(name, '')} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
