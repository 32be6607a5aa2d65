"""The settings of a sweep: every combination of some values."""

from dataclasses import dataclass
from itertools import product
from typing import Any

from densevos.base.errors import InputError
from densevos_eval.settings import PresetName, PropagationConfig, PropagationOptions, Reference, Window

FIELDS = {"contexts": "context", "radii": "radius", "topks": "topk", "temperatures": "temperature"}


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Values to try: every combination is a setting, and all are compared with that of the first values. What is left
    out comes from the preset."""

    preset: PresetName | None = None
    """Settings of a publication, as for propagate."""
    contexts: tuple[int, ...] = ()
    """How many preceding frames are looked at."""
    radii: tuple[float, ...] = ()
    """Reach in the preceding frames, in feature cells."""
    topks: tuple[int, ...] = ()
    """How many of the most similar cells vote."""
    temperatures: tuple[float, ...] = ()
    """Temperature of the softmax that weighs their votes."""
    window: Window | None = None
    """Shape of the reach, the same in all settings; see propagate."""
    reference: Reference | None = None
    """Candidates in the frame whose masks were given, the same in all settings; see propagate."""

    def __post_init__(self) -> None:
        for flag, name in FIELDS.items():
            for value in getattr(self, flag):
                try:
                    self._setting(**{name: value})
                except InputError as error:
                    raise InputError(str(error).replace(f"--{name}", f"--{flag}")) from None

    def settings(self) -> dict[str, PropagationConfig]:
        """Every combination by its name, such as context20-radius12-top10-temperature0.05; the last list varies first.

        A value named twice counts once.
        """
        combinations = product(*(dict.fromkeys(getattr(self, flag)) or (None,) for flag in FIELDS))
        configs = [self._setting(**dict(zip(FIELDS.values(), values, strict=True))) for values in combinations]
        return {setting_name(config): config for config in configs}

    def _setting(self, **values: Any) -> PropagationConfig:
        options = PropagationOptions(preset=self.preset, window=self.window, reference=self.reference, **values)
        return options.config()


def setting_name(config: PropagationConfig) -> str:
    """The folder of a setting; different settings of a grid have different names."""
    radius, temperature = (str(value).removesuffix(".0") for value in (config.radius, config.temperature))
    return f"context{config.context}-radius{radius}-top{config.topk}-temperature{temperature}"
