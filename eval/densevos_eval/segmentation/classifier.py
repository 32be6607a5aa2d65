"""A trained segmentation network at work: the class of every pixel of every frame, at the frames'
own size.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from densevos.base.errors import InputError
from densevos.data.sources.source import FrameReader
from densevos.models.encoder import normalise
from densevos.models.segmentation.network import SegmentationNetwork, load_network
from densevos_eval.base.devices import to_device

STRIDE = 32  # Pixels of a cell of the last stage.
FILE = "model.safetensors"
AT_ONCE = 8  # Classes that are enlarged together.


class Classifier:
    """Reads frames, scaled so that their short side has `size` pixels, as in training, and tells
    the class of pixels.

    classes: names of the network's classes. size: of training's crops, the least that the recipes
    scale short sides to there. A 2D network sees each frame by itself, `batch` at a time; a 3D one
    clips of frames that are `gap` apart, as in training, or as far as the video allows.
    """

    def __init__(
        self,
        network: SegmentationNetwork,
        classes: Sequence[str],
        size: int,
        device: torch.device,
        *,
        gap: int = 1,
        batch: int = 8,
    ):
        self.network = network.eval().to(device)
        self.classes, self.size, self.device = tuple(classes), size, device
        self.gap, self.batch = gap, batch

    def __call__(
        self, reader: FrameReader, wanted: Sequence[int]
    ) -> Iterator[tuple[int, np.ndarray]]:
        """Index and class ids [H,W] uint8 of each of the frames `wanted` (ascending indices), clip
        by clip.
        """
        for indices, kept in groups(
            len(reader), self.network.clip_frames, wanted, gap=self.gap, batch=self.batch
        ):
            frames = reader.read(indices)
            logits = self.logits(frames)
            for place, index in kept:
                yield index, class_of_pixels(logits[place], frames.shape[1:3]).cpu().numpy()

    def logits(self, frames: np.ndarray) -> Tensor:
        """Frames [T,H,W,3] uint8 -> logits [T,K,h,w] at the size that the network sees."""
        return self.see(self.shrink(frames)[None])[0]

    def shrink(self, frames: np.ndarray) -> np.ndarray:
        """Frames [T,H,W,3] uint8 -> [T,h,w,3] uint8 at the size that the network sees."""
        height, width = seen_size(frames.shape[1:3], self.size)
        box, how = (width, height), Image.Resampling.BILINEAR
        return np.stack([np.asarray(Image.fromarray(frame).resize(box, how)) for frame in frames])

    @torch.inference_mode()
    def see(self, clips: np.ndarray) -> Tensor:
        """Clips [B,T,h,w,3] uint8 of that size -> logits [B,T,K,h,w]; a 2D network sees each frame
        by itself.
        """
        pixels = to_device(clips, self.device).permute(0, 1, 4, 2, 3)
        x = normalise(pixels.float() / 255)
        shown, clip = x.shape[1], self.network.clip_frames

        if (
            clip > shown
        ):  # An image is a clip whose other frames are empty (image-to-video paper A, Sec. 3).
            x = torch.cat([x, x.new_zeros(len(x), clip - shown, *x.shape[2:])], dim=1)

        features = self.network.encode(x)
        features = {name: feature[:, :shown] for name, feature in features.items()}
        return self.network.decode(features, (x.shape[-2], x.shape[-1])).float()


def model_file(path: Path) -> Path:
    """The model that `path` names: a file, or a run folder that holds one; InputError when there is
    none.
    """
    file = path / FILE if path.is_dir() else path
    if not file.is_file():
        raise InputError(
            f"--model {path}: no such file, or no {FILE} in it; give the run folder of densevos train i2v_cnn (or"
            " another i2v recipe), or its model.safetensors"
        )

    return file


def load_classifier(file: Path, device: torch.device, size: int | None = None) -> Classifier:
    """The classifier of a model file on `device`, at `size` or the size it was trained at.

    A card that does not say how far apart the frames of clips were in training means neighbours.
    Raises InputError when the file is missing, damaged, or no segmentation network.
    """
    network, card = load_network(file)
    try:
        gap = int(card["training"].get("config", {}).get("clips", {}).get("gap", 1))
        return Classifier(network, card["classes"], size or int(card["size"]), device, gap=gap)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{file}: its card is of another version ({error!r}); train it again"
        ) from error


@torch.inference_mode()
def class_of_pixels(logits: Tensor, size: tuple[int, ...]) -> Tensor:
    """Logits [K,h,w] -> ids [H,W] uint8 of the largest at `size` [H,W].

    A few classes are enlarged at a time: all 150 of ADE20k would take 5 GB for a frame of 4K.
    """
    best = logits.new_full(size, -torch.inf)
    ids = torch.zeros(size, dtype=torch.uint8, device=logits.device)
    for first, some in enumerate(logits.split(AT_ONCE)):
        large = F.interpolate(some[None], size, mode="bilinear", align_corners=False)[0]
        highest, places = large.max(dim=0)
        ids = torch.where(highest > best, (places + first * AT_ONCE).to(torch.uint8), ids)
        best = torch.maximum(best, highest)

    return ids


def seen_size(size: tuple[int, ...], short: int) -> tuple[int, int]:
    """[H,W] of frames of `size` [H,W] when they are scaled to a short side, to whole cells of the
    last stage.
    """
    scale = short / min(size)
    height, width = (max(1, round(side * scale / STRIDE)) * STRIDE for side in size)
    return height, width


def groups(
    count: int, clip: int, wanted: Sequence[int], *, gap: int = 1, batch: int = 8
) -> Iterator[tuple[list[int], list[tuple[int, int]]]]:
    """What is read together of `count` frames: their indices, and (place among them, index) of
    those that are wanted.

    clip: frames that a network sees at once. 1: the wanted ones alone, `batch` at a time. Else
    clips of frames that are `gap` apart, one after the other; see clip_of.
    """
    if clip == 1:
        for first in range(0, len(wanted), batch):
            indices = list(wanted[first : first + batch])
            yield indices, list(enumerate(indices))
        return

    clips: dict[tuple[int, ...], list[int]] = {}
    for index in wanted:
        clips.setdefault(clip_of(index, count, clip, gap), []).append(index)

    for frames, members in clips.items():
        yield list(frames), [(frames.index(index), index) for index in members]


def clip_of(index: int, count: int, clip: int, gap: int) -> tuple[int, ...]:
    """The frames that frame `index` of `count` is seen with, itself included, whatever else is
    wanted.

    Clips tile the video: with a gap of 2, one has the even frames of a stretch and the next the odd
    ones. At the end they reach back as far as needed, and where a video is too short their frames
    lie as far apart as it allows. One of fewer frames than a clip has its last frame repeated, a
    single image not.
    """
    if count < clip:
        return (0,) if count == 1 else tuple(min(k, count - 1) for k in range(clip))

    step = next(step for step in range(gap, 0, -1) if index % step + (clip - 1) * step < count)
    within = range(index % step, count, step)
    first = min(index // (clip * step) * clip, len(within) - clip)
    return tuple(within[first : first + clip])
