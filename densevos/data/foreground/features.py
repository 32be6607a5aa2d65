"""Features of an encoder, by which superpixels are compared instead of by colours."""

# Shapes: H x W pixels of the frame, C channels of the features.

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np


@cache
def pixel_features(encoder: str) -> Callable[[np.ndarray], np.ndarray]:
    """A function that computes an encoder's features of each pixel of a frame.

    Args:
        encoder: Path of an encoder.safetensors that `densevos train` wrote.

    Returns:
        RGB frame [H,W,3] uint8 -> features [H,W,C] float32 of unit length.

    Raises:
        InputError: The file holds no encoder.
    """
    # Imported here: comparing by colours does not need torch.
    import torch
    from torch.nn import functional as F

    from densevos.models.encoder import load_encoder, normalise

    network, _ = load_encoder(Path(encoder))

    @torch.inference_mode()
    def describe(frame: np.ndarray) -> np.ndarray:
        pixels = normalise(torch.from_numpy(np.array(frame)).permute(2, 0, 1)[None].float() / 255)
        features = network(pixels)

        # One feature per cell becomes one per pixel, since superpixels cross cells.
        large = F.interpolate(features, frame.shape[:2], mode="bilinear", align_corners=False)
        return F.normalize(large[0], dim=0).permute(1, 2, 0).numpy()

    return describe
