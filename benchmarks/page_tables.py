"""The tables of the speed benchmarks: the scripts print them, and the result pages show them.

Each function makes one Markdown table of the JSON that a script writes. Nothing here imports torch,
so that pages are written without it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gpu_figures
from harness import table

Figures = Mapping[str, Any]
"""The JSON of one run of a script."""
TableMaker = Callable[[Any], str]


@dataclass(frozen=True, kw_only=True)
class PageTable:
    """One table of a page.

    Args:
        result: name of the JSON file in results/ that it shows, without .json.
        make: makes the Markdown of that JSON.
        before: stands for the JSON while nobody has run the script; None if there must be one.
    """

    result: str
    make: TableMaker
    before: Any = None


def label_propagation(figures: Figures) -> str:
    """Seconds a frame and memory of both formulations, and of the floor."""
    names = {
        "dense": "plain, all similarities",
        "ours": "densevos",
        "floor": "floor (fp32 matrix speed in the same run)",
    }

    # The floor is a time that is computed, so it has no memory; older results lack `peak_mb_dense`.
    memory = {"dense": figures.get("peak_mb_dense", ""), "ours": figures["peak_mb"], "floor": ""}

    rows = []
    for name, title in names.items():
        seconds = float(figures[f"seconds_{name}"])
        times = seconds / float(figures["seconds_floor"])
        rows.append([title, f"{seconds:.3f}", f"{times:.1f}", memory[name]])

    return table(["", "seconds a frame", "times the floor", "peak MB"], rows)


def crf(figures: Figures) -> str:
    """Processor seconds a frame of both programs, and how far their results differ."""
    names = {
        "setting": "setting",
        "labels": "labels",
        "cpu_ours": "densevos, CPU s",
        "cpu_pydensecrf2": "pydensecrf2, CPU s",
        "times_faster_cpu": "times as fast, CPU",
        "times_faster": "times as fast, clock",
        "largest_difference": "largest difference",
        "pixels_of_another_label": "pixels with another label",
    }

    return _columns(figures["rows"], names)


def end_to_end(figures: Figures) -> str:
    """Frames a second and memory of each length and precision."""
    names = {
        "frames": "frames",
        "precision": "features in",
        "frames_per_second": "frames/s",
        "peak_mb": "peak MB beyond the imports",
    }

    return _columns(figures["rows"], names)


def scoring(figures: Figures) -> str:
    """Seconds and speed-up of the straightforward program and of ours."""
    # The straightforward program has one process alone, and is what the others are compared with.
    plain = figures["seconds_plain"]
    rows = [["straightforward", 1, f"{plain:.1f}", "1.0"]]
    for workers, seconds in figures["seconds_ours"].items():
        rows.append(["densevos-eval", workers, f"{seconds:.1f}", f"{plain / seconds:.1f}"])

    return table(["program", "workers", "seconds", "times as fast"], rows)


def video_reading(figures: Figures) -> str:
    """Clips a second of each kind of file, and how many clips have a wrong frame."""
    names = {
        "file": "file",
        "reader": "reader",
        "clips_per_second_by_hand": "clips/s, decord alone",
        "clips_per_second": "clips/s, densevos",
        "ratio": "ratio",
        "first_seconds_by_hand": "first clip, decord alone, s",
        "first_seconds": "first clip, densevos, s",
        "wrong_clips_by_hand": "wrong clips, decord alone",
        "wrong_clips": "wrong clips, densevos",
    }

    return _columns(figures["rows"], names)


def training_step(figures: Figures) -> str:
    """Time of a whole training step of each formulation."""
    names = {
        "side": "step",
        "seconds": "seconds",
        "cpu_seconds": "CPU seconds",
        "frames_per_second": "frames/s",
        "loss": "loss",
    }

    return _columns(figures["step"], names)


def affinity(figures: Figures) -> str:
    """Time and memory of the affinity and the losses alone."""
    names = {
        "side": "affinity and losses alone",
        "clips": "clips",
        "frames": "T",
        "seconds": "seconds",
        "peak_mb": "peak MB",
        "peak_per_logit": "float32 a logit",
        "ns_per_logit": "CPU ns a logit",
    }

    return _columns(figures["affinity"], names)


def data_loading(figures: Figures) -> str:
    """CPU time of a clip in every way to read it, and the processor cores that a GPU needs."""
    return _reading(figures["rows"])


def opening(figures: Figures) -> str:
    """CPU time of opening a video."""
    return _reading(figures["opening"])


def whole_video(figures: Figures) -> str:
    """CPU time of decoding a whole video in order."""
    return _reading(figures["whole"])


def _reading(rows: Sequence[Figures]) -> str:
    """One row for each size of video and each way to read it."""
    names = {
        "video": "video",
        "way": "way",
        "cpu_ms": "CPU ms",
        "ratio": "times as fast as decord by hand",
    }

    # Only rows that read clips have it: a GPU takes clips, not openings.
    if "cores_a_gpu" in rows[0]:
        names["cores_a_gpu"] = "cores a GPU"

    return _columns(rows, names)


def catalogue(figures: Figures) -> str:
    """Time and memory of the three ways to know the videos of a data set."""
    titles = {
        "plain": "list the folders, read each file's size",
        "folder": "`--data FOLDER`",
        "index": "`--data INDEX.npz`",
    }
    names = {
        "cpu": "CPU seconds",
        "seconds": "seconds",
        "mb": "MB",
        "reader_mb": "MB of a reading process",
    }

    # The first column has no head, and its key is empty as well.
    rows = [{"": titles[kind], **row} for kind, row in figures["rows"].items()]

    return _columns(rows, {"": "", **names})


def mug_step(figures: Figures) -> str:
    """Time and memory of MuG's objectives, of a training step and of inference."""
    rows = []
    for row in figures["rows"]:
        seconds, memory = row["seconds"], f"{row['peak_mb']:,}"

        # Rows that would not fit in memory were not run; the size of their tensors is known.
        if row["by"] != "measured":
            seconds, memory = "not run", f"over {memory}, by its size"

        rows.append([row["kind"], row["videos"], seconds, memory])

    return table(["", "videos", "seconds", "peak MB"], rows)


