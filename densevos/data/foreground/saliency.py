"""Manifold-ranking saliency: what is unlike the image's borders is an object; needs no training.

Yang, Zhang, Lu, Ruan, Yang, "Saliency detection via graph-based manifold ranking", CVPR 2013; the
heuristic of MuG's unsupervised setting.
"""

import numpy as np
from skimage.color import rgb2lab

from densevos.data.foreground.superpixels import superpixel_means, superpixels

SUPERPIXELS = 200
SIGMA2 = 0.1
ALPHA = 0.99
ONE_COLOUR = 0.01


def saliency(image: np.ndarray) -> np.ndarray:
    """How salient each pixel of an RGB image [H,W,3] uint8 is: [H,W] float32 in 0..1, constant in a
    superpixel.

    The most salient superpixel has 1 in every image, objects or not; only an image of one colour
    gets 0 all over.
    """
    labels = superpixels(image, SUPERPIXELS)
    colours = mean_colours(image, labels)
    if np.ptp(colours, axis=0).max() < ONE_COLOUR:
        return np.zeros(labels.shape, np.float32)

    ranking = ranking_matrix(colours, neighbours(labels))
    area = np.bincount(labels.ravel()) / labels.size
    unlike = [1 - unit_range(ranking @ query) for query in border_queries(labels)]
    background_based = unit_range(np.prod(unlike, axis=0))
    query = background_based >= area @ background_based

    return unit_range(ranking @ query)[labels].astype(np.float32)


def mean_colours(image: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Mean CIELAB colour of each superpixel, [N,3], every channel stretched to 0..1 over the image.

    A channel whose range is below one Lab unit, too little to be seen, is not stretched any
    further.
    """
    lab = rgb2lab(image).reshape(-1, 3)
    low = lab.min(axis=0)
    return superpixel_means(labels, (lab - low) / np.maximum(lab.max(axis=0) - low, 1.0))


def neighbours(labels: np.ndarray) -> np.ndarray:
    """The graph of superpixels [H,W]: symmetric, boolean [N,N], nobody is his own neighbour.

    Joined are those that touch (8 directions), those with a common neighbour (2-ring), and all
    pairs on the image's border (closed loop).
    """
    n = labels.max() + 1
    touch = np.zeros((n, n), bool)
    for a, b in (
        (labels[:, 1:], labels[:, :-1]),
        (labels[1:], labels[:-1]),
        (labels[1:, 1:], labels[:-1, :-1]),
        (labels[1:, :-1], labels[:-1, 1:]),
    ):
        touch[a, b] = True

    touch |= touch.T
    border = np.any(border_queries(labels), axis=0)
    ways = touch.astype(np.float32)
    graph = touch | (ways @ ways > 0) | np.outer(border, border)
    np.fill_diagonal(graph, False)

    return graph


def border_queries(labels: np.ndarray) -> np.ndarray:
    """Which superpixels lie on the top, bottom, left and right border: boolean [4,N]."""
    queries = np.zeros((4, labels.max() + 1), bool)
    for query, side in zip(
        queries, (labels[0], labels[-1], labels[:, 0], labels[:, -1]), strict=True
    ):
        query[side] = True

    return queries


def ranking_matrix(colours: np.ndarray, graph: np.ndarray) -> np.ndarray:
    """(D - alpha W)^-1 without its diagonal, [N,N]: times a query [N], how alike each node is to
    it.

    W: exp(-|c_i - c_j| / sigma^2) between neighbours (Yang et al., Eqs. 3 and 4). The diagonal is
    set to 0 so that no node speaks for itself.
    """
    distance = np.linalg.norm(colours[:, None] - colours[None], axis=2)
    weights = np.where(graph, np.exp(-distance / SIGMA2), 0.0)
    ranking = np.linalg.inv(np.diag(weights.sum(axis=1)) - ALPHA * weights)
    np.fill_diagonal(ranking, 0.0)

    return ranking


def unit_range(values: np.ndarray) -> np.ndarray:
    """Stretch to 0..1; values that are all equal, up to rounding, become 0."""
    low, high = values.min(), values.max()
    if high - low <= 1e-9 * abs(high):
        return np.zeros_like(values, dtype=float)

    return (values - low) / (high - low)
