"""Distances along paths on which colours change little."""

# Shapes: h x w pixels of the picture.

import cv2
import numpy as np

STEP = 0.01
"""Cost of a step of one pixel if colours do not change at all; colours are in 0..1."""


def geodesic_distances(picture: np.ndarray, costs: np.ndarray) -> np.ndarray:
    """The geodesic distance of each pixel from the places where a path may start.

    The method passes over the rows, down and up, as in Toivanen (Pattern Recognition Letters,
    1996).

    Args:
        picture: [h,w,3] uint8 RGB.
        costs: What it costs to start a path at each pixel, [h,w] float32; infinite if it cannot.

    Returns:
        Distances [h,w] float32.
    """
    lab = cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2Lab) / 100
    # Where no path may start, the distance is far larger than that of any path, but finite.
    distance: np.ndarray = np.minimum(costs, np.float32(1e6))

    # Costs of a step down [h-1,w] and to the right [h,w-1], and of the way from the left border.
    down = np.linalg.norm(np.diff(lab, axis=0), axis=-1) + np.float32(STEP)
    right = np.linalg.norm(np.diff(lab, axis=1), axis=-1) + np.float32(STEP)
    along = np.pad(np.cumsum(right, 1), ((0, 0), (1, 0)))  # [h,w]

    # Two rounds of passes: paths may turn several times.
    for _ in range(2):
        for rows in (range(len(lab)), range(len(lab) - 1, -1, -1)):
            previous = None
            for row in rows:
                if previous is not None:
                    through = distance[previous] + down[min(row, previous)]
                    np.minimum(distance[row], through, out=distance[row])

                # The cheapest way along a row, without a loop over pixels: from column a to column
                # b it costs |way[b] - way[a]|.
                way = along[row]
                from_left = np.minimum.accumulate(distance[row] - way) + way
                from_right = np.minimum.accumulate((distance[row] + way)[::-1])[::-1] - way
                distance[row] = np.minimum(from_left, from_right)
                previous = row

    return distance
