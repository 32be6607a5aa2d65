"""The permutohedral lattice: Gaussian filtering of values at scattered points in linear time.

Adams, Baek and Davis, "Fast High-Dimensional Filtering Using the Permutohedral Lattice"
(Eurographics 2010). A point of d features lies in a simplex with d + 1 corners. The filter spreads
the point's value over the corners by barycentric weights (splat), blurs along the d + 1 axes of the
lattice and reads the result with the same weights (slice). All three are products with sparse
matrices.

The d + 1 coordinates of a lattice point all leave the same remainder when divided by d + 1: its
class. Their quotients are its cell. A simplex has one corner of each class.

Points are located with the float32 arithmetic of pydensecrf, so that rounding puts them into the
same simplices.
"""

# Shapes: d features of a point, N points, M lattice points.

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import sparse

BLOCK = 8192
"""Number of points that are located together; their temporary arrays fit the processor's cache."""
FARTHEST = 2**20
"""Largest difference of features, in standard deviations, for which float32 has enough digits."""


@dataclass(frozen=True, kw_only=True)
class Lattice:
    """A Gaussian filter for values at N points; see `build`."""

    weights: sparse.csr_array
    """[N,M+1] barycentric weights of the corners; the last lattice point stands for all that do not
    exist.
    """
    blurs: tuple[sparse.csr_array, ...]
    """[M+1,M+1] for each of the d + 1 axes."""

    def filter(self, values: np.ndarray) -> np.ndarray:
        """Sums of values [N] float32, weighted by the Gaussian of the distance: [N] float32."""
        spread = self.weights.T @ values
        for blur in self.blurs:
            spread = blur @ spread

        # The authors' code scales its result by this number.
        dimensions = len(self.blurs) - 1
        filtered: np.ndarray = (self.weights @ spread) / np.float32(1 + 2.0**-dimensions)
        return filtered


def build(features: np.ndarray) -> Lattice:
    """Build the filter for a set of points.

    Args:
        features: [d,N] float32, in standard deviations.

    Raises:
        ValueError: The features span more cells than can be numbered.
    """
    dimensions, count = features.shape
    if not np.ptp(features) <= FARTHEST:  # also true if a feature is not a number
        raise ValueError("features reach over too many standard deviations")

    cells, ranks, weights = _locate(features)

    # Number the cells of a box. Corners and their neighbours reach two cells below a point's cell
    # and one above.
    cells -= cells.min(axis=1, keepdims=True) - 2
    sizes = cells.max(axis=1).astype(np.int64) + 2

    # `_unique` adds the bits of the number of points, and all must fit into an int64.
    if np.prod(sizes, dtype=np.float64) * (dimensions + 1) * count >= 2**62:
        raise ValueError("features reach over too many standard deviations")

    numbering = np.cumprod([1, *sizes])

    # Class by class, so that keys ascend over all lattice points: `_blurs` searches among them.
    corners = np.empty((count, dimensions + 1), np.int32)
    keys: list[np.ndarray] = []
    points = 0

    for remainder, numbers in enumerate(_corner_numbers(cells, ranks, numbering)):
        different, places = _unique(numbers)
        corners[:, remainder] = places + points
        points += len(different)
        keys.append(different + remainder * numbering[-1])

    return Lattice(
        weights=_matrix(weights.T.ravel(), corners, points + 1),
        blurs=tuple(_blurs(np.concatenate(keys), numbering)),
    )


