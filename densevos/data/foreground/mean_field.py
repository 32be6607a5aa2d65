"""Mean-field inference in a fully connected CRF with Gaussian edge potentials and Potts
compatibility.

Kraehenbuehl and Koltun, "Efficient Inference in Fully Connected CRFs with Gaussian Edge Potentials"
(NeurIPS 2011). Shapes: L labels, N pixels, d features.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from densevos.data.foreground.lattice import Lattice, build


@dataclass(frozen=True, kw_only=True)
class PairwiseTerm:
    """A term that favours one label for pixels of similar features; `pairwise_term` makes it.

    norm: [N] float32, normalises the kernel: one over the square root of its sum at the pixel.
    total: [N] float32, the sum of the messages of all labels.
    """

    lattice: Lattice
    norm: np.ndarray
    total: np.ndarray
    weight: float

    def message(self, probability: np.ndarray) -> np.ndarray:
        """How much all pixels together speak for a label, [N], from its probability [N] at each of
        them.
        """
        return self.norm * self.lattice.filter(self.norm * probability)


def pairwise_term(features: np.ndarray, weight: float) -> PairwiseTerm:
    """The term for features [d,N] float32, in standard deviations, with symmetric normalisation.

    Raises ValueError when the features reach over too many standard deviations.
    """
    lattice = build(features)
    norm = 1 / np.sqrt(lattice.filter(np.ones(features.shape[1], np.float32)))
    return PairwiseTerm(
        lattice=lattice, norm=norm, total=norm * lattice.filter(norm), weight=weight
    )


def infer(energy: np.ndarray, terms: Sequence[PairwiseTerm], iterations: int) -> np.ndarray:
    """Probabilities of the labels [L,N] float32, from unary energies [L,N] float32."""
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
    exponential = np.exp(score - score.max(axis=0))
    return exponential / exponential.sum(axis=0)
