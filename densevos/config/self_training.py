"""Configuration of anchor-based self-training (DUL)."""

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


# Equation numbers are those of the DUL paper.
@dataclass(frozen=True, kw_only=True)
class ClipConfig:
    """Which frames and which part of them make a clip (DUL, Sec. 4; decisions D3 to D5)."""

    frames: int = 5
    """Number of frames of a clip (T)."""
    gap: int = 2
    """Frames from one frame of a clip to the next, in videos that are long enough."""
    spacing: Literal["whole", "fraction"] = field(default="whole", metadata=ADDED_LATER)
    """Gap in videos of fewer than frames x gap frames. whole: the largest whole number that fits;
    videos shorter than a clip are skipped. fraction: length / frames, rounded at each frame; videos
    shorter than a clip repeat frames."""
    order: Literal["shuffled", "ascending"] = field(default="shuffled", metadata=ADDED_LATER)
    """Order of the frames of a clip. The first one is its reference frame."""
    size: int = 256
    """Side of the square crop, pixels."""
    short_side: tuple[int, int] = (256, 320)
    """Range of the short side, pixels; frames are scaled to a length drawn from it before they are
    cropped.
    """
    crop: Literal["random", "centre"] = "random"
    """Place of the square crop."""
    flip: bool = True
    """Mirror half of the clips."""


@dataclass(frozen=True, kw_only=True)
class ViewConfig:
    """The second view: a similarity transform of the first, one for all frames of a clip."""

    zoom: tuple[float, float] = (0.5, 1.0)
    """Side of the crop that becomes the second view, as a fraction of the first view."""
    flip: bool = True
    """Mirror half of the second views."""


@dataclass(frozen=True, kw_only=True)
class SelfTrainingConfig:
    """Space-time self-training with cross-view consistency (DUL, Eqs. 1-6)."""

    anchor_grid: int = 8
    """Anchors of a clip along each side (N)."""
    cross_view_grid: int = 4
    """Cells of a clip along each side in the cross-view term (M)."""
    temperature: float = 0.05
    """Temperature of the softmax (tau in Eqs. 1 and 4)."""
    cross_view_weight: float = 0.1
    """Weight of the cross-view term (lambda in Eq. 6)."""
    anchor_jitter: bool = True
    """Shift the anchor grid at random; without it the network finds shortcuts."""
    regularising_bn: Literal["train", "eval"] = "train"
    """Mode of BatchNorm in the branch that makes pseudo-labels."""
    regularising_gradient: bool = True
    """Encode the reference frame of the second view with gradient, as the release does. Without it
    the cross-view term trains the first view only. Pseudo-labels never carry a gradient."""


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """A whole training run."""

    METHOD: ClassVar[str] = "dul"

    data: Path
    """Folder of frame folders or video files, a text file that lists them, or `module:function` of
    your own, which returns a VideoSource."""
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    clips: ClipConfig = field(default_factory=ClipConfig)
    views: ViewConfig = field(default_factory=ViewConfig)
    objective: SelfTrainingConfig = field(default_factory=SelfTrainingConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    loop: LoopConfig = field(default_factory=LoopConfig)

    def check(self) -> None:
        """Raise InputError for values that cannot work, alone or together; the message names the
        flag.
        """
        # Cells of the feature map along each side of the crop.
        cells = self.clips.size // self.encoder.stride
        low, high = self.clips.short_side
        zoom_low, zoom_high = self.views.zoom
        rules = (
            (
                # One frame is the reference; all others are compared with it.
                self.clips.frames >= 2,
                "--clips.frames must be at least 2: self-training needs a frame besides the "
                "reference",
            ),
            (self.clips.gap >= 1, "--clips.gap must be at least 1"),
            (
                # Feature cells must tile the crop without a rest.
                self.clips.size % self.encoder.stride == 0,
                "--clips.size must be a multiple of --encoder.stride",
            ),
            (
                # The crop must fit into the frame, whatever short side is drawn.
                self.clips.size <= low <= high,
                "--clips.short-side must rise and not be smaller than --clips.size",
            ),
            # A second view of the first one cannot be larger than it.
            (0 < zoom_low <= zoom_high <= 1, "--views.zoom must rise within 0..1"),
            (
                # Each anchor needs a cell of its own.
                1 <= self.objective.anchor_grid <= cells,
                f"--objective.anchor-grid must be 1..{cells} at this crop and stride",
            ),
            (
                # The same for the cells of the cross-view term.
                1 <= self.objective.cross_view_grid <= cells,
                f"--objective.cross-view-grid must be 1..{cells} at this crop and stride",
            ),
            (self.objective.temperature > 0, "--objective.temperature must be positive"),
            (
                # A batch is compared with all of its own anchors, so parts of it have another loss.
                self.loop.accumulate == 1,
                "--loop.accumulate: each of several batches would see its own anchors alone, not "
                "those of the whole"
                " step; give more processes (--loop.global-batch), or a larger --loop.batch",
            ),
            *shared_rules(self.encoder, self.optimiser, self.loop),
        )
        require(rules)
