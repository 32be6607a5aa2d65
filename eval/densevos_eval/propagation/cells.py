"""Given masks become labels of cells, and labels of cells become masks.

Sizes are those of `FrameSizes`: the frame, the frame as the encoder sees it, and what the cells
cover.
"""

# Shapes: H x W pixels, h x w cells of the feature map, L object ids (background included).

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
    """Reduce a mask to labels of cells.

    Args:
        mask: Ids [H,W] uint8.
        ids: Ids that get labels.
        sizes: Sizes of the frame.
        cells: [h,w] of the features.
        config: How masks are reduced.
        device: Where the labels are.

    Returns:
        For each id its labels [h,w] in [0,1].
    """
    reduced = nearest_corner if config.reduced_by == "corner" else nearest

    # Bring the mask to the size at which labels are read, in the steps that frames take.
    if sizes.converted is not None:
        mask = reduced(mask, sizes.converted)
    if sizes.covered != sizes.encoded:
        # The frame was padded to whole cells, so its mask must be padded alike.
        stride = sizes.covered[0] // cells[0]
        mask = padded_to(reduced(mask, sizes.encoded), stride)
    elif config.first_masks == "soft" or config.reduced_from == "encoded":
        mask = reduced(mask, sizes.encoded)

    if config.first_masks == "hard" and config.enlarging != "nearest":
        small = to_device(nearest(mask, cells).copy(), device)
        return {id: (small == id).float() for id in ids}

    pixels = to_device(np.array(mask), device)
    if config.first_masks == "hard":
        # `_resized` enlarges with torch's nearest neighbour, so masks are reduced with it too.
        small = F.interpolate(pixels[None, None].float(), size=cells, mode="nearest-exact")[0, 0]
        return {id: (small == id).float() for id in ids}

    # Every id is resized by itself, because a mean of ids means nothing.
    return {id: _bilinear((pixels == id).float(), cells, config) for id in ids}


def enlarged_labels(
    soft: Tensor, ids: list[int], sizes: FrameSizes, config: MaskConfig
) -> np.ndarray:
    """The id with the largest soft label at every pixel, the first one of equals.

    Args:
        soft: Labels of cells [L,h,w].
        ids: The L object ids.
        sizes: Sizes of the frame.
        config: How labels are enlarged.

    Returns:
        Ids [H,W] uint8, at the size of the mask.
    """
    labels = labels_of_pixels(soft, ids, sizes, config).cpu().numpy()
    return nearest(labels, config.output_size(sizes.frame))


def labels_of_pixels(soft: Tensor, ids: list[int], sizes: FrameSizes, config: MaskConfig) -> Tensor:
    """As `enlarged_labels`, but on the device and at the size that soft labels are enlarged to.

    Only one channel is held at full size at a time.
    """
    working = config.output_size(sizes.frame) if config.enlarged_to == "frame" else sizes.encoded
    labels = torch.zeros(working, dtype=torch.uint8, device=soft.device)
    highest = torch.full(working, -torch.inf, device=soft.device)

    for id, channel in zip(ids, soft, strict=True):
        channel = enlarged(channel, sizes, working, config)
        if config.stretched:
            channel = _stretched(channel)

        # `>` keeps the first of equal labels, as argmax over all channels would.
        labels = torch.where(channel > highest, id, labels)
        highest = torch.maximum(highest, channel)

    return labels


def enlarged(channel: Tensor, sizes: FrameSizes, size: Size, config: MaskConfig) -> Tensor:
    """Enlarge one channel to pixels and cut off the padding.

    Args:
        channel: Labels of cells [h,w].
        sizes: Sizes of the frame.
        size: [H,W] of the result.
        config: How labels are enlarged.

    Returns:
        Labels of pixels [H,W].
    """
    if sizes.covered == sizes.encoded:
        return _resized(channel, size, config)

    # The cells also cover the padding, at the bottom and at the right.
    height, width = sizes.encoded
    channel = _resized(channel, sizes.covered, config)[:height, :width]
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
    image = channel[None, None]
    return F.interpolate(image, size=size, mode="bilinear", align_corners=corners)[0, 0]


def _stretched(channel: Tensor) -> Tensor:
    """A channel stretched to 0..1; a constant one becomes 0."""
    # A constant channel has a range of 0, which the smallest normal number replaces.
    low, high = channel.min(), channel.max()
    return (channel - low) / (high - low).clamp(min=torch.finfo(channel.dtype).tiny)
