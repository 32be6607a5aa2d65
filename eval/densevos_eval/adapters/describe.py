"""What an encoder is, in facts to print."""

import hashlib
import json
from pathlib import Path

import numpy as np

from densevos_eval.adapters.backbone import PROBE
from densevos_eval.adapters.encoder import Encoder

FRAME = (480, 854)


def facts(encoder: Encoder) -> dict[str, str]:
    """Title and text of each fact, in the order to be read: kind, architecture, layer, stride,
    file, training ...
    """
    source = encoder.source
    channels = len(encoder.of_frame(np.zeros((*PROBE, 3), np.uint8)))
    cells = [-(-side // encoder.stride) for side in encoder.sizes(FRAME).covered]
    colour = "RGB" if encoder.frames.colour == "rgb" else "lightness"
    told = {"encoder": encoder.name}
    if source:
        told |= {"kind": source.kind, "architecture": source.architecture}
    if source and source.module is not None:
        told["parameters"] = f"{sum(p.numel() for p in source.module.parameters()):,}"

    told |= {
        "layer": f"{encoder.layer} (of {', '.join(source.strides)})" if source else encoder.layer,
        "channels": str(channels),
        "stride": f"{encoder.stride} pixels",
        "normalisation": f"mean {_numbers(encoder.mean)}, std {_numbers(encoder.std)} of {colour} in 0 to 1",
        f"features of {FRAME[0]}x{FRAME[1]}": "x".join(map(str, (channels, *cells))),
    }
    if source and encoder.positions:
        told["positions"] = f"{encoder.positions} (of {', '.join(source.positions)})"
    if source and source.new_memory is not None:
        told["sees"] = source.sees
    if encoder.every > 1:
        between = {"repeat": "repeated", "interpolate": "interpolated"}[encoder.between]
        told["encoded"] = f"every {encoder.every} frames; between them features are {between}"

    for path in source.files if source else ():
        told |= {"file": str(path), "sha256": sha256(path)}

    if source:
        told |= {title: _text(fact) for title, fact in source.card.get("about", {}).items()}
    if source and source.card.get("training"):
        told["training"] = json.dumps(source.card["training"], indent=2)

    return told


def sha256(path: Path) -> str:
    """Hexadecimal digest of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _text(fact: str | list[str]) -> str:
    """A text as it is; several below one another."""
    return fact if isinstance(fact, str) else "".join(f"\n    {text}" for text in fact)


def _numbers(values: tuple[float, ...]) -> str:
    return " ".join(f"{value:.4g}" for value in values)
