"""The tables of `scripts/mug_dev.sh`: first foreground maps against MuG after each round.

The JSON has the scores that the script left in its working folder. The tables show the paper's
figures beside (Lu et al., CVPR 2020, Tables 1 and 3, on all of DAVIS-2016 val). J, F and T are in
per cent. Words of the rows:

* transductive: trained with the frames of the evaluated sequences too, without labels;
* mean (saliency_mean, cam_mean): the mean of all maps as the mask of every frame;
* equal area: without CRF, each frame's mask as large as the training maps are on average, as the
  mean map's is;
* agreement: how well a network has learned its maps. It is the mean IoU of its masks after the
  first round, without CRF, with the first maps, on training frames and on evaluated frames.
"""

import json
import statistics
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from densevos.base.masks import read_mask
from experiments.reports import read_json
from harness import table

# Shapes: masks and maps are [H,W] uint8: 0 background, 1 foreground, 255 what a map does not know.

OTHER_OPTIONS = Path(__file__).with_name("transductive.json")
"""Transductive runs with other options than those of the script, run by hand."""
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


KINDS = {"consensus": "_consensus", "saliency": "", "cam": "_cam"}
"""Kinds of first maps, and what the names of their rows end in."""
ROWS = {
    "first maps, CRF": "{kind}",
    "first maps, no CRF": "{kind}_no_crf",
    "mean of the training maps, the same for every frame": "{kind}_mean",
    "MuG round 1, no CRF": "mug{of}_round1_no_crf",
    "MuG round 1, CRF": "mug{of}_round1",
    "MuG round 2, no CRF": "mug{of}_round2_no_crf",
    "MuG round 2, CRF": "mug{of}_round2",
    "MuG round 1, no CRF, at the area of the maps": "mug{of}_round1_equal_area",
    "MuG round 2, no CRF, at the area of the maps": "mug{of}_round2_equal_area",
    "one-shot, preset `mug` (previous frame)": "one_shot{of}",
    "one-shot, preset `mug-release` (first + previous, top 5)": "one_shot_release{of}",
}
"""Rows of the first table: what they show, and their names in the result."""
TRANSDUCTIVE = {
    "first maps": "{kind}",
    "round 1": "mug_transductive{of}_round1",
    "round 2": "mug_transductive{of}_round2",
    "round 2, `--relabel-crf`": "mug_transductive{of}_round2_relabel_crf",
    "round 1 of 1,500 steps (`--loop.epochs 150`, 57.7 minutes)": (
        "mug_transductive{of}_round1_1500_steps"
    ),
}
LEFT_OUT = ("frame", "short", "long", "video")


def gather(folder: Path) -> dict[str, Any]:
    """Join the scores and runs of one working folder."""
    # Rows that were not run have no file, and no line in a table.
    rows, runs, learned = {}, {}, {}
    for name, path in results(folder):
        if path.is_file():
            rows[name] = scores(path)

    for card in sorted(folder.glob("mug_*/encoder.json")):
        name = card.parent.name
        runs[name] = run(card.parent)
        learned[name] = agreements(folder, name)

    # All runs are of one machine and commit; the first one stands for all.
    provenance = read_json(min(folder.glob("mug_*/provenance.json")))
    made = {key: provenance[key] for key in ("machine", "versions", "git_commit")}
    return {**rows, "runs": runs, "agreement": learned, **made}


def results(folder: Path) -> Iterator[tuple[str, Path]]:
    """Names of all rows, and where their results.json would lie.

    Rows that come from saliency maps do not have `saliency` in their names.
    """
    for kind, of in KINDS.items():
        yield kind, folder / kind / "results.json"
        yield f"{kind}_no_crf", folder / f"{kind}_no_crf" / "results.json"
        yield f"{kind}_mean", folder / f"{kind}_mean" / "results.json"
        yield from zero_shot(folder, f"mug_{kind}", f"mug{of}")

        yield f"one_shot{of}", folder / f"mug_{kind}_one_shot_mug" / "results.json"
        one_shot_release = folder / f"mug_{kind}_one_shot_mug-release"
        yield f"one_shot_release{of}", one_shot_release / "results.json"
        yield from zero_shot(folder, f"mug_transductive_{kind}", f"mug_transductive{of}")

    for left_out in LEFT_OUT:
        name = f"mug_without_{left_out}"
        yield from zero_shot(folder, name, name)


def zero_shot(folder: Path, run: str, name: str) -> Iterator[tuple[str, Path]]:
    """The rows of one run."""
    for number in (1, 2):
        masks = folder / f"{run}_round{number}"
        yield f"{name}_round{number}", masks / "results.json"
        yield f"{name}_round{number}_no_crf", masks / "no-crf" / "results.json"
        yield f"{name}_round{number}_equal_area", masks / "equal-area" / "results.json"


def scores(path: Path) -> dict[str, Any]:
    """Mean J and F in per cent, T where it was scored, and J of each sequence."""
    result = read_json(path)

    means = {}
    for measure in "JFT":
        mean = result["overall"].get(f"{measure}-Mean")
        if mean is not None:
            means[measure] = round(100 * mean, 2)

    sequences = {name: round(100 * row["J-Mean"], 1) for name, row in result["sequences"].items()}
    return {**means, "J_sequences": sequences}


def run(folder: Path) -> dict[str, Any]:
    """How long a training run took, its configuration, and the last line of each round's log."""
    # The last line has the losses at the end of a round.
    last = {}
    for log in sorted(folder.glob("round*/metrics.jsonl")):
        lines = log.read_text(encoding="utf-8").splitlines()
        last[log.parent.name] = json.loads(lines[-1])

    # Folders lie elsewhere on every machine; their names are enough.
    training = read_json(folder / "encoder.json")["training"]
    config = dict(training["config"])
    for key in ("data", "foreground"):
        if key in config:
            config[key] = Path(config[key]).name

    return {
        "git_commit": training.get("git_commit"),
        "steps": training.get("steps"),
        "videos": training.get("videos"),
        "config": config,
        "train_minutes": round(training["seconds"] / 60, 1),
        "last": last,
    }


