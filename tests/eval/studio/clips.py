"""A small clip for the studio: a disc and a square that move over a ground with a pattern."""

from functools import cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from densevos_eval.adapters.encoder import load_encoder
from densevos_eval.propagation.propagate import Propagation
from densevos_eval.propagation.settings import PropagationConfig

FRAMES, HEIGHT, WIDTH = 6, 72, 96


def frame(time: int) -> np.ndarray:
    """A frame [72,96,3] uint8."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    picture = np.stack([60 + columns // 4, 90 + rows // 3, 70 + (rows + columns) % 8], -1).astype(
        np.uint8
    )
    picture[disc(time)] = (220, 60, 50)
    picture[square(time)] = (50, 70, 230)
    return picture


def disc(time: int) -> np.ndarray:
    """The mask [72,96] bool of the disc."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return (rows - 30) ** 2 + (columns - 24 - 3 * time) ** 2 < 14**2


def square(time: int) -> np.ndarray:
    """The mask [72,96] bool of the square."""
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[50:66, 70 - 3 * time : 86 - 3 * time] = True
    return mask


def write_clip(folder: Path) -> Path:
    """The clip as a folder of PNG frames."""
    folder.mkdir(parents=True)
    for time in range(FRAMES):
        Image.fromarray(frame(time)).save(folder / f"{time:05d}.png")
    return folder


@cache
def propagation() -> Propagation:
    """A quick encoder with random weights, and settings of small frames."""
    torch.set_num_threads(1)
    encoder = load_encoder("random:resnet18", layer="res3", device="cpu")
    return Propagation(encoder=encoder, config=PropagationConfig(context=2, radius=3), max_side=96)
