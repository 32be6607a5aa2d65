"""Discriminators: which domain does a feature come from?

Their logits are positive for the source, or for pairs of the same domain. No discriminator has
BatchNorm, because the statistics of a batch would give its domains away. The papers do not state
the widths; they are chosen here (docs/decisions.md, D44).
"""

# Shapes: N items, P pairs, D numbers of a row, C channels, T frames, h x w cells of a map.

import math
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor, nn

from densevos.base.errors import InputError

Discriminator = Literal[
    "conv", "maps", "pairs", "siamese", "tokens", "global", "patch2d", "patch3d"
]
PAIRED: tuple[Discriminator, ...] = ("pairs", "siamese")
"""Discriminators that compare two features, for the clustered loss."""
SLOPE = 0.2
"""Negative slope of LeakyReLU."""
DROPOUT = 0.5


def make_discriminator(kind: Discriminator, shape: tuple[int, int, int]) -> nn.Module:
    """Make a discriminator for the features of one tap.

    The kinds differ in what they see, and so in their input and output:

    * `conv`: maps [N,C,h,w] -> [N], by a convolution and a fully connected layer; for the CNN.
    * `maps`: single channels [N,h*w] -> [N].
    * `tokens`: single cells [N,C] -> [N].
    * `global`: maps, flattened [N,C*h*w] -> [N].
    * `patch2d`: maps [N,C,h,w] -> [N,h',w'], a logit for every patch (PatchGAN, Isola et al.,
      2017).
    * `patch3d`: maps of clips [N,C,T,h,w] -> [N,T,h',w'], a logit for every patch of every frame.
    * `pairs`: single channels [N,h*w] and rows first [P], second [P] -> [P]; both features side by
      side.
    * `siamese`: inputs and output of `pairs`, but both features pass the same layers before they
      are compared.

    Args:
        kind: What the discriminator sees.
        shape: (C, h, w) of the tap.

    Raises:
        InputError: The maps are too small for patches.
    """
    channels, height, width = shape
    cells = height * width
    match kind:
        case "conv":
            return ConvDiscriminator(shape)
        case "maps":
            return Perceptron(cells, 512, 256)
        case "pairs":
            return PairPerceptron(cells, 512, 256)
        case "siamese":
            return SiamesePerceptron(cells, 512, 256)
        case "tokens":
            return Perceptron(channels, 256, 128)
        case "global":
            return Perceptron(channels * cells, 512, 256)
        case "patch2d" | "patch3d":
            # Three layers halve a side and the fourth takes a cell off: 16 cells leave one.
            if min(height, width) < 16:
                raise InputError(
                    f"discriminator {kind}: its patches need maps of 16 x 16 cells or more, not "
                    f"{height} x {width}; place it earlier or train on larger frames"
                )

            return PatchDiscriminator(channels, clips=kind == "patch3d")


class Perceptron(nn.Sequential):
    """Linear layers and LeakyReLUs in turn: [N,D] -> logits [N]."""

    def __init__(self, *widths: int):
        """Make the layers; `widths` are D and the width of each hidden layer."""
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Linear(before, after), nn.LeakyReLU(SLOPE)]
        # Flatten(0) turns [N,1] into [N].
        super().__init__(*layers, nn.Linear(widths[-1], 1), nn.Flatten(0))


class PairPerceptron(nn.Module):
    """A Perceptron that sees two features side by side.

    Its input is features [N,D] and the rows first [P], second [P] of each pair; its output logits
    [P].
    """

    def __init__(self, width: int, hidden: int, *widths: int):
        super().__init__()
        self.left, self.right = nn.Linear(width, hidden, bias=False), nn.Linear(width, hidden)
        # Initial weights have the range of a single linear layer that sees both features.
        bound = (2 * width) ** -0.5
        for parameter in (self.left.weight, self.right.weight, self.right.bias):
            nn.init.uniform_(parameter, -bound, bound)

        self.rest = nn.Sequential(nn.LeakyReLU(SLOPE), Perceptron(hidden, *widths))

    def forward(self, features: Tensor, first: Tensor, second: Tensor) -> Tensor:
        # The first layer is linear in both features: with more pairs than features, it is cheaper
        # to compute it once per feature.
        if len(first) < len(features):
            hidden = self.left(features[first]) + self.right(features[second])
        else:
            hidden = self.left(features)[first] + self.right(features)[second]

        logits: Tensor = self.rest(hidden)
        return logits


class SiamesePerceptron(nn.Module):
    """Compares two features by their difference and their product, after layers that both pass.

    Input and output are those of PairPerceptron. A single feature does not show whether both are of
    one domain. Side by side, products of the two would have to be learned, and at the start no
    single weight helps. Here the products are given, and the order within a pair has no effect.
    """

    def __init__(self, width: int, hidden: int, compared: int):
        super().__init__()
        self.each = nn.Sequential(
            nn.Linear(width, hidden),
            nn.LeakyReLU(SLOPE),
            nn.Linear(hidden, compared),
            nn.LeakyReLU(SLOPE),
        )
        self.both = Perceptron(2 * compared, compared)

    def forward(self, features: Tensor, first: Tensor, second: Tensor) -> Tensor:
        # With few pairs it is cheaper to embed the features of the pairs only.
        if 2 * len(first) < len(features):
            left, right = self.each(features[first]), self.each(features[second])
        else:
            embedded = self.each(features)
            left, right = embedded[first], embedded[second]

        # [P,2 * compared]: both the difference and the product ignore the order of a pair.
        logits: Tensor = self.both(torch.cat([(left - right).abs(), left * right], dim=1))
        return logits


class ConvDiscriminator(nn.Sequential):
    """2D convolution, fully connected layer, dropout, ReLU and classifier: [N,C,h,w] -> [N].

    This is the CNN's discriminator (image-to-video, Sec. 4).
    """

    def __init__(self, shape: tuple[int, int, int], reduced: int = 64, hidden: int = 512):
        # Stride 2 with padding 1 rounds up, so a side of h cells leaves ceil(h / 2).
        channels, height, width = shape
        super().__init__(
            nn.Conv2d(channels, reduced, 3, stride=2, padding=1),
            nn.Flatten(),
            nn.Linear(reduced * math.ceil(height / 2) * math.ceil(width / 2), hidden),
            nn.Dropout(DROPOUT),
            nn.ReLU(),
            nn.Linear(hidden, 1),
            nn.Flatten(0),
        )


class PatchDiscriminator(nn.Sequential):
    """PatchGAN of four layers: [N,C,h,w] -> logits [N,h/8-1,w/8-1].

    For clips it maps [N,C,T,h,w] to [N,T,h/8-1,w/8-1], and each layer sees three frames.
    """

    def __init__(self, channels: int, *, clips: bool):
        """Make the layers.

        Args:
            channels: C.
            clips: Whether the input is clips.
        """
        layer: type[Any] = nn.Conv3d if clips else nn.Conv2d
        # Clips keep their T frames: kernels of three frames, padded by one, at stride 1.
        kernel, halving = ((3, 4, 4), (1, 2, 2)) if clips else (4, 2)
        layers: list[nn.Module] = []
        for before, after in ((channels, 64), (64, 128), (128, 256)):
            layers += [layer(before, after, kernel, stride=halving, padding=1), nn.LeakyReLU(SLOPE)]

        super().__init__(*layers, layer(256, 1, kernel, padding=1))

    def forward(self, maps: Tensor) -> Tensor:
        # What nn.Sequential does, whose own `forward` has no types.
        for layer in self:
            maps = layer(maps)

        # A logit for each patch: the axis of the single channel goes.
        return maps[:, 0]
