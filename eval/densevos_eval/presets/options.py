"""How labels are propagated: a preset, and options that replace some of its switches; without
torch.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from densevos_eval.adapters.frames import FrameConfig
from densevos_eval.base.derived_options import given, optional
from densevos_eval.presets.preset import Preset
from densevos_eval.presets.registry import PRESETS
from densevos_eval.propagation.settings import MaskConfig, PropagationConfig, Setup

if TYPE_CHECKING:
    PresetName = str
else:
    PresetName = Literal[tuple(PRESETS)]

USUAL = PRESETS["dul"]
"""What counts without a preset, but for the layer, which is then the encoder's own."""

_Frames: Any = optional(FrameConfig, presets={"dul": USUAL.setup.frames})
_Masks: Any = optional(MaskConfig, presets={"dul": USUAL.setup.masks})
_Propagation: Any = optional(PropagationConfig, presets={"dul": USUAL.setup.propagation})

SIZES = ("frame_size", "short_side", "long_side")


@dataclass(frozen=True, kw_only=True)
class PropagationOptions(_Propagation, _Masks, _Frames):
    """How labels are propagated; what is left out comes from the preset."""

    preset: PresetName | None = None
    """A published protocol, which densevos-eval info --preset NAME prints: sizes, normalisation,
    masks, propagation, and the layer where the encoder has one of that name. Without this option:
    dul, at the encoder's own layer."""

    def chosen(self, dataset: str | None = None) -> Preset:
        """The preset for a benchmark; dul without one."""
        return (PRESETS[self.preset] if self.preset else USUAL).of_benchmark(dataset)

    def setup(self, dataset: str | None = None) -> Setup:
        """The switches of the preset for a benchmark, with those given in their place.

        Raises:
            InputError: A switch that was given cannot be, alone or beside the others; the message
                names the flag.
        """
        chosen = self.chosen(dataset)
        preset = chosen.setup
        frames = given(self, FrameConfig)

        if any(name in frames for name in SIZES):
            frames = {
                **dict.fromkeys(SIZES),
                **frames,
            }  # A size replaces that of the preset, whichever side it names.

        return Setup(
            layer=preset.layer if self.preset else None,
            normalisation=chosen.normalisation if self.preset else None,
            positions=chosen.positions if self.preset else None,
            frames=replace(preset.frames, **frames),
            masks=replace(preset.masks, **given(self, MaskConfig)),
            propagation=replace(preset.propagation, **given(self, PropagationConfig)),
        )
