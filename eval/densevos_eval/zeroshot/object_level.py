"""Object-level zero-shot segmentation: primary objects against background (MuG, Lu et al., CVPR
2020, Sec. 3.3).
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from densevos.base.errors import InputError
from densevos.base.masks import write_mask
from densevos.base.parallel import OnStep
from densevos.data.foreground.crf import CrfConfig, refine
from densevos_eval.propagation.soft_masks import write_soft_masks
from densevos_eval.runs.records import FILE
from densevos_eval.sequences.sequence import VideoSequence
from densevos_eval.zeroshot.foreground import ForegroundSource, load_foreground
from densevos_eval.zeroshot.options import ZeroShotOptions

PLAIN = "no-crf"  # below the folder of the refined masks
PER_GPU = 4  # Processes: each holds a network and its largest batch.


@dataclass(frozen=True, kw_only=True)
class Foreground:
    """The foreground of one frame: mask [H,W] uint8 of 0 and 1, and its probability [H,W]
    float32.
    """

    mask: np.ndarray
    probability: np.ndarray


@dataclass(frozen=True, kw_only=True)
class ObjectLevel:
    """A `MaskWriter` that tells the foreground of every frame from its background.

    With a CRF it writes refined masks to the run's folder, and those before the CRF to a folder
    within.

    source: Where the probability comes from. threshold: Foreground threshold on it.
    crf: Refines masks; None for none.
    probabilities: Soft masks are written too, as SEQUENCE/probabilities/ID/FRAME.png (ID 0 and 1).
    """

    record: ClassVar[str] = FILE
    memory_hint: ClassVar[str] = "run with fewer --workers or --references"
    background: ClassVar[bool] = True

    source: ForegroundSource
    threshold: float = 0.5
    crf: CrfConfig | None = None
    probabilities: bool = False

    @classmethod
    def loaded(
        cls, device: str, *, options: ZeroShotOptions, crf: CrfConfig | None
    ) -> "ObjectLevel":
        """The writer with what the options name, on a device."""
        return cls(
            source=load_foreground(options, device),
            threshold=options.threshold,
            crf=crf,
            probabilities=options.save_probabilities,
        )

    @property
    def inputs(self) -> Sequence[Path]:
        return self.source.inputs

    def settings(self) -> dict[str, dict[str, Any]]:
        facts = {
            "method": "zero-shot, object level",
            **self.source.settings(),
            "threshold": self.threshold,
            "crf": asdict(self.crf) if self.crf else None,
            "probabilities": self.probabilities,
        }

        return {"": facts, PLAIN: {**facts, "crf": None}} if self.crf else {"": facts}

    def refusal(self, sequence: VideoSequence) -> InputError | None:
        return None

    def steps(self, sequence: VideoSequence) -> int:
        return len(sequence.frame_names)

    def write(self, sequence: VideoSequence, folders: Sequence[Path], on_step: OnStep) -> None:
        for name, found in zip(sequence.frame_names, self.foregrounds(sequence), strict=True):
            for folder, foreground in zip(folders, found, strict=True):
                self._write(foreground, folder, name)
            on_step(sequence.name)

    def summary(self, out: Path) -> list[str]:
        lines = [f"{out}: masks of {self.source.title()}"]
        return [*lines, f"{out / PLAIN}: the same before the CRF"] if self.crf else lines

    def foregrounds(self, sequence: VideoSequence) -> Iterator[list[Foreground]]:
        """The foreground of each frame, at its own size, once for each folder of the run."""
        pictures = (
            sequence.frames()
        )  # a reader of its own: two that take turns would send a decoder back and forth

        for index, probability in enumerate(self.source(sequence)):
            plain = _foreground(probability, self.threshold)
            if self.crf is None:
                yield [plain]
                continue

            # The labels of the CRF change places at 0.5.
            neutral = np.interp(probability, (0, self.threshold, 1), (0, 0.5, 1)).astype(np.float32)
            yield [_foreground(refine(neutral, pictures.read([index])[0], self.crf), 0.5), plain]

    def _write(self, foreground: Foreground, folder: Path, frame: str) -> None:
        write_mask(folder / f"{frame}.png", foreground.mask)
        if self.probabilities:
            both = ((0, 1 - foreground.probability), (1, foreground.probability))
            write_soft_masks(folder / "probabilities", frame, foreground.mask.shape, both)


def _foreground(probability: np.ndarray, threshold: float) -> Foreground:
    return Foreground(mask=(probability >= threshold).astype(np.uint8), probability=probability)


def usual_workers(crf: CrfConfig | None, sequences: int) -> int | None:
    """Processes where no number is given: one a core for the CRF, which takes longer than the
    network and one core.
    """
    if crf is None or sequences < 2:
        return None

    most = PER_GPU * torch.cuda.device_count() or sequences
    return min(os.cpu_count() or 1, most, sequences)
