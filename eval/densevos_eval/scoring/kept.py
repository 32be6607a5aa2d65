"""Arrays of finished items, kept on disk until all items are scored: OUT/.scores/ITEM.npz."""

import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from densevos.base.files import atomic_write
from densevos_eval.metrics.metric import Arrays

KEPT = ".scores"
KEY = "__key__"  # Stored beside the arrays; no metric has an array of this name.


@dataclass(frozen=True, kw_only=True)
class KeptArrays:
    """The folder of kept arrays.

    Attributes:
        out: Folder of the results; arrays are kept in OUT/.scores.
        reuse: Whether to load arrays that an interrupted run or a shard left with the same key.
    """

    out: Path
    reuse: bool = False

    def file(self, name: str) -> Path:
        """The file that holds the arrays of one item."""
        return self.out / KEPT / f"{name}.npz"

    def save(self, name: str, key: str, arrays: Arrays) -> None:
        """Keep the arrays of one item.

        Args:
            name: Name of the item.
            key: Fingerprint of everything that the arrays were measured from.
            arrays: What the metric measured.
        """
        file = self.file(name)
        file.parent.mkdir(parents=True, exist_ok=True)
        # A run may be killed here, and must not leave a file that is half written.
        with atomic_write(file) as opened:
            np.savez_compressed(opened, **{**arrays, KEY: np.array(key)})  # type: ignore[arg-type]

    def load(self, name: str, key: str) -> Arrays | None:
        """Load the arrays of one item.

        Args:
            name: Name of the item.
            key: Fingerprint of everything that the arrays would be measured from now.

        Returns:
            The arrays; None if they may not be reused, are incomplete, or have another key.
        """
        if not self.reuse:
            return None

        try:
            with (
                self.file(name).open("rb") as opened,
                np.load(opened, allow_pickle=False) as stored,
            ):
                arrays = dict(stored)
        except (OSError, ValueError, EOFError, zipfile.BadZipFile):
            # A missing or damaged file is no error: the item is measured again.
            return None

        # Another key means that the masks, annotations or settings have changed.
        if str(arrays.pop(KEY, "")) != key:
            return None

        return arrays

    def delete(self) -> None:
        """Delete all kept arrays."""
        shutil.rmtree(self.out / KEPT, ignore_errors=True)
