"""Settings of propagation as plain data; importing them loads no torch."""

import math
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from densevos.base.errors import InputError
from densevos_eval.adapters.choices import Positions
from densevos_eval.adapters.frames import AS_THEY_ARE, FrameConfig
from densevos_eval.adapters.normalisation import Normalisation
from densevos_eval.base.sizes import Size, parse_size

# What each value means is described at the field of this name below.
Window = Literal["circle", "disc", "square"]
Reference = Literal["everywhere", "near", "none"]
EarlyContext = Literal["repeat", "once", "none"]
Topk = int | Literal["all"]
Ties = Literal["first", "all"]


@dataclass(frozen=True, kw_only=True)
class PropagationConfig:
    """Settings of label propagation.

    The defaults are those of the DUL paper for DAVIS and YouTube-VOS.

    Raises:
        InputError: A value is out of range, or two values do not fit together.

    >>> from densevos_eval import PropagationConfig
    >>> config = PropagationConfig(context=5, topk=5)
    >>> config.context, config.temperature
    (5, 0.05)
    """

    context: int = 20
    """Number of preceding frames that are searched for similar cells."""
    radius: float = 12
    """Search radius in the preceding frames, in cells; inf searches all cells."""
    window: Window = "circle"
    """Shape of the search window: cells strictly nearer than the radius (circle), cells at most
    that far away (disc), or cells at most that many rows and columns away (square)."""
    reference: Reference = "everywhere"
    """Where the reference frame may be matched: everywhere, only near the query, or none once it
    leaves the context."""
    early_context: EarlyContext = "repeat"
    """How a context that is not full yet is padded: with a copy of the reference frame for each
    missing frame (repeat), with one copy while the reference frame is one of the preceding frames
    (once), or not at all (none)."""
    similarity: Literal["cosine", "dot"] = "cosine"
    """Similarity of two cells: the cosine of their features, or the dot product of the features as
    they are."""
    voting: Literal["together", "each-frame"] = "together"
    """Which cells compete for the top k: the cells of all frames together, or the cells of each
    frame on its own (each-frame). With each-frame, a softmax over all cells of a frame weighs its
    votes, and the result is the mean over the frames."""
    topk: Topk = 10
    """Number of most similar cells that vote; all lets every cell vote."""
    ties: Ties = "first"
    """Which cells vote if several are equally similar at the last of the top k places: only as many
    as have a place (first), or all of them."""
    temperature: float = 0.05
    """Temperature of the softmax that turns similarities into weights of votes."""
    labels: Literal["soft", "hard"] = "soft"
    """Labels passed on to later frames: soft (per-object probabilities) or hard (argmax)."""

    def __post_init__(self) -> None:
        if self.context < 0:
            raise InputError(f"--context: must be 0 or more, is {self.context}")
        # Written this way, the comparison refuses NaN too.
        if not self.radius >= 0:
            raise InputError(f"--radius: must be 0 or more cells, is {self.radius}")
        if self.topk != "all" and self.topk < 1:
            raise InputError(f"--topk: must be 1 or more, is {self.topk}")
        if self.topk == "all" and self.radius != math.inf:
            raise InputError(f"--topk all: needs --radius inf, the radius is {self.radius:g}")
        if self.reference == "none" and self.context < 1:
            raise InputError(
                "--context: must be 1 or more with --reference none; "
                "no other frame could be searched"
            )

        if not self.temperature > 0:
            raise InputError(f"--temperature: must be above 0, is {self.temperature}")
        if self.reference == "near" and self.window == "circle" and not self.radius > 0:
            raise InputError(
                "--radius: must be above 0 with --reference near; nothing is strictly nearer than 0"
            )

        if self.topk == "all" and self.voting == "each-frame":
            raise InputError("--topk all: is for --voting together; name a number")
        # The searches for the top k of all frames assume features of length 1.
        if self.similarity == "dot" and self.voting == "together" and self.topk != "all":
            raise InputError("--similarity dot: needs --voting each-frame or --topk all")

    def facts(self) -> dict[str, Any]:
        """The settings for JSON, which has no infinite numbers: these become "inf"."""
        facts = asdict(self)
        for name, value in facts.items():
            if value == math.inf:
                facts[name] = "inf"

        return facts


@dataclass(frozen=True, kw_only=True)
class MaskConfig:
    """How masks become labels of cells, and labels of cells become masks.

    Raises:
        InputError: A value is out of range.
    """

    first_masks: Literal["soft", "hard"] = "soft"
    """How a given mask labels cells: with the share of each object (soft), or with the one object
    at the centre of the cell (hard)."""
    reduced_from: Literal["frame", "encoded"] = "frame"
    """Size at which hard labels are read from a given mask: the size of the frame, or the size at
    which the encoder sees it (encoded). With encoded, the mask is first resized with nearest
    neighbour. Soft labels are always read at the encoder's size."""
    reduced_by: Literal["centre", "corner"] = "centre"
    """Pixel that counts when a given mask is resized with nearest neighbour: the one at the centre
    of the new pixel, or the one at its upper left corner, like OpenCV's INTER_NEAREST."""
    alignment: Literal["corners", "centres"] = "corners"
    """What coincides when masks are resized bilinearly: the centres of the corner pixels and of the
    corner cells (corners), or the borders of the image and of the cells (centres)."""
    enlarging: Literal["bilinear", "nearest"] = "bilinear"
    """Interpolation that enlarges the soft labels of cells."""
    enlarged_to: Literal["frame", "encoded"] = "frame"
    """Size to which soft labels are enlarged before each pixel takes the best: the size of the
    frame, or the size at which the encoder saw it (encoded). With encoded, the labels of pixels are
    then resized to the frame with nearest neighbour."""
    stretched: bool = False
    """Stretch the enlarged soft labels of every object to 0..1 in every frame before each pixel
    takes the best."""
    first_output: Literal["given", "cells"] = "given"
    """Mask that is written for a frame with a given mask: the given mask, or its labels of cells,
    enlarged."""
    mask_size: str | None = None
    """Size of the masks that are written, HEIGHTxWIDTH; the size of the frames when left out."""
    joints: Literal["exact", "cells"] = "exact"
    """Where joints lie: at their exact places between cells, or on whole cells. With cells, joints
    are rounded when they are drawn, and read as the number of a cell times its side."""
    joint_cells: int = 5
    """Number of strongest cells whose mean is read as the place of a joint."""

    def __post_init__(self) -> None:
        if self.joint_cells < 1:
            raise InputError(f"--joint-cells: must be 1 or more, is {self.joint_cells}")

        self.output_size((1, 1))  # raises InputError for a mask_size that is no size

    def output_size(self, frame: Size) -> Size:
        """[H,W] of the mask of a frame of size [H,W]."""
        if self.mask_size:
            return parse_size(self.mask_size, "--mask-size")

        return frame


@dataclass(frozen=True, kw_only=True)
class Setup:
    """All settings between a frame and its mask, except the network itself.

    Args:
        layer: Layer whose features are compared; None for the encoder's default.
        normalisation: Mean and standard deviation of frames; None for those that the encoder's
            weights were trained with.
        positions: How a vision transformer interpolates position embeddings; None for its own way.
        frames: How frames are resized before they are encoded.
        masks: How masks become labels of cells and back.
        propagation: Settings of label propagation.
    """

    layer: str | None = None
    normalisation: Normalisation | None = None
    positions: Positions | None = None
    frames: FrameConfig = AS_THEY_ARE
    masks: MaskConfig = field(default_factory=MaskConfig)
    propagation: PropagationConfig = field(default_factory=PropagationConfig)
