"""timm's models: timm:NAME[@LAYER][:WEIGHTS], vision transformers (DINO, DINOv2, ...) and CNNs."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from densevos.base.errors import InputError
from densevos.models.foreign import UnreadableError, below, differences, of_network
from densevos_eval.adapters.backbone import Backbone, shortened
from densevos_eval.adapters.weights import read_weights

DENSE = 8  # Pixels per cell that CNNs are brought to where timm can dilate them.
PREFIXES = ("module.", "backbone.")  # of names that timm converts, and so are not the model's own
UNUSED = ("decoder_", "masked_embed")  # beside the encoder: MAE's decoder, what iBOT puts for masked patches


def load(name: str, weights: str | None) -> Backbone:
    """A model of timm's; the layers are numbered from 0.

    Vision transformers: patch tokens behind each block, with the final norm, without class and register tokens;
    positions are interpolated to the frame; the last block by default. CNNs: the stages, dilated to stride 8 where
    timm offers it; the deepest at stride 8 or less by default.

    weights: a local file of the same model; none for an untrained one; left out, timm fetches its own.

    Raises InputError when timm is not installed, for unknown names, and for weights that cannot be had or do not fit.
    """
    timm = _timm()
    spec = f"timm:{name}" + (f":{weights}" if weights else "")
    if not timm.is_model(name):
        near = ", ".join(timm.list_models(f"*{name.split('.')[0][:12]}*")[:5])
        raise InputError(f"--encoder {spec}: timm knows no such model{f'; similar are {near}' if near else ''}")
    file = Path(weights) if weights and weights != "none" else None
    model = _model(timm, name, spec, _options(timm, name, file, weights))
    if not hasattr(model, "forward_intermediates"):
        raise InputError(f"--encoder {spec}: this model gives no features of its layers; choose another")
    reductions = [int(stage["reduction"]) for stage in _stages(model)]
    transformer = len(set(reductions)) == 1
    fine = [k for k, reduction in enumerate(reductions) if transformer or reduction <= DENSE]
    return Backbone(
        kind="timm",
        architecture=name,
        features=_Layers(model, norm=transformer),
        strides=dict.fromkeys(map(str, range(len(reductions)))),
        default=str(max(fine, default=0)),
        module=model,
        padded=True if transformer else None,
        mean=tuple(model.pretrained_cfg["mean"]),
        std=tuple(model.pretrained_cfg["std"]),
        files=(file,) if file else (),
    )


class _Layers:
    """Frames [B,3,H,W] and the number of a layer -> its features [B,C,h,w]."""

    def __init__(self, model: Any, *, norm: bool):
        self.model = model
        self.norm = norm

    def __call__(self, frames: Tensor, layer: str) -> Tensor:
        return self.model.forward_intermediates(
            frames, indices=[int(layer)], norm=self.norm, stop_early=True, intermediates_only=True
        )[0]


def _timm() -> Any:
    try:
        import timm
    except ImportError:
        raise InputError("--encoder timm:...: timm is not installed; pip install 'densevos[timm]'") from None
    return timm


def _options(timm: Any, name: str, file: Path | None, weights: str | None) -> dict[str, Any]:
    """Arguments of timm.create_model that load the weights, strictly: all must be there, and no others."""
    if weights == "none":
        return {"pretrained": False}
    if file is None:
        return {"pretrained": True}
    state = read_weights(file)
    try:
        state = of_network(state, _wanted(timm, name))
    except UnreadableError as error:
        raise InputError(f"{file}: {error}") from error
    for prefix in PREFIXES:
        state = below(state, prefix) or state
    config = timm.get_pretrained_cfg(name)
    classifier = getattr(config, "classifier", None) or ()
    heads = (classifier,) if isinstance(classifier, str) else tuple(classifier)
    unused = (*UNUSED, *(f"{head}." for head in heads))
    state = {key: tensor for key, tensor in state.items() if not key.startswith(unused)}
    return {"pretrained": True, "pretrained_cfg_overlay": {"state_dict": state, "num_classes": 0, "label_offset": 0}}


def _wanted(timm: Any, name: str) -> dict[str, Tensor]:
    """Names and shapes of a model's weights; none where it cannot be made without values."""
    try:
        with torch.device("meta"):
            return timm.create_model(name, pretrained=False, num_classes=0).state_dict()
    except Exception:  # what is wrong with the model is told when it is made
        return {}


def _model(timm: Any, name: str, spec: str, options: dict[str, Any]) -> Any:
    """The model in its densest form: a transformer for frames of any size, a CNN at stride 8, or as it is."""
    for form in ({"dynamic_img_size": True}, {"output_stride": DENSE}, {}):
        try:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                return timm.create_model(name, num_classes=0, **form, **options).eval()
        except (TypeError, NotImplementedError, AssertionError) as error:  # the form is not offered
            refused: Exception = error
        except Exception as error:  # timm and the hub raise whatever they like
            raise _failed(timm, name, spec, options, error) from error
    raise _cannot(spec, refused) from refused


def _cannot(spec: str, error: Exception) -> InputError:
    return InputError(
        f"--encoder {spec}: timm cannot make this model ({type(error).__name__}: {shortened(error)}); choose another"
    )


def _failed(timm: Any, name: str, spec: str, options: dict[str, Any], error: Exception) -> InputError:
    if not options["pretrained"]:
        return _cannot(spec, error)
    if "pretrained_cfg_overlay" in options:
        state = options["pretrained_cfg_overlay"]["state_dict"]
        reason = differences(state, _wanted(timm, name)) or shortened(error)
        return InputError(f"--encoder {spec}: the weights do not fit ({reason}); name the model they belong to")
    return InputError(
        f"--encoder {spec}: weights cannot be fetched ({shortened(error)}); download them elsewhere and give "
        f"timm:{name}:FILE.pth, or timm:{name}:none for an untrained model"
    )


def _stages(model: Any) -> list[dict[str, Any]]:
    information = model.feature_info
    return information if isinstance(information, list) else list(information.info)
