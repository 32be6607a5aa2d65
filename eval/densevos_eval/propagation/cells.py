"""Masks on cells and back: given masks become labels of cells, and labels of cells become masks of
pixels.

Sizes are those of `FrameSizes`: the frame, the frame as the encoder sees it, and what the cells
cover.
"""

from collections.abc import Iterable, Mapping

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from densevos_eval.adapters.frames import FrameSizes, nearest, nearest_corner, padded_to
from densevos_eval.base.devices import to_device
from densevos_eval.base.sizes import Size
from densevos_eval.propagation.settings import MaskConfig


def labels_of_cells(
    mask: np.ndarray,
    ids: Iterable[int],
    sizes: FrameSizes,
    cells: Size,
    config: MaskConfig,
    *,
    device: torch.device | str = "cpu",
) -> Mapping[int, Tensor]:
    """The label [h,w] in [0,1] that each id has in the cells of a frame, from its mask [H,W]
    uint8.
    """
    reduced = nearest_corner if config.reduced_by == "corner" else nearest
    if sizes.converted is not None:
        mask = reduced(mask, sizes.converted)
    if sizes.covered != sizes.encoded:
        stride = sizes.covered[0] // cells[0]
        mask = padded_to(reduced(mask, sizes.encoded), stride)
    elif config.first_masks == "soft" or config.reduced_from == "encoded":
        mask = reduced(mask, sizes.encoded)

    if config.first_masks == "hard" and config.enlarging != "nearest":
        small = to_device(nearest(mask, cells).copy(), device)
        return {id: (small == id).float() for id in ids}

    pixels = to_device(np.array(mask), device)
    if config.first_masks == "hard":  # torch's rounding, to go with torch's way back
        small = F.interpolate(pixels[None, None].float(), size=cells, mode="nearest-exact")[0, 0]
        return {id: (small == id).float() for id in ids}

    return {id: _bilinear((pixels == id).float(), cells, config) for id in ids}


def enlarged_labels(
    soft: Tensor, ids: list[int], sizes: FrameSizes, config: MaskConfig
) -> np.ndarray:
    """Id of the largest soft label of every pixel, the first of equals: [L,h,w] -> [H,W] uint8."""
    return nearest(
        labels_of_pixels(soft, ids, sizes, config).cpu().numpy(), config.output_size(sizes.frame)
    )


def labels_of_pixels(soft: Tensor, ids: list[int], sizes: FrameSizes, config: MaskConfig) -> Tensor:
    """`enlarged_labels` on the device, at the size that soft labels are enlarged to: [L,h,w] ->
    [H,W] uint8.

    One channel is held at full size at a time.
    """
    working = config.output_size(sizes.frame) if config.enlarged_to == "frame" else sizes.encoded
    labels = torch.zeros(working, dtype=torch.uint8, device=soft.device)
    highest = torch.full(working, -torch.inf, device=soft.device)

    for id, channel in zip(ids, soft, strict=True):
        channel = enlarged(channel, sizes, working, config)
        if config.stretched:
            channel = _stretched(channel)

        labels = torch.where(channel > highest, id, labels)
        highest = torch.maximum(highest, channel)

    return labels


def enlarged(channel: Tensor, sizes: FrameSizes, size: Size, config: MaskConfig) -> Tensor:
    """Labels of cells [h,w] as those of pixels [H,W] = `size`; what only padding covers is cut
    off.
    """
    if sizes.covered == sizes.encoded:
        return _resized(channel, size, config)

    channel = _resized(channel, sizes.covered, config)[: sizes.encoded[0], : sizes.encoded[1]]
    if sizes.encoded == size:
        return channel

    return F.interpolate(channel[None, None], size=size, mode="bilinear", align_corners=False)[0, 0]


def _resized(channel: Tensor, size: Size, config: MaskConfig) -> Tensor:
    if config.enlarging == "nearest":
        return F.interpolate(channel[None, None], size=size, mode="nearest")[0, 0]
    return _bilinear(channel, size, config)


def _bilinear(channel: Tensor, size: Size, config: MaskConfig) -> Tensor:
    """A channel [H,W] at `size`, without smoothing."""
    corners = config.alignment == "corners"
    return F.interpolate(channel[None, None], size=size, mode="bilinear", align_corners=corners)[
        0, 0
    ]


def _stretched(channel: Tensor) -> Tensor:
    """A channel whose least value becomes 0 and whose largest becomes 1; one without differences
    becomes 0.
    """
    low, high = channel.min(), channel.max()
    return (channel - low) / (high - low).clamp(min=torch.finfo(channel.dtype).tiny)
