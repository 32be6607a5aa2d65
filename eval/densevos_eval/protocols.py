"""Benchmarks as data: where their files lie, what is scored, and how."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from typing import Literal

import numpy as np

from densevos.base.errors import InputError
from densevos_eval.layouts import davis, jhmdb, ytobjects, ytvos
from densevos_eval.metrics.matching import best_assignment, same_id
from densevos_eval.sequences import Sequence


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """What a benchmark asks for. Folders are relative to its root.

    images, annotations: folders that hold one folder per sequence, or first one per resolution.
    resolution: that folder's name; None takes 480p, or the only one there is, or does without.
    lists: files with the names of a split's sequences, the first that exists counts.
    splits: what the benchmark calls a split where that is another name: {"val": "valid"}.
    list_required: without a list, False takes every sequence of the image folder.
    first_mask_given: the annotation of the first frame is handed to the method.
    merge_objects: all ids above 0 are one object.
    skipped: how many annotated frames at the beginning and at the end are not scored.
    ignore_void: pixels of the annotation with value 255 count for neither side, instead of as background.
    max_proposals: how many ids a result may hold; None: as many as there are objects.
    contour: F is asked for beside J.
    stability: names of the sequences whose temporal stability T is asked for.
    mean_over_classes: means over the frames of a shot, the shots CLASS/... of a class, the classes.
    decay_uint8: compute the decay of videos of more than 256 frames as wrongly as the DAVIS toolbox.
    annotated: frames the set has annotations of: all, the first (its server keeps the others), or any, in one's own;
        none: nobody asks for them.
    all_frames: frames between those that are asked for are used too, where a benchmark has them.
    frame_size: [H,W] that frames are resized to before propagation; what is found is resized back.
    submission: path of a mask in what the server takes; None where there is no server.
    measure: what is scored: objects (J, F, T), parts (mean IoU of classes) or joints (PCK); see measures.
    layout: finds the sequences below the root; see load_sequences.
    match: (J, F), each [objects,proposals,frames] -> proposal [objects] of each object.
    """

    name: str
    source: str
    images: str = "JPEGImages"
    annotations: str = "Annotations"
    resolution: str | None = None
    lists: tuple[str, ...] = ()
    list_required: bool = True
    splits: Mapping[str, str] = field(default_factory=dict)
    first_mask_given: bool = True
    merge_objects: bool = False
    skipped: tuple[int, int] = (1, 1)
    ignore_void: bool = False
    max_proposals: int | None = None
    contour: bool = True
    stability: frozenset[str] = frozenset()
    mean_over_classes: bool = False
    decay_uint8: bool = False
    annotated: Literal["all", "first", "any", "none"] = "all"
    all_frames: bool = True
    frame_size: tuple[int, int] | None = None
    submission: str | None = None
    measure: Literal["objects", "parts", "joints"] = "objects"
    layout: "Callable[[Protocol, Path, str, tuple[str, ...]], list[Sequence]]" = davis.load
    match: Callable[[np.ndarray, np.ndarray], np.ndarray] = same_id


# The toolbox leaves out videos whose objects are occluded or deform strongly: `eval_t` of its list of sequences.
# The first ten belong to val, the others to train.
STABILITY_SEQUENCES = """
    blackswan camel car-roundabout car-shadow cows drift-straight kite-surf paragliding-launch scooter-black soapbox
    bear boat bus car-turn dance-jump drift-turn elephant flamingo hike hockey kite-walk mallard-water motocross-bumps
    rhino stroller surf train
