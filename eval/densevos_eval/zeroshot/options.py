"""How zero-shot segmentation finds, refines and tells apart objects: options, without torch."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from densevos.base.errors import InputError
from densevos.data.foreground.crf import PRESETS, CrfConfig
from densevos_eval.base.derived_options import given, optional
from densevos_eval.protocols.registry import PROTOCOLS, find_protocol

_Overrides: Any = optional(CrfConfig, prefix="crf_", presets=PRESETS)


@dataclass(frozen=True, kw_only=True)
class CrfOptions(_Overrides):
    """The dense CRF that refines masks; what is left out comes from the preset. See CrfConfig."""

    crf: bool = True
    """Refine masks with a dense CRF; the masks before it go to OUT/no-crf."""
    crf_preset: Literal["mug", "cosnet", "matnet"] = "mug"
    """Parameters of a publication."""

    def config(self) -> CrfConfig | None:
        """The preset with the given parameters in its place, None without CRF; InputError for what
        cannot be.
        """
        values = given(self, CrfConfig, prefix="crf_")
        preset = PRESETS[self.crf_preset]
        if not self.crf and values:
            raise InputError(
                f"{_flag(next(iter(values)))}: is a parameter of the CRF; leave it or --no-crf out"
            )

        _check(values)
        return replace(preset, **values) if self.crf else None


def _check(values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        if name == "clip" and not 0 < value < 0.5:
            raise InputError(f"--crf-clip: must be above 0 and below 0.5, is {value}")
        if name == "iterations" and value < 1:
            raise InputError(f"--crf-iterations: must be 1 or more, is {value}")
        if name.endswith(("_sxy", "_srgb")) and not value > 0:
            raise InputError(f"{_flag(name)}: must be above 0, is {value}")
        if name.endswith("_compat") and not value >= 0:
            raise InputError(f"{_flag(name)}: must be 0 or more, is {value}")


def _flag(name: str) -> str:
    return "--crf-" + name.replace("_", "-")


@dataclass(frozen=True, kw_only=True)
class ZeroShotOptions:
    """What finds objects: a trained model, or a method without training."""

    method: Literal["model", "motion", "consensus"] | None = None
    """model: a trained network. motion: what moves against the scene. consensus: moving objects,
    and what looks like them anywhere in the video. Without this option it is model if --model is
    given, and consensus otherwise."""
    encoder: str | None = None
    """Compare parts of frames by features of this encoder instead of by colours, for consensus. It
    takes what --encoder of propagate takes."""
    model: Path | None = None
    """Run folder of densevos train mug_small or mug_oxuva, whose last round counts; RUN/round1, or
    a model.safetensors."""
    threshold: float = 0.5
    """Foreground threshold on the predicted probability."""
    references: int | None = None
    """Number of evenly spaced frames of a video that every frame is compared with; without this
    option it is that of training."""
    flip: bool = True
    """Segment the mirror image of every frame too, and average the probabilities: twice the time of
    --no-flip.
    """
    scales: tuple[float, ...] | None = None
    """Sizes to segment every frame at, as multiples of the size of training; the probabilities are
    averaged. Without this option they are 1 and 1.5; `--no-flip --scales 1` segments every frame
    once, as the paper does."""
    device: str = "auto"
    """cpu, cuda, cuda:1, mps, ...; auto takes a GPU where there is one, also that of a Mac
    (mps).
    """
    save_probabilities: bool = False
    """Write soft masks too, 0 (no) to 255 (yes): OUT/SEQUENCE/probabilities/ID/FRAME.png (ID 0:
    background).
    """

    @property
    def chosen_method(self) -> Literal["model", "motion", "consensus"]:
        """The method that is named or, where none is, follows from the others."""
        return self.method or ("model" if self.model else "consensus")

    def __post_init__(self) -> None:
        method = self.chosen_method
        if method == "model" and not self.model:
            raise InputError(
                "--method model: give the --model too, or take --method consensus, which needs none"
            )

        of_model = {"model": self.model, "references": self.references, "scales": self.scales}
        for name, value in of_model.items():
            if value is not None and method != "model":
                raise InputError(
                    f"--{name}: is for a trained model, not for --method {method}; leave it out"
                )

        if self.encoder and method != "consensus":
            raise InputError(
                f"--encoder: is for --method consensus, not for {method}; leave it out"
            )

        if not 0 < self.threshold < 1:
            raise InputError(f"--threshold: must lie between 0 and 1, is {self.threshold}")
        if self.references is not None and self.references < 1:
            raise InputError(f"--references: must be 1 or more, is {self.references}")
        if self.scales is not None and not (
            self.scales and all(0.25 <= scale <= 4 for scale in self.scales)
        ):
            raise InputError(
                f"--scales: give one or more sizes within 0.25..4, such as 1 1.5; is {self.scales}"
            )


KnownProposals = Literal["parts", "edgebox", "maskrcnn"]
if TYPE_CHECKING:
    Proposals = str
else:
    # The help lists the known kinds; any other string is module:function or a folder.
    Proposals = KnownProposals | str


@dataclass(frozen=True, kw_only=True)
class InstanceOptions:
    """Whether every object gets an id of its own, and how objects are distinguished."""

    instances: bool = False
    """Write one id for each object, at most 20, instead of one for all, and
    OUT/SEQUENCE/tracks.json.
    """
    proposals: Proposals | None = None
    """What may be an object in a frame. parts: connected parts of the foreground (used without this
    option). edgebox: EdgeBoxes and GrabCut, without learning. maskrcnn: Mask R-CNN trained on COCO.
    segments:RUN: connected parts of the classes that a segmentation network tells, RUN being a run
    folder of densevos train i2v_cnn (or another i2v recipe) or its model.safetensors. A folder with
    SEQUENCE/FRAME.npz (masks [N,H,W] bool and scores [N]), or module:function of your own, frame
    and foreground -> proposals."""
    proposal_weights: str | None = None
    """Weights of Mask R-CNN: a name of torchvision or a file. Without this option they are
    COCO_V1.
    """
    edge_map: str | None = None
    """Edges for EdgeBoxes: module:function of your own, frame [H,W,3] -> strength of edges [H,W] in
    0..1. Without this option they are gradients of colour."""
    linking: Literal["association", "unovost"] | None = None
    """What joins proposals to tracks. association: overlap after optical flow, frame by frame (used
    without this option). unovost: tracklets by optical flow, joined over the whole video where they
    look alike."""
    embedding: str | None = None
    """What tells how proposals look: colour, or an encoder as --encoder of propagate takes it, such
    as a run folder of densevos train i2v_cnn. Without this option unovost looks at colour, and
    association at overlap alone."""
    embedding_layer: str | None = None
    """Layer of the encoder; densevos-eval info ENCODER lists the choices and names the usual
    one.
    """
    embedding_pooling: Literal["mask", "box"] | None = None
    """What features are pooled over: the mask of a proposal (used without this option), or its box,
    cut out and resized to 128x128 pixels."""
    flow: Literal["dis", "raft"] | None = None
    """Optical flow between frames: dis, without learning (used without this option), or raft, a
    network.
    """
    flow_weights: str | None = None
    """Weights of RAFT: a name of torchvision or a file. Without this option they are C_T_V2."""

    def __post_init__(self) -> None:
        for option in fields(self):
            value = getattr(self, option.name)
            if option.name != "instances" and value is not None and not self.instances:
                flag = option.name.replace("_", "-")
                raise InputError(
                    f"--{flag} {value}: tells objects apart; add --instances, or leave it out"
                )

    def check(self, dataset: str | None, options: ZeroShotOptions) -> None:
        """Raise InputError where objects cannot be told apart: a benchmark of one object, or soft
        masks.
        """
        if not self.instances:
            return
        if dataset is not None and find_protocol(dataset).merge_objects:
            several = [
                name for name, one in PROTOCOLS.items() if one.foreground and not one.merge_objects
            ]
            raise InputError(
                f"--instances: --dataset {dataset} has one object in each video; leave --instances out, or take"
                f" {', '.join(several)}"
            )

        if options.save_probabilities:
            raise InputError(
                "--save-probabilities: objects told apart have no soft masks; leave it or --instances out"
            )
