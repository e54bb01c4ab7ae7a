"""Number of cation tuples of many blocks at once, in closed form."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from itertools import combinations
from math import factorial

import numpy as np


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
        The element that no slot may take, int64 (n_blocks,).
    """
    allowed = [has_ion[column] for column in groups.T]
    others = np.ones((len(groups), has_ion.shape[1]), bool)
    others[np.arange(len(groups)), anion_elements] = False
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
