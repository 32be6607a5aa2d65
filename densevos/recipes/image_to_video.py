"""Adversarial image-to-video segmentation: published rows, and small ones for CPUs."""

from dataclasses import replace
from typing import Literal

from densevos.config import (
    AdversarialConfig,
    ClipConfig,
    I2VConfig,
    LoopConfig,
    NetworkConfig,
    OptimiserConfig,
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
