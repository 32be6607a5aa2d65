"""The evaluator on a simulated GPU: propagation, zero-shot segmentation and classes of pixels.

Each row says how often a frame may wait for the device, and how often it may copy to it from
pageable memory. Masks are those of the CPU.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from densevos.inference.segmenter import Segmenter
from densevos.models.mug import MugNetwork
from densevos.models.segmentation.network import make_network
from densevos_eval import PropagationConfig, Propagator, load_encoder
from densevos_eval.adapters.encoder import Encoder
from densevos_eval.segmentation.classifier import Classifier
from tests.densevos.inference.test_segmenter import SMALL
from tests.densevos.learners.test_image_to_video import CNN, SWIN, VIDEO
from tests.device.simulated_gpu import SimulatedGpu, simulated_gpu

DEFAULT = PropagationConfig(context=3, radius=4, topk=5)
AS_MUG = PropagationConfig(context=3, reference="none", topk="all", radius=float("inf"))


@dataclass(frozen=True)
class Video:
    """Frames [N,H,W,3] in memory, as a reader of them."""

    frames: np.ndarray
    path: Path = Path("video")

    @property
    def names(self) -> list[str]:
        """Of the frames."""
        return [f"{index:05d}" for index in range(len(self.frames))]

    def __len__(self) -> int:
        return len(self.frames)

    def read(self, indices: Sequence[int]) -> np.ndarray:
        """Frames by index."""
        return np.asarray(self.frames[list(indices)])


@pytest.fixture(scope="module")
def video() -> Video:
    """Six frames of coarse noise that moves by two pixels a frame."""
    rng = np.random.default_rng(0)
    picture = np.kron(rng.integers(0, 256, (8, 12, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    return Video(np.stack([np.roll(picture, 2 * t, axis=1) for t in range(6)]))


@pytest.fixture
def encoder() -> Encoder:
    return load_encoder("random:resnet18", device="cpu", layer="res3")


def masks_of(propagator: Propagator, video: Video) -> list[np.ndarray]:
    mask = np.zeros(video.frames.shape[1:3], np.uint8)
    mask[16:32, 24:72], mask[32:48, 24:72] = 3, 9
    return [
        propagator.step(frame, mask if t == 0 else None) for t, frame in enumerate(video.frames)
    ]


def on_gpu(gpu: SimulatedGpu, encoder: Encoder) -> Encoder:
    assert encoder.source is not None
    gpu.moved(encoder.source.module)
    return replace(encoder, device=torch.device("cuda", 0))


@pytest.mark.parametrize(
    ("config", "waits", "copies"),
    [(DEFAULT, 1, 0), (AS_MUG, 1, 0)],
    ids=["default", "all cells of recent frames"],
)
def test_propagation(
    encoder: Encoder, video: Video, config: PropagationConfig, waits: int, copies: int
) -> None:
    """The host waits once: for labels and for whether features are finite, in one copy."""
    expected = masks_of(Propagator(encoder, config), video)
    with simulated_gpu() as gpu:
        propagator = Propagator(on_gpu(gpu, encoder), config)
        masks = masks_of(propagator, Video(video.frames[:-1]))
        gpu.clear()
        masks.append(propagator.step(video.frames[-1]))
        np.testing.assert_array_equal(masks, expected)
        assert len(gpu.waits) <= waits, gpu.waits
        assert len(gpu.copies) <= copies, gpu.copies


@pytest.mark.parametrize("flip", [False, True])
def test_zero_shot(video: Video, flip: bool) -> None:
    torch.manual_seed(0)
    network = MugNetwork(SMALL, "fine", 0.07)
    cpu, batch = torch.device("cpu"), 3
    expected = list(Segmenter(network, 64, 4, cpu, batch=batch, flip=flip)(video))
    with simulated_gpu() as gpu:
        segmenter = Segmenter(network, 64, 4, cpu, batch=batch, flip=flip)
        gpu.moved(network)
        segmenter.device = torch.device("cuda", 0)
        found = list(segmenter(video))
        np.testing.assert_allclose(found, expected, atol=1e-5)
        assert len(gpu.waits) <= len(video) // batch, gpu.waits
        assert gpu.copies == []


@pytest.mark.parametrize("config", [CNN, SWIN, VIDEO], ids=["CNN", "Swin", "Video Swin"])
def test_classes_of_pixels(video: Video, config: object) -> None:
    torch.manual_seed(0)
    network = make_network(config, 3)
    classifier = Classifier(network, ("a", "b", "c"), 64, torch.device("cpu"), batch=3)
    expected = dict(classifier(video, range(6)))
    with simulated_gpu() as gpu:
        gpu.moved(network)
        classifier.device = torch.device("cuda", 0)
        found = dict(classifier(video, range(6)))
        assert found.keys() == expected.keys()
        assert all(np.array_equal(found[index], expected[index]) for index in found)
        assert len(gpu.waits) <= len(video), gpu.waits
        assert gpu.copies == []
