"""YouTube-Objects with the masks of Jain and Grauman: CLASS/SHOT, a mask for every tenth frame."""

from pathlib import Path

from densevos.base.errors import InputError
from densevos.base.names import is_hidden, is_png
from densevos_eval.protocols.layout import (
    frames_with_mask,
    masks_by_frame,
    need_every_frame,
    need_folder,
    need_frames,
    truth_files,
)
from densevos_eval.protocols.protocol import Protocol
from densevos_eval.sequences.sequence import VideoSequence

CLASSES = ("aeroplane", "bird", "boat", "car", "cat", "cow", "dog", "horse", "motorbike", "train")


def load(protocol: Protocol, root: Path, split: str, names: tuple[str, ...]) -> list[VideoSequence]:
    """Find the shots CLASS/SHOT of all ten classes; see protocol.Layout.

    A shot is a folder at any depth below CLASS that holds masks. There are no splits. The first
    mask of a shot is given to methods that need one, and counts like the others.
    """
    images, annotations = root / protocol.images, root / protocol.annotations
    hint = (
        f"{protocol.name} needs {protocol.images}/CLASS/SHOT/00001.jpg and"
        f" {protocol.annotations}/CLASS/SHOT/00001.png (every tenth frame, object above 0) below"
        f" --root, CLASS being {', '.join(CLASSES)} (from {protocol.source})"
    )
    # The outermost folder comes first, so that a message names what is really missing.
    for folder in (root, images, annotations):
        need_folder(folder, hint)

    # Without names on the command line, all shots of all classes are found.
    chosen = list(names)
    if not chosen:
        for class_name in CLASSES:
            chosen += _shots(annotations, class_name, hint)

    return [_sequence(protocol, name, images / name, annotations / name, hint) for name in chosen]


def _shots(annotations: Path, class_name: str, hint: str) -> list[str]:
    """Names CLASS/SHOT of the shots of one class."""
    need_folder(annotations / class_name, hint)
    shots = set()
    # Shots may lie deeper than one folder, so masks are searched for, not folders.
    for file in (annotations / class_name).rglob("*.*"):
        mask = file.relative_to(annotations)
        if is_png(file.name) and not any(map(is_hidden, mask.parts)):
            shots.add(mask.parent.as_posix())

    if not shots:
        raise InputError(f"{annotations / class_name}: holds no masks; {hint}")

    return sorted(shots)


def _sequence(
    protocol: Protocol, name: str, images: Path, annotations: Path, hint: str
) -> VideoSequence:
    # Every mask must have its frame, but most frames have no mask.
    frame_names = need_frames(images, hint)
    need_folder(annotations, hint)
    masks = masks_by_frame(annotations)
    if not masks:
        raise InputError(f"{annotations}: holds no masks; {hint}")

    need_every_frame(images, frame_names, masks, hint)
    annotated = tuple(frames_with_mask(frame_names, masks))
    return VideoSequence(
        name=name,
        source=images,
        frame_names=frame_names,
        given={annotated[0]: masks[frame_names[annotated[0]]]},
        truth=truth_files(annotations, frame_names, masks),
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
