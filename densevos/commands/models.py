"""densevos export and describe: what a run left, as a file and in words, and what the machine
has.
"""

import json
import tempfile
from pathlib import Path

import tyro

from densevos.base.errors import InputError
from densevos.base.files import made_folder


def export(
    checkpoint: tyro.conf.Positional[Path], out: Path, half: bool = False, about: Path | None = None
) -> None:
    """Write the encoder of a checkpoint to a file, or copy an encoder file.

    Args:
        checkpoint: A run folder, whose newest checkpoint is taken; or one checkpoint,
            RUN/checkpoints/step-N.pt or best.pt (of MuG, in RUN/roundK); or an encoder.safetensors.
        out: The .safetensors file to write; its card is written beside it.
        half: Write weights as float16, which halves the file. Loading the file gives float32.
        about: A JSON file with more facts for the card: an object of titles, each with a text or a
            list of texts, such as the sources of the data and their licences.
    """
    from densevos.models import card
    from densevos.training import export as export_checkpoint

    # Checked before the encoder is read and written.
    if out.suffix != ".safetensors":
        raise InputError(f"--out {out}: must end in .safetensors")

    facts = _read_about(about) if about else None
    made_folder(out.parent)
    # A checkpoint is first exported to a temporary file, so that one way of copying serves both.
    with tempfile.TemporaryDirectory() as folder:
        source = checkpoint
        if checkpoint.suffix != ".safetensors":
            source = Path(folder) / out.name
            checkpoint = export_checkpoint(checkpoint, source)

        card.copy(source, out, half=half, about=facts)

    print(f"{out}: from {checkpoint}")


def _read_about(path: Path) -> dict[str, str | list[str]]:
    """The facts in a file; InputError when it is no JSON object of texts and lists of texts."""
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"--about {path}: cannot be read ({error}); give a JSON file") from None

    # The card lists facts as texts, so other JSON values are refused.
    def is_text(value: object) -> bool:
        return isinstance(value, str) or (
            isinstance(value, list) and all(isinstance(item, str) for item in value)
        )

    if not isinstance(facts, dict) or not all(map(is_text, facts.values())):
        raise InputError(
            f'--about {path}: must be an object like {{"licence": "...", "data": ["...", "..."]}}'
        )

    return facts


def describe(
    model: tyro.conf.Positional[str | None] = None,
    system: bool = False,
    size: int | None = None,
    classes: int = 11,
) -> None:
    """Print what an encoder or a segmentation model is: parameters, multiply-accumulates, how it
    was trained.

    Args:
        model: An encoder.safetensors or model.safetensors, or deeplabv3, swin_upernet or
            video_swin.
        system: Print what this machine has instead: versions, decoders of video files and why
            others do not load, cores, memory, shared memory, GPUs, bfloat16.
        size: Count the operations of a segmentation network at this width and height in pixels.
            Without this option it is the size that the network was trained on.
        classes: Number of classes of deeplabv3, swin_upernet or video_swin.
    """
    # Exactly one of the two must be given.
    if (model is None) != system:
        raise InputError("densevos describe: give a model, or --system alone")
    if model is None:
        from densevos.inference.system import describe_system

        print(json.dumps(describe_system(), indent=2))
        return

    from densevos.inference.info import describe as facts

    print(json.dumps(facts(model, size, classes), indent=2))
