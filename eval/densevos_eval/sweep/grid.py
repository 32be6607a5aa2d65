"""The settings of a sweep: every combination of some values."""

from dataclasses import dataclass, fields
from itertools import product
from typing import Any

from densevos_eval.base.derived_options import several
from densevos_eval.presets.options import PresetName, PropagationOptions
from densevos_eval.propagation.settings import PropagationConfig, Setup

NAMED = ("context", "radius", "topk", "temperature")
"""Fields that are part of every setting's name, in this order; the last one varies fastest."""

_Values: Any = several(PropagationConfig)


@dataclass(frozen=True, kw_only=True)
class Grid(_Values):
    """Values to try: every combination of them is a setting.

    All settings are compared with the one of the first values. Values that are not given come from
    the preset.
    """

    preset: PresetName | None = None
    """Published protocol that gives the values of all options left out, as in propagate. All
    settings share its frame sizes and kind of masks."""

    def __post_init__(self) -> None:
        # A wrong value is an error now, instead of after hours of computing.
        for name in _names():
            for value in getattr(self, name):
                self._setup(None, **{name: value})

    def setups(self, dataset: str | None = None) -> dict[str, Setup]:
        """All settings by name, such as context20-radius12-top10-temperature0.05.

        Args:
            dataset: Name of the benchmark, which a preset may depend on.

        Returns:
            Name -> setting; the last list of values varies fastest, and a value given twice counts
            once. All settings have the same layer, frames and kind of masks.
        """
        names = _names()
        # Without values, a field keeps that of the preset, for which None stands.
        values = [dict.fromkeys(getattr(self, name)) or (None,) for name in names]
        varied = [name for name in names if name not in NAMED and len(getattr(self, name)) > 1]

        # Equal settings have equal names, so each is computed once.
        setups = {}
        for combination in product(*values):
            setup = self._setup(dataset, **dict(zip(names, combination, strict=True)))
            setups[setting_name(setup.propagation, varied)] = setup

        return setups

    def _setup(self, dataset: str | None, **values: Any) -> Setup:
        """One setting; `values` replace those that the grid gives."""
        # Fields with a single value are set too: whether a value of one field is valid may depend
        # on another one, such as the number of matched cells on the radius.
        single = {}
        for name in _names():
            choices = getattr(self, name)
            if len(choices) == 1:
                single[name] = choices[0]

        return PropagationOptions(preset=self.preset, **{**single, **values}).setup(dataset)


def _names() -> list[str]:
    """Fields of the configuration; those that name a setting come last."""
    others = [field.name for field in fields(PropagationConfig) if field.name not in NAMED]
    return [*others, *NAMED]


def setting_name(config: PropagationConfig, varied: list[str] | None = None) -> str:
    """The name of a setting, which is also its folder; it is unique within a grid.

    Args:
        config: The setting.
        varied: Fields outside `NAMED` that have several values in the grid.
    """
    # Whole numbers are named without ".0", so that 12 and 12.0 are the same setting.
    radius = str(config.radius).removesuffix(".0")
    temperature = str(config.temperature).removesuffix(".0")
    parts = [f"context{config.context}-radius{radius}-top{config.topk}-temperature{temperature}"]
    for name in varied or ():
        parts.append(str(getattr(config, name)))

    return "-".join(parts)
