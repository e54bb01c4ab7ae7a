"""Sums of exp(score) over every candidate of a block, and their gradient, without visiting the candidates one by one.

With pairwise scores, exp(score) is a product of unary and pair factors. The sum over all cation tuples of a block, and
its derivative with respect to every table entry, are then contractions of the exponentiated tables: the work per
candidate is a few fused multiply-adds, and equal elements drop out because exp(-inf) is 0. Slots of a run are summed over
all orders and divided by their number.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from crcrank.kernels.jit import kernel, sum_kernel
from crcrank.kernels.pairwise import fill_context, fill_tables


class SumWorkspace(NamedTuple):
    """Scratch of one thread; tables as in :func:`fill_tables`, ``*_sum`` what flows back to them, all with L = largest slot."""

    context: np.ndarray
    rows: np.ndarray
    scratch: np.ndarray
    unary: np.ndarray
    pair: np.ndarray
    unary_sum: np.ndarray
    pair_sum: np.ndarray
    row_sum: np.ndarray
    context_sum: np.ndarray
    lines: np.ndarray


def sum_workspace(n_slots: int, largest: int, n_factors: int, dtype: type = np.float32) -> SumWorkspace:
    """Return scratch for blocks of ``n_slots`` slots with at most ``largest`` cations each."""
    n, width = n_slots, largest
    return SumWorkspace(
        np.empty(n_factors, dtype),
        np.empty((n, width, n_factors), dtype),
        np.empty((n_factors, width), dtype),
        np.empty((n, width), dtype),
        np.empty((n, n, width, width), dtype),
        np.empty((n, width), dtype),
        np.empty((n, n, width, width), dtype),
        np.empty((n, width, n_factors), dtype),
        np.empty(n_factors, dtype),
        np.empty((8, width), dtype),
    )


@kernel
def _n_orders(blocks, b):
    """Return in how many orders the tuples of a block's runs can be written: the product of the runs' factorials."""
    n_orders, length = 1, 1
    for slot in range(1, blocks.size.shape[1]):
        length = length + 1 if blocks.run[b, slot] else 1
        n_orders *= length
    return n_orders


@sum_kernel
def _exponentiate(blocks, b, unary, pair):
    n_slots = blocks.size.shape[1]
    for slot in range(n_slots):
        for i in range(blocks.size[b, slot]):
            unary[slot, i] = np.exp(unary[slot, i])
        for other in range(slot + 1, n_slots):
            for i in range(blocks.size[b, slot]):
                line = pair[slot, other, i]
                for j in range(blocks.size[b, other]):
                    line[j] = np.exp(line[j])


@sum_kernel
def _contract_two(sizes, a, z, weights_a, weights_z, work):
    """Add the sum over slots ``a`` and ``z`` to the unary and pair sums; return it."""
    total = 0.0
    pair, back = work.pair[a, z], work.pair_sum[a, z]
    for i in range(sizes[a]):
        line, back_line = pair[i], back[i]
        row_total = np.float32(0.0)
        for j in range(sizes[z]):
            term = weights_a[i] * line[j] * weights_z[j]
            back_line[j] += term
            work.unary_sum[z, j] += term
            row_total += term
        work.unary_sum[a, i] += row_total
        total += row_total
    return total


@sum_kernel
def _contract_three(sizes, a, weights, work, sums):
    """Add the sum over the last three slots, from slot ``a`` on, to ``sums`` (3, L) and the pair sums; return it."""
    b, c = a + 1, a + 2
    pair_ab, pair_ac, pair_bc = work.pair[a, b], work.pair[a, c], work.pair[b, c]
    back_ab, back_ac, back_bc = work.pair_sum[a, b], work.pair_sum[a, c], work.pair_sum[b, c]
    reach, column = work.lines[0], work.lines[1]
    n_b, n_c = sizes[b], sizes[c]
    total = 0.0
    for i in range(sizes[a]):
        if weights[0, i] == 0:
            continue
        for j in range(n_c):
            reach[j] = pair_ac[i, j] * weights[2, j]
            column[j] = 0
        i_total = np.float32(0.0)
        for k in range(n_b):
            x = weights[0, i] * pair_ab[i, k] * weights[1, k]
            if x == 0:
                continue
            line, back_line = pair_bc[k], back_bc[k]
            k_total = np.float32(0.0)
            for j in range(n_c):
                term = x * line[j] * reach[j]
                back_line[j] += term
                column[j] += term
                k_total += term
            back_ab[i, k] += k_total
            sums[1, k] += k_total
            i_total += k_total
        for j in range(n_c):
            back_ac[i, j] += column[j]
            sums[2, j] += column[j]
        sums[0, i] += i_total
        total += i_total
    return total


@sum_kernel
def _contract_four(sizes, work):
    weights, sums = work.lines[2:5], work.lines[5:8]
    total = 0.0
    for h in range(sizes[0]):
        first = work.unary[0, h]
        if first == 0:
            continue
        for slot in range(1, 4):
            scale = first if slot == 1 else np.float32(1.0)
            for i in range(sizes[slot]):
                weights[slot - 1, i] = scale * work.unary[slot, i] * work.pair[0, slot, h, i]
                sums[slot - 1, i] = 0
        h_total = _contract_three(sizes, 1, weights, work, sums)
        for slot in range(1, 4):
            for i in range(sizes[slot]):
                work.pair_sum[0, slot, h, i] += sums[slot - 1, i]
                work.unary_sum[slot, i] += sums[slot - 1, i]
        work.unary_sum[0, h] += h_total
        total += h_total
    return total


@kernel
def _contract(sizes, work):
    """Clear and fill the unary and pair sums of a block; return the sum of its products."""
    n_slots = sizes.size
    work.unary_sum[:] = 0
    for slot in range(n_slots):
        for other in range(slot + 1, n_slots):
            work.pair_sum[slot, other, : sizes[slot], : sizes[other]] = 0
    if n_slots == 1:
        work.unary_sum[0, : sizes[0]] = work.unary[0, : sizes[0]]
        return np.float64(work.unary[0, : sizes[0]].sum())
    if n_slots == 2:
        return _contract_two(sizes, 0, 1, work.unary[0], work.unary[1], work)
    if n_slots == 3:
        return _contract_three(sizes, 0, work.unary, work, work.unary_sum)
    return _contract_four(sizes, work)


@sum_kernel
def _rows_back(sizes, scale, work):
    """Fill ``row_sum`` and ``context_sum``: the derivative by each position's vector and by the block's context."""
    n_slots, n_factors = sizes.size, work.context.size
    work.context_sum[:] = 0
    for slot in range(n_slots):
        for i in range(sizes[slot]):
            flow = scale * work.unary_sum[slot, i]
            for k in range(n_factors):
                work.row_sum[slot, i, k] = flow * work.context[k]
                work.context_sum[k] += flow * work.rows[slot, i, k]
    for slot in range(n_slots):
        for other in range(slot + 1, n_slots):
            for i in range(sizes[slot]):
                own, row = work.row_sum[slot, i], work.rows[slot, i]
                for j in range(sizes[other]):
                    flow = scale * work.pair_sum[slot, other, i, j]
                    theirs, column = work.row_sum[other, j], work.rows[other, j]
                    for k in range(n_factors):
                        own[k] += flow * column[k]
                        theirs[k] += flow * row[k]


@sum_kernel
def _slots_back(blocks, b, scale, work, has_curve, gradient):
    """Add a block's flows to the gradient of what belongs to its cations."""
    x = blocks.anion[b]
    n_slots, n_cations, n_factors = blocks.size.shape[1], gradient.row.shape[1], work.context.size
    for slot in range(n_slots):
        c = blocks.coefficient[b, slot] - 1
        f = np.float32(blocks.coefficient[b, slot] / blocks.n_atoms[b])
        f_anion = np.float32(blocks.anion_coefficient[b] / blocks.n_atoms[b])
        for i in range(blocks.size[b, slot]):
            ion = blocks.start[b, slot] + i
            flow = scale * work.unary_sum[slot, i]
            gradient.bias[x, ion, c] += flow
            gradient.fraction_bias[x, ion, c] += f * flow
            gradient.curve[ion, ion] += np.float32(0.5) * f * f * flow
            gradient.curve[ion, n_cations + x] += f * f_anion * flow
            for k in range(n_factors):
                gradient.row[x, ion, c, k] += work.row_sum[slot, i, k]
                gradient.slope[ion, k] += f * work.row_sum[slot, i, k]
        if has_curve:
            for other in range(slot + 1, n_slots):
                product = np.float32(f * blocks.coefficient[b, other] / blocks.n_atoms[b]) * scale
                for i in range(blocks.size[b, slot]):
                    line = gradient.curve[blocks.start[b, slot] + i, blocks.start[b, other] :]
                    for j in range(blocks.size[b, other]):
                        line[j] += product * work.pair_sum[slot, other, i, j]


