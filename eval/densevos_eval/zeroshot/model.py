"""Finds a trained segmentation model in its run folder, and loads it."""

from collections.abc import Sequence
from pathlib import Path

import torch

from densevos.base.errors import InputError
from densevos.inference.segmenter import Segmenter
from densevos.models.mug import load_model

FILE = "model.safetensors"
HINT = (
    "give the run folder of densevos train mug_small (or another mug recipe), its roundN, or a"
    " model.safetensors"
)


def model_file(path: Path) -> Path:
    """Find the model that `path` names.

    Args:
        path: a model file, a folder that holds one, or a run folder, whose last finished round is
            used.

    Returns:
        The model file.

    Raises:
        InputError: if there is no model.
    """
    if path.is_file():
        return path
    if not path.is_dir():
        raise InputError(f"--model {path}: no such run folder or file; {HINT}")

    if (path / FILE).is_file():
        return path / FILE

    # By number: as text, round10 would come before round2.
    rounds: dict[int, Path] = {}
    for file in path.glob(f"round*/{FILE}"):
        number = file.parent.name.removeprefix("round")
        if number.isdecimal():
            rounds[int(number)] = file

    if rounds:
        return rounds[max(rounds)]

    # A run that learned an encoder is the usual mistake, so it gets a message of its own.
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
    """Load the segmenter of a model file, at the size it was trained at.

    Args:
        file: a model.safetensors.
        device: where the segmenter computes.
        references: number K of evenly spaced frames of a video that every frame is compared with;
            None: as in training.
        flip: also segment mirror images, and average the probabilities.
        scales: sizes to segment at and to average over, as multiples of the size of training.

    Raises:
        InputError: if the file is missing, damaged, or not a segmentation model.
    """
    # The card holds the settings of training that the network needs at work.
    network, card = load_model(file)
    try:
        size, segments = int(card["size"]), int(card["segments"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{file}: its card is of another version ({error!r}); train it again"
        ) from error

    return Segmenter(network, size, references or segments, device, flip=flip, scales=scales)
