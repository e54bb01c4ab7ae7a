"""Counting, ranking and unranking the cation tuples of a block.

A block fixes the stoichiometry and the anions; what is left is one cation per slot. Slot ``s`` takes an ion of charge
group ``groups[s]``; all elements differ from each other and from the anions'; where ``runs[s]`` is true, slots ``s - 1``
and ``s`` have the same charge and coefficient, and their ions ascend, so that each candidate is written once.
Tuples are numbered in lexicographic order. Ions are local indices within their charge group.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from crcrank.kernels.jit import lean


class GroupTables(NamedTuple):
    """Which ions share a charge, as arrays.

    Attributes
    ----------
    size
        Ions in each charge group, int64 (n_groups,).
    element
        Element of each ion, int64 (n_groups, largest group).
    ion_of
        Local index of an element's ion in a group, -1 if it has none, int64 (n_elements, n_groups).
    shared_after
        ``[g, h, i]``: elements with an ion in both groups whose index in ``g`` is at least ``i``,
        int64 (n_groups, n_groups, largest group + 1).
    """

    size: np.ndarray
    element: np.ndarray
    ion_of: np.ndarray
    shared_after: np.ndarray


@lean
def _count_one(tables, group, first, used, n_used):
    n_free = tables.size[group] - first
    for u in range(n_used):
        if tables.ion_of[used[u], group] >= first:
            n_free -= 1
    return n_free


@lean
def _count_two(tables, group, next_group, next_is_run, first, used, n_used):
    n_free = _count_one(tables, group, first, used, n_used)
    if next_is_run:
        return n_free * (n_free - 1) // 2
    n_next = _count_one(tables, next_group, 0, used, n_used)
    n_shared = tables.shared_after[group, next_group, first]
    for u in range(n_used):
        if tables.ion_of[used[u], group] >= first and tables.ion_of[used[u], next_group] >= 0:
            n_shared -= 1
    return n_free * n_next - n_shared


@lean
def _is_used(element, used, n_used):
    for u in range(n_used):
        if used[u] == element:
            return True
    return False


@lean
def _count_few(tables, groups, runs, slot, first, used, n_used):
    """Count the ways to fill the last (at most two) slots from ``slot`` on, which starts at ion ``first``."""
    n_left = groups.size - slot
    if n_left == 0:
        return 1
    if n_left == 1:
        return _count_one(tables, groups[slot], first, used, n_used)
    return _count_two(tables, groups[slot], groups[slot + 1], runs[slot + 1], first, used, n_used)


# One function per number of slots: a compiled kernel that calls itself does not survive Numba's disk cache.
@lean
def _count_three(tables, groups, runs, slot, first, used, n_used):
    n_ways = 0
    for ion in range(first, tables.size[groups[slot]]):
        element = tables.element[groups[slot], ion]
        if not _is_used(element, used, n_used):
            used[n_used] = element
            n_ways += _count_few(tables, groups, runs, slot + 1, ion + 1 if runs[slot + 1] else 0, used, n_used + 1)
    return n_ways


@lean
def _count_four(tables, groups, runs, slot, first, used, n_used):
    n_ways = 0
    for ion in range(first, tables.size[groups[slot]]):
        element = tables.element[groups[slot], ion]
        if not _is_used(element, used, n_used):
            used[n_used] = element
            n_ways += _count_three(tables, groups, runs, slot + 1, ion + 1 if runs[slot + 1] else 0, used, n_used + 1)
    return n_ways


@lean
def _count_from(tables, groups, runs, slot, first, used, n_used):
    """Count the ways to fill slots ``slot``... (four at most), starting at ion ``first``, with ``n_used`` elements taken."""
    n_left = groups.size - slot
    if n_left == 4:
        return _count_four(tables, groups, runs, slot, first, used, n_used)
    if n_left == 3:
        return _count_three(tables, groups, runs, slot, first, used, n_used)
    return _count_few(tables, groups, runs, slot, first, used, n_used)


@lean
def fill_tuples(tables, groups, runs, anion_elements, patterns, below, used, ranks, out):
    """Fill ``out[c]`` with the cation tuple of number ``ranks[c]``.

    Parameters
    ----------
    groups, runs, anion_elements
        Of each tuple's block: (n, n_slots), (n, n_slots), (n, n_anions).
    patterns
        A number for each tuple, the same only where groups, runs and anion elements are, int64 (n,).
    below
        Room for the number of tuples whose first ion comes before each, by pattern, int64 (n_patterns, largest group + 1); a row
        starts with -1 until it is filled.
    used
        Room for the elements of a candidate, int64 (n_anions + n_slots,).
    ranks, out
        int64 (n,), (n, n_slots).
    """
    n_anions = anion_elements.shape[1]
    for c in range(groups.shape[0]):
        for a in range(n_anions):
            used[a] = anion_elements[c, a]
        sums = below[patterns[c]]
        _fill_below(tables, groups[c], runs[c], used, n_anions, sums)
        first = 0
        while sums[first + 1] <= ranks[c]:
            first += 1
        left = ranks[c] - sums[first]
        out[c, 0] = first
        used[n_anions] = tables.element[groups[c, 0], first]
        for slot in range(1, groups.shape[1]):
            for ion in range(out[c, slot - 1] + 1 if runs[c, slot] else 0, tables.size[groups[c, slot]]):
                element = tables.element[groups[c, slot], ion]
                if _is_used(element, used, n_anions + slot):
                    continue
                used[n_anions + slot] = element
                n_below = _count_below(tables, groups[c], runs[c], slot, ion, used, n_anions)
                if left < n_below:
                    out[c, slot] = ion
                    break
                left -= n_below


@lean
def fill_ranks(tables, groups, runs, anion_elements, patterns, below, used, tuples, out):
    """Fill ``out[c]`` with the number of the cation tuple ``tuples[c]``, the inverse of :func:`fill_tuples`."""
    n_anions = anion_elements.shape[1]
    for c in range(groups.shape[0]):
        for a in range(n_anions):
            used[a] = anion_elements[c, a]
        _fill_below(tables, groups[c], runs[c], used, n_anions, below[patterns[c]])
        out[c] = below[patterns[c], tuples[c, 0]]
        used[n_anions] = tables.element[groups[c, 0], tuples[c, 0]]
        for slot in range(1, groups.shape[1]):
            for ion in range(tuples[c, slot - 1] + 1 if runs[c, slot] else 0, tuples[c, slot]):
                element = tables.element[groups[c, slot], ion]
                if not _is_used(element, used, n_anions + slot):
                    used[n_anions + slot] = element
                    out[c] += _count_below(tables, groups[c], runs[c], slot, ion, used, n_anions)
            used[n_anions + slot] = tables.element[groups[c, slot], tuples[c, slot]]


@lean
def _fill_below(tables, groups, runs, used, n_anions, sums):
    """Fill ``sums`` with the number of tuples whose first ion comes before each, once; ``used`` holds the anions' elements."""
    if sums[0] == 0:
        return
    sums[0] = 0
    for ion in range(tables.size[groups[0]]):
        used[n_anions] = tables.element[groups[0], ion]
        sums[ion + 1] = sums[ion]
        if not _is_used(used[n_anions], used, n_anions):
            sums[ion + 1] += _count_below(tables, groups, runs, 0, ion, used, n_anions)


@lean
def _count_below(tables, groups, runs, slot, ion, used, n_anions):
    """Count the completions once slots up to ``slot`` are set; ``used`` holds the anions and their elements."""
    next_first = ion + 1 if slot + 1 < groups.size and runs[slot + 1] else 0
    return _count_from(tables, groups, runs, slot + 1, next_first, used, n_anions + slot + 1)
