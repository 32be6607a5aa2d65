"""Every preset against its program: the whole way from frames and a first mask to masks, written
out plainly.

The programs below do what those of `Preset.program` do, with all similarities at once and no code
of ours, on an encoder of one convolution. Soft labels of cells agree within 1e-5, labels of pixels
on 99.99 % of them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from densevos_eval import Propagator
from densevos_eval.adapters.encoder import Encoder
from densevos_eval.presets.registry import PRESETS
from densevos_eval.propagation.settings import Setup

IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
DINO = (0.485, 0.456, 0.406), (0.228, 0.224, 0.225)
HEIGHT, WIDTH, FRAMES = 117, 190, 4  # No side is a multiple of a cell.


@dataclass
class Result:
    """Soft labels [L,h,w] and masks [H,W] of every frame."""

    soft: list[Tensor]
    masks: list[np.ndarray]


def clip() -> tuple[list[np.ndarray], np.ndarray]:
    """Frames [H,W,3] of two squares that wander over noise, and their mask in the first."""
    rng = np.random.default_rng(0)
    ground = cv2.resize(rng.integers(0, 256, (15, 24, 3), dtype=np.uint8), (WIDTH, HEIGHT))
    looks = rng.integers(0, 256, (2, 40, 50, 3), dtype=np.uint8)
    frames, mask = [], np.zeros((HEIGHT, WIDTH), np.uint8)
    for t in range(FRAMES):
        frame = ground.copy()
        for k, (top, left) in enumerate(((20 + 4 * t, 30 + 6 * t), (60 - 3 * t, 120 - 5 * t))):
            frame[top : top + 40, left : left + 50] = looks[k]
            if t == 0:
                mask[top : top + 40, left : left + 50] = k + 1
        frames.append(np.clip(frame + rng.normal(0, 6, frame.shape), 0, 255).astype(np.uint8))
    return frames, mask


def patches(side: int) -> Callable[[Tensor], Tensor]:
    """A network of patches: frames [B,3,H,W] -> [B,24,H/side,W/side]."""
    weights = torch.randn(24, 3, side, side, generator=torch.Generator().manual_seed(1)) / side
    return lambda frames: F.conv2d(frames, weights, stride=side)


def convolution(side: int) -> Callable[[Tensor], Tensor]:
    """A network of convolutions that pads: frames [B,3,H,W] -> [B,24,ceil(H/side),ceil(W/side)]."""
    weights = (
        torch.randn(24, 3, side + 1, side + 1, generator=torch.Generator().manual_seed(1)) / side
    )
    return lambda frames: F.conv2d(frames, weights, stride=side, padding=side // 2)


def normalised(pixels: np.ndarray, statistics: tuple) -> Tensor:
    """[1,3,H,W] of RGB [H,W,3] in 0..1."""
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in statistics)
    return (
        torch.from_numpy(np.ascontiguousarray(pixels)).float().permute(2, 0, 1)[None] - mean
    ) / std


def near(size: tuple[int, int], rule: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Whether cells [h*w,h*w] are near: `rule` of rows and columns apart."""
    y, x = torch.meshgrid(torch.arange(size[0]), torch.arange(size[1]), indexing="ij")
    y, x = y.flatten().float(), x.flatten().float()
    return rule((y[:, None] - y).abs(), (x[:, None] - x).abs())


def one_hot(ids: np.ndarray, objects: int = 3) -> Tensor:
    return F.one_hot(torch.from_numpy(ids.astype(np.int64)), objects).permute(2, 0, 1).float()


