"""VOST: objects that change their shape, because they are cut, broken, moulded or poured.

Source: Tokmakov, Li and Gaidon, Breaking the "Object" in Video Object Segmentation, CVPR 2023.
Scores were checked against the authors' program (github.com/TRI-ML/VOST, evaluation). It reads
pixels of value 255 as void but scores them as background, and so does this project.
"""

from dataclasses import replace
from pathlib import Path

from densevos.base.errors import InputError
from densevos.base.text import read_list
from densevos_eval.protocols.layout import (
    frames_with_mask,
    masks_by_frame,
    need_every_frame,
    need_file,
    need_folder,
    need_frames,
    truth_files,
)
from densevos_eval.protocols.protocol import Protocol
from densevos_eval.sequences.annotations import IdReader
from densevos_eval.sequences.sequence import VideoSequence

ALL_FRAMES = "_10fps"  # Suffix of the folder of all frames; half of them are annotated.


def load(protocol: Protocol, root: Path, split: str, names: tuple[str, ...]) -> list[VideoSequence]:
    """Find the videos of ImageSets/SPLIT.txt; see protocol.Layout.

    Masks lie in Annotations/VIDEO, at 5 frames per second. Frames lie in JPEGImages_10fps/VIDEO, or
    in JPEGImages/VIDEO (5 per second) if the protocol uses only the required frames. The objects
    are those of the first mask. The first and the last mask do not count. If a video has only one
    mask, the server keeps the others.
    """
    annotations, listed = root / protocol.annotations, root / protocol.lists[0].format(split=split)
    images = root / protocol.images
    if protocol.all_frames:
        images = root / (protocol.images + ALL_FRAMES)

    hint = (
        f"{protocol.name} needs {images.name}/VIDEO/*.jpg, {protocol.annotations}/VIDEO/*.png and"
        f" {listed.relative_to(root)} below --root (from {protocol.source})"
    )
    need_folder(root, hint)
    need_folder(annotations, hint)

    # The frames at 10 per second are an archive of their own, which many do not have.
    if protocol.all_frames:
        need_folder(images, f"get it as well, or pass --frames required; {hint}")
    else:
        need_folder(images, hint)

    if not names:
        need_file(listed, hint)
        names = tuple(dict.fromkeys(read_list(listed, "write one video name on each line")))

    if not names:
        raise InputError(f"{listed}: list is empty; write one video name on each line")

    return [_sequence(name, images / name, annotations / name, hint) for name in names]


def _sequence(name: str, images: Path, annotations: Path, hint: str) -> VideoSequence:
    frame_names = need_frames(images, hint)
    need_folder(annotations, hint)
    masks = masks_by_frame(annotations)
    if not masks:
        raise InputError(f"{annotations}: holds no masks; {hint}")

    need_every_frame(images, frame_names, masks, hint)

    # Not every frame needs a mask, so the frames that have one are listed.
    annotated = tuple(frames_with_mask(frame_names, masks))
    truth = truth_files(annotations, frame_names, masks)
    sequence = VideoSequence(
        name=name,
        source=images,
        frame_names=frame_names,
        given={annotated[0]: truth[annotated[0]]},
        reader=IdReader(void=False),
    )

    # With one mask there is nothing to score against: the server keeps the others.
    if len(annotated) == 1:
        return sequence

    return replace(
        sequence,
        truth=truth,
        # The last mask does not count, and the first one is `skipped`.
        annotated=annotated[:-1],
        required=tuple(frame_names[t] for t in annotated),
    )


VOST = Protocol(
    name="vost",
    source="https://www.vostdataset.org",
    layout=load,
    lists=("ImageSets/{split}.txt",),
    flags=frozenset({"split", "frames"}),
    skipped=(1, 0),
    contour=False,
    measure="ending",
)
PROTOCOLS = (VOST,)
