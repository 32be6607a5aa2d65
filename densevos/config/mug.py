"""Configuration of multi-granularity learning (MuG)."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from densevos.config.parts import ADDED_LATER, EncoderConfig, LoopConfig, OptimiserConfig, require, shared_rules


@dataclass(frozen=True, kw_only=True)
class MugClipConfig:
    """Which frames of a video one step sees (MuG, Secs. 3.1 and 3.2; decision D30)."""

    size: int = 256
    """Frames are scaled to size x size pixels."""
    segments: int = 8
    """K: one frame of each of K equal segments is the abstract of a video."""
    pair_gap: int = 6
    """Fewest frames between the two of a long-term pair, where the video is long enough."""
    window: int = 6
    """The three frames of the short-term clip are drawn from so many successive ones."""
    zoom: tuple[float, float] = (1.0, 1.0)
    """Sides of the part of a video's frames that is used, as a fraction drawn from this range; 1: the whole frame."""
    flip: bool = True
    """Mirror half of the videos."""


@dataclass(frozen=True, kw_only=True)
class MugObjectiveConfig:
    """The four granularities (MuG, Eqs. 2-16; decisions D14 to D32)."""

    short_weight: float = 0.1
    """beta_1 of Eq. 16."""
    long_weight: float = 0.02
    """beta_2."""
    video_weight: float = 0.5
    """beta_3."""
    frame_weight: float = 1.0
    """Of Eqs. 2 and 15 for rho, which reads single frames."""
    readout_weight: float = 1.0
    """Of the same for nu, which reads aggregated features and makes the masks."""
    alpha: float = 0.05
    """Trust in the initial maps from the second round on (Eq. 15)."""
    patch: int = 64
    """Side of the tracked patch, pixels."""
    crop: Literal["image", "feature"] = "image"
    """Cut the tracked patch from the image and embed it anew, as the paper does, or from the embedding of its frame. A
    patch no larger than what a cell of the encoder sees has another embedding than its place in the frame: it is then
    not found again (missed_by tells), and the feature's is."""
    drop_worst: float = 0.1
    """Share of a batch's tracks that is left out for large errors, whole ones: .1 of fewer than ten is none."""
    balance: bool = False
    """Weigh the place of the patch and the rest of the response alike."""
    match_size: int = 16
    """Cells a side at which two frames are matched; 64 in the paper."""
    match_temperature: float = 0.07
    """Of the softmax of Eq. 6."""
    match_reduction: Literal["mean", "sum"] = field(default="mean", metadata=ADDED_LATER)
    """Inliers of Eq. 8 per cell, or summed over cells as in the paper: then match_size squared times as heavy."""
    aggregate_temperature: float = 0.07
    """Of the softmax of Eq. 9."""
    instance_temperature: float = 0.1
    """Of the softmax of Eqs. 12 and 13."""
    readout: Literal["conv", "refine", "fine"] = "conv"
    """nu: one convolution of r (conv); the release's, which joins the second and third stage of the trunk (refine); or
    one that joins the second and the first, and whose masks have cells of 4 pixels whatever --encoder.stride is
    (fine)."""
    supervision: Literal["cells", "pixels"] = field(default="cells", metadata=ADDED_LATER)
    """Where masks are compared with foreground maps. cells: on the cells of the mask, each with the share of foreground
    among the pixels that the map knows; pixels: on the pixels of the frame, to which the mask is enlarged."""
    round_robin: bool = False
    """One granularity a step, in turn: slower to learn, with less memory."""


@dataclass(frozen=True, kw_only=True)
class MugConfig:
    """A whole training run, all its rounds."""

    METHOD: ClassVar[str] = "mug"

    data: Path
    """Folder of frame folders or video files, a text file that lists them, or `module:function` of your own, which
    returns a VideoSource."""
    foreground: Path
    """Folder of foreground maps VIDEO/FRAME.png (0, 1, 255: unknown), as `densevos data foreground` writes them."""
    rounds: int = 2
    """Bootstrap rounds: each begins with the last one's network and its maps of the training videos."""
    reinit: bool = False
    """Begin later rounds with fresh weights."""
    relabel_crf: bool = False
    """Refine the maps that a round's network makes with a CRF."""
    relabel_area: bool = False
    """Cut these maps of a video so low that they are on average at least as large as its initial maps, instead of at
    0.5: a network that is seldom sure loses foreground from round to round."""
    relabel_flip: bool = field(default=False, metadata=ADDED_LATER)
    """Average these maps over each frame and its mirror image."""
    relabel_scales: tuple[float, ...] = field(default=(1.0,), metadata=ADDED_LATER)
    """Average these maps over frames of several sizes, multiples of --clips.size."""
    weights: str | None = None
    """Trunk to start from: a torchvision name such as IMAGENET1K_V1, a local .pth file, or the encoder.safetensors of
    densevos train dul_small with the same --encoder.architecture. Without this option weights are random."""
    encoder: EncoderConfig = field(
        default_factory=lambda: EncoderConfig(
            architecture="resnet50", stride=4, last="res3", dilated=True, channels=512, key_channels=64, head="linear"
        )
    )
    clips: MugClipConfig = field(default_factory=MugClipConfig)
    objective: MugObjectiveConfig = field(default_factory=MugObjectiveConfig)
    optimiser: OptimiserConfig = field(
        default_factory=lambda: OptimiserConfig(name="sgd", lr=1e-2, schedule="poly", clip_gradient=10)
    )
    loop: LoopConfig = field(default_factory=LoopConfig)

    @property
    def frames(self) -> int:
        """Fewest frames of a video that can be used."""
        return max(self.clips.segments, self.clips.window)

    def check(self) -> None:
        """Raise InputError for values that cannot work, alone or together; the message names the flag."""
        clips, objective, stride = self.clips, self.objective, self.encoder.stride
        low, high = clips.zoom
        rules = (
            (self.rounds >= 1, "--rounds must be at least 1"),
            (
                len(self.relabel_scales) > 0 and all(0.25 <= scale <= 4 for scale in self.relabel_scales),
                "--relabel-scales must be one or more sizes within 0.25..4",
            ),
            (clips.size % stride == 0, "--clips.size must be a multiple of --encoder.stride"),
            (clips.segments >= 3, "--clips.segments must be at least 3: a pair and references"),
            (clips.pair_gap >= 1, "--clips.pair-gap must be at least 1"),
            (clips.window >= 3, "--clips.window must be at least 3, the frames of a short clip"),
            (0 < low <= high <= 1, "--clips.zoom must rise within 0..1"),
            (objective.patch % (2 * stride) == 0, "--objective.patch must be a multiple of twice --encoder.stride"),
            (0 < objective.patch <= clips.size, "--objective.patch must be 1..--clips.size"),
            (
                12 <= objective.match_size <= clips.size // stride,
                f"--objective.match-size must be 12..{clips.size // stride}: a side of --clips.size has so many cells"
                " of --encoder.stride",
            ),
            (0 <= objective.alpha <= 1, "--objective.alpha must lie within 0..1"),
            (0 <= objective.drop_worst < 1, "--objective.drop-worst must lie within 0..1, without 1"),
            (objective.match_temperature > 0, "--objective.match-temperature must be positive"),
            (objective.aggregate_temperature > 0, "--objective.aggregate-temperature must be positive"),
            (objective.instance_temperature > 0, "--objective.instance-temperature must be positive"),
            *shared_rules(self.encoder, self.optimiser, self.loop),
        )
        require(rules)
