"""The outcome of an adversarial run: its case, in words, and what to change.

The discriminator's loss alone does not decide the case. At chance level the discriminator may be
beaten, it may learn too slowly, or its features may never have separated the domains. A fresh
discriminator, trained on features that do not change, separates these cases: what it finds depends
on the features alone, and not on the contest between encoder and discriminator.
"""

from dataclasses import dataclass
from typing import Literal

Case = Literal["control", "undecided", "beaten", "dead", "blind"]

SEPARATED = 0.65
"""Balanced accuracy from which a discriminator separates the domains.

A coin is right on 50 +- 4 % of 128 frames: this is more than three deviations above.
"""
COLLAPSED = 0.8
"""Share of its mIoU that the source must keep.

Another order of samples moves the mIoU by a few hundredths; a loss of a fifth is no chance.
"""


@dataclass(frozen=True, kw_only=True)
class Findings:
    """Measurements of a network on batches of training data, all in 0..1."""

    source_miou: float
    """Mean IoU on labelled images, over the classes that occur in their labels."""
    fresh: float
    """Balanced accuracy of a fresh discriminator on batches that it did not learn from."""
    own: float | None = None
    """Balanced accuracy of the run's own discriminator on these batches; None before training."""


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """The case of a run and what to print about it."""

    case: Case
    summary: str
    """One sentence with the numbers and the advice."""
    warning: str | None
    """One sentence if the source has collapsed."""


def diagnose(before: Findings, after: Findings, *, mu: float, placement: str) -> Diagnosis:
    """Find the case of a run.

    Args:
        before: Findings before the first adversarial step.
        after: Findings after the last one, with `own`.
        mu: Factor of the reversed gradient.
        placement: The layer whose features the discriminator saw.

    Raises:
        ValueError: `after` lacks the accuracy of the run's own discriminator.
    """
    if after.own is None:
        raise ValueError("findings after the run need the accuracy of its own discriminator")

    case = _case(before, after, after.own, mu)
    own, fresh, fresh_before = (
        _per_cent(after.own),
        _per_cent(after.fresh),
        _per_cent(before.fresh),
    )
    words = {
        "control": f"mu 0: the encoder never felt the discriminator, which is right on {own}",
        "undecided": f"the discriminator still tells domains apart ({own}); "
        "raise --adversarial.mu or train longer",
        "beaten": "beaten: the encoder hides the domain (a fresh discriminator is right on "
        f"{fresh}, and was on {fresh_before} before)",
        "dead": f"dead: the discriminator is right on {own}, but a fresh one on {fresh}; "
        "raise --discriminator-optimiser.lr",
        "blind": f"blind: at --placement {placement} the features never told the domains apart "
        f"(a fresh discriminator was right on {fresh_before} before); choose a later placement",
    }
    source = (
        f"source mIoU {100 * before.source_miou:.1f} before, {100 * after.source_miou:.1f} after"
    )

    return Diagnosis(
        case=case, summary=f"{words[case]}; {source}", warning=_collapse(before, after, mu)
    )


def _case(before: Findings, after: Findings, own: float, mu: float) -> Case:
    if mu == 0:
        return "control"
    if own >= SEPARATED:
        return "undecided"
    if after.fresh >= SEPARATED:
        return "dead"

    return "beaten" if before.fresh >= SEPARATED else "blind"


def _collapse(before: Findings, after: Findings, mu: float) -> str | None:
    if after.source_miou >= COLLAPSED * before.source_miou:
        return None

    # At mu 0 the adversary has no influence on the encoder, so only its own step can be too large.
    hint = (
        "lower --adversarial.mu, or let it rise with --adversarial.ramp-batches"
        if mu
        else "lower --optimiser.lr"
    )
    fall = f"{100 * before.source_miou:.1f} to {100 * after.source_miou:.1f}"

    return f"the source has collapsed: its mIoU fell from {fall}; {hint}"


def _per_cent(share: float) -> str:
    return f"{100 * share:.0f} %"
