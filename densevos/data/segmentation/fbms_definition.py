"""The ground truth of an FBMS-59 sequence.

A text file *.dat lists the labelled frames and the colours of the regions.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from densevos.base.errors import InputError
from densevos.base.names import is_hidden
from densevos.data.segmentation.layout import need_folder

# Editions differ in line ends, in whether a colon follows the key, and in whether the value is on
# the next line.
KEY = re.compile(
    r"(Total number of regions|Scale of region \d+|Confusion penality matrix"
    r"|Total number of frames in this shot|Total number of labeled frames for this shot"
    r"|Frame number|File name|Input file name)\s*:?\s*(.*)",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True)
class Definition:
    """Contents of a definition file."""

    colours: tuple[int, ...]
    """Value of each region in the label images: R*65536 + G*256 + B, or a grey value."""
    labelled: tuple[tuple[str, str], ...]
    """For each labelled frame, the file names of the frame and of its label image."""


def read_definition(file: Path) -> Definition:
    """Read a definition file *.dat.

    Raises:
        InputError: The file cannot be read, or defines another number of regions or labelled frames
            than it declares.
    """
    try:
        # latin-1 decodes any bytes, and the keys are ASCII.
        entries = list(_entries(file.read_text(encoding="latin-1").splitlines()))
        # The scale of a region is the colour that it has in the label images.
        colours = tuple(int(value) for key, value in entries if key.startswith("scale of region"))
        regions = int(_only(entries, "total number of regions"))
        frames = int(_only(entries, "total number of labeled frames for this shot"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{file}: is no ground truth definition ({error}); get it again"
        ) from error

    # Values may be paths, of which only the file name counts.
    truth = [Path(value).name for value in _values(entries, "file name")]
    images = [Path(value).name for value in _values(entries, "input file name")]

    # A truncated file would otherwise leave frames without labels unnoticed.
    counts = (("regions", regions, len(colours)), ("labelled frames", frames, len(truth)))
    for what, declared, defined in counts:
        if declared != defined:
            raise InputError(f"{file}: says {declared} {what} but defines {defined}; get it again")

    if len(images) != len(truth):
        raise InputError(
            f"{file}: names {len(truth)} label images but {len(images)} frames; get it again"
        )

    return Definition(colours=colours, labelled=tuple(zip(images, truth, strict=True)))


@dataclass(frozen=True, kw_only=True)
class GroundTruth:
    """Contents of SEQ/GroundTruth."""

    file: Path
    """The definition file."""
    definition: Definition
    """Contents of the definition file."""
    labels: Mapping[int, Path]
    """Index of each labelled frame -> its label image."""


def read_ground_truth(folder: Path, frames: Sequence[str], hint: str) -> GroundTruth:
    """Read the ground truth of a sequence.

    Args:
        folder: Folder of the sequence.
        frames: Names of its frames without suffix, in order.
        hint: What the user can do about missing files, for messages.

    Raises:
        InputError: There is not exactly one *.dat, it is damaged, or a frame or label image that it
            names is missing.
    """
    truth = need_folder(folder / "GroundTruth", hint)
    definitions = sorted(file for file in truth.glob("*.dat") if not is_hidden(file.name))
    if len(definitions) != 1:
        raise InputError(f"{truth}: holds {len(definitions)} files *.dat instead of one; {hint}")

    file = definitions[0]
    definition = read_definition(file)
    index = {name: t for t, name in enumerate(frames)}
    labels = {}

    for frame, label in definition.labelled:
        # If the definition names a frame that does not exist, the label image may tell the frame.
        t = index.get(Path(frame).stem, index.get(Path(label).stem.removesuffix("_gt")))
        if t is None:
            raise InputError(f"{file}: labels {frame}, which is no image of {folder}; {hint}")
        labels[t] = _label_image(truth, label)

    return GroundTruth(file=file, definition=definition, labels=labels)


def _label_image(folder: Path, name: str) -> Path:
    """Path of a label image, which may be PPM or PGM whatever the definition says."""
    stem = Path(name).stem
    for candidate in (name, f"{stem}.ppm", f"{stem}.pgm"):
        if (folder / candidate).is_file():
            return folder / candidate

    raise InputError(
        f"{folder / name}: label image is missing, though the definition beside it names it; get it"
        " again"
    )


def _entries(lines: list[str]) -> Iterator[tuple[str, str]]:
    """Keys in lower case and their values; only the first row of the penalty matrix is kept."""
    key = None
    for raw in lines:
        line = raw.strip()
        match = KEY.fullmatch(line)
        if match:
            key = match[1].lower()
            line = match[2]

        # The value may follow on a later line. After it the key is done: further lines are rows of
        # the penalty matrix.
        if key and line:
            yield key, line
            key = None


def _only(entries: list[tuple[str, str]], key: str) -> str:
    """The value of a key that must occur exactly once."""
    values = _values(entries, key)
    if len(values) != 1:
        raise ValueError(f"{len(values)} times '{key}'")
    return values[0]


def _values(entries: list[tuple[str, str]], key: str) -> list[str]:
    """All values of a key, in order."""
    return [value for name, value in entries if name == key]
