"""The contract between the runner and a kind of segmentation: how one sequence becomes masks."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from densevos.base.errors import InputError
from densevos.base.parallel import OnStep
from densevos_eval.runs.records import EarlierResult
from densevos_eval.sequences.sequence import VideoSequence

Settings = Mapping[str, Any]


class MaskWriter(Protocol):
    """One kind of segmentation, loaded and ready: it says how one sequence becomes masks, the
    runner does the rest.

    record: Name of the file in the output folder that holds the settings.
    memory_hint: What to try where the memory is too short.
    inputs: Files that are read besides those of the sequences.
    background: Whether id 0 of the masks is background, which a movie leaves as it is.
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
        """What the files depend on besides the sequences, for each output folder.

        Keys are folders below the run's own, "" being that folder itself, which comes first.
        """
        ...

    def refusal(self, sequence: VideoSequence) -> InputError | None:
        """Why the sequence cannot be used, if that can be told before anything is written."""
        ...

    def steps(self, sequence: VideoSequence) -> int:
        """How often `write` calls `on_step` for this sequence."""
        ...

    def write(self, sequence: VideoSequence, folders: Sequence[Path], on_step: OnStep) -> None:
        """Write the files of one sequence.

        Args:
            sequence: What to segment.
            folders: An empty folder for each one that `settings` names, in that order.
            on_step: Called with the sequence's name after each frame.

        Raises:
            InputError: Files of the sequence cannot be used.
            RunError: The sequence cannot be finished.
        """
        ...

    def summary(self, out: Path) -> Sequence[str]:
        """Lines to print after the run: what lies in `out`."""
        ...


@runtime_checkable
class CorrectingWriter(Protocol):
    """What a writer may have besides: a way to compute again only what other given masks change."""

    def rewrite(
        self,
        sequence: VideoSequence,
        earlier: EarlierResult,
        folders: Sequence[Path],
        on_step: OnStep,
    ) -> str:
        """As `write`, with the same files as result; those that the masks cannot change are copied.

        Args:
            earlier: What an earlier run wrote with other given masks.

        Returns:
            A line that says what was copied.
        """
        ...
