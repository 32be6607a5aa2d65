"""kappa: an affine transformation regressed from the affinity of two frames (MuG, Eq. 7)."""

# Shapes: N pairs of frames i and j of s x s cells.

import torch
from torch import Tensor, nn
from torch.nn import functional as F

IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


class GeometricRegressor(nn.Module):
    """Two convolutions and a linear layer, as in weakly supervised alignment.

    The architecture is that of Rocco et al., CVPR 2018. The first convolution has one input channel
    per cell: 1.6 million weights for 16 x 16 cells, 26 million for 64 x 64. An untrained regressor
    returns the identity.
    """

    def __init__(self, side: int):
        """Make the layers; `side` is s."""
        super().__init__()
        self.side = side
        self.conv1, self.bn1 = nn.Conv2d(side * side, 128, 7), nn.BatchNorm2d(128)
        self.conv2, self.bn2 = nn.Conv2d(128, 64, 5), nn.BatchNorm2d(64)
        # Without padding, the two convolutions shorten a side by 6 and by 4 cells.
        self.linear = nn.Linear(64 * (side - 10) ** 2, 6)
        nn.init.zeros_(self.linear.weight)
        with torch.no_grad():
            self.linear.bias.copy_(torch.tensor(IDENTITY))

    def forward(self, similarity: Tensor) -> Tensor:
        """Regress tau of Eq. 7.

        Args:
            similarity: Cosines [N,s*s,s*s] of the cells of frames i (rows) and j (columns).

        Returns:
            theta [N,2,3]: normalised coordinates of frame j -> frame i.
        """
        maps = F.normalize(torch.relu(similarity), dim=1).unflatten(2, (self.side, self.side))
        x = torch.relu(self.bn1(self.conv1(maps)))
        x = torch.relu(self.bn2(self.conv2(x)))
        theta: Tensor = self.linear(x.flatten(1)).view(-1, 2, 3)
        return theta
