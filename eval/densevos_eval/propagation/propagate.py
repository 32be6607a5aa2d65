"""Label propagation for whole sequences: given masks in, masks of all frames out."""

import hashlib
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import tee
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from densevos.base.errors import InputError
from densevos.base.masks import write_mask
from densevos.base.parallel import OnStep
from densevos_eval.adapters.encoder import Encoder
from densevos_eval.adapters.options import EncoderOptions
from densevos_eval.base.sizes import size_text
from densevos_eval.propagation.ahead import ahead, behind
from densevos_eval.propagation.both_ways import Span, affected, frames_of, plan
from densevos_eval.propagation.correction import (
    copy_files,
    has_state,
    recall,
    recalled_frames,
    save_soft_labels,
)
from densevos_eval.propagation.pose import check_joints, write_propagated_joints
from densevos_eval.propagation.propagator import Propagator
from densevos_eval.propagation.settings import MaskConfig, PropagationConfig, Setup
from densevos_eval.propagation.soft_masks import write_soft_masks
from densevos_eval.runs.fingerprint import fingerprint, given_fingerprints
from densevos_eval.runs.records import FILE, EarlierResult
from densevos_eval.sequences.sequence import VideoSequence, read_given

DOUBTFUL = (
    "--precision bf16: some cells may lack one of their most similar cells, because bfloat16 does "
    "not distinguish all nearly equal ones; --precision fp32 is exact"
)
"""Warning of a run in bf16 whose search may have missed a match."""


