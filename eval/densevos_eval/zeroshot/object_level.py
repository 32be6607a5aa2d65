"""Object-level zero-shot segmentation: primary objects against background.

Source: MuG (Lu et al., CVPR 2020, Sec. 3.3).
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

PLAIN = "no-crf"  # Name of the folder of unrefined masks, within that of the refined ones.
PER_GPU = 4  # Processes per GPU: each holds a network and its largest batch.


@dataclass(frozen=True, kw_only=True)
class Foreground:
    """The foreground of one frame.

    mask: [H,W] uint8 of 0 and 1.
    probability: [H,W] float32.
    """

    mask: np.ndarray
    probability: np.ndarray


@dataclass(frozen=True, kw_only=True)
class ObjectLevel:
    """A `MaskWriter` that separates the foreground of every frame from its background.

    With a CRF it writes refined masks to the run's folder, and unrefined ones to the folder `PLAIN`
    within it.

    source: predicts the probability of foreground.
    threshold: foreground threshold on the probability.
    crf: settings of the CRF that refines masks; None: masks are not refined.
    probabilities: also write soft masks, as SEQUENCE/probabilities/ID/FRAME.png (ID 0 and 1).
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
        """Load the source that the options name, on a device, and make the writer."""
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
        # Each folder of the run has a record of its own.
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
        # The refined foreground comes first, in the order of the run's folders.
        frames = zip(sequence.frame_names, self.foregrounds(sequence), strict=True)
        for name, foregrounds in frames:
            for folder, foreground in zip(folders, foregrounds, strict=True):
                self._write(foreground, folder, name)

            on_step(sequence.name)

    def summary(self, out: Path) -> list[str]:
        lines = [f"{out}: masks of {self.source.title()}"]
        if self.crf:
            lines.append(f"{out / PLAIN}: the same before the CRF")

        return lines

    def foregrounds(self, sequence: VideoSequence) -> Iterator[list[Foreground]]:
        """Yield the foreground of each frame, at its own size, once for each folder of the run."""
        # A second reader: if the CRF shared that of the source, the decoder would seek each time.
        frames = sequence.frames()

        for index, probability in enumerate(self.source(sequence)):
            plain = _foreground(probability, self.threshold)
            if self.crf is None:
                yield [plain]
                continue

            # The threshold of the CRF is 0.5, so the probability is rescaled around it.
            neutral = np.interp(probability, (0, self.threshold, 1), (0, 0.5, 1)).astype(np.float32)
            refined = refine(neutral, frames.read([index])[0], self.crf)
            yield [_foreground(refined, 0.5), plain]

    def _write(self, foreground: Foreground, folder: Path, frame: str) -> None:
        write_mask(folder / f"{frame}.png", foreground.mask)
        if self.probabilities:
            # Soft masks of background (id 0) and foreground (id 1).
            both = ((0, 1 - foreground.probability), (1, foreground.probability))
            write_soft_masks(folder / "probabilities", frame, foreground.mask.shape, both)


def _foreground(probability: np.ndarray, threshold: float) -> Foreground:
    return Foreground(mask=(probability >= threshold).astype(np.uint8), probability=probability)


def usual_workers(crf: CrfConfig | None, sequences: int) -> int | None:
    """Choose the number of worker processes.

    The CRF takes longer than the network and uses one core, so with it there is a process per core.

    Args:
        crf: settings of the CRF; None: there is none.
        sequences: number of sequences to segment.

    Returns:
        Number of processes; None: the default of the command.
    """
    if crf is None or sequences < 2:
        return None

    # Without a GPU nothing but cores and sequences limits the number.
    most = PER_GPU * torch.cuda.device_count() or sequences
    return min(os.cpu_count() or 1, most, sequences)
