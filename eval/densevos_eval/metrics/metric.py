"""The contract of a metric, and the scores that it makes.

A metric turns the masks of one item into arrays (`measure`), and the arrays of all items into rows
of numbers (`combine`). An item is a sequence of a benchmark or a shot of a labelled set. All
metrics share densevos_eval.scoring: worker processes, arrays kept for --resume, broken items,
results.json and the table on the screen.

To add a metric, write one file in this folder that assigns its class to METRIC; see registry.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import numpy as np

from densevos_eval.metrics.tables import ScoreTable, decimals

# What `measure` returns: the meaning and the shape of each array are up to the metric.
Arrays = Mapping[str, np.ndarray]

# Column -> number.
Row = Mapping[str, float]


class Named(Protocol):
    """Anything with a name that is unique among its kind."""

    @property
    def name(self) -> str:
        """The name of the item, and of the folder that holds its results."""
        ...


# What a metric scores: a sequence of a benchmark, or a shot of a labelled set.
Item = TypeVar("Item", bound=Named)


@dataclass(frozen=True, kw_only=True)
class Fingerprints:
    """SHA-256 of the masks and of the annotations of an item."""

    masks: str
    annotations: str


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """What the numbers of one item come from.

    Attributes:
        frames: Names of the frames that count; empty for joints.
        folder: Folder that holds the folder of the item's masks.
        fingerprints: Hashes of the masks and the annotations.
        annotation_size: [H,W] that the annotations were resized to; None if they were not resized.
    """

    frames: tuple[str, ...]
    folder: Path
    fingerprints: Fingerprints
    annotation_size: tuple[int, int] | None = None


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Numbers of a whole split and of each item in it; NaN stands for a missing number.

    Attributes:
        overall: Column -> number of the whole split, in the order of the table.
        sequences: Item -> its row. A row may lack columns.
        sequence_details: Item -> entries of results.json besides its row, perhaps nested.
        details: Entries of results.json about the split besides `overall`, perhaps nested.

    Details may hold arrays and NaN; results.json gets lists and null instead.
    """

    overall: Row
    sequences: Mapping[str, Row]
    sequence_details: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Scores:
    """The scores of a split, whatever the metric. Consoles and notebooks show them as a table.

    Attributes:
        metric: How the items were scored.
        split: Name of the split.
        rows: The numbers.
        provenance: Item -> what its numbers come from.
        broken: Item without scores -> the reason. If there are any, the numbers cover only the
            other items, not the whole split.
    """

    metric: "Metric[Any]"
    split: str
    rows: Rows
    provenance: Mapping[str, Provenance] = field(default_factory=dict)
    broken: Mapping[str, str] = field(default_factory=dict)

    # Interactive users see the table instead of the fields.
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
        """Further results of each item, such as `["objects"][ID]`: numbers and curves by object."""
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
        """Name of the benchmark or set that masks are scored against."""

    @property
    def is_implied(self) -> bool:
        """Whether this is the dataset's own metric; results.json then does not name it."""
        return False

    @abstractmethod
    def check(self, items: Sequence[Item], folders: Mapping[str, Path]) -> None:
        """Check what can make scoring impossible for all items.

        Args:
            items: The items to score.
            folders: Name of an item -> the folder that holds the folder of its masks.

        Raises:
            InputError: Nothing can be scored.
        """

    @abstractmethod
    def frames(self, item: Item) -> tuple[str, ...]:
        """Names of the frames that count; empty if an item does not have one mask per frame."""

    def is_scored(self, item: Item) -> bool:
        """Whether anything of the item counts. Other items are left out, with a note."""
        return True

    @abstractmethod
    def fingerprints(self, item: Item, folder: Path) -> Fingerprints:
        """Hash the current masks in FOLDER/ITEM and the current annotations of the item.

        For masks FOLDER/ITEM/FRAME.png, use runs.fingerprint.masks_fingerprint. The commands
        `compare` and `report` compute it again and refuse scores of other masks.

        Args:
            item: The item to score.
            folder: The folder that holds the folder of its masks.
        """

    @abstractmethod
    def facts(self, item: Item) -> object:
        """Everything else that the arrays of the item depend on, as JSON takes it.

        Arrays of an interrupted run are reused only if facts and fingerprints are unchanged.
        """

    @abstractmethod
    def measure(self, item: Item, folder: Path) -> Arrays:
        """Measure the masks in FOLDER/ITEM.

        Args:
            item: The item to score.
            folder: The folder that holds the folder of its masks.

        Returns:
            Arrays by name, all that `combine` needs.

        Raises:
            InputError: A mask or an annotation is missing or cannot be scored. The item is then
                listed as broken, and the others are still scored.
        """

    @abstractmethod
    def combine(self, arrays: Mapping[str, Arrays]) -> Rows:
        """Make rows of numbers from the arrays of all items.

        This is quick and happens once, so decisions about means belong here, not in `measure`.

        Args:
            arrays: Name of an item -> its arrays, in the order of the items.
        """

    def title(self, scores: Scores) -> str:
        """Title of the table on the screen."""
        return f"{self.dataset} {scores.split}"

    def table(self, scores: Scores) -> ScoreTable:
        """Table for the screen: first the whole split, then every item."""
        overall = scores.rows.overall

        # A row that lacks a column gets an empty cell.
        rows = []
        for name, row in scores.rows.sequences.items():
            rows.append((name, *decimals(row.get(column, "") for column in overall)))

        # Long titles such as J-unseen-Mean are broken at hyphens, so that tables stay narrow.
        titles = [column.replace("-", "\n") for column in overall]
        return ScoreTable(
            title=self.title(scores),
            header=("sequence", *titles),
            overall=(("overall", *decimals(overall.values())),),
            rows=tuple(rows),
        )

    def files(self, scores: Scores) -> Mapping[str, bytes]:
        """Names and contents of the files to write beside results.json.

        They cannot list broken items, so they are written only if no item is broken.
        """
        return {}
