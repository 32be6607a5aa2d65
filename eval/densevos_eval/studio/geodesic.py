"""Distances along paths on which colours change little."""

import cv2
import numpy as np

STEP = 0.01
"""Cost of a step of one pixel where colours do not change at all; colours are in 0..1."""


def geodesic_distances(picture: np.ndarray, costs: np.ndarray) -> np.ndarray:
    """Geodesic distance [h,w] float32 of each pixel from places that cost so much [h,w] to start
    from.

    Passes over rows, down and up, as in Toivanen (Pattern Recognition Letters, 1996).
    """
    lab = cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2Lab) / 100
    distance = np.minimum(costs, np.float32(1e6))
    down, right = (
        np.linalg.norm(np.diff(lab, axis=axis), axis=-1) + np.float32(STEP) for axis in (0, 1)
    )
    along = np.pad(np.cumsum(right, 1), ((0, 0), (1, 0)))

    for _ in range(2):
        for rows in (range(len(lab)), range(len(lab) - 1, -1, -1)):
            previous = None
            for row in rows:
                if previous is not None:
                    np.minimum(
                        distance[row],
                        distance[previous] + down[min(row, previous)],
                        out=distance[row],
                    )

                # The cheapest way along a row, from the left and from the right, without a loop
                # over pixels.
                way = along[row]
                distance[row] = np.minimum(
                    np.minimum.accumulate(distance[row] - way) + way,
                    np.minimum.accumulate((distance[row] + way)[::-1])[::-1] - way,
                )
                previous = row

    return distance
