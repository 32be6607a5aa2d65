"""The tables of `scripts/adaptation.sh`: from a trained network, which adversarial loss closes a
domain gap?

Gathered is what the script left in its working folder, GAP/NETWORK/SETTING/seedN. mIoU is in per
cent. A setting of each method is chosen by its mIoU on target-choose with the first seed; what is
reported is target-report, and for CamVid target-dusk, with mean and standard deviation over seeds.
Gains are differences of runs of the same seed. The share of the gap is the gain over `none` as a
part of the gain that the ceiling has, which learns from the target's labels. What the discriminator
knew is the mean over the last tenth of training. The JSON has losses and accuracies of the whole
training as `curve`, 20 means of it. Runs that differ in other options than those of the adversary
are refused.
"""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.adaptation import tried
from experiments.adaptation.training_log import curve, end_of_training, read_log
from experiments.i2v_runs import ADVERSARIAL, budget, check_alike, origin, per_cent, spread
from experiments.reports import read_json
from harness import table as markdown

CHOOSE, REPORT, DUSK = "target-choose", "target-report", "target-dusk"
ADAPTED = "statistics-train"
"""Folder below a run: its results with BatchNorm's statistics of the target's training frames.

An adversary learns from the same frames.
"""
SEGMENTED = "statistics"
"""Folder below a run: its results with the statistics of the very frames that are segmented."""
NEW_STATISTICS = {
    ADAPTED: "new statistics",
    SEGMENTED: "new statistics, of the segmented frames",
}
"""Results with new statistics, and what their rows say of them."""
PAIRS = "pairs.json"
"""File below a run: how fast discriminators learn its features (pairs.py)."""
LAYERS = "layers"
"""Folder below a run: its results with statistics of training frames in one part of it only."""
MAY_DIFFER = (*ADVERSARIAL, "discriminator_optimiser.lr", "batchnorm", "labelled", "unlabelled")

Runs = Mapping[str, Mapping[str, Any]]
"""Seed -> what one run gave."""
Networks = Mapping[str, Runs]
"""Setting -> its runs."""


def gather(folder: Path) -> dict[str, Any]:
    """Join the scores and logs of one working folder.

    Raises:
        InputError: runs that a table would compare were trained differently.
    """
    found = {
        f"{path.parent.name}, {path.name}": {
            setting.name: finished(setting) for setting in sorted(path.iterdir())
        }
        for path in sorted(folder.glob("*/*"))
        if path.name in tried.NETWORKS
    }
    for settings in found.values():
        compared = (seeds for name, seeds in settings.items() if name != "source")
        check_alike([seed / "run" for seeds in compared for seed in seeds], but=MAY_DIFFER)

    runs = [
        seed / "run" for settings in found.values() for seeds in settings.values() for seed in seeds
    ]
    experiments = {
        name: {
            setting: {seed.name: result(seed) for seed in seeds}
            for setting, seeds in settings.items()
            if seeds
        }
        for name, settings in found.items()
    }

    return {"experiments": experiments, **origin(runs)}


def finished(setting: Path) -> list[Path]:
    """The runs of a setting that were trained and judged on both domains."""
    # A list, because each seed goes through all of it.
    wanted = [f"{judged}/results.json" for judged in (CHOOSE, REPORT, "source")]
    return [
        seed
        for seed in sorted(setting.glob("seed*"))
        if all((seed / one).is_file() for one in wanted)
    ]


def result(seed: Path) -> dict[str, Any]:
    """Scores of one run on each set, in per cent, its cost, and what its discriminator knew."""
    steps = read_log(seed / "run" / "metrics.jsonl")
    scores = {"classes": per_cent(seed / REPORT / "results.json")[1], **judged(seed)}
    adapted = {kind: judged(seed / kind) for kind in NEW_STATISTICS if (seed / kind).is_dir()}
    parts = {
        part: judged(seed / LAYERS / part)
        for part in tried.PARTS
        if (seed / LAYERS / part / REPORT / "results.json").is_file()
    }
    layers = {LAYERS: parts} if parts else {}
    pairs = {"pairs": read_json(seed / PAIRS)} if (seed / PAIRS).is_file() else {}
    return {
        **scores,
        **adapted,
        **layers,
        **pairs,
        **end_of_training(steps),
        **budget(seed / "run", seed.parents[3]),
        "curve": curve(steps),
    }


def judged(folder: Path) -> dict[str, float]:
    """mIoU of each set that a folder has results of, in per cent."""
    return {path.parent.name: per_cent(path)[0] for path in sorted(folder.glob("*/results.json"))}


