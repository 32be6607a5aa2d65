"""Options that choose sequences of a benchmark; several commands share them."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from densevos.base.errors import InputError
from densevos.base.outside import is_outside
from densevos_eval.protocols.protocol import Protocol, load_sequences
from densevos_eval.protocols.registry import PROTOCOLS, find_protocol
from densevos_eval.sequences.sequence import VideoSequence

if TYPE_CHECKING:
    Dataset = str
else:
    # The help lists the known names; any other string may be a module:NAME.
    Dataset = Literal[tuple(PROTOCOLS)] | str


@dataclass(frozen=True, kw_only=True)
class BenchmarkOptions:
    """The benchmark, and which of its sequences to use."""

    dataset: Dataset | None = None
    """Name of the benchmark, or module:NAME for a Protocol of your own."""
    root: Path | None = None
    """Folder of the benchmark; in most benchmarks it holds JPEGImages and Annotations."""
    split: str = "val"
    """Split of the benchmark; most benchmarks list the sequences of a split in ImageSets."""
    sequences: tuple[str, ...] = ()
    """Names of the sequences to use, instead of all sequences of the split."""
    annotations: str | None = None
    """Folder of annotations below --root, instead of the benchmark's own."""
    resolution: str | None = None
    """Folder of one resolution, such as 480p; needed only if there are several and none is 480p."""
    frames: Literal["all", "required"] = "all"
    """Frames of YouTube-VOS or VOST to propagate through: `all`, or only those that need a mask
    (`required`)."""

    def __post_init__(self) -> None:
        if self.dataset is None:
            return

        # An option that the benchmark does not have would be ignored, so it is an error.
        flags = find_protocol(self.dataset).flags
        if self.frames != "all" and "frames" not in flags:
            users = [name for name, other in PROTOCOLS.items() if "frames" in other.flags]
            raise InputError(
                f"--frames {self.frames}: is for {', '.join(users)}, not for {self.dataset};"
                " leave it out"
            )

        if self.resolution is not None and "resolution" not in flags:
            raise InputError(
                f"--resolution {self.resolution}: {self.dataset} has a single one; leave it out"
            )

        if self.split != "val" and "split" not in flags:
            raise InputError(f"--split {self.split}: {self.dataset} has no splits; leave it out")

    def protocol(self) -> Protocol:
        """The benchmark's protocol, with the folders that these options name.

        Raises:
            InputError: No benchmark is named, or it does not exist.
        """
        if self.dataset is None:
            example = next(iter(PROTOCOLS))
            raise InputError(
                f"--dataset: is missing; name a benchmark, such as {example}, and its --root"
            )

        protocol = find_protocol(self.dataset)
        # An empty --resolution is a value of its own: sequences lie right in the folder of frames.
        if self.resolution is not None:
            protocol = replace(protocol, resolution=self.resolution)

        return replace(
            protocol,
            annotations=self.annotations or protocol.annotations,
            all_frames=self.frames == "all",
        )

    def size_of_split(self) -> int | None:
        """Number of sequences of the split, whichever are chosen; None if files are missing."""
        # Only the chosen sequences need to be on disk.
        try:
            return len(replace(self, sequences=()).load())
        except InputError:
            return None

    def load(self, *, annotated: bool = True) -> list[VideoSequence]:
        """Find the sequences that these options name.

        Args:
            annotated: Whether sequences have given masks and annotations. If not, the files of the
                annotations need not exist.

        Raises:
            InputError: The sequences cannot be found (see load_sequences), or the layout of a
                benchmark from outside fails.
        """
        protocol = self.protocol()
        if self.root is None:
            raise InputError(f"--root: is missing; name the folder of {self.dataset}")
        if not annotated:
            protocol = replace(protocol, annotated="none")

        try:
            sequences = load_sequences(protocol, self.root, self.split, self.sequences)
        except (InputError, OSError):
            raise
        except Exception as error:  # A layout from outside raises whatever it likes.
            if not is_outside(self.dataset or ""):
                raise

            reason = " ".join(str(error).split())[:160]
            raise InputError(
                f"--dataset {self.dataset}: its layout failed ({type(error).__name__}: {reason});"
                " it must return a list of VideoSequence"
            ) from error

        if annotated:
            return sequences

        # A layout may find masks even if they are not required.
        return [replace(sequence, given={}, truth=(), annotated=()) for sequence in sequences]
