"""Which encoder, and how it is run: options, without torch."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from densevos_eval.adapters.choices import DEFAULT, Between, Positions
from densevos_eval.adapters.frames import FrameConfig
from densevos_eval.adapters.normalisation import Normalisation
from densevos_eval.adapters.scale import check_every, check_scale

if TYPE_CHECKING:
    from densevos_eval.adapters.encoder import Encoder


@dataclass(frozen=True, kw_only=True)
class EncoderOptions:
    """Which encoder, and how it is run."""

    encoder: str = DEFAULT
    """default, which comes with the package; our encoder.safetensors, a model.safetensors of MuG or
    of segmentation, or a run folder with one of these; a released snapshot of DUL, CRW, VFS, UVC or
    TimeCycle; another file of a ResNet or a usual vision transformer;
    torchvision:resnet50[:WEIGHTS], timm:NAME[@LAYER][:WEIGHTS], random:resnet18[:SEED]; or
    module:function of your own, which takes no arguments and returns a network: frames [B,3,H,W] ->
    features [B,C,h,w]. Frames are RGB, normalised by ImageNet's mean and standard deviation or by
    the network's attributes mean and std; its attribute stride says how many pixels wide a cell
    is."""
    layer: str | None = None
    """Features that are compared; densevos-eval info ENCODER lists the choices and names the usual
    one.
    """
    weights_of: str | None = None
    """Network to take from a weights file that holds several, such as teacher, student, encoder_q,
    encoder_k, base_encoder, momentum_encoder or model_ema. Without this option it is the one that
    is usually evaluated."""
    mean: tuple[float, float, float] | None = None
    """Mean of R, G and B in 0 to 1, subtracted from frames. densevos-eval info ENCODER prints the
    usual one.
    """
    std: tuple[float, float, float] | None = None
    """Standard deviation of R, G and B in 0 to 1, by which frames are divided. densevos-eval info
    ENCODER prints the usual one."""
    positions: Positions | None = None
    """How a vision transformer interpolates its position embeddings to the size of a frame: `timm`,
    as timm does (antialiased), or `dino`, as the programs of DINO, DINOv2 and CropMAE do. The
    default is timm."""
    every: int | None = None
    """Encode only every so many frames of a video, from the first one on; for networks of clips and
    tubelets, and to save time. Without this option it is every frame, or every tubelet of a network
    that says how long its tubelets are."""
    between: Between = "repeat"
    """With --every: features of the frames in between: those of the frame before (repeat), or a
    mean of the encoded neighbours, weighted by their distances (interpolate)."""
    scale: float = 1
    """Frames are resized by this factor before they are encoded."""
    precision: Literal["fp32", "tf32", "bf16"] = "fp32"
    """Arithmetic of the encoder: fp32, the same on a GPU as on a CPU; tf32, which a GPU computes
    faster because it rounds the inputs of convolutions and products (a CPU computes in fp32); or
    bf16, with which a search for similar cells on a GPU may miss some that are nearly equal."""
    device: str = "auto"
    """cpu, cuda, cuda:1, mps, ...; auto takes a GPU where there is one, also that of a Mac
    (mps).
    """

    def __post_init__(self) -> None:
        check_scale(self.scale)
        check_every(self.every)
        self.normalisation()

    def normalisation(self) -> Normalisation:
        """Mean and standard deviation that were asked for. Raises InputError for values out of
        range.
        """
        return Normalisation(mean=self.mean, std=self.std)

    def load(
        self,
        *,
        preferred_layer: str | None = None,
        preferred_normalisation: Normalisation | None = None,
        preferred_positions: Positions | None = None,
        frames: FrameConfig | None = None,
        device: str | None = None,
    ) -> "Encoder":
        """The encoder on `device` (or --device); loads torch.

        What is preferred, by a protocol for example, holds where no option says otherwise and the
        network offers it.

        frames: How frames are resized.

        Raises InputError as load_encoder does.
        """
        from densevos_eval.adapters.encoder import load_encoder

        return load_encoder(
            self.encoder,
            layer=self.layer,
            preferred_layer=preferred_layer,
            weights_of=self.weights_of,
            normalisation=self.normalisation(),
            preferred_normalisation=preferred_normalisation,
            positions=self.positions,
            preferred_positions=preferred_positions,
            every=self.every,
            between=self.between,
            device=device or self.device,
            precision=self.precision,
            scale=self.scale,
            frames=frames,
        )
