"""Load what --encoder names: a file, a network of a library, or a function of one's own."""

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
"""What loads KIND:NAME[:WEIGHTS], from a name, weights, and the network to take from a file."""

FORMS = (
    "default, our encoder.safetensors, model.safetensors or the folder of its run, a snapshot of "
    "DUL, CRW, VFS, UVC or TimeCycle (.pth), a file of a ResNet or a vision transformer, "
    "torchvision:resnet50[@LAYER][:WEIGHTS], timm:NAME[@LAYER][:WEIGHTS], random:resnet18[:SEED], "
    "or module:function"
)
"""All that --encoder takes, for a message."""


def load_backbone(spec: str, *, weights_of: str | None = None) -> Backbone:
    """Load the network that `spec` names.

    Args:
        spec: One of these:

            * default, the encoder that comes with the package (a file of that name is ./default);
            * an encoder.safetensors of ours, a model.safetensors of MuG or segmentation, or the
              folder of such a run;
            * a released snapshot of DUL, CRW, VFS, UVC or TimeCycle;
            * another file of a ResNet or a usual vision transformer, with any prefix before the
              names of its weights ("model.", "encoder.", "module.");
            * torchvision:NAME[:WEIGHTS] or timm:NAME[:WEIGHTS];
            * random:NAME[:SEED] for an untrained network of ours;
            * module:function, unless a file of that name exists.
        weights_of: Which of several networks in a file of another project to take, such as student,
            encoder_k or model_ema. When left out, it is the one that is usually evaluated.

    Raises:
        InputError: A file is missing, truncated, of another architecture, or holds pickled code
            (which is never run); weights cannot be downloaded; or `spec` has none of these forms.
    """
    kind, colon, remainder = spec.partition(":")
    name, _, weights = remainder.partition(":")

    # Only files hold several networks. Libraries take a file in place of the name of weights.
    if kind in ("torchvision", "timm"):
        is_foreign_file = is_file(weights)
    else:
        is_foreign_file = Path(spec).is_file()

    if weights_of is not None and not is_foreign_file:
        raise InputError(
            f"--weights-of {weights_of}: is for FILE, torchvision:NAME:FILE, timm:NAME:FILE, "
            f"not {spec}"
        )

    # Names go before files: a file called default is ./default.
    if spec == DEFAULT:
        return own.shipped()
    if colon and kind in NAMED:
        return NAMED[kind](name, weights or None, weights_of)

    # Files go before functions: a path may have a colon too.
    path = Path(spec)
    if path.is_dir():
        path = _in_run(path)
    if path.exists():
        # densevos writes .safetensors only.
        if path.suffix == ".safetensors":
            return own.from_file(path, weights_of)

        return snapshots.from_file(path, weights_of)

    if is_outside(spec):
        return function.load(kind, remainder)

    raise InputError(f"{path}: no such encoder file; --encoder takes {FORMS}")


def _in_run(folder: Path) -> Path:
    """The file of a run folder that holds its encoder. It may not exist."""
    # The encoder goes first if a run has both, and it is what the message names if it has neither.
    encoder, model = folder / "encoder.safetensors", folder / "model.safetensors"
    if model.exists() and not encoder.exists():
        return model

    return encoder


def without_layer(spec: str) -> tuple[str, str | None]:
    """Split the layer off an encoder's name.

    Args:
        spec: What --encoder names.

    Returns:
        KIND:NAME[:WEIGHTS] and LAYER of KIND:NAME@LAYER[:WEIGHTS]; any other `spec` and None.
    """
    # A name has no colon and no @, so the path of weights may have both.
    match = re.fullmatch(rf"((?:{'|'.join(NAMED)}):[^:@]+)@([^:@]+)(:.+)?", spec)
    if match is None:
        return spec, None

    network, layer, weights = match.groups(default="")
    return network + weights, layer
