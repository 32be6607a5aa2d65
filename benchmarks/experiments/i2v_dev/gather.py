"""The tables of `scripts/i2v_dev.sh`: does the adversarial loss close a domain gap, with which loss and placement?

Gathered is what the script left in its working folder, EXPERIMENT/NETWORK/METHOD/seedN: a table for each experiment and
network. mIoU is in per cent, mean and standard deviation over seeds; gains are differences of
runs of the same seed on the target, and in how many seeds there is one: over none, and over mixed, which trains on both
domains with mu = 0. What the discriminator knew is the mean over the last tenth of training: its loss beside that of
one that knows nothing, how often it was right, for each kind of feature or pair, and of the clusters how many could
be used, with their share of all features. Steps in which no pair could be drawn have no such loss and do not count. The
JSON has losses and accuracies over the whole training as `curve`, 20 means of it. A table of runs that differ in
other options than those of the adversary is refused.
"""

import itertools
import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.i2v_runs import ADVERSARIAL, budget, check_alike, origin, per_cent, spread
from harness import table as markdown

METHODS = ("none", "mixed", "global", "spatial", "clustered")
JUDGED = ("target", "source")
TOLD = ("segmentation", "adversarial", "chance", "accuracy", "clusters_used", "coverage", "domain_mix")
OF_PAIRS = ("adversarial", "accuracy")
POINTS = 20

Methods = Mapping[str, Mapping[str, Any]]


def gather(folder: Path) -> dict[str, Any]:
    """Join the scores and logs of one working folder.

    Raises:
        InputError: runs that a table would compare were trained differently.
    """
    found = {
        f"{path.parent.name}, {path.name}": {
            method: [seed for seed in sorted((path / method).glob("seed*")) if finished(seed)] for method in METHODS
        }
        for path in sorted(folder.glob("*/*"))
        if any((path / method).is_dir() for method in METHODS)
    }
    runs = [seed / "run" for methods in found.values() for seeds in methods.values() for seed in seeds]
    for methods in found.values():
        check_budgets(methods)
    experiments = {
        name: {method: {seed.name: result(seed) for seed in seeds} for method, seeds in methods.items()}
        for name, methods in found.items()
    }
    return {"experiments": experiments, **origin(runs)}


def tables(result: Mapping[str, Any]) -> dict[str, str]:
    """A table for each experiment and network, such as "camvid, cnn"."""
    return {
        name: f"**{name}**{trained(methods)}\n\n{table(methods)}" for name, methods in result["experiments"].items()
    }


def finished(seed: Path) -> bool:
    """Whether a run was trained and judged on both domains."""
    return all((seed / judged / "results.json").is_file() for judged in JUDGED)


def check_budgets(methods: Mapping[str, Sequence[Path]]) -> None:
    """Raise InputError unless seeds differ in nothing, and methods in nothing but the adversary."""
    for seeds in methods.values():
        check_alike([seed / "run" for seed in seeds])
    check_alike([seed / "run" for seeds in methods.values() for seed in seeds], but=ADVERSARIAL)


