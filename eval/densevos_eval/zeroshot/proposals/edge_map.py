"""Edges of an image as EdgeBoxes needs them: strength, orientation, and thin lines.

Nothing is learned. A structured forest (Dollar and Zitnick, ICCV 2013) finds more of the edges that
people draw, but no package contains its weights. The gradient, which is used here, misses outlines
that only texture shows. Users can replace it by another edge map.
"""

# Shapes: H x W pixels of an image.

from collections.abc import Callable

import cv2
import numpy as np

EdgeMap = Callable[[np.ndarray], np.ndarray]
"""RGB [H,W,3] uint8 -> strength of edges [H,W] float32 in 0..1."""

BLUR = 2.0
"""Standard deviation of the Gaussian before the gradient, in pixels."""
STRONGEST = 99.5
"""Percentile of the gradient that counts as 1."""
WEAKEST = 1.0
"""Weakest gradient that counts, an eighth of a grey level per pixel: less is rounding only."""
SMOOTHING = 4.0
"""Standard deviation of the Gaussian before the second derivatives, in pixels."""
SLACK = 1.01
"""Factor that makes up for rounding where an edge is compared with its neighbours."""


def gradient_edges(frame: np.ndarray) -> np.ndarray:
    """Compute the strength of edges: the largest Sobel gradient of the three blurred colours.

    Args:
        frame: RGB [H,W,3] uint8.

    Returns:
        Strength [H,W] float32 in 0..1; 0 in a frame of one colour.
    """
    blurred = cv2.GaussianBlur(frame.astype(np.float32), (0, 0), BLUR)
    # [H,W,3]: each colour has its gradient, and the largest of the three counts.
    along_x = cv2.Sobel(blurred, cv2.CV_32F, 1, 0)
    along_y = cv2.Sobel(blurred, cv2.CV_32F, 0, 1)
    strength = np.hypot(along_x, along_y).max(axis=2)

    # A percentile, since the strongest edge alone may be an outlier.
    peak = float(np.percentile(strength, STRONGEST))
    if peak < WEAKEST:
        peak = float(strength.max())  # If there are few edges, all may lie above the percentile.

    if peak < WEAKEST:
        return np.zeros_like(strength)

    edges: np.ndarray = np.clip(strength / peak, 0, 1)
    return edges


def orientation(edges: np.ndarray) -> np.ndarray:
    """Compute the direction across each edge.

    The formula is that of the toolbox of structured edges, for which EdgeBoxes is tuned. It is
    exact for multiples of 45 degrees, and up to 12 degrees off between them, where the ratio of the
    second derivatives is the square of the tangent.

    Args:
        edges: strength [H,W] float32.

    Returns:
        Angle [H,W] float32 in [0,pi), from the x axis towards the y axis: 0 for a vertical edge,
        pi/2 for a horizontal one.
    """
    smooth = cv2.GaussianBlur(edges, (0, 0), SMOOTHING)
    xx = cv2.Sobel(smooth, cv2.CV_32F, 2, 0)
    xy = cv2.Sobel(smooth, cv2.CV_32F, 1, 1)
    yy = cv2.Sobel(smooth, cv2.CV_32F, 0, 2)

    # The curvature of the strength is largest across an edge. The sign of the mixed derivative is
    # that of the angle. np.sign would be 0 for edges exactly along the x axis.
    side = np.where(xy > 0, -1, 1)
    angle = np.mod(np.arctan(yy * side / (xx + 1e-5)), np.pi).astype(np.float32)

    # Rounding to float32 can reach pi itself.
    return np.where(angle >= np.float32(np.pi), np.float32(0), angle)


def thinned(edges: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Thin edges to the line along which they are strongest (non-maximum suppression).

    Args:
        edges: strength [H,W] float32.
        angle: direction across the edges [H,W] float32; see `orientation`.

    Returns:
        Strength [H,W] float32, 0 where a neighbour one pixel across the edge is stronger.
    """
    height, width = edges.shape
    columns, rows = np.meshgrid(
        np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
    )
    across_x, across_y = np.cos(angle), np.sin(angle)

    # Neighbours lie between pixels, so their strength is interpolated.
    thin = edges.copy()
    for step in (-1, 1):
        neighbour = cv2.remap(
            edges,
            columns + step * across_x,
            rows + step * across_y,
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        thin[edges * SLACK < neighbour] = 0

    return thin
