"""Appearance of proposals as unit vectors, which are similar if proposals show one object."""

# Shapes: N masks, H x W pixels of a frame, h x w cells of a feature map, C channels of features,
# D channels of an embedding.

from collections.abc import Callable

import cv2
import numpy as np
import torch
from torch.nn import functional as F

from densevos_eval.adapters.encoder import Encoder

Embedding = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""RGB frame [H,W,3] uint8 and masks [N,H,W] bool, none of them empty -> unit rows [N,D] float32."""

BINS = 16  # Number of bins for each channel of a colour.
CROP = 128  # Side of a resized box, in pixels.


def colour(frame: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Embed masks by their colours: an `Embedding` without a network.

    A row holds the square roots of the shares of pixels in 16 bins of each of L, a and b, so that
    the distance between two rows is the Hellinger distance of their colours times the square root
    of 2. A value between the centres of two bins counts partly for both.

    Args:
        frame: RGB [H,W,3] uint8.
        masks: [N,H,W] bool.

    Returns:
        Unit rows [N,48] float32.
    """
    # Distances in Lab are closer to those that people see than distances in RGB.
    lab = cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2LAB)
    rows = np.zeros((len(masks), 3 * BINS), np.float32)
    for row, mask in zip(rows, masks, strict=True):
        row[:] = np.concatenate([_shares(channel) for channel in lab[mask].T])

    # The shares of each channel sum to 1, so a row divided by 3 sums to 1, and its root is a unit
    # vector.
    return np.sqrt(rows / 3)


def pooled_over_masks(encoder: Encoder) -> Embedding:
    """Make an `Embedding` that averages an encoder's features over the cells of a mask.

    Each cell is weighted by the part of it that the mask covers.
    """

    def embed(frame: np.ndarray, masks: np.ndarray) -> np.ndarray:
        features = encoder.of_frame(frame).flatten(1)  # [C,h*w]
        size = encoder.sizes((frame.shape[0], frame.shape[1])).encoded
        weights = torch.from_numpy(cell_weights(masks, size, encoder.stride)).to(features.device)
        # [N,h*w] @ [h*w,C] -> [N,C]. A sum will do for the mean, since its length becomes 1.
        return _unit(weights.flatten(1) @ features.T)

    return embed


def pooled_over_boxes(encoder: Encoder) -> Embedding:
    """Make an `Embedding` that averages an encoder's features over the box around a mask.

    The box is cut out and resized to 128x128 pixels, rounded to whole cells.
    """

    def embed(frame: np.ndarray, masks: np.ndarray) -> np.ndarray:
        # The encoder may see frames enlarged or reduced by a factor; the box is scaled alike.
        side = max(1, round(CROP * encoder.scale / encoder.stride)) * encoder.stride
        crops = np.stack([_resized(_box(frame, mask), side) for mask in masks])
        # [N,side,side,3] -> [N,3,side,side] in 0..1; the encoder normalises them.
        pixels = torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 255
        return _unit(encoder(pixels).mean(dim=(2, 3)))

    return embed


def cell_weights(masks: np.ndarray, size: tuple[int, int], stride: int) -> np.ndarray:
    """Compute the part of each cell that each mask covers.

    Args:
        masks: [N,H,W] bool.
        size: [H,W] of the frame as the encoder sees it, before it is padded to whole cells.
        stride: side of a cell, in pixels.

    Returns:
        [N,h,w] float32 in 0..1. A mask with at least one pixel has a cell above 0.
    """
    height, width = -(-size[0] // stride), -(-size[1] // stride)  # Rounded up.
    weights = np.zeros((len(masks), height, width), np.float32)
    for cells, mask in zip(weights, masks, strict=True):
        # Averaging, since small masks could vanish between samples of nearest neighbour.
        is_smaller = size[0] < mask.shape[0]
        interpolation = cv2.INTER_AREA if is_smaller else cv2.INTER_NEAREST
        scaled = cv2.resize(mask.astype(np.float32), size[::-1], interpolation=interpolation)

        # Cells that reach beyond the frame are covered only by what lies in it.
        padded = np.zeros((height * stride, width * stride), np.float32)
        padded[: size[0], : size[1]] = scaled
        cells[:] = padded.reshape(height, stride, width, stride).mean(axis=(1, 3))

    return weights


def _shares(values: np.ndarray) -> np.ndarray:
    """Shares [BINS] of the pixels of one channel, 0 to 255, in bins with evenly spaced centres."""
    # Places on the scale of bins, 0 to BINS - 1; the centre of a bin is a whole number.
    places = values.astype(np.float64) * ((BINS - 1) / 255)
    lower = places.astype(int)
    upper_part = places - lower
    in_lower = np.bincount(lower, 1 - upper_part, BINS)
    # The value 255 has an upper bin beyond the last, with a weight of 0.
    in_upper = np.bincount(lower + 1, upper_part, BINS + 1)[:BINS]
    counts = in_lower + in_upper

    return counts / max(len(values), 1)


def _box(frame: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The part of a frame within the bounding box of a mask."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return frame[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _resized(crop: np.ndarray, side: int) -> np.ndarray:
    # An average over areas avoids aliasing if both sides shrink.
    smooth = cv2.INTER_AREA if min(crop.shape[:2]) > side else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(np.ascontiguousarray(crop), (side, side), interpolation=smooth))


def _unit(features: torch.Tensor) -> np.ndarray:
    return F.normalize(features.float(), dim=1).cpu().numpy()
