"""Options of zero-shot segmentation: how objects are found, refined and distinguished.

This module does not import torch, so that a command's help appears quickly.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from densevos.base.errors import InputError
from densevos.data.foreground.crf import PRESETS, CrfConfig
from densevos_eval.base.derived_options import given, optional
from densevos_eval.protocols.registry import PROTOCOLS, find_protocol

# A dataclass with an optional field crf_NAME for each parameter NAME of CrfConfig.
_Overrides: Any = optional(CrfConfig, prefix="crf_", presets=PRESETS)


@dataclass(frozen=True, kw_only=True)
class CrfOptions(_Overrides):
    """The dense CRF that refines masks; parameters that are not given come from the preset."""

    crf: bool = True
    """Refine masks with a dense CRF, and write the unrefined masks to OUT/no-crf."""
    crf_preset: Literal["mug", "cosnet", "matnet"] = "mug"
    """Publication whose CRF parameters are used, except for those given by other options."""

    def config(self) -> CrfConfig | None:
        """Combine the preset with the given parameters.

        Returns:
            The settings of the CRF; None without one.

        Raises:
            InputError: if a parameter is out of range, or is given without a CRF.
        """
        # Only the parameters that the user gave.
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
        # Probabilities are clipped to clip..1 - clip, which must leave some room.
        if name == "clip" and not 0 < value < 0.5:
            raise InputError(f"--crf-clip: must be above 0 and below 0.5, is {value}")
        if name == "iterations" and value < 1:
            raise InputError(f"--crf-iterations: must be 1 or more, is {value}")
        # Standard deviations, by which distances are divided.
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
    """Method that finds objects. model: a trained network. motion: what moves against the scene.
    consensus: moving objects, and what looks like them anywhere in the video. By default it is
    model if --model is given, and consensus otherwise."""
    encoder: str | None = None
    """Encoder by whose features consensus compares parts of frames, instead of by their colours;
    takes the same values as --encoder of densevos-eval propagate."""
    model: Path | None = None
    """Trained model: the run folder of densevos train mug_small or mug_oxuva, whose last round is
    used, one round such as RUN/round1, or a model.safetensors."""
    threshold: float = 0.5
    """Foreground threshold on the predicted probability."""
    references: int | None = None
    """Number of evenly spaced frames of a video that every frame is compared with; by default that
    of training."""
    flip: bool = True
    """Also segment the mirror image of every frame, and average the probabilities. This takes twice
    the time of --no-flip.
    """
    scales: tuple[float, ...] | None = None
    """Sizes to segment every frame at, as multiples of the size of training; the probabilities are
    averaged. By default they are 1 and 1.5; `--no-flip --scales 1` segments every frame once, as
    the paper does."""
    device: str = "auto"
    """Device to compute on: cpu, cuda, cuda:1, mps, ...; auto takes a GPU, also that of a Mac
    (mps), if there is one.
    """
    save_probabilities: bool = False
    """Also write soft masks, with values from 0 to 255 for probabilities from 0 to 1, as
    OUT/SEQUENCE/probabilities/ID/FRAME.png (ID 0: background).
    """

    @property
    def chosen_method(self) -> Literal["model", "motion", "consensus"]:
        """The method that is named, or follows from the other options."""
        if self.method:
            return self.method

        return "model" if self.model else "consensus"

    def __post_init__(self) -> None:
        method = self.chosen_method
        if method == "model" and not self.model:
            raise InputError(
                "--method model: give the --model too, or take --method consensus, which needs none"
            )

        # --flip is missing here: it has a default, so a given one cannot be recognised.
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

        if self.scales is not None:
            in_range = all(0.25 <= scale <= 4 for scale in self.scales)
            if not self.scales or not in_range:
                raise InputError(
                    "--scales: give one or more sizes within 0.25..4, such as 1 1.5;"
                    f" is {self.scales}"
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
    """Write one id per object (at most 20 objects) instead of one for all, and also write
    OUT/SEQUENCE/tracks.json.
    """
    proposals: Proposals | None = None
    """Source of object proposals in each frame. parts (the default): connected parts of the
    foreground. edgebox: EdgeBoxes and GrabCut, without learning. maskrcnn: Mask R-CNN trained on
    COCO. segments:RUN: connected parts of the classes that a segmentation network predicts; RUN is
    a run folder of densevos train i2v_cnn (or another i2v recipe) or its model.safetensors. A
    folder: reads SEQUENCE/FRAME.npz with masks [N,H,W] bool and scores [N]. module:function: calls
    your own function (frame, foreground) -> proposals."""
    proposal_weights: str | None = None
    """Weights of Mask R-CNN: a name of torchvision or a file; COCO_V1 by default."""
    edge_map: str | None = None
    """Edges for EdgeBoxes, as module:function of your own: frame [H,W,3] -> strength of edges [H,W]
    in 0..1. By default edges are gradients of colour."""
    linking: Literal["association", "unovost"] | None = None
    """Method that joins proposals to tracks. association (the default): overlap after optical flow,
    frame by frame. unovost: tracklets by optical flow, joined over the whole video by similar
    appearance."""
    embedding: str | None = None
    """Appearance of proposals: colour, or an encoder, such as a run folder of densevos train
    i2v_cnn; takes the same values as --encoder of densevos-eval propagate. By default unovost
    compares colours, and association compares overlap only."""
    embedding_layer: str | None = None
    """Layer of the encoder of --embedding; densevos-eval info ENCODER lists the choices and names
    the default.
    """
    embedding_pooling: Literal["mask", "box"] | None = None
    """Region that features of --embedding are pooled over: mask (the default), the proposal's mask,
    or box, its bounding box, cut out and resized to 128x128 pixels."""
    flow: Literal["dis", "raft"] | None = None
    """Optical flow between frames: dis (the default), which is not learned, or raft, a network."""
    flow_weights: str | None = None
    """Weights of RAFT: a name of torchvision or a file; C_T_V2 by default."""

    def __post_init__(self) -> None:
        # Defaults are filled in later, so that a given option without --instances is an error.
        for option in fields(self):
            value = getattr(self, option.name)
            if option.name != "instances" and value is not None and not self.instances:
                flag = option.name.replace("_", "-")
                raise InputError(
                    f"--{flag} {value}: distinguishes objects; add --instances, or leave it out"
                )

    def check(self, dataset: str | None, options: ZeroShotOptions) -> None:
        """Check that objects can be distinguished in this run.

        Args:
            dataset: name of the benchmark; None: it is one's own video.
            options: the other options of the run.

        Raises:
            InputError: if the benchmark has one object per video, or soft masks are asked for.
        """
        if not self.instances:
            return

        if dataset is not None and find_protocol(dataset).merge_objects:
            # The message names the benchmarks that have several objects in a video.
            several = [
                name
                for name, protocol in PROTOCOLS.items()
                if protocol.foreground and not protocol.merge_objects
            ]
            raise InputError(
                f"--instances: --dataset {dataset} has one object in each video; leave --instances"
                f" out, or take {', '.join(several)}"
            )

        if options.save_probabilities:
            raise InputError(
                "--save-probabilities: instances have no soft masks; leave it or --instances out"
            )
