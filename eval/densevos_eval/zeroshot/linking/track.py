"""Tracks (one object through a video each), and the contract of linkers, which make them."""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from densevos_eval.zeroshot.proposals.proposal import Proposal

MOST_TRACKS = 20
"""Largest number of objects kept in a video: as many as DAVIS-2017 unsupervised allows."""


@dataclass(frozen=True)
class PackedMask:
    """A mask [H,W] bool in some hundred bytes, so that masks of a long video fit into memory."""

    shape: tuple[int, int]
    bits: bytes

    @classmethod
    def of(cls, mask: np.ndarray) -> "PackedMask":
        """Pack a mask [H,W] bool."""
        # Level 1: masks have long runs of equal bits, which compress well at any level.
        bits = zlib.compress(np.packbits(mask).tobytes(), 1)
        return cls((mask.shape[0], mask.shape[1]), bits)

    def mask(self) -> np.ndarray:
        """Unpack the mask, [H,W] bool."""
        # packbits fills up the last byte, so the number of bits must be given.
        count = self.shape[0] * self.shape[1]
        bits = np.frombuffer(zlib.decompress(self.bits), np.uint8)
        return np.unpackbits(bits, count=count).astype(bool).reshape(self.shape)


@dataclass(frozen=True, kw_only=True)
class Track:
    """One object through a video."""

    id: int
    """Id of the object in the masks, from 1 on; 1 is the most important."""
    score: float
    """Importance that the tracks were ranked by."""
    masks: Mapping[int, PackedMask]
    """Frame index -> mask; at least one, and frames may be missing."""

    @property
    def first(self) -> int:
        """Index of the first frame with a mask."""
        return min(self.masks)

    @property
    def last(self) -> int:
        """Index of the last frame with a mask."""
        return max(self.masks)


@dataclass(frozen=True, kw_only=True)
class FrameProposals:
    """One frame with its foreground and its proposals."""

    frame: np.ndarray
    """RGB [H,W,3] uint8."""
    foreground: np.ndarray
    """Object-level mask [H,W] bool."""
    proposals: Sequence[Proposal]


class Linker(Protocol):
    """Joins the proposals of a video's frames to tracks.

    Args:
        frames: the frames in order. Each is read once, so that a long video needs little memory.

    Returns:
        At most MOST_TRACKS tracks, the most important first, with ids 1, 2, ...; none if there are
        no objects.
    """

    def __call__(self, frames: Iterable[FrameProposals]) -> Sequence[Track]: ...
