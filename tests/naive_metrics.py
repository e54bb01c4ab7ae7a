"""Slow and obvious twins of crcrank.evaluation; imports nothing from crcrank."""

import itertools
from fractions import Fraction
from math import comb


def discovery_curve(ranked_formulas, holdout):
    return [len([formula for formula in ranked_formulas[:k] if formula in holdout]) for k in range(1, len(ranked_formulas) + 1)]


def hit_row(ranked_formulas, holdout, n_unknown, k):
    n_hits = len(set(ranked_formulas[:k]) & set(holdout))
    hit_rate = Fraction(n_hits, k)
    base_rate = Fraction(len(holdout), n_unknown)
    return {
        "k": k,
        "n_hits": n_hits,
        "n_reachable": len(holdout),
        "n_unknown": n_unknown,
        "hit_rate": float(hit_rate),
        "recall": float(Fraction(n_hits, len(holdout))),
        "base_rate": float(base_rate),
        "enrichment": float(hit_rate / base_rate),
        "expected_random": float(k * base_rate),
    }


def wilson_interval(n_hits, k, quantile=1.959963984540054):
    """Find by bisection the true rates from which the observed one lies exactly ``quantile`` standard errors away."""
    observed = n_hits / k

    def is_plausible(rate):
        return (observed - rate) ** 2 <= quantile**2 * rate * (1 - rate) / k

    def edge(outside, inside):
        for _ in range(100):
            middle = (outside + inside) / 2
            if is_plausible(middle):
                inside = middle
            else:
                outside = middle
        return inside

    # The middle of the interval is plausible in any case: the observed rate, pulled towards one half.
    middle = (n_hits + quantile**2 / 2) / (k + quantile**2)
    return edge(0.0, middle), edge(1.0, middle)


def p_value(n_hits, k, n_reachable, n_unknown):
    """Sum the hypergeometric distribution, exactly."""
    ways = sum(comb(n_reachable, x) * comb(n_unknown - n_reachable, k - x) for x in range(n_hits, min(k, n_reachable) + 1))
    return Fraction(ways, comb(n_unknown, k))


def _quantile(chances, share):
    """Return the first value whose cumulative chance reaches ``share``, from {value: exact chance}."""
    total = Fraction(0)
    for value in sorted(chances):
        total += chances[value]
        if total >= share:
            return value
    raise AssertionError


def resampled_hits(n_hits, n):
    rate = Fraction(n_hits, n)
    chances = {x: comb(n, x) * rate**x * (1 - rate) ** (n - x) for x in range(n + 1)}
    return _quantile(chances, Fraction(25, 1000)), _quantile(chances, Fraction(975, 1000))


def depth_of(ranks, share):
    """Draw every possible resample of the compounds."""
    n = len(ranks)
    m = next(m for m in range(1, n + 1) if m >= share * n - 1e-9)
    chances = {}
    for drawn in itertools.product(sorted(ranks), repeat=n):
        found = sorted(drawn)[m - 1]
        chances[found] = chances.get(found, 0) + Fraction(1, n**n)
    return sorted(ranks)[m - 1], _quantile(chances, Fraction(25, 1000)), _quantile(chances, Fraction(975, 1000))


def kind_of_change(formula, before, after, k, known):
    if formula not in before[:k]:
        return "entered"
    if formula in known:
        return "became_known"
    if formula not in after[:k]:
        return "left"
    return "stayed" if before.index(formula) == after.index(formula) else "moved"


def calibration(rows, n_bins):
    """Return (n, n_found, low, high, mean) of each bin of (probability, is_found), the most probable first, early ones larger."""
    rows = sorted(rows, key=lambda row: -row[0])
    size, n_larger = divmod(len(rows), n_bins)
    bins = []
    for i in range(n_bins):
        part, rows = rows[: size + (i < n_larger)], rows[size + (i < n_larger) :]
        if part:
            values = [value for value, _ in part]
            bins.append((len(part), sum(found for _, found in part), min(values), max(values), sum(values) / len(part)))
    return bins
