"""What became of an adversarial run: which case it is in, in words, and what to change.

The loss of a discriminator alone does not tell: at chance level it may be beaten, too slow to
learn, or blind because its features never told the domains apart. A fresh discriminator, trained on
features that stay as they are, tells these cases from one another (specification section 5).
"""

from dataclasses import dataclass
from typing import Literal

Case = Literal["control", "undecided", "beaten", "dead", "blind"]

TOLD_APART = 0.65
"""Balanced accuracy from which domains are told apart. A coin is right on 50 +- 4 % of 128 frames:
this is more than three deviations above."""
COLLAPSED = 0.8
"""Share of its mIoU that the source must keep. Another order of samples moves it by a few
hundredths; a fifth is no chance."""


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What was measured of a network on batches of training data, all in 0..1."""

    source_miou: float
    """Mean IoU on labelled images, over the classes that they show."""
    fresh: float
    """Balanced accuracy of a fresh discriminator on batches that it did not learn from."""
    own: float | None = None
    """Balanced accuracy of the run's own discriminator on the same batches; None before it has
    learned.
    """


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """The case of a run and what to print about it."""

    case: Case
    summary: str
    """One sentence with the numbers and the advice."""
    warning: str | None
    """One sentence if the source has collapsed."""


def diagnose(before: Findings, after: Findings, *, mu: float, placement: str) -> Diagnosis:
    """Tell the case of a run.

    Args:
        before: Findings before the first adversarial step.
        after: Findings after the last one, with `own`.
        mu: Factor of the reversed gradient.
        placement: The features that the discriminator saw.

    Raises:
        ValueError: `after` lacks the accuracy of the run's own discriminator.
    """
    if after.own is None:
        raise ValueError("findings after the run need the accuracy of its own discriminator")

    case = _case(before, after, after.own, mu)
    words = {
        "control": f"mu 0: the encoder never felt the discriminator, which tells {_per_cent(after.own)}",
        "undecided": f"the discriminator still tells domains apart ({_per_cent(after.own)}); raise --adversarial.mu or"
        " train longer",
        "beaten": "beaten: the encoder hides the domain"
        f" (a fresh discriminator tells {_per_cent(after.fresh)}, {_per_cent(before.fresh)} before)",
        "dead": f"dead: the discriminator tells {_per_cent(after.own)}, but a fresh one {_per_cent(after.fresh)};"
        " raise --discriminator-optimiser.lr",
        "blind": f"blind: at --placement {placement} there was nothing to tell from the start (a fresh discriminator"
        f" tells {_per_cent(before.fresh)}); choose a later placement",
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
    if own >= TOLD_APART:
        return "undecided"
    if after.fresh >= TOLD_APART:
        return "dead"

    return "beaten" if before.fresh >= TOLD_APART else "blind"


def _collapse(before: Findings, after: Findings, mu: float) -> str | None:
    if after.source_miou >= COLLAPSED * before.source_miou:
        return None

    hint = (
        "lower --adversarial.mu, or let it rise with --adversarial.ramp-batches"
        if mu
        else "lower --optimiser.lr"
    )
    fall = f"{100 * before.source_miou:.1f} to {100 * after.source_miou:.1f}"

    return f"the source has collapsed: its mIoU fell from {fall}; {hint}"


def _per_cent(share: float) -> str:
    return f"{100 * share:.0f} %"
