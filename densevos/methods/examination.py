"""Examine an adversarial run before its first step and after its last, and print the diagnosis.

Only the main process examines. It writes its findings before training to RUN/diagnosis.json, where
a resumed run finds them.
"""

import json
import math
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from densevos.base.files import write_json
from densevos.config import I2VConfig

if TYPE_CHECKING:
    import torch

    from densevos.data.segmentation.samples import DomainBatch, DomainSamples
    from densevos.learners.diagnosis import Findings
    from densevos.learners.image_to_video import ImageToVideo

FILE = "diagnosis.json"
MOST_BATCHES = 16
MOST_IMAGES = 128
"""Images of all batches, with as many clips.

The accuracy on half of them is exact to a few per cent.
"""
MOST_NUMBERS = 2**28
"""Numbers in the features of all batches, which are in memory at once: a gigabyte."""
FAR_EPOCH = 10**6
"""The epoch of the batches. No training gets there, so training has not seen these crops."""


@dataclass(frozen=True, kw_only=True)
class Examination:
    """The two examinations of a learner; both are hooks of a `Round`."""

    config: I2VConfig
    learner: "ImageToVideo"
    samples: "Callable[[Path], DomainSamples]"
    """Makes the data set of the adversarial steps: samples(run folder)."""

    def before(self, out: Path, device: "torch.device") -> None:
        """Examine the initial network, unless the run in `out` did so when it started."""
        from densevos.engine import distributed

        # The file of a resumed run stands: its network would no longer be the initial one.
        if distributed.rank() != 0 or (out / FILE).exists():
            return

        # An untrained adversary says nothing of the features, so only a fresh one is scored.
        findings = self._findings(out, device, own=False)
        write_json(out / FILE, {"before": asdict(findings)})

    def after(self, out: Path, device: "torch.device") -> None:
        """Examine the trained network, print the diagnosis, and keep it for the model card."""
        from densevos.engine import distributed
        from densevos.learners.diagnosis import Findings, diagnose

        if distributed.rank() != 0:
            return

        # Findings from before training are read from disk, because a resumed run did not make them.
        record = json.loads((out / FILE).read_text(encoding="utf-8"))
        before = Findings(**record["before"])
        after = self._findings(out, device, own=True)
        diagnosis = diagnose(
            before, after, mu=self.config.adversarial.mu, placement=self.config.placement
        )

        # The diagnosis is a message to the user, and so goes to stderr.
        print(f"diagnosis: {diagnosis.summary}", file=sys.stderr)
        if diagnosis.warning is not None:
            print(f"warning: {diagnosis.warning}", file=sys.stderr)

        record = {"case": diagnosis.case, "before": asdict(before), "after": asdict(after)}
        write_json(out / FILE, record)
        # The learner carries the record to `save`, which writes it to the card.
        self.learner.diagnosis = record

    def _findings(self, out: Path, device: "torch.device", *, own: bool) -> "Findings":
        from densevos.learners.probe import examine

        batches = self.batches(out)
        return examine(self.learner.to(device), batches, self.config.loop.seed, own=own)

    def batches(self, out: Path) -> "list[DomainBatch]":
        """Batches as in training, the same for the same seed, that training itself never sees."""
        from densevos.data.clips import ClipSampler
        from densevos.engine.loop import batch_of_one
        from densevos.engine.readers import Readers

        loop, samples = self.config.loop, self.samples(out)
        # The examination runs in one process, hence the batch of a run with a single process.
        batch = min(batch_of_one(loop, 1), len(samples))

        # As many batches as fit into memory with their features.
        size = self.config.clips.size
        shape = self.learner.network.tap_shape(self.config.placement, (size, size))
        count = number_of_batches(batch, self.config.clips.frames * math.prod(shape))

        per_epoch = len(samples) // batch
        epochs = math.ceil(count / per_epoch)
        # The sampler counts steps from epoch 0 on; this is the first step of the far epoch.
        first = FAR_EPOCH * per_epoch
        shares = ClipSampler(len(samples), batch, FAR_EPOCH + epochs, loop.seed, start=first)

        # Processes read the videos, so that a broken video cannot end the run.
        with Readers(samples, list(shares)[:count], loop, lambda: False) as readers:
            return list(readers)


def number_of_batches(batch: int, numbers: int) -> int:
    """The number of batches that are examined: even, because half of them are held out.

    Args:
        batch: Number of images in a batch, and of clips.
        numbers: Numbers in the features of one image or clip.
    """
    # Images and clips of a batch both keep their features: hence twice the batch.
    most = min(MOST_BATCHES, MOST_IMAGES // batch, MOST_NUMBERS // (2 * batch * numbers))
    return max(most - most % 2, 2)
