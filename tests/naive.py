"""Slow and obvious twins of the candidate space, the Factorization Machine, the ranking and the likelihood.

Imports nothing from crcrank. An ion is (element, oxidation state); a candidate is a frozenset of (element, oxidation state,
coefficient), so that it has no order.
"""

import itertools
import math

import numpy as np


def class_candidates(ions, n_cations, max_coefficient):
    """Return the set of all neutral candidates of one anion with ``n_cations`` cations, all of different elements."""
    anions = [ion for ion in ions if ion[1] < 0]
    found = set()
    for cations in itertools.combinations([ion for ion in ions if ion[1] > 0], n_cations):
        for anion in anions:
            chosen = (*cations, anion)
            if len({element for element, _ in chosen}) == len(chosen):
                found.update(_neutral(chosen, max_coefficient))
    return found


def _neutral(chosen, max_coefficient):
    for coefficients in itertools.product(range(1, max_coefficient + 1), repeat=len(chosen)):
        charge = sum(state * n for (_, state), n in zip(chosen, coefficients, strict=True))
        if charge == 0 and math.gcd(*coefficients) == 1:
            yield frozenset((element, state, n) for (element, state), n in zip(chosen, coefficients, strict=True))


def formula(candidate):
    return "".join(f"{element}{n if n > 1 else ''}" for element, _, n in sorted(candidate))


def composition(candidate):
    elements, _, amounts = zip(*sorted(candidate), strict=True)
    return elements, amounts


def stoichiometry(candidate):
    return tuple(sorted((state, n) for _, state, n in candidate))


def passes(candidate, *, required=(), allowed=(), excluded=(), anions=(), max_coefficient=0):
    elements = {element for element, _, _ in candidate}
    anion = next(element for element, state, _ in candidate if state < 0)
    return (
        set(required) <= elements
        and (not allowed or elements <= set(allowed))
        and not elements & set(excluded)
        and (not anions or anion in anions)
        and (not max_coefficient or max(n for _, _, n in candidate) <= max_coefficient)
    )


def ranking(scored, excluded, k):
    """Rank (score, candidate_id, formula) by score, then id; each formula once; return the first ``k`` (candidate_id, score)."""
    best = {}
    for score, candidate_id, name in sorted(scored, key=lambda row: (-row[0], row[1])):
        if name not in excluded and name not in best:
            best[name] = (candidate_id, score)
    return list(best.values())[:k]


def fm_features(candidate, components, groups):
    """Return the features of a candidate as {feature: value}, and {feature: value in the linear term}, which differ for covariances."""
    values = {}
    cations = [(element, state) for element, state, _ in candidate if state > 0]
    (anion,) = [(element, state) for element, state, _ in candidate if state < 0]
    if "ion" in groups:
        values |= {("ion", ion): 1.0 for ion in (*cations, anion)}
    if "ion_coefficient" in groups:
        values |= {("ion_coefficient", (element, state), n): 1.0 for element, state, n in candidate}
    if "cation_anion" in groups:
        values |= {("cation_anion", cation, anion): 1.0 for cation in cations}
    if "stoichiometry" in groups:
        values["stoichiometry", stoichiometry(candidate)] = 1.0
    linear = dict(values)
    if "prior" in groups:
        means, seconds = _moments(candidate, components)
        values |= means | seconds
        linear |= means
        linear |= {key: second - means["mean", key[1]] * means["mean", key[2]] for key, second in seconds.items()}
    return values, linear


def _moments(candidate, components):
    n_atoms = sum(n for _, _, n in candidate)
    n_components = len(next(iter(components.values())))
    means = {("mean", p): 0.0 for p in range(n_components)}
    seconds = {("second", p, q): 0.0 for p in range(n_components) for q in range(p, n_components)}
    for element, state, n in candidate:
        own = components[element, state]
        for p in range(n_components):
            means["mean", p] += n / n_atoms * own[p]
            for q in range(p, n_components):
                seconds["second", p, q] += n / n_atoms * own[p] * own[q]
    return means, seconds


def fm_score(candidate, components, groups, bias, weights, factors):
    """Rendle, ICDM 2010, eq. 1: a bias, a weight per feature, and the product of the factors of each two different features."""
    values, linear = fm_features(candidate, components, groups)
    score = bias + sum(weights[feature] * value for feature, value in linear.items())
    for (one, x), (other, y) in itertools.combinations(values.items(), 2):
        score += float(factors[one] @ factors[other]) * x * y
    return score


def sum_of_rates(scores, weights):
    return math.fsum(weight * math.exp(score) for score, weight in zip(scores, weights, strict=True))


def known_loss(scores, weights):
    """Return minus the weighted sum of log(exp(rate) - 1)."""
    return -math.fsum(weight * math.log(math.expm1(math.exp(score))) for score, weight in zip(scores, weights, strict=True))


def slope_along(function, point, direction, step=1e-4):
    """Return the derivative of ``function`` at the arrays ``point`` along ``direction``, by central differences."""

    def value(sign):
        return function([array + sign * step * toward for array, toward in zip(point, direction, strict=True)])

    return (value(1) - value(-1)) / (2 * step)


def inner(arrays, others):
    """Return the sum of all products of two lists of arrays, in float64."""
    return math.fsum(float(np.sum(np.asarray(a, np.float64) * b)) for a, b in zip(arrays, others, strict=True))


def norm(arrays):
    return math.sqrt(inner(arrays, arrays))
