"""A trained segmentation model, found in its run folder."""

from collections.abc import Sequence
from pathlib import Path

import torch

from densevos.base.errors import InputError
from densevos.inference.segmenter import Segmenter
from densevos.models.mug import load_model

FILE = "model.safetensors"
HINT = "give the run folder of densevos train mug_small (or another mug recipe), its roundN, or a model.safetensors"


def model_file(path: Path) -> Path:
    """The model that `path` names: a file, a folder that holds one, or a run folder, whose last
    finished round counts.

    Raises InputError when there is none.
    """
    if path.is_file():
        return path
    if not path.is_dir():
        raise InputError(f"--model {path}: no such run folder or file; {HINT}")

    rounds = [
        file
        for file in path.glob(f"round*/{FILE}")
        if file.parent.name.removeprefix("round").isdecimal()
    ]
    if (path / FILE).is_file():
        return path / FILE
    if rounds:
        return max(rounds, key=lambda file: int(file.parent.name.removeprefix("round")))
    if (path / "encoder.safetensors").is_file():
        raise InputError(
            f"--model {path}: holds an encoder alone, which finds no objects by itself; {HINT}"
        )

    raise InputError(f"--model {path}: holds no {FILE}, nor does a round1 in it; {HINT}")


def load_segmenter(
    file: Path,
    device: torch.device,
    references: int | None = None,
    *,
    flip: bool = False,
    scales: Sequence[float] = (1.0,),
) -> Segmenter:
    """The segmenter of a model file on `device`, at the size it was trained at.

    Args:
        file: A model.safetensors.
        device: Where it computes.
        references: K, how many evenly spaced frames of a video every frame is compared with; as in
            training when None.
        flip: Segment mirror images too, and average.
        scales: Sizes to segment at and to average over, as multiples of the size of training.

    Raises:
        InputError: the file is missing, damaged, or no segmentation model.
    """
    network, card = load_model(file)
    try:
        size, segments = int(card["size"]), int(card["segments"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{file}: its card is of another version ({error!r}); train it again"
        ) from error

    return Segmenter(network, size, references or segments, device, flip=flip, scales=scales)
