"""Load sequences in a script: those of a benchmark, or one's own video."""

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
    """Load the sequences of a benchmark, or your own video with its masks.

    No frame is decoded yet.

    Args:
        dataset: A benchmark, such as davis17; or folder, for your own dataset in the layout
            JPEGImages and Annotations.
        root: The folder of the benchmark.
        split: The part of the benchmark.
        names: Names of sequences, instead of the split's list.
        video: A video file or a folder of frames, instead of a benchmark.
        mask: For a video, the mask of its first frame, or a folder of masks that are named like
            their frames. A mask may be an indexed PNG, black and white, or painted in one flat
            colour for each object.
        start: For a video, its first frame, by number or in seconds (3.5s).
        end: For a video, its last frame, by number or in seconds (3.5s).

    Returns:
        Sequences. Each has `name`, `frame_names`, `video()` (its frames) and `masks()` (its given
        masks, by index of the frame).

    Raises:
        InputError: Files are missing or do not belong together, or neither or both of `dataset` and
            `video` are given.

    >>> from pathlib import Path
    >>> from tempfile import mkdtemp
    >>> import numpy as np
    >>> from PIL import Image
    >>> from densevos import write_mask
    >>> from densevos_eval import load_sequences
    >>> folder = Path(mkdtemp())
    >>> (folder / "clip").mkdir()
    >>> for t in range(3):
    ...     Image.new("RGB", (64, 48), "grey").save(folder / "clip" / f"{t:05d}.jpg")
    >>> mask = np.zeros((48, 64), np.uint8)
    >>> mask[10:30, 20:40] = 1
    >>> write_mask(folder / "first.png", mask)
    >>> (clip,) = load_sequences(video=folder / "clip", mask=folder / "first.png")
    >>> clip.name, clip.frame_names, list(clip.masks())
    ('clip', ('00000', '00001', '00002'), [0])
    """
    # Exactly one kind of input must be named.
    if (dataset is None) == (video is None):
        raise InputError("load_sequences: name either a dataset with its root, or a video")

    if video is not None:
        # Scripts may give strings; everything below takes paths.
        mask = Path(mask) if mask is not None else None
        return [own_video(Path(video), mask, start=start, end=end)]

    # An option without effect would hide a mistake of the caller.
    if (mask, start, end) != (None, None, None):
        raise InputError(
            "load_sequences: mask, start and end are for video, not for a dataset; leave them out"
        )

    # The options check the dataset and its root.
    root = Path(root) if root is not None else None
    return BenchmarkOptions(dataset=dataset, root=root, split=split, sequences=tuple(names)).load()
