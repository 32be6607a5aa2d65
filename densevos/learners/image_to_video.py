"""Image-to-video: segmentation learned from labels, and features that do not tell images from
videos.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from densevos.base.errors import InputError
from densevos.config import I2VConfig
from densevos.data.segmentation.samples import DomainBatch
from densevos.engine.learner import Learner, Losses
from densevos.learners.adversary import Adversary
from densevos.models.discriminators import Discriminator
from densevos.models.encoder import normalise
from densevos.models.segmentation.network import make_network
from densevos.objectives.segmentation import segmentation_loss


@dataclass(frozen=True, kw_only=True)
class DomainFeatures:
    """What the discriminator sees of n images and m clips, images first."""

    tap: Tensor
    """[n+m,T,C,h,w]"""
    is_source: Tensor
    """[n+m] bool: images."""
    judged: Tensor
    """[n+m,T] bool: frames that it judges."""


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """What the network makes of a batch, of which R frames are labelled, those of images first."""

    logits: Tensor
    """[R,K,H,W]"""
    labels: Tensor
    """[R,H,W] uint8"""
    features: DomainFeatures


class ImageToVideo(Learner[DomainBatch]):
    """Unsupervised image-to-video domain adaptation, Eq. 5: L_seg + L_a, L_a behind a gradient
    reversal layer.

    Frames with labels pay L_seg (Eq. 4), whatever their domain; all frames pay L_a (Eq. 2 or 3),
    images as source and videos as target.
    """

    class_weights: Tensor | None

    def __init__(
        self, config: I2VConfig, classes: Sequence[str], class_weights: Tensor | None = None
    ):
        """classes: names, the index is the id; class_weights [K], or None for equal ones."""
        super().__init__()
        self.config, self.classes = config, tuple(classes)
        self.network = make_network(config.network, len(self.classes), self.classes)
        self.register_buffer("class_weights", class_weights)
        self.adversary: Adversary | None = None
        self.warming_up = False
        self.diagnosis: Mapping[str, Any] | None = None
        """What an examination after training found, for the card."""
        if config.loss != "none":
            if config.placement not in self.network.taps:
                raise InputError(
                    f"--placement {config.placement}: choose one of {', '.join(self.network.taps)}"
                )

            shape = self.network.tap_shape(config.placement, (config.clips.size, config.clips.size))
            self.adversary = Adversary(discriminator_of(config), shape, config.adversarial)

    def forward(self, batch: DomainBatch, generator: torch.Generator) -> Losses:
        """One batch's losses with their diagnostics; `generator` draws clusters and pairs."""
        seen = self.look(batch)
        losses = {"segmentation": segmentation_loss(seen.logits, seen.labels, self.class_weights)}
        total = losses["segmentation"]

        if self.adversary is not None and not self.warming_up:
            features = seen.features
            losses |= self.adversary(features.tap, features.is_source, features.judged, generator)
            total = total + losses["adversarial"]

        return {"loss": total, **losses}

    def look(self, batch: DomainBatch) -> "Outputs":
        """What the network makes of a batch."""
        device = next(self.parameters()).device
        count, frames = len(batch.images), self.config.clips.frames
        first = torch.arange(frames).expand(count, -1) == 0
        real = torch.cat([first, batch.real])
        labelled = torch.cat([first, batch.labelled])
        labels = torch.cat(
            [batch.image_labels, batch.clip_labels[batch.labelled]]
        )  # in the order of `labelled`
        images = _as_clips(
            normalise(batch.images.to(device, non_blocking=True).float() / 255), frames
        )
        shown = batch.real.to(device, non_blocking=True)[..., None, None, None]
        clips = normalise(batch.clips.to(device, non_blocking=True).float() / 255) * shown
        features = self._encode(images, clips)

        return Outputs(
            logits=self._decode(features, labelled, labels.shape[-2:]),
            labels=labels.to(device, non_blocking=True),
            features=DomainFeatures(
                tap=features["global" if self.adversary is None else self.config.placement],
                is_source=torch.arange(len(real)) < count,
                judged=real
                if self.config.adversarial.padded == "masked"
                else torch.ones_like(real),
            ),
        )

    def warm_up(self, wanted: bool) -> None:
        """Leave the adversary out of the next steps, as --loss none does, or let it join in."""
        self.warming_up = wanted
        if self.adversary is not None:
            # Several processes would wait for gradients of parameters that have no part in the
            # loss.
            self.adversary.requires_grad_(not wanted)

    def _encode(self, images: Tensor, clips: Tensor) -> dict[str, Tensor]:
        """Features [n+m,T,C,h,w] by tap, in one batch or in one of each domain."""
        apart = self.config.batchnorm == "separate"
        parts = [
            part
            for part in ((images, clips) if apart else (torch.cat([images, clips]),))
            if len(part)
        ]
        encoded = [self.network.encode(part) for part in parts]

        return {name: torch.cat([one[name] for one in encoded]) for name in encoded[0]}

    def _decode(self, features: dict[str, Tensor], labelled: Tensor, size: torch.Size) -> Tensor:
        """Logits [R,K,H,W] of the R labelled frames, the only ones that are decoded."""
        rows = (
            labelled.flatten().nonzero()[:, 0].to(next(self.parameters()).device, non_blocking=True)
        )
        chosen = {name: feature.flatten(0, 1)[rows][:, None] for name, feature in features.items()}

        return self.network.decode(chosen, (size[0], size[1]))[:, 0]

    def train(self, mode: bool = True) -> Self:
        """As usual, but frozen BatchNorm normalises by its running statistics and leaves them
        alone.
        """
        super().train(mode)
        if self.config.batchnorm == "frozen":
            for module in self.network.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()

        return self

    def get_extra_state(self) -> dict[str, Any]:
        """The classes' names and where the weights began, which a checkpoint keeps with them."""
        return {"classes": list(self.classes), "began": self.network.began}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Raises ValueError for weights of other classes."""
        if tuple(state["classes"]) != self.classes:
            raise ValueError(f"learns {', '.join(state['classes'])}, not {', '.join(self.classes)}")
        self.network.began = state.get("began", "unknown")  # Older checkpoints do not tell.


def discriminator_of(config: I2VConfig) -> Discriminator:
    """The kind of discriminator that the configuration means (decision D44)."""
    if config.adversarial.discriminator != "auto":
        return config.adversarial.discriminator
    if config.loss == "clustered":
        return "pairs"
    if config.network.architecture == "deeplabv3":
        return "conv"
    if config.network.architecture == "video_swin":
        return "patch2d"

    return "global" if config.placement == "global" else config.adversarial.unit


def _as_clips(images: Tensor, frames: int) -> Tensor:
    """Images [n,3,S,S] -> clips [n,T,3,S,S] with empty frames (zeros, after normalisation) behind
    them.
    """
    return F.pad(images[:, None], (0, 0) * 3 + (0, frames - 1))
