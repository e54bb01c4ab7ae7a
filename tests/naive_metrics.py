"""Slow and obvious twins of crcrank.evaluation; imports nothing from crcrank."""

from fractions import Fraction


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


def group_counts(labels, validation):
    """Count rows and validation rows of each label."""
    counts = {}
    for row, label in enumerate(labels):
        n_rows, n_validation = counts.get(label, (0, 0))
        counts[label] = (n_rows + 1, n_validation + (row in validation))
    return counts
