"""Options of label propagation: a preset, and options that replace some of its settings.

This module does not import torch, so that a command's help appears quickly.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from densevos_eval.adapters.frames import FrameConfig
from densevos_eval.base.derived_options import given, optional
from densevos_eval.presets.preset import Preset
from densevos_eval.presets.registry import PRESETS
from densevos_eval.propagation.settings import MaskConfig, PropagationConfig, Setup

# Type checkers cannot read a Literal that is made from a dictionary.
if TYPE_CHECKING:
    PresetName = str
else:
    PresetName = Literal[tuple(PRESETS)]

USUAL = PRESETS["dul"]
"""Preset that is used if none is named. The layer is then the encoder's default."""

# Dataclasses whose fields are optional; their help shows the values of dul as defaults.
_Frames: Any = optional(FrameConfig, presets={"dul": USUAL.setup.frames})
_Masks: Any = optional(MaskConfig, presets={"dul": USUAL.setup.masks})
_Propagation: Any = optional(PropagationConfig, presets={"dul": USUAL.setup.propagation})

SIZES = ("frame_size", "short_side", "long_side")  # Options that fix the size of frames.


@dataclass(frozen=True, kw_only=True)
class PropagationOptions(_Propagation, _Masks, _Frames):
    """How labels are propagated; settings that are not given come from the preset."""

    preset: PresetName | None = None
    """Published protocol that fixes sizes, normalisation, masks and propagation, and the layer if
    the encoder has one of that name; densevos-eval info --preset NAME prints it. By default it is
    dul, with the encoder's default layer."""

    def chosen(self, dataset: str | None = None) -> Preset:
        """Find the preset for a benchmark; dul if none is named.

        Args:
            dataset: name of the benchmark; None: no benchmark.
        """
        preset = PRESETS[self.preset] if self.preset else USUAL
        return preset.of_benchmark(dataset)

    def setup(self, dataset: str | None = None) -> Setup:
        """Combine the preset for a benchmark with the settings that are given.

        Args:
            dataset: name of the benchmark; None: no benchmark.

        Raises:
            InputError: if a given setting is invalid, alone or with the others; the message names
                the flag.
        """
        chosen = self.chosen(dataset)
        preset = chosen.setup
        frames = given(self, FrameConfig)

        # A given size replaces that of the preset, whichever side it names.
        if any(name in frames for name in SIZES):
            frames = {**dict.fromkeys(SIZES), **frames}

        # Without --preset, dul fixes sizes, masks and propagation only: what depends on the encoder
        # is the encoder's own.
        return Setup(
            layer=preset.layer if self.preset else None,
            normalisation=chosen.normalisation if self.preset else None,
            positions=chosen.positions if self.preset else None,
            frames=replace(preset.frames, **frames),
            masks=replace(preset.masks, **given(self, MaskConfig)),
            propagation=replace(preset.propagation, **given(self, PropagationConfig)),
        )
