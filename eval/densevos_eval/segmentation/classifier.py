"""A trained segmentation network at work: the class of every pixel of every frame, at the frames' own size."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from densevos.data.readers import FrameReader
from densevos.errors import InputError
from densevos.models.encoder import normalise
from densevos.models.segmentation.network import SegmentationNetwork, load_network

STRIDE = 32  # Pixels of a cell of the last stage.
FILE = "model.safetensors"


class Classifier:
    """Reads frames, scaled so that their short side has `size` pixels, as in training, and tells the class of pixels.

    classes: names of the network's classes. A 2D network sees each frame by itself, `batch` at a time; a 3D one clips
    of consecutive frames.
    """

    def __init__(
        self, network: SegmentationNetwork, classes: Sequence[str], size: int, device: torch.device, batch: int = 8
    ):
        self.network = network.eval().to(device)
        self.classes, self.size, self.device, self.batch = tuple(classes), size, device, batch

    def __call__(self, reader: FrameReader, wanted: Sequence[int]) -> Iterator[tuple[int, np.ndarray]]:
        """Index and class ids [H,W] uint8 of each of the frames `wanted` (ascending indices), in order."""
        for indices, kept in groups(len(reader), self.network.clip_frames, wanted, self.batch):
            frames = reader.read(indices)
            logits = self._logits(frames)
            for place, index in kept:
                large = F.interpolate(logits[place, None], frames.shape[1:3], mode="bilinear", align_corners=False)
                yield index, large[0].argmax(dim=0).to(torch.uint8).cpu().numpy()

    @torch.inference_mode()
    def _logits(self, frames: np.ndarray) -> Tensor:
        """Frames [T,H,W,3] uint8 -> logits [T,K,h,w] at the size that the network sees."""
        x = self._prepared(frames)
        clip = self.network.clip_frames
        if clip > len(x):  # An image is a clip whose other frames are empty (image-to-video paper A, Sec. 3).
            x = torch.cat([x, x.new_zeros(clip - len(x), *x.shape[1:])])
        features = self.network.encode(x[None])
        shown = {name: feature[:, : len(frames)] for name, feature in features.items()}
        return self.network.decode(shown, (x.shape[-2], x.shape[-1]))[0].float()

    def _prepared(self, frames: np.ndarray) -> Tensor:
        height, width = seen_size(frames.shape[1:3], self.size)
        box, how = (width, height), Image.Resampling.BILINEAR
        small = np.stack([np.asarray(Image.fromarray(frame).resize(box, how)) for frame in frames])
        return normalise(torch.from_numpy(small).to(self.device).permute(0, 3, 1, 2).float() / 255)


def model_file(path: Path) -> Path:
    """The model that `path` names: a file, or a run folder that holds one; InputError when there is none."""
    file = path / FILE if path.is_dir() else path
    if not file.is_file():
        raise InputError(
            f"--model {path}: no such file, or no {FILE} in it; give the run folder of densevos train i2v_cnn (or"
            " another i2v recipe), or its model.safetensors"
        )
    return file


def load_classifier(file: Path, device: torch.device, size: int | None = None) -> Classifier:
    """The classifier of a model file on `device`, at `size` or the size it was trained at.

    Raises InputError when the file is missing, damaged, or no segmentation network.
    """
    network, card = load_network(file)
    try:
        return Classifier(network, card["classes"], size or int(card["size"]), device)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{file}: its card is of another version ({error!r}); train it again") from error


def seen_size(size: tuple[int, ...], short: int) -> tuple[int, int]:
    """[H,W] of frames of `size` [H,W] when they are scaled to a short side, to whole cells of the last stage."""
    scale = short / min(size)
    height, width = (max(1, round(side * scale / STRIDE)) * STRIDE for side in size)
    return height, width


def groups(
    count: int, clip: int, wanted: Sequence[int], batch: int = 8
) -> Iterator[tuple[list[int], list[tuple[int, int]]]]:
    """What is read together of `count` frames: their indices, and (place among them, index) of those that are wanted.

    clip: frames that a network sees at once. 1: the wanted ones alone, `batch` at a time. Else clips of consecutive
    frames, one after the other, so that what is found in a frame does not depend on what else is wanted; the last one
    reaches back as far as needed. A video that is shorter than a clip has its last frame repeated, a single image not.
    """
    if clip == 1:
        for first in range(0, len(wanted), batch):
            indices = list(wanted[first : first + batch])
            yield indices, list(enumerate(indices))
        return
    for number, members in groupby(wanted, lambda index: index // clip):
        first = max(0, min(number * clip, count - clip))
        frames = [0] if count == 1 else [min(first + k, count - 1) for k in range(clip)]
        yield frames, [(index - first, index) for index in members]
