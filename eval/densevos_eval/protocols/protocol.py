"""The record of a benchmark: where its files lie, what is scored, and by which rules."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Literal

import numpy as np

from densevos.base.errors import InputError
from densevos_eval.metrics.matching import same_id
from densevos_eval.sequences.sequence import VideoSequence

Layout = Callable[["Protocol", Path, str, tuple[str, ...]], list[VideoSequence]]
"""Function that finds the sequences of a benchmark: `layout(protocol, root, split, names)`.

It checks that every file exists that propagation or scoring will read, but opens only lists.

Args:
    protocol: The benchmark, with the folders and conventions that the command line named.
    root: Folder that holds the benchmark.
    split: Name of the split, as the benchmark calls it (see `Protocol.splits`).
    names: Names of the sequences to find. If empty, all sequences of the split are found.

Returns:
    The sequences, in a fixed order.

Raises:
    InputError: A file or folder is missing. The message, one line, names the first one and says
        where to get the data.
"""


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """A benchmark: where its files lie, what is scored, and how.

    Folders are relative to the root of the benchmark. Worker processes receive the protocol, so
    `layout` and `match` must be functions of an importable module, not lambdas.
    """

    name: str
    """Name on the command line and in results.json."""
    source: str
    """Where to get the data; messages about missing files end with it."""
    layout: Layout
    """Finds the sequences below the root."""
    images: str = "JPEGImages"
    """Folder of frames. It holds one folder per sequence, perhaps below one per resolution."""
    annotations: str = "Annotations"
    """Folder of annotations, with the same layout as the folder of frames."""
    resolution: str | None = None
    """Name of the folder of one resolution. None finds it: 480p, or the only one, or none."""
    lists: tuple[str, ...] = ()
    """Lists of the sequences of a split, such as ImageSets/{split}.txt; the first file that exists
    is used."""
    list_required: bool = True
    """Whether a split needs a list. If not, every folder of frames is a sequence without one."""
    splits: Mapping[str, str] = field(default_factory=dict)
    """Name of a split on the command line -> the benchmark's own name: {"val": "valid"}."""
    flags: frozenset[str] = frozenset({"split"})
    """Which of the options `split`, `resolution` and `frames` this benchmark has. The command line
    refuses the others."""
    first_mask_given: bool = True
    """Whether the method receives the annotation of the first frame."""
    both_ways: bool = False
    """Whether propagation also goes backward from a first mask that belongs to a later frame.
    Published benchmarks have no objects before the frame in which they are given."""
    foreground: bool = False
    """Whether masks of foreground against background can be scored by this benchmark."""
    merge_objects: bool = False
    """Whether all ids above 0 are one object."""
    skipped: tuple[int, int] = (1, 1)
    """How many annotated frames are not scored at the start and at the end. The end of sparse
    annotations is always scored."""
    late_objects: bool = False
    """Whether objects of any annotation count, each from the first scored frame that annotates or
    predicts it; other ids of a result are background. If not, the objects of the first annotation
    count, and a result with other ids is refused."""
    ignore_void: bool = False
    """Whether annotated pixels of value 255 do not count. If not, they count as background."""
    max_proposals: int | None = None
    """How many ids a result may hold; None for the number of objects."""
    contour: bool = True
    """Whether the contour accuracy F is measured beside the region similarity J."""
    stability: frozenset[str] = frozenset()
    """Names of the sequences for which the temporal stability T is measured."""
    mean_over_classes: bool = False
    """Whether means are taken over the frames of a shot CLASS/SHOT, then the shots of a class, then
    the classes."""
    decay_uint8: bool = False
    """Whether to reproduce an error of the DAVIS toolbox, whose decay is wrong for videos of more
    than 256 frames."""
    annotated: Literal["all", "first", "any", "none"] = "all"
    """Which frames need an annotation on disk: `all`; only the `first`, if a server keeps the
    others; `any` of them, for own data, of which the first with an object is given; or `none`."""
    all_frames: bool = True
    """Whether to use the frames between the required ones too, if a benchmark has them."""
    frame_size: tuple[int, int] | None = None
    """Size [H,W] that frames are resized to before propagation; masks are resized back."""
    submission: str | None = None
    """Path of a mask in a submission, with {sequence} and {frame}; None without a server."""
    measure: str = "objects"
    """Name of the metric, such as `objects` (J, F, T), `seen` (J and F of seen and unseen objects),
    `parts` (mean IoU of classes) or `joints` (PCK)."""
    match: Callable[[np.ndarray, np.ndarray], np.ndarray] = same_id
    """Function that assigns proposals to objects. It receives J and F, each
    [objects,proposals,frames], and returns the proposal of each object, [objects] int."""


def load_sequences(
    protocol: Protocol, root: Path, split: str, names: tuple[str, ...] = ()
) -> list[VideoSequence]:
    """Find the sequences of a split, and check that their files exist.

    Args:
        protocol: The benchmark.
        root: Folder that holds the benchmark.
        split: Name of the split; `protocol.splits` translates it.
        names: Names of sequences, instead of the whole split. A name given twice counts once.

    Raises:
        InputError: A file or folder is missing, or the name of a sequence leads out of the
            benchmark's folders.
    """
    # A name may end in a slash, as a shell completes it; a path of pathlib has none.
    names = tuple(dict.fromkeys(str(PurePath(name)) for name in names))
    # The command line says `val` for all benchmarks, which may call it otherwise.
    sequences = protocol.layout(protocol, root, protocol.splits.get(split, split), names)

    # Results are written under these names, so they must stay inside the folder of results.
    for sequence in sequences:
        path = PurePath(sequence.name)
        if path.is_absolute() or not path.parts or ".." in path.parts:
            raise InputError(
                f"sequence {path}: lies outside of the benchmark's folders;"
                " give names as in its lists"
            )

    return sequences
