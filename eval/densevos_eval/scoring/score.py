"""Masks on disk -> scores, with any metric: several items at a time, each kept as soon as it is
done.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2

import densevos
from densevos.base.parallel import BROKEN, Broken, OnStep, check_any, each
from densevos_eval.metrics.metric import Arrays, Item, Metric, Provenance, Scores
from densevos_eval.runs.fingerprint import fingerprint
from densevos_eval.scoring.kept import KeptArrays


@dataclass(frozen=True, kw_only=True)
class ItemResult:
    """The arrays of one item, and what they were measured from."""

    arrays: Arrays
    provenance: Provenance


def score(
    items: Sequence[Item],
    results: Path | Mapping[str, Path],
    metric: Metric[Item],
    *,
    split: str,
    kept: KeptArrays | None = None,
    workers: int = 1,
    on_item: Callable[[str], object] = lambda name: None,
) -> Scores:
    """Score the masks RESULTS/ITEM of all items.

    Args:
        items: Sequences or shots, each with its own name.
        results: The folder that holds the masks of all items, or such a folder for each item by
            name.
        metric: How they are scored.
        split: Name of the split, for the tables.
        kept: Where the arrays of finished items are kept until the caller deletes them.
        workers: Processes that the items are spread over, this one included; the numbers do not
            depend on it.
        on_item: Called with the name of each item when it is done.

    Returns:
        The scores; items that cannot be scored are listed in `broken`.

    Raises:
        InputError: Nothing can be scored, for a reason that the metric knows beforehand or because
            every item is broken.
    """
    folders = results if isinstance(results, Mapping) else {item.name: results for item in items}
    metric.check(items, folders)

    measure = partial(_measure, metric, folders, kept)
    count = min(workers, len(items))
    # This process is one of the workers: others take some tenths of a second to start.
    processes = [partial(_in_process, metric, folders, kept)] * (count - 1)
    outcomes: dict[str, ItemResult | Broken] = {}

    with _one_thread_each() if processes else nullcontext():
        for item, outcome in each(measure, items, processes=processes, here=True):
            outcomes[item.name] = outcome
            on_item(item.name)

    # Processes finish in any order; scores are in the order of the items.
    measured: dict[str, ItemResult] = {}
    broken: dict[str, Broken] = {}

    for item in items:
        outcome = outcomes[item.name]
        if isinstance(outcome, BROKEN):
            broken[item.name] = outcome
        else:
            measured[item.name] = outcome

    check_any(broken, [item.name for item in items])

    return Scores(
        metric=metric,
        split=split,
        rows=metric.combine({name: one.arrays for name, one in measured.items()}),
        provenance={name: one.provenance for name, one in measured.items()},
        broken={name: str(error) for name, error in broken.items()},
    )


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """OpenCV computes with one thread meanwhile, since several processes share the cores."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


def _in_process(
    metric: Metric[Item], folders: Mapping[str, Path], kept: KeptArrays | None
) -> Callable[[Item, OnStep], ItemResult]:
    cv2.setNumThreads(1)
    return partial(_measure, metric, folders, kept)


def _measure(
    metric: Metric[Item],
    folders: Mapping[str, Path],
    kept: KeptArrays | None,
    item: Item,
    on_step: OnStep,
) -> ItemResult:
    """Measure one item, or take the arrays that an earlier run measured from the very same
    files.
    """
    folder = folders[item.name]
    provenance = Provenance(
        frames=metric.frames(item),
        folder=folder,
        fingerprints=metric.fingerprints(item, folder),
        annotation_size=getattr(
            item, "annotation_size", None
        ),  # Shots of a labelled set have none.
    )
    hashes = provenance.fingerprints
    facts = [
        densevos.__version__,
        metric.name,
        metric.facts(item),
        hashes.masks,
        hashes.annotations,
    ]
    key = fingerprint([], facts)

    arrays = kept.load(item.name, key) if kept else None
    if arrays is None:
        arrays = metric.measure(item, folder)
        if kept:
            kept.save(item.name, key, arrays)

    return ItemResult(arrays=arrays, provenance=provenance)
