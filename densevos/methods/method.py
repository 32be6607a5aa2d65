"""What a method is: everything that training needs to know about one way to learn.

A method is a value of the class `Method`, in a file of its own: a file of this folder, or any
module outside the repository. It consists of a configuration, a learner
(`densevos.engine.learner`), the data that it learns from, and what it leaves on disk.
`docs/extending-method.md` builds one from the ground up.

This module loads no torch, so that configurations are read and recipes listed quickly.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from densevos.config import OptimiserConfig, RunConfig
from densevos.data.sources.source import VideoSource

# Imports for types only: see above, nothing here may load torch.
if TYPE_CHECKING:
    import torch

    from densevos.data.clips import VideoDataset
    from densevos.engine.checkpoint import State
    from densevos.engine.learner import Learner

Training = Mapping[str, object]
"""How an encoder or model was trained: plain values for its card."""


# Fields are given by keyword, so that methods outside do not depend on their order.
@dataclass(frozen=True, kw_only=True)
class Data:
    """What a run learns from, for its records and checks."""

    source: str
    """The data as the user named them."""
    inputs: Sequence[Path]
    """Local files and folders that are read, which --overwrite must not delete."""
    sets: Sequence[Path] = ()
    """Folders of which --overwrite must not delete any part either."""
    videos: int
    """Number of videos, images included."""
    sha256: str
    """Hash of the list of videos.

    A run is resumed only with the data that it started with, or with a part of them.
    """
    titles: Callable[[], Sequence[str]] | None = None
    """The name of each video in messages, in order.

    A run can then go on after some videos were removed from the list. None means that the run needs
    the complete list.
    """


def data_of(spec: Path | str, source: VideoSource, *, inputs: Sequence[Path] = ()) -> Data:
    """The record of a source of videos.

    Args:
        spec: The source as the user named it.
        source: The source itself.
        inputs: Other files and folders that the method reads.
    """
    return Data(
        source=str(spec),
        inputs=(*source.inputs, *inputs),
        videos=len(source),
        sha256=source.identity(),
        # Titles are made only when they are asked for.
        titles=lambda: [source.title(index) for index in range(len(source))],
    )


def _nothing() -> None:
    """What happens before a round by default."""


def _single_round(config: RunConfig) -> Sequence[str]:
    """The folders of a method that trains in the run folder itself."""
    # A folder without a name is the run folder.
    return ("",)


@dataclass(frozen=True, kw_only=True)
class Product:
    """A file that a round leaves; it shows a resumed run that the round is finished."""

    name: str
    """File name in the round's folder."""
    write: "Callable[[Path, Training], None]"
    """Writes the file from the learner after the round: write(path, how it was trained)."""


@dataclass(frozen=True, kw_only=True)
class Round:
    """One stretch of training over a data set, with new optimisers and schedules.

    Most methods have a single round, which trains in the run folder itself. Rounds follow one
    another on the same learner.
    """

    # What a round does, in this order: begin, before, training, product, after.
    data: "Callable[[Path], VideoDataset]"
    """Makes the data set when the round begins: data(run folder)."""
    folder: str = ""
    """Folder of its checkpoints and logs, below the run folder; several rounds need several."""
    epochs: int | None = None
    """Number of epochs; None for that of --loop.epochs."""
    optimisers: Mapping[str, OptimiserConfig] | None = None
    """Optimiser of each part that the round trains; None for those of the job."""
    begin: Callable[[], None] = _nothing
    """Called before the round, for example to start from fresh weights."""
    before: "Callable[[Path, torch.device], None] | None" = None
    """Called before the first step, for example to measure the initial network: before(run folder,
    device).

    A resumed run calls it again. The learner then has its initial weights, and not yet those of the
    checkpoint.
    """
    product: Product | None = None
    """The file that the round leaves besides checkpoints. Each of several rounds needs one."""
    after: "Callable[[Path, torch.device], None] | None" = None
    """Called after the round, for example to label the videos anew: after(run folder, device).

    A resumed run calls it again for a finished round, so it keeps files that exist already.
    """


@dataclass(frozen=True, kw_only=True)
class TrainingJob:
    """A learner with its initial weights and its data; nothing is written yet."""

    learner: "Learner[Any]"
    optimisers: Mapping[str, OptimiserConfig]
    """Optimiser of each part of the learner, by the name of the submodule; "" is all of it."""
    data: Data
    rounds: Sequence[Round]


@dataclass(frozen=True, kw_only=True)
class Method:
    """One way to learn.

    Training calls `prepare`, trains the rounds of the job, and calls `save`; `densevos export`
    calls `restore` and `save`.
    """

    name: str
    """Name of the method in config.json, and METHOD of its configuration.

    It is a plain name for a method of this folder, and `package.module:NAME` for one outside the
    repository, where NAME is this value.
    """
    config: type[Any]
    """Its configuration, a frozen dataclass that satisfies `densevos.config.RunConfig`."""
    shown: tuple[str, ...] = ("loss",)
    """Losses that the progress bar shows, in this order, if a step has them."""
    best: str = "loss"
    """The loss that picks the best checkpoint: the lowest mean between two checkpoints wins."""
    folders: Callable[[Any], Sequence[str]] = _single_round
    """Folders of the rounds of a configuration, below the run folder, in the order of training."""
    file: str = "encoder.safetensors"
    """The file that a finished run leaves in its folder."""
    prepare: Callable[[Any], TrainingJob]
    """Finds the data and makes the learner: prepare(config).

    The same seed gives the same weights. Data that cannot be used raise InputError, before anything
    is written.
    """
    restore: "Callable[[Any, State], Learner[Any]]"
    """Makes the learner of a checkpoint: restore(config, state).

    state["learner"] is the learner's state dict.
    """
    save: Callable[[Path, Any, Training], None]
    """Writes a trained encoder or model and its card: save(path, learner, how it was trained)."""


__all__ = ["Data", "Method", "Product", "Round", "RunConfig", "Training", "TrainingJob", "data_of"]
