"""Encoders as the evaluator knows them: RGB frames in, dense features out, whatever network is inside."""

import pickle
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from densevos.config import EncoderConfig
from densevos.errors import InputError
from densevos.models import encoder as ours
from densevos.models.encoder import DenseEncoder, Layer, normalise
from densevos.models.resnet import ARCHITECTURES

Precision = Literal["fp32", "bf16"]


@dataclass(frozen=True, kw_only=True)
class Encoder:
    """Frames [B,3,H,W] float RGB in [0,1] -> unit features [B,C,H/stride,W/stride] float32.

    H and W are multiples of `stride`. network: the same without normalisation of input and output.
    scale: frames are resized by this factor before they are encoded.
    """

    name: str
    layer: str
    stride: int
    network: Callable[[Tensor], Tensor]
    device: torch.device
    precision: Precision = "fp32"
    scale: float = 1

    @torch.inference_mode()
    def __call__(self, frames: Tensor) -> Tensor:
        frames = normalise(frames.to(self.device)).contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            features = self.network(frames)
        return F.normalize(features.float(), dim=1)

    def of_frame(self, frame: np.ndarray) -> Tensor:
        """Features [C,h,w] of one frame [H,W,3] uint8 RGB of any size, scaled, then padded to whole cells."""
        size = scaled_size((frame.shape[0], frame.shape[1]), self.scale)
        if size != frame.shape[:2]:
            smooth = cv2.INTER_AREA if self.scale < 1 else cv2.INTER_CUBIC
            frame = cv2.resize(frame, size[::-1], interpolation=smooth)
        batch = torch.from_numpy(padded_to(frame, self.stride)).permute(2, 0, 1)[None].float() / 255
        return self(batch)[0]


def scaled_size(size: tuple[int, int], scale: float) -> tuple[int, int]:
    """[H,W] times `scale`, rounded, at least one pixel."""
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def padded_to(image: np.ndarray, stride: int) -> np.ndarray:
    """Edge pixels repeated at the bottom and right until both sides are multiples of `stride`."""
    sides = [(0, -length % stride) for length in image.shape[:2]]
    return np.pad(image, [*sides, *[(0, 0)] * (image.ndim - 2)], mode="edge")


def load_encoder(
    spec: str, *, layer: Layer = "res4", device: torch.device | str = "auto", precision: Precision = "fp32"
) -> Encoder:
    """The encoder that `spec` names, ready on `device`.

    spec: our encoder.safetensors or the folder of its run; a released DUL snapshot; or
    random:resnet18[:SEED], random:resnet50[:SEED] for an untrained network.
    layer: res3, res4 (the paper's choice) or key, the output of the head.

    device: as torch names them; auto takes a GPU where there is one.

    Raises InputError when the file is missing, truncated, of another architecture, or holds pickled code,
    which is never run.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if spec.startswith("random:"):
        network = _random(spec)
    elif _encoder_file(spec).suffix == ".safetensors":
        network, _ = ours.load_encoder(_encoder_file(spec))
    else:
        network = _from_snapshot(Path(spec))
    return wrap(network, name=spec, layer=layer, device=device, precision=precision)


def wrap(
    network: DenseEncoder,
    *,
    name: str,
    layer: Layer = "res4",
    device: torch.device | str = "cpu",
    precision: Precision = "fp32",
) -> Encoder:
    """Give one of our networks the evaluator's interface; the network moves to `device` and to eval mode."""
    network = network.eval().to(device)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Encoder(
        name=name,
        layer=layer,
        stride=network.config.stride,
        network=lambda frames: network.features(frames, layer),
        device=torch.device(device),
        precision=precision,
    )


def _encoder_file(spec: str) -> Path:
    path = Path(spec)
    return path / "encoder.safetensors" if path.is_dir() else path


def _random(spec: str) -> DenseEncoder:
    _, architecture, *seed = spec.split(":")
    if architecture not in ARCHITECTURES or len(seed) > 1 or not all(s.isdecimal() for s in seed):
        known = ", ".join(f"random:{name}" for name in ARCHITECTURES)
        raise InputError(f"--encoder {spec}: unknown; choose {known}, with :SEED behind it if wanted")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(seed[0]) if seed else 0)
        return DenseEncoder(EncoderConfig(architecture=architecture))  # type: ignore[arg-type]


def _from_snapshot(path: Path) -> DenseEncoder:
    """A snapshot of the authors' DUL release: `fast_net.backbone.*` and `fast_net.emb_q.*` (specification 1)."""
    weights = {name.removeprefix("module."): tensor for name, tensor in _read_snapshot(path).items()}
    trunk, head = _below(weights, "fast_net.backbone."), _below(weights, "fast_net.emb_q.")
    trunk = {name: tensor for name, tensor in trunk.items() if not name.startswith("fc.")}
    if not trunk or "conv2.weight" not in head:
        raise InputError(
            f"{path}: holds no fast_net.backbone and fast_net.emb_q; give a DUL snapshot or our encoder.safetensors"
        )
    config = EncoderConfig(
        architecture="resnet50" if "layer1.0.conv3.weight" in trunk else "resnet18",
        key_channels=len(head["conv2.weight"]),
    )
    encoder = DenseEncoder(config)
    try:
        encoder.trunk.load_state_dict(trunk)
        encoder.head.load_state_dict(head)
    except RuntimeError as error:
        raise InputError(
            f"{path}: weights do not fit a dense {config.architecture} ({error}); give a DUL snapshot"
        ) from error
    return encoder


def _read_snapshot(path: Path) -> Mapping[str, Tensor]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pickle protocols: what is not plain weights is refused anyway
            snapshot: Any = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError(f"{path}: no such encoder file") from None
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{path}: is no plain weights file, or holds pickled code, which is not run; "
            'save it again as {"model": state_dict}'
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError) as error:
        raise InputError(f"{path}: snapshot cannot be read ({_first_line(error)}); download it again") from error
    weights = snapshot.get("model") if isinstance(snapshot, dict) else None
    if not isinstance(weights, dict) or not all(isinstance(tensor, Tensor) for tensor in weights.values()):
        raise InputError(f'{path}: holds no {{"model": state_dict}}; give a DUL snapshot or our encoder.safetensors')
    return weights


def _below(weights: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in weights.items() if name.startswith(prefix)}


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:120]
