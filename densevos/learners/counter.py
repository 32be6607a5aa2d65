"""A count that checkpoints keep, and that the host knows without asking the device."""

from typing import Any

import torch
from torch import Tensor, nn


class CountingModule(nn.Module):
    """A module with one count in a buffer, which is on the device as all buffers are.

    Reading the buffer would wait for the device in every step, so the host keeps the same number.
    It reads the buffer only once after a checkpoint was loaded.
    """

    def __init__(self, name: str, start: int = 0):
        """Register the count.

        Args:
            name: Name of its buffer.
            start: Its first value.
        """
        super().__init__()
        self._counter = name
        self._count: int | None = start
        self.register_buffer(name, torch.tensor(start))

    @property
    def count(self) -> int:
        """The number."""
        if self._count is None:
            self._count = int(self._buffer)
        return self._count

    def advance(self) -> None:
        """Add one to the count."""
        self._count = self.count + 1
        self._buffer.fill_(self._count)

    @property
    def _buffer(self) -> Tensor:
        return self.get_buffer(self._counter)

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._count = None  # the buffer has changed: read it again when it is asked for
