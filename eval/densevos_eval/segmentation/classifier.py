"""Runs a trained segmentation network: the class of every pixel, at the frames' own size."""

# Shapes: B clips, T frames, H x W pixels of a frame, h x w pixels at the size that the network
# sees, K classes of the network.

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

STRIDE = 32  # Side of a cell of the network's last stage, in pixels.
FILE = "model.safetensors"  # Name of the model in a run folder.
AT_ONCE = 8  # Number of classes that are enlarged together; see class_of_pixels.


class Classifier:
    """Predicts the class of every pixel of a video's frames.

    Args:
        network: a trained network. It is put in eval mode and moved to `device`.
        classes: names of the network's K classes.
        size: short side that frames are scaled to for the network, in pixels. The recipes train
            with crops of this size and scale no short side below it.
        device: where the network runs.
        gap: distance between the frames of a clip, as in training. If the video is too short, it is
            the largest distance that fits. Only 3D networks see clips.
        batch: number of frames that a 2D network sees at a time, each by itself.
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
        """Yield the index and the class ids [H,W] uint8 of each wanted frame, clip by clip.

        Args:
            reader: the frames of a video.
            wanted: ascending indices of the frames to segment.
        """
        clip = self.network.clip_frames
        for indices, kept in groups(len(reader), clip, wanted, gap=self.gap, batch=self.batch):
            frames = reader.read(indices)
            logits = self.logits(frames)
            for place, index in kept:
                yield index, class_of_pixels(logits[place], frames.shape[1:3]).cpu().numpy()

    def logits(self, frames: np.ndarray) -> Tensor:
        """Predict logits [T,K,h,w] of frames [T,H,W,3] uint8 at the size that the network sees."""
        return self.see(self.shrink(frames)[None])[0]

    def shrink(self, frames: np.ndarray) -> np.ndarray:
        """Scale frames [T,H,W,3] uint8 to [T,h,w,3] uint8, the size that the network sees."""
        height, width = seen_size(frames.shape[1:3], self.size)
        small_frames = []
        for frame in frames:
            # Bilinear in Pillow averages over all pixels when it shrinks an image.
            image = Image.fromarray(frame).resize((width, height), Image.Resampling.BILINEAR)
            small_frames.append(np.asarray(image))

        return np.stack(small_frames)

    @torch.inference_mode()
    def see(self, clips: np.ndarray) -> Tensor:
        """Predict logits of clips at the size that the network sees.

        Args:
            clips: [B,T,h,w,3] uint8. A 2D network sees each frame by itself.

        Returns:
            Logits [B,T,K,h,w] float32.
        """
        # [B,T,h,w,3] -> [B,T,3,h,w]. Bytes are copied, and become floats on the device.
        pixels = to_device(clips, self.device).permute(0, 1, 4, 2, 3)
        x = normalise(pixels.float() / 255)
        shown, clip = x.shape[1], self.network.clip_frames

        # An image is a clip whose other frames are empty (image-to-video paper A, Sec. 3).
        if clip > shown:
            x = torch.cat([x, x.new_zeros(len(x), clip - shown, *x.shape[2:])], dim=1)

        features = self.network.encode(x)
        # The empty frames are not decoded.
        features = {name: feature[:, :shown] for name, feature in features.items()}
        return self.network.decode(features, (x.shape[-2], x.shape[-1])).float()


def model_file(path: Path) -> Path:
    """Find the model that `path` names.

    Args:
        path: a model file, or a run folder that holds one.

    Returns:
        The model file.

    Raises:
        InputError: if there is no model.
    """
    file = path / FILE if path.is_dir() else path
    if not file.is_file():
        raise InputError(
            f"--model {path}: no such file, or no {FILE} in it; give the run folder of densevos"
            " train i2v_cnn (or another i2v recipe), or its model.safetensors"
        )

    return file


def load_classifier(file: Path, device: torch.device, size: int | None = None) -> Classifier:
    """Load the classifier of a model file.

    Args:
        file: weights and model card of a segmentation network.
        device: where the classifier runs.
        size: short side of the frames for the network, in pixels; None: that of training.

    Raises:
        InputError: if the file is missing, damaged, or not a segmentation network.
    """
    network, card = load_network(file)
    try:
        # If the card does not give the gap, clips in training consisted of neighbouring frames.
        gap = int(card["training"].get("config", {}).get("clips", {}).get("gap", 1))
        return Classifier(network, card["classes"], size or int(card["size"]), device, gap=gap)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{file}: its card is of another version ({error!r}); train it again"
        ) from error


@torch.inference_mode()
def class_of_pixels(logits: Tensor, size: tuple[int, ...]) -> Tensor:
    """Enlarge logits to the frame's size and take the class with the largest one.

    A few classes are enlarged at a time: all 150 of ADE20k would take 5 GB for a frame of 4K.

    Args:
        logits: [K,h,w].
        size: [H,W] of the frame.

    Returns:
        Class ids [H,W] uint8.
    """
    best = logits.new_full(size, -torch.inf)
    ids = torch.zeros(size, dtype=torch.uint8, device=logits.device)
    for chunk_index, chunk in enumerate(logits.split(AT_ONCE)):
        # [k,H,W] of k classes, at most AT_ONCE.
        large = F.interpolate(chunk[None], size, mode="bilinear", align_corners=False)[0]
        highest, places = large.max(dim=0)
        # `>` keeps the lower id of two equal logits, as argmax over all classes would.
        ids = torch.where(highest > best, (places + chunk_index * AT_ONCE).to(torch.uint8), ids)
        best = torch.maximum(best, highest)

    return ids


def seen_size(size: tuple[int, ...], short: int) -> tuple[int, int]:
    """Compute the size that the network sees.

    Args:
        size: [H,W] of a frame.
        short: length to scale its short side to, in pixels.

    Returns:
        [h,w], both rounded to multiples of STRIDE, so that the last stage has no partial cells.
    """
    scale = short / min(size)
    height = max(1, round(size[0] * scale / STRIDE)) * STRIDE
    width = max(1, round(size[1] * scale / STRIDE)) * STRIDE
    return height, width


def groups(
    count: int, clip: int, wanted: Sequence[int], *, gap: int = 1, batch: int = 8
) -> Iterator[tuple[list[int], list[tuple[int, int]]]]:
    """Group the frames of a video that the network sees together.

    Args:
        count: number of frames of the video.
        clip: number of frames of a clip. With 1, groups hold wanted frames only, `batch` at a time.
            Otherwise a group is a clip of frames that are `gap` apart; see clip_of.
        wanted: ascending indices of the frames to segment.
        gap: distance between the frames of a clip.
        batch: number of frames in a group if `clip` is 1.

    Yields:
        Indices of the frames of a group, and (place in the group, index) of the wanted ones.
    """
    if clip == 1:
        for first in range(0, len(wanted), batch):
            indices = list(wanted[first : first + batch])
            yield indices, list(enumerate(indices))
        return

    # Wanted frames of the same clip share one pass of the network.
    clips: dict[tuple[int, ...], list[int]] = {}
    for index in wanted:
        clips.setdefault(clip_of(index, count, clip, gap), []).append(index)

    for frames, members in clips.items():
        places = map(frames.index, members)
        yield list(frames), list(zip(places, members, strict=True))


def clip_of(index: int, count: int, clip: int, gap: int) -> tuple[int, ...]:
    """Find the clip that frame `index` is seen in. It does not depend on the other wanted frames.

    Clips tile the video: with a gap of 2, one clip has the even frames of a stretch and the next
    the odd ones. The last clip reaches back as far as needed. If the video is too short for the
    gap, the gap becomes the largest that fits.

    Args:
        index: the frame.
        count: number of frames of the video.
        clip: number of frames of a clip.
        gap: distance between the frames of a clip.

    Returns:
        Ascending frame indices. If the video has fewer frames than a clip, its last frame is
        repeated. A single image is returned alone.
    """
    # The network fills up a single image with empty frames itself.
    if count == 1:
        return (0,)

    if count < clip:
        return tuple(min(k, count - 1) for k in range(clip))

    # The largest distance up to `gap` at which a clip from the phase of `index` fits.
    step = next(step for step in range(gap, 0, -1) if index % step + (clip - 1) * step < count)
    # All frames at the phase of `index`: the clip is `clip` neighbours among them.
    in_phase = range(index % step, count, step)
    # Clips tile the frames in phase. The last one is moved back to end with the video.
    first = min(index // (clip * step) * clip, len(in_phase) - clip)
    return tuple(in_phase[first : first + clip])
