"""Discriminators: which domain does a feature come from? Logits, positive for source, or for the
same domain of pairs.

None has BatchNorm: a batch of both domains would tell by its statistics. Widths, which the papers
do not state, are ours (decision D44).
"""

import math
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor, nn

from densevos.base.errors import InputError

Discriminator = Literal[
    "conv", "maps", "pairs", "siamese", "tokens", "global", "patch2d", "patch3d"
]
PAIRED: tuple[Discriminator, ...] = (
    "pairs",
    "siamese",
)  # which judge two features, for the clustered loss
SLOPE = 0.2  # of LeakyReLU
DROPOUT = 0.5


def make_discriminator(kind: Discriminator, shape: tuple[int, int, int]) -> nn.Module:
    """A discriminator for a tap of `shape` (C, h, w).

    kind: what it sees of N items, and so its input:
        conv     whole maps [N,C,h,w], of the CNN: convolution, fully connected layer, dropout,
        ReLU, classifier maps     single channels [N,h*w]
        pairs    two of them side by side: single channels [N,h*w], and rows first [P], second [P]
        of them siamese  the same two, each through the same layers before they are compared
        tokens   single positions [N,C]
        global   whole maps, flattened [N,C*h*w]
        patch2d  maps [N,C,h,w]; a logit for every patch (PatchGAN, Isola et al., 2017)
        patch3d  maps of clips [N,C,T,h,w]; a logit for every patch of every frame

    Output: logits [N], [P] of pairs and siamese, or [N,h',w'] of patch2d and [N,T,h',w'] of
    patch3d. Raises InputError when a map is too small for patches.
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
            if min(height, width) < 16:
                raise InputError(
                    f"discriminator {kind}: its patches need maps of 16 x 16 cells or more, not {height} x {width}; "
                    "place it earlier or train on larger frames"
                )
            return PatchDiscriminator(channels, clips=kind == "patch3d")


class Perceptron(nn.Sequential):
    """Linear and LeakyReLU in turn: [N,D] -> logits [N]."""

    def __init__(self, *widths: int):
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Linear(before, after), nn.LeakyReLU(SLOPE)]
        super().__init__(*layers, nn.Linear(widths[-1], 1), nn.Flatten(0))


class PairPerceptron(nn.Module):
    """A Perceptron that sees two features side by side: [N,D] and rows first [P], second [P] ->
    logits [P].

    Its first layer is linear in both, so it is computed once a feature where pairs are more than
    features.
    """

    def __init__(self, width: int, hidden: int, *widths: int):
        super().__init__()
        self.left, self.right = nn.Linear(width, hidden, bias=False), nn.Linear(width, hidden)
        bound = (2 * width) ** -0.5  # of one layer that sees both
        for parameter in (self.left.weight, self.right.weight, self.right.bias):
            nn.init.uniform_(parameter, -bound, bound)

        self.rest = nn.Sequential(nn.LeakyReLU(SLOPE), Perceptron(hidden, *widths))

    def forward(self, features: Tensor, first: Tensor, second: Tensor) -> Tensor:
        if len(first) < len(features):
            return self.rest(self.left(features[first]) + self.right(features[second]))
        return self.rest(self.left(features)[first] + self.right(features)[second])


class SiamesePerceptron(nn.Module):
    """Linear and LeakyReLU for each feature, then for what two have apart and in common: inputs of
    PairPerceptron.

    Whether two are of one domain shows in neither alone. Side by side their products have to be
    learned, from a start where no single weight helps; here they are given, and the order within a
    pair makes no difference.
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
        if 2 * len(first) < len(features):
            left, right = self.each(features[first]), self.each(features[second])
        else:
            seen = self.each(features)
            left, right = seen[first], seen[second]

        return self.both(torch.cat([(left - right).abs(), left * right], dim=1))


class ConvDiscriminator(nn.Sequential):
    """2D convolution, fully connected layer, dropout, ReLU and classifier (Sec. 4): [N,C,h,w] ->
    logits [N].
    """

    def __init__(self, shape: tuple[int, int, int], reduced: int = 64, hidden: int = 512):
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
    """PatchGAN of four layers: [N,C,h,w] -> logits [N,h/8-1,w/8-1]; `clips`: [N,C,T,h,w] ->
    [N,T,h/8-1,w/8-1].

    Layers for clips see three frames each.
    """

    def __init__(self, channels: int, *, clips: bool):
        layer: type[Any] = nn.Conv3d if clips else nn.Conv2d
        kernel, halving = ((3, 4, 4), (1, 2, 2)) if clips else (4, 2)
        layers: list[nn.Module] = []
        for before, after in ((channels, 64), (64, 128), (128, 256)):
            layers += [layer(before, after, kernel, stride=halving, padding=1), nn.LeakyReLU(SLOPE)]

        super().__init__(*layers, layer(256, 1, kernel, padding=1))

    def forward(self, maps: Tensor) -> Tensor:
        return super().forward(maps)[:, 0]
