"""Sums of exp(score) over every candidate of a block, and their gradient, without visiting the candidates one by one.

With pairwise scores, exp(score) is a product of unary and pair factors. The sum over all cation tuples of a block, and
its derivative with respect to every table entry, are then contractions of the exponentiated tables: the work per
candidate is a few fused multiply-adds, and equal elements drop out because exp(-inf) is 0. Slots of a run are summed over
all orders and divided by their number.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from crcrank.kernels.jit import kernel
from crcrank.kernels.pairwise import fill_context, fill_pair, fill_slot, matrix, product_sum


class SumWorkspace(NamedTuple):
    """Scratch of one thread, with n slots of at most L cations and F factors.

    Attributes
    ----------
    context, rows, unary, table
        As in :func:`fill_tables`; ``table`` (L, L) holds one pair at a time.
    pair, pair_sum
        Exponentiated pair tables, and their derivatives: one flat matrix (L * L) for each two slots, (n, n, L * L).
    unary_sum, row_sum, context_sum
        Derivatives by unary score, by position vector and by context, (n, L), (n, L, F), (F,).
    flat, vectors
        Matrices (6, max(L * L, L * F)) and vectors (6, L) for intermediate results.
    """

    context: np.ndarray
    rows: np.ndarray
    unary: np.ndarray
    table: np.ndarray
    pair: np.ndarray
    pair_sum: np.ndarray
    unary_sum: np.ndarray
    row_sum: np.ndarray
    context_sum: np.ndarray
    flat: np.ndarray
    vectors: np.ndarray


def sum_workspace(n_slots: int, largest: int, n_factors: int, dtype: type = np.float32) -> SumWorkspace:
    """Return scratch for blocks of ``n_slots`` slots with at most ``largest`` cations each."""
    n, width = n_slots, largest
    return SumWorkspace(
        np.zeros((n_factors,), dtype),
        np.zeros((n, width, n_factors), dtype),
        np.zeros((n, width), dtype),
        np.zeros((width, width), dtype),
        np.zeros((n, n, width * width), dtype),
        np.zeros((n, n, width * width), dtype),
        np.zeros((n, width), dtype),
        np.zeros((n, width, n_factors), dtype),
        np.zeros((n_factors,), dtype),
        np.zeros((6, width * max(width, n_factors)), dtype),
        np.zeros((6, width), dtype),
    )


@kernel
def n_orders_of(blocks, b):
    """Return in how many orders the tuples of a block's runs can be written: the product of the runs' factorials."""
    n_orders, length = 1, 1
    for slot in range(1, blocks.size.shape[1]):
        length = length + 1 if blocks.run[b, slot] else 1
        n_orders *= length
    return n_orders


@kernel
def fill_factors(program, blocks, b, work):
    """Fill the exponentiated tables of block ``b`` and clear the sums; return the score that its candidates share."""
    n_slots = blocks.size.shape[1]
    shared = fill_context(program, blocks, b, work.context)
    for slot in range(n_slots):
        fill_slot(program, blocks, b, slot, work.context, work.rows[slot], work.unary[slot])
        work.unary[slot, : blocks.size[b, slot]] = np.exp(work.unary[slot, : blocks.size[b, slot]])
    for slot in range(n_slots):
        for other in range(slot + 1, n_slots):
            fill_pair(program, blocks, b, slot, other, work.rows[slot], work.rows[other], work.flat[0], work.table)
            n_rows, n_columns = blocks.size[b, slot], blocks.size[b, other]
            factors = matrix(work.pair[slot, other], n_rows, n_columns)
            for i in range(n_rows):
                for j in range(n_columns):
                    factors[i, j] = np.exp(work.table[i, j])
            work.pair_sum[slot, other, : n_rows * n_columns] = 0
    work.unary_sum[:] = 0
    return shared


@kernel
def _contract_two(sizes, work):
    """Fill the unary and pair sums of a block of two slots."""
    factors, sums = matrix(work.pair[0, 1], sizes[0], sizes[1]), matrix(work.pair_sum[0, 1], sizes[0], sizes[1])
    for i in range(sizes[0]):
        for j in range(sizes[1]):
            term = work.unary[0, i] * factors[i, j] * work.unary[1, j]
            sums[i, j] = term
            work.unary_sum[1, j] += term
        work.unary_sum[0, i] = work.unary[0, i] * product_sum(factors[i], work.unary[1, : sizes[1]])


@kernel
def _contract_three(sizes, a, weights, work, sums):
    """Add the sum over the last three slots, from slot ``a`` on, to their pair sums and to ``sums`` (3, L).

    With weights folded into two of the three tables, the sums over one slot are matrix products. The third table's sum is
    left without its own factor (:func:`_contract` multiplies it in at the end).
    """
    n_a, n_b, n_c = sizes[a], sizes[a + 1], sizes[a + 2]
    left, right = matrix(work.flat[1], n_a, n_b), matrix(work.flat[2], n_a, n_c)
    by_left, by_right, by_third = matrix(work.flat[3], n_a, n_b), matrix(work.flat[4], n_a, n_c), matrix(work.flat[5], n_b, n_c)
    factors_left, factors_right = matrix(work.pair[a, a + 1], n_a, n_b), matrix(work.pair[a, a + 2], n_a, n_c)
    third = matrix(work.pair[a + 1, a + 2], n_b, n_c)
    for i in range(n_a):
        for k in range(n_b):
            left[i, k] = weights[0, i] * factors_left[i, k] * weights[1, k]
        for j in range(n_c):
            right[i, j] = factors_right[i, j] * weights[2, j]
    np.dot(right, third.T, by_left)
    np.dot(left, third, by_right)
    np.dot(left.T, right, by_third)
    sums_left, sums_right = matrix(work.pair_sum[a, a + 1], n_a, n_b), matrix(work.pair_sum[a, a + 2], n_a, n_c)
    for i in range(n_a):
        for k in range(n_b):
            term = left[i, k] * by_left[i, k]
            sums_left[i, k] += term
            sums[1, k] += term
        sums[0, i] += product_sum(left[i], by_left[i])
        for j in range(n_c):
            term = right[i, j] * by_right[i, j]
            sums_right[i, j] += term
            sums[2, j] += term
    sums_third = work.pair_sum[a + 1, a + 2]
    for n in range(n_b * n_c):
        sums_third[n] += work.flat[5, n]


@kernel
def _contract_four(sizes, work):
    """Fill the unary and pair sums of a block of four slots, one cation of the first slot after the other."""
    weights, sums = work.vectors[:3], work.vectors[3:]
    for h in range(sizes[0]):
        if work.unary[0, h] == 0:
            continue
        for slot in range(1, 4):
            scale = work.unary[0, h] if slot == 1 else np.float32(1.0)
            factors = matrix(work.pair[0, slot], sizes[0], sizes[slot])
            for i in range(sizes[slot]):
                weights[slot - 1, i] = scale * work.unary[slot, i] * factors[h, i]
                sums[slot - 1, i] = 0
        _contract_three(sizes, 1, weights, work, sums)
        for slot in range(1, 4):
            pair_sums = matrix(work.pair_sum[0, slot], sizes[0], sizes[slot])
            for i in range(sizes[slot]):
                pair_sums[h, i] = sums[slot - 1, i]
                work.unary_sum[slot, i] += sums[slot - 1, i]
        for i in range(sizes[1]):
            work.unary_sum[0, h] += sums[0, i]


@kernel
def _contract(sizes, work):
    """Fill the unary and pair sums of a block; return the sum of its products."""
    n_slots = sizes.size
    if n_slots == 1:
        work.unary_sum[0, : sizes[0]] = work.unary[0, : sizes[0]]
    elif n_slots == 2:
        _contract_two(sizes, work)
    else:
        if n_slots == 3:
            _contract_three(sizes, 0, work.unary, work, work.unary_sum)
        else:
            _contract_four(sizes, work)
        for n in range(sizes[n_slots - 2] * sizes[n_slots - 1]):
            work.pair_sum[n_slots - 2, n_slots - 1, n] *= work.pair[n_slots - 2, n_slots - 1, n]
    total = 0.0
    for i in range(sizes[0]):
        total += work.unary_sum[0, i]
    return total


@kernel
def _rows_back(sizes, scale, work):
    """Scale all sums, and fill ``row_sum`` and ``context_sum``: the derivatives by the vectors of positions and context."""
    n_slots, n_factors = sizes.size, work.context.size
    work.context_sum[:] = 0
    for slot in range(n_slots):
        for i in range(sizes[slot]):
            work.unary_sum[slot, i] *= scale
            flow = work.unary_sum[slot, i]
            for k in range(n_factors):
                work.row_sum[slot, i, k] = flow * work.context[k]
                work.context_sum[k] += flow * work.rows[slot, i, k]
    for slot in range(n_slots):
        for other in range(slot + 1, n_slots):
            n_rows, n_columns = sizes[slot], sizes[other]
            for n in range(n_rows * n_columns):
                work.pair_sum[slot, other, n] *= scale
            flows = matrix(work.pair_sum[slot, other], n_rows, n_columns)
            back, back_other = matrix(work.flat[0], n_rows, n_factors), matrix(work.flat[1], n_columns, n_factors)
            np.dot(flows, work.rows[other, :n_columns], back)
            np.dot(flows.T, work.rows[slot, :n_rows], back_other)
            work.row_sum[slot, :n_rows] += back
            work.row_sum[other, :n_columns] += back_other


@kernel
def _slots_back(blocks, b, work, gradient):
    """Add a block's flows to the gradient of what belongs to its cations."""
    x = blocks.anion_set[b]
    n_slots, n_cations, n_factors = blocks.size.shape[1], gradient.row.shape[1], work.context.size
    for slot in range(n_slots):
        c = blocks.coefficient[b, slot] - 1
        f = np.float32(blocks.coefficient[b, slot] / blocks.n_atoms[b])
        for i in range(blocks.size[b, slot]):
            ion = blocks.start[b, slot] + i
            flow = work.unary_sum[slot, i]
            gradient.bias[x, ion, c] += flow
            gradient.fraction_bias[x, ion, c] += f * flow
            gradient.curve[ion, ion] += np.float32(0.5) * f * f * flow
            for a in range(blocks.anions.shape[1]):
                f_anion = np.float32(blocks.anion_coefficients[b, a] / blocks.n_atoms[b])
                gradient.curve[ion, n_cations + blocks.anions[b, a]] += f * f_anion * flow
            for k in range(n_factors):
                gradient.row[x, ion, c, k] += work.row_sum[slot, i, k]
                gradient.slope[ion, k] += f * work.row_sum[slot, i, k]
        for other in range(slot + 1, n_slots):
            product = np.float32(f * blocks.coefficient[b, other] / blocks.n_atoms[b])
            flows = matrix(work.pair_sum[slot, other], blocks.size[b, slot], blocks.size[b, other])
            for i in range(blocks.size[b, slot]):
                line = gradient.curve[blocks.start[b, slot] + i, blocks.start[b, other] :]
                for j in range(blocks.size[b, other]):
                    line[j] += product * flows[i, j]


