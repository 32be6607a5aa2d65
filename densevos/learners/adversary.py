"""The adversary of image-to-video learning: a discriminator behind a gradient reversal layer."""

# Shapes: B samples (images and clips), T frames, C channels, h x w cells of the tapped layer,
# N features that the discriminator sees.

import torch
from torch import Tensor

from densevos.base.errors import InputError
from densevos.config import AdversarialConfig
from densevos.engine.learner import Losses
from densevos.learners.counter import CountingModule
from densevos.models.discriminators import PAIRED, Discriminator, make_discriminator
from densevos.objectives.clustered import (
    cluster_statistics,
    clustered_loss,
    draw_pairs,
    pair_accuracy,
    same_share,
)
from densevos.objectives.clustering import kmeans
from densevos.objectives.domain import chance_level, domain_accuracy, domain_loss
from densevos.objectives.domain_samples import clips_of, domains_of, frames_of, maps_of, tokens_of
from densevos.objectives.reversal import ramp, reverse


class Adversary(CountingModule):
    """Tells images from videos by one tap of the network, which unlearns what gives them away.

    Its loss is added to the segmentation loss without a further factor: mu and the minus sign of
    Eq. 5 are in the reversal layer.
    """

    def __init__(self, kind: Discriminator, shape: tuple[int, int, int], config: AdversarialConfig):
        """Make the discriminator.

        Args:
            kind: A discriminator of the general loss, or one of PAIRED for the clustered loss.
            shape: (C, h, w) of the tap.
            config: Settings of the loss.
        """
        super().__init__("batches")
        self.kind, self.config = kind, config
        by_token = kind in PAIRED and config.unit == "tokens"
        self.discriminator = make_discriminator(kind, (1, 1, shape[0]) if by_token else shape)

    def forward(
        self, tap: Tensor, is_source: Tensor, valid: Tensor, generator: torch.Generator
    ) -> Losses:
        """The adversarial loss and its diagnostics; mu advances along its ramp.

        Args:
            tap: Features [B,T,C,h,w].
            is_source: [B] bool: the sample is an image.
            valid: [B,T] bool: frames that the discriminator sees.
            generator: Draws the first centres of the clusters, and the pairs.
        """
        mu = self._mu()
        losses = self.evaluate(tap, is_source, valid, generator, mu)
        return {**losses, "mu": torch.full((), mu, device=tap.device)}

    def evaluate(
        self,
        tap: Tensor,
        is_source: Tensor,
        valid: Tensor,
        generator: torch.Generator,
        mu: float = 0.0,
    ) -> Losses:
        """The losses of `forward` at a given mu; the ramp does not advance.

        Args:
            tap: Features [B,T,C,h,w].
            is_source: [B] bool: the sample is an image.
            valid: [B,T] bool: frames that the discriminator sees.
            generator: Draws the first centres of the clusters, and the pairs.
            mu: Factor of the reversed gradient.
        """
        source = is_source.to(tap.device, non_blocking=True)
        if self.kind in PAIRED:
            return self._clustered(tap, source, valid, mu, generator)

        return self._general(tap, source, valid, mu)

    def _mu(self) -> float:
        if not self.config.ramp_batches:
            return self.config.mu

        progress = min(self.count / self.config.ramp_batches, 1.0)
        self.advance()
        return self.config.mu * ramp(progress)

    def _general(self, tap: Tensor, source: Tensor, valid: Tensor, mu: float) -> Losses:
        """L_g of Eq. 2."""
        if self.kind == "patch3d":
            items, domains = clips_of(tap, valid), source
        else:
            items = units(tap, valid, self.kind)
            domains = domains_of(source, valid, len(items) // int(valid.sum()))

        logits = self.discriminator(reverse(items, mu))
        source_accuracy, target_accuracy = domain_accuracy(logits, domains)
        return {
            "adversarial": domain_loss(logits, domains),
            "chance": chance_level(domains.float().mean()),
            "accuracy_source": source_accuracy,
            "accuracy_target": target_accuracy,
        }

    def _clustered(
        self, tap: Tensor, source: Tensor, valid: Tensor, mu: float, generator: torch.Generator
    ) -> Losses:
        """L_cl of Eq. 3."""
        config = self.config
        items = units(tap, valid, config.unit)
        domains = domains_of(source, valid, len(items) // int(valid.sum()))

        if len(items) < config.clusters:
            raise InputError(
                f"--adversarial.clusters {config.clusters}: a batch has only {len(items)} "
                f"{config.unit}; give fewer clusters"
            )

        clusters, _ = kmeans(items, config.clusters, config.iterations, generator)
        pairs = draw_pairs(clusters, domains, config.pairs, generator, config.ratio)
        logits = self.discriminator(reverse(items, mu), pairs.first, pairs.second)
        accuracies = pair_accuracy(logits, pairs, domains)
        share = torch.full((), same_share(config.ratio), device=tap.device)

        return {
            "adversarial": clustered_loss(logits, pairs.same, pairs.valid),
            "chance": chance_level(share),
            **{f"accuracy_{kind}": accuracy for kind, accuracy in accuracies.items()},
            **cluster_statistics(clusters, domains),
        }


def units(tap: Tensor, valid: Tensor, kind: str) -> Tensor:
    """What a discriminator sees of the valid frames of a tap.

    Args:
        tap: Features [B,T,C,h,w].
        valid: [B,T] bool.
        kind: Kind of the discriminator.

    Returns:
        One item per row: frames [n,C,h,w], or rows [N,D] of numbers.
    """
    if kind == "maps":
        return maps_of(tap, valid)
    if kind == "tokens":
        return tokens_of(tap, valid)

    frames = frames_of(tap, valid)
    return frames.flatten(1) if kind == "global" else frames
