"""What a training log tells of the discriminator: at the end, and as a curve."""

import itertools
import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

TOLD = (
    "segmentation",
    "adversarial",
    "chance",
    "accuracy",
    "clusters_used",
    "coverage",
    "domain_mix",
)
OF_PAIRS = ("adversarial", "accuracy")
POINTS = 20

Step = Mapping[str, float]


def read_log(path: Path) -> list[Step]:
    """The steps of a metrics.jsonl."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def end_of_training(steps: Sequence[Step]) -> dict[str, float | None]:
    """Means over the last tenth, and the share of all steps in which no pair could be drawn."""
    return {**means(steps[-max(1, len(steps) // 10) :]), **without_pairs(steps)}


def means(steps: Sequence[Step]) -> dict[str, float | None]:
    """Means of what is told of training; of losses and accuracies where no pair could be drawn
    None.
    """
    judged = [step for step in steps if step.get("clusters_used", 1)]
    among = {
        name: judged if name.startswith(OF_PAIRS) else steps
        for name in steps[-1]
        if name.startswith(TOLD)
    }

    return {
        name: statistics.fmean(one[name] for one in those) if those else None
        for name, those in among.items()
    }


def without_pairs(steps: Sequence[Step]) -> dict[str, float | None]:
    """The share of all steps in which no pair could be drawn; nothing without clusters."""
    used = [step["clusters_used"] for step in steps if "clusters_used" in step]
    return {"without_pairs": used.count(0) / len(used)} if used else {}


def curve(steps: Sequence[Step]) -> dict[str, list[float | None]]:
    """Means of losses and accuracies over stretches of training, and the last step of each
    stretch.
    """
    ends = [len(steps) * point // POINTS for point in range(POINTS + 1)]
    stretches = [steps[first:last] for first, last in itertools.pairwise(ends) if first < last]
    points = [{"step": stretch[-1]["step"], **means(stretch)} for stretch in stretches]
    names = [name for name in points[0] if name.startswith(("step", "segmentation", *OF_PAIRS))]

    return {name: [rounded(point[name]) for point in points] for name in names}


def rounded(value: float | None) -> float | None:
    """To what a curve needs."""
    return None if value is None else round(value, 4)
