"""What a matrix gave: the results of its cells, and the comparison of those of one benchmark."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from densevos_eval.base.sizes import size_text
from densevos_eval.matrix.plan import Cell, Plan
from densevos_eval.presets.options import PropagationOptions
from densevos_eval.reports.compare import Comparison, compare
from densevos_eval.reports.results import Results


@dataclass(frozen=True, kw_only=True)
class Matrix:
    """Results by cell.

    results: Cells that have scores, in the order of the plan.
    broken: Cells without scores -> why.
    """

    plan: Plan
    results: Mapping[Cell, Results]
    broken: Mapping[Cell, str] = field(default_factory=dict)

    @property
    def rows(self) -> list[tuple[str, str]]:
        """Encoder and preset of each row, in the order of the plan."""
        return [(encoder, preset) for encoder in self.plan.encoders for preset in self.plan.presets]

    def title(self, encoder: str, preset: str) -> str:
        """What a row is called: its encoder, and its preset if there are several."""
        return encoder if len(self.plan.presets) == 1 else f"{encoder}, {preset}"

    def cell(self, encoder: str, benchmark: str, preset: str) -> Results | None:
        """The results of one cell, if it has any."""
        for cell, results in self.results.items():
            if (cell.encoder, cell.benchmark, cell.preset) == (encoder, benchmark, preset):
                return results

        return None

    def notes(self, benchmark: str) -> list[str]:
        """What the reader of the benchmark's table should know: presets that score at a size of
        their own.
        """
        dataset, notes = self.plan.benchmarks[benchmark].dataset, []
        for preset in self.plan.presets:
            size = PropagationOptions(preset=preset).chosen(dataset).annotation_size
            if size:
                notes.append(
                    f"{preset} scores annotations resized to {size_text(size)}, the others at their own size"
                )

        return notes

    def comparison(self, benchmark: str, seed: int) -> Comparison | None:
        """The rows that have scores of this benchmark, compared with the first of them; None if
        none has.
        """
        rows = [
            replace(results, title=self.title(cell.encoder, cell.preset))
            for cell, results in self.results.items()
            if cell.benchmark == benchmark
        ]

        return compare(rows, np.random.default_rng(seed)) if rows else None
