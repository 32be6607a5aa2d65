"""The settings of a sweep: every combination of some values."""

from dataclasses import dataclass, fields
from itertools import product
from typing import Any

from densevos_eval.base.derived_options import several
from densevos_eval.presets.options import PresetName, PropagationOptions
from densevos_eval.propagation.settings import PropagationConfig, Setup

NAMED = ("context", "radius", "topk", "temperature")
"""Fields that stand in the name of every setting, in this order; the last one varies first."""

_Values: Any = several(PropagationConfig)


@dataclass(frozen=True, kw_only=True)
class Grid(_Values):
    """Values to try: every combination is a setting, and all are compared with the one of the first
    values.

    What is left out comes from the preset.
    """

    preset: PresetName | None = None
    """A published protocol, as in propagate; its sizes and masks hold for every setting."""

    def __post_init__(self) -> None:
        for name in _names():
            for value in getattr(self, name):
                self._setup(None, **{name: value})

    def setups(self, dataset: str | None = None) -> dict[str, Setup]:
        """Every combination by its name, such as context20-radius12-top10-temperature0.05; the last
        list varies first.

        A value named twice counts once. All have the same layer, frames and masks.
        """
        names = _names()
        values = [dict.fromkeys(getattr(self, name)) or (None,) for name in names]
        combinations = product(*values)
        setups = [
            self._setup(dataset, **dict(zip(names, combination, strict=True)))
            for combination in combinations
        ]
        varied = [name for name in names if name not in NAMED and len(getattr(self, name)) > 1]

        return {setting_name(setup.propagation, varied): setup for setup in setups}

    def _setup(self, dataset: str | None, **values: Any) -> Setup:
        # A single value of each: what a number of cells may be depends on the radius, say.
        alone = {name: getattr(self, name)[0] for name in _names() if len(getattr(self, name)) == 1}
        return PropagationOptions(preset=self.preset, **{**alone, **values}).setup(dataset)


def _names() -> list[str]:
    """Fields of the configuration, those that name a setting last."""
    others = [one.name for one in fields(PropagationConfig) if one.name not in NAMED]
    return [*others, *NAMED]


def setting_name(config: PropagationConfig, varied: list[str] | None = None) -> str:
    """The folder of a setting; different settings of a grid have different names.

    varied: Fields besides the usual ones that the grid has several values of.
    """
    radius, temperature = (
        str(value).removesuffix(".0") for value in (config.radius, config.temperature)
    )
    name = f"context{config.context}-radius{radius}-top{config.topk}-temperature{temperature}"

    return "-".join([name, *(str(getattr(config, field)) for field in varied or ())])
