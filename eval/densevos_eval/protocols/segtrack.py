"""SegTrack v2: fourteen short sequences, with masks of each object in every frame.

Source: Li et al., Video Segmentation by Tracking Many Figure-Ground Segments, ICCV 2013. The layout
is that of the archive, as several public readers expect it; it was not checked against a toolkit of
the authors. They average the IoU over the frames of an object, then over the objects. Leaving out
the given first frame is this project's convention.
"""

from dataclasses import replace
from pathlib import Path

from densevos.base.errors import InputError
from densevos.base.names import frame_order, image_files, visible_folders
from densevos.base.text import read_list
from densevos_eval.protocols.layout import (
    folder_names,
    need_every_frame,
    need_folder,
    need_frames,
)
from densevos_eval.protocols.protocol import Protocol
from densevos_eval.sequences.annotations import AnnotationReader, LayerReader, WhiteReader
from densevos_eval.sequences.sequence import VideoSequence


def load(protocol: Protocol, root: Path, split: str, names: tuple[str, ...]) -> list[VideoSequence]:
    """Find the sequences of ImageSets/all.txt, or all folders of frames; see protocol.Layout.

    Frames are JPEGImages/SEQ/*.png (or .bmp). Masks are black and white: GroundTruth/SEQ/*.png if a
    sequence has one object, otherwise GroundTruth/SEQ/1/*.png, GroundTruth/SEQ/2/*.png and so on.
    There are no splits.
    """
    images, annotations = root / protocol.images, root / protocol.annotations
    hint = (
        f"{protocol.name} needs {protocol.images}/SEQ/*.png, {protocol.annotations}/SEQ/*.png (or"
        f" {protocol.annotations}/SEQ/1/*.png, one folder per object) below --root"
        f" (from {protocol.source})"
    )
    need_folder(root, hint)
    need_folder(images, hint)
    if protocol.annotated != "none":
        need_folder(annotations, hint)

    names = names or _listed(root / protocol.lists[0], images, hint)
    return [_sequence(protocol, name, images / name, annotations / name, hint) for name in names]


def _listed(file: Path, images: Path, hint: str) -> tuple[str, ...]:
    """The names in the list, or those of all folders of frames if there is no list."""
    if file.is_file():
        lines = read_list(file, "write one sequence name on each line")
        names = tuple(line.lstrip("*") for line in lines)  # The archive's list has *NAME.
    else:
        names = folder_names(images)

    if not names:
        raise InputError(f"{images}: holds no sequences; {hint}")

    return names


def _sequence(
    protocol: Protocol, name: str, images: Path, annotations: Path, hint: str
) -> VideoSequence:
    frame_names = need_frames(images, hint)
    # Without annotations, as for unlabelled use, frames are all that is needed.
    sequence = VideoSequence(
        name=name, source=images, frame_names=frame_names, merge_objects=protocol.merge_objects
    )
    if protocol.annotated == "none":
        return sequence

    need_folder(annotations, hint)

    # A sequence with several objects has a folder of masks for each, numbered from 1 on.
    layers = sorted(visible_folders(annotations), key=lambda folder: frame_order(folder.name))
    masks = [_masks(folder, images, frame_names, hint) for folder in layers or [annotations]]
    truth = tuple(masks[0][frame] for frame in frame_names)
    reader: AnnotationReader = WhiteReader()

    if layers:
        # The archive keeps some objects as .png and others as .bmp.
        suffixes = tuple(next(iter(of_object.values())).suffix for of_object in masks)
        reader = LayerReader(folders=tuple(folder.name for folder in layers), suffixes=suffixes)

    return replace(sequence, given={0: truth[0]}, truth=truth, reader=reader)


def _masks(folder: Path, images: Path, frame_names: tuple[str, ...], hint: str) -> dict[str, Path]:
    """The masks of one object by frame; InputError unless every frame has one."""
    masks = {file.stem: file for file in image_files(folder)}
    need_every_frame(images, frame_names, masks, hint)
    # The benchmark annotates every frame of every object.
    for frame in frame_names:
        if frame not in masks:
            raise InputError(f"{folder / frame}.png: file is missing; {hint}")

    return masks


SEGTRACK2 = Protocol(
    name="segtrack2",
    source="https://web.engr.oregonstate.edu/~lif/SegTrack2/dataset.html",
    layout=load,
    annotations="GroundTruth",
    lists=("ImageSets/all.txt",),
    flags=frozenset(),
    skipped=(1, 0),
)
# The rules of papers on unsupervised segmentation: all objects of a sequence are one, and every
# frame counts.
SEGTRACK2_MERGED = replace(
    SEGTRACK2, name="segtrack2-merged", foreground=True, merge_objects=True, skipped=(0, 0)
)
PROTOCOLS = (SEGTRACK2, SEGTRACK2_MERGED)
