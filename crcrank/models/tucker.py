"""Tucker decomposition of the tensor of known compositions, by higher-order orthogonal iteration over its ones.

De Lathauwer, De Moor and Vandewalle, SIAM J. Matrix Anal. Appl. 21, 1324 (2000), doi:10.1137/S0895479898346995: each mode's
factors are the leading left singular vectors of the tensor multiplied with those of all other modes. Only the ones enter, as
sums of Kronecker products of factor vectors. The cation modes share their factors, which they would find anyway, since the
tensor is the same in every order of the cations.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import reduce
from typing import NamedTuple

import numpy as np

from crcrank.config import TuckerSettings
from crcrank.kernels.multilinear import MultilinearProgram
from crcrank.models.contract import Fitted, TrainingData
from crcrank.models.tensor import FittedTensor, Ones, check_rank, ordered_ones
from crcrank.progress import ProgressSink
from crcrank.space.space import Candidates, Space

# Eigenvalues that differ by less than this share of the largest count as equal.
_SAME_EIGENVALUE = 1e-6
# Share of the ones that rounding may leave of none.
_NOTHING = 1e-12
_CHUNK = 1024


class Factors(NamedTuple):
    """Orthonormal columns of each mode, (size of the mode, n_factors)."""

    cation: np.ndarray
    anion: np.ndarray
    ratio: np.ndarray


def fit_tucker(
    data: TrainingData,
    settings: TuckerSettings,
    rng: np.random.Generator,  # noqa: ARG001  (nothing is random)
    n_threads: int,  # noqa: ARG001  (BLAS takes its own)
    progress: ProgressSink,
) -> Fitted:
    """Decompose the tensor of all known compositions of each class.

    Raises
    ------
    ModelFitError
        If there are more factors of a mode than known compositions tell apart.
    """
    progress.start("train", len(data.classes), "classes")
    programs = {}
    for name in data.classes:
        programs[name] = _decomposed(data.space, name, data.known(name), settings)
        progress.advance(1, name)
    return Fitted(FittedTensor(data.space, programs), n_epochs=1 + settings.n_iterations)


def _decomposed(space: Space, name: str, known: Candidates, settings: TuckerSettings) -> MultilinearProgram:
    ones, ratio_rows = ordered_ones(space, name, known)
    modes = (("cation", ones.cations), ("anion", ones.anion), ("ratio", ones.ratio))
    by_cations = (settings.n_cation_factors, settings.n_anion_factors, settings.n_ratio_factors)
    ranks = tuple(numbers[ones.cations.shape[1] - 1] for numbers in by_cations)
    for rank, (mode, index) in zip(ranks, modes, strict=True):
        check_rank(name, f"tucker.n_{mode}_factors", rank, len(np.unique(index)), f"{mode}s")
    cations, anions = np.unique(ones.cations), np.unique(ones.anion)
    ones = ones._replace(cations=np.searchsorted(cations, ones.cations), anion=np.searchsorted(anions, ones.anion))
    factors = decompose(ones, (len(cations), len(anions), int(ones.ratio.max()) + 1), ranks, settings.n_iterations)
    return MultilinearProgram(
        _spread(factors.cation, cations, len(space.ions.cations)),
        _spread(core_tensor(ones, factors), anions, len(space.anion_sets)),
        np.vstack([factors.ratio, np.zeros((1, factors.ratio.shape[1]))])[ratio_rows],
    )


def _spread(values: np.ndarray, rows: np.ndarray, size: int) -> np.ndarray:
    """Return the values in these rows of ``size``, and zeros in all others."""
    out = np.zeros((size, *values.shape[1:]))
    out[rows] = values
    return out


def decompose(ones: Ones, sizes: tuple[int, int, int], ranks: tuple[int, ...], n_iterations: int) -> Factors:
    """Return the factors of the cation, anion and ratio modes.

    Parameters
    ----------
    ones
        Cells in every order of the cations.
    sizes, ranks
        Size and number of factors of each mode; the ratios may get fewer, so that the approximation, too, is the same in every
        order of the cations: orders mix ratios of one eigenvalue, which stay together.
    n_iterations
        Iterations after the start from the singular vectors of the tensor itself. Where few compositions are known, these may leave none of
        them, and then nothing to iterate on: the cations start from those that often come together instead.
    """
    others = (
        np.column_stack([ones.cations[:, 1:], ones.anion, ones.ratio]),
        np.column_stack([ones.cations, ones.ratio]),
        np.column_stack([ones.cations, ones.anion]),
    )
    indices = (ones.cations[:, 0], ones.anion, ones.ratio)
    grams = [_sparse_gram(*mode) for mode in zip(indices, sizes, others, strict=True)]
    factors = Factors(_leading(grams[0], ranks[0]), _leading(grams[1], ranks[1]), _leading_whole(grams[2], ranks[2]))
    norm = _squared_norm(ones, factors)
    if norm < _NOTHING * len(ones.ratio):
        factors = factors._replace(cation=_leading(_together(ones, sizes[0]), ranks[0]))
        norm = _squared_norm(ones, factors)
    for _ in range(n_iterations):
        improved = _improved(ones, factors, ranks)
        if (larger := _squared_norm(ones, improved)) < norm:  # the cations share their factors: no step is sure to be a good one
            break
        factors, norm = improved, larger
    return factors


def _squared_norm(ones: Ones, factors: Factors) -> float:
    """Return how much of the ones is left: what the squared error is less than their number."""
    return float((core_tensor(ones, factors) ** 2).sum())


def _improved(ones: Ones, factors: Factors, ranks: tuple[int, ...]) -> Factors:
    cations = [factors.cation[index] for index in ones.cations.T]
    unfolded = _unfolded(ones.cations[:, 0], len(factors.cation), [*cations[1:], factors.anion[ones.anion]], [factors.ratio[ones.ratio]])
    factors = factors._replace(cation=_leading(unfolded @ unfolded.T, ranks[0]))
    cations = [factors.cation[index] for index in ones.cations.T]
    unfolded = _unfolded(ones.anion, len(factors.anion), cations, [factors.ratio[ones.ratio]])
    factors = factors._replace(anion=_leading(unfolded @ unfolded.T, ranks[1]))
    gram = np.zeros((len(factors.ratio), len(factors.ratio)))
    for column in cations[0].T:  # one at a time, since the unfolded tensor is large
        unfolded = _unfolded(ones.ratio, len(factors.ratio), [column[:, None], *cations[1:]], [factors.anion[ones.anion]])
        gram += unfolded @ unfolded.T
    return factors._replace(ratio=_leading_whole(gram, ranks[2]))


def core_tensor(ones: Ones, factors: Factors) -> np.ndarray:
    """Return the core tensor multiplied with the factors of the anions, (n_anions, n_cation_factors ** n_cations, n_ratio_factors)."""
    cations = [factors.cation[index] for index in ones.cations.T]
    unfolded = _unfolded(ones.anion, len(factors.anion), cations, [factors.ratio[ones.ratio]])
    core = factors.anion @ (factors.anion.T @ unfolded)
    return np.ascontiguousarray(core.reshape(len(factors.anion), -1, factors.ratio.shape[1]))


def _sparse_gram(index: np.ndarray, size: int, others: np.ndarray) -> np.ndarray:
    """Return the products of the rows of the tensor unfolded along a mode, (size, size)."""
    from scipy import sparse

    columns = np.unique(others, axis=0, return_inverse=True)[1].ravel()
    unfolded = sparse.csr_array((np.ones(len(index)), (index, columns)), shape=(size, int(columns.max()) + 1))
    return np.asarray((unfolded @ unfolded.T).toarray())


def _together(ones: Ones, size: int) -> np.ndarray:
    """Return in how many cells each two cations are, (size, size)."""
    counts = np.zeros((size, size))
    for other in ones.cations.T[1:]:
        np.add.at(counts, (ones.cations[:, 0], other), 1)
    return counts


def _kronecker(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Return the Kronecker product of the rows of some matrices, row by row."""
    return reduce(lambda a, b: (a[:, :, None] * b[:, None, :]).reshape(len(a), -1), rows)