@kernel
def _anion_back(program, blocks, b, total, context_sum, gradient):
    """Add a block's flows to the gradient of what belongs to its anions and its stoichiometry."""
    s, n_cations = blocks.stoichiometry[b], program.row.shape[1]
    gradient.stoichiometry_bias[s] += total
    for k in range(context_sum.size):
        gradient.stoichiometry_row[s, k] += context_sum[k]
    for a in range(blocks.anions.shape[1]):
        x, c = blocks.anions[b, a], blocks.anion_coefficients[b, a] - 1
        f = np.float32(blocks.anion_coefficients[b, a] / blocks.n_atoms[b])
        ion = n_cations + x
        gradient.anion_bias[x, c] += total
        gradient.anion_fraction_bias[x, c] += f * total
        gradient.curve[ion, ion] += np.float32(0.5) * f * f * total
        for k in range(context_sum.size):
            own = program.anion_row[x, c, k] + f * program.slope[ion, k]
            back = context_sum[k] + total * program.stoichiometry_row[s, k]
            gradient.stoichiometry_row[s, k] += total * own
            gradient.anion_row[x, c, k] += back
            gradient.slope[ion, k] += f * back
        for other in range(a):
            _anions_back(program, blocks, b, a, other, total, gradient)


@kernel
def _anions_back(program, blocks, b, first, second, total, gradient):
    """Add a block's flow to the gradient of the product of two of its anions."""
    x, y = blocks.anions[b, first], blocks.anions[b, second]
    c, d = blocks.anion_coefficients[b, first] - 1, blocks.anion_coefficients[b, second] - 1
    f, g = np.float32((c + 1) / blocks.n_atoms[b]), np.float32((d + 1) / blocks.n_atoms[b])
    ion, other = program.row.shape[1] + x, program.row.shape[1] + y
    gradient.curve[ion, other] += f * g * total
    for k in range(program.slope.shape[1]):
        back = total * (program.anion_row[y, d, k] + g * program.slope[other, k])
        back_other = total * (program.anion_row[x, c, k] + f * program.slope[ion, k])
        gradient.anion_row[x, c, k] += back
        gradient.slope[ion, k] += f * back
        gradient.anion_row[y, d, k] += back_other
        gradient.slope[other, k] += g * back_other


