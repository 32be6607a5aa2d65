"""kappa: an affine transformation regressed from the affinity of two frames (MuG, Eq. 7)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


class GeometricRegressor(nn.Module):
    """Two convolutions and one linear layer, as in weakly supervised alignment (Rocco et al., CVPR
    2018).

    Frames have `side` x `side` cells, so the first convolution has side^2 input channels: 1.6
    million weights at 16, 26 million at 64. An untrained regressor answers with the identity.
    """

    def __init__(self, side: int):
        super().__init__()
        self.side = side
        self.conv1, self.bn1 = nn.Conv2d(side * side, 128, 7), nn.BatchNorm2d(128)
        self.conv2, self.bn2 = nn.Conv2d(128, 64, 5), nn.BatchNorm2d(64)
        self.linear = nn.Linear(64 * (side - 10) ** 2, 6)
        nn.init.zeros_(self.linear.weight)
        with torch.no_grad():
            self.linear.bias.copy_(torch.tensor(IDENTITY))

    def forward(self, similarity: Tensor) -> Tensor:
        """Cosines [N,s*s,s*s] of the cells of frame i (rows) and j (columns) -> theta [N,2,3], from
        j to i.
        """
        maps = F.normalize(torch.relu(similarity), dim=1).unflatten(2, (self.side, self.side))
        x = torch.relu(self.bn1(self.conv1(maps)))
        x = torch.relu(self.bn2(self.conv2(x)))
        return self.linear(x.flatten(1)).view(-1, 2, 3)
