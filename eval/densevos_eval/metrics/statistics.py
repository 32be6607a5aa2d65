"""Mean, recall and decay of one object's scores over time."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """What DAVIS reports of the scores of one object: mean, share above one half, loss over
    time.
    """

    mean: float
    recall: float
    decay: float


def statistics(values: np.ndarray, *, decay_uint8: bool = False) -> Statistics:
    """Statistics of the scores [frames] of one object, at least one frame.

    Decay is the mean of the first quarter of the frames less the mean of the last; neighbouring
    quarters share a frame. Source: Perazzi et al., CVPR 2016, section 4; quarters as in the DAVIS
    toolbox, but with whole numbers where the toolbox keeps 8 bits and goes wrong beyond 256 frames.
    `decay_uint8` goes wrong the same way: the quarters wrap around, and one that ends before it
    begins makes the decay NaN.
    """
    ends = np.round(np.linspace(1, len(values), 5) + 1e-10).astype(int) - 1
    if decay_uint8:
        ends %= 256

    first, last = values[ends[0] : ends[1] + 1], values[ends[3] : ends[4] + 1]
    return Statistics(
        mean=float(np.mean(values)),
        recall=float(np.mean(values > 0.5)),
        decay=float(np.mean(first) - np.mean(last)) if len(first) and len(last) else float("nan"),
    )


def known_mean(values: np.ndarray) -> float:
    """Mean of the values that are numbers; NaN if none is."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")
