"""What chance alone would give: the hypergeometric distribution of hits, and resampled holdouts in closed form."""

from __future__ import annotations

from bisect import bisect_left
from functools import partial
from math import inf, lgamma, log, log1p

import numpy as np
import numpy.typing as npt

from crcrank.errors import InputDataError

_QUANTILES = (0.025, 0.975)


def log10_p_value(n_hits: int, k: int, n_reachable: int, n_unknown: int) -> float:
    """Return the decimal logarithm of the probability that k random candidates hold at least ``n_hits`` of the reachable ones.

    The hits of k candidates drawn without replacement are hypergeometric. The logarithm, since such probabilities are often too
    small for a float.

    Parameters
    ----------
    n_hits, k, n_reachable, n_unknown
        As in :class:`crcrank.evaluation.metrics.HitCounts`.

    Returns
    -------
    At most 0; -inf if so many hits are impossible.

    Examples
    --------
    >>> round(10 ** log10_p_value(1, 1, 25, 100), 6)
    0.25
    """
    if n_hits > min(k, n_reachable):
        return -inf
    if n_hits <= max(0, k + n_reachable - n_unknown):
        return 0.0
    first, term, total = _log_chance(n_hits, k, n_reachable, n_unknown), 1.0, 1.0
    for x in range(n_hits, min(k, n_reachable)):
        term *= (n_reachable - x) * (k - x) / ((x + 1) * (n_unknown - n_reachable - k + x + 1))
        total += term
        if term < 1e-17 * total:
            break
    return min(0.0, (first + log(total)) / log(10))


def _log_chance(x: int, k: int, n_reachable: int, n_unknown: int) -> float:
    """Return the logarithm of the probability of exactly ``x`` hits; sums of few logarithms keep the digits of large numbers."""
    others = n_unknown - n_reachable
    ways = lgamma(k + 1) - lgamma(x + 1) - lgamma(k - x + 1)
    drawn = _log_falling(n_reachable, x, n_unknown) + _log_falling(others, k - x, n_unknown - x)
    return ways + drawn


def _log_falling(n: int, k: int, of: int) -> float:
    """Return the logarithm of the product of (n - i) / (of - i) for i below k."""
    i = np.arange(k, dtype=np.float64)
    return float(np.log((n - i) / (of - i)).sum())


def resampled_hits(n_hits: int, n_reachable: int) -> tuple[int, int]:
    """Return the 95 % interval of the hits, by resampling the holdout.

    In a holdout of as many compounds, drawn from this one with replacement, each is a hit with probability
    ``n_hits / n_reachable``; so the hits are binomial, and the percentile interval of the bootstrap (Efron and Tibshirani, An
    Introduction to the Bootstrap, 1993, chapter 13) needs no random numbers.

    Examples
    --------
    >>> resampled_hits(33, 1000)
    (22, 44)
    """
    cumulative = _binomial(n_reachable, n_hits / n_reachable).cumsum()
    low, high = (int(np.searchsorted(cumulative, q * (1 - 1e-12))) for q in _QUANTILES)
    return low, min(high, n_reachable)


def _binomial(n: int, p: float) -> npt.NDArray[np.float64]:
    """Return the probabilities of 0 ... n successes, (n + 1,)."""
    if p in {0.0, 1.0}:
        return np.asarray(np.arange(n + 1) == round(p * n), np.float64)
    log_ways = lgamma(n + 1) - np.array([lgamma(x + 1) + lgamma(n - x + 1) for x in range(n + 1)])
    x = np.arange(n + 1)
    return np.asarray(np.exp(log_ways + x * log(p) + (n - x) * log1p(-p)))


def depth_of(ranks: npt.NDArray[np.int64], share: float) -> tuple[int, int, int]:
    """Return how far one must read to find a share of the holdout, with its 95 % interval by resampling the holdout.

    Of n compounds drawn with replacement, the ``m``-th best is at most the ``j``-th best of the holdout if at least ``m`` of the
    draws are among the best ``j``: a binomial probability, so that no random numbers are needed.

    Parameters
    ----------
    ranks
        Of each compound, at least one, (n,).
    share
        Above 0, to 1; a half gives the (lower) median.

    Returns
    -------
    The rank of the ``m``-th best compound, ``m = share * n`` rounded up, and the ends of the interval.

    Raises
    ------
    InputDataError
        If there is no rank.
    """
    ordered = np.sort(ranks)
    n = len(ordered)
    if not n:
        raise InputDataError("no compound of the holdout has a rank")
    m = max(1, int(np.ceil(share * n - 1e-9)))

    def is_reached(j: int, quantile: float) -> bool:
        return float(_binomial(n, j / n)[m:].sum()) >= quantile

    low, high = (bisect_left(range(1, n), True, key=partial(is_reached, quantile=q)) for q in _QUANTILES)
    return int(ordered[m - 1]), int(ordered[low]), int(ordered[high])
