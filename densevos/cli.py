"""densevos COMMAND: which command runs; see `densevos.commands`."""

import sys
from collections.abc import Callable
from pathlib import Path

from densevos.base import console
from densevos.base.errors import InputError
from densevos.commands import data, models
from densevos.commands.help import Overview
from densevos.commands.launch import launch
from densevos.commands.parsing import run_command
from densevos.commands.train import train

# Groups follow the order of use, from a first try to the result.
OVERVIEW = Overview(
    about="Learn dense video representations from videos without labels. densevos-eval then "
    "propagates masks with "
    "them and scores the result.",
    groups={
        "try it": {
            "demo": "Train a small encoder on synthetic clips and compare it with random weights.",
        },
        "prepare videos": {
            "data": "List, check, index, pack and label videos: densevos data --help.",
        },
        "train": {
            "train": "Train an encoder or a segmentation model: densevos train --help.",
            "launch": "Run a command as a job of a cluster.",
        },
        "use the result": {
            "describe": "Print what an encoder, a segmentation model or this machine is.",
            "export": "Write the encoder of a checkpoint to a file.",
        },
    },
    examples=(
        "densevos train dul_small --data my_videos --out runs/mine",
        "densevos export runs/mine --out mine.safetensors",
    ),
)

EVALUATOR = (
    "propagate",
    "zeroshot",
    "segment",
    "frame",
    "score",
    "sweep",
    "show",
    "submit",
    "compare",
    "report",
    "matrix",
    "gap",
    "watch",
    "info",
    "features",
    "studio",
)
"""Commands of densevos-eval that densevos does not have: users take one program for the other."""


def main() -> None:
    """Entry point of the console command `densevos`."""
    sys.exit(console.run(lambda: dispatch(sys.argv[1:])))


def dispatch(arguments: list[str]) -> None:
    """Run one command. The options of `train` depend on the recipe, and `data` has commands of its
    own.
    """
    # These commands read their own words, since their options depend on what is named first.
    words = {"train": train, "launch": launch, "data": data.dispatch}
    elsewhere = {"densevos-eval": EVALUATOR}
    # The old name of a command gets a hint, because densevos-eval has a command of that name.
    if arguments[:1] == ["info"]:
        raise InputError("densevos info: is called describe now; write densevos describe")

    run_command(
        COMMANDS, words, arguments, program="densevos", overview=OVERVIEW, elsewhere=elsewhere
    )


def demo(
    out: Path = Path("densevos-demo"),
    seed: int = 0,
    epochs: int | None = None,
    overwrite: bool = False,
) -> None:
    """Train a small encoder on synthetic clips, and compare it with random weights at propagating
    masks.

    It takes a few minutes on two CPU cores.

    Args:
        out: Folder to write.
        seed: Seed of clips, weights and training.
        epochs: Number of epochs; without this option it is that of the recipe.
        overwrite: Empty the output folder first if it holds files.
    """
    # Imported here, so that other commands need not load it.
    from densevos.demo import run_demo

    run_demo(out, seed=seed, epochs=epochs, overwrite=overwrite)


COMMANDS: dict[str, Callable[..., None]] = {
    "demo": demo,
    "export": models.export,
    "describe": models.describe,
}
"""Commands whose parameters are their options."""