def agreements(folder: Path, name: str) -> dict[str, float]:
    """Agreement of a run's first round with its first maps.

    Returns:
        `trained`: on the frames it was trained with. `judged`: on the evaluated frames.
    """
    # A run without a kind in its name, as mug_without_frame, is compared with saliency maps.
    kind = "saliency"
    for other in KINDS:
        if name.endswith(f"_{other}"):
            kind = other

    # Transductive runs have maps of their own, those of more videos.
    first = folder / f"maps_{name.removeprefix('mug_')}"
    if not first.is_dir():
        first = folder / f"maps_{kind}"

    return {
        "trained": agreement(folder / name / "round1" / "maps", first),
        "judged": agreement(folder / f"{name}_round1" / "no-crf", folder / kind),
    }


def agreement(masks: Path, others: Path) -> float:
    """Mean IoU of the foreground over the frames VIDEO/FRAME.png that both folders have.

    Pixels that the other folder does not know are left out; two empty masks agree.

    Returns:
        Per cent.
    """
    ious = []
    for path in sorted(masks.glob("*/*.png")):
        other = others / path.relative_to(masks)
        if other.is_file():
            mine, theirs = sized_alike(read_mask(path), read_mask(other))
            is_certain = theirs < 255
            ious.append(iou((mine == 1)[is_certain], (theirs == 1)[is_certain]))

    return round(100 * statistics.fmean(ious), 1)


def sized_alike(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two masks, the second resized (nearest) to the first.

    Maps may have been made of larger frames than masks.
    """
    if first.shape == second.shape:
        return first, second

    height, width = first.shape
    resized = Image.fromarray(second).resize((width, height), Image.Resampling.NEAREST)
    return first, np.asarray(resized)


def iou(first: np.ndarray, second: np.ndarray) -> float:
    """Intersection over union of two boolean arrays; 1 when both are empty."""
    union = np.count_nonzero(first | second)
    return np.count_nonzero(first & second) / union if union else 1.0


def tables(result: Mapping[str, Any]) -> dict[str, str]:
    """The tables of what was run.

    `maps and rounds` and, for each kind of maps, `transductive KIND` have J (F, T) in per cent.
    `left out` has J of runs without one granularity. `agreement` has IoU with the first maps.
    """
    shown = {"maps and rounds": rounds_table(result)}
    for kind, of in KINDS.items():
        rounds = (f"mug_transductive{of}_round1", f"mug_transductive{of}_round2")
        if any(name in result for name in rounds):
            with_others = {**result, **read_json(OTHER_OPTIONS)}
            shown[f"transductive {kind}"] = transductive_table(with_others, kind, of)

    if any(f"mug_without_{name}_round2" in result for name in LEFT_OUT):
        shown["left out"] = left_out_table(result)

    shown["agreement"] = agreement_table(result["agreement"])
    return shown


def rounds_table(result: Mapping[str, Any]) -> str:
    """First maps, both rounds and one-shot propagation, for each kind of maps that was used."""
    kinds = {kind: of for kind, of in KINDS.items() if kind in result}

    # The paper's figures stand beside the kinds of maps that it has.
    header = ["J (F, T)"]
    for kind in kinds:
        header.append(title(kind))
        if kind in PAPER:
            header.append("paper")

    rows = []
    for label, pattern in ROWS.items():
        row = [label]
        for kind, of in kinds.items():
            name = pattern.format(kind=kind, of=of)
            row.append(figures(result, name))
            if kind in PAPER:
                row.append(published(name))

        rows.append(row)

    return table(header, rows)


def title(kind: str) -> str:
    """The name of a kind of maps in a table."""
    return "CAM" if kind == "cam" else kind


def transductive_table(result: Mapping[str, Any], kind: str, of: str) -> str:
    """Training with the evaluated frames: first maps and rounds, without and with the CRF."""
    rows = []
    for label, pattern in TRANSDUCTIVE.items():
        name = pattern.format(kind=kind, of=of)
        if name in result:
            rows.append([label, figures(result, f"{name}_no_crf"), figures(result, name)])

    return table([f"transductive, {title(kind)}: J (F, T)", "no CRF", "CRF"], rows)


def left_out_table(result: Mapping[str, Any]) -> str:
    """Both rounds of training without one granularity."""
    rows = []
    for name in LEFT_OUT:
        rounds = [f"mug_without_{name}_round{number}" for number in (1, 2)]
        rows.append([name, *(figures(result, key) for key in rounds), published(rounds[1])])

    return table(["without: J (F, T)", "round 1", "round 2", "paper"], rows)


def figures(result: Mapping[str, Any], name: str) -> str:
    """J (F, T) of one row, T where it was scored; nothing of a row that was not run."""
    if name not in result:
        return ""

    row = result[name]
    # With both digits that the result has: rounding a rounded value may give another digit.
    others = ", ".join(f"{row[key]:.2f}" for key in "FT" if key in row)
    return f"{row['J']:.2f} ({others})"


def published(name: str) -> str:
    """J of the paper; nothing where it has none."""
    return str(PAPER.get(name, ""))


def agreement_table(learned: Mapping[str, Mapping[str, float]]) -> str:
    """IoU of each run's first masks with its first maps, in per cent."""
    rows = []
    for name, row in learned.items():
        rows.append([name, f"{row['trained']:.1f}", f"{row['judged']:.1f}"])

    return table(["IoU with the first maps", "training frames", "evaluated frames"], rows)
