"""Candidates drawn at random in proportion to exp(score) of a pairwise program, exactly.

A block is drawn by the sum over its candidates; then one cation after the other, each by the sum over all completions,
which the exponentiated tables of the block give.
"""

from __future__ import annotations

import numpy as np

from crcrank.kernels.jit import kernel
from crcrank.kernels.likelihood import fill_factors, n_orders_of
from crcrank.kernels.pairwise import matrix, product_sum


@kernel
def _fill_masses_of_two(sizes, slot, weights, work, out):
    factors = matrix(work.pair[slot, slot + 1], sizes[slot], sizes[slot + 1])
    for i in range(sizes[slot]):
        out[i] = weights[slot, i] * product_sum(factors[i], weights[slot + 1, : sizes[slot + 1]])


@kernel
def _fill_masses_of_three(sizes, slot, weights, work, out):
    n_a, n_b, n_c = sizes[slot], sizes[slot + 1], sizes[slot + 2]
    left, product = matrix(work.flat[0], n_a, n_b), matrix(work.flat[1], n_a, n_c)
    factors_left, factors_right = matrix(work.pair[slot, slot + 1], n_a, n_b), matrix(work.pair[slot, slot + 2], n_a, n_c)
    for i in range(n_a):
        for k in range(n_b):
            left[i, k] = factors_left[i, k] * weights[slot + 1, k]
    np.dot(left, matrix(work.pair[slot + 1, slot + 2], n_b, n_c), product)
    for i in range(n_a):
        for j in range(n_c):
            product[i, j] *= factors_right[i, j]
        out[i] = weights[slot, i] * product_sum(product[i], weights[slot + 2, :n_c])


@kernel
def _fold(sizes, slot, i, weights, work, out):
    """Fill the weights of the slots after ``slot`` once its cation is ``i``."""
    for later in range(slot + 1, sizes.size):
        factors = matrix(work.pair[slot, later], sizes[slot], sizes[later])
        for j in range(sizes[later]):
            out[later, j] = weights[later, j] * factors[i, j]


@kernel
def _fill_masses(sizes, slot, weights, work, out):
    """Fill ``out[i]`` with the sum over all choices of the slots after ``slot``, times the weight of cation ``i`` in it."""
    n_left = sizes.size - slot
    if n_left == 1:
        out[: sizes[slot]] = weights[slot, : sizes[slot]]
    elif n_left == 2:
        _fill_masses_of_two(sizes, slot, weights, work, out)
    elif n_left == 3:
        _fill_masses_of_three(sizes, slot, weights, work, out)
    else:
        folded, masses = np.empty_like(weights), np.empty_like(out)
        for i in range(sizes[slot]):
            _fold(sizes, slot, i, weights, work, folded)
            _fill_masses_of_three(sizes, slot + 1, folded, work, masses)
            out[i] = weights[slot, i] * masses[: sizes[slot + 1]].sum()


@kernel
def fill_block_sums(program, blocks, order, work, out):
    """Fill ``out[b]`` with the sum of exp(score) over the candidates of each block ``b`` in ``order``."""
    masses = np.empty(work.unary.shape[1], program.row.dtype)
    for b in order:
        shared = fill_factors(program, blocks, b, work)
        _fill_masses(blocks.size[b], 0, work.unary, work, masses)
        out[b] = np.exp(np.float64(shared)) * masses[: blocks.size[b, 0]].sum() / n_orders_of(blocks, b)


@kernel
def _pick(masses, n, uniform):
    """Return an index with probability in proportion to its mass, never one without mass."""
    left = uniform * masses[:n].sum()
    picked = 0
    for i in range(n):
        if masses[i] > 0:
            picked = i
            left -= masses[i]
            if left < 0:
                break
    return picked


@kernel
def fill_draws(program, blocks, drawn_blocks, uniforms, work, cations):
    """Fill the cations (n, n_slots) of candidates drawn from given blocks.

    Parameters
    ----------
    drawn_blocks
        Block of each, int64 (n,); equal ones side by side.
    uniforms
        A uniform number in [0, 1) for each cation, (n, n_slots).
    work
        A :class:`~crcrank.kernels.likelihood.SumWorkspace`.
    """
    n_slots = cations.shape[1]
    first, masses = np.empty_like(work.unary[0]), np.empty_like(work.unary[0])
    weights = np.empty_like(work.unary)
    for n in range(drawn_blocks.size):
        b = drawn_blocks[n]
        sizes = blocks.size[b]
        if n == 0 or drawn_blocks[n - 1] != b:
            fill_factors(program, blocks, b, work)
            _fill_masses(sizes, 0, work.unary, work, first)
        weights[:] = work.unary
        masses[:] = first
        for slot in range(n_slots):
            if slot > 0:
                _fill_masses(sizes, slot, weights, work, masses)
            cations[n, slot] = _pick(masses, sizes[slot], uniforms[n, slot])
            _fold(sizes, slot, cations[n, slot], weights, work, weights)
        for slot in range(n_slots):
            cations[n, slot] += blocks.start[b, slot]
        _sort_runs(blocks, b, cations[n])


@kernel
def _sort_runs(blocks, b, cations):
    """Let the cations of each run ascend."""
    for last in range(cations.size - 1, 0, -1):
        for slot in range(1, last + 1):
            if blocks.run[b, slot] and cations[slot] < cations[slot - 1]:
                cations[slot - 1], cations[slot] = cations[slot], cations[slot - 1]
