"""Encoders: RGB frames in, dense features out, whatever network computes them."""

# Shapes: B batch, T frames, H x W pixels of a frame, C channels of a feature, h x w cells of the
# feature map.

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
    """Frames [B,3,H,W] RGB -> features [B,C,ceil(H/stride),ceil(W/stride)] float32.

    `encoder(frames)` takes a tensor of floats in 0 to 1 or of uint8 in 0 to 255, of any size. A
    frame that a network of patches cannot take is padded with its edge pixels, as in propagation.
    Features are on the encoder's device. `features` and `of_frame` take arrays.

    Args:
        name: Name of the encoder, for messages.
        layer: Layer of the network whose features are returned.
        stride: Width and height of a cell in pixels.
        network: Normalised frames [B,3,H,W] -> features [B,C,h,w].
        device: Where the network computes.
        mean: Mean of R, G and B that is subtracted from frames in 0 to 1.
        std: Standard deviation by which frames are divided then.
        memory_format: Order of the frames in memory.
        precision: Arithmetic of the network.
        scale: Factor by which `of_frame` resizes frames, after `frames` was applied.
        frames: Size and colours of the frames that the network sees.
        padded: Whether H and W must be multiples of `stride`.
        unit: Whether features of every cell get length 1.
        checks: Whether features that are not finite raise InputError at once, which makes the host
            wait for a GPU. If not, the caller must check them.
        positions: How position embeddings are interpolated; None if there is no choice.
        new_memory: Makes the memory of one video, for a network that sees more than one frame; see
            `stream`.
        every: Only frames 0, every, 2 * every, ... of a video are encoded, see `Stream`.
        between: What the frames between them get, see `Stream`.
        source: Where the network comes from; None if it was made by hand.
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
        return (
            f"Encoder({self.name!r}, layer={self.layer!r}, stride={self.stride}, "
            f"device={str(self.device)!r})"
        )

    @torch.inference_mode()
    def __call__(self, frames: Tensor) -> Tensor:
        frames = float_frames(frames, self.device)
        if self.padded:
            size = whole_cells((frames.shape[2], frames.shape[3]), self.stride)
            frames = padded_frames(frames, size)

        # Frames are normalised after they are padded, here as in `show` and `of_frame`.
        frames = self._normalised(frames).contiguous(memory_format=self.memory_format)
        features = encoded(
            self.network,
            frames,
            name=self.name,
            precision=self.precision,
            module=self.source.module if self.source else None,
        )

        # A wrong stride would silently shift labels, so the number of cells is checked.
        height, width = frames.shape[2:]
        wanted = (-(-height // self.stride), -(-width // self.stride))
        if features.shape[2:] != wanted:
            raise InputError(
                f"--encoder {self.name}: gives {features.shape[2]}x{features.shape[3]} cells for a "
                f"frame of {height}x{width} pixels; at its stride of {self.stride} there must be "
                f"{wanted[0]}x{wanted[1]}"
            )

        if self.checks and not features.isfinite().all():
            raise self.not_finite(features.dtype)

        # bfloat16 would be too coarse for similarities, so features become float32 in any case.
        features = features.float()
        return F.normalize(features, dim=1) if self.unit else features

    def not_finite(self, dtype: torch.dtype) -> InputError:
        """The error for features that are not finite; `dtype` is their type."""
        return InputError(
            f"--encoder {self.name}: gives features of a frame that are not finite numbers (NaN or "
            f"infinity, in {short_name(dtype)}); check its weights, or compute in float32"
        )

    def _normalised(self, frames: Tensor) -> Tensor:
        mean, std = self._mean_and_std
        return (frames - mean) / std

    @cached_property
    def _mean_and_std(self) -> tuple[Tensor, Tensor]:
        """Both [3,1,1] on the device. They are copied once, since a copy makes the host wait."""
        mean = torch.tensor(self.mean, device=self.device).view(3, 1, 1)
        std = torch.tensor(self.std, device=self.device).view(3, 1, 1)
        return mean, std

    def sizes(self, frame: Size) -> FrameSizes:
        """The sizes that a frame of size [H,W] takes on its way through `of_frame`."""
        # The scale comes last: it multiplies the size that the frame options chose.
        encoded_size = scaled_size(self.frames.encoded_size(frame, self.stride), self.scale)
        covered = whole_cells(encoded_size, self.stride) if self.padded else encoded_size
        return FrameSizes(
            frame=frame, converted=self.frames.conversion(), encoded=encoded_size, covered=covered
        )

    def stream(self) -> Stream:
        """A stream that computes the features of one video, frame by frame.

        A network that sees more than one frame gets a memory of this video only.
        """
        # Every stream makes a memory of its own, so that two videos never share one. A copy of the
        # encoder calls the memory in place of the network.
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
        """Show a frame [H,W,3] uint8 RGB to a memory without computing its features."""
        frames = self._normalised(self._prepared(frame))
        see(memory, frames.contiguous(memory_format=self.memory_format))

    def features(self, video: Path | str | Iterable[np.ndarray]) -> Tensor:
        """The features of all frames of a video, as propagation compares them.

        One second of 480p takes 160 MB at stride 8 with 256 channels. Take a long video frame by
        frame: `for features in encoder.stream().over(frames)`.

        Args:
            video: A video file, a folder of frames, an array [T,H,W,3] uint8 RGB of any size, or
                any iterable of frames [H,W,3].

        Returns:
            Features [T,C,h,w] float32 on the CPU.

        Raises:
            InputError: The video cannot be read or has no frames, or a frame has another shape or
                type.
        """
        frames = video
        if isinstance(frames, str | Path):
            frames = iterate_frames(open_frames(frames))

        # Features leave the device frame by frame, where a whole video might not fit.
        features = [of_frame.cpu() for of_frame in self.stream().over(frames)]
        if not features:
            raise InputError(
                "video: has no frames; give an array [T,H,W,3] uint8, or the path of a video"
            )

        return torch.stack(features)

    def of_frame(self, frame: np.ndarray) -> Tensor:
        """The features of one frame, as if it were the first one of a video.

        Args:
            frame: A frame [H,W,3] uint8 RGB of any size.

        Returns:
            Features [C,h,w]. `sizes` says what the cells cover.
        """
        return self(self._prepared(frame))[0]

    def _prepared(self, frame: np.ndarray) -> Tensor:
        """A frame [H,W,3] uint8 RGB -> [1,3,h,w] in [0,1] on the device, resized and padded."""
        check_frame(frame)
        sizes = self.sizes((frame.shape[0], frame.shape[1]))
        pixels = resized_pixels(frame, sizes.encoded, self.frames)
        if self.padded:
            pixels = padded_to(pixels, self.stride)

        # Copy first and convert then: a byte becomes 4 on the device only.
        batch = devices.to_device(np.array(pixels), self.device)
        # [h,w,3] -> [1,3,h,w].
        batch = batch.permute(2, 0, 1)[None]

        # `resized_pixels` returns floats in 0 to 1, or bytes.
        if pixels.dtype == np.uint8:
            batch = batch.float() / 255

        return batch


def _see_nothing(frame: np.ndarray) -> None:
    """Ignore a frame: a network of single frames has no memory that could see it."""


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
    """Load an encoder, which turns frames of any size into features of a grid of cells.

    Args:
        spec: A file, the name of a library's network, or module:function, see `load_backbone`; or a
            network of your own, such as a torch module. When left out, it is the encoder that comes
            with the package. A network of your own takes frames [B,3,H,W] float32, RGB normalised
            by ImageNet's mean and standard deviation, and returns features [B,C,h,w]. If it has
            attributes `mean` and `std`, three numbers each, these are used instead (0, 0, 0 and
            1, 1, 1 give RGB in 0 to 1). Its attribute `stride` is the width of a cell in pixels; if
            it has none, the stride is measured. See docs/encoders.md for networks with a memory and
            for networks of clips.
        layer: Layer whose features are compared. When left out, it is the layer in `spec`
            (NAME@LAYER), else `preferred_layer` if the network has it, else the network's default.
        preferred_layer: See `layer`.
        weights_of: Which of the networks in a weights file to take, see `load_backbone`.
        normalisation: Mean and standard deviation of R, G and B in 0 to 1. What it leaves open is
            decided by `preferred_normalisation`, then by what the weights were trained with. A
            network of your own that has mean or std ignores what is preferred.
        preferred_normalisation: See `normalisation`.
        positions: How a vision transformer interpolates position embeddings to the size of a frame:
            as timm does, or as DINO's program does. When left out, it is `preferred_positions` if
            the network has the choice, else timm.
        preferred_positions: See `positions`.
        every: Encode only frames 0, every, 2 * every, ... of a video. When left out, every frame is
            encoded, or every tubelet of a network that sees tubelets.
        between: Features of the frames between them: those of the frame before (repeat), or a mean
            of both neighbours, weighted by the distances (interpolate).
        device: Name of a torch device; auto takes a GPU if there is one.
        precision: Arithmetic of the network. fp32 is the same on a GPU as on a CPU, see
            `devices.arithmetic`.
        scale: Frames are resized by this factor before they are encoded.
        frames: Size and colours of the frames that the network sees; as they are when left out.

    Returns:
        The encoder, ready on `device`.

    Raises:
        InputError: `load_backbone` fails, the network does not have the layer or the choice of
            positions, or an option is out of range.

    >>> import torch
    >>> from densevos_eval import load_encoder
    >>> encoder = load_encoder("random:resnet18", device="cpu")
    >>> encoder.stride
    8
    >>> encoder(torch.rand(1, 3, 48, 64)).shape
    torch.Size([1, 512, 6, 8])
    """
    # Options are checked before the network is loaded, which may take long.
    if precision not in get_args(Precision):
        raise InputError(
            f"precision: must be one of {', '.join(get_args(Precision))}, is {precision}"
        )

    check_scale(scale)
    check_every(every)

    # The network.
    if isinstance(spec, str | Path):
        spec = str(spec)
        plain, in_spec = without_layer(spec)
        backbone = load_backbone(plain, weights_of=weights_of)
    else:
        backbone, in_spec = function.of_network(spec), None
        spec = backbone.architecture

    # The layer. A preferred one is only a wish.
    if preferred_layer not in backbone.strides:
        preferred_layer = None

    chosen = layer or in_spec or preferred_layer or backbone.default
    if chosen not in backbone.strides:
        raise InputError(
            f"--encoder {spec}: has no layer {chosen}; choose --layer {', '.join(backbone.strides)}"
        )

    # Statistics and positions.
    if backbone.fixed:
        # A network that names its own statistics was made for them.
        preferred_normalisation = None

    backbone = _normalised_by(backbone, normalisation, preferred_normalisation)
    backbone, interpolation = _positioned(backbone, spec, positions, preferred_positions)

    encoder = _ready(backbone, spec, chosen, devices.chosen(device), precision)

    # A network that was trained with other colours gets them, whatever the protocol says.
    frames = frames or AS_THEY_ARE
    if backbone.colour != "rgb":
        frames = replace(frames, colour=backbone.colour)

    encoder = replace(encoder, scale=scale, frames=frames, positions=interpolation)
    return replace(
        encoder, new_memory=backbone.new_memory, every=every or backbone.every, between=between
    )


def _normalised_by(backbone: Backbone, *choices: Normalisation | None) -> Backbone:
    """The backbone with the first mean and the first standard deviation of the choices."""
    mean: Triple | None = None
    std: Triple | None = None
    for choice in choices:
        # A choice may have one of the two, so each is taken from the first choice that has it.
        if choice is not None:
            mean = mean or choice.mean
            std = std or choice.std

    return replace(backbone, mean=mean or backbone.mean, std=std or backbone.std)


def _positioned(
    backbone: Backbone, spec: str, positions: str | None, preferred: str | None
) -> tuple[Backbone, str | None]:
    """The backbone, and how it interpolates positions; None if there is no choice."""
    if positions and positions not in backbone.positions:
        offered = ", ".join(backbone.positions) or "no choice of it"
        raise InputError(
            f"--encoder {spec}: cannot interpolate positions by {positions}, as only timm's vision "
            "transformers with a table of positions can; "
            f"it has {offered}, so leave --positions out"
        )

    # Networks without a choice have no positions to choose from, not even timm's.
    for choice in (positions, preferred, "timm"):
        if choice and choice in backbone.positions:
            return replace(backbone, features=backbone.positions[choice]), choice

    return backbone, None


def _ready(
    backbone: Backbone, name: str, layer: str, device: torch.device, precision: Precision
) -> Encoder:
    """The encoder of a backbone that is moved to the device, with what has to be measured."""
    # Dropout and BatchNorm must not depend on the other frames.
    if backbone.module is not None:
        backbone.module.eval().to(device)
        backbone.module.to(memory_format=backbone.memory_format)

    def network(frames: Tensor) -> Tensor:
        return backbone.features(frames, layer)

    # What the backbone does not state is measured; each measurement runs the network once.
    options: dict[str, Any] = {"name": name, "precision": precision, "module": backbone.module}
    stride = backbone.strides[layer] or measured_stride(network, device, **options)
    padded = backbone.padded
    if padded is None:
        padded = needs_whole_cells(network, device, stride, **options)

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
