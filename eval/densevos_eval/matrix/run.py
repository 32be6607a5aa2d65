"""One run of a matrix: what the command `matrix` does."""

import json
import os
import sys
from pathlib import Path

from densevos.base.errors import InputError, RunError, Stopped
from densevos.base.files import atomic_write, new_folder, write_json
from densevos.base.parallel import BROKEN, shard_of
from densevos_eval.matrix.cell import Bench, Propagate, scored_with
from densevos_eval.matrix.matrix import Matrix
from densevos_eval.matrix.page import page
from densevos_eval.matrix.plan import Cell, Plan
from densevos_eval.matrix.tables import as_json, markdown
from densevos_eval.reports.compare_tables import percent
from densevos_eval.reports.results import Results

RECORD = "plan.json"


def run(
    plan: Plan,
    out: Path,
    propagate: Propagate,
    *,
    shard: str | None = None,
    workers: int | None = None,
    published: bool = False,
    seed: int = 0,
) -> None:
    """Make all cells of the plan that are not finished, and write OUT/matrix.md, .json and .html.

    Args:
        plan: What to run.
        out: Folder of the matrix. One that holds a matrix is gone on with; its plan may have grown.
        propagate: The command that makes the masks.
        shard: I/N, to make part I of N of the cells alone and write no tables; None for all.
        workers: Processes that propagate, and processes that score; None for the usual numbers.
        published: Whether published figures stand beside.
        seed: Seed of the bootstrap.

    Raises:
        InputError: The folder holds something else, a name of the plan stands for something else
            there, or a benchmark cannot be read. Nothing has been computed then.
        RunError: Some cells have no scores. They have been listed, and all others are finished.
    """
    cells = shard_of(list(plan.cells()), shard, lambda cell: 1)
    _check_benchmarks(plan)
    _begin(plan, out)
    bench = Bench(
        plan=plan,
        out=out,
        propagate=propagate,
        workers=workers,
        scorers=workers or os.cpu_count() or 1,
    )

    results: dict[Cell, Results] = {}
    broken: dict[Cell, str] = {}
    for number, cell in enumerate(cells, start=1):
        try:
            results[cell] = bench.make(cell)
        except BROKEN as error:
            broken[cell] = str(error)
            continue
        except Stopped as error:
            raise Stopped(
                "run the same command again to go on"
            ) from error  # The cell names an option of its own.

        headline = results[cell].headline
        shown = f"{headline.removesuffix('-Mean')} {percent(results[cell].overall[headline])}"
        print(f"{number}/{len(cells)} {cell.name}: {shown}", flush=True)

    if shard is None:
        _write(
            Matrix(plan=plan, results=results, broken=broken), out, published=published, seed=seed
        )

    for cell, reason in broken.items():
        print(" ".join(f"{cell.name}: {reason}".split()), file=sys.stderr)

    if broken:
        raise RunError(
            f"{len(broken)} of {len(cells)} cells have no scores, the others do; fix them and run the same"
            " command again"
        )


def _check_benchmarks(plan: Plan) -> None:
    """Raise InputError that names plan and key for a benchmark that cannot be propagated through or
    scored.
    """
    for name, benchmark in plan.benchmarks.items():
        try:
            benchmark.find()
            target = scored_with(benchmark)
            target.metric.check(target.items, {})
        except InputError as error:
            raise InputError(f"{plan.file}: benchmarks.{name}: {error}") from error


def _begin(plan: Plan, out: Path) -> None:
    """Make the folder and its record, or check that names stand there for what they stand for in
    the plan.

    Encoders, benchmarks and presets may be added to a matrix; its other cells are then kept.
    """
    record, facts = out / RECORD, plan.facts()
    if not record.is_file():
        try:
            new_folder(out, overwrite=False, inputs=[plan.file])
        except InputError:
            if not record.is_file():  # Otherwise another shard has begun the matrix at this moment.
                raise
        else:
            write_json(record, facts)
            return

    try:
        known = json.loads(record.read_text(encoding="utf-8"))
        older = {kind: dict(known[kind]) for kind in facts}
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{record}: is not what densevos-eval matrix writes ({error!r}); choose another --out"
        ) from error

    for kind, named in json.loads(json.dumps(facts)).items():
        for name, value in named.items():
            if older[kind].get(name, value) != value:
                raise InputError(
                    f"{plan.file}: {kind}.{name}: is {json.dumps(value)}, and {json.dumps(older[kind][name])} in"
                    f" {record}; give it another name, or choose another --out"
                )

    write_json(record, {kind: {**older[kind], **named} for kind, named in facts.items()})


def _write(matrix: Matrix, out: Path, *, published: bool, seed: int) -> None:
    """Write the table, the page and the numbers, and print the table."""
    comparisons = {
        name: comparison
        for name in matrix.plan.benchmarks
        if (comparison := matrix.comparison(name, seed))
    }
    text = markdown(matrix, comparisons, published=published)
    with atomic_write(out / "matrix.md", "w") as file:
        file.write(text)

    with atomic_write(out / "matrix.html", "w") as file:
        file.write(page(matrix, comparisons, published=published))

    write_json(out / "matrix.json", as_json(matrix, comparisons))
    print(text, end="")
