"""The tables of `scripts/i2v_dev.sh`: does the adversarial loss close a domain gap, with which loss and placement?

    python benchmarks/i2v_dev.py runs/i2v_dev

reads what the script left in its working folder, EXPERIMENT/NETWORK/METHOD/seedN, and prints a Markdown table for
each experiment and network and, as the last line, one JSON object; the JSON is also written to
benchmarks/results/i2v_dev.json. mIoU is in per cent, mean and standard deviation over seeds. What the discriminator
knew is the mean over the last tenth of training: its loss beside that of one that knows nothing, and how often it was
right, for each kind of feature or pair.
"""

import json
import statistics
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from densevos.files import write_json

RESULT = Path(__file__).resolve().parent / "results" / "i2v_dev.json"
METHODS = ("none", "global", "spatial", "clustered")
JUDGED = ("target", "source")


def main(folder: Path, result: Path = RESULT) -> None:
    """Join the scores and logs of one working folder."""
    experiments = {
        f"{path.parent.name}, {path.name}": {
            method: {seed.name: run(seed) for seed in sorted((path / method).glob("seed*")) if finished(seed)}
            for method in METHODS
        }
        for path in sorted(folder.glob("*/*"))
        if any((path / method).is_dir() for method in METHODS)
    }
    for name, methods in experiments.items():
        print(f"**{name}**\n\n{table(methods)}\n")
    made = [read(path) for path in sorted(folder.glob("*/*/*/seed*/run/provenance.json"))]
    keys = ("machine", "versions", "git_commit")
    joined = {"experiments": experiments, **({key: made[0].get(key) for key in keys} if made else {})}
    write_json(result, joined)
    print(json.dumps(joined))


def finished(seed: Path) -> bool:
    """Whether a run was trained and judged on both domains."""
    return all((seed / judged / "results.json").is_file() for judged in JUDGED)


def run(seed: Path) -> dict[str, Any]:
    """Scores of one run on both domains, in per cent, and what its discriminator knew at the end."""
    scores: dict[str, Any] = {}
    for judged in JUDGED:
        results = read(seed / judged / "results.json")
        scores[judged] = 100 * results["overall"]["mIoU"]
        scores[f"{judged} classes"] = {
            name: None if one["IoU"] is None else 100 * one["IoU"] for name, one in results["classes"].items()
        }
    return {**scores, **last_tenth(seed / "run" / "metrics.jsonl"), **cost(seed / "run")}


def cost(folder: Path) -> dict[str, Any]:
    """Steps and minutes of one run."""
    card = read(folder / "model.json")["training"]
    return {"steps": card["steps"], "minutes": round(card["seconds"] / 60, 2)}


def last_tenth(log: Path) -> dict[str, float]:
    """Means of the logged numbers over the last tenth of a metrics.jsonl; of the discriminator's, where it has any."""
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    end = lines[-max(1, len(lines) // 10) :]
    return {name: statistics.fmean(line[name] for line in end if name in line) for name in wanted(end[-1])}


def wanted(names: Iterable[str]) -> list[str]:
    """What is told of training."""
    told = ("segmentation", "adversarial", "chance", "accuracy", "clusters_used", "coverage", "domain_mix")
    return [name for name in names if name.startswith(told)]


def table(methods: Mapping[str, Mapping[str, Any]]) -> str:
    """Markdown: a row for each method, gains over none of the same seeds."""
    lines = [
        "| method | target mIoU | gain | source mIoU | D loss (chance) | D right | seeds |",
        "|---" * 7 + "|",
    ]
    for method, runs in methods.items():
        if not runs:
            continue
        cells = [
            method,
            spread([one["target"] for one in runs.values()]),
            gain(runs, methods["none"]) if method != "none" else "",
            spread([one["source"] for one in runs.values()]),
            *discriminator(list(runs.values())),
            str(len(runs)),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def spread(values: Sequence[float]) -> str:
    """Mean and standard deviation."""
    deviation = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.2f}{deviation}"


def gain(runs: Mapping[str, Any], others: Mapping[str, Any]) -> str:
    """Mean and deviation of the differences to the runs of the same seeds, and in how many seeds there is a gain."""
    differences = [one["target"] - others[seed]["target"] for seed, one in runs.items() if seed in others]
    if not differences:
        return ""
    mean, *deviation = spread(differences).split(" ± ")
    won = sum(difference > 0 for difference in differences)
    return f"{float(mean):+.2f}{''.join(f' ± {d}' for d in deviation)} ({won}/{len(differences)})"


def discriminator(runs: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """Loss with chance, and accuracies by kind; empty without a discriminator."""
    if "adversarial" not in runs[0]:
        return "", ""
    means = {name: statistics.fmean(one[name] for one in runs) for name in wanted(runs[0])}
    kinds = {name.partition("_")[2]: share for name, share in means.items() if name.startswith("accuracy_")}
    right = ", ".join(f"{kind} {100 * share:.0f} %" for kind, share in kinds.items())
    return f"{means['adversarial']:.3f} ({means['chance']:.3f})", right


def read(path: Path) -> Any:
    """One JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
