"""CP decomposition of the tensor of known compositions: a sum of products of one vector per ion and one of the stoichiometry.

Kolda and Bader, SIAM Review 51, 455 (2009), doi:10.1137/07070111X, section 3. The cation modes share their vectors, so that the
order of the cations plays no role; hence the ratio is the stoichiometry, whose charges tell the places of the cations apart. The
squared error over all cells is a sum over the ones and of products of small matrices, and is minimised over all vectors at
once by L-BFGS (Acar, Dunlavy and Kolda, J. Chemom. 25, 67 (2011), doi:10.1002/cem.1335).
"""

from __future__ import annotations

from functools import reduce
from math import factorial

import numpy as np

from crcrank.config import CPSettings
from crcrank.kernels.multilinear import DiagonalProgram
from crcrank.models.contract import Fitted, TrainingData
from crcrank.models.tensor import FittedTensor, Ones, check_rank, unordered_ones
from crcrank.progress import ProgressSink
from crcrank.space.space import Candidates, Space

# Size of the first numbers: less than one, since a vector of several cations also stands for them twice in one composition.
_START = 0.8


def fit_cp(
    data: TrainingData,
    settings: CPSettings,
    rng: np.random.Generator,
    n_threads: int,  # noqa: ARG001  (BLAS takes its own)
    progress: ProgressSink,
) -> Fitted:
    """Decompose the tensor of all known compositions of each class.

    Raises
    ------
    ModelFitError
        If there are more factors than cells that known compositions fill.
    """
    progress.start("train", len(data.classes), "classes")
    programs, n_iterations = {}, 0
    for name in data.classes:
        programs[name], n_taken = _decomposed(data.space, name, data.known(name), settings, rng)
        n_iterations += n_taken
        progress.advance(1, name)
    return Fitted(FittedTensor(data.space, programs), n_epochs=n_iterations)


def _decomposed(space: Space, name: str, known: Candidates, settings: CPSettings, rng: np.random.Generator) -> tuple[DiagonalProgram, int]:
    from scipy import optimize

    n_factors = settings.n_factors[known.cations.shape[1] - 1]
    ones = unordered_ones(space, name, known)
    check_rank(name, "cp.n_factors", n_factors, len(ones.anion), "cells")
    seen, ratio = np.unique(ones.ratio, return_inverse=True)
    sizes = (len(space.ions.cations), len(space.anion_sets), len(seen))
    ones = ones._replace(ratio=ratio)
    error = SquaredError(ones, sizes, n_factors, settings.l2)
    start = error.packed(_start(ones, sizes, rng.permutation(len(ones.anion))[:n_factors]))
    found = optimize.minimize(error, start, jac=True, method="L-BFGS-B", options={"maxiter": settings.n_iterations})
    program = error.unpacked(found.x)
    stoichiometries = np.zeros((len(space.classes[name].stoichiometries.keys), n_factors))
    stoichiometries[seen] = program.ratio
    return program._replace(ratio=stoichiometries), int(found.nit)


def _start(ones: Ones, sizes: tuple[int, int, int], chosen: np.ndarray) -> DiagonalProgram:
    """Return vectors that approximate one known composition each; from random numbers the error leads to zero."""
    vectors = DiagonalProgram(*(np.zeros((size, len(chosen))) for size in sizes))
    factors = np.arange(len(chosen))
    for cation in ones.cations[chosen].T:
        vectors.cation[cation, factors] = _START
    vectors.anion[ones.anion[chosen], factors] = _START
    vectors.ratio[ones.ratio[chosen], factors] = _START
    return vectors


class SquaredError:
    """The squared error of an approximation over all cells, up to a constant, with a penalty, divided by the number of orders.

    Parameters
    ----------
    ones
        Known compositions, each once; all orders of the cations count.
    sizes
        Size of the cation, anion and ratio modes.
    n_factors
        Number of products that the approximation is the sum of.
    l2
        Weight of the squared norm of all vectors.
    """

    def __init__(self, ones: Ones, sizes: tuple[int, int, int], n_factors: int, l2: float) -> None:
        from scipy import sparse

        self._indices = [*ones.cations.T, ones.anion, ones.ratio]
        self._n_cations, self._l2 = ones.cations.shape[1], l2
        self._shapes = [(size, n_factors) for size in sizes]
        modes = [0] * self._n_cations + [1, 2]
        n = len(ones.anion)
        self._sums = [
            sparse.csr_array((np.ones(n), (index, np.arange(n))), shape=(sizes[mode], n))
            for index, mode in zip(self._indices, modes, strict=True)
        ]
        self._modes = modes

    def packed(self, program: DiagonalProgram) -> np.ndarray:
        """Return all numbers in one row."""
        return np.concatenate([array.ravel() for array in program])

    def unpacked(self, numbers: np.ndarray) -> DiagonalProgram:
        """Return the vectors of cations, anions and ratios, the inverse of :meth:`packed`."""
        parts = np.split(numbers, np.cumsum([rows * columns for rows, columns in self._shapes])[:-1])
        return DiagonalProgram(*(part.reshape(shape).copy() for part, shape in zip(parts, self._shapes, strict=True)))

    def __call__(self, numbers: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the error and its gradient."""
        program = self.unpacked(numbers)
        grams = [array.T @ array for array in program]
        powers = (self._n_cations, 1, 1)
        products = [gram**power for gram, power in zip(grams, powers, strict=True)]
        n_orders = factorial(self._n_cations)
        gradients = []
        for mode, (array, power) in enumerate(zip(program, powers, strict=True)):
            rest = reduce(np.multiply, [*products[:mode], grams[mode] ** (power - 1), *products[mode + 1 :]])
            gradients.append(2 * power / n_orders * array @ rest + 2 * self._l2 * array)
        vectors = [program[mode][index] for mode, index in zip(self._modes, self._indices, strict=True)]
        for i, mode in enumerate(self._modes):
            gradients[mode] -= 2 * (self._sums[i] @ reduce(np.multiply, vectors[:i] + vectors[i + 1 :]))
        value = reduce(np.multiply, products).sum() / n_orders - 2 * reduce(np.multiply, vectors).sum() + self._l2 * (numbers @ numbers)
        return float(value), np.concatenate([gradient.ravel() for gradient in gradients])
