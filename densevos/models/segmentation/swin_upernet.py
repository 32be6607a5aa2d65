"""The 2D Transformer: Swin (Liu et al., 2021) and UperNet (Xiao et al., 2018) of transformers."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from densevos.base.errors import InputError
from densevos.config.image_to_video import NetworkConfig
from densevos.models.segmentation.base import STAGES, FrameNetwork


class SwinUperNet(FrameNetwork):
    """Swin + UperNet for frames of any size, with transformers' parameter names.

    It has no auxiliary head.
    """

    head_name, classifier_name = "decode_head", "decode_head.classifier"
    backbone: Any
    decode_head: Any

    def __init__(self, config: NetworkConfig, classes: int):
        super().__init__(classes, swin_taps(config))
        network = make_upernet(config, classes)
        self.backbone, self.decode_head = network.backbone, network.decode_head
        # Nothing uses the output of this layer, so its weights would never get a gradient.
        self.backbone.swin.layernorm = nn.Identity()

        if config.checkpointing:
            # transformers' own switch would checkpoint stages and the blocks within them, which
            # costs more.
            for stage in self.backbone.swin.encoder.layers:
                for block in stage.blocks:
                    block.forward = partial(checkpoint, block.forward, use_reentrant=False)

    def encode_frames(self, frames: Tensor) -> dict[str, Tensor]:
        output = self.backbone(frames, output_hidden_states=True)
        features = dict(zip(STAGES, output.feature_maps, strict=True))
        return {"spatial": output.hidden_states[0], **features, "global": features["stage4"]}

    def decode_frames(self, features: Mapping[str, Tensor]) -> Tensor:
        logits: Tensor = self.decode_head([features[name] for name in STAGES])
        return logits


def swin_taps(config: NetworkConfig) -> dict[str, tuple[int, int]]:
    """Channels and stride of each tap of a Swin."""
    taps = {"spatial": (config.embed_dim, 4)}
    for number, name in enumerate(STAGES):
        # Patch merging doubles the channels and halves the grid before each further stage.
        taps[name] = (config.embed_dim * 2**number, 4 * 2**number)

    return taps


def make_upernet(config: NetworkConfig, classes: int) -> Any:
    """Make transformers' UperNetForSemanticSegmentation with random weights.

    Raises:
        InputError: transformers is not installed.
    """
    try:
        from transformers import SwinConfig, UperNetConfig, UperNetForSemanticSegmentation
    except ImportError as error:
        raise InputError(
            f"--network.architecture {config.architecture}: needs transformers ({error}); "
            "pip install 'densevos[segmentation]'"
        ) from error

    swin = SwinConfig(  # type: ignore[call-arg]  # transformers declares not all of its arguments
        embed_dim=config.embed_dim,
        depths=config.depths,
        num_heads=config.heads,
        window_size=config.window,
        drop_path_rate=config.drop_path,
        out_features=list(STAGES),
    )
    upernet = UperNetConfig(  # type: ignore[call-arg]
        backbone_config=swin,
        hidden_size=config.hidden,
        use_auxiliary_head=False,
        num_labels=classes,
    )

    return UperNetForSemanticSegmentation(upernet)
