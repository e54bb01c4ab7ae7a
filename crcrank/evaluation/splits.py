"""Splits of known compositions into a part to train on and a part to validate on."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from crcrank.errors import ConfigError, InputDataError

Indices = npt.NDArray[np.int64]


def validation_split(n: int, fraction: float, rng: np.random.Generator, groups: npt.ArrayLike | None = None) -> tuple[Indices, Indices]:
    """Split rows at random into training and validation rows, evenly over groups.

    Rows must be unique by formula; then no formula is on both sides. The rows are shuffled, sorted by group, and taken
    at even distances, so that every group gives its share, rounded up or down.

    Parameters
    ----------
    n
        Number of rows, at least 2.
    fraction
        Share of the rows to validate on, between 0 and 1; both sides get at least one row.
    rng
        Source of the random numbers; the same state gives the same split.
    groups
        Label of each row, shape (n,), for instance its composition class. Without it all rows are one group.

    Returns
    -------
    Training and validation row numbers, each int64 and increasing; together every row once.

    Raises
    ------
    ConfigError
        If ``fraction`` is not between 0 and 1.
    InputDataError
        If there are fewer than two rows, or not one label per row.
    """
    if not 0 < fraction < 1:
        raise ConfigError(f"validation fraction {fraction}: it must lie between 0 and 1")
    if n < 2:
        raise InputDataError(f"a validation split needs at least 2 compositions, found {n}")
    labels = np.zeros(n, np.int64) if groups is None else np.asarray(groups)
    if labels.shape != (n,):
        raise InputDataError(f"a validation split wants one label for each of {n} rows, found labels of shape {labels.shape}")

    shuffled = rng.permutation(n)
    ordered = shuffled[np.argsort(labels[shuffled], kind="stable")]
    n_validation = min(max(round(fraction * n), 1), n - 1)
    is_validation = np.zeros(n, dtype=bool)
    is_validation[ordered[_evenly_spaced(n, n_validation)]] = True
    return np.flatnonzero(~is_validation), np.flatnonzero(is_validation)


def _evenly_spaced(n: int, n_taken: int) -> npt.NDArray[np.bool_]:
    """Mark ``n_taken`` of ``n`` places so that any run of m places holds m * n_taken / n of them, rounded up or down."""
    return np.diff(np.arange(n + 1) * n_taken // n).astype(bool)
