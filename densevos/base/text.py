"""Text files that users write: lists of names, one a line."""

import codecs
from pathlib import Path

from densevos.base.errors import InputError


def read_text(file: Path, hint: str) -> str:
    """The text of a file in UTF-8, or in UTF-16 where it says so by its first bytes; the mark of
    either is no text.

    Raises:
        InputError: The file is no text or may not be read; the message ends with `hint`. A file
            that is missing raises FileNotFoundError, for which the caller has a better word.
    """
    try:
        content = file.read_bytes()
        utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        # Lists name files, whose names may be of any encoding.
        text = content.decode("utf-16") if utf16 else content.decode("utf-8-sig", "surrogateescape")
    except UnicodeError:
        text = "\0"
    except PermissionError:
        raise InputError(f"{file}: may not be read; change its permissions") from None

    if "\0" in text:
        raise InputError(f"{file}: is no text file; {hint}")

    return text


def read_list(file: Path, hint: str) -> list[str]:
    """The lines of a list without surrounding spaces, empty lines and lines that start with #; see
    read_text.
    """
    lines = [line.strip() for line in read_text(file, hint).splitlines()]
    return [line for line in lines if line and not line.startswith("#")]
