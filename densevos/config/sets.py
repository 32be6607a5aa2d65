"""How a labelled or unlabelled set is read: the one declaration of these options, for training and
evaluation.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class SetOptions:
    """Which part of a set is read, and which of its classes are learned; the set itself is written
    SET:ROOT.
    """

    split: str = "train"
    """Name of the part of the set."""
    wanted: tuple[str, ...] | None = None
    """Names of the classes besides background. Without this option they are the ten classes that
    COCO and DAVIS share for coco, davis and ytbb, and the set's own for others. A class goes by the
    set's name for it or, where no class has that, by COCO's. Images and videos without any of them
    are left out."""
    others: Literal["background", "ignore"] = "background"
    """What all other objects count as: background, or nothing."""
    table: Path | None = None
    """Your file of classes, for fbms (usually ROOT/classes.csv) and folder (ROOT/classes.txt or
    .json); one file for all sets of this kind."""
    names: Path | None = None
    """A text file with the names of the labelled images to use, one a line; the others are left
    out. Each set of images must have all that it names."""
    reannotated: bool = False
    """Take the annotations of 2019 for davis, whose ids are not those of davis_semantics.json."""
