"""Motion map: which pixels of a frame move in another way than the camera makes the scene move.

After the motion cues of Papazoglou and Ferrari, "Fast object segmentation in unconstrained video",
ICCV 2013, with a robust model of the camera's motion in the place of their motion boundaries.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

SAMPLES = 6000
"""About so many pixels of a regular grid are fitted."""
ROUNDS = 8
"""Of reweighting."""
BORDER = 1 / 8
"""Width of the border, a share of the shorter side, that is background to begin with."""
LEAST_SCALE = 0.15
"""Pixels: flow is no more exact than this."""
CERTAIN = 6.0
"""A motion so many times the noise is trusted by 1 - 1/e."""
STILL = 0.5
"""Pixels a frame: what moves less against the scene is not told from noise."""
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
    """0..1: how far the fastest motion is above noise; 0 where nothing is known."""
    fastest: float
    """The fastest motion against the scene, pixels a frame."""


def own_motion(flows: Sequence[np.ndarray], size: tuple[int, int]) -> Motion:
    """The motion of a frame of `size` (H, W), from its flow [H,W,2] float32 to the next and to the
    previous frame.

    Of two flows, the slower motion counts: beside an object the scene appears in one direction
    alone, and what appears has no true flow. With one flow that one counts, and without any nothing
    is known to move.
    """
    if not flows:
        return Motion(map=np.zeros(size, np.float32), trust=0.0, fastest=0.0)

    fits = [against_scene(flow) for flow in flows]
    speed = np.minimum.reduce([fit[0] for fit in fits])
    noise = float(np.mean([fit[1] for fit in fits]))
    fastest = float(np.percentile(speed, 99))
    if fastest == 0:
        return Motion(map=np.zeros(size, np.float32), trust=0.0, fastest=0.0)

    return Motion(
        map=np.clip(speed / fastest, 0, 1).astype(np.float32),
        trust=1 - float(np.exp(-((fastest / (3 * noise + 0.3) / CERTAIN) ** 2))),
        fastest=fastest,
    )


def motion_probability(motion: Motion) -> np.ndarray:
    """The motion map as a probability of foreground, [H,W] float32: none where nothing moves
    against the scene.
    """
    if motion.fastest < STILL:
        return np.zeros(motion.map.shape, np.float32)

    return np.interp(motion.map, (0, THRESHOLD, 1), (0, 0.5, 1)).astype(np.float32)


def against_scene(flow: np.ndarray) -> tuple[np.ndarray, float]:
    """Length [H,W] of the flow [H,W,2] minus the camera's motion, pixels, and the robust scale of
    what is left of it.

    The camera's motion is a quadratic polynomial of the place, six coefficients for each direction,
    fitted by iteratively reweighted least squares (Geman-McClure weights), which begins with more
    trust in the frame's border.
    """
    height, width = flow.shape[:2]
    step = max(1, round(np.sqrt(height * width / SAMPLES)))
    terms = _polynomial(height, width)
    sampled, target = (
        one[::step, ::step].reshape(-1, one.shape[2]).astype(np.float64) for one in (terms, flow)
    )
    weights = np.where(_border(height, width)[::step, ::step].ravel(), 1.0, 0.5)

    scale = LEAST_SCALE
    coefficients: np.ndarray = np.zeros((terms.shape[2], 2))
    for _ in range(ROUNDS):
        weighted = sampled * weights[:, None]
        # The small ridge lets frames of a few pixels, which leave coefficients open, be solved.
        coefficients = np.linalg.solve(
            weighted.T @ sampled + 1e-3 * np.eye(terms.shape[2]), weighted.T @ target
        )
        rest = np.linalg.norm(target - sampled @ coefficients, axis=1)
        scale = max(1.4826 * float(np.median(rest)), LEAST_SCALE)
        weights = (1 + (rest / (2 * scale)) ** 2) ** -2

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
