"""Facts about an encoder, to be printed."""

import hashlib
import json
from pathlib import Path

import numpy as np

from densevos_eval.adapters.backbone import PROBE
from densevos_eval.adapters.encoder import Encoder

FRAME = (480, 854)
"""[H,W] of the frame whose number of cells is printed: a frame of DAVIS at 480p."""


def facts(encoder: Encoder) -> dict[str, str]:
    """Facts about an encoder, such as its kind, layer, stride and file.

    Args:
        encoder: What `load_encoder` returned.

    Returns:
        The text of each fact by its title, in the order in which they are read.
    """
    source = encoder.source
    # No backbone states its channels, so a black frame is encoded and they are counted.
    channels = len(encoder.of_frame(np.zeros((*PROBE, 3), np.uint8)))
    # Cells at the border may be filled only partly, so the numbers are rounded up.
    cells = [-(-side // encoder.stride) for side in encoder.sizes(FRAME).covered]
    colour = "RGB" if encoder.frames.colour == "rgb" else "lightness"

    # What the network is.
    texts = {"encoder": encoder.name}
    if source:
        texts |= {"kind": source.kind, "architecture": source.architecture}
    if source and source.module is not None:
        texts["parameters"] = f"{sum(p.numel() for p in source.module.parameters()):,}"

    # What it makes of a frame.
    layers = f" (of {', '.join(source.strides)})" if source else ""
    mean, std = _numbers(encoder.mean), _numbers(encoder.std)
    texts |= {
        "layer": encoder.layer + layers,
        "channels": str(channels),
        "stride": f"{encoder.stride} pixels",
        "normalisation": f"mean {mean}, std {std} of {colour} in 0 to 1",
        f"features of {FRAME[0]}x{FRAME[1]}": "x".join(map(str, (channels, *cells))),
    }
    if source and encoder.positions:
        texts["positions"] = f"{encoder.positions} (of {', '.join(source.positions)})"
    if source and source.new_memory is not None:
        texts["sees"] = source.sees
    if encoder.every > 1:
        between = {"repeat": "repeated", "interpolate": "interpolated"}[encoder.between]
        texts["encoded"] = f"every {encoder.every} frames; between them features are {between}"

    # Where it comes from.
    if source:
        for path in source.files:
            texts |= {"file": str(path), "sha256": sha256(path)}

        for title, fact in source.card.get("about", {}).items():
            texts[title] = _text(fact)

        if source.card.get("training"):
            texts["training"] = json.dumps(source.card["training"], indent=2)

    return texts


def sha256(path: Path) -> str:
    """Hexadecimal digest of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _text(fact: str | list[str]) -> str:
    """A text as it is, or several texts in lines of their own."""
    if isinstance(fact, str):
        return fact

    return "".join(f"\n    {text}" for text in fact)


def _numbers(values: tuple[float, ...]) -> str:
    return " ".join(f"{value:.4g}" for value in values)
