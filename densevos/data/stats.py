"""`densevos data stats`: statistics of an index of videos."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from densevos.data.sources.index_file import MEANING, Status, VideoIndex

MOST = 5
"""Number of sizes and of rates that are listed, the most frequent ones."""


@dataclass(frozen=True, kw_only=True)
class ClipNeed:
    """The clips that a recipe samples from a video."""

    recipe: str
    """Name of the recipe."""
    frames: int
    """Number of frames of a clip."""
    gap: int
    """Distance between two frames of a clip, frames of the video."""


def statistics(index: VideoIndex, need: ClipNeed | None = None) -> list[tuple[str, str]]:
    """Compute the statistics of an index.

    Args:
        index: The index.
        need: The clips to be sampled; None leaves out the lines about videos that are too short.

    Returns:
        Pairs of label and text. The first lines describe the dataset, the last ones count unusable
        videos, and all others are about usable videos.
    """
    # The length and rate of an unusable video may be missing or wrong.
    usable = np.flatnonzero(index.status == Status.USABLE)
    frames, rates = index.frames[usable], index.rate[usable]

    # The duration of a video is known only if its rate is.
    timed = rates > 0
    hours = float((frames[timed] / rates[timed]).sum()) / 3600
    duration = f"{hours:,.2f}"
    if not timed.all():
        duration += f" of {int(timed.sum()):,} videos whose rate is known"

    lines = [
        ("set", f"{index.dataset}, split {index.split}, in {index.root}"),
        ("videos", f"{len(index):,}, {len(usable):,} of them usable"),
        ("hours", duration),
        ("frames", f"{int(frames.sum(dtype=np.int64)):,}"),
    ]

    if len(usable):
        low, middle, high = int(frames.min()), int(np.median(frames)), int(frames.max())
        rate_counts = Counter(f"{rate:.4g}" for rate in rates[timed].tolist())
        lines.append(("frames of a video", f"{low:,} to {high:,}, median {middle:,}"))
        lines.append(("sizes", _most_frequent(_sizes(index, usable))))
        lines.append(("frames per second", _most_frequent(rate_counts)))

    if need is not None:
        # A clip spans its frames times the gap between them; a shorter video gets a smaller gap.
        span = need.frames * need.gap
        for least, why in (
            (need.frames, f"frames of a clip of {need.recipe}"),
            (span, "its frames times its gap; clips of these videos have a smaller gap"),
        ):
            lines.append((f"shorter than {least}", f"{int((frames < least).sum()):,} ({why})"))

    lines += [(MEANING[status], f"{count:,}") for status, count in index.unusable().items()]
    return lines


def _sizes(index: VideoIndex, rows: np.ndarray) -> Counter[str]:
    """How many of the videos in `rows` have each size, as WIDTHxHEIGHT."""
    # Column i holds width and height of video i.
    size_of_video = np.stack([index.width[rows], index.height[rows]])
    sizes, videos_of_size = np.unique(size_of_video, axis=1, return_counts=True)

    counts: Counter[str] = Counter()
    for (width, height), videos in zip(sizes.T.tolist(), videos_of_size, strict=True):
        counts[f"{width}x{height}"] = int(videos)

    return counts


def _most_frequent(counts: Counter[str]) -> str:
    """The most frequent values with their counts, and the number of other values."""
    listed = ", ".join(f"{value} ({count:,})" for value, count in counts.most_common(MOST))
    others = len(counts) - MOST
    if others > 0:
        listed += f" and {others:,} others"

    return listed
