"""FBMS-59: sequences whose moving objects are labelled in every twentieth frame, as colours.

Source: Ochs, Malik and Brox, Segmentation of Moving Objects by Long Term Video Analysis, TPAMI
2014.
"""

from dataclasses import replace
from pathlib import Path

from densevos.base.errors import InputError
from densevos.base.names import visible_folders
from densevos.data.segmentation.fbms_definition import read_ground_truth
from densevos_eval.protocols.layout import need_folder, need_frames
from densevos_eval.protocols.protocol import Protocol
from densevos_eval.sequences.annotations import ColourReader
from densevos_eval.sequences.sequence import VideoSequence

PROBABILITIES = ".pgm"  # Picture beside a label image in colours: how sure its labels are.


def load(protocol: Protocol, root: Path, split: str, names: tuple[str, ...]) -> list[VideoSequence]:
    """The sequences of Testset (val, test) or Trainingset (train), or those in `names`.

    SEQ/*.jpg are the frames, SEQ/GroundTruth/*.dat names the labelled ones, their label images, and
    the colour of each region; region 0 is the background. The first labelled frame with an object
    is given to methods that need a mask, and counts like the others.
    """
    hint = (
        f"{protocol.name} needs {split}/SEQ/*.jpg and SEQ/GroundTruth with one *.dat and label images"
        f" below --root (from {protocol.source})"
    )
    for folder in (root, root / split):
        need_folder(folder, hint)

    names = names or tuple(folder.name for folder in visible_folders(root / split))
    if not names:
        raise InputError(f"{root / split}: holds no sequences; {hint}")

    return [_sequence(protocol, name, root / split / name, hint) for name in names]


def _sequence(protocol: Protocol, name: str, folder: Path, hint: str) -> VideoSequence:
    frame_names = need_frames(folder, hint)
    sequence = VideoSequence(
        name=name, source=folder, frame_names=frame_names, merge_objects=protocol.merge_objects
    )
    if protocol.annotated == "none":
        return sequence

    truth = read_ground_truth(folder, frame_names, hint)
    if not truth.labels:
        raise InputError(f"{truth.file}: labels no frame; {hint}")

    reader = ColourReader(colours=truth.definition.colours, beside=PROBABILITIES)
    first = next(
        (t for t in sorted(truth.labels) if reader(truth.labels[t]).any()), min(truth.labels)
    )
    unlabelled = folder / "GroundTruth"

    return replace(
        sequence,
        given={first: truth.labels[first]} if protocol.first_mask_given else {},
        truth=tuple(
            truth.labels.get(t, unlabelled / f"{frame}_gt.ppm")
            for t, frame in enumerate(frame_names)
        ),
        annotated=tuple(sorted(truth.labels)),
        reader=reader,
    )


# As works on unsupervised segmentation report it, such as Zhou et al. (MATNet, AAAI 2020): all
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
# As the authors of FBMS-59 score motion segmentation: regions apart, the background being one of
# them.
FBMS_MOTION = replace(
    FBMS, name="fbms-motion", merge_objects=False, first_mask_given=False, measure="motion"
)
PROTOCOLS = (FBMS, FBMS_MOTION)