"""
DAVIS16 = Protocol(
    name="davis16",
    source="https://davischallenge.org/davis2016/code.html",
    lists=("ImageSets/2016/{split}.txt",),
    merge_objects=True,
    stability=frozenset(STABILITY_SEQUENCES.split()),
)
DAVIS17 = Protocol(
    name="davis17",
    source="https://davischallenge.org/davis2017/code.html",
    lists=("ImageSets/2017/{split}.txt",),
)
DAVIS17_TESTDEV = replace(
    DAVIS17,
    name="davis17-testdev",
    splits={"val": "test-dev"},
    annotated="first",
    submission="{sequence}/{frame}.png",
)
DAVIS17_UNSUPERVISED = replace(
    DAVIS17,
    name="davis17-unsupervised",
    source="https://davischallenge.org/davis2017/code.html#unsupervised",
    annotations="Annotations_unsupervised",
    first_mask_given=False,
    skipped=(0, 0),
    ignore_void=True,
    max_proposals=20,
    match=best_assignment,
)
YTVOS18 = Protocol(
    name="ytvos18",
    source="https://youtube-vos.org/dataset/vos/ (2018 version)",
    splits={"val": "valid"},
    skipped=(0, 0),  # every object counts from the frame after the one that hands it over
    submission="Annotations/{sequence}/{frame}.png",
    layout=ytvos.load,
)
YTVOS19 = replace(YTVOS18, name="ytvos19", source="https://youtube-vos.org/dataset/vos/ (2019 version)")
YTOBJECTS = Protocol(
    name="ytobjects",
    source="https://vision.cs.utexas.edu/projects/videoseg/, frames of YouTube-Objects v1, not v2",
    merge_objects=True,
    skipped=(0, 0),
    contour=False,
    mean_over_classes=True,
    layout=ytobjects.load,
)
VIP = Protocol(
    name="vip",
    source="https://github.com/HCPLab-SYSU/ATEN, VIP_Fine",
    images="Images",
    annotations="Annotations/Category_ids",
    lists=("lists/{split}_videos.txt",),
    frame_size=(560, 560),  # of this benchmark and the next as in Jabri et al., NeurIPS 2020, whatever the aspect
    measure="parts",
)
JHMDB = Protocol(
    name="jhmdb",
    source="http://jhmdb.is.tue.mpg.de",
    images="Rename_Images",
    annotations="joint_positions",
    lists=("splits/*_test_{split}.txt",),
    splits={"val": "split1"},
    frame_size=(320, 320),
    measure="joints",
    layout=jhmdb.load,
)
FOLDER = Protocol(
    name="folder",
    source="your own frames and masks",
    lists=("ImageSets/{split}.txt", "ImageSets/2017/{split}.txt", "ImageSets/2016/{split}.txt"),
    list_required=False,
    annotated="any",
)
EVERY = DAVIS16, DAVIS17, DAVIS17_TESTDEV, DAVIS17_UNSUPERVISED, YTVOS18, YTVOS19, YTOBJECTS, VIP, JHMDB, FOLDER
PROTOCOLS = {protocol.name: protocol for protocol in EVERY}
Dataset = Literal[
    "davis16",
    "davis17",
    "davis17-testdev",
    "davis17-unsupervised",
    "ytvos18",
    "ytvos19",
    "ytobjects",
    "vip",
    "jhmdb",
    "folder",
]


@dataclass(frozen=True, kw_only=True)
class BenchmarkOptions:
    """Which sequences of which benchmark: the options that propagate and score share."""

    dataset: Dataset
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
    frames: Literal["all", "required"] = "all"
    """Of YouTube-VOS: propagate through all frames, or through the 6-fps set only."""

    def __post_init__(self) -> None:
        layout = PROTOCOLS[self.dataset].layout
        if self.frames != "all" and layout is not ytvos.load:
            raise InputError(f"--frames {self.frames}: is for YouTube-VOS, not for {self.dataset}; leave it out")
        if self.resolution is not None and layout is not davis.load:
            raise InputError(f"--resolution {self.resolution}: {self.dataset} has a single one; leave it out")
        if self.split != "val" and layout is ytobjects.load:
            raise InputError(f"--split {self.split}: {self.dataset} has no splits; leave it out")

    def protocol(self) -> Protocol:
        """The benchmark's protocol with the folders named by these options."""
        protocol = PROTOCOLS[self.dataset]
        return replace(
            protocol,
            annotations=self.annotations or protocol.annotations,
            resolution=self.resolution if self.resolution is not None else protocol.resolution,
            all_frames=self.frames == "all",
        )

    def load(self) -> list[Sequence]:
        """The sequences these options name; see load_sequences."""
        return load_sequences(self.protocol(), self.root, self.split, self.sequences)


def load_sequences(protocol: Protocol, root: Path, split: str, names: tuple[str, ...] = ()) -> list[Sequence]:
    """The sequences of a split (or those in `names`) of the benchmark at `root`, layout checked first.

    Of a benchmark every file is looked for that propagation or scoring will read; none is opened but lists.
    A name given twice counts once.

    Raises InputError that names the first file or folder missing and where to get the set, and for a name that leads
    out of the folders of the benchmark, since results are written under it.
    """
    names = tuple(dict.fromkeys(str(PurePath(name)) for name in names))
    sequences = protocol.layout(protocol, root, protocol.splits.get(split, split), names)
    for sequence in sequences:
        path = PurePath(sequence.name)
        if path.is_absolute() or not path.parts or ".." in path.parts:
            raise InputError(f"sequence {path}: lies outside of the benchmark's folders; give names as in its lists")
    return sequences
