"""Non-negative factorisation of a matrix of known compositions, by hierarchical alternating least squares.

Cichocki and Phan, IEICE Trans. Fundam. E92-A, 708 (2009), doi:10.1587/transfun.E92.A.708: one column of a factor at a time is
set to the best non-negative one, the others fixed. Unlisted cells are zeros; only the ones are visited.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from crcrank.config import NMFSettings
from crcrank.models.contract import Fitted, TrainingData
from crcrank.models.matrices import FactoredMatrix, KnownMatrix, factor_classes
from crcrank.progress import ProgressSink

if TYPE_CHECKING:
    from scipy import sparse


def fit_nmf(
    data: TrainingData,
    settings: NMFSettings,
    rng: np.random.Generator,
    n_threads: int,  # noqa: ARG001  (BLAS takes its own)
    progress: ProgressSink,
) -> Fitted:
    """Factorise the matrix of all known compositions of each class.

    Raises
    ------
    ModelFitError
        If there are more factors than rows or columns.
    """

    def factor(matrix: KnownMatrix, n_factors: int) -> FactoredMatrix:
        left, right = factorise(matrix.ones, n_factors, settings.n_iterations, settings.l2, rng)
        return FactoredMatrix(matrix.rows, matrix.columns, left, right)

    return Fitted(factor_classes(data, "nmf", settings, factor, progress), n_epochs=settings.n_iterations)


def factorise(
    ones: sparse.csr_array, n_factors: int, n_iterations: int, l2: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return non-negative factors of the rows and of the columns, (n_rows, n_factors), (n_columns, n_factors)."""
    scale = np.sqrt(ones.mean() / n_factors)
    left, right = (2 * scale * rng.random((size, n_factors)) for size in ones.shape)
    columns = ones.T.tocsr()
    for _ in range(n_iterations):
        _improve(left, ones @ right, right.T @ right, l2)
        _improve(right, columns @ left, left.T @ left, l2)
    return left, right


def _improve(factors: np.ndarray, products: np.ndarray, gram: np.ndarray, l2: float) -> None:
    """Set each column of ``factors`` in turn, given the matrix times the other factors and the products of their columns."""
    for f in range(factors.shape[1]):
        if gram[f, f] + l2 > 0:
            step = (products[:, f] - factors @ gram[:, f] - l2 * factors[:, f]) / (gram[f, f] + l2)
            np.maximum(factors[:, f] + step, 0, out=factors[:, f])
