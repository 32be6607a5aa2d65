"""Superpixels: small regions of one colour, and the means of pixel values within them."""

# Shapes: H x W pixels of the image, N superpixels, C channels of a pixel.

import numpy as np
from skimage.segmentation import slic


def superpixels(image: np.ndarray, count: int) -> np.ndarray:
    """Split an image into SLIC superpixels.

    Args:
        image: [H,W,3] uint8 RGB.
        count: Approximate number of superpixels.

    Returns:
        The superpixel of each pixel, [H,W], numbered from 0.
    """
    # scikit-image merges fragments below `min_size_factor` of the mean size into a neighbour. With
    # its default of 0.5 and a compactness of 10, a quarter of the superpixels of a textured frame
    # is merged, objects with their background.
    labels: np.ndarray = slic(
        image, n_segments=count, compactness=20, min_size_factor=0.25, start_label=0
    )
    return labels


def superpixel_means(labels: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Means of the values of the pixels within each superpixel.

    Args:
        labels: Superpixel [H,W] of each pixel.
        values: [H,W,C].

    Returns:
        [N,C] float64.
    """
    flat = labels.ravel()
    channels = values.reshape(flat.size, -1).T
    return (
        np.stack([np.bincount(flat, channel) for channel in channels], axis=1)
        / np.bincount(flat)[:, None]
    )


def touching(labels: np.ndarray) -> np.ndarray:
    """Pairs of superpixels that touch along the side of a pixel.

    Args:
        labels: Superpixel [H,W] of each pixel.

    Returns:
        [pairs,2], each pair once, with the smaller label first.
    """
    pairs = []
    for a, b in ((labels[:, 1:], labels[:, :-1]), (labels[1:], labels[:-1])):
        differs = a != b
        pairs.append(np.stack([a[differs], b[differs]], axis=1))

    return np.unique(np.sort(np.concatenate(pairs), axis=1), axis=0)
