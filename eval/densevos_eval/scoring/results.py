"""Scores as results.json, as the files that a metric writes beside it, and as a table on the
screen.
"""

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
    """Write results.json and the files of the metric into `folder`.

    The files of the metric cannot say that items are broken, so then there are none.
    """
    made_folder(folder)
    write_json(folder / FILE, results_json(scores, folder))
    for name, content in scores.metric.files(scores).items():
        if scores.broken:
            (folder / name).unlink(missing_ok=True)
            continue

        with atomic_write(folder / name) as file:
            file.write(content)


def results_json(scores: Scores, folder: Path | None = None) -> dict[str, object]:
    """Everything at full precision; null where there is no number.

    Args:
        scores: What to write.
        folder: Where results.json will lie, for the path from there to the masks.
    """
    everything: dict[str, object] = {
        "version": densevos.__version__,
        "dataset": scores.metric.dataset,
        "split": scores.split,
    }
    if scores.broken:
        # Said first of all, since what follows is then not the whole split's.
        everything["broken"] = dict(scores.broken)

    sequences = {}
    for name, row in scores.rows.sequences.items():
        details = scores.rows.sequence_details.get(name, {})
        sequences[name] = {**row, **_origin(scores.provenance.get(name), folder), **details}

    everything.update(_settings(scores))
    everything["overall"] = dict(scores.rows.overall)
    everything["sequences"] = sequences

    if not scores.metric.is_implied:
        everything["metric"] = scores.metric.name

    everything.update(scores.rows.details)
    return {name: _plain(value) for name, value in everything.items()}


def _settings(scores: Scores) -> dict[str, object]:
    """The size of the annotations unless it is their own, and what the masks were made with as far
    as it is known.
    """
    settings: dict[str, object] = {}
    sizes = {one.annotation_size for one in scores.provenance.values() if one.annotation_size}
    if sizes:
        settings["annotation_size"] = ", ".join(sorted(map(size_text, sizes)))

    # Folders of one result were made with the same settings, see scoring.folders.
    records = [
        one.folder / name for one in scores.provenance.values() for name in (MASKS, SEGMENTED)
    ]
    record = next((record for record in records if record.is_file()), None)
    if record:
        settings["made_with"] = read_settings(record)

    return settings


def scores_table(scores: Scores) -> Table:
    """Table for the screen: the whole split first, then its parts."""
    content = scores.metric.table(scores)
    without = f", WITHOUT {len(scores.broken)} that are broken" if scores.broken else ""
    table = Table(title=content.title + without, box=box.SIMPLE_HEAD, pad_edge=False)

    names, *numbers = content.header
    table.add_column(names, no_wrap=True)
    for column in numbers:
        table.add_column(column, justify="right")

    for row in content.overall:
        table.add_row(*row, style="bold", end_section=row is content.overall[-1])

    for row in content.rows:
        table.add_row(*row)

    return table


def _origin(provenance: Provenance | None, folder: Path | None) -> dict[str, object]:
    """Frames, the path from `folder` to the masks if they are not in it, and the fingerprints."""
    if provenance is None:
        return {"frames": []}

    origin: dict[str, object] = {"frames": list(provenance.frames)}
    path = os.path.relpath(provenance.folder.resolve(), folder.resolve()) if folder else "."
    if path != ".":
        origin["masks"] = path

    hashes = provenance.fingerprints
    origin["sha256"] = {"masks": hashes.masks, "annotations": hashes.annotations}
    return origin


def _plain(value: object) -> object:
    """The value as JSON takes it: lists instead of arrays and tuples, null instead of NaN."""
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]

    return None if isinstance(value, float) and math.isnan(value) else value
