"""densevos export and info: what a run left, as a file and in words, and what the machine has."""

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


def info(
    model: tyro.conf.Positional[str | None] = None,
    system: bool = False,
    size: int | None = None,
    classes: int = 11,
) -> None:
    """Print what an encoder or a segmentation model is: parameters, multiply-accumulates, how it was trained.

    Args:
        model: An encoder.safetensors or model.safetensors, or deeplabv3, swin_upernet or video_swin.
        system: Print what this machine has instead: versions, decoders of video files and why others do not load,
            cores, memory, shared memory, GPUs, bfloat16.
        size: Count the operations of a segmentation network at size x size pixels; by default what it was trained on.
        classes: Of an architecture.
    """
    if (model is None) != system:
        raise InputError("densevos info: give a model, or --system alone")
    if model is None:
        from densevos.inference.system import describe_system

        print(json.dumps(describe_system(), indent=2))
        return
    from densevos.inference.info import describe

    print(json.dumps(describe(model, size, classes), indent=2))
