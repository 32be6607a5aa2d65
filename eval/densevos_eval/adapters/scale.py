"""By which factors frames may be resized, and how many of them may be left out, before they are
encoded.
"""

from densevos.base.errors import InputError

MOST_SCALE = 16


def check_scale(scale: float) -> None:
    """Raise InputError for a scale that makes no frame, or one too large to be meant."""
    if not 0 < scale <= MOST_SCALE:
        raise InputError(f"--scale: must be above 0 and at most {MOST_SCALE}, is {scale}")


def check_every(every: int | None) -> None:
    """Raise InputError for a number of frames that is none."""
    if every is not None and every < 1:
        raise InputError(f"--every: must be 1 or more frames, is {every}")
