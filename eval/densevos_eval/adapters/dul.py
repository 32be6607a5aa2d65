"""Released snapshots of DUL (Araslanov et al., NeurIPS 2021).

Their weights are called `fast_net.backbone.*` and `fast_net.emb_q.*`.
"""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from densevos.base.errors import InputError
from densevos.config import EncoderConfig
from densevos.models.encoder import DenseEncoder
from densevos.models.foreign import below, differences
from densevos_eval.adapters.backbone import Backbone, shortened
from densevos_eval.adapters.own import dense


def from_weights(weights: Mapping[str, Tensor], path: Path) -> Backbone:
    """The network of a snapshot, at stride 8. Its default layer, res4, is the published one.

    Args:
        weights: Weights with the names of the snapshot.
        path: The snapshot, for messages.

    Raises:
        InputError: The weights do not fit the network.
    """
    # The classifier of the backbone is not used.
    trained = below(weights, "fast_net.backbone.")
    backbone = {name: tensor for name, tensor in trained.items() if not name.startswith("fc.")}
    head = below(weights, "fast_net.emb_q.")
    if not backbone or "conv2.weight" not in head:
        raise InputError(
            f"{path}: holds no fast_net.backbone and fast_net.emb_q; give a whole DUL snapshot"
        )

    # The weights tell the configuration: only bottleneck blocks have a third convolution.
    config = EncoderConfig(
        architecture="resnet50" if "layer1.0.conv3.weight" in backbone else "resnet18",
        key_channels=len(head["conv2.weight"]),
    )
    encoder = DenseEncoder(config)

    # An error names some weights that differ; torch's own text lists all of them.
    try:
        encoder.backbone.load_state_dict(backbone)
        encoder.head.load_state_dict(head)
    except RuntimeError as error:
        in_backbone = differences(backbone, encoder.backbone.state_dict())
        in_head = differences(head, encoder.head.state_dict())
        reason = in_backbone or in_head or shortened(error)
        raise InputError(
            f"{path}: weights do not fit a dense {config.architecture} ({reason}); "
            "give a DUL snapshot"
        ) from error

    return dense(encoder, kind="released DUL snapshot", files=(path,))