@sum_kernel
def _anion_back(program, blocks, b, total, context_sum, gradient):
    """Add a block's flows to the gradient of what belongs to its anion and its stoichiometry."""
    x, s, c = blocks.anion[b], blocks.stoichiometry[b], blocks.anion_coefficient[b] - 1
    f = np.float32(blocks.anion_coefficient[b] / blocks.n_atoms[b])
    ion = program.row.shape[1] + x
    gradient.stoichiometry_bias[s] += total
    gradient.anion_bias[x, c] += total
    gradient.anion_fraction_bias[x, c] += f * total
    gradient.curve[ion, ion] += np.float32(0.5) * f * f * total
    for k in range(context_sum.size):
        own = program.anion_row[x, c, k] + f * program.slope[ion, k]
        back = context_sum[k] + total * program.stoichiometry_row[s, k]
        gradient.stoichiometry_row[s, k] += context_sum[k] + total * own
        gradient.anion_row[x, c, k] += back
        gradient.slope[ion, k] += f * back


@kernel
def add_block_sums(program, blocks, order, weights, has_curve, work, gradient):
    """Add the weighted sums of exp(score) over the candidates of blocks ``order``, and their gradient.

    Parameters
    ----------
    order, weights
        Block indices int64 (n,) and the weight of each, float32 (n,).
    has_curve
        Whether the gradient by the fraction-fraction terms of cation pairs is wanted.
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
        sizes = blocks.size[b]
        shared = fill_tables(program, blocks, b, work.context, work.rows, work.scratch, work.unary, work.pair)
        _exponentiate(blocks, b, work.unary, work.pair)
        scale = np.float32(weights[n] * np.exp(shared) / _n_orders(blocks, b))
        block_total = _contract(sizes, work) * scale
        _rows_back(sizes, scale, work)
        _slots_back(blocks, b, scale, work, has_curve, gradient)
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
        x = blocks.anion[b]
        f_anion = np.float32(blocks.anion_coefficient[b] / blocks.n_atoms[b])
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
            gradient.curve[ion, n_cations + x] += f * f_anion * flow
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
