"""What metrics of the sequences of a benchmark share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Protocol

from densevos.base.errors import InputError
from densevos_eval.metrics.metric import Fingerprints, Metric
from densevos_eval.runs.fingerprint import masks_fingerprint, sequence_facts, truth_fingerprint
from densevos_eval.sequences.sequence import VideoSequence


class Benchmark(Protocol):
    """What every metric of sequences must know about the benchmark; see protocols.Protocol."""

    @property
    def name(self) -> str:
        """Name of the benchmark."""
        ...

    @property
    def source(self) -> str:
        """Where the benchmark comes from."""
        ...

    @property
    def measure(self) -> str:
        """Name of the metric that the benchmark asks for."""
        ...


@dataclass(frozen=True, kw_only=True)
class SequenceMetric(Metric[VideoSequence]):
    """A metric of the sequences of one benchmark.

    A subclass defines `name`, `measure` and `combine`.

    Attributes:
        benchmark: The rules of the benchmark.
    """

    benchmark: Benchmark

    @property
    def dataset(self) -> str:
        """Name of the benchmark."""
        return self.benchmark.name

    @property
    def is_implied(self) -> bool:
        """Whether the benchmark asks for this metric."""
        return self.name == self.benchmark.measure

    def check(self, items: Sequence[VideoSequence], folders: Mapping[str, Path]) -> None:
        """Raise InputError if no sequence has annotated masks."""
        if any(sequence.truth for sequence in items):
            return
        # Say why: the benchmark has joints instead of masks, or its annotations are not public.
        if any(sequence.joints for sequence in items):
            raise InputError(
                f"--metric {self.name}: scores masks, and {self.dataset} has joints;"
                " leave --metric out"
            )

        raise InputError(
            f"--dataset {self.dataset}: nothing to score against, only the server has these"
            " annotations; make a submission with densevos-eval submit"
            f" (see {self.benchmark.source})"
        )

    def frames(self, item: VideoSequence) -> tuple[str, ...]:
        """Names of all frames that have an annotation."""
        # No indices in `annotated` means that every frame has an annotation.
        annotated = item.annotated or range(len(item.frame_names))
        return tuple(item.frame_names[t] for t in annotated)

    def fingerprints(self, item: VideoSequence, folder: Path) -> Fingerprints:
        """Hashes of the masks FOLDER/SEQUENCE/FRAME.png, or the joints, and of the annotations."""
        return Fingerprints(
            masks=masks_fingerprint(folder / item.name, self.frames(item)),
            annotations=truth_fingerprint(item),
        )

    def facts(self, item: VideoSequence) -> object:
        """The rules of the benchmark, and the properties of the sequence apart from its files."""
        # Scores by other rules must not be reused, so all rules are facts.
        return [_rules(self.benchmark), sequence_facts(item)]


def _rules(benchmark: Benchmark) -> dict[str, object]:
    """The rules of the benchmark as JSON takes them."""
    assert is_dataclass(benchmark), "rules are the fields of a dataclass"
    return {rule.name: _plain(getattr(benchmark, rule.name)) for rule in fields(benchmark)}


def _plain(value: object) -> object:
    """The value of a rule as JSON takes it: sets sorted, functions by their names."""
    if isinstance(value, frozenset):
        return sorted(value)
    # The text of a function holds its address, which differs in every run.
    return getattr(value, "__qualname__", value)
