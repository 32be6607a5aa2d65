"""timm's models: timm:NAME[@LAYER][:WEIGHTS], vision transformers (DINO, DINOv2, ...) and CNNs."""

# Shapes: B batch, H x W pixels of a frame, C channels of a feature, h x w cells of the feature map.

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from densevos.base.errors import InputError
from densevos.models.foreign import differences
from densevos_eval.adapters import timm_weights
from densevos_eval.adapters.backbone import Backbone, shortened
from densevos_eval.adapters.timm_positions import can_interpolate, with_dino_positions

DENSE = 8
"""Pixels per cell of CNNs, if timm can dilate them."""


def load(name: str, weights: str | None, of: str | None = None) -> Backbone:
    """Load a model of timm. Its layers are numbered from 0.

    The layers of a vision transformer are the patch tokens after each block, with the final norm,
    without class and register tokens. Positions are interpolated to the frame. The default is the
    last block. The layers of a CNN are its stages, dilated to stride 8 if timm can do it. The
    default is the deepest stage with stride 8 or less.

    Args:
        name: Name of the model in timm.
        weights: A local file of the same model, or none for an untrained one. When left out, timm
            downloads its own weights.
        of: Which of several networks in the file to take.

    Raises:
        InputError: timm is not installed, the name is unknown, or the weights cannot be loaded or
            do not fit.
    """
    timm = _timm()
    spec = f"timm:{name}" + (f":{weights}" if weights else "")
    if not timm.is_model(name):
        # Names start with the family, and end with a tag after a full stop.
        similar = timm.list_models(f"*{name.split('.')[0][:12]}*")[:5]
        hint = f"; similar are {', '.join(similar)}" if similar else ""
        raise InputError(f"--encoder {spec}: timm knows no such model{hint}")

    file: Path | None = None
    options: dict[str, Any] = {"pretrained": weights != "none"}
    if weights and weights != "none":
        file = Path(weights)
        options = timm_weights.options(timm, name, file, of)

    model = _model(timm, name, spec, options)

    if not hasattr(model, "forward_intermediates"):
        raise InputError(
            f"--encoder {spec}: this model gives no features of its layers; choose another"
        )

    # All blocks of a transformer have one stride, but the stages of a CNN differ.
    reductions = [int(stage["reduction"]) for stage in _stages(model)]
    transformer = len(set(reductions)) == 1
    layers = _Layers(model, norm=transformer)
    positions = {"timm": layers}
    if can_interpolate(model):
        positions["dino"] = _Layers(with_dino_positions(model), norm=transformer)

    # The last block of a transformer, or the deepest fine stage of a CNN.
    default = 0
    for layer, reduction in enumerate(reductions):
        if transformer or reduction <= DENSE:
            default = layer

    # Strides of None are measured, and so is whether a CNN needs whole cells.
    mean, std = timm_weights.normalisation(model, name, file)
    return Backbone(
        kind="timm",
        architecture=name,
        features=layers,
        positions=positions if len(positions) > 1 else {},
        strides=dict.fromkeys(map(str, range(len(reductions)))),
        default=str(default),
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
        features: Tensor = self.model.forward_intermediates(
            frames, indices=[int(layer)], norm=self.norm, stop_early=True, intermediates_only=True
        )[0]
        return features


def _timm() -> Any:
    """timm, which is an optional dependency."""
    try:
        import timm
    except ImportError:
        raise InputError(
            "--encoder timm:...: timm is not installed; pip install 'densevos[timm]'"
        ) from None

    return timm


def _model(timm: Any, name: str, spec: str, options: dict[str, Any]) -> Any:
    """The model in its densest form.

    A transformer takes frames of any size, a CNN has stride 8. Models that offer neither stay as
    they are.
    """
    # The denser forms come first; a model refuses the arguments that it does not know.
    for form in ({"dynamic_img_size": True}, {"output_stride": DENSE}, {}):
        try:
            # Weights of an untrained model are always the same, and the caller's random numbers do
            # not change.
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                return timm.create_model(name, num_classes=0, **form, **options).eval()
        except (TypeError, NotImplementedError, AssertionError) as error:  # the form is not offered
            refused: Exception = error
        except Exception as error:  # timm and its hub may raise any type of error
            raise _failed(timm, name, spec, options, error) from error

    raise _cannot(spec, refused) from refused


def _cannot(spec: str, error: Exception) -> InputError:
    return InputError(
        f"--encoder {spec}: timm cannot make this model "
        f"({type(error).__name__}: {shortened(error)}); choose another"
    )


def _failed(
    timm: Any, name: str, spec: str, options: dict[str, Any], error: Exception
) -> InputError:
    """The error of a model that timm failed to create, by where its weights come from."""
    if not options["pretrained"]:
        return _cannot(spec, error)

    # Weights from a file.
    if "pretrained_cfg_overlay" in options:
        state = options["pretrained_cfg_overlay"]["state_dict"]
        reason = differences(state, timm_weights.wanted(timm, name)) or shortened(error)
        return InputError(
            f"--encoder {spec}: the weights do not fit ({reason}); name the model they belong to"
        )

    return InputError(
        f"--encoder {spec}: weights cannot be fetched ({shortened(error)}); download them "
        f"elsewhere and give timm:{name}:FILE.pth, or timm:{name}:none for an untrained model"
    )


def _stages(model: Any) -> list[dict[str, Any]]:
    """What timm says of each layer of a model: a list, or an object that holds one."""
    information = model.feature_info
    if isinstance(information, list):
        return information

    return list(information.info)
