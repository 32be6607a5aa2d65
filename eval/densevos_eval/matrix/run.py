"""The command `matrix`: run and score all cells of a plan, and write the tables."""

import json
import os
import sys
from pathlib import Path

from densevos.base.errors import InputError, RunError, Stopped
from densevos.base.files import atomic_write, new_folder, write_json
from densevos.base.parallel import BROKEN, shard_of
from densevos_eval.matrix.cell import CellRunner, Propagate, scored_with
from densevos_eval.matrix.matrix import Matrix
from densevos_eval.matrix.page import page
from densevos_eval.matrix.plan import Cell, MatrixPlan
from densevos_eval.matrix.tables import as_json, markdown
from densevos_eval.reports.compare_tables import percent
from densevos_eval.reports.results import Results

RECORD = "plan.json"


def run(
    plan: MatrixPlan,
    out: Path,
    propagate: Propagate,
    *,
    shard: str | None = None,
    workers: int | None = None,
    published: bool = False,
    seed: int = 0,
) -> None:
    """Make all unfinished cells of the plan, and write OUT/matrix.md, .json and .html.

    Args:
        plan: What to run.
        out: Folder of the matrix. If it holds a matrix, that one is continued; its plan may have
            grown.
        propagate: The command that makes the masks.
        shard: I/N, to make only part I of N of the cells and write no tables; None for all cells.
        workers: Number of processes that propagate and of processes that score; None for the
            default of each.
        published: Whether to show published figures beside the results.
        seed: Seed of the bootstrap.

    Raises:
        InputError: The folder holds something else, was made with other options under the same
            name, or a benchmark cannot be read. Nothing has been computed in these cases.
        RunError: Some cells have no scores. They have been listed, and all others are finished.
    """
    cells = shard_of(list(plan.cells()), shard, lambda cell: 1)  # all cells weigh the same
    # Wrong paths of the last benchmark must not show only after the first has run for hours.
    _check_benchmarks(plan)
    _begin(plan, out)
    runner = CellRunner(
        plan=plan,
        out=out,
        propagate=propagate,
        workers=workers,
        scorers=workers or os.cpu_count() or 1,
    )

    # A broken cell does not end the run: the others are still worth having.
    results: dict[Cell, Results] = {}
    broken: dict[Cell, str] = {}
    for number, cell in enumerate(cells, start=1):
        try:
            results[cell] = runner.make(cell)
        except BROKEN as error:
            broken[cell] = str(error)
            continue
        except Stopped as error:
            # The original message advises --resume, which this command does not have.
            raise Stopped("run the same command again to go on") from error

        # One line for each finished cell, flushed at once so that a log file shows it.
        headline = results[cell].headline
        score = percent(results[cell].overall[headline])
        line = f"{cell.name}: {headline.removesuffix('-Mean')} {score}"
        print(f"{number}/{len(cells)} {line}", flush=True)

    # A shard knows only its own cells.
    if shard is None:
        matrix = Matrix(plan=plan, results=results, broken=broken)
        _write(matrix, out, published=published, seed=seed)

    # Reasons come last, each on one line, where the user looks first.
    for cell, reason in broken.items():
        print(" ".join(f"{cell.name}: {reason}".split()), file=sys.stderr)

    # The exit status tells a script that the matrix is incomplete.
    if broken:
        raise RunError(
            f"{len(broken)} of {len(cells)} cells have no scores, the others do;"
            " fix them and run the same command again"
        )


def _check_benchmarks(plan: MatrixPlan) -> None:
    """Raise InputError, with plan and key, for a benchmark that cannot be propagated or scored."""
    for name, benchmark in plan.benchmarks.items():
        try:
            # Both what propagation reads and what the metric reads must be there.
            benchmark.find()
            target = scored_with(benchmark)
            target.metric.check(target.items, {})
        except InputError as error:
            raise InputError(f"{plan.file}: benchmarks.{name}: {error}") from error


def _begin(plan: MatrixPlan, out: Path) -> None:
    """Make the folder and its record, or check that the plan agrees with the record.

    Encoders, benchmarks and presets may be added to a matrix, whose other cells are then kept. A
    name must not change its meaning: cells are found by their names.
    """
    record, facts = out / RECORD, plan.facts()
    if not record.is_file():
        try:
            new_folder(out, overwrite=False, inputs=[plan.file])
        except InputError:
            # Another shard may have started the matrix at this moment.
            if not record.is_file():
                raise
        else:
            write_json(record, facts)
            return

    try:
        content = json.loads(record.read_text(encoding="utf-8"))
        older = {kind: dict(content[kind]) for kind in facts}
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{record}: is not what densevos-eval matrix writes ({error!r}); choose another --out"
        ) from error

    # Through JSON and back, so that tuples compare equal to the lists of the record.
    for kind, named in json.loads(json.dumps(facts)).items():
        for name, value in named.items():
            before = older[kind].get(name, value)
            if before != value:
                raise InputError(
                    f"{plan.file}: {kind}.{name}: is {json.dumps(value)},"
                    f" and {json.dumps(before)} in {record};"
                    " give it another name, or choose another --out"
                )

    # Names that this plan lacks stay in the record, because their cells are still there.
    write_json(record, {kind: {**older[kind], **named} for kind, named in facts.items()})


def _write(matrix: Matrix, out: Path, *, published: bool, seed: int) -> None:
    """Write the table, the page and the numbers, and print the table."""
    # Compared once for all three files, so that they show the same intervals.
    comparisons = {}
    for name in matrix.plan.benchmarks:
        comparison = matrix.comparison(name, seed)
        if comparison:
            comparisons[name] = comparison

    text = markdown(matrix, comparisons, published=published)
    with atomic_write(out / "matrix.md", "w") as file:
        file.write(text)

    with atomic_write(out / "matrix.html", "w") as file:
        file.write(page(matrix, comparisons, published=published))

    write_json(out / "matrix.json", as_json(matrix, comparisons))
    print(text, end="")
