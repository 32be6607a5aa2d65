"""The adversary of image-to-video learning: a discriminator behind a gradient reversal layer."""

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
    """Tells images from videos by one tap of the network, which unlearns by what it can be told.

    `loss` is added to the segmentation loss as it is: mu and the minus sign of Eq. 5 are in the
    reversal layer.
    """

    def __init__(self, kind: Discriminator, shape: tuple[int, int, int], config: AdversarialConfig):
        """kind: a discriminator of the general loss, or of PAIRED for the clustered; shape: (C, h,
        w) of the tap.
        """
        super().__init__("batches")
        self.kind, self.config = kind, config
        by_token = kind in PAIRED and config.unit == "tokens"
        self.discriminator = make_discriminator(kind, (1, 1, shape[0]) if by_token else shape)

    def forward(
        self, tap: Tensor, is_source: Tensor, valid: Tensor, generator: torch.Generator
    ) -> Losses:
        """The adversarial loss and its diagnostics.

        tap [B,T,C,h,w]; is_source [B] bool: images; valid [B,T] bool: frames that are judged.
        `generator` draws the first centres of the clusters, and pairs.
        """
        mu = self._mu()
        losses = self.judge(tap, is_source, valid, generator, mu)
        return {**losses, "mu": torch.full((), mu, device=tap.device)}

    def judge(
        self,
        tap: Tensor,
        is_source: Tensor,
        valid: Tensor,
        generator: torch.Generator,
        mu: float = 0.0,
    ) -> Losses:
        """As `forward`, with a given mu; the ramp does not advance."""
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
        if self.kind == "patch3d":
            items, domains = clips_of(tap, valid), source
        else:
            items = units(tap, valid, self.kind)
            domains = domains_of(source, valid, len(items) // int(valid.sum()))

        logits = self.discriminator(reverse(items, mu))
        known = domain_accuracy(logits, domains)
        return {
            "adversarial": domain_loss(logits, domains),
            "chance": chance_level(domains.float().mean()),
            "accuracy_source": known[0],
            "accuracy_target": known[1],
        }

    def _clustered(
        self, tap: Tensor, source: Tensor, valid: Tensor, mu: float, generator: torch.Generator
    ) -> Losses:
        config = self.config
        items = units(tap, valid, config.unit)
        domains = domains_of(source, valid, len(items) // int(valid.sum()))

        if len(items) < config.clusters:
            raise InputError(
                f"--adversarial.clusters {config.clusters}: a batch has {len(items)} {config.unit}; fewer"
            )

        clusters, _ = kmeans(items, config.clusters, config.iterations, generator)
        pairs = draw_pairs(clusters, domains, config.pairs, generator, config.ratio)
        logits = self.discriminator(reverse(items, mu), pairs.first, pairs.second)
        known = pair_accuracy(logits, pairs, domains)

        return {
            "adversarial": clustered_loss(logits, pairs.same, pairs.valid),
            "chance": chance_level(torch.full((), same_share(config.ratio), device=tap.device)),
            **{f"accuracy_{kind}": share for kind, share in known.items()},
            **cluster_statistics(clusters, domains),
        }


def units(tap: Tensor, valid: Tensor, kind: str) -> Tensor:
    """What a discriminator of this kind judges, a row each, of the valid frames of a tap
    [B,T,C,h,w].
    """
    if kind == "maps":
        return maps_of(tap, valid)
    if kind == "tokens":
        return tokens_of(tap, valid)

    frames = frames_of(tap, valid)
    return frames.flatten(1) if kind == "global" else frames
