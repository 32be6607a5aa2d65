"""Choices of how an encoder is run. This module does not load torch."""

from typing import Literal

Positions = Literal["timm", "dino"]
"""How a vision transformer's position embeddings are interpolated: like timm, or like DINO."""

Between = Literal["repeat", "interpolate"]
"""Features of frames between two encoded ones: those of the one before, or a mean of both.

The mean is weighted by the distances to them.
"""

DEFAULT = "default"
"""Name of the encoder that comes with the package, for --encoder."""
