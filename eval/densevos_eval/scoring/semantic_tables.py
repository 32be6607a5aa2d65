"""Scores of classes as files and as a table on the screen."""

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from rich import box
from rich.table import Table

from densevos.base.files import write_json, written_whole
from densevos_eval.metrics.confusion import annotated_iou, class_accuracy
from densevos_eval.scoring.confusion_picture import confusion_picture
from densevos_eval.scoring.semantic import ClassScores
from densevos_eval.scoring.tables import measured_json, without

ALL = "all pixels"  # The row with pixel accuracy.


@dataclass(frozen=True, kw_only=True)
class ClassRow:
    """One class: IoU and the share of its pixels that are found (NaN without any), and how many it has."""

    name: str
    iou: float
    accuracy: float
    pixels: int


def class_rows(scores: ClassScores) -> Iterator[ClassRow]:
    """Every class in the order of their ids."""
    columns = (annotated_iou(scores.pixels), class_accuracy(scores.pixels), scores.pixels.sum(axis=1))
    for name, iou, accuracy, pixels in zip(scores.classes, *columns, strict=True):
        yield ClassRow(name=name, iou=float(iou), accuracy=float(accuracy), pixels=int(pixels))


def write_class_scores(scores: ClassScores, folder: Path) -> None:
    """Write results.json, classes.csv and confusion.png into `folder`.

    The table and the picture cannot say that shots are broken, so then there are none.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "results.json", as_json(scores, folder))
    table, picture = folder / "classes.csv", folder / "confusion.png"
    if scores.measured.broken:
        table.unlink(missing_ok=True)
        picture.unlink(missing_ok=True)
        return
    with written_whole(table, "w") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["class", "IoU", "accuracy", "pixels"])
        writer.writerows(_csv_row(one) for one in (*class_rows(scores), *_overall(scores)))
    with written_whole(picture) as file:
        Image.fromarray(_picture(scores)).save(file, format="PNG")


def as_json(scores: ClassScores, folder: Path) -> dict[str, object]:
    """Everything at full precision: what measured_json says, the classes, and the confusion matrix (rows: truth)."""
    classes = {
        one.name: {"IoU": _number(one.iou), "accuracy": _number(one.accuracy), "pixels": one.pixels}
        for one in class_rows(scores)
    }
    return {
        **measured_json(scores.measured, folder),
        "metric": "miou",
        "averaged": list(scores.averaged),
        "classes": classes,
        "confusion": scores.pixels.tolist(),
    }


def class_table(scores: ClassScores) -> Table:
    """Table for the screen: the whole first, then every class, in per cent."""
    frames = sum(map(len, scores.measured.frames.values()))
    table = Table(
        title=f"{_title(scores)}\n{frames} frames, void not counted{without(scores.measured.broken)}",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("class", no_wrap=True)
    for column in ("IoU %", "accuracy %", "pixels %"):
        table.add_column(column, justify="right")
    total = max(1, int(scores.pixels.sum()))
    for one in _overall(scores):
        table.add_row(*_cells(one, total), style="bold", end_section=one.name == ALL)
    for one in class_rows(scores):
        table.add_row(*_cells(one, total))
    return table


def _cells(one: ClassRow, total: int) -> tuple[str, ...]:
    return one.name, _percent(one.iou), _percent(one.accuracy), _percent(one.pixels / total)


def _picture(scores: ClassScores) -> np.ndarray:
    measured = scores.measured
    numbers = ", ".join(f"{name} {_percent(share)} %" for name, share in measured.overall.items())
    return confusion_picture(scores.pixels, scores.classes, f"{measured.dataset} {measured.split}: {numbers}")


def _title(scores: ClassScores) -> str:
    averaged = scores.averaged
    background = ", background included" if "background" in averaged else ""
    lacking = len(scores.classes) - len(averaged)
    unseen = f" ({lacking} without annotation left out)" if lacking else ""
    measured = scores.measured
    return f"{measured.dataset} {measured.split}: mean over {len(averaged)} classes{background}{unseen}"


def _overall(scores: ClassScores) -> tuple[ClassRow, ClassRow]:
    """The means over classes, and all pixels alike."""
    overall, total = scores.measured.overall, int(np.sum(scores.pixels))
    return (
        ClassRow(name="mean", iou=overall["mIoU"], accuracy=overall["mean accuracy"], pixels=total),
        ClassRow(name=ALL, iou=math.nan, accuracy=overall["pixel accuracy"], pixels=total),
    )


def _csv_row(one: ClassRow) -> list[object]:
    """Six decimals; empty where there is no number."""
    shares = ("" if math.isnan(share) else f"{share:.6f}" for share in (one.iou, one.accuracy))
    return [one.name, *shares, one.pixels]


def _number(share: float) -> float | None:
    return None if math.isnan(share) else share


def _percent(share: float) -> str:
    return "–" if math.isnan(share) else f"{100 * share:.2f}"
