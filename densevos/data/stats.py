"""`densevos data stats`: an index in numbers."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from densevos.data.sources.index_file import MEANING, Status, VideoIndex

MOST = 5
"""So many sizes and rates are listed, the most frequent ones."""


@dataclass(frozen=True, kw_only=True)
class ClipNeed:
    """What a recipe asks of a video."""

    recipe: str
    frames: int
    gap: int


def statistics(index: VideoIndex, need: ClipNeed | None = None) -> list[tuple[str, str]]:
    """Numbers of an index, as label and text; all but the first and the last ones are of usable
    videos.
    """
    usable = np.flatnonzero(index.status == Status.USABLE)
    frames, rates = index.frames[usable], index.rate[usable]
    timed = rates > 0
    hours = float((frames[timed] / rates[timed]).sum()) / 3600
    lines = [
        ("set", f"{index.dataset}, split {index.split}, in {index.root}"),
        ("videos", f"{len(index):,}, {len(usable):,} of them usable"),
        (
            "hours",
            f"{hours:,.2f}"
            + ("" if timed.all() else f" of {int(timed.sum()):,} videos whose rate is known"),
        ),
        ("frames", f"{int(frames.sum(dtype=np.int64)):,}"),
    ]

    if len(usable):
        low, middle, high = (
            int(value) for value in (frames.min(), np.median(frames), frames.max())
        )
        lines.append(("frames of a video", f"{low:,} to {high:,}, median {middle:,}"))
        lines.append(("sizes", _most_frequent(_sizes(index, usable))))
        lines.append(
            (
                "frames per second",
                _most_frequent(Counter(f"{rate:.4g}" for rate in rates[timed].tolist())),
            )
        )

    if need is not None:
        span = need.frames * need.gap
        for least, why in (
            (need.frames, f"frames of a clip of {need.recipe}"),
            (span, "its frames times its gap; clips of these have a smaller gap"),
        ):
            lines.append((f"shorter than {least}", f"{int((frames < least).sum()):,} ({why})"))

    lines += [(MEANING[status], f"{count:,}") for status, count in index.unusable().items()]
    return lines


def _sizes(index: VideoIndex, rows: np.ndarray) -> Counter[str]:
    sizes, counts = np.unique(
        np.stack([index.width[rows], index.height[rows]]), axis=1, return_counts=True
    )
    return Counter(
        {f"{w}x{h}": int(count) for (w, h), count in zip(sizes.T.tolist(), counts, strict=True)}
    )


def _most_frequent(counts: Counter[str]) -> str:
    listed = ", ".join(f"{value} ({count:,})" for value, count in counts.most_common(MOST))
    others = len(counts) - MOST
    return listed + (f" and {others:,} others" if others > 0 else "")
