"""One run of the command `score`: score the chosen masks, write the tables, print one."""

import os

from densevos.base.console import list_failures, print_notes, print_table
from densevos.base.parallel import shard_of, stopped_by_sigterm
from densevos_eval.base.progress import sequence_progress
from densevos_eval.scoring.folders import located
from densevos_eval.scoring.kept import KeptArrays
from densevos_eval.scoring.options import ScoreOptions, ScoringRun
from densevos_eval.scoring.results import scores_table, write_scores
from densevos_eval.scoring.score import score


def run(against: ScoreOptions, scoring: ScoringRun, metric: str | None) -> None:
    """Score masks, write the tables and print one.

    A shard writes no tables; it leaves its scores for the run that joins all shards.

    Args:
        against: What the masks are scored against.
        scoring: Which masks are scored, and how the work is spread.
        metric: Name of a metric, instead of the usual one.

    Raises:
        InputError: Nothing can be scored.
        RunError: Some items cannot be scored. The error comes after their list is printed.
    """
    # Only a benchmark may have its masks in several folders.
    out = scoring.folder(several=against.set is None and against.truth is None)
    target = against.target(metric, scoring.results)
    print_notes(target.notes)

    # With more shards than sequences some shards are empty, which is no error.
    items = shard_of(target.items, scoring.shard, target.length)
    if not items:
        print(f"--shard {scoring.shard}: there are fewer sequences, so nothing is left to score")
        return

    kept = KeptArrays(out=out, reuse=scoring.resume)
    folders = ", ".join(map(str, scoring.results))
    header = (
        f"score: {len(items)} of {target.metric.dataset} {against.part} in {folders},"
        f" {target.metric.name}, into {out}"
    )

    with (
        stopped_by_sigterm("go on with --resume"),
        sequence_progress("score", len(items), header) as on_item,
    ):
        scores = score(
            items,
            target.places or located(items, scoring.results),
            target.metric,
            split=against.part,
            kept=kept,
            workers=scoring.workers or os.cpu_count() or 1,
            on_item=on_item,
        )

    # Means over one shard would be mistaken for those of the split, so it gets no tables.
    if scoring.shard is None:
        write_scores(scores, out)
        print_table(scores_table(scores))
    else:
        print(
            f"{out}: {len(scores.sequences)} sequences are scored;"
            " --resume without --shard makes the tables"
        )

    # Raises if an item is broken; then the kept arrays stay for --resume.
    list_failures(scores.broken, len(items))
    if scoring.shard is None:
        kept.delete()
