"""Many short texts in one piece of memory."""

from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import overload

import numpy as np

from densevos.base.files import name_bytes


class PackedStrings(Sequence[str]):
    """Texts, such as paths, one after another in one buffer; one is made when it is asked for.

    300,000 str objects take tens of MB, and forked processes copy them by looking at them, as
    Python then counts references. A buffer stays shared.
    """

    def __init__(self, content: bytes, offsets: np.ndarray):
        """Text i is content[offsets[i]:offsets[i + 1]] in UTF-8, or in bytes that are none; offsets
        [n + 1] int64.
        """
        self.content, self.offsets = content, offsets

    @classmethod
    def of(cls, texts: Iterable[str]) -> "PackedStrings":
        """Pack texts."""
        pieces = [name_bytes(text) for text in texts]
        ends = accumulate(map(len, pieces), initial=0)
        return cls(b"".join(pieces), np.fromiter(ends, np.int64, len(pieces) + 1))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> "PackedStrings": ...
    def __getitem__(self, index: int | slice) -> "str | PackedStrings":
        if isinstance(index, slice):
            return PackedStrings.of(self[i] for i in range(*index.indices(len(self))))
        return self.bytes_of(index).decode("utf-8", "surrogateescape")

    def bytes_of(self, index: int) -> bytes:
        """One text as it is stored; IndexError when there is none."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self.content[self.offsets[index] : self.offsets[index + 1]]
