"""Which sequences of which benchmark: the options that several commands share."""

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
    """Which sequences of which benchmark."""

    dataset: Dataset | None = None
    """A benchmark of this list, or module:NAME, a Protocol of your own."""
    root: Path | None = None
    """Folder of the benchmark; most hold JPEGImages and Annotations."""
    split: str = "val"
    """Name of the part of the benchmark; most list its sequences in ImageSets."""
    sequences: tuple[str, ...] = ()
    """Names of sequences, instead of the split's list."""
    annotations: str | None = None
    """Annotation folder below --root, instead of the benchmark's own."""
    resolution: str | None = None
    """Folder of one resolution, such as 480p; found by itself where there is only one."""
    frames: Literal["all", "required"] = "all"
    """Frames of YouTube-VOS or VOST to propagate through: all, or only those that are asked for."""

    def __post_init__(self) -> None:
        if self.dataset is None:
            return

        flags = find_protocol(self.dataset).flags
        if self.frames != "all" and "frames" not in flags:
            users = ", ".join(name for name, other in PROTOCOLS.items() if "frames" in other.flags)
            raise InputError(
                f"--frames {self.frames}: is for {users}, not for {self.dataset}; leave it out"
            )

        if self.resolution is not None and "resolution" not in flags:
            raise InputError(
                f"--resolution {self.resolution}: {self.dataset} has a single one; leave it out"
            )

        if self.split != "val" and "split" not in flags:
            raise InputError(f"--split {self.split}: {self.dataset} has no splits; leave it out")

    def protocol(self) -> Protocol:
        """The benchmark's protocol with the folders named by these options."""
        if self.dataset is None:
            raise InputError(
                f"--dataset: is missing; name a benchmark, such as {next(iter(PROTOCOLS))}, and its --root"
            )

        protocol = find_protocol(self.dataset)
        return replace(
            protocol,
            annotations=self.annotations or protocol.annotations,
            resolution=self.resolution if self.resolution is not None else protocol.resolution,
            all_frames=self.frames == "all",
        )

    def size_of_split(self) -> int | None:
        """How many sequences the split has, whichever are chosen; None where files of others are
        missing.
        """
        try:
            return len(replace(self, sequences=()).load())
        except InputError:
            return None

    def load(self, *, annotated: bool = True) -> list[VideoSequence]:
        """The sequences that these options name.

        Args:
            annotated: False for sequences without given masks and annotations; the files of the
                annotations then need not exist.

        Raises:
            InputError: See load_sequences; also when the layout of a benchmark from outside fails.
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
                " it must return a list of Sequence"
            ) from error

        if annotated:
            return sequences

        return [replace(sequence, given={}, truth=(), annotated=()) for sequence in sequences]
