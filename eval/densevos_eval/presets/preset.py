"""Defines a preset: the settings of a published protocol of label propagation."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from densevos_eval.adapters.choices import Positions
from densevos_eval.adapters.normalisation import Normalisation
from densevos_eval.base.sizes import Size
from densevos_eval.propagation.settings import Setup

# Mean and standard deviation of ImageNet's pixels, which most published encoders are trained with.
IMAGENET = Normalisation(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


@dataclass(frozen=True, kw_only=True)
class Published:
    """A number that was published for this protocol.

    method: the encoder that was scored.
    score: in per cent.
    what: benchmark and measure of the score.
    note: reasons for doubt, if any.
    """

    method: str
    score: float
    what: str = "DAVIS-2017 val, J&F"
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A published protocol: all settings from frames and first masks to scores.

    A preset is a value: no code in this package depends on the name of one. Every setting of
    `setup` is also an option of `propagate`.
    """

    name: str
    paper: str
    """Authors, title, venue and year."""
    program: str
    """Repository, commit and file that the preset reproduces; empty if there is only a paper."""
    checked: Literal["run", "read", "paper"]
    """How the preset was checked. run: against inputs and outputs of the program as it ran. read:
    against a second implementation, made from reading the program. paper: against the text of the
    paper."""
    setup: Setup
    """Settings of frames, masks and propagation."""
    normalisation: Normalisation | None = None
    """Mean and standard deviation that frames are normalised by; None: those that the encoder's
    weights were trained with."""
    positions: Positions | None = None
    """How the positions of a vision transformer are interpolated; None: as the encoder does it."""
    annotation_size: Size | None = None
    """[H,W] that annotations are resized to before masks are scored; None: their own size."""
    published: tuple[Published, ...] = ()
    """Scores that were published for this protocol."""
    notes: tuple[str, ...] = ()
    """Intended differences from the program, and facts about it that are unknown."""
    variants: Mapping[str, "Preset"] = field(default_factory=dict)
    """Name of a benchmark -> the protocol on it, if it differs."""

    def of_benchmark(self, dataset: str | None) -> "Preset":
        """Find the variant for a benchmark.

        Args:
            dataset: name of the benchmark; None: no benchmark.

        Returns:
            The variant, or this preset if there is none.
        """
        # No benchmark has an empty name, so None never finds a variant.
        return self.variants.get(dataset or "", self)
