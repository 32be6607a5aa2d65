"""YouTube-Objects with the pixel masks of Jain and Grauman: CLASS/SHOT folders, a mask for every
tenth frame.
"""

from pathlib import Path

from densevos.base.errors import InputError
from densevos.base.names import is_hidden, is_png
from densevos_eval.protocols.layout import (
    masks_by_frame,
    need_every_frame,
    need_folder,
    need_frames,
)
from densevos_eval.protocols.protocol import Protocol
from densevos_eval.sequences.sequence import VideoSequence

CLASSES = ("aeroplane", "bird", "boat", "car", "cat", "cow", "dog", "horse", "motorbike", "train")


def load(protocol: Protocol, root: Path, split: str, names: tuple[str, ...]) -> list[VideoSequence]:
    """The shots CLASS/SHOT of all ten classes (or those in `names`), with the frames that have a
    mask.

    A shot is a folder below CLASS, at any depth, that holds masks. There are no splits. The first
    mask of a shot is given to methods that need one, and counts like the others.
    """
    images, annotations = root / protocol.images, root / protocol.annotations
    hint = (
        f"{protocol.name} needs {protocol.images}/CLASS/SHOT/00001.jpg and {protocol.annotations}/CLASS/SHOT/00001.png"
        f" (every tenth frame, object above 0) below --root, CLASS being {', '.join(CLASSES)} (from {protocol.source})"
    )
    for folder in (root, images, annotations):
        need_folder(folder, hint)

    names = names or tuple(shot for one in CLASSES for shot in _shots(annotations, one, hint))
    return [_sequence(protocol, name, images / name, annotations / name, hint) for name in names]


def _shots(annotations: Path, one: str, hint: str) -> list[str]:
    need_folder(annotations / one, hint)
    masks = [
        file.relative_to(annotations)
        for file in (annotations / one).rglob("*.*")
        if is_png(file.name)
    ]
    shots = sorted(
        {mask.parent.as_posix() for mask in masks if not any(map(is_hidden, mask.parts))}
    )
    if not shots:
        raise InputError(f"{annotations / one}: holds no masks; {hint}")

    return shots


def _sequence(
    protocol: Protocol, name: str, images: Path, annotations: Path, hint: str
) -> VideoSequence:
    frame_names = need_frames(images, hint)
    need_folder(annotations, hint)
    masks = masks_by_frame(annotations)
    if not masks:
        raise InputError(f"{annotations}: holds no masks; {hint}")

    need_every_frame(images, frame_names, masks, hint)
    annotated = tuple(t for t, frame in enumerate(frame_names) if frame in masks)
    return VideoSequence(
        name=name,
        source=images,
        frame_names=frame_names,
        given={annotated[0]: masks[frame_names[annotated[0]]]},
        truth=tuple(masks.get(frame, annotations / f"{frame}.png") for frame in frame_names),
        annotated=annotated,
        merge_objects=protocol.merge_objects,
        resize_masks=True,
    )


YTOBJECTS = Protocol(
    name="ytobjects",
    source="https://vision.cs.utexas.edu/projects/videoseg/, frames of YouTube-Objects v1, not v2",
    layout=load,
    flags=frozenset(),  # It has no splits.
    foreground=True,
    merge_objects=True,
    skipped=(0, 0),
    contour=False,
    mean_over_classes=True,
)
PROTOCOLS = (YTOBJECTS,)
