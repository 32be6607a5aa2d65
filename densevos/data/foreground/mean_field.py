"""Mean-field inference in a fully connected CRF with Gaussian edge potentials and Potts compatibility.

Kraehenbuehl and Koltun, "Efficient Inference in Fully Connected CRFs with Gaussian Edge Potentials" (NeurIPS 2011).
Shapes: L labels, N pixels, d features.
"""

from dataclasses import dataclass

import numpy as np

from densevos.data.foreground.lattice import Lattice, build


@dataclass(frozen=True, kw_only=True)
class Smoothing:
    """A pairwise term: pixels with alike features want one label. smoothing() makes it.

    norm: [N] float32, one by the square root of the sum of each pixel's kernel.
    total: [N] float32, the message of all labels together.
    """

    lattice: Lattice
    norm: np.ndarray
    total: np.ndarray
    weight: float

    def message(self, probability: np.ndarray) -> np.ndarray:
        """How much the others want a label, [N], given its probability [N] at every pixel."""
        return self.norm * self.lattice.filter(self.norm * probability)


def smoothing(features: np.ndarray, weight: float) -> Smoothing:
    """The pairwise term for features [d,N] float32, in standard deviations, normalised symmetrically."""
    lattice = build(features)
    norm = 1 / np.sqrt(lattice.filter(np.ones(features.shape[1], np.float32)) + np.float32(1e-20))
    return Smoothing(lattice=lattice, norm=norm, total=norm * lattice.filter(norm), weight=weight)


def infer(energy: np.ndarray, terms: list[Smoothing], iterations: int) -> np.ndarray:
    """The probability of each label at each pixel [L,N] float32, from unary energies [L,N] float32."""
    probability = _softmax(-energy)
    for _ in range(iterations):
        score = -energy
        for term in terms:
            # Probabilities sum to one, so that the message of the last label follows from the others.
            rest = term.total.copy()
            for label in range(len(energy) - 1):
                message = term.message(probability[label])
                score[label] += np.float32(term.weight) * message
                rest -= message
            score[-1] += np.float32(term.weight) * rest
        probability = _softmax(score)
    return probability


def _softmax(score: np.ndarray) -> np.ndarray:
    exponential = np.exp(score - score.max(axis=0))
    return exponential / exponential.sum(axis=0)


def position_features(height: int, width: int, sxy: float) -> np.ndarray:
    """Positions of all pixels, [2,H*W] float32: x and y."""
    y, x = np.mgrid[:height, :width].reshape(2, -1).astype(np.float32)
    return np.stack([x, y]) / np.float32(sxy)


def colour_features(image: np.ndarray, sxy: float, srgb: float) -> np.ndarray:
    """Positions and colours of all pixels of an image [H,W,3] uint8, [5,H*W] float32."""
    colours = image.reshape(-1, 3).T.astype(np.float32) / np.float32(srgb)
    return np.concatenate([position_features(*image.shape[:2], sxy), colours])
