"""Scores as results.json, as the files that a metric writes beside it, and as a printed table."""

import math
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from rich import box
from rich.table import Table

import densevos
from densevos.base.files import atomic_write, made_folder, write_json
from densevos_eval.base.sizes import size_text
from densevos_eval.metrics.metric import Provenance, Scores
from densevos_eval.runs.records import FILE as MASKS
from densevos_eval.runs.records import SEGMENTED, read_settings

FILE = "results.json"


def write_scores(scores: Scores, folder: Path) -> None:
    """Write results.json and the files of the metric into a folder.

    The files of the metric cannot list broken items. If an item is broken, they are deleted instead
    of written, so that none of an earlier run is left.

    Args:
        scores: What to write.
        folder: Where to write; it is made if it does not exist.
    """
    # results.json comes first: it lists broken items, which the other files cannot.
    made_folder(folder)
    write_json(folder / FILE, results_json(scores, folder))

    for name, content in scores.metric.files(scores).items():
        if scores.broken:
            (folder / name).unlink(missing_ok=True)
            continue

        with atomic_write(folder / name) as file:
            file.write(content)


def results_json(scores: Scores, folder: Path | None = None) -> dict[str, object]:
    """The content of results.json, at full precision.

    Args:
        scores: What to write.
        folder: Where results.json will lie, for the relative path from it to the masks.

    Returns:
        Values as JSON takes them; None stands for a number that does not exist.
    """
    everything: dict[str, object] = {
        "version": densevos.__version__,
        "dataset": scores.metric.dataset,
        "split": scores.split,
    }
    if scores.broken:
        # Readers must see this before the numbers, which are then not those of the whole split.
        everything["broken"] = dict(scores.broken)

    # Each sequence has its means, where its masks lie, and the details of its metric.
    sequences = {}
    for name, row in scores.rows.sequences.items():
        details = scores.rows.sequence_details.get(name, {})
        sequences[name] = {**row, **_origin(scores.provenance.get(name), folder), **details}

    everything.update(_settings(scores))
    everything["overall"] = dict(scores.rows.overall)
    everything["sequences"] = sequences

    # The usual metric of a benchmark goes without saying.
    if not scores.metric.is_implied:
        everything["metric"] = scores.metric.name

    everything.update(scores.rows.details)
    return {name: _plain(value) for name, value in everything.items()}


def _settings(scores: Scores) -> dict[str, object]:
    """Settings of the annotations and of the masks, as far as they are known."""
    settings: dict[str, object] = {}

    # The size that annotations were resized to; those of their own size have none.
    sizes = set()
    for provenance in scores.provenance.values():
        if provenance.annotation_size:
            sizes.add(provenance.annotation_size)

    if sizes:
        settings["annotation_size"] = ", ".join(sorted(map(size_text, sizes)))

    record = _record_of_run(scores)
    if record:
        settings["made_with"] = read_settings(record)

    return settings


def _record_of_run(scores: Scores) -> Path | None:
    """The file that says how the masks were made; None if no file does."""
    for provenance in scores.provenance.values():
        for name in (MASKS, SEGMENTED):
            record = provenance.folder / name
            if record.is_file():
                # Any will do: folders of one result share their settings, see scoring.folders.
                return record

    return None


def scores_table(scores: Scores) -> Table:
    """The table for the screen: first the whole split, then its parts.

    Args:
        scores: What to show.
    """
    content = scores.metric.table(scores)
    title = content.title
    if scores.broken:
        title += f", WITHOUT {len(scores.broken)} that are broken"

    table = Table(title=title, box=box.SIMPLE_HEAD, pad_edge=False)

    # Names are flush left, numbers are flush right.
    names, *numbers = content.header
    table.add_column(names, no_wrap=True)
    for column in numbers:
        table.add_column(column, justify="right")

    # Means are bold, with a line below the last of them.
    for row in content.overall:
        table.add_row(*row, style="bold", end_section=row is content.overall[-1])

    for row in content.rows:
        table.add_row(*row)

    return table


def _origin(provenance: Provenance | None, folder: Path | None) -> dict[str, object]:
    """Frames, the path from `folder` to the masks if they are not in it, and the fingerprints."""
    # Scores of masks in memory have no files.
    if provenance is None:
        return {"frames": []}

    origin: dict[str, object] = {"frames": list(provenance.frames)}

    # The path is relative, so that both folders can be moved together.
    path = os.path.relpath(provenance.folder.resolve(), folder.resolve()) if folder else "."
    if path != ".":
        origin["masks"] = path

    hashes = provenance.fingerprints
    origin["sha256"] = {"masks": hashes.masks, "annotations": hashes.annotations}
    return origin


def _plain(value: object) -> object:
    """The value as JSON takes it: lists instead of arrays and tuples, null instead of NaN."""
    if isinstance(value, Mapping):
        return {name: _plain(entry) for name, entry in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]

    # JSON has no NaN.
    return None if isinstance(value, float) and math.isnan(value) else value
