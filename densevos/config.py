"""What a training run is made of: frozen dataclasses with a strict JSON round trip.

Errors name the flag, because that is where the user mends them.
"""

import dataclasses
import json
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from densevos.errors import InputError
from densevos.files import write_json


@dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """Architecture of an encoder."""

    architecture: Literal["resnet18", "resnet50"] = "resnet18"
    stride: Literal[4, 8, 16, 32] = 8
    """Pixels per feature cell."""
    key_channels: int = 128
    """K, the width of the embedding that the objectives compare."""


@dataclass(frozen=True, kw_only=True)
class ClipConfig:
    """Which frames and which part of them make a clip (DUL, Sec. 4; specification section 2)."""

    frames: int = 5
    """T, frames of one clip."""
    gap: int = 2
    """Frames between two neighbours of a clip, where the video is long enough."""
    size: int = 256
    """Side of the square crop, pixels."""
    short_side: tuple[int, int] = (256, 320)
    """The short side is scaled to a length drawn from this range, pixels."""
    crop: Literal["random", "centre"] = "random"
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
    """N: N x N anchors a clip."""
    cross_view_grid: int = 4
    """M: M x M cells a clip in the cross-view term."""
    temperature: float = 0.05
    """tau of Eqs. 1 and 4."""
    cross_view_weight: float = 0.1
    """lambda of Eq. 6."""
    anchor_jitter: bool = True
    """Shift the anchor grid at random; without it the network finds shortcuts."""
    regularising_bn: Literal["train", "eval"] = "train"
    """Mode of BatchNorm in the branch that makes pseudo-labels."""
    regularising_gradient: bool = True
    """Encode the second view's reference frame with gradient, as the release does; without it the cross-view term
    teaches the first view alone. Pseudo-labels never carry a gradient."""


@dataclass(frozen=True, kw_only=True)
class OptimiserConfig:
    """Optimiser and learning rate schedule (specification section 4)."""

    name: Literal["adam", "sgd"] = "adam"
    lr: float = 1e-4
    betas: tuple[float, float] = (0.5, 0.999)
    """Adam only."""
    momentum: float = 0.9
    """SGD only."""
    weight_decay: float = 5e-4
    """Coupled L2, of weights; biases have none."""
    bias_lr_factor: float = 2.0
    schedule: Literal["step", "cosine"] = "step"
    decay_every: int = 100
    """Epochs between two steps of the schedule."""
    decay_factor: float = 0.5
    warmup: int = 0
    """Epochs of linear warm-up."""
    clip_gradient: float | None = None
    """Largest norm of the gradient."""


