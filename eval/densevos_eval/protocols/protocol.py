"""What a benchmark is: a frozen record of its files and rules, and how its sequences are found."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Literal

import numpy as np

from densevos.base.errors import InputError
from densevos_eval.metrics.matching import same_id
from densevos_eval.sequences.sequence import VideoSequence

Layout = Callable[["Protocol", Path, str, tuple[str, ...]], list[VideoSequence]]
"""Finds the sequences of a benchmark: `layout(protocol, root, split, names)`.

Args:
    protocol: The benchmark, with the folders and conventions that the command line named.
    root: Folder that holds the benchmark.
    split: Name of the split, as the benchmark calls it (see `Protocol.splits`).
    names: Names of the sequences to find, instead of all sequences of the split; may be empty.

Returns:
    The sequences in a fixed order. A layout looks for every file that propagation or scoring will
    read, and opens none of them but lists.

Raises:
    InputError: In one line, the first file or folder that is missing, and where to get the set.
"""


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """A benchmark: where its files lie, what is scored, and how.

    Folders are relative to the root of the benchmark. Worker processes receive the protocol, so
    `layout` and `match` are functions of an importable module, not lambdas.
    """

    name: str
    """Name on the command line and in results.json."""
    source: str
    """Where to get the data; messages about missing files end with it."""
    layout: Layout
    """Finds the sequences below the root."""
    images: str = "JPEGImages"
    """Folder of frames, with one folder per sequence or first one per resolution."""
    annotations: str = "Annotations"
    """Folder of annotations, laid out as the folder of frames."""
    resolution: str | None = None
    """Name of the folder of one resolution. None: 480p, or the only one there is, or none."""
    lists: tuple[str, ...] = ()
    """Files with the names of a split's sequences, such as ImageSets/{split}.txt; the first that
    exists counts."""
    list_required: bool = True
    """A split needs its list. False: without a list, every folder of frames is a sequence."""
    splits: Mapping[str, str] = field(default_factory=dict)
    """What the benchmark calls a split, where it uses another name: {"val": "valid"}."""
    flags: frozenset[str] = frozenset({"split"})
    """Which of the options `split`, `resolution` and `frames` mean something for this benchmark.
    The command line refuses the others."""
    first_mask_given: bool = True
    """The method receives the annotation of the first frame."""
    both_ways: bool = False
    """Propagation goes backward too from a first mask that is not that of the first frame.
    Benchmarks have no objects before the frame that hands them out."""
    foreground: bool = False
    """Object-level masks (foreground against background) can be judged by this benchmark."""
    merge_objects: bool = False
    """All ids above 0 are one object."""
    skipped: tuple[int, int] = (1, 1)
    """How many annotated frames at the beginning and, unless they are sparse, at the end are not
    scored.
    """
    late_objects: bool = False
    """Objects of any annotation count, each from the first scored frame that annotates or predicts
    it, and ids of a result that no annotation has are background. False: the objects of the first
    annotation count, and a result with other ids is refused."""
    ignore_void: bool = False
    """Annotated pixels of value 255 do not count, instead of counting as background."""
    max_proposals: int | None = None
    """How many ids a result may hold. None: as many as there are objects."""
    contour: bool = True
    """The contour accuracy F is measured beside the region similarity J."""
    stability: frozenset[str] = frozenset()
    """Names of the sequences for which the temporal stability T is measured."""
    mean_over_classes: bool = False
    """Means are taken over the frames of a shot, the shots CLASS/... of a class, then the
    classes.
    """
    decay_uint8: bool = False
    """Compute the decay of videos of more than 256 frames as wrongly as the DAVIS toolbox does."""
    annotated: Literal["all", "first", "any", "none"] = "all"
    """Frames that need an annotation on disk: `all`; the `first`, where a server keeps the others;
    `any` of them, for one's own sets, where the first that holds an object is given; `none`, where
    nobody asks for annotations."""
    all_frames: bool = True
    """Use the frames between the required ones too, where a benchmark has them."""
    frame_size: tuple[int, int] | None = None
    """Size [H,W] that frames are resized to before propagation; masks are resized back."""
    submission: str | None = None
    """Path of a mask in what the server takes, with {sequence} and {frame}. None: no server."""
    measure: str = "objects"
    """Name of the metric, such as `objects` (J, F, T), `seen` (J and F of seen and unseen objects),
    `parts` (mean IoU of classes) or `joints` (PCK)."""
    match: Callable[[np.ndarray, np.ndarray], np.ndarray] = same_id
    """Assigns proposals to objects: (J, F), each [objects,proposals,frames] -> proposal
    [objects].
    """


def load_sequences(
    protocol: Protocol, root: Path, split: str, names: tuple[str, ...] = ()
) -> list[VideoSequence]:
    """The sequences of a split of the benchmark at `root`, layout checked first.

    Args:
        protocol: The benchmark.
        root: Folder that holds it.
        split: Name of the split; `protocol.splits` translates it.
        names: Names of sequences, instead of the whole split. A name given twice counts once.

    Raises:
        InputError: The first file or folder that is missing and where to get the set, or a name
            that leads out of the benchmark's folders, since results are written under that name.
    """
    names = tuple(dict.fromkeys(str(PurePath(name)) for name in names))
    sequences = protocol.layout(protocol, root, protocol.splits.get(split, split), names)

    for sequence in sequences:
        path = PurePath(sequence.name)
        if path.is_absolute() or not path.parts or ".." in path.parts:
            raise InputError(
                f"sequence {path}: lies outside of the benchmark's folders; give names as in its lists"
            )

    return sequences
