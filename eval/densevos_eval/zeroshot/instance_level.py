"""Instance-level zero-shot segmentation: one id per object.

Object-level masks filter the proposals of each frame, and a linker joins these to tracks.

Source: MuG (Lu et al., CVPR 2020, Sec. 3.3).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from densevos.base.errors import InputError
from densevos.base.files import write_json
from densevos.base.masks import write_mask
from densevos.base.parallel import OnStep
from densevos.data.foreground.crf import CrfConfig
from densevos_eval.base.devices import chosen
from densevos_eval.runs.records import FILE
from densevos_eval.sequences.sequence import VideoSequence
from densevos_eval.zeroshot.linking.painting import painted, track_rows
from densevos_eval.zeroshot.linking.registry import LinkerKind, load_linker
from densevos_eval.zeroshot.linking.track import FrameProposals
from densevos_eval.zeroshot.object_level import ObjectLevel
from densevos_eval.zeroshot.options import InstanceOptions, ZeroShotOptions
from densevos_eval.zeroshot.proposals.registry import ProposalKind, load_proposals

TRACKS = "tracks.json"
"""Name of the file with the tracks of a sequence, in the folder of its masks."""


@dataclass(frozen=True, kw_only=True)
class InstanceLevel:
    """A `MaskWriter` of indexed masks, one id per track, and of OUT/SEQUENCE/tracks.json."""

    record: ClassVar[str] = FILE
    memory_hint: ClassVar[str] = "run with fewer --workers, or use a shorter part of the video"
    background: ClassVar[bool] = True

    objects: ObjectLevel
    """Separates foreground from background."""
    proposals: ProposalKind
    """Finds what may be objects in a frame."""
    linking: LinkerKind
    """Joins proposals to tracks."""

    @classmethod
    def loaded(
        cls,
        device: str,
        *,
        options: ZeroShotOptions,
        instances: InstanceOptions,
        crf: CrfConfig | None,
    ) -> "InstanceLevel":
        """Load everything that the options name, on a device, and make the writer."""
        place = str(chosen(device))
        proposals = load_proposals(
            instances.proposals or "parts",
            device=place,
            # The CRF moves the boundary between its labels to 0.5.
            threshold=0.5 if crf else options.threshold,
            weights=instances.proposal_weights,
            edge_map=instances.edge_map,
        )
        linking = load_linker(
            instances.linking or "association",
            flow=instances.flow or "dis",
            flow_weights=instances.flow_weights,
            embedding=instances.embedding,
            layer=instances.embedding_layer,
            pooling=instances.embedding_pooling,
            device=place,
        )
        objects = ObjectLevel.loaded(device, options=options, crf=crf)

        return cls(objects=objects, proposals=proposals, linking=linking)

    @property
    def inputs(self) -> Sequence[Path]:
        return [*self.objects.inputs, *self.proposals.inputs, *self.linking.inputs]

    def settings(self) -> dict[str, dict[str, Any]]:
        # One folder only: unrefined masks of the object level are not written.
        facts = {
            **self.objects.settings()[""],
            "method": "zero-shot, instance level",  # Replaces that of the object level.
            **self.proposals.settings,
            **self.linking.settings,
        }

        return {"": facts}

    def refusal(self, sequence: VideoSequence) -> InputError | None:
        return self.proposals.refusal(sequence)

    def steps(self, sequence: VideoSequence) -> int:
        return len(sequence.frame_names)

    def write(self, sequence: VideoSequence, folders: Sequence[Path], on_step: OnStep) -> None:
        folder = folders[0]
        size = sequence.frames().read([0])[0].shape[:2]
        # Ids depend on the whole video, so nothing is written before all frames are linked.
        tracks = self.linking.linker(self._frames(sequence, on_step))
        for index, name in enumerate(sequence.frame_names):
            write_mask(folder / f"{name}.png", painted(tracks, index, size))

        write_json(folder / TRACKS, track_rows(tracks, sequence.frame_names))

    def summary(self, out: Path) -> list[str]:
        source = self.objects.source.title()
        return [f"{out}: masks and {TRACKS} of every sequence, by the foreground of {source}"]

    def _frames(self, sequence: VideoSequence, on_step: OnStep) -> Iterator[FrameProposals]:
        """Each frame with its foreground, refined if there is a CRF, and its proposals."""
        # A generator: linkers read frames one by one, so that a long video needs little memory.
        find = self.proposals.of_sequence(sequence)
        frames = sequence.frames()
        for index, foregrounds in enumerate(self.objects.foregrounds(sequence)):
            foreground = foregrounds[0]  # The refined one comes first.
            frame = frames.read([index])[0]
            # Sources of proposals see the probability, and linkers see the mask.
            proposals = find(frame, foreground.probability)
            yield FrameProposals(
                frame=frame, foreground=foreground.mask.astype(bool), proposals=proposals
            )
            on_step(sequence.name)
