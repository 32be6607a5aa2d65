"""MuG: the published row, and a small one for CPUs."""

from pathlib import Path

from densevos.config import (
    EncoderConfig,
    LoopConfig,
    MugClipConfig,
    MugConfig,
    MugObjectiveConfig,
    OptimiserConfig,
)


def mug_oxuva(data: Path, foreground: Path) -> MugConfig:
    """Train MuG on OxUvA: ResNet-50 at stride 4, N = 16 videos, two rounds of 20,000 steps.

    Source: MuG, Sec. 4.1.
    """
    # 366 videos are 22 steps of 16 an epoch; the paper gives no learning rate (decision D31).
    return MugConfig(data=data, foreground=foreground, loop=LoopConfig(workers=8, epochs=909))


def mug_small(data: Path, foreground: Path) -> MugConfig:
    """Train MuG with two CPU cores on some dozens of videos: ResNet-18, 160 px, N = 8, an hour.

    Features have stride 8 and masks stride 4. It learns best from foreground maps of all frames,
    which `densevos data foreground --method consensus` makes.
    """
    # The backbone ends where the paper's does, after four groups: a fifth at stride 8 would be two
    # thirds of the work.
    return MugConfig(
        data=data,
        foreground=foreground,
        encoder=EncoderConfig(
            architecture="resnet18",
            stride=8,
            last="res3",
            dilated=True,
            channels=512,
            key_channels=64,
            head="linear",
        ),
        # Twice the videos with half the abstract each: frames less alike, from which maps are
        # learned sooner.
        clips=MugClipConfig(size=160, segments=4),
        relabel_area=True,
        relabel_flip=True,
        relabel_scales=(1.0, 1.5),
        # Some hundreds of steps are too few for the paper's weights: by the mean of its maps a
        # network did as well.
        objective=MugObjectiveConfig(
            frame_weight=5,
            readout_weight=5,
            patch=48,
            crop="feature",
            match_size=12,
            balance=True,
            # On cells of 8 pixels the truth itself scores 69 at this size, on soft ones of 4 pixels
            # 87.
            readout="fine",
            supervision="pixels",
        ),
        optimiser=OptimiserConfig(
            name="adam", lr=1e-3, betas=(0.9, 0.999), schedule="cosine", clip_gradient=10
        ),
        loop=LoopConfig(batch=8, epochs=60),
    )