def pillow_nearest(ids: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return np.asarray(Image.fromarray(ids).resize(size[::-1], Image.Resampling.NEAREST))


def stretched(maps: Tensor) -> Tensor:
    """Every map [H,W] of [L,H,W] less its least value, over its largest."""
    low, high = maps.flatten(1).min(1).values, maps.flatten(1).max(1).values
    return torch.nan_to_num((maps - low[:, None, None]) / (high - low)[:, None, None])


def of_context(
    features: list[Tensor], labels: list[Tensor], context: list[int], query: Tensor
) -> tuple:
    """Similarities [cells, n * cells] of unit features to those of the context, and its labels [L,
    n * cells].
    """
    keys = torch.cat([F.normalize(features[i], dim=0).flatten(1) for i in context], dim=1)
    return F.normalize(query, dim=0).flatten(1).T @ keys, torch.cat(
        [labels[i].flatten(1) for i in context], dim=1
    )


def walk(
    frames: list[Tensor],
    network: Callable,
    first: Tensor,
    radius: float,
    k: int,
    temperature: float,
) -> list:
    """CRW: the first frame everywhere, it or a recent frame within a circle in each of 20 places,
    the k best.
    """
    features, labels = [network(frame)[0] for frame in frames], [first]
    allowed = near(first.shape[1:], lambda dy, dx: (dy**2 + dx**2).sqrt() < radius)
    for t in range(1, len(frames)):
        context = [0, *(max(0, t - 20 + i) for i in range(20))]
        similarity, known = of_context(features, labels, context, features[t])
        everywhere = torch.ones_like(allowed)
        similarity = similarity.masked_fill(~torch.cat([everywhere, *[allowed] * 20], dim=1), -1e10)
        best, index = (similarity / temperature).topk(k, dim=1)
        labels.append((known[:, index] * best.softmax(1)).sum(2).view_as(first))
    return labels


def crw(frames: list[np.ndarray], mask: np.ndarray) -> Result:
    tensors = [normalised(frame / np.float32(255), IMAGENET) for frame in frames]
    network = convolution(8)
    cells = network(tensors[0]).shape[-1:-3:-1]
    given = cv2.resize(one_hot(mask).permute(1, 2, 0).numpy(), cells)
    soft = walk(tensors, network, torch.from_numpy(given).permute(2, 0, 1), 12, 10, 0.05)
    large = [cv2.resize(one.permute(1, 2, 0).numpy(), (WIDTH, HEIGHT)) for one in soft]
    return Result(soft, [mask, *(one.argmax(2).astype(np.uint8) for one in large[1:])])


def dul(frames: list[np.ndarray], mask: np.ndarray) -> Result:
    tensors = [normalised(frame / np.float32(255), IMAGENET) for frame in frames]
    network = convolution(8)
    cells = network(tensors[0]).shape[2:]
    given = F.interpolate(one_hot(mask)[None], cells, mode="bilinear", align_corners=True)[0]
    soft = walk(tensors, network, given, 12, 10, 0.05)
    large = [
        F.interpolate(one[None], mask.shape, mode="bilinear", align_corners=True)[0] for one in soft
    ]
    return Result(soft, [mask, *(one.argmax(0).byte().numpy() for one in large[1:])])


def cropmae(frames: list[np.ndarray], mask: np.ndarray) -> Result:
    """Masks are compared with annotations of 480x880; each pixel of the given one is that at an
    upper left corner.
    """
    tensors = [
        normalised(cv2.resize(frame.astype(np.float32) / 255, (880, 480)), IMAGENET)
        for frame in frames
    ]
    converted = cv2.resize(mask, (880, 480), interpolation=cv2.INTER_NEAREST)
    given = cv2.resize(one_hot(converted).permute(1, 2, 0).numpy(), (55, 30))
    soft = walk(tensors, patches(16), torch.from_numpy(given).permute(2, 0, 1), 20, 7, 0.7)
    large = [cv2.resize(one.permute(1, 2, 0).numpy(), (880, 480)) for one in soft]
    return Result(
        soft,
        [pillow_nearest(mask, (480, 880)), *(one.argmax(2).astype(np.uint8) for one in large[1:])],
    )


def thresholded(
    tensors: list[Tensor],
    first: Tensor,
    network: Callable,
    near: Tensor,
    context: int,
    k: int,
    temperature: float,
) -> list:
    """DINO: the first and the recent frames, near cells only, all that are not worse than the
    k-th.
    """
    features, labels = [network(frame)[0] for frame in tensors], [first]
    for t in range(1, len(tensors)):
        frames = [0, *range(max(1, t - context), t)]
        similarity, known = of_context(features, labels, frames, features[t])
        weights = (similarity / temperature).exp() * near.float().repeat(1, len(frames))
        weights[weights < weights.topk(k, dim=1).values[:, -1:]] = 0
        labels.append((known @ (weights / weights.sum(1, keepdim=True)).T).view_as(first))
    return labels


def dino(
    frames: list[np.ndarray], mask: np.ndarray, window: int = 12, context: int = 7, k: int = 5
) -> Result:
    height, width = mask.shape
    size = (480, int(480 * width / height // 64 * 64))
    tensors = [
        normalised(cv2.resize(frame, size[::-1]) / np.float32(255), DINO) for frame in frames
    ]
    first = one_hot(pillow_nearest(mask, (size[0] // 16, size[1] // 16)))
    allowed = near(first.shape[1:], lambda dy, dx: (dy <= window) & (dx <= window))
    soft = thresholded(tensors, first, patches(16), allowed, context, k, 0.1)
    masks = [mask]
    for one in soft[1:]:
        large = stretched(
            F.interpolate(one[None], scale_factor=16, mode="bilinear", align_corners=False)[0]
        )
        masks.append(pillow_nearest(large.argmax(0).byte().numpy(), mask.shape))
    return Result(soft, masks)


def rsp(frames: list[np.ndarray], mask: np.ndarray) -> Result:
    """DINO's program on a data set of JPEG files of 480x880, which annotations have too."""
    converted = []
    for frame in frames:
        file = BytesIO()
        Image.fromarray(pillow_nearest(frame, (480, 880))).save(file, "JPEG")
        converted.append(np.asarray(Image.open(file)))
    return dino(converted, pillow_nearest(mask, (480, 880)), window=30, context=30, k=7)


def dinov3(frames: list[np.ndarray], mask: np.ndarray) -> Result:
    """Patches of 32 pixels, to be quick."""
    size = (960, int(np.ceil(WIDTH * 960 / HEIGHT / 32) * 32))
    resized = [
        np.asarray(Image.fromarray(one).resize(size[::-1], Image.Resampling.BICUBIC))
        for one in frames
    ]
    tensors = [normalised(frame / np.float32(255), IMAGENET) for frame in resized]
    cells = (size[0] // 32, size[1] // 32)
    small = F.interpolate(torch.from_numpy(mask)[None, None].float(), cells, mode="nearest-exact")[
        0, 0
    ]
    first = one_hot(small.numpy())
    allowed = near(cells, lambda dy, dx: (dy**2 + dx**2).sqrt() <= 12)
    soft = thresholded(tensors, first, patches(32), allowed, 7, 5, 0.2)
    large = [stretched(F.interpolate(one[None], mask.shape, mode="nearest")[0]) for one in soft]
    return Result(soft, [mask, *(one.argmax(0).byte().numpy() for one in large[1:])])


def vfs(frames: list[np.ndarray], mask: np.ndarray) -> Result:
    """The context holds the first frame, and once more while it is one of the 20 before; the mask
    is resized twice.
    """
    size = (480, int(WIDTH * 480 / HEIGHT + 0.5))
    tensors = [
        normalised(cv2.resize(frame, size[::-1]) / np.float32(255), IMAGENET) for frame in frames
    ]
    network = convolution(16)
    features = [network(frame)[0] for frame in tensors]
    cells = features[0].shape[1:]
    first = one_hot(pillow_nearest(pillow_nearest(mask, size), cells))
    allowed, labels = near(cells, lambda dy, dx: (dy**2 + dx**2).sqrt() < 12), [first]
    masks = [mask]
    for t in range(1, len(frames)):
        context = [0, *range(max(0, t - 20), t)]
        similarity, known = of_context(features, labels, context, features[t])
        similarity = similarity.masked_fill(~allowed.repeat(1, len(context)), -torch.inf)
        best, index = (similarity / 0.07).topk(10, dim=1)
        labels.append((known[:, index] * best.softmax(1)).sum(2).view_as(labels[0]))
        large = F.interpolate(labels[t][None], mask.shape, mode="bilinear", align_corners=False)[0]
        masks.append(stretched(large).argmax(0).byte().numpy())
    return Result(labels, masks)


def uvc(frames: list[np.ndarray], mask: np.ndarray) -> Result:
    """Cells of 16 pixels instead of 8, to be quick."""
    size = (480, int(480 * WIDTH / HEIGHT // 64 * 64))
    tensors = []
    for frame in frames:
        small = cv2.resize(np.ascontiguousarray(frame[..., ::-1]), size[::-1])
        lightness = cv2.cvtColor(small, cv2.COLOR_BGR2LAB)[..., :1].astype(np.float32)
        tensors.append(
            normalised(np.repeat(((lightness - 128) / 128 + 1) / 2, 3, axis=2), IMAGENET)
        )
    features = [convolution(16)(frame)[0] for frame in tensors]
    labels, masks = [one_hot(pillow_nearest(mask, features[0].shape[1:]))], [mask]
    for t in range(1, len(frames)):
        votes = []
        for source in (0, *range(max(1, t - 7), t)):
            weights = (features[source].flatten(1).T @ features[t].flatten(1)).softmax(0)
            weights[weights < weights.topk(5, dim=0).values.min(0).values] = 0
            votes.append(labels[source].flatten(1) @ weights)
        labels.append(torch.stack(votes).mean(0).view_as(labels[0]))
        large = stretched(
            F.interpolate(labels[t][None], scale_factor=16, mode="bilinear", align_corners=False)[0]
        )
        masks.append(pillow_nearest(large.argmax(0).byte().numpy(), mask.shape))
    return Result(labels, masks)


PROGRAMS = {
    "crw": (crw, convolution(8), 8),
    "cropmae": (cropmae, patches(16), 16),
    "dino": (dino, patches(16), 16),
    "dinov3": (dinov3, patches(32), 32),
    "dul": (dul, convolution(8), 8),
    "rsp": (rsp, patches(16), 16),
    "uvc": (uvc, convolution(16), 16),
    "vfs": (vfs, convolution(16), 16),
}


def ours(
    setup: Setup, network: Callable[[Tensor], Tensor], side: int, statistics: tuple, padded: bool
) -> Result:
    frames, mask = clip()
    encoder = Encoder(
        name="one convolution",
        layer="",
        stride=side,
        network=network,
        device=torch.device("cpu"),
        mean=statistics[0],
        std=statistics[1],
        frames=setup.frames,
        padded=padded,
    )
    propagator = Propagator(encoder, setup.propagation, setup.masks)
    result = Result([], [])
    for t, frame in enumerate(frames):
        result.masks.append(propagator.step(frame, mask if t == 0 else None))
        assert propagator._last is not None
        result.soft.append(propagator._last.soft)
    return result


@pytest.mark.slow
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_preset_is_its_program(name: str) -> None:
    torch.set_num_threads(1)
    program, network, side = PROGRAMS[name]
    preset = PRESETS[name]
    assert preset.normalisation is not None
    statistics = (preset.normalisation.mean, preset.normalisation.std)
    found = ours(
        preset.setup, network, side, statistics, padded=network.__qualname__.startswith("patches")
    )
    expected = program(*clip())
    for soft, theirs in zip(found.soft, expected.soft, strict=True):
        torch.testing.assert_close(soft, theirs, rtol=0, atol=1e-5)
    assert np.mean(np.stack(found.masks) == np.stack(expected.masks)) >= 0.9999
    assert all(len(np.unique(one)) == 3 for one in found.masks)


def test_every_preset_of_a_program_has_such_a_test() -> None:
    others = {
        "vfs-r50",
        "mug",
        "mug-release",
    }  # The radius of VFS alone; Eq. 17 and its release: test_propagation.py.
    assert set(PROGRAMS) | others == set(PRESETS)


def test_presets_differ() -> None:
    """Each protocol gives other masks of the same frames and the same network, so none of the
    switches is idle.
    """
    statistics = IMAGENET
    results = {
        name: ours(PRESETS[name].setup, convolution(16), 16, statistics, padded=False).masks[-1]
        for name in ("dul", "crw", "dino", "vfs", "uvc")
    }
    for name, masks in results.items():
        for other, theirs in results.items():
            assert name == other or (masks != theirs).any(), (name, other)
