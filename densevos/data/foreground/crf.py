"""Dense CRF: sharpens a foreground probability so that its edges follow the image's colours.

Fully connected CRF of two labels with mean-field inference (Kraehenbuehl and Koltun, NeurIPS 2011).
It serves saliency and activation maps, relabelling between rounds of training, and zero-shot masks.
Its probabilities agree with those of the package pydensecrf to five digits.
"""

# Shapes: H x W pixels of the map and the image. Features are [d,H*W], energies [2,H*W] with
# background before foreground.

from dataclasses import dataclass
from typing import Literal

import numpy as np

from densevos.base.errors import InputError


@dataclass(frozen=True, kw_only=True)
class CrfConfig:
    """Parameters of the dense CRF; the defaults are the preset `mug`.

    Lengths are pixels of the image that is refined. On an image of half the size, the same number
    reaches twice as far.
    """

    clip: float = 0.01
    """Probabilities are clipped to this distance from 0 and 1."""
    normalise: bool = False
    """Stretch each map to 0..1 first; this invents an object in a frame that has none."""
    unary: Literal["log", "double_log"] = "log"
    """Unary energy: `log` is -log p; `double_log` is that of MATNet's script, -log of the other
    label's -log(p) / (1.05 sigmoid(p)).
    """
    gaussian_sxy: float = 3.0
    """Standard deviation, in pixels, of the smoothing term that depends on positions alone."""
    gaussian_compat: float = 3.0
    """Weight of the smoothing term that depends on positions alone."""
    bilateral_sxy: float = 30.0
    """Standard deviation of the position, in pixels, in the smoothing term between pixels of
    similar colour.
    """
    bilateral_srgb: float = 5.0
    """Standard deviation of the colour, in levels of 0..255, in the smoothing term between pixels
    of similar colour.
    """
    bilateral_compat: float = 5.0
    """Weight of the smoothing term between pixels of similar colour."""
    iterations: int = 5
    """Number of mean-field iterations."""


PRESETS: dict[str, CrfConfig] = {
    "mug": CrfConfig(),
    "cosnet": CrfConfig(
        clip=1e-5,
        normalise=True,
        gaussian_sxy=1.0,
        gaussian_compat=5.0,
        bilateral_sxy=15.0,
        bilateral_srgb=7.0,
        bilateral_compat=9.0,
    ),
    "matnet": CrfConfig(clip=1e-5, unary="double_log"),
}
"""Parameters by name.

mug: the MuG paper names the CRF but gives no parameters. The pairwise terms are those of MATNet's
script (apply_densecrf_davis.py), on the plain -log of the map.
cosnet: COSNet's script (densecrf_apply_cvpr2019.py) stretches each map to 0..1. It tries bilateral
sxy 10, 15, 20 and compat 8, 9, 10 without naming the best, so the middle values are used.
matnet: MATNet's script, which makes at most five iterations. It stops earlier if the KL divergence
changes by less than 500; this rule is left out.
"""


def refine(
    probability: np.ndarray, image: np.ndarray, config: CrfConfig = PRESETS["mug"]
) -> np.ndarray:
    """Refine a foreground probability by mean-field inference.

    Args:
        probability: Foreground probability [H,W] in 0..1.
        image: RGB [H,W,3] uint8 of the same size.
        config: Parameters of the CRF.

    Returns:
        Foreground probability [H,W] float32; the mask is where it is above 0.5.

    Raises:
        ValueError: The image has another size or type.
        InputError: A standard deviation is too small for the image.
    """
    # Imported here: scipy is slow to load, and most users of CrfConfig never refine.
    from densevos.data.foreground.mean_field import infer, pairwise_term

    height, width = probability.shape
    if image.shape != (height, width, 3) or image.dtype != np.uint8:
        raise ValueError(
            f"image {image.shape} {image.dtype}: must be ({height}, {width}, 3) uint8, as large as"
            " the map"
        )

    # The two terms of the paper: smoothness of positions alone, and of similar colours nearby.
    positions = position_features(height, width, config.gaussian_sxy)
    colours = colour_features(image, config.bilateral_sxy, config.bilateral_srgb)
    try:
        terms = [
            pairwise_term(positions, config.gaussian_compat),
            pairwise_term(colours, config.bilateral_compat),
        ]
    except ValueError:
        raise InputError(
            f"dense CRF of {width}x{height} pixels: gaussian_sxy {config.gaussian_sxy},"
            f" bilateral_sxy {config.bilateral_sxy} or bilateral_srgb {config.bilateral_srgb} is"
            " too small; choose a larger one"
        ) from None

    # [2,H*W] -> [H,W]: row 1 is the foreground.
    refined = infer(unary_energy(probability, config), terms, config.iterations)
    foreground: np.ndarray = refined[1].reshape(height, width)
    return foreground


def position_features(height: int, width: int, sxy: float) -> np.ndarray:
    """Positions of all pixels, as features of the smoothing term.

    Args:
        height: H, pixels.
        width: W, pixels.
        sxy: Standard deviation of the position, pixels.

    Returns:
        x and y in standard deviations, [2,H*W] float32.
    """
    # Pixels in the order of rows, as in a map [H,W] that is flattened.
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return np.stack([x, y]).reshape(2, -1) / np.float32(sxy)


def colour_features(image: np.ndarray, sxy: float, srgb: float) -> np.ndarray:
    """Positions and colours of all pixels, as features of the term between similar colours.

    Args:
        image: [H,W,3] uint8 RGB.
        sxy: Standard deviation of the position, pixels.
        srgb: Standard deviation of the colour, levels of 0..255.

    Returns:
        x, y, red, green and blue in standard deviations, [5,H*W] float32.
    """
    height, width, _ = image.shape
    # [H,W,3] -> [3,H*W]
    colours = image.reshape(-1, 3).T.astype(np.float32) / np.float32(srgb)
    return np.concatenate([position_features(height, width, sxy), colours])


def unary_energy(probability: np.ndarray, config: CrfConfig) -> np.ndarray:
    """Unary energies of both labels.

    Args:
        probability: Foreground probability [H,W] in 0..1.
        config: Parameters of the CRF.

    Returns:
        Energies of background and foreground, [2,H*W] float32.
    """
    p = probability.astype(np.float64)
    # A constant map has no range to stretch.
    if config.normalise and np.ptp(p) > 0:
        p = (p - p.min()) / np.ptp(p)

    # Clipping keeps the logarithms finite, and lets the pairwise terms overrule certain pixels.
    p = np.clip(p, config.clip, 1 - config.clip)
    likely = np.stack([1 - p, p])
    if config.unary == "double_log":
        # The energies of the two labels change places: the second logarithm takes them for
        # probabilities.
        likely = np.clip((-np.log(likely) * (1 + np.exp(-likely)) / 1.05)[::-1], 1e-5, 1)

    return np.ascontiguousarray(-np.log(likely).reshape(2, -1), dtype=np.float32)
