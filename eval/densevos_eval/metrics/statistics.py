"""Mean, recall and decay of one object's scores over time."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """What DAVIS reports about the scores of one object.

    Attributes:
        mean: Mean over the frames.
        recall: Share of the frames whose score is above one half.
        decay: How much the score falls over the video.
    """

    mean: float
    recall: float
    decay: float


def statistics(values: np.ndarray, *, decay_uint8: bool = False) -> Statistics:
    """Statistics of the scores of one object.

    Decay is the mean of the first quarter of the frames less the mean of the last quarter;
    neighbouring quarters share a frame.

    Args:
        values: Scores [frames] of one object, at least one frame.
        decay_uint8: Whether to reproduce an error of the DAVIS toolbox, which keeps the bounds of
            quarters in 8 bits. Beyond 256 frames the quarters wrap around, and a quarter that ends
            before it starts makes the decay NaN.

    Source: Perazzi et al., CVPR 2016, section 4; quarters as in the DAVIS toolbox.
    """
    # The toolbox adds 1e-10 before it rounds, and numbers frames from 1 on.
    ends = np.round(np.linspace(1, len(values), 5) + 1e-10).astype(int) - 1
    if decay_uint8:
        # Only here may quarters be empty.
        ends %= 256

    # Five bounds make four quarters, and a quarter includes both of its bounds.
    first, last = values[ends[0] : ends[1] + 1], values[ends[3] : ends[4] + 1]
    decay = float("nan")
    if len(first) and len(last):
        decay = float(np.mean(first) - np.mean(last))

    return Statistics(mean=float(np.mean(values)), recall=float(np.mean(values > 0.5)), decay=decay)


def known_mean(values: np.ndarray) -> float:
    """Mean of the values that are not NaN; NaN if there are none."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")
