"""Writes the masks of semantic segmentation, and drawings of them over the frames."""

# Shapes: H x W pixels of a frame, K classes of the network.

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from PIL import Image

from densevos.base.errors import InputError
from densevos.base.files import atomic_write
from densevos.base.masks import write_mask
from densevos.base.parallel import OnStep
from densevos_eval.base.devices import chosen
from densevos_eval.drawing.legend import legend
from densevos_eval.drawing.overlay import overlay, stacked
from densevos_eval.runs.fingerprint import fingerprint
from densevos_eval.runs.records import SEGMENTED
from densevos_eval.segmentation.adaptation import Statistics
from densevos_eval.segmentation.classifier import Classifier, load_classifier, model_file
from densevos_eval.segmentation.options import NetworkOptions, SegmentationInput, ids_by_name
from densevos_eval.sequences.sequence import VideoSequence

OVERLAYS = "overlays"  # Name of the folder of drawings, within the folder of the masks.


@dataclass(frozen=True, kw_only=True)
class SemanticSegmentation:
    """A `MaskWriter` that predicts the class of every pixel of the required frames.

    classifier: the network at work.
    model: the file that `classifier` was loaded from.
    material: the videos and images to segment.
    overlays: also draw the masks over the frames, with a legend, in the folder `OVERLAYS`.
    statistics: BatchNorm statistics that replaced those of training in `classifier`, if any.

    Raises:
        InputError: if the network does not know the classes of the input.
    """

    record: ClassVar[str] = SEGMENTED
    memory_hint: ClassVar[str] = "run with fewer --workers or a --size"

    classifier: Classifier
    model: Path
    material: SegmentationInput
    overlays: bool = False
    statistics: Statistics | None = None

    def __post_init__(self) -> None:
        # Only checks, so that a run with unknown classes fails before it writes anything.
        ids_by_name(self.classifier.classes, self.classes)

    @classmethod
    def loaded(
        cls,
        device: str,
        *,
        options: NetworkOptions,
        material: SegmentationInput,
        statistics: Statistics | None = None,
    ) -> "SemanticSegmentation":
        """Load the network that the options name, on a device, and make the writer."""
        model = model_file(options.model)
        classifier = load_classifier(model, chosen(device), options.size)
        if statistics:
            values: dict[str, torch.Tensor] = {}
            for name, value in statistics.values.items():
                values[name] = torch.from_numpy(value)

            # Not strict: only the running statistics are replaced, the weights stay.
            classifier.network.load_state_dict(values, strict=False)

        return cls(
            classifier=classifier,
            model=model,
            material=material,
            overlays=options.overlays,
            statistics=statistics,
        )

    @property
    def inputs(self) -> list[Path]:
        return [self.model]

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes that ids in the masks stand for."""
        return self.material.classes or self.classifier.classes

    @property
    def background(self) -> bool:
        return has_background(self.classifier.classes)

    @cached_property
    def _ids(self) -> np.ndarray:
        """Id of each of the network's classes in the masks, [K] uint8."""
        return ids_by_name(self.classifier.classes, self.classes)

    def settings(self) -> dict[str, dict[str, Any]]:
        classifier = self.classifier
        facts: dict[str, Any] = {
            "method": "semantic segmentation",
            "model": str(self.model),
            "weights": fingerprint([self.model]),
            "size": classifier.size,
        }
        # Settings without effect are left out, so that they cannot prevent resuming a run.
        if classifier.network.clip_frames > 1:
            facts["gap"] = classifier.gap
        if self.statistics:
            facts["statistics"] = str(self.statistics)
            if self.statistics.source is not None:
                facts["statistics_from"] = self.statistics.source

        facts["device"] = classifier.device.type
        facts.update(self.material.facts)
        facts["classes"] = list(self.classes)

        # Each folder of the run has a record of its own.
        folders = {"": facts}
        if self.overlays:
            folders[OVERLAYS] = facts

        return folders

    def refusal(self, sequence: VideoSequence) -> InputError | None:
        return None

    def steps(self, sequence: VideoSequence) -> int:
        return len(sequence.written)

    def write(self, sequence: VideoSequence, folders: Sequence[Path], on_step: OnStep) -> None:
        masks = folders[0]
        drawings = folders[1] if self.overlays else None
        reader = self.material.open[sequence.name]()
        places = {name: index for index, name in enumerate(sequence.frame_names)}
        wanted = [places[name] for name in sequence.written]

        # Classes come clip by clip, so frames may be out of order.
        for index, classes in self.classifier(reader, wanted):
            # A table [K] looked up by the classes [H,W] gives the ids of the mask, [H,W].
            name, mask = sequence.frame_names[index], self._ids[classes]
            write_mask(masks / f"{name}.png", mask)
            if drawings:
                frame = reader.read([index])[0]
                _write_overlay(drawings / f"{name}.jpg", frame, mask, self.classes)

            on_step(sequence.name)

    def summary(self, out: Path) -> list[str]:
        return [f"{out}: masks of {self.model}"]


def has_background(classes: Sequence[str]) -> bool:
    """Whether id 0 is the background: pixels of none of the other classes."""
    return classes[0] == "background"


def _write_overlay(file: Path, frame: np.ndarray, mask: np.ndarray, classes: Sequence[str]) -> None:
    # The legend lists the classes of this frame only.
    shown = {id: classes[id] for id in np.unique(mask).tolist()}
    drawing = overlay(frame, mask, background=has_background(classes))
    image = stacked([drawing, legend(shown, frame.shape[1])])

    with atomic_write(file) as opened:
        Image.fromarray(image).save(opened, format="JPEG", quality=90)
