"""densevos-eval propagate | score | show: the evaluator's command line; torch is imported where needed."""

import os
import sys
from pathlib import Path

import tyro

from densevos import console
from densevos_eval.protocols import BenchmarkOptions


def score(
    benchmark: BenchmarkOptions, results: Path, out: Path | None = None, workers: int | None = None
) -> None:
    """Score masks on disk: region similarity J and contour accuracy F of every object.

    Prints a table and writes global_results-SPLIT.csv, per-sequence_results-SPLIT.csv and results.json.

    Args:
        benchmark: What to score against.
        results: Folder with one mask per frame: SEQUENCE/00000.png.
        out: Folder for the tables; --results when left out.
        workers: Processes to spread the sequences over; one per CPU core when left out.
    """
    from rich.console import Console
    from rich.progress import track

    from densevos_eval.score import score
    from densevos_eval.tables import scores_table, write_scores

    sequences = benchmark.load()
    scores = score(
        sequences,
        results,
        benchmark.protocol(),
        split=benchmark.split,
        workers=workers or os.cpu_count() or 1,
        watch=lambda finished: track(
            finished, "score", total=len(sequences), console=Console(stderr=True), transient=True
        ),
    )
    write_scores(scores, out or results)
    Console().print(scores_table(scores))


def main() -> None:
    """Entry point of the console command `densevos-eval`."""
    commands = {"score": score}
    config = (tyro.conf.OmitArgPrefixes,)
    sys.exit(
        console.run(
            lambda: tyro.extras.subcommand_cli_from_dict(commands, prog="densevos-eval", config=config)
        )
    )
