"""What zero-shot segmentation is run on, and how its masks are sharpened: options, without torch."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from densevos.base.errors import InputError
from densevos.data.foreground.crf import PRESETS, CrfConfig
from densevos_eval.options import given, optional
from densevos_eval.own_video import own_video
from densevos_eval.protocols.registry import PROTOCOLS
from densevos_eval.sequences import Sequence
from densevos_eval.settings import Footage


@dataclass(frozen=True, kw_only=True)
class Unlabelled(Footage):
    """What to find the objects in: the sequences of a benchmark, or one's own video. No annotation is looked at."""

    def load(self) -> list[Sequence]:
        """The sequences without any masks; InputError when neither or both kinds are named, or files are missing."""
        benchmark = self.benchmark()
        if benchmark and not benchmark.protocol().foreground:
            able = ", ".join(name for name, other in PROTOCOLS.items() if other.foreground)
            raise InputError(
                f"--dataset {benchmark.dataset}: asks for what a first annotation names, and these masks only tell"
                f" objects from background; take {able}, or densevos-eval propagate"
            )
        if benchmark:
            return benchmark.load(annotated=False)
        if self.video and not (self.dataset or self.root):
            return [own_video(self.video, None, start=self.start, end=self.end)]
        raise InputError("zeroshot: give --dataset and --root, or a --video (and its --start, --end)")


_Overrides: Any = optional(CrfConfig, prefix="crf_", presets=PRESETS)


@dataclass(frozen=True, kw_only=True)
class CrfOptions(_Overrides):
    """The dense CRF that refines masks; what is left out comes from the preset. See CrfConfig."""

    crf: bool = True
    """Refine masks with a dense CRF (pip install pydensecrf2); the masks before it go to OUT/no-crf."""
    crf_preset: Literal["mug", "cosnet", "matnet"] = "mug"
    """Parameters of a publication."""

    def config(self) -> CrfConfig | None:
        """The preset with the given parameters in its place, None without CRF; InputError for what cannot be."""
        values = given(self, CrfConfig, prefix="crf_")
        preset = PRESETS[self.crf_preset]
        if not self.crf and values:
            raise InputError(f"{_flag(next(iter(values)))}: is a parameter of the CRF; leave it or --no-crf out")
        _check(values)
        return replace(preset, **values) if self.crf else None


def _check(values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        if name == "clip" and not 0 < value < 0.5:
            raise InputError(f"--crf-clip: must be above 0 and below 0.5, is {value}")
        if name == "iterations" and value < 1:
            raise InputError(f"--crf-iterations: must be 1 or more, is {value}")
        if name.endswith(("_sxy", "_srgb")) and not value > 0:
            raise InputError(f"{_flag(name)}: must be above 0, is {value}")
        if name.endswith("_compat") and not value >= 0:
            raise InputError(f"{_flag(name)}: must be 0 or more, is {value}")


def _flag(name: str) -> str:
    return "--crf-" + name.replace("_", "-")
