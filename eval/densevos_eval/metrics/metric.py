"""The contract of a metric, and the scores that it makes.

A metric turns the masks of one item into arrays (`measure`), and the arrays of all items into rows
of numbers (`combine`). An item is a sequence of a benchmark or a shot of a labelled set. Everything
else is the same for all metrics and lies in densevos_eval.scoring: worker processes, arrays kept
for --resume, broken items, results.json and the table on the screen.

To add a metric, write one file in this folder that names its class METRIC; see registry.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import numpy as np

from densevos_eval.metrics.tables import ScoreTable, decimals

Arrays = Mapping[str, np.ndarray]
Row = Mapping[str, float]


class Named(Protocol):
    """Anything with a name that is unique among its kind."""

    @property
    def name(self) -> str:
        """The name; results of the item lie in a folder of that name."""
        ...


Item = TypeVar("Item", bound=Named)


@dataclass(frozen=True, kw_only=True)
class Fingerprints:
    """SHA-256 of the masks and of the annotations that an item is scored from."""

    masks: str
    annotations: str


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """What the numbers of one item come from.

    frames: Names of the frames that count; empty for joints.
    folder: Folder that holds the folder of the item's masks.
    annotation_size: [H,W] that its annotations were resized to; None where they have their own
    size.
    """

    frames: tuple[str, ...]
    folder: Path
    fingerprints: Fingerprints
    annotation_size: tuple[int, int] | None = None


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Numbers of a whole split and of each item in it; NaN where there is no number.

    overall: Column -> number of the whole split, in the order of the table.
    sequences: Item -> its row. A row may lack columns.
    sequence_details: Item -> what results.json says about it besides its row, at any depth.
    details: What results.json says about the split besides `overall`, at any depth.

    Details may hold arrays and NaN; results.json gets lists and null.
    """

    overall: Row
    sequences: Mapping[str, Row]
    sequence_details: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Scores:
    """What scoring a split gives, whatever the metric.

    provenance: Item -> what its numbers come from.
    broken: Item without scores -> why. The numbers are then those of the others, not the split's.
    """

    metric: "Metric[Any]"
    split: str
    rows: Rows
    provenance: Mapping[str, Provenance] = field(default_factory=dict)
    broken: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return self.metric.table(self).text()

    def _repr_html_(self) -> str:
        return self.metric.table(self).html()

    @property
    def overall(self) -> Row:
        """The numbers of the whole split."""
        return self.rows.overall

    @property
    def sequences(self) -> Mapping[str, Row]:
        """The numbers of each item that has scores."""
        return self.rows.sequences

    @property
    def details(self) -> Mapping[str, Mapping[str, Any]]:
        """What else is known of each item: of objects, `["objects"][ID]` with their numbers and
        curves.
        """
        return self.rows.sequence_details


@dataclass(frozen=True, kw_only=True)
class Metric(ABC, Generic[Item]):
    """How masks are scored against one benchmark or labelled set.

    Metrics are sent to worker processes, so their fields must survive pickling.
    """

    name: ClassVar[str]

    @property
    @abstractmethod
    def dataset(self) -> str:
        """Name of what masks are scored against."""

    @property
    def is_implied(self) -> bool:
        """Whether `dataset` asks for this metric by itself; results.json then does not name it."""
        return False

    @abstractmethod
    def check(self, items: Sequence[Item], folders: Mapping[str, Path]) -> None:
        """Raise InputError for what makes scoring impossible for all items."""

    @abstractmethod
    def frames(self, item: Item) -> tuple[str, ...]:
        """Names of the frames that count; none if the masks of an item are not one per frame."""

    def is_scored(self, item: Item) -> bool:
        """Whether anything of the item counts; others are left out, with a note."""
        return True

    @abstractmethod
    def fingerprints(self, item: Item, folder: Path) -> Fingerprints:
        """What the masks in FOLDER/ITEM and the annotations of the item are now.

        For masks FOLDER/ITEM/FRAME.png take runs.fingerprint.masks_fingerprint: compare and report
        compute it again, to refuse scores of other masks.
        """

    @abstractmethod
    def facts(self, item: Item) -> object:
        """All else that the arrays of the item depend on, as JSON takes it.

        Arrays of an interrupted run are reused only if facts and fingerprints are unchanged.
        """

    @abstractmethod
    def measure(self, item: Item, folder: Path) -> Arrays:
        """Measure the masks in FOLDER/ITEM.

        Raises:
            InputError: A mask or an annotation is missing or cannot be scored. The item is then
                listed as broken, and the others are still scored.
        """

    @abstractmethod
    def combine(self, arrays: Mapping[str, Arrays]) -> Rows:
        """Make rows from the arrays of the items, by name, in the order of the items.

        This is quick and happens once, so that all decisions about means belong here.
        """

    def title(self, scores: Scores) -> str:
        """Title of the table on the screen."""
        return f"{self.dataset} {scores.split}"

    def table(self, scores: Scores) -> ScoreTable:
        """Table for the screen: the whole split, then every item."""
        overall = scores.rows.overall
        rows = []
        for name, row in scores.rows.sequences.items():
            rows.append((name, *decimals(row.get(column, "") for column in overall)))

        return ScoreTable(
            title=self.title(scores),
            header=("sequence", *(column.replace("-", "\n") for column in overall)),
            overall=(("overall", *decimals(overall.values())),),
            rows=tuple(rows),
        )

    def files(self, scores: Scores) -> Mapping[str, bytes]:
        """Name and content of the files that belong beside results.json.

        They cannot say that items are broken, so they are written only if none is.
        """
        return {}
