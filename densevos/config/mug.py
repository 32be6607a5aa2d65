"""Configuration of multi-granularity learning (MuG)."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from densevos.config.parts import (
    ADDED_LATER,
    EncoderConfig,
    LoopConfig,
    OptimiserConfig,
    require,
    shared_rules,
)


# Equation numbers are those of the MuG paper.
@dataclass(frozen=True, kw_only=True)
class MugClipConfig:
    """Which frames of a video one step sees (MuG, Secs. 3.1 and 3.2; decision D30)."""

    size: int = 256
    """Width and height that frames are scaled to, pixels."""
    segments: int = 8
    """Number of equal parts of a video, one frame of each of which is seen (K)."""
    pair_gap: int = 6
    """Fewest frames between the two frames of a long-term pair, in videos that are long enough."""
    window: int = 6
    """Number of successive frames that the three frames of the short-term clip are drawn from."""
    zoom: tuple[float, float] = (1.0, 1.0)
    """Range of the side of the crop, as a fraction of the frame; 1 is the whole frame."""
    flip: bool = True
    """Mirror half of the videos."""


@dataclass(frozen=True, kw_only=True)
class MugObjectiveConfig:
    """The four granularities (MuG, Eqs. 2-16; decisions D14 to D32)."""

    short_weight: float = 0.1
    """Weight of the short-term loss (beta_1 in Eq. 16)."""
    long_weight: float = 0.02
    """Weight of the long-term loss (beta_2 in Eq. 16)."""
    video_weight: float = 0.5
    """Weight of the video loss (beta_3 in Eq. 16)."""
    frame_weight: float = 1.0
    """Weight of the foreground loss of rho, which reads single frames (Eqs. 2 and 15)."""
    readout_weight: float = 1.0
    """Weight of the foreground loss of nu, which reads aggregated features and makes the masks."""
    alpha: float = 0.05
    """Weight of the initial maps from the second round on (alpha in Eq. 15)."""
    patch: int = 64
    """Side of the tracked patch, pixels."""
    crop: Literal["image", "feature"] = "image"
    """Cut the tracked patch from the image and encode it, as the paper does (image), or cut it from
    the features of its frame (feature). A small patch encoded alone has other features than its
    place in the frame, and is then not found again; missed_by in the log shows it."""
    drop_worst: float = 0.1
    """Share of the tracks of a batch that is left out for large errors, rounded down."""
    balance: bool = False
    """Give the place of the patch and the rest of the response the same weight."""
    match_size: int = 16
    """Cells along each side when two frames are matched; the paper has 64."""
    match_temperature: float = 0.07
    """Temperature of the softmax of Eq. 6."""
    match_reduction: Literal["mean", "sum"] = field(default="mean", metadata=ADDED_LATER)
    """Mean of the inliers of Eq. 8 over cells, or their sum as in the paper, which is match_size
    squared times as large."""
    aggregate_temperature: float = 0.07
    """Temperature of the softmax of Eq. 9."""
    instance_temperature: float = 0.1
    """Temperature of the softmax of Eqs. 12 and 13."""
    readout: Literal["conv", "refine", "fine"] = "conv"
    """Layers of nu. conv: one convolution of r. refine: those of the release, which join the second
    and third stage of the backbone. fine: layers that join the second and the first stage, and
    whose masks have cells of 4 pixels whatever --encoder.stride is."""
    supervision: Literal["cells", "pixels"] = field(default="cells", metadata=ADDED_LATER)
    """Where masks are compared with foreground maps. cells: on the cells of the mask, each with the
    share of foreground among the pixels that the map knows; pixels: on the pixels of the frame, to
    which the mask is enlarged."""
    round_robin: bool = False
    """Compute one granularity in each step, in turn. It learns more slowly and needs less
    memory.
    """


@dataclass(frozen=True, kw_only=True)
class MugConfig:
    """A whole training run, all its rounds."""

    METHOD: ClassVar[str] = "mug"

    data: Path
    """Folder of frame folders or video files, a text file that lists them, or `module:function` of
    your own, which returns a VideoSource."""
    foreground: Path
    """Folder of foreground maps VIDEO/FRAME.png (0, 1, 255: unknown), as `densevos data foreground`
    writes them.
    """
    rounds: int = 2
    """Number of rounds. Each starts from the network of the round before and its maps of the
    training videos.
    """
    reinit: bool = False
    """Start later rounds from new random weights."""
    relabel_crf: bool = False
    """Refine the maps between two rounds with a CRF."""
    relabel_area: bool = False
    """Choose the threshold of the maps between two rounds for each video, so that they are on
    average at least as large as its initial maps. Otherwise it is 0.5, and a network that is seldom
    sure loses foreground from round to round."""
    relabel_flip: bool = field(default=False, metadata=ADDED_LATER)
    """Average the maps between two rounds over each frame and its mirror image."""
    relabel_scales: tuple[float, ...] = field(default=(1.0,), metadata=ADDED_LATER)
    """Sizes, as multiples of --clips.size, that the maps between two rounds are averaged over."""
    weights: str | None = None
    """Weights that the backbone starts from: a torchvision name such as IMAGENET1K_V1, a local .pth
    file, or the encoder.safetensors of densevos train dul_small with this --encoder.architecture.
    Without this option weights are random."""
    encoder: EncoderConfig = field(
        default_factory=lambda: EncoderConfig(
            architecture="resnet50",
            stride=4,
            last="res3",
            dilated=True,
            channels=512,
            key_channels=64,
            head="linear",
        )
    )
    clips: MugClipConfig = field(default_factory=MugClipConfig)
    objective: MugObjectiveConfig = field(default_factory=MugObjectiveConfig)
    optimiser: OptimiserConfig = field(
        default_factory=lambda: OptimiserConfig(
            name="sgd", lr=1e-2, schedule="poly", clip_gradient=10
        )
    )
    loop: LoopConfig = field(default_factory=LoopConfig)

    @property
    def frames(self) -> int:
        """Fewest frames of a video that can be used."""
        # One frame of each segment, and the frames of the window, must all exist.
        return max(self.clips.segments, self.clips.window)

    def check(self) -> None:
        """Raise InputError for values that cannot work, alone or together; the message names the
        flag.
        """
        clips, objective, stride = self.clips, self.objective, self.encoder.stride
        low, high = clips.zoom
        rules = (
            (self.rounds >= 1, "--rounds must be at least 1"),
            (
                len(self.relabel_scales) > 0
                and all(0.25 <= scale <= 4 for scale in self.relabel_scales),
                "--relabel-scales must be one or more sizes within 0.25..4",
            ),
            # Feature cells must tile the frame without a rest.
            (clips.size % stride == 0, "--clips.size must be a multiple of --encoder.stride"),
            # Two frames make the long-term pair, and at least one more is needed as a reference.
            (clips.segments >= 3, "--clips.segments must be at least 3: a pair and references"),
            (clips.pair_gap >= 1, "--clips.pair-gap must be at least 1"),
            # Three different frames make the short-term clip.
            (clips.window >= 3, "--clips.window must be at least 3, the frames of a short clip"),
            # A side of 1 is the whole frame, and more would need pixels from outside it.
            (0 < low <= high <= 1, "--clips.zoom must rise within 0..1"),
            (
                # Half of the patch must be whole cells, so that its centre lies between cells.
                objective.patch % (2 * stride) == 0,
                "--objective.patch must be a multiple of twice --encoder.stride",
            ),
            (0 < objective.patch <= clips.size, "--objective.patch must be 1..--clips.size"),
            (
                # The convolutions of the geometric regressor take 10 cells from a side, and the
                # features have no more cells than the upper limit.
                12 <= objective.match_size <= clips.size // stride,
                f"--objective.match-size must be 12..{clips.size // stride}: a side of "
                f"--clips.size has so many cells"
                " of --encoder.stride",
            ),
            (0 <= objective.alpha <= 1, "--objective.alpha must lie within 0..1"),
            (
                # Without 1: some track must be left to learn from.
                0 <= objective.drop_worst < 1,
                "--objective.drop-worst must lie within 0..1, without 1",
            ),
            # All temperatures divide similarities in a softmax, so 0 is impossible.
            (objective.match_temperature > 0, "--objective.match-temperature must be positive"),
            (
                objective.aggregate_temperature > 0,
                "--objective.aggregate-temperature must be positive",
            ),
            (
                objective.instance_temperature > 0,
                "--objective.instance-temperature must be positive",
            ),
            *shared_rules(self.encoder, self.optimiser, self.loop),
        )
        require(rules)
