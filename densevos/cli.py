"""densevos demo | train | launch | data | export | info: which command runs; see `densevos.commands`."""

import sys
from collections.abc import Callable
from pathlib import Path

from densevos.base import console
from densevos.commands import data, models
from densevos.commands.launch import launch
from densevos.commands.parsing import run_command
from densevos.commands.train import train

ABOUT = "Learn dense video representations from unlabelled video. densevos-eval then propagates masks and scores them."

EVALUATOR = (
    *("propagate", "zeroshot", "segment", "frame", "score", "sweep", "show", "submit", "compare", "report", "matrix"),
    *("gap", "watch", "features", "studio"),
)
"""Commands of densevos-eval that densevos does not have: users take one program for the other."""


def main() -> None:
    """Entry point of the console command `densevos`."""
    sys.exit(console.run(lambda: dispatch(sys.argv[1:])))


def dispatch(arguments: list[str]) -> None:
    """Run one command. The options of `train` depend on the recipe, and `data` has commands of its own."""
    words = {"train": train, "launch": launch, "data": data.dispatch}
    elsewhere = {"densevos-eval": EVALUATOR}
    run_command(COMMANDS, words, arguments, program="densevos", about=ABOUT, elsewhere=elsewhere)


def demo(out: Path = Path("densevos-demo"), seed: int = 0, epochs: int | None = None, overwrite: bool = False) -> None:
    """Learn from synthetic clips and beat random initialisation at propagating masks, in a few minutes.

    Args:
        out: Folder to write.
        seed: Seed of clips, weights and training.
        epochs: Train shorter or longer than the recipe.
        overwrite: Empty the output folder first when it holds files.
    """
    from densevos.demo import run_demo

    run_demo(out, seed=seed, epochs=epochs, overwrite=overwrite)


COMMANDS: dict[str, Callable[..., None]] = {
    "demo": demo,
    "export": models.export,
    "info": models.info,
}
"""Commands whose parameters are their options."""
