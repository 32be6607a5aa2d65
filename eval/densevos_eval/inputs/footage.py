"""Options for the sequences that a command makes masks of. This module does not load torch."""

from dataclasses import dataclass, fields
from pathlib import Path

from densevos.base.errors import InputError
from densevos_eval.protocols.options import BenchmarkOptions
from densevos_eval.protocols.registry import PROTOCOLS, find_protocol
from densevos_eval.sequences.own_video import own_video
from densevos_eval.sequences.sequence import VideoSequence

OWN_SIDE = 960
"""Default of --max-side for a --video, in pixels: about the size of the frames of benchmarks.

A 4K frame has 16 times as many cells.
"""


@dataclass(frozen=True, kw_only=True)
class Footage(BenchmarkOptions):
    """The sequences of a benchmark, or one's own video.

    Raises:
        InputError: An option of benchmarks is given with a video.
    """

    video: Path | None = None
    """Video to use instead of a benchmark: a video file or a folder of frames."""
    start: str | None = None
    """First frame of the --video to use: its number, or a time in seconds such as 3.5s."""
    end: str | None = None
    """Last frame of the --video to use: its number, or a time in seconds such as 3.5s."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.video:
            return

        # Both kinds of input together are an error that `find` reports.
        for option in fields(BenchmarkOptions):
            is_given = getattr(self, option.name) != option.default
            if is_given and option.name not in ("dataset", "root"):
                raise InputError(
                    f"--{option.name}: is for a --dataset, not for a --video; leave it out"
                )

    @property
    def of_benchmark(self) -> bool:
        """Whether these options name a benchmark and no video."""
        return bool(self.dataset and self.root) and not (self.video or self.start or self.end)

    @property
    def of_own_video(self) -> bool:
        """Whether these options name one's own video and no benchmark."""
        # Both kinds together are neither, so that the caller refuses them.
        return self.video is not None and not (self.dataset or self.root)


@dataclass(frozen=True, kw_only=True)
class Videos(Footage):
    """The sequences to propagate through: those of a benchmark, or one's own video.

    Raises:
        InputError: A value is out of range, or an option of benchmarks is given with a video.
    """

    mask: Path | None = None
    """Mask of the first used frame of a --video, or a folder of masks that are named like their
    frames. A mask has an id for each object, or a colour for each object on black. From the first
    mask of a folder, propagation goes both ways."""
    max_side: int | None = None
    """Longest side, in pixels, at which frames are encoded; larger frames are made smaller. The
    default is 960 for a --video, and no limit for a benchmark."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_side is not None and self.max_side < 1:
            raise InputError(f"--max-side: must be 1 or more pixels, is {self.max_side}")

    @property
    def working_side(self) -> int | None:
        """The longest side, in pixels, at which frames are encoded; None for any."""
        # Benchmarks are encoded at their own size, as in published numbers.
        if self.max_side is None and self.video:
            return OWN_SIDE

        return self.max_side

    def find(self) -> list[VideoSequence]:
        """Find the sequences with their given masks.

        Raises:
            InputError: Neither or both kinds of input are named, or files are missing.
        """
        # One's own video needs a mask, which tells what to follow.
        if self.of_own_video and self.video and self.mask:
            # A missing mask gets the advice how to make one; a missing video is reported below.
            if self.video.exists() and not self.mask.exists():
                raise InputError(
                    f"{self.mask}: mask is missing; paint it over what `densevos-eval frame` writes"
                )

            return [own_video(self.video, self.mask, start=self.start, end=self.end)]

        # A benchmark has its own masks.
        if self.of_benchmark and not self.mask:
            # Some benchmarks are for methods that get no mask at all.
            if not self.protocol().first_mask_given:
                raise InputError(
                    f"--dataset {self.dataset}: gives no masks, so there is nothing to propagate; "
                    "find the objects with densevos-eval zeroshot"
                )

            return self.load()

        if self.of_own_video:
            raise InputError(
                f"--video {self.video}: give a --mask too; "
                "`densevos-eval frame` writes the frame to paint it over"
            )

        raise InputError(
            "propagate: give --dataset and --root, or --video and --mask (and its --start, --end)"
        )


@dataclass(frozen=True, kw_only=True)
class Unlabelled(Footage):
    """The sequences in which to find objects: those of a benchmark, or one's own video.

    No annotation is read.
    """

    def find(self) -> list[VideoSequence]:
        """Find the sequences without any masks.

        Raises:
            InputError: Neither or both kinds of input are named, files are missing, or the
                benchmark cannot be scored without given masks.
        """
        if self.of_benchmark and self.dataset:
            # Scores of other benchmarks depend on which objects a first annotation names.
            if not find_protocol(self.dataset).foreground:
                choices = [name for name, protocol in PROTOCOLS.items() if protocol.foreground]
                raise InputError(
                    f"--dataset {self.dataset}: asks for the objects of the first annotation, "
                    "which nobody knows without it; "
                    f"take {', '.join(choices)}, or densevos-eval propagate"
                )

            # Annotations are not looked for, so frames alone are enough.
            return self.load(annotated=False)

        if self.of_own_video and self.video:
            return [own_video(self.video, None, start=self.start, end=self.end)]

        raise InputError(
            "zeroshot: give --dataset and --root, or a --video (and its --start, --end)"
        )
