"""The dense CRF."""

import sys

import numpy as np
import pytest

from densevos.base.errors import InputError
from densevos.data.foreground.crf import PRESETS, CrfConfig, refine, unary_energy

Y, X = np.mgrid[:60, :80]
DISK = (Y - 30) ** 2 + (X - 40) ** 2 <= 15**2


@pytest.fixture
def image() -> np.ndarray:
    """A red disk on green, with a little noise."""
    noise = np.random.default_rng(0).integers(0, 12, (60, 80, 3))
    return (np.where(DISK[..., None], (190, 40, 40), (40, 150, 60)) + noise).astype(np.uint8)


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return (a & b).sum() / (a | b).sum()


def test_a_clean_disk_is_kept_and_speckle_removed(image: np.ndarray) -> None:
    pytest.importorskip("pydensecrf")
    speckle = np.random.default_rng(1).random(DISK.shape) < 0.05
    image.flags.writeable = False  # as decoded images are
    for given in (DISK, DISK ^ speckle):
        refined = refine(np.where(given, 0.9, 0.1), image)
        assert refined.shape == DISK.shape
        assert refined.min() >= 0
        assert refined.max() <= 1
        assert iou(refined > 0.5, DISK) > 0.98


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_pulls_a_blurred_map_to_the_edges_of_the_image(image: np.ndarray, preset: str) -> None:
    pytest.importorskip("pydensecrf")
    distance = np.hypot(Y - 30, X - 43)  # the map is off by three pixels, too
    blurred = 1 / (1 + np.exp((distance - 16) / 3))
    assert iou(refine(blurred, image, PRESETS[preset]) > 0.5, DISK) > max(0.95, iou(blurred > 0.5, DISK))


def test_an_empty_map_stays_empty(image: np.ndarray) -> None:
    pytest.importorskip("pydensecrf")
    assert refine(np.zeros(DISK.shape), image).max() < 0.1


def test_energies_rank_pixels_alike_in_all_presets() -> None:
    p = np.linspace(0, 1, 21)[None]
    plain = unary_energy(p, PRESETS["mug"])
    clipped = np.clip(p.ravel(), 0.01, 0.99)
    np.testing.assert_allclose(plain, -np.log([1 - clipped, clipped]), rtol=1e-5)
    for config in PRESETS.values():
        background, foreground = unary_energy(p, config)
        assert (np.diff(background - foreground) >= -1e-6).all()
        assert background[10] == pytest.approx(foreground[10], abs=1e-5)
    stretched = unary_energy(0.2 + 0.1 * p, CrfConfig(normalise=True))
    np.testing.assert_allclose(stretched, plain, atol=1e-5)


def test_map_and_image_must_share_a_size(image: np.ndarray) -> None:
    pytest.importorskip("pydensecrf")
    with pytest.raises(ValueError, match="as large as the map"):
        refine(np.zeros((10, 10)), image)


def test_without_the_module_the_cure_is_named(monkeypatch: pytest.MonkeyPatch, image: np.ndarray) -> None:
    monkeypatch.setitem(sys.modules, "pydensecrf", None)
    with pytest.raises(InputError, match=r"pip install pydensecrf2 .*C\+\+ compiler.*--no-crf"):
        refine(np.zeros(DISK.shape), image)
