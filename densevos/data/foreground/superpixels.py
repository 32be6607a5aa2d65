"""Superpixels: small regions of one colour, and what pixels have on average within each."""

import numpy as np
from skimage.segmentation import slic


def superpixels(image: np.ndarray, count: int) -> np.ndarray:
    """About `count` SLIC superpixels of an RGB image [H,W,3] uint8: labels [H,W] from 0 on.

    scikit-image gives fragments below `min_size_factor` of the mean size to a neighbour. With its
    own 0.5, and a compactness of 10, a quarter of the superpixels of a textured frame run together,
    objects with their ground.
    """
    labels: np.ndarray = slic(
        image, n_segments=count, compactness=20, min_size_factor=0.25, start_label=0
    )
    return labels


def superpixel_means(labels: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Means within each superpixel: labels [H,W] of N, values [H,W,C] -> [N,C] float64."""
    flat = labels.ravel()
    channels = values.reshape(flat.size, -1).T
    return (
        np.stack([np.bincount(flat, channel) for channel in channels], axis=1)
        / np.bincount(flat)[:, None]
    )


def touching(labels: np.ndarray) -> np.ndarray:
    """Pairs of superpixels that share a side of a pixel, each once: [pairs,2], the smaller label
    first.
    """
    pairs = [
        np.stack([a[a != b], b[a != b]], axis=1)
        for a, b in ((labels[:, 1:], labels[:, :-1]), (labels[1:], labels[:-1]))
    ]

    return np.unique(np.sort(np.concatenate(pairs), axis=1), axis=0)
