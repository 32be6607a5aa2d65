"""The streaming core at other sizes than the frames', and what it says of its last frame."""

import numpy as np
import pytest
import torch

from densevos.base.errors import InputError
from densevos_eval import PropagationConfig, Propagator, load_encoder
from densevos_eval.adapters.encoder import Encoder
from densevos_eval.adapters.frames import FrameSizes
from densevos_eval.propagation import searches
from densevos_eval.propagation.cells import enlarged
from densevos_eval.propagation.propagator import fitted
from densevos_eval.propagation.settings import MaskConfig
from tests.eval.propagation.waits import Waits


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return load_encoder("random:resnet18", device="cpu", layer="res3")


def still(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """A frame of coarse noise and a mask with objects 3 and 9."""
    rng = np.random.default_rng(0)
    frame = np.kron(rng.integers(0, 256, (height // 8, width // 8, 3)), np.ones((8, 8, 1))).astype(
        np.uint8
    )
    mask = np.zeros((height, width), np.uint8)
    mask[height // 4 : height // 2, width // 4 : 3 * width // 4] = 3
    mask[height // 2 : 3 * height // 4, width // 4 : 3 * width // 4] = 9
    return frame, mask


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    return (a & b).sum() / (a | b).sum()


@pytest.mark.parametrize("max_side", [None, 160, 96])
def test_masks_have_the_frames_size_at_any_working_size(
    encoder: Encoder, max_side: int | None
) -> None:
    frame, mask = still(128, 192)
    propagator = Propagator(encoder, PropagationConfig(topk=1), max_side=max_side)
    np.testing.assert_array_equal(propagator.step(frame, mask), mask)
    labels = propagator.step(frame)
    assert labels.shape == (128, 192)
    cell = 8 * 192 / (max_side or 192)
    for id in (3, 9):
        ours = labels == id
        assert overlap(ours, mask == id) > 0.7  # the mask is as coarse as the cells
        shift = np.argwhere(ours).mean(0) - np.argwhere(mask == id).mean(0)
        assert abs(shift[0]) < cell / 2
        assert abs(shift[1]) < 0.5  # the mask is symmetric, and resizing pushes it to no side


def test_small_frames_stay_as_they_are(encoder: Encoder) -> None:
    assert fitted(encoder, (60, 80), 80) is not None
    assert fitted(encoder, (60, 80), 80).scale == 1
    assert fitted(encoder, (60, 80), 40).scale == 0.5
    assert fitted(encoder, (60, 80), None) is encoder
    frame, mask = still(64, 96)
    free, bounded = Propagator(encoder), Propagator(encoder, max_side=96)
    for given in (mask, None, None):
        np.testing.assert_array_equal(free.step(frame, given), bounded.step(frame, given))


def test_probabilities_sum_to_one_and_agree_with_the_labels(encoder: Encoder) -> None:
    frame, mask = still(64, 96)
    late = np.where(mask == 9, 9, 0).astype(np.uint8)
    propagator = Propagator(encoder, PropagationConfig(context=3, radius=3))
    assert list(propagator.probabilities()) == []
    first = np.where(mask == 3, 3, 0).astype(np.uint8)
    for given in (None, first, None, late, None):
        labels = propagator.step(frame, given)
        soft = dict(propagator.probabilities())
        if not soft:
            assert not labels.any()
            continue
        np.testing.assert_allclose(sum(soft.values()), 1, atol=1e-5)
        assert all(one.min() >= 0 and one.shape == labels.shape for one in soft.values())
        likeliest = np.array(list(soft))[np.argmax(list(soft.values()), axis=0)]
        assert (likeliest == labels).mean() > 0.98
        if given is not None:
            np.testing.assert_array_equal(soft[int(given.max())] == 1, given > 0)
    assert list(soft) == [0, 3, 9]


@pytest.mark.parametrize("alignment", ["corners", "centres"])
def test_enlarging_keeps_a_constant_and_centres(alignment: str) -> None:
    config = MaskConfig(alignment=alignment)  # type: ignore[arg-type]
    ramp = torch.linspace(0, 1, 4).expand(3, 4)
    sizes = FrameSizes(frame=(96, 128), encoded=(24, 32), covered=(24, 32))
    large = enlarged(ramp, sizes, (96, 128), config)
    assert large.shape == (96, 128)
    torch.testing.assert_close(large[0] + large[0].flip(0), torch.ones(128))
    padded = FrameSizes(frame=(50, 75), encoded=(20, 30), covered=(24, 32))
    torch.testing.assert_close(
        enlarged(torch.ones(3, 4), padded, (50, 75), config), torch.ones(50, 75)
    )


def test_unusable_frames_and_masks_are_named(encoder: Encoder) -> None:
    frame, mask = still(64, 96)
    propagator = Propagator(encoder)
    for bad in (frame.astype(np.float32), frame[..., 0], np.zeros((64, 96, 4), np.uint8)):
        with pytest.raises(InputError, match=r"frame: must be \[H,W,3\] uint8"):
            propagator.step(bad)
    for bad in (mask[:-1], mask.astype(int) + 300, mask.astype(int) - 1):
        with pytest.raises(InputError, match="mask: must hold ids 0 to 255 at the frame's size"):
            propagator.step(frame, bad)
    for lost in (frame.tolist(), torch.from_numpy(frame), None):
        with pytest.raises(
            InputError, match=r"frame: must be a NumPy array, is a (list|Tensor|NoneType)"
        ):
            propagator.step(lost)  # type: ignore[arg-type]
    propagator.step(frame, mask.astype(np.int64))
    with pytest.raises(InputError, match="start another Propagator"):
        propagator.step(frame[:32])


@pytest.mark.parametrize("numbers", [np.bool_, np.int64, np.dtype(">u2"), np.float32])
def test_masks_of_whole_numbers_are_taken_in_any_type(encoder: Encoder, numbers: np.dtype) -> None:
    frame, mask = still(64, 96)
    given = mask.astype(numbers)
    labels = Propagator(encoder).step(frame, given)
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels, given)


def test_soft_masks_and_what_is_no_array_are_refused_and_change_nothing(encoder: Encoder) -> None:
    frame, mask = still(64, 96)
    propagator = Propagator(encoder)
    propagator.step(frame, mask)
    expected = Propagator(encoder)
    expected.step(frame, mask)
    for soft in (mask * 0.1, np.where(mask, np.nan, 0)):
        with pytest.raises(
            InputError, match=r"mask: .*not whole \(float64\); make ids of a soft mask first"
        ):
            propagator.step(frame, soft)
    for lost in (torch.from_numpy(mask), mask.tolist(), "first.png"):
        with pytest.raises(
            InputError, match=r"mask: must be a NumPy array, is a (Tensor|list|str); .*\.numpy\(\)"
        ):
            propagator.step(frame, lost)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="is of type object"):
        propagator.step(frame, mask.astype(object))
    np.testing.assert_array_equal(propagator.step(frame), expected.step(frame))


def test_a_propagator_is_made_of_an_encoder_and_its_settings(encoder: Encoder) -> None:
    with pytest.raises(InputError, match="must come from load_encoder, is a str"):
        Propagator("random:resnet18")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="must be a PropagationConfig, is a dict"):
        Propagator(encoder, {"topk": 3})  # type: ignore[arg-type]
    with pytest.raises(InputError, match="max_side must be 1 or more pixels, is 0"):
        Propagator(encoder, max_side=0)


def test_the_host_fetches_labels_once_a_frame_and_waits_for_nothing_else(
    encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searches, "tile_search", searches.window_search)
    frame, mask = still(64, 96)
    propagator = Propagator(encoder, PropagationConfig(context=3, radius=3, topk=4))
    propagator.step(frame, mask)
    fetched, cpu = [], torch.Tensor.cpu
    monkeypatch.setattr(
        torch.Tensor, "cpu", lambda tensor: fetched.append(tensor.shape) or cpu(tensor)
    )
    with Waits() as waits:
        for _ in range(4):
            propagator.step(frame)
    assert waits.counted == {"lift_fresh": 4}  # The frames, for which a GPU makes nobody wait.
    assert fetched == [(64 * 96 + 1,)] * 4
    assert propagator.doubtful() == 0


def test_features_that_are_not_finite_are_told(encoder: Encoder) -> None:
    frame, mask = still(64, 96)
    propagator = Propagator(encoder)
    propagator.step(frame, mask)
    features = encoder.of_frame(frame).clone()
    features[3, 2, 1] = torch.nan
    with pytest.raises(
        InputError, match=r"--encoder random:resnet18: .*not finite numbers \(NaN or infinity"
    ):
        propagator.step(frame, features=features)
