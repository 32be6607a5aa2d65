"""How a vision transformer's position embeddings may be interpolated; without torch."""

from typing import Literal

Positions = Literal["timm", "dino"]
