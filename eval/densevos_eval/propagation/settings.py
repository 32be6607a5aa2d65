"""Settings of propagation as plain data; importing them loads no torch."""

import math
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from densevos.base.errors import InputError
from densevos_eval.adapters.choices import Positions
from densevos_eval.adapters.frames import AS_THEY_ARE, FrameConfig
from densevos_eval.adapters.normalisation import Normalisation
from densevos_eval.base.sizes import Size, parse_size

Window = Literal["circle", "disc", "square"]
Reference = Literal["everywhere", "near", "none"]
EarlyContext = Literal["repeat", "once", "none"]
Topk = int | Literal["all"]
Ties = Literal["first", "all"]


@dataclass(frozen=True, kw_only=True)
class PropagationConfig:
    """Settings of label propagation; the defaults are those of the DUL paper for DAVIS and
    YouTube-VOS.
    """

    context: int = 20
    """Number of preceding frames that are searched."""
    radius: float = 12
    """Search radius in the preceding frames, in feature cells; inf searches all cells."""
    window: Window = "circle"
    """Shape of the search window: cells strictly nearer than the radius (circle), at most that far
    away (disc), or at most that many rows and columns away (square)."""
    reference: Reference = "everywhere"
    """Where the reference frame may be matched: everywhere, only near the query, or none once it
    leaves the context.
    """
    early_context: EarlyContext = "repeat"
    """What stands in for frames that a context lacks at first: the reference frame for each of them
    (repeat), the reference frame once, as long as it is one of the preceding frames (once), or
    nothing (none)."""
    similarity: Literal["cosine", "dot"] = "cosine"
    """What says how alike two cells are: the cosine of their features, or the product of features
    as they are.
    """
    voting: Literal["together", "each-frame"] = "together"
    """Which cells compete for the top k: those of all frames together; or those of each frame,
    weighted by a softmax over all its cells, with the mean over the frames as the result."""
    topk: Topk = 10
    """Number of most similar cells that vote, or all."""
    ties: Ties = "first"
    """Of several cells that are equally similar at the last of the top k places, the first vote, or
    all.
    """
    temperature: float = 0.05
    """Temperature of the softmax that weighs the votes."""
    labels: Literal["soft", "hard"] = "soft"
    """Labels passed on to later frames: soft (per-object probabilities) or hard (argmax)."""

    def __post_init__(self) -> None:
        if self.context < 0:
            raise InputError(f"--context: must be 0 or more, is {self.context}")
        if not self.radius >= 0:
            raise InputError(f"--radius: must be 0 or more cells, is {self.radius}")
        if self.topk != "all" and self.topk < 1:
            raise InputError(f"--topk: must be 1 or more, is {self.topk}")
        if self.topk == "all" and self.radius != math.inf:
            raise InputError(f"--topk all: needs --radius inf, the radius is {self.radius:g}")
        if self.reference == "none" and self.context < 1:
            raise InputError(
                "--context: must be 1 or more with --reference none; there is nothing else to look at"
            )

        if not self.temperature > 0:
            raise InputError(f"--temperature: must be above 0, is {self.temperature}")
        if self.reference == "near" and self.window == "circle" and not self.radius > 0:
            raise InputError(
                "--radius: must be above 0 with --reference near; nothing is strictly nearer than 0"
            )

        if self.topk == "all" and self.voting == "each-frame":
            raise InputError("--topk all: is for --voting together; name a number")
        if self.similarity == "dot" and self.voting == "together" and self.topk != "all":
            raise InputError("--similarity dot: needs --voting each-frame or --topk all")

    def facts(self) -> dict[str, Any]:
        """The settings as JSON takes them, which knows no infinite number."""
        return {name: "inf" if value == math.inf else value for name, value in asdict(self).items()}


@dataclass(frozen=True, kw_only=True)
class MaskConfig:
    """How masks become labels of cells, and labels of cells become masks."""

    first_masks: Literal["soft", "hard"] = "soft"
    """Labels that a given mask has on cells: the share of each object (soft), or the one object at
    the cell's centre (hard)."""
    reduced_from: Literal["frame", "encoded"] = "frame"
    """Size at which hard labels are read from a given mask: that of the frame; or of the frame as
    the encoder sees it, to which the mask is resized with nearest neighbour before. Soft labels are
    always read at the encoder's size."""
    reduced_by: Literal["centre", "corner"] = "centre"
    """Pixel of a given mask that counts where the mask is resized with nearest neighbour: the one
    at the centre of the new pixel, or the one at its upper left corner, as OpenCV's INTER_NEAREST
    has it."""
    alignment: Literal["corners", "centres"] = "corners"
    """What lies in one place when masks are resized bilinearly: the centres of the corner pixels
    and of the corner cells (corners), or the borders of the image and of the cells (centres)."""
    enlarging: Literal["bilinear", "nearest"] = "bilinear"
    """How soft labels of cells are enlarged."""
    enlarged_to: Literal["frame", "encoded"] = "frame"
    """Size that soft labels are enlarged to before each pixel takes the best: that of the frame; or
    of the frame as the encoder saw it, and the labels of pixels are resized to the frame with
    nearest neighbour."""
    stretched: bool = False
    """Stretch the enlarged soft labels of every object to 0..1 in every frame before each pixel
    takes the best.
    """
    first_output: Literal["given", "cells"] = "given"
    """Mask that is written for a frame whose mask is given: the given one, or its labels of cells,
    enlarged.
    """
    mask_size: str | None = None
    """Write masks at HEIGHTxWIDTH, whatever the size of the frames."""
    joints: Literal["exact", "cells"] = "exact"
    """Where joints lie between cells: at their exact places; or rounded to whole cells when drawn,
    and read as the number of a cell times its side."""
    joint_cells: int = 5
    """Number of strongest cells whose mean is the place of a joint."""

    def __post_init__(self) -> None:
        if self.joint_cells < 1:
            raise InputError(f"--joint-cells: must be 1 or more, is {self.joint_cells}")
        self.output_size((1, 1))

    def output_size(self, frame: Size) -> Size:
        """[H,W] of the mask of a frame [H,W]."""
        return parse_size(self.mask_size, "--mask-size") if self.mask_size else frame


@dataclass(frozen=True, kw_only=True)
class Setup:
    """Everything on the way from a frame and a given mask to a mask but the network itself.

    layer: Which features are compared; None for the encoder's own default.
    normalisation: What frames are normalised by; None for what the encoder's weights were trained
    with. positions: How a vision transformer's positions are interpolated; None for its own way.
    """

    layer: str | None = None
    normalisation: Normalisation | None = None
    positions: Positions | None = None
    frames: FrameConfig = AS_THEY_ARE
    masks: MaskConfig = field(default_factory=MaskConfig)
    propagation: PropagationConfig = field(default_factory=PropagationConfig)
