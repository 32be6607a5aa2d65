"""Features of an encoder in the place of colours: what superpixels are compared by."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np


@cache
def pixel_features(encoder: str) -> Callable[[np.ndarray], np.ndarray]:
    """RGB frame [H,W,3] uint8 -> features [H,W,C] float32 of the encoder in a file of `densevos
    train`.

    Raises InputError when the file holds none.
    """
    import torch  # colours do without
    from torch.nn import functional as F

    from densevos.models.encoder import load_encoder, normalise

    network, _ = load_encoder(Path(encoder))

    @torch.inference_mode()
    def describe(frame: np.ndarray) -> np.ndarray:
        pixels = normalise(torch.from_numpy(np.array(frame)).permute(2, 0, 1)[None].float() / 255)
        features = network(pixels)
        large = F.interpolate(features, frame.shape[:2], mode="bilinear", align_corners=False)
        return F.normalize(large[0], dim=0).permute(1, 2, 0).numpy()

    return describe
