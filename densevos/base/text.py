"""Read text files that users write, such as lists of names."""

import codecs
from pathlib import Path

from densevos.base.errors import InputError


def read_text(file: Path, hint: str) -> str:
    """Read a text file in UTF-8, or in UTF-16 if it starts with a byte order mark of UTF-16.

    Args:
        file: The file.
        hint: How to fix a file that is no text, for the error message.

    Returns:
        The text without a byte order mark.

    Raises:
        InputError: The file is no text or may not be read.
        FileNotFoundError: The file is missing; callers have better messages for this.
    """
    try:
        content = file.read_bytes()
        if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            text = content.decode("utf-16")
        else:
            # Lists contain file names, which may have any encoding.
            text = content.decode("utf-8-sig", "surrogateescape")
    except UnicodeError:
        # Handled below, as a file with zero bytes.
        text = "\0"
    except PermissionError:
        raise InputError(f"{file}: may not be read; change its permissions") from None

    if "\0" in text:
        raise InputError(f"{file}: is not a text file; {hint}")

    return text


def read_list(file: Path, hint: str) -> list[str]:
    """Read a list with one entry per line; empty lines and lines that start with # are skipped.

    Args:
        file: The file; see `read_text`.
        hint: How to fix a file that is no text, for the error message.

    Returns:
        The entries without surrounding spaces.
    """
    lines = [line.strip() for line in read_text(file, hint).splitlines()]
    return [line for line in lines if line and not line.startswith("#")]
