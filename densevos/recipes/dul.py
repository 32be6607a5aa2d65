"""DUL: published rows, and small ones for CPUs."""

from pathlib import Path

from densevos.config import (
    ClipConfig,
    EncoderConfig,
    LoopConfig,
    OptimiserConfig,
    SelfTrainingConfig,
    TrainConfig,
)

_ADAM = OptimiserConfig(name="adam", lr=1e-4, schedule="step", decay_every=100, decay_factor=0.5)


def _loop(*, epochs: int, encoder_every: int) -> LoopConfig:
    """The loop of a published row, whose best snapshot is of some epoch: it keeps many encoders."""
    return LoopConfig(workers=8, epochs=epochs, encoder_every=encoder_every)


def dul_ytvos(data: Path) -> TrainConfig:
    """Train DUL on YouTube-VOS: ResNet-18 from random weights, 500 epochs.

    Source: DUL, Sec. 4. The best snapshot of the paper is of epoch 60.
    """
    return TrainConfig(
        data=data,
        clips=ClipConfig(gap=2),
        optimiser=_ADAM,
        loop=_loop(epochs=500, encoder_every=10),
    )


def dul_oxuva(data: Path) -> TrainConfig:
    """Train DUL on OxUvA for 500 epochs. The best snapshot of the paper is of epoch 430."""
    return TrainConfig(
        data=data,
        clips=ClipConfig(gap=10),
        optimiser=_ADAM,
        loop=_loop(epochs=500, encoder_every=10),
    )


def dul_kinetics(data: Path) -> TrainConfig:
    """Train DUL on Kinetics-400: SGD, centre crops, 80 epochs (best in the paper: 26)."""
    return TrainConfig(
        data=data,
        clips=ClipConfig(
            gap=10, spacing="fraction", order="ascending", short_side=(256, 256), crop="centre"
        ),
        optimiser=OptimiserConfig(
            name="sgd", lr=1e-3, schedule="step", decay_every=20, decay_factor=0.5
        ),
        loop=_loop(epochs=80, encoder_every=2),
    )


def dul_trackingnet(data: Path) -> TrainConfig:
    """Train DUL on TrackingNet: SGD, centre crops, 250 epochs (best in the paper: 88)."""
    return TrainConfig(
        data=data,
        clips=ClipConfig(gap=10, short_side=(256, 256), crop="centre"),
        optimiser=OptimiserConfig(
            name="sgd", lr=1e-3, schedule="step", decay_every=20, decay_factor=0.9
        ),
        loop=_loop(epochs=250, encoder_every=4),
    )


def dul_small(data: Path) -> TrainConfig:
    """Train DUL with two CPU cores on some dozens of videos: 128 px crops, 45 minutes."""
    return TrainConfig(
        data=data,
        clips=ClipConfig(gap=8, size=128, short_side=(144, 224)),
        optimiser=OptimiserConfig(name="adam", lr=3e-4, schedule="cosine"),
        loop=LoopConfig(batch=8, epochs=150),
    )


def dul_default(data: Path) -> TrainConfig:
    """Train the encoder `default` again: ResNet-18 up to res3, 96 px crops, 15 minutes."""
    # The last stage is two thirds of the work and three quarters of the file.
    return TrainConfig(
        data=data,
        encoder=EncoderConfig(last="res3"),
        clips=ClipConfig(frames=4, gap=4, size=96, short_side=(112, 224)),
        objective=SelfTrainingConfig(anchor_grid=6),
        optimiser=OptimiserConfig(name="adam", lr=6e-4, schedule="cosine", warmup=1),
        loop=LoopConfig(batch=8, epochs=40),
    )


def demo(data: Path) -> TrainConfig:
    """Train as `densevos demo` does: two minutes on two CPU cores."""
    return TrainConfig(
        data=data,
        clips=ClipConfig(frames=4, gap=3, size=96, short_side=(120, 144)),
        objective=SelfTrainingConfig(anchor_grid=6),
        optimiser=OptimiserConfig(name="adam", lr=6e-4, schedule="cosine", warmup=1),
        loop=LoopConfig(batch=6, epochs=17, log_every=5),
    )
