"""Which encoder, and how it is run: options, without torch."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from densevos_eval.adapters.frames import FrameConfig
from densevos_eval.adapters.scale import check_scale

if TYPE_CHECKING:
    from densevos_eval.adapters.encoder import Encoder


@dataclass(frozen=True, kw_only=True)
class EncoderOptions:
    """Which encoder, and how it is run."""

    encoder: str
    """Our encoder.safetensors, a model.safetensors of MuG or of segmentation, or a run folder with one of these; a
    released DUL or CRW snapshot, torchvision:resnet50[:WEIGHTS], timm:NAME[@LAYER][:WEIGHTS], random:resnet18[:SEED],
    or module:function of your own."""
    layer: str | None = None
    """Features that are compared; densevos-eval info ENCODER lists the choices and names the usual one."""
    scale: float = 1
    """Frames are resized by this factor before they are encoded."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Arithmetic of the encoder."""
    device: str = "auto"
    """cpu, cuda, cuda:1, ...; auto takes a GPU where there is one."""

    def __post_init__(self) -> None:
        check_scale(self.scale)

    def load(
        self,
        *,
        preferred_layer: str | None = None,
        frames: FrameConfig | None = None,
        device: str | None = None,
    ) -> "Encoder":
        """The encoder on `device` (or --device), at the preferred layer unless another is named; loads torch.

        frames: how frames are resized. Raises InputError as load_encoder does.
        """
        from densevos_eval.adapters.encoder import load_encoder

        return load_encoder(
            self.encoder,
            layer=self.layer,
            preferred_layer=preferred_layer,
            device=device or self.device,
            precision=self.precision,
            scale=self.scale,
            frames=frames,
        )
