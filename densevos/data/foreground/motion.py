"""Motion map: which pixels of a frame move in another way than the camera makes the scene move.

After the motion cues of Papazoglou and Ferrari, "Fast object segmentation in unconstrained video",
ICCV 2013, with a robust model of the camera's motion instead of their motion boundaries.
"""

# Shapes: H x W pixels of the frame; a flow [H,W,2] holds the motion along x and y in pixels.

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

SAMPLES = 6000
"""Approximate number of pixels, on a regular grid, that the camera's motion is fitted to."""
ROUNDS = 8
"""Rounds of reweighted least squares."""
BORDER = 1 / 8
"""Width of the frame's border, as a share of the shorter side; the fit starts from the assumption
that it is background.
"""
LEAST_SCALE = 0.15
"""Lower bound in pixels of the scale of the residuals: flow is not more exact than this."""
CERTAIN = 6.0
"""A motion of so many times the noise is trusted by 1 - 1/e."""
STILL = 0.5
"""Pixels per frame: a slower motion against the scene cannot be told from noise."""
THRESHOLD = 0.3
"""Motion above this share of a frame's fastest is foreground; chosen on the DAVIS-2016 training
sequences.
"""


@dataclass(frozen=True, kw_only=True)
class Motion:
    """What moves by itself in one frame."""

    map: np.ndarray
    """[H,W] float32 in 0..1: motion against the scene, as a share of the fastest of this frame."""
    trust: float
    """How far the fastest motion exceeds the noise, 0..1; 0 if the motion is unknown."""
    fastest: float
    """The fastest motion against the scene, in pixels per frame."""


def own_motion(flows: Sequence[np.ndarray], size: tuple[int, int]) -> Motion:
    """Which pixels of a frame move against the scene.

    Of two flows the slower motion counts: beside an object, the scene comes into view in only one
    direction of time, and what comes into view has no true flow.

    Args:
        flows: Flow [H,W,2] float32 to the next and to the previous frame; one of them, or none, if
            the frame lacks such neighbours. Without any flow nothing is taken to move.
        size: (H, W) of the frame.
    """
    if not flows:
        return Motion(map=np.zeros(size, np.float32), trust=0.0, fastest=0.0)

    fits = [against_scene(flow) for flow in flows]
    speed = np.minimum.reduce([fit[0] for fit in fits])
    noise = float(np.mean([fit[1] for fit in fits]))

    # A percentile instead of the maximum, so that a few wrong pixels of the flow do not decide.
    fastest = float(np.percentile(speed, 99))
    if fastest == 0:
        return Motion(map=np.zeros(size, np.float32), trust=0.0, fastest=0.0)

    return Motion(
        map=np.clip(speed / fastest, 0, 1).astype(np.float32),
        trust=1 - float(np.exp(-((fastest / (3 * noise + 0.3) / CERTAIN) ** 2))),
        fastest=fastest,
    )


def motion_probability(motion: Motion) -> np.ndarray:
    """The motion map as a foreground probability.

    Returns:
        [H,W] float32 in 0..1; all 0 if nothing moves against the scene.
    """
    if motion.fastest < STILL:
        return np.zeros(motion.map.shape, np.float32)

    probability: np.ndarray = np.interp(motion.map, (0, THRESHOLD, 1), (0, 0.5, 1)).astype(
        np.float32
    )
    return probability


def against_scene(flow: np.ndarray) -> tuple[np.ndarray, float]:
    """Subtract the camera's motion from a flow.

    The camera's motion is a quadratic polynomial of the position, six coefficients for each
    direction, fitted by iteratively reweighted least squares with Geman-McClure weights. The first
    round weights the frame's border double.

    Args:
        flow: [H,W,2] float32, pixels.

    Returns:
        The length [H,W] of the remaining motion, and the robust scale of the residuals, in pixels.
    """
    height, width = flow.shape[:2]

    # A grid of pixels is enough for twelve coefficients.
    step = max(1, round(np.sqrt(height * width / SAMPLES)))
    terms = _polynomial(height, width)
    sampled = terms[::step, ::step].reshape(-1, terms.shape[2]).astype(np.float64)
    target = flow[::step, ::step].reshape(-1, flow.shape[2]).astype(np.float64)
    weights = np.where(_border(height, width)[::step, ::step].ravel(), 1.0, 0.5)

    scale = LEAST_SCALE
    coefficients: np.ndarray = np.zeros((terms.shape[2], 2))
    for _ in range(ROUNDS):
        weighted = sampled * weights[:, None]
        # The small ridge makes the system solvable for frames of a few pixels, which would leave
        # coefficients undetermined.
        coefficients = np.linalg.solve(
            weighted.T @ sampled + 1e-3 * np.eye(terms.shape[2]), weighted.T @ target
        )

        # 1.4826 times the median of absolute deviations estimates a Gaussian's standard deviation.
        residual = np.linalg.norm(target - sampled @ coefficients, axis=1)
        scale = max(1.4826 * float(np.median(residual)), LEAST_SCALE)
        weights = (1 + (residual / (2 * scale)) ** 2) ** -2

    return np.linalg.norm(flow - terms @ coefficients.astype(np.float32), axis=2), scale


def _polynomial(height: int, width: int) -> np.ndarray:
    """1, x, y, xx, xy, yy of each pixel, x and y in -1..1: [H,W,6] float32."""
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=2).astype(np.float32)


def _border(height: int, width: int) -> np.ndarray:
    """Which pixels lie on the border of the frame, [H,W] bool."""
    margin = max(1, round(min(height, width) * BORDER))
    border = np.ones((height, width), bool)
    border[margin : height - margin, margin : width - margin] = False
    return border
