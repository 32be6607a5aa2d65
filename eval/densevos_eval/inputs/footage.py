"""What a command makes masks of: the sequences of a benchmark, or one's own video; options, without
torch.
"""

from dataclasses import dataclass, fields
from pathlib import Path

from densevos.base.errors import InputError
from densevos_eval.protocols.options import BenchmarkOptions
from densevos_eval.protocols.registry import PROTOCOLS, find_protocol
from densevos_eval.sequences.own_video import own_video
from densevos_eval.sequences.sequence import VideoSequence

OWN_SIDE = 960  # Pixels: about the size that benchmarks are judged at; a 4K frame has 16 times as many cells.


@dataclass(frozen=True, kw_only=True)
class Footage(BenchmarkOptions):
    """The sequences of a benchmark, or one's own video."""

    video: Path | None = None
    """A video file or a folder of frames, instead of a benchmark."""
    start: str | None = None
    """First frame of the video to use: its number, or seconds such as 3.5s."""
    end: str | None = None
    """Last frame of the video to use."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for one in fields(BenchmarkOptions):
            given = getattr(self, one.name) != one.default
            if self.video and given and one.name not in ("dataset", "root"):
                raise InputError(
                    f"--{one.name}: is for a --dataset, not for a --video; leave it out"
                )

    @property
    def of_benchmark(self) -> bool:
        """Whether these options name a benchmark, and no video."""
        return bool(self.dataset and self.root) and not (self.video or self.start or self.end)

    @property
    def of_own_video(self) -> bool:
        """Whether these options name one's own video, and no benchmark."""
        return self.video is not None and not (self.dataset or self.root)


@dataclass(frozen=True, kw_only=True)
class Videos(Footage):
    """What to propagate through: the sequences of a benchmark, or one's own video."""

    mask: Path | None = None
    """Mask of the first frame used of a --video, or a folder of masks named as their frames, from
    the first of which propagation goes both ways: ids, or a colour for each object on black."""
    max_side: int | None = None
    """Work on frames with a longer side at this size, in pixels. Without this option it is 960 for
    a --video, and any size for a benchmark."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_side is not None and self.max_side < 1:
            raise InputError(f"--max-side: must be 1 or more pixels, is {self.max_side}")

    @property
    def working_side(self) -> int | None:
        """The longest side, in pixels, that frames are worked on at; None for any."""
        return self.max_side or (OWN_SIDE if self.video else None)

    def find(self) -> list[VideoSequence]:
        """The sequences; InputError when neither or both kinds are named, or files are missing."""
        if self.of_own_video and self.video and self.mask:
            if self.video.exists() and not self.mask.exists():
                raise InputError(
                    f"{self.mask}: mask is missing; paint it over what `densevos-eval frame` writes"
                )

            return [own_video(self.video, self.mask, start=self.start, end=self.end)]

        if self.of_benchmark and not self.mask:
            if not self.protocol().first_mask_given:
                raise InputError(
                    f"--dataset {self.dataset}: gives no masks, so there is nothing to propagate; find the objects with"
                    " densevos-eval zeroshot"
                )

            return self.load()

        if self.of_own_video:
            raise InputError(
                f"--video {self.video}: give a --mask too; `densevos-eval frame` writes the frame to paint it over"
            )

        raise InputError(
            "propagate: give --dataset and --root, or --video and --mask (and its --start, --end)"
        )


@dataclass(frozen=True, kw_only=True)
class Unlabelled(Footage):
    """What to find the objects in: the sequences of a benchmark, or one's own video. No annotation
    is looked at.
    """

    def find(self) -> list[VideoSequence]:
        """The sequences without any masks; InputError when neither or both kinds are named, or
        files are missing.
        """
        if self.of_benchmark and self.dataset:
            if not find_protocol(self.dataset).foreground:
                known = ", ".join(
                    name for name, protocol in PROTOCOLS.items() if protocol.foreground
                )
                raise InputError(
                    f"--dataset {self.dataset}: asks for what a first annotation names, which nobody knows without"
                    f" it; take {known}, or densevos-eval propagate"
                )

            return self.load(annotated=False)

        if self.of_own_video and self.video:
            return [own_video(self.video, None, start=self.start, end=self.end)]

        raise InputError(
            "zeroshot: give --dataset and --root, or a --video (and its --start, --end)"
        )
