"""Mean-field inference in a fully connected CRF with Gaussian edge potentials.

Kraehenbuehl and Koltun, "Efficient Inference in Fully Connected CRFs with Gaussian Edge Potentials"
(NeurIPS 2011), with Potts compatibility.
"""

# Shapes: L labels, N pixels, d features of a pixel.

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from densevos.data.foreground.lattice import Lattice, build


@dataclass(frozen=True, kw_only=True)
class PairwiseTerm:
    """A term that favours the same label for pixels of similar features; see `pairwise_term`."""

    lattice: Lattice
    """Gaussian filter over the features."""
    norm: np.ndarray
    """[N] float32, normalises the kernel: one over the square root of its sum at the pixel."""
    total: np.ndarray
    """[N] float32: the sum of the messages of all labels."""
    weight: float
    """Weight of the term."""

    def message(self, probability: np.ndarray) -> np.ndarray:
        """The support [N] that a label gets from similar pixels, given its probability [N]."""
        support: np.ndarray = self.norm * self.lattice.filter(self.norm * probability)
        return support


def pairwise_term(features: np.ndarray, weight: float) -> PairwiseTerm:
    """Build a pairwise term with symmetric normalisation.

    Args:
        features: [d,N] float32, in standard deviations.
        weight: Weight of the term.

    Raises:
        ValueError: The features span too many standard deviations.
    """
    lattice = build(features)
    # Filtered ones are the sum of the kernel at each pixel, which is smaller at the borders.
    norm = 1 / np.sqrt(lattice.filter(np.ones(features.shape[1], np.float32)))
    return PairwiseTerm(
        lattice=lattice, norm=norm, total=norm * lattice.filter(norm), weight=weight
    )


def infer(energy: np.ndarray, terms: Sequence[PairwiseTerm], iterations: int) -> np.ndarray:
    """Run mean-field inference.

    Args:
        energy: Unary energies [L,N] float32.
        terms: The pairwise terms.
        iterations: Number of iterations.

    Returns:
        Probabilities of the labels [L,N] float32.
    """
    # Start from the unary energies alone, as the paper does.
    probability = _softmax(-energy)
    for _ in range(iterations):
        score = -energy
        for term in terms:
            weight = np.float32(term.weight)
            # Probabilities sum to one, so the message of the last label follows from the others.
            last = term.total.copy()

            for label in range(len(energy) - 1):
                message = term.message(probability[label])
                score[label] += weight * message
                last -= message

            score[-1] += weight * last

        probability = _softmax(score)

    return probability


def _softmax(score: np.ndarray) -> np.ndarray:
    # The largest score is subtracted so that the exponential cannot overflow.
    exponential = np.exp(score - score.max(axis=0))
    probability: np.ndarray = exponential / exponential.sum(axis=0)
    return probability