def granularities(figures: Figures) -> str:
    """The share of a training step that each of MuG's granularities takes."""
    names = {
        "videos": "videos",
        "frame share": "frame",
        "short share": "short-term",
        "long share": "long-term",
        "video share": "video",
    }

    # Shares are those of a whole training step; objectives and inference have none.
    steps = [row for row in figures["rows"] if row["kind"] == "step"]

    return _columns(steps, names)


def zero_shot(figures: Figures) -> str:
    """Seconds a frame and memory of each part of zero-shot segmentation."""
    names = {
        "part": "480x854, one core",
        "frames": "frames",
        "seconds": "seconds a frame",
        "peak_mb": "peak MB",
    }

    return _columns(figures["rows"], names)


def instances(figures: Figures) -> str:
    """J&F of each kind of proposals on each set, with the processor's seconds a frame."""
    names = {
        "set": "set",
        "foreground": "foreground",
        "proposals": "proposals",
        "J&F": "J&F",
        "J": "J",
        "F": "F",
        "foreground_seconds": "foreground, CPU s a frame",
        "seconds": "proposals and linking, CPU s a frame",
    }

    return _columns(figures["rows"], names)


def adversarial_step(figures: Figures) -> str:
    """Time and memory of an image-to-video training step with each adversarial loss."""
    names = {
        "step": "step",
        "seconds": "seconds",
        "ratio": "ratio",
        "ratio_fastest": "ratio of the fastest",
        "peak_mb": "peak MB",
    }

    return _columns(figures["steps"], names)


def kmeans(figures: Figures) -> str:
    """Seconds and inertia of our k-means and scikit-learn's."""
    names = {
        "unit": "points",
        "points": "number x dimension",
        "k-means": "k-means",
        "seconds": "seconds",
        "inertia": "inertia",
    }

    return _columns(figures["kmeans"], names)


def demo(figures: Figures) -> str:
    """J, F and J&F of the demo's random and trained network, in per cent."""
    rows = []
    for name, title in (("random_init", "random"), ("trained", "trained")):
        # The JSON has shares of 1.
        scores = figures[name]
        rows.append([title, *(f"{100 * scores[measure]:.1f}" for measure in ("J", "F", "J&F"))])

    return table(["network", "J", "F", "J&F"], rows)


def transcribed(figures: Figures) -> str:
    """A table that was kept as a table: `header` and `rows`, with where it is from in `source`."""
    return table(figures["header"], figures["rows"])


def _columns(rows: Sequence[Figures], names: Mapping[str, str]) -> str:
    """A table with one column for each key of `names`; a cell without value stays empty."""
    cells = [[row.get(key, "") for key in names] for row in rows]
    return table(names.values(), cells)


PAGES: Mapping[str, Mapping[str, PageTable]] = {
    "demo": {
        "scores": PageTable(result="demo", make=demo),
        "settings": PageTable(result="demo_settings", make=transcribed),
    },
    "own_video": {
        "clips": PageTable(result="own_video", make=transcribed),
    },
    "instances": {
        "scores": PageTable(result="instances", make=instances),
        "unovost": PageTable(result="instances_unovost", make=transcribed),
    },
    "label_propagation": {
        "davis": PageTable(result="label_propagation", make=label_propagation),
        "dinov3": PageTable(result="label_propagation_dinov3", make=label_propagation),
    },
    "end_to_end": {
        "lengths": PageTable(result="end_to_end", make=end_to_end),
        "precisions": PageTable(result="end_to_end_precision", make=transcribed),
    },
    "scoring": {
        "speed": PageTable(result="scoring", make=scoring),
    },
    "zero_shot": {
        "parts": PageTable(result="zero_shot", make=zero_shot),
    },
    "crf": {
        "settings": PageTable(result="crf", make=crf),
    },
    "training_step": {
        "step": PageTable(result="training_step", make=training_step),
        "affinity": PageTable(result="training_step", make=affinity),
    },
    "mug_step": {
        "rows": PageTable(result="mug_step", make=mug_step),
        "shares": PageTable(result="mug_step", make=granularities),
        "paper_size": PageTable(result="mug_step_64", make=transcribed),
    },
    "adversarial_step": {
        "steps": PageTable(result="adversarial_step", make=adversarial_step),
        "kmeans": PageTable(result="adversarial_step", make=kmeans),
    },
    "data_loading": {
        "clips": PageTable(result="data_loading", make=data_loading),
        "opening": PageTable(result="data_loading", make=opening),
        "whole": PageTable(result="data_loading", make=whole_video),
    },
    "video_reading": {
        "files": PageTable(result="video_reading", make=video_reading),
    },
    "catalogue": {
        "ways": PageTable(result="catalogue", make=catalogue),
    },
    "gpu": {
        "figures": PageTable(result="gpu", make=gpu_figures.table_of, before={"figures": {}}),
        "made": PageTable(result="gpu", make=gpu_figures.made, before={"figures": {}}),
    },
}
"""The pages that are not of experiments, and their tables; templates/NAME.md has the words."""
