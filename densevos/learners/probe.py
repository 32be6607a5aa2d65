"""Measure how well a network's features separate the domains, and how well it segments the source.

Nothing about the learner changes: neither weights nor BatchNorm's statistics nor the ramp of mu.
The state of torch's random numbers is the same before and after.
"""

# Shapes: B samples (images and clips), T frames, C channels, h x w cells of the tapped layer,
# R labelled frames of H x W pixels, K classes.

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor

from densevos.base.masks import VOID
from densevos.config import AdversarialConfig
from densevos.data.segmentation.samples import DomainBatch
from densevos.engine.learner import Losses
from densevos.learners.adversary import Adversary
from densevos.learners.diagnosis import Findings
from densevos.learners.image_to_video import DomainFeatures, ImageToVideo
from densevos.models.discriminators import PAIRED, Discriminator

STEPS = 100
"""Steps of the fresh discriminator.

They are enough for plain differences, and too few to learn some dozens of frames by heart.
"""
LEARNING_RATE = 3e-4
"""Learning rate of the fresh discriminator (Adam)."""


def examine(
    learner: ImageToVideo, batches: Sequence[DomainBatch], seed: int, *, own: bool
) -> Findings:
    """Measure a learner with an adversary on batches of training data.

    A fresh discriminator learns from every second batch. It and the run's own discriminator are
    scored on the other batches. The fresh one has the kind and size of the run's own. For the
    clustered loss, whose pairs have no domain, it is a discriminator of the general loss on the
    same units (maps or tokens).

    Args:
        learner: The learner, on the device where it computes.
        batches: Two or more, each with images and clips.
        seed: Seed of the fresh discriminator.
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

        # Accuracy on batches that a discriminator has learned from would say little.
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
    """Put the learner into eval mode, and restore it and torch's random numbers afterwards."""
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
    """Count pixels by true and predicted class.

    Args:
        logits: [R,K,H,W].
        labels: [R,H,W], class ids or VOID.

    Returns:
        [K,K] int64 on the CPU; rows are true classes.
    """
    classes = logits.shape[1]
    known = labels != VOID
    # One number for each pair of true and predicted class.
    cells = classes * labels[known].long() + logits.argmax(1)[known]
    return torch.bincount(cells, minlength=classes**2).view(classes, classes).cpu()


def mean_iou(confusion: Tensor) -> float:
    """Mean IoU of a confusion [K,K] over the classes that occur in labels, 0..1; 0 without any.

    >>> mean_iou(torch.tensor([[1, 1, 0], [0, 1, 0], [0, 0, 0]]))
    0.5
    """
    intersection = confusion.diagonal()
    union = confusion.sum(0) + confusion.sum(1) - intersection
    occurring = confusion.sum(1) > 0
    if not occurring.any():
        return 0.0

    return float((intersection[occurring] / union[occurring]).mean())


def fresh_adversary(learner: ImageToVideo, tap: Tensor) -> Adversary:
    """A new discriminator for a tap [B,T,C,h,w], like the learner's own but of the general loss."""
    own, config = learner.adversary, learner.config.adversarial
    assert own is not None, "examine has checked it"
    kind: Discriminator = config.unit if own.kind in PAIRED else own.kind
    return new_adversary(kind, tap, config)


def new_adversary(kind: Discriminator, tap: Tensor, config: AdversarialConfig) -> Adversary:
    """A new discriminator of a kind for a tap [B,T,C,h,w], on its device and without a ramp."""
    channels, height, width = tap.shape[2:]
    adversary = Adversary(kind, (channels, height, width), replace(config, ramp_batches=0))
    return adversary.to(tap.device)


def train_fresh(adversary: Adversary, seen: Sequence[DomainFeatures]) -> None:
    """Train a discriminator alone for STEPS steps, and set it to eval mode.

    Args:
        adversary: The discriminator.
        seen: Batches of features, which do not change; the steps take them in turn.
    """
    optimiser = torch.optim.Adam(adversary.parameters(), lr=LEARNING_RATE)
    for step in range(STEPS):
        optimiser.zero_grad(set_to_none=True)
        losses = losses_of(adversary, seen[step % len(seen)], step)
        losses["adversarial"].backward()
        optimiser.step()

    adversary.eval()


@torch.no_grad()
def accuracy(adversary: Adversary, seen: Sequence[DomainFeatures], seed: int) -> float:
    """Balanced accuracy of a discriminator, averaged over batches.

    Args:
        adversary: The discriminator.
        seen: Batches of features.
        seed: Seed of the clusters and pairs.

    Returns:
        A number in 0..1; a coin has 0.5.
    """
    return sum(balanced(losses_of(adversary, features, seed)) for features in seen) / len(seen)


def balanced(losses: Losses) -> float:
    """The balanced accuracy from the diagnostics of `Adversary`.

    It is the mean over both answers: image and video, or pairs of one domain and pairs of two.
    """
    of_both = (losses["accuracy_source"] + losses["accuracy_target"]) / 2
    if "accuracy_mixed" not in losses:
        return float(of_both)

    # Pairs of two sources and of two targets are one answer, mixed pairs the other.
    return float((of_both + losses["accuracy_mixed"]) / 2)


def losses_of(adversary: Adversary, features: DomainFeatures, seed: int) -> Losses:
    """The losses and diagnostics of an adversary on a batch; `seed` draws clusters and pairs."""
    generator = torch.Generator().manual_seed(seed)
    return adversary.evaluate(features.tap, features.is_source, features.seen, generator)
