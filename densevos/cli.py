"""densevos demo | train | launch | data | export | info: which command runs; see `densevos.commands`."""

import sys
from collections.abc import Callable
from pathlib import Path

import tyro

from densevos.base import console
from densevos.commands import data, models
from densevos.commands.launch import launch
from densevos.commands.train import train


def main() -> None:
    """Entry point of the console command `densevos`."""
    sys.exit(console.run(lambda: dispatch(sys.argv[1:])))


def dispatch(arguments: list[str]) -> None:
    """Run one command. `train` reads its own options, which depend on the recipe; `data` has commands of its own."""
    if arguments[:1] == ["train"]:
        train(arguments[1:])
    elif arguments[:1] == ["launch"]:
        launch(arguments[1:])
    elif arguments[:1] == ["data"]:
        tyro.extras.subcommand_cli_from_dict(data.COMMANDS, prog="densevos data", args=arguments[1:])
    else:
        tyro.extras.subcommand_cli_from_dict(COMMANDS, prog="densevos", args=arguments)


def _train_help() -> None:
    """Learn an encoder from unlabelled videos (`densevos train --help` lists the recipes)."""


def _launch_help() -> None:
    """Submit a command as a job of a cluster (`densevos launch --help`)."""


def _data_help() -> None:
    """Synthetic clips, indexes, frame extraction, listing, class counts, foreground maps (`densevos data --help`)."""


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
    "train": _train_help,
    "launch": _launch_help,
    "data": _data_help,
    "export": models.export,
    "info": models.info,
}
