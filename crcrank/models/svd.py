"""Singular value decomposition of a matrix of known compositions, cut to the leading singular values.

By the theorem of Eckart and Young, Psychometrika 1, 211 (1936), doi:10.1007/BF02288367, no other matrix of this rank is nearer
to the known one, whose unlisted cells are zeros.
"""

from __future__ import annotations

import numpy as np

from crcrank.config import SVDSettings
from crcrank.models.contract import Fitted, TrainingData
from crcrank.models.matrices import FactoredMatrix, KnownMatrix, factor_classes
from crcrank.progress import ProgressSink


def fit_svd(
    data: TrainingData,
    settings: SVDSettings,
    rng: np.random.Generator,  # noqa: ARG001  (nothing is random)
    n_threads: int,  # noqa: ARG001  (BLAS takes its own)
    progress: ProgressSink,
) -> Fitted:
    """Decompose the matrix of all known compositions of each class.

    Raises
    ------
    ModelFitError
        If there are more factors than rows or columns.
    """
    return Fitted(factor_classes(data, "svd", settings, _truncated, progress))


def _truncated(matrix: KnownMatrix, n_factors: int) -> FactoredMatrix:
    """Project the matrix on the leading singular vectors of its shorter side, the eigenvectors of a small matrix of products."""
    n_rows, n_columns = matrix.ones.shape
    short = matrix.ones if n_rows <= n_columns else matrix.ones.T
    vectors = np.linalg.eigh((short @ short.T).toarray())[1][:, ::-1][:, :n_factors]
    factors = (vectors, short.T @ vectors)
    left, right = factors if n_rows <= n_columns else factors[::-1]
    return FactoredMatrix(matrix.rows, matrix.columns, left, right)