@dataclass(frozen=True, kw_only=True)
class Propagation:
    """A `MaskWriter` that propagates the given masks, or joints, of a sequence.

    Args:
        encoder: The network whose features are compared.
        config: Settings of label propagation.
        masks: How masks become labels of cells and back.
        max_side: Longest side, in pixels, at which frames are encoded; None for any.
        probabilities: Write soft masks too, as SEQUENCE/probabilities/ID/FRAME.png.
    """

    # Class variables that every `MaskWriter` has, see there.
    record: ClassVar[str] = FILE
    memory_hint: ClassVar[str] = "work at a smaller size or --context"
    inputs: ClassVar[Sequence[Path]] = ()
    background: ClassVar[bool] = True

    encoder: Encoder
    config: PropagationConfig = field(default_factory=PropagationConfig)
    masks: MaskConfig = field(default_factory=MaskConfig)
    max_side: int | None = None
    probabilities: bool = False

    @classmethod
    def loaded(
        cls, device: str, *, encoder: EncoderOptions, setup: Setup, **options: Any
    ) -> "Propagation":
        """The writer with the encoder that the options name.

        Args:
            device: Where the encoder computes.
            encoder: Options of the encoder. What they leave open is as in the setup.
            setup: A preset.
            options: The other fields of this class.
        """
        network = encoder.load(
            preferred_layer=setup.layer,
            preferred_normalisation=setup.normalisation,
            preferred_positions=setup.positions,
            frames=setup.frames,
            device=device,
        )

        return cls(encoder=network, config=setup.propagation, masks=setup.masks, **options)

    def settings(self) -> dict[str, dict[str, Any]]:
        """All that decides what the masks are; see `MaskWriter`."""
        encoder = self.encoder
        facts = {
            "encoder": encoder.name,
            "weights": weights_fingerprint(encoder),
            "layer": encoder.layer,
            "stride": encoder.stride,
            "normalisation": {"mean": list(encoder.mean), "std": list(encoder.std)},
            "positions": encoder.positions,
            "every": encoder.every,
            "between": encoder.between,
            "precision": encoder.precision,
            "scale": encoder.scale,
            "device": encoder.device.type,
            "frames": asdict(encoder.frames),
            "masks": asdict(self.masks),
            "propagation": self.config.facts(),
            "max_side": self.max_side,
            "probabilities": self.probabilities,
        }

        return {"": facts}

    def refusal(self, sequence: VideoSequence) -> InputError | None:
        """Why a sequence cannot be propagated: nothing is given, or its files are broken."""
        try:
            if sequence.joints:
                check_joints(sequence)
            elif not read_given(sequence):
                return InputError(
                    f"{sequence.source}: no mask is given; "
                    "propagation needs the mask of the first frame"
                )
        except InputError as error:
            return error

        return None

    def steps(self, sequence: VideoSequence) -> int:
        """Number of frames of a sequence, for the progress."""
        return len(sequence.frame_names)

    def write(self, sequence: VideoSequence, folders: Sequence[Path], on_step: OnStep) -> None:
        """Write the masks, or the joints, of all frames of a sequence.

        Args:
            sequence: The sequence.
            folders: The one folder to write to.
            on_step: Called with the name of the sequence after each frame.

        Raises:
            InputError: A file of the sequence cannot be used.
        """
        (folder,) = folders
        encoder = for_sequence(self.encoder, sequence)
        if sequence.joints:
            write_propagated_joints(sequence, encoder, self.config, self.masks, folder, on_step)
            return

        given = read_given(sequence)
        for span in _spans(sequence, given):
            propagator = Propagator(encoder, self.config, self.masks, max_side=self.max_side)
            self.write_span(sequence, propagator, span, given, folder, on_step)

    def rewrite(
        self,
        sequence: VideoSequence,
        earlier: EarlierResult,
        folders: Sequence[Path],
        on_step: OnStep,
    ) -> str:
        """As `write`, but copy the frames of an earlier run that the changed masks cannot affect.

        If the earlier run kept its soft labels, propagation starts from the first change. If it did
        not, all frames are computed again.

        Args:
            sequence: The sequence, with its new masks.
            earlier: The folder and the given masks of the earlier run.
            folders: The one folder to write to.
            on_step: Called with the name of the sequence after each frame.

        Returns:
            A note that says how many frames are computed again.
        """
        (folder,) = folders
        given, frames = read_given(sequence), len(sequence.frame_names)
        reached = affected(earlier.given, given_fingerprints(sequence), frames)
        # If nothing that was given has changed, all frames are kept.
        kept = sequence.frame_names[: reached.start] if reached else sequence.frame_names

        # Later masks change only frames on the way forward, which is the first span.
        forward = plan(given, frames)[0]
        recalled = recalled_frames(forward, len(kept), given, self.config.context)
        propagator = Propagator(
            for_sequence(self.encoder, sequence), self.config, self.masks, max_side=self.max_side
        )
        is_known = propagator.recalls and has_state(sequence, earlier.folder, recalled)
        if not kept or (reached and not is_known):
            self.write(sequence, folders, on_step)
            return f"{sequence.name}: masks have changed; all frames are computed again"

        # The frames before the first change.
        copy_files(earlier.folder, folder, kept)
        for _ in kept:
            on_step(sequence.name)

        # The frames from the first change on.
        if reached:
            until = reached.start
            recall(propagator, sequence, earlier.folder, recalled, given, span=forward, until=until)
            changed = replace(forward, start=until)
            self.write_span(sequence, propagator, changed, given, folder, on_step)

        return (
            f"{sequence.name}: masks have changed; {len(kept)} frames are kept, "
            f"{len(reached)} are computed again"
        )

    def write_span(
        self,
        sequence: VideoSequence,
        propagator: Propagator,
        span: Span,
        given: Mapping[int, np.ndarray],
        folder: Path,
        on_step: OnStep,
    ) -> None:
        """Write the files of the frames of one span.

        Args:
            sequence: The sequence.
            propagator: One that is ready for the first frame of the span. It may have recalled
                frames before.
            span: The frames.
            given: The given masks [H,W] by frame.
            folder: Where the files go.
            on_step: Called with the name of the sequence after each frame.
        """
        # Only masks that a user paints are corrected later, so only they need the soft labels.
        keeps_state = sequence.painted and span.step == 1 and propagator.recalls
        with behind() as later:
            for index, ids in _steps(sequence, propagator, span, given):
                name = sequence.frame_names[index]
                if name in sequence.written:
                    later(write_mask, folder / f"{name}.png", ids)
                    if self.probabilities:
                        # Not in the thread, because these masks depend on the propagator's state.
                        write_soft_masks(
                            folder / "probabilities", name, ids.shape, propagator.probabilities()
                        )

                if keeps_state:
                    later(save_soft_labels, folder, name, propagator.soft_labels())

                on_step(sequence.name)

        # Asked once for all frames of the span, because asking waits for the device.
        if propagator.doubtful():
            warnings.warn(DOUBTFUL, stacklevel=2)

    def summary(self, out: Path) -> list[str]:
        """No lines: propagation has nothing to add at the end of a run."""
        return []


