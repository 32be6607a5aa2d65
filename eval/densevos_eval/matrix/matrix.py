"""The results of a matrix, and their comparison on each benchmark."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from densevos_eval.base.sizes import size_text
from densevos_eval.matrix.plan import Cell, MatrixPlan
from densevos_eval.presets.options import PropagationOptions
from densevos_eval.reports.compare import Comparison, compare
from densevos_eval.reports.results import Results


@dataclass(frozen=True, kw_only=True)
class Matrix:
    """Results by cell.

    results: Cell -> its scores, in the order of the plan; cells without scores are missing.
    broken: Cell without scores -> reason.
    """

    plan: MatrixPlan
    results: Mapping[Cell, Results]
    broken: Mapping[Cell, str] = field(default_factory=dict)

    @property
    def rows(self) -> list[tuple[str, str]]:
        """Encoder and preset of each row, in the order of the plan."""
        rows = []
        # Presets of one encoder stand together, as they are what a reader compares.
        for encoder in self.plan.encoders:
            for preset in self.plan.presets:
                rows.append((encoder, preset))

        return rows

    def title(self, encoder: str, preset: str) -> str:
        """The title of a row: its encoder, and its preset if the plan has several."""
        # A single preset would only repeat itself in every row.
        if len(self.plan.presets) == 1:
            return encoder

        return f"{encoder}, {preset}"

    def cell(self, encoder: str, benchmark: str, preset: str) -> Results | None:
        """The results of one cell; None if it has no scores."""
        for cell, results in self.results.items():
            if (cell.encoder, cell.benchmark, cell.preset) == (encoder, benchmark, preset):
                return results

        return None

    def notes(self, benchmark: str) -> list[str]:
        """Notes below the benchmark's table: presets that resize annotations before scoring."""
        dataset = self.plan.benchmarks[benchmark].dataset
        notes = []
        # Numbers at different sizes of annotations are not quite comparable.
        for preset in self.plan.presets:
            size = PropagationOptions(preset=preset).chosen(dataset).annotation_size
            if size:
                notes.append(
                    f"{preset} scores annotations resized to {size_text(size)},"
                    " the others at their own size"
                )

        return notes

    def comparison(self, benchmark: str, seed: int) -> Comparison | None:
        """Compare the rows that have scores of a benchmark with the first of them.

        Args:
            benchmark: Name of the benchmark in the plan.
            seed: Seed of the bootstrap.

        Returns:
            The comparison; None if no row has scores.
        """
        # Results are titled by their folders; here, the names of the plan tell more.
        rows = []
        for cell, results in self.results.items():
            if cell.benchmark == benchmark:
                rows.append(replace(results, title=self.title(cell.encoder, cell.preset)))

        # All cells of this benchmark may be broken; the others still get their tables.
        if not rows:
            return None

        # A fresh generator for each benchmark: its intervals do not depend on the other ones.
        return compare(rows, np.random.default_rng(seed))
