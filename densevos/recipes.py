"""One function per published row, and the small ones for CPUs.

Each returns a configuration; its fields can be replaced.

>>> from dataclasses import replace
>>> from pathlib import Path
>>> from densevos import recipes
>>> config = recipes.dul_small(Path("videos"))
>>> config.loop.batch, config.loop.epochs
(8, 150)
>>> replace(config, loop=replace(config.loop, epochs=10)).loop.epochs
10
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

from densevos.config import (
    AdversarialConfig,
    ClipConfig,
    EncoderConfig,
    I2VConfig,
    LoopConfig,
    MugClipConfig,
    MugConfig,
    MugObjectiveConfig,
    NetworkConfig,
    OptimiserConfig,
    RunConfig,
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


# Image-to-video: where each recipe starts. --published sets what the papers say: their loss and
# placement, mu 1 from the first step, no warm start. Without it the recipes hold what helped on
# networks that were trained before.
_MU_OF_CNN, _MU_OF_SWIN = 0.1, 1.0
_RAMP_BATCHES = None  # half of the training with the adversary
# WARM_START_EPOCHS of the configuration if initial weights are random, otherwise 0.
_WARM_START = None
_ADAPTATION_RATE = 0.2  # at the full rate a Swin forgets more than it adapts
_LOSS: Literal["general"] = "general"
_PLACEMENT: Literal["global"] = "global"

# A row of the image-to-video papers' tables is one of the first three recipes with --published and
# other sets, --loss and --placement; rows without an adversarial loss are --loss none. A batch of n
# is n labelled images and n clips: the papers' 8 is n = 4 (Fig. 3). The papers give networks,
# sizes, batches and learning rates; optimisers, schedules and lengths are ours.
_DISCRIMINATOR = OptimiserConfig(
    name="adam", lr=1e-4, weight_decay=0, bias_lr_factor=1, schedule="poly"
)


def _measured(config: I2VConfig, *, mu: float) -> I2VConfig:
    """A published configuration with the adversary and warm start that we measured to help."""
    adversarial = replace(config.adversarial, mu=mu, ramp_batches=_RAMP_BATCHES)
    return replace(
        config,
        loss=_LOSS,
        placement=_PLACEMENT,
        warm_start=_WARM_START,
        adaptation_rate=_ADAPTATION_RATE,
        adversarial=adversarial,
    )


def i2v_cnn(labelled: tuple[str, ...], *, published: bool = False) -> I2VConfig:
    """Adapt DeepLabV3-ResNet101 from COCO weights: general loss at the end of the encoder.

    Source: image-to-video papers, Table 1.

    Args:
        published: Set the adversary as the papers do: mu 1 from the first step.
    """
    config = I2VConfig(
        labelled=labelled,
        loss="general",
        placement="global",
        network=NetworkConfig(architecture="deeplabv3", weights="COCO_WITH_VOC_LABELS_V1"),
        optimiser=OptimiserConfig(
            name="sgd", lr=1e-3, weight_decay=1e-4, bias_lr_factor=1, schedule="poly"
        ),
        discriminator_optimiser=_DISCRIMINATOR,
        loop=LoopConfig(batch=4, epochs=4, workers=8),
    )

    return config if published else _measured(config, mu=_MU_OF_CNN)


def i2v_swin(labelled: tuple[str, ...], *, published: bool = False) -> I2VConfig:
    """Adapt Swin-T + UperNet from ADE20k weights: general loss at the end of the encoder.

    Source: image-to-video papers, Table 2.

    Args:
        published: Set the adversary as the papers do: clustered loss at the patch embedding, mu 1
            from the first step.
    """
    config = I2VConfig(
        labelled=labelled,
        loss="clustered",
        placement="spatial",
        network=NetworkConfig(architecture="swin_upernet", weights="openmmlab/upernet-swin-tiny"),
        optimiser=OptimiserConfig(
            name="sgd", lr=3.2e-3, weight_decay=1e-4, bias_lr_factor=1, schedule="poly"
        ),
        discriminator_optimiser=_DISCRIMINATOR,
        loop=LoopConfig(batch=16, epochs=10, workers=8),
    )

    return config if published else _measured(config, mu=_MU_OF_SWIN)


def i2v_videoswin(labelled: tuple[str, ...], *, published: bool = False) -> I2VConfig:
    """Adapt Video Swin-T with UperNet on each frame: clips of 4 frames, 512 px, general loss.

    Source: image-to-video papers, Table 3.

    Args:
        published: Set the adversary as the papers do: at the patch embedding, mu 1 from the first
            step.
    """
    config = I2VConfig(
        labelled=labelled,
        loss="general",
        placement="spatial",
        network=NetworkConfig(
            architecture="video_swin", weights="openmmlab/upernet-swin-tiny", checkpointing=True
        ),
        clips=ClipConfig(frames=4, gap=2, size=512, short_side=(512, 768)),
        optimiser=OptimiserConfig(
            name="sgd", lr=1e-4, weight_decay=1e-4, bias_lr_factor=1, schedule="poly"
        ),
        discriminator_optimiser=_DISCRIMINATOR,
        loop=LoopConfig(batch=2, accumulate=4, epochs=4, workers=8),
    )

    return config if published else _measured(config, mu=_MU_OF_SWIN)


def i2v_small_swin(labelled: tuple[str, ...], *, published: bool = False) -> I2VConfig:
    """Train a small Swin + UperNet with two CPU cores, 128 px: first on labels, then adapt it.

    Args:
        published: Set the adversary as the papers do: clustered loss at the patch embedding, mu 1
            from the first step, no warm start.
    """
    config = I2VConfig(
        labelled=labelled,
        loss="clustered",
        placement="spatial",
        network=NetworkConfig(
            architecture="swin_upernet",
            embed_dim=32,
            depths=(2, 2, 4, 2),
            heads=(2, 4, 8, 16),
            hidden=64,
        ),
        clips=_SMALL_CLIPS,
        adversarial=AdversarialConfig(pairs=384),
        optimiser=_SMALL_OPTIMISER,
        discriminator_optimiser=_DISCRIMINATOR,
        loop=LoopConfig(batch=8, epochs=30),
    )

    return config if published else _measured(config, mu=_MU_OF_SWIN)


def i2v_small_cnn(labelled: tuple[str, ...], *, published: bool = False) -> I2VConfig:
    """Train DeepLabV3-ResNet18 with two CPU cores, 128 px: first on labels, then adapt it.

    Args:
        published: Set the adversary as the papers do: mu 1 from the first step, no warm start.
    """
    config = I2VConfig(
        labelled=labelled,
        loss="general",
        placement="global",
        network=NetworkConfig(architecture="deeplabv3", backbone="resnet18", stride=16),
        clips=_SMALL_CLIPS,
        optimiser=_SMALL_OPTIMISER,
        discriminator_optimiser=_DISCRIMINATOR,
        loop=LoopConfig(batch=8, epochs=30),
    )

    return config if published else _measured(config, mu=_MU_OF_CNN)


_SMALL_CLIPS = ClipConfig(frames=1, gap=1, size=128, short_side=(128, 192))
_SMALL_OPTIMISER = OptimiserConfig(
    name="adamw",
    lr=5e-4,
    betas=(0.9, 0.999),
    weight_decay=1e-2,
    bias_lr_factor=1,
    schedule="cosine",
    warmup=1,
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


RECIPES: dict[str, Callable[..., RunConfig]] = {
    recipe.__name__: recipe
    for recipe in (
        *(dul_ytvos, dul_oxuva, dul_kinetics, dul_trackingnet, dul_small, dul_default),
        *(mug_oxuva, mug_small),
        *(i2v_cnn, i2v_swin, i2v_videoswin, i2v_small_swin, i2v_small_cnn),
        demo,
    )
}
"""What each takes without a default is asked for as options: the folders or sets it works on. What
it takes by keyword alone, with a default, is an option too."""
