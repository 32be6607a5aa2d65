"""The commands of the product that experiments run: how they are spelled stands here alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from experiments.jobs import Command, Steps

EXPERIMENTS = Path(__file__).resolve().parent
BENCHMARKS = EXPERIMENTS.parent
ROOT = BENCHMARKS.parent


@dataclass(frozen=True, kw_only=True)
class LabelledSet:
    """A set of labelled images or frames, and which of them are evaluated.

    Args:
        name: as the command lines know it: coco, davis, fbms, voc, camvid, folder.
        root: its folder.
        split: the split that is evaluated.
        wanted: classes instead of the set's own choice.
        names: file that lists the images, instead of all of the split.
    """

    name: str
    root: str
    split: str = "val"
    wanted: tuple[str, ...] = ()
    names: Path | None = None

    @property
    def spec(self) -> str:
        """SET:ROOT."""
        return f"{self.name}:{self.root}"

    def options(self) -> Command:
        """The options of `densevos-eval segment` and `score --metric miou`."""
        chosen = choice_options(wanted=self.wanted, names=self.names)
        return ("--set", self.spec, "--split", self.split, *chosen)


def choice_options(*, wanted: Sequence[str] = (), names: Path | None = None) -> Command:
    """Options that choose classes and images of labelled sets, in training and evaluation alike."""
    # Without an option the set's own choice holds.
    options: list[str] = []
    if wanted:
        options += ["--wanted", *wanted]
    if names is not None:
        options += ["--names", str(names)]

    return tuple(options)


def train(recipe: str, *options: str, out: Path, more: Sequence[str] = ()) -> Command:
    """Train, or go on with a run that was stopped; `more` are the options that the user gave."""
    return ("densevos", "train", recipe, *options, "--out", str(out), "--resume", "auto", *more)


def made(folder: Path, *data_command: str) -> Steps:
    """Make a folder with `densevos data ...` unless it is there; it appears when complete."""
    if folder.is_dir():
        return

    # A folder that an interrupted run left incomplete has another name, and is made anew.
    part = folder.with_name(f"{folder.name}.part")
    yield ("densevos", "data", *data_command, "--out", str(part), "--overwrite")
    part.rename(folder)


def gathered(experiment: str, folder: Path, *arguments: str) -> Steps:
    """Gather the results of a working folder and print their tables."""
    yield ("python", str(BENCHMARKS), "gather", experiment, str(folder), *arguments)
