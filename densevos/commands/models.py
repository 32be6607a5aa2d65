"""densevos export and info: what a run left, as a file and in words."""

import json
from pathlib import Path

import tyro

from densevos.base.errors import InputError


def export(checkpoint: tyro.conf.Positional[Path], out: Path) -> None:
    """Write the encoder in a checkpoint of a run as a file of its own.

    Args:
        checkpoint: RUN/checkpoints/step-N.pt or best.pt, MuG's below RUN/roundK.
        out: The .safetensors file to write; its card goes beside it.
    """
    from densevos.training import export as export_encoder

    if out.suffix != ".safetensors":
        raise InputError(f"--out {out}: must end in .safetensors")
    export_encoder(checkpoint, out)
    print(out)


def info(model: tyro.conf.Positional[str], size: int | None = None, classes: int = 11) -> None:
    """Print what an encoder or a segmentation model is: parameters, multiply-accumulates, how it was trained.

    Args:
        model: An encoder.safetensors or model.safetensors, or deeplabv3, swin_upernet or video_swin.
        size: Count the operations of a segmentation network at size x size pixels; by default what it was trained on.
        classes: Of an architecture.
    """
    from densevos.inference.info import describe

    print(json.dumps(describe(model, size, classes), indent=2))
