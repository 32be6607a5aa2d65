"""Sizes of images, written HEIGHTxWIDTH."""

import re

from densevos.base.errors import InputError

Size = tuple[int, int]
"""[H,W] in pixels."""


def parse_size(text: str, flag: str) -> Size:
    """Read a size: `480x880` -> (480, 880).

    Args:
        text: HEIGHTxWIDTH in pixels.
        flag: The option that it comes from, for the message.

    Raises:
        InputError: The text is no size.
    """
    # No size starts with 0, and a side of more than 5 digits is a mistake.
    match = re.fullmatch(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})", text)
    if not match:
        raise InputError(f"{flag} {text}: must be HEIGHTxWIDTH in pixels, such as 480x880")

    return int(match[1]), int(match[2])


def size_text(size: Size) -> str:
    """Write a size: (480, 880) -> `480x880`."""
    return f"{size[0]}x{size[1]}"