def propagate(
    sequence: VideoSequence,
    encoder: Encoder,
    config: PropagationConfig | None = None,
    masks: MaskConfig | None = None,
    *,
    max_side: int | None = None,
) -> Iterator[tuple[str, np.ndarray]]:
    """Propagate the given masks of a sequence, frame by frame.

    Args:
        sequence: The sequence. If it is propagated both ways, the frames before its first mask come
            last, in reverse order.
        encoder: What `load_encoder` returned.
        config: Settings of label propagation; the defaults when left out.
        masks: How masks become labels of cells and back; the defaults when left out.
        max_side: Longest side, in pixels, at which frames are encoded; None for any.

    Yields:
        The name of each frame and its object ids [H,W] uint8.

    >>> from pathlib import Path
    >>> from tempfile import mkdtemp
    >>> import numpy as np
    >>> from PIL import Image
    >>> from densevos import write_mask
    >>> from densevos_eval import load_encoder, load_sequences, propagate
    >>> folder = Path(mkdtemp())
    >>> (folder / "clip").mkdir()
    >>> (folder / "masks").mkdir()
    >>> for t in range(3):
    ...     Image.new("RGB", (64, 48), "grey").save(folder / "clip" / f"{t:05d}.jpg")
    >>> mask = np.zeros((48, 64), np.uint8)
    >>> mask[10:30, 20:40] = 1
    >>> write_mask(folder / "masks" / "00001.png", mask)  # of the frame in the middle
    >>> (clip,) = load_sequences(video=folder / "clip", mask=folder / "masks")
    >>> encoder = load_encoder("random:resnet18", device="cpu")
    >>> [name for name, labels in propagate(clip, encoder)]
    ['00001', '00002', '00000']
    """
    given = read_given(sequence)
    for span in _spans(sequence, given):
        propagator = Propagator(for_sequence(encoder, sequence), config, masks, max_side=max_side)
        for index, ids in _steps(sequence, propagator, span, given):
            yield sequence.frame_names[index], ids


def for_sequence(encoder: Encoder, sequence: VideoSequence) -> Encoder:
    """The encoder, set to the frame size of the sequence's benchmark.

    An encoder that has a frame size of its own keeps it.
    """
    frames = encoder.frames
    has_own_size = frames.frame_size or frames.short_side or frames.long_side
    if sequence.frame_size is None or has_own_size:
        return encoder

    frames = replace(frames, frame_size=size_text(sequence.frame_size), resampling="bilinear")
    return replace(encoder, frames=frames)


def weights_fingerprint(encoder: Encoder) -> str | None:
    """SHA-256 of an encoder's parameters, else of its files; None if neither is known."""
    source = encoder.source
    if source is None:
        return None

    if source.module is None:
        return fingerprint(source.files) if source.files else None

    digest = hashlib.sha256()
    for name, values in sorted(source.module.state_dict().items()):
        digest.update(f"\n{name} {values.dtype} {list(values.shape)} ".encode())
        # Bytes, because NumPy lacks some of torch's types, such as bfloat16.
        digest.update(values.cpu().contiguous().reshape(-1).view(torch.uint8).numpy())

    return digest.hexdigest()


def _spans(sequence: VideoSequence, given: Collection[int]) -> tuple[Span, ...]:
    """The spans of a sequence. A benchmark has one: all frames forward, from frame 0 on."""
    frames = len(sequence.frame_names)
    if sequence.both_ways:
        return plan(given, frames)

    return (Span(start=0, stop=frames, step=1),)


def _steps(
    sequence: VideoSequence, propagator: Propagator, span: Span, given: Mapping[int, np.ndarray]
) -> Iterator[tuple[int, np.ndarray]]:
    """Index and object ids [H,W] uint8 of the frames that a span writes."""
    # The encoder may read a few frames further than propagation; `tee` keeps those.
    frames, encoded = tee(ahead(frames_of(sequence.frames(), span)))

    for index, frame, features in zip(
        span.frames, frames, propagator.features(encoded), strict=True
    ):
        ids = propagator.step(frame, given.get(index), features)
        if index in span.written:
            yield index, ids
