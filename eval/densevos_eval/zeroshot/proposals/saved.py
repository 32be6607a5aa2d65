"""Proposals that lie on disk: FOLDER/SEQUENCE/FRAME.npz, one file a frame, made by any program.

Each file holds two arrays (numpy.savez): `masks` [N,H,W] bool, N proposals at the size of the
frame, and `scores` [N] in 0..1.
"""

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
    """A folder of proposals."""

    folder: Path

    def refusal(self, sequence: VideoSequence) -> InputError | None:
        """Why the folder does not fit the sequence: a frame without proposals, or proposals without
        a frame.
        """
        folder = self.folder / sequence.name
        there = {file.stem for file in folder.glob("*.npz")}
        frames = set(sequence.frame_names)
        hint = "give the proposals of the same frames, one file a frame"
        if frames - there:
            return InputError(f"{folder / min(frames - there)}.npz: file is missing; {hint}")
        if there - frames:
            return InputError(
                f"{folder / min(there - frames)}.npz: is of no frame of {sequence.source}; {hint}"
            )

        return None

    def of_sequence(self, sequence: VideoSequence) -> "SavedSequence":
        """The proposals of one sequence, to be asked for frame by frame."""
        files = [self.folder / sequence.name / f"{name}.npz" for name in sequence.frame_names]
        return SavedSequence(files=iter(files))


@dataclass(frozen=True, kw_only=True)
class SavedSequence:
    """A `ProposalSource` that reads the next file at each call."""

    files: Iterator[Path] = field(repr=False)

    def __call__(self, frame: np.ndarray, foreground: np.ndarray) -> list[Proposal]:
        """The proposals of the next frame; InputError when its file is damaged, or of another
        size.
        """
        file = next(self.files)
        masks, scores = read_proposals(file)
        if masks.shape[1:] != foreground.shape:
            raise InputError(
                f"{file}: has masks of {masks.shape[2]}x{masks.shape[1]} for a frame of"
                f" {foreground.shape[1]}x{foreground.shape[0]}; give the proposals of the same frames"
            )

        return [
            Proposal(mask=mask, score=score)
            for mask, score in zip(masks, scores.tolist(), strict=True)
        ]


def read_proposals(file: Path) -> tuple[np.ndarray, np.ndarray]:
    """Masks [N,H,W] bool and scores [N] float64 of one file; InputError when it is missing or of
    another form.
    """
    try:
        # NumPy leaves a file open that it opened itself and that is damaged.
        with file.open("rb") as opened, np.load(opened, allow_pickle=False) as arrays:
            masks, scores = arrays["masks"], np.asarray(arrays["scores"], float)
    except FileNotFoundError:
        raise InputError(f"{file}: file is missing; write one file a frame with {FORM}") from None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{file}: holds no proposals ({error}); write {FORM} with numpy.savez"
        ) from error

    plain = masks.ndim == 3 and masks.dtype == bool and scores.shape == masks.shape[:1]
    if not plain or not ((scores >= 0) & (scores <= 1)).all():
        raise InputError(
            f"{file}: has masks {list(masks.shape)} {masks.dtype} and scores {list(scores.shape)}; must be {FORM}"
        )

    return masks, scores


def write_proposals(file: Path, proposals: list[Proposal], size: tuple[int, int]) -> None:
    """Write the proposals of one frame of H x W = `size` pixels."""
    masks = np.zeros((len(proposals), *size), bool)
    for index, proposal in enumerate(proposals):
        masks[index] = proposal.mask

    file.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        file, masks=masks, scores=np.array([proposal.score for proposal in proposals])
    )
