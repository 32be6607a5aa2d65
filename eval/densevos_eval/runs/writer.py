"""The contract between the runner and a kind of segmentation: how one sequence becomes masks."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from densevos.base.errors import InputError
from densevos.base.parallel import OnStep
from densevos_eval.runs.records import EarlierResult
from densevos_eval.sequences.sequence import VideoSequence

# Settings are JSON values: they are recorded, and compared when a run is resumed.
Settings = Mapping[str, Any]


class MaskWriter(Protocol):
    """One kind of segmentation, loaded and ready: it turns one sequence into masks.

    record: Name of the file in the output folder that holds the settings.
    memory_hint: What the user can try if the memory is too small.
    inputs: Files that are read besides those of the sequences.
    background: Whether id 0 of the masks is background, over which a movie draws no colour.
    """

    @property
    def record(self) -> str: ...

    @property
    def memory_hint(self) -> str: ...

    @property
    def inputs(self) -> Sequence[Path]: ...

    @property
    def background(self) -> bool: ...

    def settings(self) -> Mapping[str, Settings]:
        """Everything that the files depend on besides the sequences, for each output folder.

        Returns:
            Name of a folder inside the run's own -> settings. The run's own folder has the name ""
            and comes first.
        """
        ...

    def refusal(self, sequence: VideoSequence) -> InputError | None:
        """Why the sequence cannot be used; None if nothing speaks against it before it is tried."""
        ...

    def steps(self, sequence: VideoSequence) -> int:
        """Number of times that `write` calls `on_step` for this sequence."""
        ...

    def write(self, sequence: VideoSequence, folders: Sequence[Path], on_step: OnStep) -> None:
        """Write the files of one sequence.

        Args:
            sequence: What to segment.
            folders: An empty folder for each key of `settings`, in that order.
            on_step: Called with the sequence's name after each frame.

        Raises:
            InputError: Files of the sequence cannot be used.
            RunError: The sequence cannot be finished.
        """
        ...

    def summary(self, out: Path) -> Sequence[str]:
        """Lines to print after the run, about the results in `out`."""
        ...


@runtime_checkable
class CorrectingWriter(Protocol):
    """A writer that can also correct an earlier result: it redoes only what new masks change."""

    def rewrite(
        self,
        sequence: VideoSequence,
        earlier: EarlierResult,
        folders: Sequence[Path],
        on_step: OnStep,
    ) -> str:
        """Write the same files as `write`, but copy those that the given masks cannot change.

        Args:
            sequence: What to segment.
            earlier: What an earlier run wrote with other given masks.
            folders: An empty folder for each key of `settings`, in that order.
            on_step: Called with the sequence's name after each frame.

        Returns:
            A line that says what was copied.
        """
        ...
