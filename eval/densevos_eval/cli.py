"""densevos-eval COMMAND: which command runs; see `densevos_eval.commands`."""

import sys
from collections.abc import Callable

import tyro

from densevos.base import console
from densevos_eval.commands import encoders, masks, results, studies, studio


def _watch_help() -> None:
    """Score each encoder that a training run writes, and link the best (`densevos-eval watch --help`)."""


def _launch_help() -> None:
    """Submit a command as one or several jobs of a cluster (`densevos-eval launch --help`)."""


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
    "report": results.report,
    "matrix": studies.matrix,
    "watch": _watch_help,
    "launch": _launch_help,
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
    own = {"launch": studies.launch, "watch": studies.watch}  # What follows them is not all theirs.
    if arguments and arguments[0] in own:
        return own[arguments[0]](arguments[1:])
    renamed = RENAMED.get(arguments[0], {}) if arguments else {}
    if "miou" in arguments or "--metric=miou" in arguments:  # It needs a set now, where there was a dataset.
        renamed = RENAMED["segment"]
    console.refuse_old_spellings(arguments, renamed)
    flat = (tyro.conf.OmitArgPrefixes,)
    return tyro.extras.subcommand_cli_from_dict(COMMANDS, prog="densevos-eval", args=arguments, config=flat)


def main() -> None:
    """Entry point of the console command `densevos-eval`."""
    sys.exit(console.run(lambda: dispatch(sys.argv[1:])))
