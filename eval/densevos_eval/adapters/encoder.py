"""Encoders as the evaluator knows them: RGB frames in, dense features out, whatever network is
inside.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from densevos.base.errors import InputError
from densevos.data.sources.source import iterate_frames
from densevos.data.sources.video import open_frames
from densevos.models.encoder import MEAN, STD
from densevos_eval.adapters import function
from densevos_eval.adapters.arrays import check_frame, float_frames, padded_frames
from densevos_eval.adapters.backbone import (
    Backbone,
    Precision,
    encoded,
    measured_stride,
    needs_whole_cells,
    short_name,
)
from densevos_eval.adapters.choices import DEFAULT, Between, Positions
from densevos_eval.adapters.frames import (
    AS_THEY_ARE,
    FrameConfig,
    FrameSizes,
    padded_to,
    resized_pixels,
    scaled_size,
    whole_cells,
)
from densevos_eval.adapters.memory import Memory, see
from densevos_eval.adapters.normalisation import Normalisation, Triple
from densevos_eval.adapters.scale import check_every, check_scale
from densevos_eval.adapters.specs import load_backbone, without_layer
from densevos_eval.adapters.stream import Stream
from densevos_eval.base import devices
from densevos_eval.base.sizes import Size


@dataclass(frozen=True, kw_only=True)
class Encoder:
    """Frames [B,3,H,W] RGB -> features [B,C,ceil(H/stride),ceil(W/stride)] float32, on the
    encoder's device.

    `encoder(frames)` takes a tensor of floats in 0 to 1 or of uint8 in 0 to 255, of any size:
    frames that a network of patches cannot take are padded with their edge pixels, as propagation
    does it. `features` takes frames as arrays.

    network: the same without normalisation of input and output; mean and std are what it wants of
    the input. padded: H and W must be multiples of `stride`, so `of_frame` pads frames to whole
    cells. scale, frames: how `of_frame` resizes frames: as `frames` says, then by the factor
    `scale`. unit: features of every cell have length 1.
    checks: features that are not finite raise InputError at once, for which a GPU makes the host
    wait; where not,
        whoever takes them must check them.
    positions: how position embeddings are interpolated, None where there is no choice.
    new_memory: for a network that sees more than one frame, what makes the memory of one video, see
    `stream`. every, between: which frames of a video are encoded, and what the others get, see
    `Stream`. source: where the network comes from, None where it was made by hand.
    """

    name: str
    layer: str
    stride: int
    network: Callable[[Tensor], Tensor]
    device: torch.device
    mean: Triple = MEAN
    std: Triple = STD
    memory_format: torch.memory_format = torch.channels_last
    precision: Precision = "fp32"
    scale: float = 1
    frames: FrameConfig = AS_THEY_ARE
    padded: bool = True
    unit: bool = True
    checks: bool = True
    positions: str | None = None
    new_memory: Callable[[], Memory] | None = None
    every: int = 1
    between: Between = "repeat"
    source: Backbone | None = None

    def __repr__(self) -> str:
        return f"Encoder({self.name!r}, layer={self.layer!r}, stride={self.stride}, device={str(self.device)!r})"

    @torch.inference_mode()
    def __call__(self, frames: Tensor) -> Tensor:
        frames = float_frames(frames, self.device)
        if self.padded:
            frames = padded_frames(
                frames, whole_cells((frames.shape[2], frames.shape[3]), self.stride)
            )

        frames = self._normalised(frames).contiguous(memory_format=self.memory_format)
        features = encoded(
            self.network,
            frames,
            name=self.name,
            precision=self.precision,
            module=self.source.module if self.source else None,
        )
        wanted = (-(-frames.shape[2] // self.stride), -(-frames.shape[3] // self.stride))

        if features.shape[2:] != wanted:
            raise InputError(
                f"--encoder {self.name}: gives {features.shape[2]}x{features.shape[3]} cells for a frame of "
                f"{frames.shape[2]}x{frames.shape[3]} pixels; at its stride of {self.stride} there must be "
                f"{wanted[0]}x{wanted[1]}"
            )

        if self.checks and not features.isfinite().all():
            raise self.not_finite(features.dtype)

        return F.normalize(features.float(), dim=1) if self.unit else features.float()

    def not_finite(self, dtype: torch.dtype) -> InputError:
        """What to raise for features of a type that are not finite."""
        return InputError(
            f"--encoder {self.name}: gives features of a frame that are not finite numbers (NaN or infinity, in "
            f"{short_name(dtype)}); check its weights, or compute in float32"
        )

    def _normalised(self, frames: Tensor) -> Tensor:
        mean, std = self._mean_and_std
        return (frames - mean) / std

    @cached_property
    def _mean_and_std(self) -> tuple[Tensor, Tensor]:
        """Both [3,1,1] on the device, copied there once: each copy makes the host wait."""
        mean, std = (
            torch.tensor(values, device=self.device).view(3, 1, 1)
            for values in (self.mean, self.std)
        )

        return mean, std

    def sizes(self, frame: Size) -> FrameSizes:
        """The sizes on the way of a frame [H,W] = `frame` through `of_frame`."""
        encoded_size = scaled_size(self.frames.encoded_size(frame, self.stride), self.scale)
        covered = whole_cells(encoded_size, self.stride) if self.padded else encoded_size
        return FrameSizes(
            frame=frame, converted=self.frames.conversion(), encoded=encoded_size, covered=covered
        )

    def stream(self) -> Stream:
        """The features of one video, frame after frame; a network that sees more than one frame
        remembers them.
        """
        encoder, see_frame = self, _see_nothing
        if self.new_memory is not None:
            memory = self.new_memory()
            encoder = replace(self, network=memory, new_memory=None)
            see_frame = partial(encoder.show, memory)

        return Stream(
            encoder.of_frame, see_frame, every=self.every, between=self.between, unit=self.unit
        )

    @torch.inference_mode()
    def show(self, memory: Memory, frame: np.ndarray) -> None:
        """Show a frame [H,W,3] uint8 RGB to a memory, as `of_frame` does, without the features."""
        see(
            memory,
            self._normalised(self._prepared(frame)).contiguous(memory_format=self.memory_format),
        )

    def features(self, video: Path | str | Iterable[np.ndarray]) -> Tensor:
        """Features [T,C,h,w] float32, on the CPU, of the frames of one video: those that
        propagation compares.

        One second of 480p takes 160 MB at stride 8 with 256 channels. Take a long video frame by
        frame: `for features in encoder.stream().over(frames)`.

        Args:
            video: A video file, a folder of frames, an array [T,H,W,3] uint8 RGB of any size, or
                any iterable of frames [H,W,3].

        Raises:
            InputError: The video cannot be read, a frame has another shape or type, or there is
                none.
        """
        frames = iterate_frames(open_frames(video)) if isinstance(video, str | Path) else video
        features = [one.cpu() for one in self.stream().over(frames)]
        if not features:
            raise InputError(
                "video: has no frames; give an array [T,H,W,3] uint8, or the path of a video"
            )

        return torch.stack(features)

    def of_frame(self, frame: np.ndarray) -> Tensor:
        """Features [C,h,w] of one frame [H,W,3] uint8 RGB of any size, as of the first one of a
        video; see `sizes`.
        """
        return self(self._prepared(frame))[0]

    def _prepared(self, frame: np.ndarray) -> Tensor:
        """A frame [H,W,3] uint8 RGB -> [1,3,h,w] in [0,1] on the device, resized and padded."""
        check_frame(frame)
        sizes = self.sizes((frame.shape[0], frame.shape[1]))
        pixels = resized_pixels(frame, sizes.encoded, self.frames)
        if self.padded:
            pixels = padded_to(pixels, self.stride)

        batch = devices.to_device(np.array(pixels), self.device)  # before they become 4 bytes each
        batch = batch.permute(2, 0, 1)[None]
        return batch.float() / 255 if pixels.dtype == np.uint8 else batch


def _see_nothing(frame: np.ndarray) -> None:
    """What a network of single frames takes from a frame whose features are not needed."""


def load_encoder(
    spec: str | Path | Callable[..., Tensor] = DEFAULT,
    *,
    layer: str | None = None,
    preferred_layer: str | None = None,
    weights_of: str | None = None,
    normalisation: Normalisation | None = None,
    preferred_normalisation: Normalisation | None = None,
    positions: Positions | None = None,
    preferred_positions: Positions | None = None,
    every: int | None = None,
    between: Between = "repeat",
    device: torch.device | str = "auto",
    precision: Precision = "fp32",
    scale: float = 1,
    frames: FrameConfig | None = None,
) -> Encoder:
    """The encoder that `spec` names, ready on `device`; it turns frames of any size into features
    of a grid of cells.

    Args:
        spec: A file, the name of a library's network, or module:function, see `load_backbone`; or a
            network of your own itself, such as a torch module; the encoder that comes with the
            package when left out. A network is called with frames [B,3,H,W] float32, RGB normalised
            by ImageNet's mean and standard deviation, and returns features [B,C,h,w]. Its
            attributes `mean` and `std`, three numbers each, are taken instead (0, 0, 0 and 1, 1, 1
            give RGB in 0 to 1); `stride` says how many pixels a cell is wide, which is measured
            otherwise. See docs/encoders.md for networks with a memory and for clips.
        layer: What is compared. Without it, the layer in `spec` (NAME@LAYER), then
            `preferred_layer` where the network has one of that name, then the network's own
            default.
        preferred_layer: See `layer`.
        weights_of: Which of the networks in a weights file, see `load_backbone`.
        normalisation: Mean and standard deviation of R, G and B in 0 to 1. What it leaves open is
            decided by `preferred_normalisation`, then by what the weights were trained with. A
            network of your own that has mean or std keeps them against what is preferred.
        preferred_normalisation: See `normalisation`.
        positions: How a vision transformer interpolates position embeddings to the size of a frame:
            as timm does, or as DINO's program does. Without it, `preferred_positions` where the
            network has the choice, then timm.
        preferred_positions: See `positions`.
        every: Of a video, only frames 0, every, 2 * every, ... are encoded; without it, as the
            network has it, which is every frame unless it sees tubelets.
        between: What the frames between them get: the features of the one before (repeat), or a
            mean of both neighbours, weighted by the distances (interpolate).
        device: As torch names them; auto takes a GPU where there is one.
        precision: Arithmetic of the network; fp32 is the same on a GPU as on a CPU, see
            `devices.arithmetic`.
        scale: Frames are resized by this factor before they are encoded.
        frames: How `of_frame` resizes frames; as they are when left out.

    Raises:
        InputError: As `load_backbone`; a layer or a choice of positions that the network does not
            have; options that are out of range.
    """
    if precision not in get_args(Precision):
        raise InputError(
            f"precision: must be one of {', '.join(get_args(Precision))}, is {precision}"
        )

    check_scale(scale)
    check_every(every)
    if isinstance(spec, str | Path):
        spec = str(spec)
        plain, in_spec = without_layer(spec)
        backbone = load_backbone(plain, weights_of=weights_of)
    else:
        backbone, in_spec = function.of_network(spec), None
        spec = backbone.architecture

    if preferred_layer not in backbone.strides:
        preferred_layer = None

    chosen = layer or in_spec or preferred_layer or backbone.default
    if chosen not in backbone.strides:
        raise InputError(
            f"--encoder {spec}: has no layer {chosen}; choose --layer {', '.join(backbone.strides)}"
        )

    backbone = _normalised_by(
        backbone, normalisation, None if backbone.fixed else preferred_normalisation
    )
    backbone, interpolation = _positioned(backbone, spec, positions, preferred_positions)
    encoder = _ready(backbone, spec, chosen, devices.chosen(device), precision)
    frames = frames or AS_THEY_ARE
    if backbone.colour != "rgb":
        frames = replace(frames, colour=backbone.colour)

    encoder = replace(encoder, scale=scale, frames=frames, positions=interpolation)
    return replace(
        encoder, new_memory=backbone.new_memory, every=every or backbone.every, between=between
    )


def _normalised_by(backbone: Backbone, *choices: Normalisation | None) -> Backbone:
    """The backbone with the first mean and the first standard deviation that there are in the
    choices.
    """
    means = [choice.mean for choice in choices if choice and choice.mean]
    stds = [choice.std for choice in choices if choice and choice.std]
    return replace(backbone, mean=[*means, backbone.mean][0], std=[*stds, backbone.std][0])


def _positioned(
    backbone: Backbone, spec: str, positions: str | None, preferred: str | None
) -> tuple[Backbone, str | None]:
    """The backbone with its positions interpolated as asked for or else as preferred, and how that
    is.
    """
    if positions and positions not in backbone.positions:
        offered = ", ".join(backbone.positions) or "no choice of it"
        raise InputError(
            f"--encoder {spec}: cannot interpolate positions by {positions}, as only timm's vision transformers with a "
            f"table of positions can; it has {offered}, so leave --positions out"
        )

    for choice in (positions, preferred, "timm"):
        if choice and choice in backbone.positions:
            return replace(backbone, features=backbone.positions[choice]), choice

    return backbone, None


def _ready(
    backbone: Backbone, name: str, layer: str, device: torch.device, precision: Precision
) -> Encoder:
    if backbone.module is not None:
        backbone.module.eval().to(device)
        backbone.module.to(memory_format=backbone.memory_format)  # type: ignore[call-overload]

    def network(frames: Tensor) -> Tensor:
        return backbone.features(frames, layer)

    how: dict[str, Any] = {"name": name, "precision": precision, "module": backbone.module}
    stride = backbone.strides[layer] or measured_stride(network, device, **how)
    padded = backbone.padded
    if padded is None:
        padded = needs_whole_cells(network, device, stride, **how)

    return Encoder(
        name=name,
        layer=layer,
        stride=stride,
        network=network,
        device=device,
        mean=backbone.mean,
        std=backbone.std,
        memory_format=backbone.memory_format,
        precision=precision,
        padded=padded,
        source=backbone,
    )
