"""Slow and obvious twins of the splits and statistics of studies; imports nothing from crcrank."""

import statistics


def taken(items, fraction, shuffled):
    """Return the part of ``items`` that comes first in ``shuffled``, a permutation of them."""
    n = max(1, round(fraction * len(items)))
    return set(list(shuffled)[:n])


def split(design, rows, fraction, shuffled, year=None):
    """Split ``rows``, dictionaries with is_known, system, year; return what is trained, looked for and left out."""
    everything = set(range(len(rows)))
    known = {i for i in everything if rows[i]["is_known"]}
    if design == "other_database":
        return taken(known, fraction, shuffled), everything - known, known
    if design == "random_fraction":
        trained = taken(known, fraction, shuffled)
        return trained, everything - trained, trained
    if design == "leave_system_out":
        systems = sorted({rows[i]["system"] for i in known})
        seen_systems = {systems[i] for i in taken(systems, fraction, shuffled)}
        seen = {i for i in everything if rows[i]["system"] in seen_systems}
        return seen & known, everything - seen, seen
    if design == "by_year":
        early = {i for i in known if 0 < rows[i]["year"] <= year}
        later = {i for i in everything if rows[i]["year"] > year}
        return taken(early, fraction, shuffled), later, everything - later
    return set(), everything, set()


def n_shuffled(design, rows, year=None):
    """Return how many things a design shuffles."""
    known = [row for row in rows if row["is_known"]]
    if design == "leave_system_out":
        return len({row["system"] for row in known})
    return len([row for row in known if 0 < row["year"] <= year]) if design == "by_year" else len(known)


def mean_and_error(values):
    mean = statistics.fmean(values)
    return mean, (statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else None)


def hits_in_ranking(score_by_formula, left_out, looked_for, k):
    """Count what is looked for among the k best formulas that are not left out."""
    ranked = sorted((formula for formula in score_by_formula if formula not in left_out), key=lambda formula: -score_by_formula[formula])
    return len([formula for formula in ranked[:k] if formula in looked_for])
