"""FBMS-59: sequences whose moving objects are labelled in every twentieth frame, in colours.

Source: Ochs, Malik and Brox, Segmentation of Moving Objects by Long Term Video Analysis, TPAMI
2014.
"""

from dataclasses import replace
from pathlib import Path

from densevos.base.errors import InputError
from densevos.data.segmentation.fbms_definition import read_ground_truth
from densevos_eval.protocols.layout import folder_names, need_folder, need_frames
from densevos_eval.protocols.protocol import Protocol
from densevos_eval.sequences.annotations import ColourReader
from densevos_eval.sequences.sequence import VideoSequence

PROBABILITIES = ".pgm"  # Suffix of a picture beside a label image: how sure its labels are.


def load(protocol: Protocol, root: Path, split: str, names: tuple[str, ...]) -> list[VideoSequence]:
    """Find the sequences of Testset (val, test) or Trainingset (train); see protocol.Layout.

    SEQ/*.jpg are the frames. SEQ/GroundTruth/*.dat lists the labelled frames, their label images
    and the colour of each region; region 0 is the background. The first labelled frame with an
    object is given to methods that need a mask, and counts like the others.
    """
    hint = (
        f"{protocol.name} needs {split}/SEQ/*.jpg and SEQ/GroundTruth with one *.dat and label"
        f" images below --root (from {protocol.source})"
    )
    for folder in (root, root / split):
        need_folder(folder, hint)

    names = names or folder_names(root / split)
    if not names:
        raise InputError(f"{root / split}: holds no sequences; {hint}")

    return [_sequence(protocol, name, root / split / name, hint) for name in names]


def _sequence(protocol: Protocol, name: str, folder: Path, hint: str) -> VideoSequence:
    frame_names = need_frames(folder, hint)
    sequence = VideoSequence(
        name=name, source=folder, frame_names=frame_names, merge_objects=protocol.merge_objects
    )
    # Frames are enough if nothing is scored.
    if protocol.annotated == "none":
        return sequence

    truth = read_ground_truth(folder, frame_names, hint)
    if not truth.labels:
        raise InputError(f"{truth.file}: labels no frame; {hint}")

    reader = ColourReader(colours=truth.definition.colours, beside=PROBABILITIES)
    labelled = sorted(truth.labels)

    # A mask without objects is no use to a method, so the first one with an object is given.
    with_objects = (t for t in labelled if reader(truth.labels[t]).any())
    first = next(with_objects, labelled[0])

    # Frames without labels get the path that their labels would have.
    files = []
    for t, frame in enumerate(frame_names):
        files.append(truth.labels.get(t, folder / "GroundTruth" / f"{frame}_gt.ppm"))

    return replace(
        sequence,
        given={first: truth.labels[first]} if protocol.first_mask_given else {},
        truth=tuple(files),
        annotated=tuple(labelled),
        reader=reader,
    )


# The rules of papers on unsupervised segmentation, such as Zhou et al. (MATNet, AAAI 2020): all
# objects are one, and the labelled frames of the test set count. The mean is over sequences.
FBMS = Protocol(
    name="fbms",
    source="https://lmb.informatik.uni-freiburg.de/resources/datasets/moseg.en.html",
    layout=load,
    splits={"train": "Trainingset", "val": "Testset", "test": "Testset"},
    foreground=True,
    merge_objects=True,
    skipped=(0, 0),
)
# The rules of the authors of FBMS-59 for motion segmentation: each region is scored by itself, and
# the background is one of them.
FBMS_MOTION = replace(
    FBMS, name="fbms-motion", merge_objects=False, first_mask_given=False, measure="motion"
)
PROTOCOLS = (FBMS, FBMS_MOTION)
