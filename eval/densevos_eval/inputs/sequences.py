"""Sequences as scripts load them: those of a benchmark, or one's own video."""

from pathlib import Path

from densevos.base.errors import InputError
from densevos_eval.protocols.options import BenchmarkOptions
from densevos_eval.sequences.own_video import own_video
from densevos_eval.sequences.sequence import VideoSequence


def load_sequences(
    dataset: str | None = None,
    root: Path | str | None = None,
    *,
    split: str = "val",
    names: tuple[str, ...] = (),
    video: Path | str | None = None,
    mask: Path | str | None = None,
    start: str | None = None,
    end: str | None = None,
) -> list[VideoSequence]:
    """The sequences of a benchmark, or your own video with its masks; nothing is decoded before it
    is asked for.

    Each has `name`, `frame_names`, `video()` (the frames) and `masks()` (those that are given, by
    index of the frame).

    Args:
        dataset: A benchmark, such as davis17, or folder for sets of your own in the layout
            JPEGImages and Annotations.
        root: Its folder.
        split: The part of the benchmark.
        names: Names of sequences, instead of the split's list.
        video: A video file or a folder of frames, instead of a benchmark.
        mask: With `video`: the mask of its first frame, or a folder of masks that are named as
            their frames. It may be an indexed PNG, black and white, or painted in one flat colour
            for each object.
        start, end: With `video`: first and last frame, by number or in seconds (3.5s).

    Raises:
        InputError: Files are missing or do not belong together; or neither or both of `dataset` and
            `video` are given.
    """
    if (dataset is None) == (video is None):
        raise InputError("load_sequences: name either a dataset with its root, or a video")
    if video is not None:
        return [
            own_video(Path(video), Path(mask) if mask is not None else None, start=start, end=end)
        ]

    if (mask, start, end) != (None, None, None):
        raise InputError(
            "load_sequences: mask, start and end are for video, not for a dataset; leave them out"
        )

    root = Path(root) if root is not None else None
    return BenchmarkOptions(dataset=dataset, root=root, split=split, sequences=tuple(names)).load()
