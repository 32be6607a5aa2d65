"""Reads proposals from files: FOLDER/SEQUENCE/FRAME.npz, one per frame, made by any program.

Each file holds two arrays (numpy.savez): `masks` [N,H,W] bool, N proposals at the size of the
frame, and `scores` [N] in 0..1.
"""

# Shapes: N proposals of a frame, H x W pixels of a frame.

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from densevos.base.errors import InputError
from densevos_eval.sequences.sequence import VideoSequence
from densevos_eval.zeroshot.proposals.proposal import Proposal

FORM = "masks [N,H,W] bool and scores [N] in 0..1"


@dataclass(frozen=True, kw_only=True)
class SavedProposals:
    """A folder of proposals: SEQUENCE/FRAME.npz."""

    folder: Path

    def refusal(self, sequence: VideoSequence) -> InputError | None:
        """Check that every frame of a sequence has proposals, and that there are no others.

        Returns:
            The error that the sequence is left out with, or None.
        """
        folder = self.folder / sequence.name
        files = {file.stem for file in folder.glob("*.npz")}
        frames = set(sequence.frame_names)
        hint = "give the proposals of the same frames, one file per frame"
        if frames - files:
            return InputError(f"{folder / min(frames - files)}.npz: file is missing; {hint}")

        if files - frames:
            return InputError(
                f"{folder / min(files - frames)}.npz: is of no frame of {sequence.source}; {hint}"
            )

        return None

    def of_sequence(self, sequence: VideoSequence) -> "SavedSequence":
        """Make the source of proposals for one sequence."""
        # refusal() has checked that all of them exist.
        files = [self.folder / sequence.name / f"{name}.npz" for name in sequence.frame_names]
        return SavedSequence(files=iter(files))


@dataclass(frozen=True, kw_only=True)
class SavedSequence:
    """A `ProposalSource` that reads the next file at each call."""

    files: Iterator[Path] = field(repr=False)

    def __call__(self, frame: np.ndarray, foreground: np.ndarray) -> list[Proposal]:
        """Read the proposals of the next frame.

        Args:
            frame: RGB [H,W,3] uint8; not used.
            foreground: [H,W]; only its size is used.

        Raises:
            InputError: if the file is damaged, or its masks have another size.
        """
        # A source is called once for each frame, in order.
        file = next(self.files)
        masks, scores = read_proposals(file)
        if masks.shape[1:] != foreground.shape:
            raise InputError(
                f"{file}: has masks of {masks.shape[2]}x{masks.shape[1]} for a frame of"
                f" {foreground.shape[1]}x{foreground.shape[0]};"
                " give the proposals of the same frames"
            )

        pairs = zip(masks, scores.tolist(), strict=True)
        return [Proposal(mask=mask, score=score) for mask, score in pairs]


def read_proposals(file: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read the proposals of one frame.

    Returns:
        Masks [N,H,W] bool and scores [N] float64.

    Raises:
        InputError: if the file is missing, or does not have this form.
    """
    try:
        # Opened here: NumPy does not close a damaged file that it opened itself.
        with file.open("rb") as opened, np.load(opened, allow_pickle=False) as arrays:
            masks, scores = arrays["masks"], np.asarray(arrays["scores"], float)
    except FileNotFoundError:
        raise InputError(f"{file}: file is missing; write one file per frame with {FORM}") from None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{file}: holds no proposals ({error}); write {FORM} with numpy.savez"
        ) from error

    has_form = masks.ndim == 3 and masks.dtype == bool and scores.shape == masks.shape[:1]
    if not has_form or not ((scores >= 0) & (scores <= 1)).all():
        raise InputError(
            f"{file}: has masks {list(masks.shape)} {masks.dtype} and scores {list(scores.shape)};"
            f" must be {FORM}"
        )

    return masks, scores


def write_proposals(file: Path, proposals: list[Proposal], size: tuple[int, int]) -> None:
    """Write the proposals of one frame, in the form that `read_proposals` reads.

    Args:
        file: the .npz file; its folder is created.
        proposals: the N proposals, possibly none.
        size: [H,W] of the frame.
    """
    # Filled row by row, so that no proposals still have the shape [0,H,W].
    masks = np.zeros((len(proposals), *size), bool)
    for index, proposal in enumerate(proposals):
        masks[index] = proposal.mask

    scores = np.array([proposal.score for proposal in proposals])
    file.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(file, masks=masks, scores=scores)
