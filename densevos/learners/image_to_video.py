"""Image-to-video: learn segmentation from labels, and features that hide the domain."""

# Shapes: n images and m clips of a batch (images first), T frames, R labelled frames, K classes,
# C channels, H x W pixels, h x w cells of a tapped layer.

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
from densevos.models import card
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
    """[n+m] bool: True for images."""
    seen: Tensor
    """[n+m,T] bool: frames that the discriminator sees."""


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """The network's output for a batch with R labelled frames, those of images first."""

    logits: Tensor
    """[R,K,H,W]"""
    labels: Tensor
    """[R,H,W] uint8"""
    features: DomainFeatures


class ImageToVideo(Learner[DomainBatch]):
    """Unsupervised image-to-video domain adaptation (Eq. 5).

    The loss is L_seg + L_a, with L_a behind a gradient reversal layer. L_seg (Eq. 4) counts all
    labelled frames, whatever their domain. L_a (Eq. 2 or 3) counts all frames, images as source
    and videos as target.
    """

    class_weights: Tensor | None

    def __init__(
        self, config: I2VConfig, classes: Sequence[str], class_weights: Tensor | None = None
    ):
        """Make the network and its adversary.

        Args:
            config: The configuration of the run.
            classes: Names of the classes; the index is the id.
            class_weights: Weight of each class, [K]; None for equal weights.

        Raises:
            InputError: The network has no layer that `config.placement` names.
        """
        super().__init__()
        self.config, self.classes = config, tuple(classes)
        self.network = make_network(config.network, len(self.classes), self.classes)
        self.register_buffer("class_weights", class_weights)
        self.adversary: Adversary | None = None
        self.warming_up = False
        self.diagnosis: Mapping[str, Any] | None = None
        """The findings after training, for the model card."""

        if config.loss != "none":
            if config.placement not in self.network.taps:
                raise InputError(
                    f"--placement {config.placement}: choose one of {', '.join(self.network.taps)}"
                )

            shape = self.network.tap_shape(config.placement, (config.clips.size, config.clips.size))
            self.adversary = Adversary(discriminator_of(config), shape, config.adversarial)

    def forward(self, batch: DomainBatch, generator: torch.Generator) -> Losses:
        """The losses of a batch with their diagnostics; `generator` draws clusters and pairs."""
        outputs = self.look(batch)
        segmentation = segmentation_loss(outputs.logits, outputs.labels, self.class_weights)
        losses = {"segmentation": segmentation}
        total = segmentation

        if self.adversary is not None and not self.warming_up:
            features = outputs.features
            losses |= self.adversary(features.tap, features.is_source, features.seen, generator)
            total = total + losses["adversarial"]

        return {"loss": total, **losses}

    def look(self, batch: DomainBatch) -> "Outputs":
        """Run the network on a batch."""
        device = next(self.parameters()).device
        count, frames = len(batch.images), self.config.clips.frames

        # An image is a clip whose first frame alone is real and labelled; images come first.
        first = torch.arange(frames).expand(count, -1) == 0
        real = torch.cat([first, batch.real])  # [n+m,T]
        labelled = torch.cat([first, batch.labelled])  # [n+m,T]
        # In the order of `labelled`, [R,H,W].
        labels = torch.cat([batch.image_labels, batch.clip_labels[batch.labelled]])

        images = normalise(batch.images.to(device, non_blocking=True).float() / 255)
        clips = normalise(batch.clips.to(device, non_blocking=True).float() / 255)
        # Frames that pad a short video are zeros after normalisation, as those behind images are.
        is_real = batch.real.to(device, non_blocking=True)[..., None, None, None]
        features = self._encode(_as_clips(images, frames), clips * is_real)

        placement = "global" if self.adversary is None else self.config.placement
        masked = self.config.adversarial.padded == "masked"
        return Outputs(
            logits=self._decode(features, labelled, labels.shape[-2:]),
            labels=labels.to(device, non_blocking=True),
            features=DomainFeatures(
                tap=features[placement],
                is_source=torch.arange(len(real)) < count,
                seen=real if masked else torch.ones_like(real),
            ),
        )

    def warm_up(self, wanted: bool) -> None:
        """Leave the adversary out of the next steps, as --loss none does, or include it again."""
        self.warming_up = wanted
        if self.adversary is not None:
            # Otherwise several processes would wait for gradients of parameters that take no part
            # in the loss.
            self.adversary.requires_grad_(not wanted)

    def _encode(self, images: Tensor, clips: Tensor) -> dict[str, Tensor]:
        """Features [n+m,T,C,h,w] by tap, of both domains."""
        if self.config.batchnorm == "separate":
            # One pass per domain: BatchNorm normalises each by its own statistics.
            batches = [images, clips]
        else:
            batches = [torch.cat([images, clips])]

        encoded = [self.network.encode(batch) for batch in batches if len(batch)]
        return {name: torch.cat([part[name] for part in encoded]) for name in encoded[0]}

    def _decode(self, features: dict[str, Tensor], labelled: Tensor, size: torch.Size) -> Tensor:
        """Logits [R,K,H,W] of the R labelled frames, the only ones that are decoded."""
        device = next(self.parameters()).device
        rows = labelled.flatten().nonzero()[:, 0].to(device, non_blocking=True)
        chosen = {name: feature.flatten(0, 1)[rows][:, None] for name, feature in features.items()}

        return self.network.decode(chosen, (size[0], size[1]))[:, 0]

    def train(self, mode: bool = True) -> Self:
        """Set the mode of all modules; frozen BatchNorm stays in eval mode."""
        super().train(mode)
        if self.config.batchnorm == "frozen":
            for module in self.network.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()

        return self

    def get_extra_state(self) -> dict[str, Any]:
        """What a checkpoint keeps with the weights: class names and the initial weights' source."""
        return {"classes": list(self.classes), "initial_weights": self.network.initial_weights}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Take over what `get_extra_state` returned.

        Raises:
            ValueError: The weights are of other classes.
        """
        if tuple(state["classes"]) != self.classes:
            raise ValueError(f"learns {', '.join(state['classes'])}, not {', '.join(self.classes)}")

        self.network.initial_weights = card.initial_weights(state)


def discriminator_of(config: I2VConfig) -> Discriminator:
    """The kind of discriminator of a configuration, with `auto` resolved (decision D44)."""
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
    """Images [n,3,S,S] -> clips [n,T,3,S,S]: the image, then empty frames of zeros."""
    clips = images[:, None]
    # F.pad takes two numbers per axis, before and after, from the last axis to the first: width,
    # height and channels do not grow, and time grows at its end.
    return F.pad(clips, (0, 0, 0, 0, 0, 0, 0, frames - 1))
