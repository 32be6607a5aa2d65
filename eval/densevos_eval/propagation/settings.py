"""Settings of propagation as plain data; importing them loads no torch."""

import math
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from densevos.base.errors import InputError
from densevos_eval.base.derived_options import given, optional

Window = Literal["circle", "square"]
Reference = Literal["everywhere", "near", "none"]
Topk = int | Literal["all"]


@dataclass(frozen=True, kw_only=True)
class PropagationConfig:
    """Settings of label propagation; the defaults are those of the DUL paper for DAVIS and YouTube-VOS."""

    context: int = 20
    """Number of preceding frames that are searched."""
    radius: float = 12
    """Search radius in the preceding frames, in feature cells; inf searches all cells."""
    window: Window = "circle"
    """Shape of the search window: cells strictly nearer than the radius (circle), or at most that many rows and columns
    away (square)."""
    reference: Reference = "everywhere"
    """Where the reference frame may be matched: everywhere, only near the query, or none once it leaves the context.
    With everywhere it also pads a context that is not full yet."""
    topk: Topk = 10
    """Number of most similar cells that vote, or all."""
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
            raise InputError("--context: must be 1 or more with --reference none; there is nothing else to look at")
        if not self.temperature > 0:
            raise InputError(f"--temperature: must be above 0, is {self.temperature}")
        if self.reference == "near" and self.window == "circle" and not self.radius > 0:
            raise InputError("--radius: must be above 0 with --reference near; nothing is strictly nearer than 0")

    def facts(self) -> dict[str, Any]:
        """The settings as JSON takes them, which knows no infinite number."""
        return {name: "inf" if value == math.inf else value for name, value in asdict(self).items()}


@dataclass(frozen=True, kw_only=True)
class Preset:
    """Settings of a publication. layer: what it compares, None for the last of the encoder."""

    config: PropagationConfig
    layer: str | None
    source: str


PresetName = Literal["dul", "crw", "dino", "mug", "mug-release"]
_MUG = "Lu et al.: Learning Video Object Segmentation from Unlabeled Videos, CVPR 2020"
PRESETS: dict[PresetName, Preset] = {
    "dul": Preset(
        config=PropagationConfig(context=20, radius=12, topk=10, temperature=0.05),
        layer="res4",
        source="Araslanov, Schaub-Meyer, Roth: Dense Unsupervised Learning for Video Segmentation, NeurIPS 2021",
    ),
    "crw": Preset(
        config=PropagationConfig(context=20, radius=12, topk=10, temperature=0.05),
        layer="res3",
        source="Jabri, Owens, Efros: Space-Time Correspondence as a Contrastive Random Walk, NeurIPS 2020",
    ),
    "dino": Preset(
        config=PropagationConfig(context=7, radius=12, window="square", reference="near", topk=5, temperature=0.1),
        layer=None,
        source="Caron et al.: Emerging Properties in Self-Supervised Vision Transformers, ICCV 2021",
    ),
    # Every cell of the frame before, and it alone, votes with hard labels. The paper compares raw features, whose
    # products are large. For unit vectors that is a low temperature: at 0.07 the thousands of unlike cells outvote the
    # few like ones, and objects dissolve.
    "mug": Preset(
        config=PropagationConfig(
            context=1, radius=math.inf, reference="none", topk="all", temperature=0.01, labels="hard"
        ),
        layer="key",
        source=f"{_MUG}, Eq. 17",
    ),
    # The release takes the five best cells of the first and of the preceding frame apart, weighs them by a softmax
    # over all cells, averages the two frames, and stretches each object's map to 0..1 before they are compared. Here
    # the five best of both frames together vote, with weights that sum to 1, and maps are compared as they are.
    "mug-release": Preset(
        config=PropagationConfig(context=1, radius=math.inf, topk=5, temperature=0.01),
        layer="x",
        source=f"{_MUG}, released code",
    ),
}


_Overrides: Any = optional(PropagationConfig, presets={name: preset.config for name, preset in PRESETS.items()})


@dataclass(frozen=True, kw_only=True)
class PropagationOptions(_Overrides):
    """How labels are propagated; what is left out comes from the preset."""

    preset: PresetName | None = None
    """Settings of a publication, its layer included where the encoder has one of that name. Without this option: dul,
    at the encoder's own layer."""

    @property
    def layer(self) -> str | None:
        """The layer that the preset compares; None for the encoder's own."""
        return PRESETS[self.preset].layer if self.preset else None

    def config(self) -> PropagationConfig:
        """The preset's settings with those given in their place; InputError names a flag that cannot be."""
        return replace(PRESETS[self.preset or "dul"].config, **given(self, PropagationConfig))
