"""How far the domains can be told apart by a network's features, and how well it segments the
source.

Nothing of the learner changes: neither weights nor BatchNorm's statistics nor the ramp of mu, and
torch's random numbers are afterwards where they were.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor

from densevos.base.masks import VOID
from densevos.data.segmentation.samples import DomainBatch
from densevos.engine.learner import Losses
from densevos.learners.adversary import Adversary
from densevos.learners.diagnosis import Findings
from densevos.learners.image_to_video import DomainFeatures, ImageToVideo
from densevos.models.discriminators import PAIRED, Discriminator

STEPS = 100
"""Steps of the fresh discriminator: enough for what is plain, too few to learn some dozens of
frames by heart.
"""
LEARNING_RATE = 3e-4


def examine(
    learner: ImageToVideo, batches: Sequence[DomainBatch], seed: int, *, own: bool
) -> Findings:
    """Measure a learner with an adversary on batches of training data.

    A fresh discriminator learns from every second batch. It and the run's own are judged on the
    others. It is one of the kind and size of the run's own; for the clustered loss, whose pairs
    have no domain, it is one of the general loss on the same units (maps or tokens).

    Args:
        learner: The learner; it computes on the device that it is on.
        batches: Two or more, each with images and clips.
        seed: Of the fresh discriminator.
        own: Whether the run's own discriminator has learned anything.

    Raises:
        ValueError: The learner has no adversary.
    """
    adversary = learner.adversary
    if adversary is None:
        raise ValueError("a learner without an adversary cannot be diagnosed")

    confusion = torch.zeros(len(learner.classes), len(learner.classes), dtype=torch.int64)
    features: list[DomainFeatures] = []
    with _left_alone(learner, seed):
        for batch in batches:
            with torch.no_grad():
                outputs = learner.look(batch)

            images = len(batch.images)
            confusion += confusion_of(outputs.logits[:images], outputs.labels[:images])
            features.append(outputs.features)

        learned, held_out = features[::2], features[1::2]
        fresh = fresh_adversary(learner, features[0].tap)
        train_fresh(fresh, learned)
        return Findings(
            source_miou=mean_iou(confusion),
            fresh=accuracy(fresh, held_out, seed),
            own=accuracy(adversary, held_out, seed) if own else None,
        )


@contextmanager
def _left_alone(learner: ImageToVideo, seed: int) -> Iterator[None]:
    """The learner in eval mode; it and torch's random numbers are as before afterwards."""
    device = next(learner.parameters()).device
    training = learner.training
    learner.eval()

    try:
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(seed)
            yield
    finally:
        learner.train(training)


def confusion_of(logits: Tensor, labels: Tensor) -> Tensor:
    """Pixels by true and predicted class, [K,K] int64 on the CPU, of logits [R,K,H,W] and labels
    [R,H,W].
    """
    classes = logits.shape[1]
    known = labels != VOID
    cells = classes * labels[known].long() + logits.argmax(1)[known]
    return torch.bincount(cells, minlength=classes**2).view(classes, classes).cpu()


def mean_iou(confusion: Tensor) -> float:
    """Mean IoU in 0..1 of a confusion [K,K] over the classes that labels show; 0 if there is
    none.
    """
    both = confusion.diagonal()
    either = confusion.sum(0) + confusion.sum(1) - both
    shown = confusion.sum(1) > 0
    return float((both[shown] / either[shown]).mean()) if shown.any() else 0.0


def fresh_adversary(learner: ImageToVideo, tap: Tensor) -> Adversary:
    """A new discriminator for a tap [B,T,C,h,w] of a learner: like its own, but of the general
    loss.
    """
    own, config = learner.adversary, learner.config.adversarial
    assert own is not None, "examine has looked"
    kind: Discriminator = config.unit if own.kind in PAIRED else own.kind
    channels, height, width = tap.shape[2:]

    return Adversary(kind, (channels, height, width), replace(config, ramp_batches=0)).to(
        tap.device
    )


def train_fresh(adversary: Adversary, seen: Sequence[DomainFeatures]) -> None:
    """Train a discriminator alone, on features that stay as they are: STEPS steps, a batch each, in
    turn.
    """
    optimiser = torch.optim.Adam(adversary.parameters(), lr=LEARNING_RATE)
    for step in range(STEPS):
        optimiser.zero_grad(set_to_none=True)
        _judged(adversary, seen[step % len(seen)], step)["adversarial"].backward()
        optimiser.step()

    adversary.eval()


@torch.no_grad()
def accuracy(adversary: Adversary, seen: Sequence[DomainFeatures], seed: int) -> float:
    """Balanced accuracy in 0..1 of a discriminator: the mean over both answers, so that a coin has
    0.5.
    """
    return sum(balanced(_judged(adversary, features, seed)) for features in seen) / len(seen)


def balanced(losses: Losses) -> float:
    """The balanced accuracy among the diagnostics of `Adversary`: of domains, or of pairs of one
    domain or two.
    """
    one_domain = (losses["accuracy_source"] + losses["accuracy_target"]) / 2
    return float(
        (one_domain + losses["accuracy_mixed"]) / 2 if "accuracy_mixed" in losses else one_domain
    )


def _judged(adversary: Adversary, features: DomainFeatures, seed: int) -> Losses:
    generator = torch.Generator().manual_seed(seed)
    return adversary.judge(features.tap, features.is_source, features.judged, generator)
