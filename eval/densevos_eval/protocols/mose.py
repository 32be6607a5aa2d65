"""MOSE (MOSEv1): crowded scenes in which objects disappear and come back.

Source: Ding et al., MOSE: A New Dataset for Video Object Segmentation in Complex Scenes, ICCV 2023.
The layout was checked against the authors' description (github.com/henghuiding/MOSE-api). The
program of their server is not public. MOSEv2 has the same layout, but ranks methods by an F with
another tolerance, which this project does not measure.
"""

from dataclasses import replace
from pathlib import Path

from densevos_eval.protocols.layout import load_folders
from densevos_eval.protocols.protocol import Protocol
from densevos_eval.sequences.sequence import VideoSequence


def load(protocol: Protocol, root: Path, split: str, names: tuple[str, ...]) -> list[VideoSequence]:
    """Find the videos of a split (train or valid); see protocol.Layout.

    The files have one of two layouts:

    * A folder per split, as the archives unpack: SPLIT/JPEGImages/VIDEO/00000.jpg and
      SPLIT/Annotations/VIDEO/00000.png. A list ImageSets/SPLIT.txt may choose some of the videos.
    * All splits together: JPEGImages/VIDEO/00000.jpg, Annotations/VIDEO/00000.png and
      ImageSets/SPLIT.txt.

    MOSE has masks of all frames for train. Videos of other splits have only their first mask.
    """
    splits_together = (root / protocol.images).is_dir() and not (root / split).is_dir()
    if not splits_together:
        protocol = replace(
            protocol,
            images=f"{split}/{protocol.images}",
            annotations=f"{split}/{protocol.annotations}",
            list_required=False,
        )

    if split == "valid":
        # Lists made in the manner of DAVIS are called val.
        protocol = replace(protocol, lists=(*protocol.lists, "ImageSets/val.txt"))

    # The server keeps the other masks of these splits, so any masks on disk will do.
    if split != "train" and protocol.annotated == "all":
        protocol = replace(protocol, annotated="any")

    videos = load_folders(replace(protocol, resolution=""), root, split, names)
    return [_without_partial_truth(video) for video in videos]


def _without_partial_truth(video: VideoSequence) -> VideoSequence:
    """The video, without annotations if some are missing, since it cannot be scored then."""
    complete = all(mask.is_file() for mask in video.truth)
    return video if complete else replace(video, truth=(), annotated=())


MOSE = Protocol(
    name="mose",
    source="https://mose.video/MOSEv1",
    layout=load,
    lists=("ImageSets/{split}.txt",),
    splits={"val": "valid"},
    # The folders of the videos lie at the top of the zip, as for DAVIS test-dev.
    submission="{sequence}/{frame}.png",
)
PROTOCOLS = (MOSE,)
