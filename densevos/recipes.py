"""One function per published row, and the small ones for CPUs."""

from collections.abc import Callable
from pathlib import Path

from densevos.config import (
    AnyConfig,
    ClipConfig,
    EncoderConfig,
    LoopConfig,
    MugClipConfig,
    MugConfig,
    MugObjectiveConfig,
    OptimiserConfig,
    SelfTrainingConfig,
    TrainConfig,
)

_ADAM = OptimiserConfig(name="adam", lr=1e-4, schedule="step", decay_every=100, decay_factor=0.5)


def dul_ytvos(data: Path) -> TrainConfig:
    """DUL on YouTube-VOS: ResNet-18 from scratch, 500 epochs (paper Sec. 4; best snapshot there: epoch 60)."""
    return TrainConfig(data=data, clips=ClipConfig(gap=2), optimiser=_ADAM, loop=LoopConfig(workers=8, epochs=500))


def dul_oxuva(data: Path) -> TrainConfig:
    """DUL on OxUvA (best snapshot in the paper: epoch 430)."""
    return TrainConfig(data=data, clips=ClipConfig(gap=10), optimiser=_ADAM, loop=LoopConfig(workers=8, epochs=500))


def dul_kinetics(data: Path) -> TrainConfig:
    """DUL on Kinetics-400: SGD, centre crops, 80 epochs (best snapshot: 26)."""
    return TrainConfig(
        data=data,
        clips=ClipConfig(gap=10, short_side=(256, 256), crop="centre"),
        optimiser=OptimiserConfig(name="sgd", lr=1e-3, schedule="step", decay_every=20, decay_factor=0.5),
        loop=LoopConfig(workers=8, epochs=80),
    )


def dul_trackingnet(data: Path) -> TrainConfig:
    """DUL on TrackingNet: SGD, centre crops, 250 epochs (best snapshot: 88)."""
    return TrainConfig(
        data=data,
        clips=ClipConfig(gap=10, short_side=(256, 256), crop="centre"),
        optimiser=OptimiserConfig(name="sgd", lr=1e-3, schedule="step", decay_every=20, decay_factor=0.9),
        loop=LoopConfig(workers=8, epochs=250),
    )


def dul_small(data: Path) -> TrainConfig:
    """The same objective for two CPU cores and some dozens of videos: 128 px crops, about three quarters of an hour."""
    return TrainConfig(
        data=data,
        clips=ClipConfig(gap=8, size=128, short_side=(144, 224)),
        optimiser=OptimiserConfig(name="adam", lr=3e-4, schedule="cosine"),
        loop=LoopConfig(batch=8, epochs=150),
    )


def mug_oxuva(data: Path, foreground: Path) -> MugConfig:
    """MuG on OxUvA: ResNet-50 at stride 4 from scratch, N = 16 videos, two rounds of 20,000 steps (Sec. 4.1)."""
    # 366 videos are 22 steps of 16 an epoch; the learning rate is the specification's, the paper gives none.
    return MugConfig(data=data, foreground=foreground, loop=LoopConfig(workers=8, epochs=909))


def mug_small(data: Path, foreground: Path) -> MugConfig:
    """MuG for two CPU cores and some dozens of videos: ResNet-18 at stride 8, 160 px, N = 4, within an hour."""
    return MugConfig(
        data=data,
        foreground=foreground,
        encoder=EncoderConfig(architecture="resnet18", stride=8, key_channels=64, head="linear"),
        clips=MugClipConfig(size=160, zoom=(0.7, 1.0)),
        objective=MugObjectiveConfig(patch=48, match_size=12),
        optimiser=OptimiserConfig(name="adam", lr=3e-4, schedule="cosine", clip_gradient=10),
        loop=LoopConfig(batch=4, epochs=50),
    )


def demo(data: Path) -> TrainConfig:
    """What `densevos demo` trains: two minutes on two CPU cores."""
    return TrainConfig(
        data=data,
        clips=ClipConfig(frames=4, gap=3, size=96, short_side=(120, 144)),
        objective=SelfTrainingConfig(anchor_grid=6),
        optimiser=OptimiserConfig(name="adam", lr=6e-4, schedule="cosine", warmup=1),
        loop=LoopConfig(batch=6, epochs=17, log_every=5),
    )


RECIPES: dict[str, Callable[..., AnyConfig]] = {
    recipe.__name__: recipe
    for recipe in (dul_ytvos, dul_oxuva, dul_kinetics, dul_trackingnet, dul_small, mug_oxuva, mug_small, demo)
}
"""What each takes is asked for as options: the folders it works on."""
