"""Arrays of finished items, kept on disk until all items are scored: OUT/.scores/ITEM.npz."""

import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from densevos.base.files import atomic_write
from densevos_eval.metrics.metric import Arrays

KEPT = ".scores"
KEY = "__key__"  # Stored beside the arrays; no metric names an array so.


@dataclass(frozen=True, kw_only=True)
class KeptArrays:
    """Where arrays are kept.

    out: Arrays are kept in OUT/.scores.
    reuse: Take arrays that an interrupted run or a shard left there, if their key is the same.
    """

    out: Path
    reuse: bool = False

    def file(self, name: str) -> Path:
        """The file of the arrays of one item."""
        return self.out / KEPT / f"{name}.npz"

    def save(self, name: str, key: str, arrays: Arrays) -> None:
        """Keep the arrays of one item; `key` says what they were measured from."""
        file = self.file(name)
        file.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(file) as opened:
            np.savez_compressed(opened, **{**arrays, KEY: np.array(key)})  # type: ignore[arg-type]

    def load(self, name: str, key: str) -> Arrays | None:
        """The arrays of one item if they may be reused, are complete, and have this key."""
        if not self.reuse:
            return None

        try:
            with (
                self.file(name).open("rb") as opened,
                np.load(opened, allow_pickle=False) as stored,
            ):
                arrays = dict(stored)
        except (OSError, ValueError, EOFError, zipfile.BadZipFile):
            return None

        return arrays if str(arrays.pop(KEY, "")) == key else None

    def delete(self) -> None:
        """Delete what is kept."""
        shutil.rmtree(self.out / KEPT, ignore_errors=True)
