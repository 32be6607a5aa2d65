"""The 2D Transformer: Swin (Liu et al., 2021) + UperNet (Xiao et al., 2018), both of
transformers.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from densevos.base.errors import InputError
from densevos.config.image_to_video import NetworkConfig
from densevos.models.segmentation.base import STAGES, FrameNetwork


class SwinUperNet(FrameNetwork):
    """Swin + UperNet under transformers' parameter names, without auxiliary head; takes frames of
    any size.
    """

    head_name, classifier_name = "decode_head", "decode_head.classifier"
    backbone: Any
    decode_head: Any

    def __init__(self, config: NetworkConfig, classes: int):
        super().__init__(classes, swin_taps(config))
        network = make_upernet(config, classes)
        self.backbone, self.decode_head = network.backbone, network.decode_head
        self.backbone.swin.layernorm = (
            nn.Identity()
        )  # Feeds nothing here: its weights would never get a gradient.

        if config.checkpointing:
            for stage in self.backbone.swin.encoder.layers:
                for block in (
                    stage.blocks
                ):  # transformers' own switch would checkpoint blocks within stages, at a cost
                    block.forward = partial(checkpoint, block.forward, use_reentrant=False)

    def encode_frames(self, frames: Tensor) -> dict[str, Tensor]:
        found = self.backbone(frames, output_hidden_states=True)
        features = dict(zip(STAGES, found.feature_maps, strict=True))
        return {"spatial": found.hidden_states[0], **features, "global": features["stage4"]}

    def decode_frames(self, features: Mapping[str, Tensor]) -> Tensor:
        return self.decode_head([features[name] for name in STAGES])


def swin_taps(config: NetworkConfig) -> dict[str, tuple[int, int]]:
    """Channels and stride of a Swin's taps."""
    stages = {name: (config.embed_dim * 2**k, 4 * 2**k) for k, name in enumerate(STAGES)}
    return {"spatial": (config.embed_dim, 4), **stages}


def make_upernet(config: NetworkConfig, classes: int) -> Any:
    """transformers' UperNetForSemanticSegmentation; InputError when transformers is not
    installed.
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
