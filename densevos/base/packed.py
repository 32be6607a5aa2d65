"""A sequence of many short texts that takes little memory."""

from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import overload

import numpy as np

from densevos.base.files import name_bytes


class PackedStrings(Sequence[str]):
    """Texts, such as paths, in one buffer; a str is made when it is asked for.

    300,000 str objects take tens of MB. Forked processes would copy them just by reading them,
    because Python counts references inside each object. A buffer stays shared.

    Args:
        content: The bytes of all texts, one after the other: UTF-8, or file names of any encoding.
        offsets: [n + 1] int64; text i is content[offsets[i]:offsets[i + 1]].
    """

    def __init__(self, content: bytes, offsets: np.ndarray):
        self.content, self.offsets = content, offsets

    @classmethod
    def of(cls, texts: Iterable[str]) -> "PackedStrings":
        """Pack texts into one buffer."""
        # offsets: 0 and the end of every text.
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
            selected = range(len(self))[index]
            return PackedStrings.of(self[i] for i in selected)

        # surrogateescape gives back file names that are not UTF-8 as Python spells them.
        return self.bytes_of(index).decode("utf-8", "surrogateescape")

    def bytes_of(self, index: int) -> bytes:
        """The bytes of one text.

        Args:
            index: Its number, 0 to n - 1.

        Returns:
            The bytes as they are stored.

        Raises:
            IndexError: There is no such text.
        """
        # Negative indices are refused: offsets[-1] is the end of the buffer, not a text.
        if not 0 <= index < len(self):
            raise IndexError(index)

        return self.content[self.offsets[index] : self.offsets[index + 1]]
