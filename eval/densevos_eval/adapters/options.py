"""Options of an encoder and of how it is run. This module does not load torch."""

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
    """Which encoder, and how it is run.

    Raises:
        InputError: A value is out of range.
    """

    encoder: str = DEFAULT
    """Encoder to use: default, which comes with the package; an encoder.safetensors of densevos, a
    model.safetensors of MuG or of segmentation, or a run folder with one of these; a released
    snapshot of DUL, CRW, VFS, UVC or TimeCycle; another file of a ResNet or a usual vision
    transformer; torchvision:resnet50[:WEIGHTS], timm:NAME[@LAYER][:WEIGHTS] or
    random:resnet18[:SEED]; or module:function of your own. Your function takes no arguments and
    returns a network: frames [B,3,H,W] -> features [B,C,h,w]. Frames are RGB, normalised by
    ImageNet's mean and standard deviation or by the network's attributes mean and std. Its
    attribute stride is the width of a cell in pixels."""
    layer: str | None = None
    """Layer whose features are compared. densevos-eval info ENCODER lists the layers and names the
    default."""
    weights_of: str | None = None
    """Network to take from a weights file that holds several, such as teacher, student, encoder_q,
    encoder_k, base_encoder, momentum_encoder or model_ema. The default is the network that is
    usually evaluated."""
    mean: tuple[float, float, float] | None = None
    """Mean of R, G and B in 0 to 1 that is subtracted from frames. densevos-eval info ENCODER
    prints the default."""
    std: tuple[float, float, float] | None = None
    """Standard deviation of R, G and B in 0 to 1 by which frames are divided. densevos-eval info
    ENCODER prints the default."""
    positions: Positions | None = None
    """How a vision transformer interpolates its position embeddings to the size of a frame: `timm`,
    as timm does (antialiased), or `dino`, as the programs of DINO, DINOv2 and CropMAE do. The
    default is timm."""
    every: int | None = None
    """Encode only every so many frames of a video, from the first one on, to save time or for a
    network of clips. The default is every frame, or every tubelet of a network that declares the
    length of its tubelets."""
    between: Between = "repeat"
    """With --every, features of the frames in between: those of the frame before (repeat), or a
    mean of the encoded neighbours, weighted by their distances (interpolate)."""
    scale: float = 1
    """Factor by which frames are resized before they are encoded."""
    precision: Literal["fp32", "tf32", "bf16"] = "fp32"
    """Arithmetic of the encoder: fp32, the same on a GPU as on a CPU; tf32, which a GPU computes
    faster because it rounds the inputs of convolutions and products (a CPU computes in fp32); or
    bf16, with which a search for similar cells on a GPU may miss some that are nearly equal."""
    device: str = "auto"
    """Device to compute on: cpu, cuda, cuda:1, mps (a Mac's GPU) or another name of torch; auto
    takes a GPU if there is one."""

    def __post_init__(self) -> None:
        check_scale(self.scale)
        check_every(self.every)
        # This call checks the numbers; its result is not needed.
        self.normalisation()

    def normalisation(self) -> Normalisation:
        """The given mean and standard deviation.

        Raises:
            InputError: A value is out of range.
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
        """Load the encoder, and torch with it.

        A preference, of a protocol for example, holds if no option says otherwise and the network
        offers it.

        Args:
            preferred_layer: Layer to compare.
            preferred_normalisation: Mean and standard deviation.
            preferred_positions: How position embeddings are interpolated.
            frames: How frames are resized; as they are when left out.
            device: Where it computes, instead of --device.

        Raises:
            InputError: `load_encoder` fails.
        """
        # Imported here, so that a command can read its options without loading torch.
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
