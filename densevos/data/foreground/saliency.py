"""Manifold-ranking saliency: what is unlike the image's borders is an object; needs no training.

Yang, Zhang, Lu, Ruan, Yang, "Saliency detection via graph-based manifold ranking", CVPR 2013. It is
the source of foreground maps in MuG's unsupervised setting.
"""

# Shapes: H x W pixels of the image, N superpixels.

import numpy as np
from skimage.color import rgb2lab

from densevos.data.foreground.superpixels import superpixel_means, superpixels

SUPERPIXELS = 200
"""Approximate number of superpixels of an image."""
SIGMA2 = 0.1
"""sigma^2 of Eq. 4: the colour distance, of scaled channels, at which two neighbours weigh 1/e."""
ALPHA = 0.99
"""alpha of Eq. 3: how strongly neighbours pull each other to the same rank."""
ONE_COLOUR = 0.01
"""An image whose mean colours differ by less than this in every channel has one colour."""


def saliency(image: np.ndarray) -> np.ndarray:
    """How salient each pixel of an image is.

    The most salient superpixel has 1 in every image, also in one without objects. Only an image of
    one colour is 0 everywhere.

    Args:
        image: [H,W,3] uint8 RGB.

    Returns:
        [H,W] float32 in 0..1, constant in a superpixel.
    """
    labels = superpixels(image, SUPERPIXELS)
    colours = mean_colours(image, labels)
    if np.ptp(colours, axis=0).max() < ONE_COLOUR:
        return np.zeros(labels.shape, np.float32)

    # One matrix serves all queries of both stages; only the queries differ.
    ranking = ranking_matrix(colours, neighbours(labels))
    # Weights for a mean over pixels instead of superpixels, which differ in size.
    area = np.bincount(labels.ravel()) / labels.size

    # First stage: what is unlike each of the four sides.
    unlike = [1 - unit_range(ranking @ query) for query in border_queries(labels)]
    background_based = unit_range(np.prod(unlike, axis=0))

    # Second stage: what is like the superpixels that are above the mean of the first.
    query = background_based >= area @ background_based

    saliency: np.ndarray = unit_range(ranking @ query)[labels].astype(np.float32)
    return saliency


def mean_colours(image: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Mean CIELAB colour of each superpixel, every channel stretched to 0..1 over the image.

    A range below one Lab unit, which is too small to be seen, is stretched like a range of one.

    Args:
        image: [H,W,3] uint8 RGB.
        labels: Superpixel [H,W] of each pixel.

    Returns:
        [N,3] float64.
    """
    lab = rgb2lab(image).reshape(-1, 3)
    # Each channel is stretched over the image, so SIGMA2 fits images of any contrast.
    low = lab.min(axis=0)
    return superpixel_means(labels, (lab - low) / np.maximum(lab.max(axis=0) - low, 1.0))


def neighbours(labels: np.ndarray) -> np.ndarray:
    """Which superpixels are neighbours in the graph that ranking uses.

    Neighbours are superpixels that touch (8 directions) or have a common neighbour (2-ring), and
    all pairs on the image's border (closed loop).

    Args:
        labels: Superpixel [H,W] of each pixel.

    Returns:
        Symmetric boolean [N,N] with an empty diagonal.
    """
    n = labels.max() + 1

    # Shift the image against itself along the four axes; symmetry covers the opposite directions.
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

    # The square of the adjacency counts the ways of length two; float32 makes the product fast.
    ways = touch.astype(np.float32)
    graph: np.ndarray = touch | (ways @ ways > 0) | np.outer(border, border)
    np.fill_diagonal(graph, False)

    return graph


def border_queries(labels: np.ndarray) -> np.ndarray:
    """Which superpixels lie on the top, bottom, left and right border.

    Args:
        labels: Superpixel [H,W] of each pixel.

    Returns:
        Boolean [4,N].
    """
    queries = np.zeros((4, labels.max() + 1), bool)
    for query, side in zip(
        queries, (labels[0], labels[-1], labels[:, 0], labels[:, -1]), strict=True
    ):
        query[side] = True

    return queries


def ranking_matrix(colours: np.ndarray, graph: np.ndarray) -> np.ndarray:
    """The matrix (D - alpha W)^-1 without its diagonal, which ranks superpixels.

    W is exp(-|c_i - c_j| / sigma^2) between neighbours and D the diagonal of its row sums (Yang et
    al., Eqs. 3 and 4). The diagonal of the result is 0, so that no node votes for itself.

    Args:
        colours: Mean colours [N,3].
        graph: Boolean [N,N]: which superpixels are neighbours.

    Returns:
        [N,N]. Its product with a query [N] tells how similar each superpixel is to the query.
    """
    distance = np.linalg.norm(colours[:, None] - colours[None], axis=2)
    weights = np.where(graph, np.exp(-distance / SIGMA2), 0.0)
    ranking = np.linalg.inv(np.diag(weights.sum(axis=1)) - ALPHA * weights)
    np.fill_diagonal(ranking, 0.0)

    return ranking


def unit_range(values: np.ndarray) -> np.ndarray:
    """Stretch values to 0..1; if all are equal, up to rounding, they become 0."""
    low, high = values.min(), values.max()
    if high - low <= 1e-9 * abs(high):
        return np.zeros_like(values, dtype=float)

    stretched: np.ndarray = (values - low) / (high - low)
    return stretched