@dataclass(frozen=True, kw_only=True)
class LoopConfig:
    """How long, how fast, where, and what is kept."""

    batch: int = 16
    """B, clips a step (of one process)."""
    epochs: int = 500
    """One epoch takes one clip of each video."""
    seed: int = 0
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, ..."""
    precision: Literal["auto", "bf16", "fp16", "fp32"] = "auto"
    """auto is bf16 where the processor multiplies it natively, else fp32."""
    channels_last: bool = True
    workers: int = 1
    """Processes that read clips; 0 reads in the training process. The result does not depend on it."""
    log_every: int = 10
    """Steps between two lines of metrics.jsonl."""
    checkpoint_every: int = 100
    """Steps between two checkpoints."""
    keep_last: int = 2
    """Checkpoints kept besides the best."""


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """A whole training run."""

    data: Path
    """Folder of frame folders or video files, or a text file that lists them."""
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    clips: ClipConfig = field(default_factory=ClipConfig)
    views: ViewConfig = field(default_factory=ViewConfig)
    objective: SelfTrainingConfig = field(default_factory=SelfTrainingConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    loop: LoopConfig = field(default_factory=LoopConfig)

    def check(self) -> None:
        """Raise InputError for values that cannot work, alone or together; the message names the flag."""
        cells = self.clips.size // self.encoder.stride
        low, high = self.clips.short_side
        zoom_low, zoom_high = self.views.zoom
        for holds, complaint in (
            (
                self.clips.frames >= 2,
                "--clips.frames must be at least 2: self-training needs a frame besides the reference",
            ),
            (self.clips.gap >= 1, "--clips.gap must be at least 1"),
            (
                self.clips.size % self.encoder.stride == 0,
                "--clips.size must be a multiple of --encoder.stride",
            ),
            (
                self.clips.size <= low <= high,
                "--clips.short-side must rise and not be smaller than --clips.size",
            ),
            (0 < zoom_low <= zoom_high <= 1, "--views.zoom must rise within 0..1"),
            (
                1 <= self.objective.anchor_grid <= cells,
                f"--objective.anchor-grid must be 1..{cells} at this crop and stride",
            ),
            (
                1 <= self.objective.cross_view_grid <= cells,
                f"--objective.cross-view-grid must be 1..{cells} at this crop and stride",
            ),
            (self.objective.temperature > 0, "--objective.temperature must be positive"),
            (self.encoder.key_channels >= 1, "--encoder.key-channels must be at least 1"),
            (self.optimiser.lr > 0, "--optimiser.lr must be positive"),
            (self.optimiser.decay_every >= 1, "--optimiser.decay-every must be at least 1"),
            (all(0 <= beta < 1 for beta in self.optimiser.betas), "--optimiser.betas must lie within 0..1, without 1"),
            (self.optimiser.momentum >= 0, "--optimiser.momentum must not be negative"),
            (self.optimiser.weight_decay >= 0, "--optimiser.weight-decay must not be negative"),
            (self.optimiser.bias_lr_factor >= 0, "--optimiser.bias-lr-factor must not be negative"),
            (self.optimiser.warmup >= 0, "--optimiser.warmup must not be negative"),
            (
                self.optimiser.clip_gradient is None or self.optimiser.clip_gradient > 0,
                "--optimiser.clip-gradient must be positive",
            ),
            (0 <= self.loop.seed < 2**32, "--loop.seed must be 0..4294967295"),
            (self.loop.batch >= 1, "--loop.batch must be at least 1"),
            (self.loop.epochs >= 1, "--loop.epochs must be at least 1"),
            (self.loop.workers >= 0, "--loop.workers must not be negative"),
            (self.loop.log_every >= 1, "--loop.log-every must be at least 1"),
            (self.loop.checkpoint_every >= 1, "--loop.checkpoint-every must be at least 1"),
            (self.loop.keep_last >= 1, "--loop.keep-last must be at least 1"),
        ):
            if not holds:
                raise InputError(complaint)


def to_dict(config: Any) -> dict[str, Any]:
    """A config dataclass as plain JSON values."""
    return json.loads(json.dumps(dataclasses.asdict(config), default=str))


def write_config(path: Path, config: TrainConfig) -> None:
    """Write the complete configuration."""
    write_json(path, to_dict(config))


def read_config(path: Path) -> TrainConfig:
    """Read a complete configuration; InputError for a missing or broken file, an unknown key or a wrong type."""
    try:
        values = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such configuration file") from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"{path}: is not valid JSON ({error})") from error
    try:
        return from_dict(TrainConfig, values)
    except ValueError as error:
        raise InputError(f"{path}: {error}") from error


def from_dict(kind: Any, value: Any, where: str = "") -> Any:
    """Build `kind` (a dataclass or a type in one) from JSON values; ValueError names the key that does not fit."""
    if dataclasses.is_dataclass(kind):
        return _dataclass_from(kind, value, where)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal and value in arguments:
        return value
    if origin in (types.UnionType, typing.Union):
        if value is None and type(None) in arguments:
            return None
        return from_dict(next(a for a in arguments if a is not type(None)), value, where)
    if origin is tuple and isinstance(value, list) and len(value) == len(arguments):
        return tuple(from_dict(a, v, where) for a, v in zip(arguments, value, strict=True))
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind is Path and isinstance(value, str):
        return Path(value)
    if isinstance(kind, type) and type(value) is kind:
        return value
    raise ValueError(f"{where}: {value!r} is not {getattr(kind, '__name__', kind) if origin is None else kind}")


def _dataclass_from(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise ValueError(f"{where or 'the file'}: must be an object of named values")
    hints = typing.get_type_hints(kind)
    prefix = f"{where}." if where else ""
    unknown = sorted(value.keys() - hints.keys())
    if unknown:
        raise ValueError(f"unknown key {prefix}{unknown[0]}; known are {', '.join(hints)}")
    missing = sorted(hints.keys() - value.keys())
    if missing:
        raise ValueError(f"key {prefix}{missing[0]} is missing")
    return kind(**{name: from_dict(hints[name], v, prefix + name) for name, v in value.items()})
