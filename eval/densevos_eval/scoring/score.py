"""Score masks on disk with any metric, several items at a time."""

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
        metric: How the items are scored.
        split: Name of the split, for the tables.
        kept: Where the arrays of finished items are kept until the caller deletes them.
        workers: Number of processes that share the items, this one included; the numbers do not
            depend on it.
        on_item: Called with the name of each item when the item is done.

    Returns:
        The scores; items that cannot be scored are listed in `broken`.

    Raises:
        InputError: Nothing can be scored, for a reason that the metric knows beforehand or because
            every item is broken.
    """
    folders: Mapping[str, Path]
    if isinstance(results, Mapping):
        folders = results
    else:
        folders = {item.name: results for item in items}

    # What the metric knows beforehand ends the run before any process starts.
    metric.check(items, folders)

    # This process is one of the workers, because others take some tenths of a second to start.
    measure = partial(_measure, metric, folders, kept)
    start_process = partial(_measure_in_process, metric, folders, kept)
    processes = [start_process] * (min(workers, len(items)) - 1)
    outcomes: dict[str, ItemResult | Broken] = {}

    with _one_thread_each() if processes else nullcontext():
        for item, outcome in each(measure, items, processes=processes, here=True):
            outcomes[item.name] = outcome
            on_item(item.name)

    # Processes finish in any order, but scores are in the order of the items.
    arrays: dict[str, Arrays] = {}
    provenance: dict[str, Provenance] = {}
    broken: dict[str, Broken] = {}

    for item in items:
        outcome = outcomes[item.name]
        if isinstance(outcome, BROKEN):
            broken[item.name] = outcome
        else:
            arrays[item.name] = outcome.arrays
            provenance[item.name] = outcome.provenance

    # Raises if every item is broken; otherwise the others have scores.
    check_any(broken, [item.name for item in items])

    return Scores(
        metric=metric,
        split=split,
        rows=metric.combine(arrays),
        provenance=provenance,
        broken={name: str(error) for name, error in broken.items()},
    )


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Let OpenCV compute with one thread for a while, since several processes share the cores."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


def _measure_in_process(
    metric: Metric[Item], folders: Mapping[str, Path], kept: KeptArrays | None
) -> Callable[[Item, OnStep], ItemResult]:
    """Set up a worker process, and return the function that it calls with each item."""
    cv2.setNumThreads(1)
    return partial(_measure, metric, folders, kept)


def _measure(
    metric: Metric[Item],
    folders: Mapping[str, Path],
    kept: KeptArrays | None,
    item: Item,
    on_step: OnStep,
) -> ItemResult:
    """Measure one item, or reuse the arrays that an earlier run measured from the same files."""
    folder = folders[item.name]
    provenance = Provenance(
        frames=metric.frames(item),
        folder=folder,
        fingerprints=metric.fingerprints(item, folder),
        # Shots of a labelled set have no such size.
        annotation_size=getattr(item, "annotation_size", None),
    )

    # Arrays may be reused only if nothing that they depend on has changed.
    facts = [
        densevos.__version__,
        metric.name,
        metric.facts(item),
        provenance.fingerprints.masks,
        provenance.fingerprints.annotations,
    ]
    key = fingerprint([], facts)

    arrays = kept.load(item.name, key) if kept else None
    if arrays is None:
        arrays = metric.measure(item, folder)
        # Saved at once, so that a run that is stopped loses only its current items.
        if kept:
            kept.save(item.name, key, arrays)

    return ItemResult(arrays=arrays, provenance=provenance)
