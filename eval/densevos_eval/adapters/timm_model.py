"""timm's models: timm:NAME[@LAYER][:WEIGHTS], vision transformers (DINO, DINOv2, ...) and CNNs."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from densevos.base.errors import InputError
from densevos.models.foreign import differences
from densevos_eval.adapters import timm_weights
from densevos_eval.adapters.backbone import Backbone, shortened
from densevos_eval.adapters.timm_positions import can_interpolate, with_dino_positions

DENSE = 8  # Pixels per cell that CNNs are brought to where timm can dilate them.


def load(name: str, weights: str | None, of: str | None = None) -> Backbone:
    """A model of timm's; the layers are numbered from 0.

    Vision transformers: patch tokens behind each block, with the final norm, without class and
    register tokens; positions are interpolated to the frame; the last block by default. CNNs: the
    stages, dilated to stride 8 where timm offers it; the deepest at stride 8 or less by default.

    weights: a local file of the same model; none for an untrained one; left out, timm fetches its
    own. of: which of the networks in the file.

    Raises InputError when timm is not installed, for unknown names, and for weights that cannot be
    had or do not fit.
    """
    timm = _timm()
    spec = f"timm:{name}" + (f":{weights}" if weights else "")
    if not timm.is_model(name):
        near = ", ".join(timm.list_models(f"*{name.split('.')[0][:12]}*")[:5])
        raise InputError(
            f"--encoder {spec}: timm knows no such model{f'; similar are {near}' if near else ''}"
        )

    file = Path(weights) if weights and weights != "none" else None
    options = (
        timm_weights.options(timm, name, file, of) if file else {"pretrained": weights != "none"}
    )
    model = _model(timm, name, spec, options)

    if not hasattr(model, "forward_intermediates"):
        raise InputError(
            f"--encoder {spec}: this model gives no features of its layers; choose another"
        )

    reductions = [int(stage["reduction"]) for stage in _stages(model)]
    transformer = len(set(reductions)) == 1
    layers = _Layers(model, norm=transformer)
    positions = {"timm": layers}
    if can_interpolate(model):
        positions["dino"] = _Layers(with_dino_positions(model), norm=transformer)

    mean, std = timm_weights.normalisation(model, name, file)
    fine = [k for k, reduction in enumerate(reductions) if transformer or reduction <= DENSE]
    return Backbone(
        kind="timm",
        architecture=name,
        features=layers,
        positions=positions if len(positions) > 1 else {},
        strides=dict.fromkeys(map(str, range(len(reductions)))),
        default=str(max(fine, default=0)),
        module=model,
        padded=True if transformer else None,
        mean=mean,
        std=std,
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
        raise InputError(
            "--encoder timm:...: timm is not installed; pip install 'densevos[timm]'"
        ) from None

    return timm


def _model(timm: Any, name: str, spec: str, options: dict[str, Any]) -> Any:
    """The model in its densest form: a transformer for frames of any size, a CNN at stride 8, or as
    it is.
    """
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


def _failed(
    timm: Any, name: str, spec: str, options: dict[str, Any], error: Exception
) -> InputError:
    if not options["pretrained"]:
        return _cannot(spec, error)
    if "pretrained_cfg_overlay" in options:
        state = options["pretrained_cfg_overlay"]["state_dict"]
        reason = differences(state, timm_weights.wanted(timm, name)) or shortened(error)
        return InputError(
            f"--encoder {spec}: the weights do not fit ({reason}); name the model they belong to"
        )

    return InputError(
        f"--encoder {spec}: weights cannot be fetched ({shortened(error)}); download them elsewhere and give "
        f"timm:{name}:FILE.pth, or timm:{name}:none for an untrained model"
    )


def _stages(model: Any) -> list[dict[str, Any]]:
    information = model.feature_info
    return information if isinstance(information, list) else list(information.info)
