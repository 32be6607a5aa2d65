"""What --encoder names: a file, a network of a library, or a function of one's own."""

import re
from collections.abc import Callable
from pathlib import Path

from densevos.base.errors import InputError
from densevos.base.outside import is_outside
from densevos_eval.adapters import function, own, snapshots, timm_model, torchvision_resnet
from densevos_eval.adapters.backbone import Backbone
from densevos_eval.adapters.choices import DEFAULT
from densevos_eval.adapters.weights import is_file

NAMED: dict[str, Callable[[str, str | None, str | None], Backbone]] = {
    "torchvision": torchvision_resnet.load,
    "timm": timm_model.load,
    "random": lambda name, seed, of: own.untrained(name, seed),
}
FORMS = (
    "default, our encoder.safetensors, model.safetensors or the folder of its run, a snapshot of DUL, CRW, VFS, UVC or "
    "TimeCycle (.pth), a file of a ResNet or a vision transformer, "
    "torchvision:resnet50[@LAYER][:WEIGHTS], timm:NAME[@LAYER][:WEIGHTS], random:resnet18[:SEED], or module:function"
)


def load_backbone(spec: str, *, weights_of: str | None = None) -> Backbone:
    """The network that `spec` names, by the adapter of its kind.

    spec: default, the encoder that comes with the package (a file of that name is ./default); an
    encoder.safetensors of ours, a MuG or segmentation network's model.safetensors, or the folder of
    such a run; a released snapshot of DUL, CRW, VFS, UVC or TimeCycle; another file of a ResNet or
    a usual vision transformer, whatever stands before the names of its weights ("model.",
    "encoder.", "module."); torchvision:NAME[:WEIGHTS]; timm:NAME[:WEIGHTS]; random:NAME[:SEED] for
    an untrained network of ours; or module:function. A file that exists goes before
    module:function. weights_of: which of the networks in a file of another project: student,
    encoder_k, model_ema, ...; without it, the one that is usually evaluated.

    Raises InputError when a file is missing, truncated, of another architecture, or holds pickled
    code (which is never run), when weights cannot be fetched, and when nothing of these forms is
    meant.
    """
    kind, colon, rest = spec.partition(":")
    name, _, weights = rest.partition(":")
    is_foreign = is_file(weights) if kind in ("torchvision", "timm") else Path(spec).is_file()

    if weights_of is not None and not is_foreign:
        raise InputError(
            f"--weights-of {weights_of}: is for FILE, torchvision:NAME:FILE, timm:NAME:FILE, not {spec}"
        )

    if spec == DEFAULT:
        return own.shipped()
    if colon and kind in NAMED:
        return NAMED[kind](name, weights or None, weights_of)

    path = Path(spec)
    if path.is_dir():
        path = _in_run(path)
    if path.exists():
        read = own.from_file if path.suffix == ".safetensors" else snapshots.from_file
        return read(path, weights_of)

    if is_outside(spec):
        return function.load(kind, rest)

    raise InputError(f"{path}: no such encoder file; --encoder takes {FORMS}")


def _in_run(folder: Path) -> Path:
    """The file of a run folder that holds its encoder, whether it is there or not."""
    files = [folder / "encoder.safetensors", folder / "model.safetensors"]
    return next((file for file in files if file.exists()), files[0])


def without_layer(spec: str) -> tuple[str, str | None]:
    """KIND:NAME@LAYER[:WEIGHTS] -> KIND:NAME[:WEIGHTS], LAYER; other specs as they are."""
    match = re.fullmatch(rf"((?:{'|'.join(NAMED)}):[^:@]+)@([^:@]+)(:.+)?", spec)
    return (match[1] + (match[3] or ""), match[2]) if match else (spec, None)
