"""What a training run is made of: frozen dataclasses with a strict JSON round trip.

Errors name the flag, because that is what the user changes.
"""

from densevos.config.files import flag, from_dict, to_dict
from densevos.config.image_to_video import AdversarialConfig, I2VConfig, NetworkConfig
from densevos.config.mug import MugClipConfig, MugConfig, MugObjectiveConfig
from densevos.config.parts import EncoderConfig, LoopConfig, OptimiserConfig, RunConfig
from densevos.config.self_training import ClipConfig, SelfTrainingConfig, TrainConfig, ViewConfig
from densevos.config.sets import SetOptions

__all__ = [
    "AdversarialConfig",
    "ClipConfig",
    "EncoderConfig",
    "I2VConfig",
    "LoopConfig",
    "MugClipConfig",
    "MugConfig",
    "MugObjectiveConfig",
    "NetworkConfig",
    "OptimiserConfig",
    "RunConfig",
    "SelfTrainingConfig",
    "SetOptions",
    "TrainConfig",
    "ViewConfig",
    "flag",
    "from_dict",
    "to_dict",
]
