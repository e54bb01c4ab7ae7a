"""Probabilities of a ranking against the share that a holdout holds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from crcrank.evaluation.metrics import wilson_interval

STATEMENT = "unlabelled is not negative: a formula that no list has may exist all the same, so each share found is a lower bound"


@dataclass(frozen=True)
class CalibrationBin:
    """Formulas of about the same probability.

    Parameters
    ----------
    low, high
        Least and largest probability.
    n_formulas, n_found
        Formulas, and those of them that the holdout has.
    mean_probability
        Mean of the probabilities, which a calibrated model finds as the share.
    share, share_low, share_high
        n_found / n_formulas with its 95 % Wilson interval. A lower bound of the share that exists: what no list has may exist.
    """

    low: float
    high: float
    n_formulas: int
    n_found: int
    mean_probability: float
    share: float
    share_low: float
    share_high: float


def calibration_table(probabilities: npt.ArrayLike, is_found: npt.ArrayLike, n_bins: int = 10) -> list[CalibrationBin]:
    """Cut formulas, by descending probability, into bins of about as many each.

    Parameters
    ----------
    probabilities, is_found
        Of each formula, (n,).

    Returns
    -------
    The bin of the highest probabilities first; fewer than ``n_bins`` if there are fewer formulas.
    """
    values, found = np.asarray(probabilities, np.float64), np.asarray(is_found, bool)
    order = np.argsort(-values, kind="stable")
    parts = [part for part in np.array_split(order, n_bins) if len(part)]
    return [_bin(values[part], found[part]) for part in parts]


def calibration_error(bins: list[CalibrationBin]) -> float:
    """Return the mean difference of probability and share found, each formula counted once (expected calibration error).

    Naeini, Cooper, Hauskrecht, AAAI 2015, 2901, eq. (2), with bins of equal size.
    """
    n = sum(item.n_formulas for item in bins)
    return sum(item.n_formulas * abs(item.mean_probability - item.share) for item in bins) / n


def _bin(values: npt.NDArray[np.float64], found: npt.NDArray[np.bool_]) -> CalibrationBin:
    n, n_found = len(values), int(found.sum())
    return CalibrationBin(
        float(values.min()), float(values.max()), n, n_found, float(values.mean()), n_found / n, *wilson_interval(n_found, n)
    )
