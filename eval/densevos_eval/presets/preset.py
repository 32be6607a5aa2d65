"""What a preset is: a published protocol of label propagation, as switches."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from densevos_eval.adapters.choices import Positions
from densevos_eval.adapters.normalisation import Normalisation
from densevos_eval.base.sizes import Size
from densevos_eval.propagation.settings import Setup

IMAGENET = Normalisation(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


@dataclass(frozen=True, kw_only=True)
class Published:
    """A number that this protocol printed.

    score: In per cent, J&F on DAVIS-2017 val unless `what` says otherwise.
    note: Empty, or what is doubtful about it.
    """

    method: str
    score: float
    what: str = "DAVIS-2017 val, J&F"
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A published protocol: the whole way from frames and first masks to scores.

    It is a value: nothing in this package asks for a preset by its name. Every switch of `setup` is
    an option of `propagate` too.
    """

    name: str
    paper: str
    """Authors, title, venue and year."""
    program: str
    """Repository, commit and file whose behaviour this is; empty for a setting of a paper alone."""
    checked: Literal["run", "read", "paper"]
    """How it was checked: against inputs and outputs of the program as it ran; against a second
    implementation, made from reading the program; or against the text of the paper."""
    setup: Setup
    normalisation: Normalisation | None = None
    """What frames are normalised by; None for what the encoder's weights were trained with."""
    positions: Positions | None = None
    """How a vision transformer's positions are interpolated; None for its own way."""
    annotation_size: Size | None = None
    """[H,W] that annotations are resized to before masks are scored; None for their own size."""
    published: tuple[Published, ...] = ()
    notes: tuple[str, ...] = ()
    """What differs from the program on purpose, and what is not known of it."""
    variants: Mapping[str, "Preset"] = field(default_factory=dict)
    """The protocol on other benchmarks, by the benchmark's name."""

    def of_benchmark(self, dataset: str | None) -> "Preset":
        """The variant for a benchmark, or this preset where there is none."""
        return self.variants.get(dataset or "", self)