def _unfolded(index: np.ndarray, size: int, left: Sequence[np.ndarray], right: Sequence[np.ndarray]) -> np.ndarray:
    """Return for each index the sum over its ones of the Kronecker products of their vectors, (size, product of all widths)."""
    n_left, n_right = (int(np.prod([matrix.shape[1] for matrix in side])) for side in (left, right))
    out = np.zeros((size, n_left, n_right))
    for i, rows in _groups(index, size):
        out[i] += _kronecker([matrix[rows] for matrix in left]).T @ _kronecker([matrix[rows] for matrix in right])
    return out.reshape(size, n_left * n_right)


def _groups(index: np.ndarray, size: int) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the rows of each index, some at a time."""
    order = np.argsort(index, kind="stable")
    cuts = np.searchsorted(index[order], np.arange(size + 1))
    for i in range(size):
        for first in range(cuts[i], cuts[i + 1], _CHUNK):
            yield i, order[first : min(first + _CHUNK, cuts[i + 1])]


def _leading(gram: np.ndarray, rank: int) -> np.ndarray:
    return np.ascontiguousarray(np.linalg.eigh(gram)[1][:, ::-1][:, :rank])


def _leading_whole(gram: np.ndarray, rank: int) -> np.ndarray:
    """Return leading eigenvectors, at most ``rank``, so many that no space of equal eigenvalues is cut."""
    values, vectors = np.linalg.eigh(gram)
    gaps = np.diff(values)[::-1]  # from each value to the next smaller one
    while 1 < rank < len(values) and gaps[rank - 1] <= _SAME_EIGENVALUE * values[-1]:
        rank -= 1
    return np.ascontiguousarray(vectors[:, ::-1][:, :rank])
