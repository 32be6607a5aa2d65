"""What a training run is made of: frozen dataclasses with a strict JSON round trip.

Errors name the flag, because that is where the user mends them.
"""

from densevos.config.files import AnyConfig, from_dict, read_config, to_dict, write_config
from densevos.config.mug import MugClipConfig, MugConfig, MugObjectiveConfig
from densevos.config.parts import EncoderConfig, LoopConfig, OptimiserConfig
from densevos.config.self_training import ClipConfig, SelfTrainingConfig, TrainConfig, ViewConfig

__all__ = [
    "AnyConfig",
    "ClipConfig",
    "EncoderConfig",
    "LoopConfig",
    "MugClipConfig",
    "MugConfig",
    "MugObjectiveConfig",
    "OptimiserConfig",
    "SelfTrainingConfig",
    "TrainConfig",
    "ViewConfig",
    "from_dict",
    "read_config",
    "to_dict",
    "write_config",
]
