"""What may be chosen of how an encoder is run; without torch."""

from typing import Literal

Positions = Literal["timm", "dino"]
"""How a vision transformer's position embeddings are interpolated: as timm, or as the program of
DINO does.
"""

Between = Literal["repeat", "interpolate"]
"""Features of frames between two that are encoded: those of the one before, or a mean weighted by
the distances.
"""

DEFAULT = "default"
"""The encoder that comes with the package, as --encoder names it."""