@kernel
def add_block_sums(program, blocks, order, weights, work, gradient):
    """Add the weighted sums of exp(score) over the candidates of blocks ``order``, and their gradient.

    Parameters
    ----------
    order, weights
        Block indices int64 (n,) and the weight of each, float32 (n,).
    work, gradient
        Scratch; a program-shaped record of float32 arrays that is added to.

    Returns
    -------
    float
        The weighted sum.
    """
    total = 0.0
    for n in range(order.size):
        b = order[n]
        shared = fill_factors(program, blocks, b, work)
        scale = np.float32(weights[n] * np.exp(shared) / n_orders_of(blocks, b))
        block_total = _contract(blocks.size[b], work) * scale
        _rows_back(blocks.size[b], scale, work)
        _slots_back(blocks, b, work, gradient)
        _anion_back(program, blocks, b, np.float32(block_total), work.context_sum, gradient)
        total += block_total
    return total


@kernel
def add_candidate_flows(program, blocks, candidate_blocks, cations, flows, gradient):
    """Add the gradient of ``sum(flows * score)`` over single candidates; cations int64 (n, n_slots), flows float32 (n,)."""
    n_slots, n_factors, n_cations = cations.shape[1], program.row.shape[3], program.row.shape[1]
    context, back = np.empty(n_factors, program.row.dtype), np.empty(n_factors, program.row.dtype)
    rows, total = np.empty((n_slots, n_factors), program.row.dtype), np.empty(n_factors, program.row.dtype)
    for n in range(cations.shape[0]):
        b, flow = candidate_blocks[n], flows[n]
        x = blocks.anion_set[b]
        fill_context(program, blocks, b, context)
        total[:] = 0
        for slot in range(n_slots):
            ion, c = cations[n, slot], blocks.coefficient[b, slot] - 1
            f = np.float32(blocks.coefficient[b, slot] / blocks.n_atoms[b])
            for k in range(n_factors):
                rows[slot, k] = program.row[x, ion, c, k] + f * program.slope[ion, k]
                total[k] += rows[slot, k]
            gradient.bias[x, ion, c] += flow
            gradient.fraction_bias[x, ion, c] += f * flow
            gradient.curve[ion, ion] += np.float32(0.5) * f * f * flow
            for a in range(blocks.anions.shape[1]):
                f_anion = np.float32(blocks.anion_coefficients[b, a] / blocks.n_atoms[b])
                gradient.curve[ion, n_cations + blocks.anions[b, a]] += f * f_anion * flow
            for other in range(slot):
                f_other = np.float32(blocks.coefficient[b, other] / blocks.n_atoms[b])
                gradient.curve[cations[n, other], ion] += f * f_other * flow
        for slot in range(n_slots):
            ion, c = cations[n, slot], blocks.coefficient[b, slot] - 1
            f = np.float32(blocks.coefficient[b, slot] / blocks.n_atoms[b])
            for k in range(n_factors):
                own = flow * (context[k] + total[k] - rows[slot, k])
                gradient.row[x, ion, c, k] += own
                gradient.slope[ion, k] += f * own
        for k in range(n_factors):
            back[k] = flow * total[k]
        _anion_back(program, blocks, b, flow, back, gradient)