def result(seed: Path) -> dict[str, Any]:
    """Scores of one run on both domains, in per cent, its cost, and what its discriminator knew."""
    scores: dict[str, Any] = {}
    for judged in JUDGED:
        scores[judged], scores[f"{judged} classes"] = per_cent(seed / judged / "results.json")
    log = (seed / "run" / "metrics.jsonl").read_text(encoding="utf-8")
    steps = [json.loads(line) for line in log.splitlines()]
    end = means(steps[-max(1, len(steps) // 10) :])
    return {**scores, **end, **without_pairs(steps), **budget(seed / "run"), "curve": curve(steps)}


def means(steps: Sequence[Mapping[str, float]]) -> dict[str, float | None]:
    """Means of what is told of training; of losses and accuracies where no pair could be drawn None."""
    judged = [step for step in steps if step.get("clusters_used", 1)]
    among = {name: judged if name.startswith(OF_PAIRS) else steps for name in steps[-1] if name.startswith(TOLD)}
    return {name: statistics.fmean(one[name] for one in those) if those else None for name, those in among.items()}


def without_pairs(steps: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The share of all steps in which no pair could be drawn; nothing without clusters."""
    used = [step["clusters_used"] for step in steps if "clusters_used" in step]
    return {"without_pairs": used.count(0) / len(used)} if used else {}


def curve(steps: Sequence[Mapping[str, float]]) -> dict[str, list[float | None]]:
    """Means of losses and accuracies over stretches of training, and the last step of each stretch."""
    ends = [len(steps) * point // POINTS for point in range(POINTS + 1)]
    stretches = [steps[first:last] for first, last in itertools.pairwise(ends) if first < last]
    points = [{"step": stretch[-1]["step"], **means(stretch)} for stretch in stretches]
    names = [name for name in points[0] if name.startswith(("step", "segmentation", *OF_PAIRS))]
    return {name: [rounded(point[name]) for point in points] for name in names}


def rounded(value: float | None) -> float | None:
    """To what a curve needs."""
    return None if value is None else round(value, 4)


def trained(methods: Methods) -> str:
    """The budget, which is one."""
    runs = [run for seeds in methods.values() for run in seeds.values()]
    return f", {runs[0]['epochs']} epochs, {runs[0]['steps']} steps" if runs else ", no run is finished"


def table(methods: Methods) -> str:
    """Markdown: a row for each method."""
    controls = [control for control in METHODS[:2] if methods[control]]
    names = ["method", "target mIoU", *(f"gain over {control}" for control in controls), "source mIoU"]
    names += ["D loss (chance)", "D right", "clusters used (features)", "seeds"]
    rows = []
    for method, runs in methods.items():
        if not runs:
            continue
        gains = [gain(runs, methods[control]) if control != method else "" for control in controls]
        target, source = (spread([run[judged] for run in runs.values()]) for judged in JUDGED)
        rows.append([method, target, *gains, source, *discriminator(list(runs.values())), str(len(runs))])
    return markdown(names, rows)


def gain(runs: Mapping[str, Any], others: Mapping[str, Any]) -> str:
    """Mean and deviation of the differences to the runs of the same seeds, and in how many seeds there is a gain."""
    differences = [one["target"] - others[seed]["target"] for seed, one in runs.items() if seed in others]
    if not differences:
        return ""
    won = sum(difference > 0 for difference in differences)
    return f"{spread(differences, '+')} ({won}/{len(differences)})"


def discriminator(runs: Sequence[Mapping[str, Any]]) -> tuple[str, str, str]:
    """Loss with chance, accuracies by kind, and clusters; empty without a discriminator."""
    if "adversarial" not in runs[0]:
        return "", "", ""
    means = {name: mean_of(runs, name) for name in runs[0] if name.startswith((*TOLD, "without_pairs"))}
    if means["adversarial"] is None:
        return "no pairs", "", clusters(means)
    kinds = {name.partition("_")[2]: share for name, share in means.items() if name.startswith("accuracy_")}
    right = ", ".join(f"{kind} {100 * share:.0f} %" for kind, share in kinds.items() if share is not None)
    return f"{means['adversarial']:.3f} ({means['chance']:.3f})", right, clusters(means)


def mean_of(runs: Sequence[Mapping[str, Any]], name: str) -> float | None:
    """The mean over those runs that have this number."""
    values = [run[name] for run in runs if run.get(name) is not None]
    return statistics.fmean(values) if values else None


def clusters(means: Mapping[str, float | None]) -> str:
    """How many were used, with their share of features; and how often none was, if ever."""
    used, covered, idle = (means.get(name) for name in ("clusters_used", "coverage", "without_pairs"))
    if used is None or covered is None:
        return ""
    return f"{used:.1f} ({100 * covered:.0f} %)" + (f", none in {100 * idle:.1f} % of steps" if idle else "")
