"""Hit rate, recall and enrichment of a ranking, with every denominator stated."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from math import sqrt

from crcrank.errors import ConfigError, InputDataError
from crcrank.evaluation.chance import log10_p_value, resampled_hits
from crcrank.evaluation.curves import discovery_curve

_NORMAL_QUANTILE_975 = 1.959963984540054


@dataclass(frozen=True)
class HitCounts:
    """The four counts that every figure of merit is made of.

    Parameters
    ----------
    k
        Recommendations examined, at least 1.
    n_hits
        Those of them that are in the holdout.
    n_reachable
        Holdout formulas that the ranking could have listed: inside the space, and not known.
    n_unknown
        Candidates that the ranking chose from: the space without what is known.
    """

    k: int
    n_hits: int
    n_reachable: int
    n_unknown: int


@dataclass(frozen=True)
class HitRow:
    """A line of a hit table: counts and the figures that follow from them.

    Parameters
    ----------
    k, n_hits, n_reachable, n_unknown
        As in `HitCounts`.
    hit_rate
        n_hits / k. A lower bound of the share of real compounds, since an unregistered compound may exist.
    hit_rate_low, hit_rate_high
        95 % Wilson interval of the hit rate.
    recall
        n_hits / n_reachable.
    base_rate
        n_reachable / n_unknown, the hit rate that a random ranking expects.
    enrichment
        hit_rate / base_rate.
    expected_random
        k * base_rate, the hits that a random ranking expects (the mean of the hypergeometric distribution).
    hits_low, hits_high
        95 % interval of the hits by resampling the holdout.
    log10_p_value
        Decimal logarithm of the probability that a random ranking has as many hits or more; at most 0.
    """

    k: int
    n_hits: int
    n_reachable: int
    n_unknown: int
    hit_rate: float
    hit_rate_low: float
    hit_rate_high: float
    recall: float
    base_rate: float
    enrichment: float
    expected_random: float
    hits_low: int
    hits_high: int
    log10_p_value: float


def hit_table(ranked_formulas: Sequence[str], holdout: AbstractSet[str], *, n_unknown: int, cutoffs: Sequence[int]) -> list[HitRow]:
    """Measure the first k recommendations of a ranking for each cutoff k.

    Parameters
    ----------
    ranked_formulas
        Recommended formulas, best first, each listed once.
    holdout
        Reachable holdout formulas: inside the space, and not known. Their number is the denominator of recall.
    n_unknown
        Candidates that the ranking chose from; the denominator of the base rate.
    cutoffs
        Numbers of recommendations to examine, each at least 1. A cutoff beyond the end of the ranking has no row.

    Returns
    -------
    One row per cutoff that the ranking reaches, in the order of ``cutoffs``.

    Raises
    ------
    ConfigError
        If a cutoff is below 1.
    InputDataError
        If the holdout is empty or larger than ``n_unknown``, or the ranking lists a formula twice.
    """
    for k in cutoffs:
        if k < 1:
            raise ConfigError(f"cutoff {k}: the number of recommendations to examine must be at least 1")
    if not holdout:
        raise InputDataError("the holdout is empty: none of its compositions is inside the space and unknown to training")
    if len(holdout) > n_unknown:
        raise InputDataError(f"{len(holdout)} reachable holdout compositions do not fit into {n_unknown} unknown candidates")
    hits = discovery_curve(ranked_formulas, holdout)
    return [hit_row(HitCounts(k, int(hits[k - 1]), len(holdout), n_unknown)) for k in cutoffs if k <= len(ranked_formulas)]


def hit_row(counts: HitCounts) -> HitRow:
    """Derive the figures of merit from their counts.

    The enrichment is one exact quotient of integers, not a quotient of rounded rates.
    """
    k, n_hits, n_reachable, n_unknown = counts.k, counts.n_hits, counts.n_reachable, counts.n_unknown
    low, high = wilson_interval(n_hits, k)
    hits_low, hits_high = resampled_hits(n_hits, n_reachable)
    return HitRow(
        k=k,
        n_hits=n_hits,
        n_reachable=n_reachable,
        n_unknown=n_unknown,
        hit_rate=n_hits / k,
        hit_rate_low=low,
        hit_rate_high=high,
        recall=n_hits / n_reachable,
        base_rate=n_reachable / n_unknown,
        enrichment=(n_hits * n_unknown) / (k * n_reachable),
        expected_random=k * n_reachable / n_unknown,
        hits_low=hits_low,
        hits_high=min(hits_high, k),
        log10_p_value=log10_p_value(n_hits, k, n_reachable, n_unknown),
    )


def coverage(known: AbstractSet[str], holdout: AbstractSet[str]) -> float | None:
    """Return the share of the known compositions of a class that a holdout has too: how complete it is; None where none is known.

    It is the hit rate to expect of recommendations that are real without exception, if the holdout has of them what it has of the
    known: the Lincoln-Petersen estimate from two lists that were made independently. Compounds that are in one list are rather in the
    other as well, so that it has less of those that training lacks (A. Chao, Biometrics 43, 783 (1987), doi:10.2307/2531532).

    Examples
    --------
    >>> coverage({"NaCl", "KCl", "BaO3Ti"}, {"BaO3Ti", "O3PbTi"})
    0.3333333333333333
    """
    return len(known & holdout) / len(known) if known else None


def wilson_interval(n_hits: int, k: int) -> tuple[float, float]:
    """Return the 95 % Wilson score interval of the hit rate ``n_hits / k``.

    It reads the k recommendations as independent trials; near neighbours in a ranking are alike, so the true
    uncertainty is somewhat larger.

    Parameters
    ----------
    n_hits
        Hits, from 0 to ``k``.
    k
        Recommendations examined, at least 1.

    Returns
    -------
    Lower and upper end, each from 0 to 1.

    References
    ----------
    E. B. Wilson, J. Am. Stat. Assoc. 22, 209 (1927), doi:10.1080/01621459.1927.10502953.
    L. D. Brown, T. T. Cai, A. DasGupta, Stat. Sci. 16, 101 (2001), doi:10.1214/ss/1009213286, eq. (4).

    Examples
    --------
    >>> low, high = wilson_interval(33, 100)
    >>> round(low, 3), round(high, 3)
    (0.246, 0.427)
    """
    z2 = _NORMAL_QUANTILE_975**2
    centre = n_hits + z2 / 2
    half_width = sqrt(z2 * (n_hits * (k - n_hits) / k + z2 / 4))
    # At the ends the exact limits are 0 and 1; rounding must not move them.
    low = 0.0 if n_hits == 0 else (centre - half_width) / (k + z2)
    high = 1.0 if n_hits == k else (centre + half_width) / (k + z2)
    return low, high
