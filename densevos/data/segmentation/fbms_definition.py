"""The ground truth of an FBMS-59 sequence: a text file *.dat says which frames are labelled, and
with which colours.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from densevos.base.errors import InputError
from densevos.base.names import is_hidden
from densevos.data.segmentation.layout import need_folder

# Editions differ in line ends, in whether a colon follows, and in whether the value stands on the
# next line.
KEY = re.compile(
    r"(Total number of regions|Scale of region \d+|Confusion penality matrix|Total number of frames in this shot"
    r"|Total number of labeled frames for this shot|Frame number|File name|Input file name)\s*:?\s*(.*)",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True)
class Definition:
    """What the file says.

    colours: value of each region in the label images, R*65536 + G*256 + B or a grey value.
    labelled: the two file names of every labelled frame: of the frame, of its label image.
    """

    colours: tuple[int, ...]
    labelled: tuple[tuple[str, str], ...]


def read_definition(file: Path) -> Definition:
    """Read a *.dat; InputError when it does not name as many regions or labelled frames as it
    says.
    """
    try:
        entries = list(_entries(file.read_text(encoding="latin-1").splitlines()))
        colours = tuple(int(value) for key, value in entries if key.startswith("scale of region"))
        regions = int(_only(entries, "total number of regions"))
        frames = int(_only(entries, "total number of labeled frames for this shot"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{file}: is no ground truth definition ({error}); get it again"
        ) from error

    truth = [Path(value).name for key, value in entries if key == "file name"]
    images = [Path(value).name for key, value in entries if key == "input file name"]
    for what, said, there in (("regions", regions, colours), ("labelled frames", frames, truth)):
        if said != len(there):
            raise InputError(f"{file}: says {said} {what} but defines {len(there)}; get it again")

    if len(images) != len(truth):
        raise InputError(
            f"{file}: names {len(truth)} label images but {len(images)} frames; get it again"
        )

    return Definition(colours=colours, labelled=tuple(zip(images, truth, strict=True)))


@dataclass(frozen=True, kw_only=True)
class GroundTruth:
    """What lies in SEQ/GroundTruth.

    file: The definition file; `definition` is what it says.
    labels: Index of each labelled frame -> its label image.
    """

    file: Path
    definition: Definition
    labels: Mapping[int, Path]


def read_ground_truth(folder: Path, frames: Sequence[str], hint: str) -> GroundTruth:
    """The ground truth of the sequence in `folder`, whose frames are called `frames` (stems, in
    order).

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
        t = index.get(Path(frame).stem, index.get(Path(label).stem.removesuffix("_gt")))
        if t is None:
            raise InputError(f"{file}: labels {frame}, which is no image of {folder}; {hint}")
        labels[t] = _label_image(truth, label)

    return GroundTruth(file=file, definition=definition, labels=labels)


def _label_image(folder: Path, name: str) -> Path:
    """The label image, which may lie there as PPM or PGM whatever the definition says."""
    candidates = [
        folder / name,
        *(folder / f"{Path(name).stem}{suffix}" for suffix in (".ppm", ".pgm")),
    ]
    found = next((file for file in candidates if file.is_file()), None)

    if found is None:
        raise InputError(
            f"{candidates[0]}: label image is missing, though the definition beside it names it; get it again"
        )

    return found


def _entries(lines: list[str]) -> Iterator[tuple[str, str]]:
    """Keys in lower case, and their values; rows of the penalty matrix after its first are passed
    over.
    """
    key = None
    for line in filter(None, map(str.strip, lines)):
        if match := KEY.fullmatch(line):
            key = match[1].lower()
            line = match[2]

        if key and line:
            yield key, line
            key = None


def _only(entries: list[tuple[str, str]], key: str) -> str:
    values = [value for name, value in entries if name == key]
    if len(values) != 1:
        raise ValueError(f"{len(values)} times '{key}'")
    return values[0]
