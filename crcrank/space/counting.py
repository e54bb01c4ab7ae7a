"""How many cation tuples blocks hold, in closed form, and how many blocks a class can have at most."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from itertools import combinations
from math import comb, factorial, inf

import numpy as np

_MANY_TYPES = 20_000  # of a charge with a coefficient: more are not worth the counting


def largest_number_of_blocks(
    charges: np.ndarray, anion_charges: np.ndarray, n_cations: int, max_coefficient: int, n_anions: int, *, neutral: bool
) -> float:
    """Return a bound on the blocks of a class, and on what is listed on the way to them, without listing anything.

    Parameters
    ----------
    charges, anion_charges
        Charge of each charge group and of each anion, positive, int64.
    n_cations, max_coefficient, n_anions, neutral
        The class.

    Returns
    -------
    float
        Infinity if there are too many to count.
    """
    if max(len(charges), len(anion_charges)) * max_coefficient > _MANY_TYPES:
        return inf
    if not neutral:
        n_cation_choices = comb(len(charges) * max_coefficient + n_cations - 1, n_cations)
        return float(n_cation_choices * comb(len(anion_charges) * max_coefficient + n_anions - 1, n_anions))
    coefficients, limit = np.arange(1, max_coefficient + 1), n_anions * int(anion_charges.max()) * max_coefficient
    cations = _n_multisets(np.outer(charges, coefficients).ravel(), n_cations, limit)
    anions = _n_multisets(np.outer(anion_charges, coefficients).ravel(), n_anions, limit)
    return float(max(cations.sum(), cations @ anions))


def _n_multisets(numbers: np.ndarray, size: int, limit: int) -> np.ndarray:
    """Return how many multisets of ``size`` of the numbers add up to each total, float64 (limit + 1,)."""
    ways = np.zeros((size + 1, limit + 1))
    ways[0, 0] = 1
    for number in numbers[numbers <= limit].tolist():
        for n in range(1, size + 1):
            ways[n, number:] += ways[n - 1, : limit + 1 - number]
    return np.asarray(ways[size])


def count_tuples(has_ion: np.ndarray, groups: np.ndarray, runs: np.ndarray, anion_elements: np.ndarray) -> np.ndarray:
    """Return how many ways there are to give each slot an ion of its charge group, all elements different.

    Ordered tuples are counted by inclusion and exclusion over the partitions of the slots into sets of one element (Stanley,
    Enumerative Combinatorics 1, section 3.10: the Moebius function of the partition lattice). The order within a run of equal
    slots does not matter, so that each run of ``r`` slots divides by ``r!``.

    Parameters
    ----------
    has_ion
        Whether an element has an ion in a charge group, bool (n_groups, n_elements).
    groups, runs
        Charge group of each slot, int64, and whether the slot equals the one before it, bool (n_blocks, n_slots).
    anion_elements
        The elements that no slot may take, int64 (n_blocks, n_anions).
    """
    allowed = [has_ion[column] for column in groups.T]
    others = np.ones((len(groups), has_ion.shape[1]), bool)
    others[np.arange(len(groups))[:, None], anion_elements] = False
    ordered = _n_ordered(others, allowed)
    position_in_run = np.ones(len(groups), np.int64)
    for is_run in runs.T[1:]:
        position_in_run = np.where(is_run, position_in_run + 1, 1)
        ordered //= position_in_run
    return ordered


def _n_ordered(others: np.ndarray, slots: Sequence[np.ndarray]) -> np.ndarray:
    """Sum over the sets of slots that share the first slot's element."""
    if not slots:
        return np.ones(len(others), np.int64)
    total = np.zeros(len(others), np.int64)
    rest = range(1, len(slots))
    for n_shared in range(len(slots)):
        sign_and_weight = (-1) ** n_shared * factorial(n_shared)
        for shared in combinations(rest, n_shared):
            n_elements = reduce(np.logical_and, (slots[i] for i in shared), others & slots[0]).sum(axis=1)
            total += sign_and_weight * n_elements * _n_ordered(others, [slots[i] for i in rest if i not in shared])
    return total