def choice(folder: Path, method: str) -> tried.Setting | None:
    """The setting of a method that is best on target-choose with the first seed; None before there
    is any.

    Args:
        folder: GAP/NETWORK of the working folder.
        method: its name.
    """
    scores = {}
    for setting in tried.grid(method):
        if seeds := finished(folder / setting.name):
            scores[setting] = per_cent(seeds[0] / CHOOSE / "results.json")[0]

    return max(scores, key=scores.__getitem__, default=None)


def tables(result: Mapping[str, Any]) -> dict[str, str]:
    """Tables for each gap and network: what each method comes to, how it was chosen, and single
    questions.
    """
    found = {}
    for name, settings in result["experiments"].items():
        network = name.rpartition(" ")[2]
        found[name] = f"**{name}**{trained(settings)}\n\n{methods_table(settings)}"
        if chosen := choice_table(settings):
            found[f"{name}, chosen"] = f"**{name}**, {CHOOSE}, first seed\n\n{chosen}"
        if extras := extras_table(settings, network):
            found[f"{name}, extras"] = f"**{name}**, first seed\n\n{extras}"
        if pairs := pairs_table(settings):
            found[f"{name}, pairs"] = f"**{name}**, accuracy by steps\n\n{pairs}"
        if layers := layers_table(settings):
            found[f"{name}, layers"] = f"**{name}**, the network as trained\n\n{layers}"

    return found


def trained(settings: Networks) -> str:
    """The budget after the source; the ceiling, which has other images, may take other steps."""
    rest = [name for name in settings if name not in ("source", "ceiling")]
    if not rest:
        return ""

    run = first(settings[rest[0]])
    return f", {run['epochs']} epochs, {run['steps']} steps"


def best_of(settings: Networks, method: str) -> str | None:
    """The name of the chosen setting of a method."""
    found = [one.name for one in tried.grid(method) if one.name in settings]
    return max(found, key=lambda name: first(settings[name])[CHOOSE], default=None)


def first(runs: Runs) -> Mapping[str, Any]:
    """The run of the first seed."""
    return runs[min(runs)]


def methods_table(settings: Networks) -> str:
    """A row for the source, for the source with new statistics, for each control and for the chosen
    setting of each method.
    """
    rows = []
    if source := settings.get("source"):
        rows.append(method_row("source", source, settings))
        for kind, words in NEW_STATISTICS.items():
            # These are results in their own right: what is best without any training. Only the
            # target was segmented so.
            adapted = {
                seed: {**run, "source": None, **run[kind]}
                for seed, run in source.items()
                if kind in run
            }
            if adapted:
                rows.append(method_row(f"source, {words}", adapted, settings))

    for method in (*tried.CONTROLS, *tried.ADVERSARIES):
        if name := best_of(settings, method):
            rows.append(method_row(name, settings[name], settings))

    return filled(METHOD_COLUMNS, rows)


METHOD_COLUMNS = (
    *("from the trained network", "target", "gain over none", "over mixed", "gap closed"),
    *("dusk", "source", *(f"with {words}" for words in NEW_STATISTICS.values())),
    *("D right (chance 50 %)", "seeds"),
)


def method_row(name: str, runs: Runs, settings: Networks) -> list[str]:
    """What one setting came to, a cell for each of `METHOD_COLUMNS`."""
    none, mixed, ceiling = (settings.get(control, {}) for control in ("none", "mixed", "ceiling"))
    closed = share(runs, none, ceiling) if name != "none" else ""
    report, dusk, source = (mean_of(runs.values(), judged) for judged in (REPORT, DUSK, "source"))
    gains = (
        gain(runs, none) if name != "none" else "",
        gain(runs, mixed) if name != "mixed" else "",
    )

    # The source has rows of its own with them.
    adapted = ["" for _ in NEW_STATISTICS]
    if not name.startswith("source"):
        adapted = [with_statistics(runs, kind) for kind in NEW_STATISTICS]

    counted = str(len(runs))
    return [name, report, *gains, closed, dusk, source, *adapted, known(runs), counted]


def with_statistics(runs: Runs, kind: str) -> str:
    """mIoU with new statistics, and of how many seeds, if not of all."""
    found = [run[kind] for run in runs.values() if kind in run]
    said = mean_of(found, REPORT)
    return said if len(found) in (0, len(runs)) else f"{said} (of {len(found)})"


