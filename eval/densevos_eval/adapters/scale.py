"""Limits of the options --scale and --every of an encoder."""

from densevos.base.errors import InputError

MOST_SCALE = 16
"""A larger factor is a mistake: it would make a frame of 480p 7680 pixels high or more."""


def check_scale(scale: float) -> None:
    """Raise InputError for a scale that is not above 0, or too large to be meant."""
    if not 0 < scale <= MOST_SCALE:
        raise InputError(f"--scale: must be above 0 and at most {MOST_SCALE}, is {scale}")


def check_every(every: int | None) -> None:
    """Raise InputError for a number of frames below 1; None is allowed."""
    if every is not None and every < 1:
        raise InputError(f"--every: must be 1 or more frames, is {every}")
