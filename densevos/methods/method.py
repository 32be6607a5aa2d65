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

if TYPE_CHECKING:
    import torch

    from densevos.data.clips import VideoDataset
    from densevos.engine.checkpoint import State
    from densevos.engine.learner import Learner

Training = Mapping[str, object]
"""How an encoder or model was trained: plain values for its card."""


@dataclass(frozen=True, kw_only=True)
class Data:
    """What a run learns from, for its records and checks."""

    source: str
    """The data as the user named them."""
    inputs: Sequence[Path]
    """Local files and folders that are read, which --overwrite must not delete."""
    videos: int
    """Number of videos, images included."""
    sha256: str
    """Hash of the list of them. A run is resumed only with the data that it started with, or with a
    part of them.
    """
    titles: Callable[[], Sequence[str]] | None = None
    """Each video as messages name it, in order, for a run that goes on after some were taken from
    the list; None where the whole list is needed."""


def data_of(spec: Path | str, source: VideoSource, *, inputs: Sequence[Path] = ()) -> Data:
    """The record of a source of videos.

    Args:
        spec: The source as the user named it.
        source: The source itself.
        inputs: What the method reads besides it.
    """
    return Data(
        source=str(spec),
        inputs=(*source.inputs, *inputs),
        videos=len(source),
        sha256=source.identity(),
        titles=lambda: [source.title(index) for index in range(len(source))],
    )


def _nothing() -> None:
    """What happens before a round by default."""


def _single_round(config: RunConfig) -> Sequence[str]:
    """The folders of a method that trains in the run folder itself."""
    return ("",)


@dataclass(frozen=True, kw_only=True)
class Product:
    """A file that a round leaves, by which a resumed run knows that the round is finished."""

    name: str
    """File name in the round's folder."""
    write: "Callable[[Path, Training], None]"
    """Writes that file from the learner as it is after the round: write(path, how it was
    trained).
    """


@dataclass(frozen=True, kw_only=True)
class Round:
    """One stretch of training over a data set, with new optimisers and schedules.

    Most methods have a single round, which trains in the run folder itself. Rounds follow one
    another on the same learner.
    """

    data: "Callable[[Path], VideoDataset]"
    """Makes the data set when the round begins: data(run folder)."""
    folder: str = ""
    """Where its checkpoints and logs go, below the run folder; each of several rounds has its
    own.
    """
    epochs: int | None = None
    """Its epochs; None: those of --loop.epochs."""
    optimisers: Mapping[str, OptimiserConfig] | None = None
    """How the parts that it trains are optimised; None: as the job says."""
    begin: Callable[[], None] = _nothing
    """Called before the round, to start with fresh weights, say."""
    before: "Callable[[Path, torch.device], None] | None" = None
    """Called before the first step, to measure the initial network, say: before(run folder,
    device). A resumed run calls it again, when the learner has its initial weights and not yet
    those of the checkpoint."""
    product: Product | None = None
    """What the round leaves besides checkpoints. Each of several rounds needs one."""
    after: "Callable[[Path, torch.device], None] | None" = None
    """Called after the round, to label the videos anew, say: after(run folder, device). A resumed
    run calls it again for a finished round, so it keeps what is there already."""


@dataclass(frozen=True, kw_only=True)
class TrainingJob:
    """A learner with fresh weights and what it learns from; nothing is written yet."""

    learner: "Learner[Any]"
    optimisers: Mapping[str, OptimiserConfig]
    """How each part of the learner is optimised, by the name of the submodule; "" is all of it."""
    data: Data
    rounds: Sequence[Round]


@dataclass(frozen=True, kw_only=True)
class Method:
    """One way to learn.

    Training calls `prepare`, trains the rounds of the job, and calls `save`; `densevos export`
    calls `restore` and `save`.
    """

    name: str
    """What config.json calls the method, and METHOD of its configuration: a plain name in this
    folder, `package.module:NAME` outside the repository, where NAME is this very value."""
    config: type[Any]
    """Its configuration, a frozen dataclass that satisfies `densevos.config.RunConfig`."""
    shown: tuple[str, ...] = ("loss",)
    """Losses that the progress bar shows, in this order; those that a step does not have are left
    out.
    """
    best: str = "loss"
    """The loss that picks the best checkpoint: the lowest mean between two checkpoints wins."""
    folders: Callable[[Any], Sequence[str]] = _single_round
    """Folders of the rounds of a configuration, below the run folder, in the order of training."""
    file: str = "encoder.safetensors"
    """The file that a finished run leaves in its folder."""
    prepare: Callable[[Any], TrainingJob]
    """Finds the data and makes the learner: prepare(config). The same seed gives the same weights.
    Raises InputError for data that cannot be used, before anything is written."""
    restore: "Callable[[Any, State], Learner[Any]]"
    """The learner of a checkpoint: restore(config, state); state["learner"] is its state dict."""
    save: Callable[[Path, Any, Training], None]
    """Writes what is kept of a trained learner, with its card: save(path, learner, how it was
    trained).
    """


__all__ = ["Data", "Method", "Product", "Round", "RunConfig", "Training", "TrainingJob", "data_of"]