def mean_of(runs: Iterable[Mapping[str, Any]], judged: str) -> str:
    """Mean and deviation of those runs that were evaluated on a set; empty if none was."""
    values = [run[judged] for run in runs if run.get(judged) is not None]
    return spread(values) if values else ""


def filled(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table without the columns in which no row has anything."""
    kept = [place for place in range(len(columns)) if any(row[place] for row in rows)]
    header = [columns[place] for place in kept]
    return markdown(header, [[row[place] for place in kept] for row in rows])


def choice_table(settings: Networks) -> str:
    """mIoU on target-choose of all settings among which one was chosen, the chosen one in bold;
    empty if no method had a choice.
    """
    columns = [(mu, ramp) for ramp in tried.SCHEDULES.values() for mu in tried.MUS]
    rows = []
    for method in tried.ADVERSARIES:
        best = best_of(settings, method)
        if best is None:
            continue

        cells = []
        for setting in tried.grid(method):
            runs = settings.get(setting.name)
            cell = f"{first(runs)[CHOOSE]:.1f}" if runs else ""
            cells.append(f"**{cell}**" if setting.name == best else cell)

        rows.append([method, *cells])

    # A method that was run with one setting only, such as with a better start, has no choice.
    if all(sum(cell != "" for cell in cells) < 2 for _, *cells in rows):
        return ""

    return markdown(["method", *(f"mu {mu}{', ramp' * ramp}" for mu, ramp in columns)], rows)


def extras_table(settings: Networks, network: str) -> str:
    """A row for each setting that answers a question of its own; empty where none was run."""
    names = [setting.name for setting in tried.extras(network) if setting.name in settings]
    if network == "swin" and names:
        names = sorted([*names, *(name for name in ("clustered-mu1",) if name in settings)])

    rows = [method_row(name, {"seed0": first(settings[name])}, settings) for name in names]
    return filled(METHOD_COLUMNS, rows) if rows else ""


def layers_table(settings: Networks) -> str:
    """mIoU of the source with statistics of the target's training frames in no part, in each part,
    and everywhere; empty where it was not measured.
    """
    source = first(settings["source"]) if "source" in settings else {}
    if LAYERS not in source or ADAPTED not in source:
        return ""

    parts = {"none": source, **source[LAYERS], "all": source[ADAPTED]}
    rows = [
        [
            domain,
            *(f"{scores[domain]:.1f}" if domain in scores else "" for scores in parts.values()),
        ]
        for domain in (CHOOSE, REPORT, DUSK)
        if domain in source
    ]

    return markdown(["new statistics in", *parts], rows)


def pairs_table(settings: Networks) -> str:
    """How often fresh discriminators are right on the source's features, by learning rate and
    steps; empty where it was not measured.
    """
    source = first(settings["source"]) if "source" in settings else {}
    measured = source.get("pairs", [])
    if not measured:
        return ""

    steps = list(measured[0]["accuracy"])
    rows = [
        [
            row["discriminator"],
            str(row["rate"]),
            *(f"{100 * row['accuracy'][n]:.0f} %" for n in steps),
        ]
        for row in measured
    ]

    return markdown(["discriminator", "rate", *(f"{n} steps" for n in steps)], rows)


def gain(runs: Runs, others: Runs) -> str:
    """Mean and deviation of the differences to the runs of the same seeds, and in how many seeds
    there is a gain.
    """
    differences = [
        one[REPORT] - others[seed][REPORT] for seed, one in runs.items() if seed in others
    ]
    if not differences:
        return ""

    won = sum(difference > 0 for difference in differences)
    return f"{spread(differences, '+')} ({won}/{len(differences)})"


def share(runs: Runs, none: Runs, ceiling: Runs) -> str:
    """How much of the gap between none and the ceiling is closed, by means over seeds."""
    if not (runs and none and ceiling):
        return ""

    mean, low, high = (
        statistics.fmean(run[REPORT] for run in those.values()) for those in (runs, none, ceiling)
    )
    return f"{100 * (mean - low) / (high - low):.0f} %" if high > low else "no gap"


def known(runs: Runs) -> str:
    """How often the discriminator was right at the end, by kind of feature or pair."""
    kinds = [name for name in first(runs) if name.startswith("accuracy_")]
    means = {name.partition("_")[2]: mean(run.get(name) for run in runs.values()) for name in kinds}
    return ", ".join(
        f"{kind} {100 * value:.0f} %" for kind, value in means.items() if value is not None
    )


def mean(values: Iterable[float | None]) -> float | None:
    """The mean of those that there are."""
    there: Sequence[float] = [value for value in values if value is not None]
    return statistics.fmean(there) if there else None
