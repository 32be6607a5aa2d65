"""The dense CRF.

`golden/dense_crf.npz` holds a small image, a foreground probability and energies of four labels,
and what pydensecrf2 1.1 made of them.
"""

from pathlib import Path

import numpy as np
import pytest

from densevos.base.errors import InputError
from densevos.data.foreground.crf import (
    PRESETS,
    CrfConfig,
    colour_features,
    position_features,
    refine,
    unary_energy,
)
from densevos.data.foreground.mean_field import infer, pairwise_term

Y, X = np.mgrid[:60, :80]
DISK = (Y - 30) ** 2 + (X - 40) ** 2 <= 15**2


@pytest.fixture
def image() -> np.ndarray:
    """A red disk on green, with a little noise."""
    noise = np.random.default_rng(0).integers(0, 12, (60, 80, 3))
    return (np.where(DISK[..., None], (190, 40, 40), (40, 150, 60)) + noise).astype(np.uint8)


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return (a & b).sum() / (a | b).sum()


def by_pydensecrf(energy: np.ndarray, image: np.ndarray, config: CrfConfig) -> np.ndarray:
    """Probabilities [L,H*W] by the package that users of earlier versions had to build."""
    densecrf = pytest.importorskip("pydensecrf.densecrf")
    height, width, _ = image.shape
    crf = densecrf.DenseCRF2D(width, height, len(energy))
    crf.setUnaryEnergy(energy)
    crf.addPairwiseGaussian(sxy=config.gaussian_sxy, compat=config.gaussian_compat)
    crf.addPairwiseBilateral(
        sxy=config.bilateral_sxy,
        srgb=config.bilateral_srgb,
        rgbim=image,
        compat=config.bilateral_compat,
    )
    return np.array(crf.inference(config.iterations))


def by_ours(energy: np.ndarray, image: np.ndarray, config: CrfConfig) -> np.ndarray:
    positions = position_features(*image.shape[:2], config.gaussian_sxy)
    colours = colour_features(image, config.bilateral_sxy, config.bilateral_srgb)
    terms = [
        pairwise_term(positions, config.gaussian_compat),
        pairwise_term(colours, config.bilateral_compat),
    ]
    return infer(energy, terms, config.iterations)


@pytest.mark.parametrize("preset", PRESETS)
def test_masks_are_those_of_pydensecrf(golden: Path, preset: str) -> None:
    arrays = np.load(golden / "dense_crf.npz")
    refined = refine(arrays["probability"].astype(np.float32), arrays["image"], PRESETS[preset])
    np.testing.assert_allclose(refined, arrays[preset], rtol=0, atol=1e-4)
    np.testing.assert_array_equal(refined > 0.5, arrays[preset] > 0.5)


def test_several_labels_are_those_of_pydensecrf(golden: Path) -> None:
    arrays = np.load(golden / "dense_crf.npz")
    labels = by_ours(arrays["energy"].astype(np.float32), arrays["image"], PRESETS["mug"])
    np.testing.assert_allclose(labels, arrays["four_labels"], rtol=0, atol=1e-4)
    np.testing.assert_array_equal(labels.argmax(axis=0), arrays["four_labels"].argmax(axis=0))


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (61, 47)])
@pytest.mark.parametrize("labels", [2, 5])
def test_pydensecrf_itself_says_the_same(size: tuple[int, int], labels: int) -> None:
    generator = np.random.default_rng(labels)
    energy = generator.exponential(1, (labels, size[0] * size[1])).astype(np.float32)
    noise = generator.integers(0, 256, (*size, 3), dtype=np.uint8)
    for picture in (noise, np.full_like(noise, 128)):
        expected = by_pydensecrf(energy, picture, PRESETS["mug"])
        np.testing.assert_allclose(
            by_ours(energy, picture, PRESETS["mug"]), expected, rtol=0, atol=1e-4
        )


def test_a_clean_disk_is_kept_and_speckle_removed(image: np.ndarray) -> None:
    speckle = np.random.default_rng(1).random(DISK.shape) < 0.05
    image.flags.writeable = False  # as decoded images are
    for given in (DISK, DISK ^ speckle):
        refined = refine(np.where(given, 0.9, 0.1), image)
        assert refined.shape == DISK.shape
        assert refined.dtype == np.float32
        assert refined.min() >= 0
        assert refined.max() <= 1
        assert iou(refined > 0.5, DISK) > 0.98


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_pulls_a_blurred_map_to_the_edges_of_the_image(
    image: np.ndarray, preset: str
) -> None:
    distance = np.hypot(Y - 30, X - 43)  # the map is off by three pixels, too
    blurred = 1 / (1 + np.exp((distance - 16) / 3))
    assert iou(refine(blurred, image, PRESETS[preset]) > 0.5, DISK) > max(
        0.95, iou(blurred > 0.5, DISK)
    )


def test_an_empty_map_stays_empty(image: np.ndarray) -> None:
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
    with pytest.raises(ValueError, match="as large as the map"):
        refine(np.zeros((10, 10)), image)


@pytest.mark.parametrize(
    "config",
    [
        CrfConfig(bilateral_srgb=0.001),
        CrfConfig(bilateral_srgb=1e-30),
        CrfConfig(gaussian_sxy=1e-9),
    ],
)
def test_a_standard_deviation_that_is_far_too_small_is_named(
    image: np.ndarray, config: CrfConfig
) -> None:
    name = (
        "gaussian_sxy 1e-09"
        if config.gaussian_sxy < 1
        else f"bilateral_srgb {config.bilateral_srgb}"
    )
    with pytest.raises(InputError, match=f"{name}.* is too small; choose a larger one"):
        refine(np.zeros(DISK.shape), image, config)