def _locate(features: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find the simplex of each point, block by block.

    Returns:
        The cell [d,N] int32 of the corner of class 0; the last coordinate follows from the others.
        The ranks [d,N] int8 of the coordinates: 0 for the one that lies farthest above that corner.
        The weights [d+1,N] float32 of the corners.
    """
    dimensions, count = features.shape
    cells = np.empty((dimensions, count), np.int32)
    ranks = np.empty((dimensions, count), np.int8)
    weights = np.empty((dimensions + 1, count), np.float32)
    for start in range(0, count, BLOCK):
        block = slice(start, start + BLOCK)
        cells[:, block], ranks[:, block], weights[:, block] = _locate_block(features[:, block])

    return cells, ranks, weights


def _locate_block(features: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`_locate` for the points of one block."""
    dimensions = len(features)
    period = np.float32(dimensions + 1)
    elevated = _elevate(features)
    cells = np.rint(elevated * (1 / period))
    offsets = elevated - cells * period

    # Of two equal offsets the later one has the lower rank.
    ranks = np.zeros(elevated.shape, np.int8)

    for i in range(dimensions):
        below = offsets[i] < offsets[i + 1 :]
        ranks[i] += below.sum(axis=0, dtype=np.int8)
        ranks[i + 1 :] += ~below

    # Rounding may have left the plane of the lattice, where coordinates sum to zero. The
    # coordinates that rounding moved farthest then go back by one cell.
    ranks += cells.sum(axis=0).astype(np.int8)
    back = (ranks < 0).astype(np.int8) - (ranks > dimensions).astype(np.int8)
    ranks += back * np.int8(dimensions + 1)
    cells += back

    # Barycentric weights are the differences of successive offsets.
    ordered = _sorted_rows((elevated - cells * period) * (1 / period))
    weights = np.diff(ordered, axis=0, prepend=ordered[-1:] - 1)
    return cells[:-1], ranks[:-1], weights


def _elevate(features: np.ndarray) -> np.ndarray:
    """Features [d,N] as coordinates [d+1,N] on the plane of the lattice, where they sum to zero."""
    dimensions, count = features.shape
    # Standard deviation of splat, blur and slice together, in coordinates of the lattice.
    deviation = np.float32(np.sqrt(2 / 3) * (dimensions + 1))
    total = np.zeros(count, np.float32)
    elevated = np.empty((dimensions + 1, count), np.float32)

    for i in range(dimensions, 0, -1):
        scaled = features[i - 1] * np.float32(deviation / np.sqrt(i * (i + 1)))
        elevated[i] = total - np.float32(i) * scaled
        total += scaled

    elevated[0] = total
    return elevated


def _sorted_rows(values: np.ndarray) -> np.ndarray:
    """Every column sorted, ascending."""
    # With few rows, exchanging entries of whole rows is faster than np.sort.
    rows = list(values)
    for last in range(len(rows) - 1, 0, -1):
        for i in range(last):
            lower, upper = rows[i], rows[i + 1]
            rows[i], rows[i + 1] = np.minimum(lower, upper), np.maximum(lower, upper)

    return np.stack(rows)


def _corner_numbers(
    cells: np.ndarray, ranks: np.ndarray, numbering: np.ndarray
) -> Iterator[np.ndarray]:
    """For each class, the cell of each point's corner as one integer, [N] int64."""
    dimensions, count = cells.shape
    numbers = np.zeros(count, np.int64)
    for i in range(dimensions):
        numbers += cells[i] * numbering[i]

    yield numbers

    # From one class to the next, one more coordinate goes back by a cell, the highest rank first.
    for rank in range(dimensions, 0, -1):
        for i in range(dimensions):
            numbers -= (ranks[i] == rank) * numbering[i]
        yield numbers


def _unique(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct numbers, ascending, and the place [N] of each number among them.

    The result is that of np.unique with inverse. This is faster, because numpy sorts integers
    several times as fast as it computes their order.
    """
    # The order is kept in the low bits.
    bits = len(numbers).bit_length()
    tagged = (numbers << bits) | np.arange(len(numbers))
    tagged.sort()
    ordered = tagged >> bits
    is_first = np.diff(ordered, prepend=-1) > 0
    places = np.empty(len(numbers), np.int32)
    places[tagged & ((1 << bits) - 1)] = np.cumsum(is_first, dtype=np.int32) - 1

    return ordered[is_first], places


def _blurs(keys: np.ndarray, numbering: np.ndarray) -> Iterator[sparse.csr_array]:
    """For each axis, the matrix that adds half of both neighbours to a lattice point.

    The lower neighbour has all coordinates smaller by one, except that of the axis, which is larger
    by d. So it belongs to the class below, in the next cell along the axis. Below class 0 comes
    class d, one cell back along all other axes.
    """
    # Neighbours that do not exist are sent to an extra lattice point behind all others.
    missing = len(keys)
    *steps, size = numbering
    class_below = keys - size
    class_below[: np.searchsorted(keys, size)] += (len(steps) + 1) * size - sum(steps)
    weights = np.tile(np.array([1, 0.5, 0.5], np.float32), missing + 1)

    for step in (*steps, 0):  # 0: the last coordinate is not part of the key
        wanted = class_below + step
        places = np.searchsorted(keys, wanted)
        exists = keys.take(places, mode="clip") == wanted
        columns = np.full((missing + 1, 3), missing, np.int32)
        columns[:, 0] = np.arange(missing + 1)
        columns[:-1, 1] = np.where(exists, places, missing)
        columns[places[exists], 2] = np.flatnonzero(exists)
        yield _matrix(weights, columns, missing + 1)


def _matrix(weights: np.ndarray, columns: np.ndarray, width: int) -> sparse.csr_array:
    """The sparse matrix whose rows have K entries, in the given columns [rows,K] int32."""
    starts = np.arange(0, columns.size + 1, columns.shape[1], dtype=np.int32)
    return sparse.csr_array((weights, columns.ravel(), starts), shape=(len(columns), width))
