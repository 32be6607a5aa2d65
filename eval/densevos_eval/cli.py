"""densevos-eval COMMAND: which command runs; see `densevos_eval.commands`."""

import sys
from collections.abc import Callable

import tyro

from densevos.base import console
from densevos.commands.parsing import run_command
from densevos_eval.commands import encoders, masks, results, studies, studio

TRAINER = ("demo", "train", "data", "export")
"""Commands of densevos that densevos-eval does not have: users take one program for the other."""

ABOUT = "Propagate masks through video with a trained encoder, find objects without masks, and score the result."

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
        "--dataset": "--set SET:ROOT, which names layout and folder of the set; its classes are --wanted",
        "--root": "--set SET:ROOT, which names layout and folder of the set; its classes are --wanted",
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
    renamed = RENAMED.get(arguments[0], {}) if arguments else {}
    if "miou" in arguments or "--metric=miou" in arguments:  # It needs a set now, where there was a dataset.
        renamed = RENAMED["segment"]
    console.refuse_old_spellings(arguments, renamed)

    words = {"launch": studies.launch, "watch": studies.watch}  # What follows them is not all theirs.
    flat = (tyro.conf.OmitArgPrefixes,)
    elsewhere = {"densevos": TRAINER}
    run_command(COMMANDS, words, arguments, program="densevos-eval", about=ABOUT, elsewhere=elsewhere, config=flat)


def main() -> None:
    """Entry point of the console command `densevos-eval`."""
    sys.exit(console.run(lambda: dispatch(sys.argv[1:])))
