"""densevos-eval COMMAND: which command runs; see `densevos_eval.commands`."""

import sys
from collections.abc import Callable
from itertools import pairwise

import tyro

from densevos.base import console
from densevos.commands.help import Overview
from densevos.commands.parsing import run_command
from densevos_eval.commands import encoders, masks, results, studies, studio

TRAINER = ("demo", "train", "data", "export", "describe")
"""Commands of densevos that densevos-eval does not have: users take one program for the other."""

OVERVIEW = Overview(
    about="Propagate masks through video with a trained encoder, find objects without masks, and "
    "score the result.",
    groups={
        "follow an object": {
            "frame": "Write one frame of a video, to paint the objects over.",
            "propagate": "Propagate given masks through a video or a benchmark.",
            "studio": "Mark objects in the browser, propagate, correct and export.",
        },
        "find objects": {
            "zeroshot": "Find the primary objects of a video without any mask.",
            "segment": "Find the class of every pixel with a trained segmentation model.",
        },
        "score": {
            "score": "Score masks against a benchmark, a labelled set or true masks.",
            "compare": "Compare scored results, with bootstrap intervals.",
            "gap": "Measure how much of a domain gap an adaptation closed.",
            "report": "Write an HTML page about a result, with its worst frames.",
            "show": "Draw results over their frames, side by side.",
            "submit": "Pack masks for the server of a benchmark.",
        },
        "study encoders": {
            "info": "Print what an encoder or a published protocol is.",
            "features": "Write the features of every frame of a video to a file.",
            "sweep": "Propagate and score with every combination of settings.",
            "matrix": "Propagate and score every encoder on every benchmark of a plan.",
            "watch": "Score each encoder that a training run writes.",
            "launch": "Run a command as jobs of a cluster.",
        },
    },
    examples=(
        "densevos-eval propagate --video clip.mp4 --mask first.png --out out",
        "densevos-eval score --dataset davis17 --root DAVIS --results out",
    ),
)

# Commands whose options are read from their signatures; the others are in `dispatch`.
COMMANDS: dict[str, Callable[..., None]] = {
    "propagate": masks.propagate,
    "zeroshot": masks.zeroshot,
    "segment": masks.segment,
    "frame": masks.frame,
    "studio": studio.studio,
    "score": results.score,
    "sweep": studies.sweep,
    "info": encoders.info,
    "features": encoders.features,
    "show": results.show,
    "submit": results.submit,
    "compare": results.compare,
    "gap": results.gap,
    "report": results.report,
    "matrix": studies.matrix,
}


RENAMED: dict[str, dict[str, str]] = {
    "segment": {
        "--dataset": "--set SET:ROOT, which names layout and folder of the set; its classes are "
        "--wanted",
        "--root": "--set SET:ROOT, which names layout and folder of the set; its classes are "
        "--wanted",
        "--classes": "--wanted",
    },
    "sweep": {
        "--contexts": "--context, which takes several values here",
        "--radii": "--radius, which takes several values here",
        "--topks": "--topk, which takes several values here",
        "--temperatures": "--temperature, which takes several values here",
    },
}
"""Options of older versions, by command."""


def dispatch(arguments: list[str]) -> None:
    """Run one command."""
    # Old spellings get the new one as advice, instead of an error about an unknown option.
    renamed = RENAMED.get(arguments[0], {}) if arguments else {}
    # The metric miou scores a --set; older versions took a --dataset for it.
    if "--metric=miou" in arguments or ("--metric", "miou") in pairwise(arguments):
        renamed = RENAMED["segment"]

    console.refuse_old_spellings(arguments, renamed)

    # These read their words themselves, because some of the words belong to another command.
    words = {
        "launch": studies.launch,
        "watch": studies.watch,
    }
    # Options have no prefix of their group: --layer, not --encoder.layer.
    flat = (tyro.conf.OmitArgPrefixes,)
    # A command of the other program gets advice instead of an unknown name.
    elsewhere = {"densevos": TRAINER}
    run_command(
        COMMANDS,
        words,
        arguments,
        program="densevos-eval",
        overview=OVERVIEW,
        elsewhere=elsewhere,
        config=flat,
    )


def main() -> None:
    """Entry point of the console command `densevos-eval`."""
    sys.exit(console.run(lambda: dispatch(sys.argv[1:])))
