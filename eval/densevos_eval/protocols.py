"""Benchmarks as data: where their files lie, what is scored, and how."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from densevos.data.readers import image_files
from densevos.errors import InputError
from densevos_eval.metrics.matching import best_assignment, same_id
from densevos_eval.sequences import Sequence


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """What a benchmark asks for. Folders are relative to its root.

    images, annotations: folders that hold one folder per sequence, or first one per resolution.
    resolution: that folder's name; None takes 480p, or the only one there is, or does without.
    lists: files with the names of a split's sequences, the first that exists counts.
    list_required: without a list, False takes every sequence of the image folder.
    first_mask_given: the annotation of the first frame is handed to the method.
    merge_objects: all ids above 0 are one object.
    skip_ends: first and last frame are not scored.
    ignore_void: pixels of the annotation with value 255 count for neither side, instead of as background.
    max_proposals: how many ids a result may hold; None: as many as there are objects.
    match: (J, F), each [objects,proposals,frames] -> proposal [objects] of each object.
    """

    name: str
    source: str
    images: str = "JPEGImages"
    annotations: str = "Annotations"
    resolution: str | None = None
    lists: tuple[str, ...]
    list_required: bool = True
    first_mask_given: bool = True
    merge_objects: bool = False
    skip_ends: bool = True
    ignore_void: bool = False
    max_proposals: int | None = None
    match: Callable[[np.ndarray, np.ndarray], np.ndarray] = same_id


DAVIS16 = Protocol(
    name="davis16",
    source="https://davischallenge.org/davis2016/code.html",
    lists=("ImageSets/2016/{split}.txt",),
    merge_objects=True,
)
DAVIS17 = Protocol(
    name="davis17",
    source="https://davischallenge.org/davis2017/code.html",
    lists=("ImageSets/2017/{split}.txt",),
)
DAVIS17_UNSUPERVISED = replace(
    DAVIS17,
    name="davis17-unsupervised",
    annotations="Annotations_unsupervised",
    first_mask_given=False,
    skip_ends=False,
    ignore_void=True,
    max_proposals=20,
    match=best_assignment,
)
FOLDER = Protocol(
    name="folder",
    source="your own frames and masks",
    lists=("ImageSets/{split}.txt", "ImageSets/2017/{split}.txt", "ImageSets/2016/{split}.txt"),
    list_required=False,
)
PROTOCOLS = {protocol.name: protocol for protocol in (DAVIS16, DAVIS17, DAVIS17_UNSUPERVISED, FOLDER)}


@dataclass(frozen=True, kw_only=True)
class BenchmarkOptions:
    """Which sequences of which benchmark: the options that propagate and score share."""

    dataset: Literal["davis16", "davis17", "davis17-unsupervised", "folder"]
    """Protocol: layout of the files and rules of the score."""
    root: Path
    """Folder that holds JPEGImages and Annotations."""
    split: str = "val"
    """Name of the list of sequences in ImageSets."""
    sequences: tuple[str, ...] = ()
    """Names of sequences, instead of the split's list."""
    annotations: str | None = None
    """Annotation folder below --root, instead of the benchmark's own."""
    resolution: str | None = None
    """Folder of one resolution, such as 480p; found by itself where there is only one."""

    def protocol(self) -> Protocol:
        """The benchmark's protocol with the folders named by these options."""
        protocol = PROTOCOLS[self.dataset]
        return replace(
            protocol,
            annotations=self.annotations or protocol.annotations,
            resolution=self.resolution if self.resolution is not None else protocol.resolution,
        )

    def load(self) -> list[Sequence]:
        """The sequences these options name; see load_sequences."""
        return load_sequences(self.protocol(), self.root, self.split, self.sequences)


def load_sequences(protocol: Protocol, root: Path, split: str, names: tuple[str, ...] = ()) -> list[Sequence]:
    """The sequences of a split (or those in `names`) of the benchmark at `root`, layout checked first.

    Raises InputError that names the first file or folder missing and where to get the set.
    """
    _need_folder(root, protocol)
    _need_folder(root / protocol.images, protocol)
    _need_folder(root / protocol.annotations, protocol)
    resolution = protocol.resolution
    if resolution is None:
        resolution = _only_resolution(root / protocol.images)
    images, annotations = root / protocol.images / resolution, root / protocol.annotations / resolution
    for folder in (images, annotations):
        _need_folder(folder, protocol)
    names = names or _listed(protocol, root, split) or _all_folders(images)
    for folder in (side / name for name in names for side in (images, annotations)):
        _need_folder(folder, protocol)
    return [_sequence(protocol, name, images / name, annotations / name) for name in names]


def _sequence(protocol: Protocol, name: str, images: Path, annotations: Path) -> Sequence:
    frame_names = tuple(file.stem for file in image_files(images))
    if not frame_names:
        raise InputError(f"{images}: folder holds no images; {_cure(protocol)}")
    truth = tuple(annotations / f"{frame}.png" for frame in frame_names)
    return Sequence(
        name=name,
        source=images,
        frame_names=frame_names,
        given={0: truth[0]} if protocol.first_mask_given else {},
        truth=truth,
        merge_objects=protocol.merge_objects,
    )


def _only_resolution(images: Path) -> str:
    """480p where there is such a folder, else the only other one, else "" (sequences lie in `images`)."""
    found = sorted(folder.name for folder in images.glob("*p") if folder.name[:-1].isdigit())
    if "480p" in found:
        return "480p"
    if len(found) > 1:
        raise InputError(f"{images}: holds {', '.join(found)}; choose one with --resolution")
    return "".join(found)


def _listed(protocol: Protocol, root: Path, split: str) -> tuple[str, ...]:
    """Names in the list of the split; none when there is no list and none is required."""
    candidates = [root / pattern.format(split=split) for pattern in protocol.lists]
    for file in candidates:
        if file.is_file():
            names = tuple(dict.fromkeys(file.read_text(encoding="utf-8").split()))
            if not names:
                raise InputError(f"{file}: list is empty; write one sequence name on each line")
            return names
    if protocol.list_required or (root / "ImageSets").is_dir():
        there = ", ".join(sorted(file.stem for file in candidates[0].parent.glob("*.txt"))) or "none"
        raise InputError(
            f"{candidates[0]}: list of sequences is missing (there: {there}); choose another --split,"
            f" name the --sequences, or {_cure(protocol)}"
        )
    return ()


def _all_folders(images: Path) -> tuple[str, ...]:
    names = tuple(sorted(folder.name for folder in images.iterdir() if folder.is_dir()))
    if not names:
        raise InputError(f"{images}: holds no sequences; put the frames of each into a folder of its own")
    return names


def _need_folder(folder: Path, protocol: Protocol) -> None:
    if not folder.is_dir():
        raise InputError(f"{folder}: folder is missing; {_cure(protocol)}")


def _cure(protocol: Protocol) -> str:
    resolution = f"{protocol.resolution}/" if protocol.resolution else ""
    return (
        f"{protocol.name} needs {protocol.images}/{resolution}SEQUENCE/00000.jpg,"
        f" {protocol.annotations}/{resolution}SEQUENCE/00000.png"
        f" and {protocol.lists[0].format(split='SPLIT')} below --root (from {protocol.source})"
    )
