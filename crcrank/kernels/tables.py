"""How the search scores pairwise programs: tables of all products of two cations beside one anion, made once, and read by every block.

With the anion or the set of anions fixed, the pair score of cations ``i`` and ``j`` at coefficients ``c`` and ``d`` and atomic fractions
``f`` and ``g`` is ``row[i, c] row[j, d] + g row[i, c] slope[j] + f slope[i] row[j, d] + f g (slope[i] slope[j] + curve[i, j])``: four
numbers that do not depend on the block, whatever the number of factors, and only the first where the model has no prior. A small class
has fewer pairs than the tables would; there each block multiplies vectors.

The largest of the table's numbers over the cations of a slot bound the scores of a block before a pair of it is looked at.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from crcrank.kernels.jit import inlined, inlined_sum, lean, lean_sum
from crcrank.kernels.pairwise import BlockArrays, PairwiseProgram
from crcrank.kernels.tile import close_pairs, room, row_slot, wide


class PairTables(NamedTuple):
    """A pairwise program beside one set of anions.

    With A anions in all, C cations, coefficients to M, S stoichiometries and F factors; a *column* is a cation with a coefficient, N in
    all, those of one coefficient and one charge side by side. The last axis of all that a block reads cation by cation has wide(L) zeros
    more, for slots of at most L cations. Equal elements score -inf in ``row_row``.

    Attributes
    ----------
    column
        Column of the cation that a slot starts with, by coefficient - 1 and cation, int64 (M, C); -1 where no block has such a slot.
    row_row, row_slope, slope_row, slope_slope
        Products of cations: (N, N), (N, C), (C, N), (C, C), the last with ``curve``. Where blocks have fewer pairs than that, the first
        three are (0, 0), and the last is ``curve`` alone.
    row, slope
        Vectors of columns and cations, factor by factor: (F, N), (F, C); F is padded with zeros to a multiple of four.
    bias, fraction_bias
        Unary terms, (N,).
    curve, anion_curve
        Terms of a cation with itself, halved, and with each anion, (C,), (A, C).
    anion_row, anion_bias, anion_fraction_bias
        Those of the anions, (A, M, F), (A, M), (A, M).
    anion_slope, anion_anion_curve
        Those of the anions, (A, F), (A, A); an anion's with itself are halved.
    stoichiometry_row, stoichiometry_bias
        Those of the program itself, since a large class has many, and a block needs one: (S, F) before padding, (S,).
    has_fractions
        Whether anything depends on atomic fractions.
    """

    column: np.ndarray
    row_row: np.ndarray
    row_slope: np.ndarray
    slope_row: np.ndarray
    slope_slope: np.ndarray
    row: np.ndarray
    slope: np.ndarray
    bias: np.ndarray
    fraction_bias: np.ndarray
    curve: np.ndarray
    anion_curve: np.ndarray
    anion_row: np.ndarray
    anion_bias: np.ndarray
    anion_fraction_bias: np.ndarray
    anion_slope: np.ndarray
    anion_anion_curve: np.ndarray
    stoichiometry_row: np.ndarray
    stoichiometry_bias: np.ndarray
    has_fractions: bool


def tables_at_anion(program: PairwiseProgram, blocks: BlockArrays, anion_set: int, dtype: type = np.float32) -> PairTables:
    """Return the tables of one set of anions for the slots that its blocks have."""
    n_cations = program.row.shape[1]
    column, ion, coefficient = _columns(blocks, anion_set, program.row.shape[2], n_cations)
    padding = -program.row.shape[3] % 4

    def padded(array: np.ndarray, n: int = room(int(blocks.size.max()))) -> np.ndarray:
        out = np.zeros((*array.shape[:-1], array.shape[-1] + n), dtype)
        out[..., : array.shape[-1]] = array
        return out

    def plain(array: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(array, dtype)

    row, slope = padded(program.row[anion_set, ion, coefficient - 1], padding), padded(program.slope, padding)
    cation_slope, anion_anion_curve = slope[:n_cations], program.curve[n_cations:, n_cations:].copy()
    anion_anion_curve[np.diag_indices_from(anion_anion_curve)] /= 2
    rows, slopes = padded(row.T), padded(cation_slope.T)
    slope_slope = padded(program.curve[:n_cations, :n_cations])
    no_table: np.ndarray = np.empty((0, 0), dtype)
    is_tabled = _n_pairs(blocks, anion_set) > len(ion) ** 2
    row_row = row @ rows if is_tabled else no_table
    if is_tabled:
        slope_slope += cation_slope @ slopes
        _exclude_equal(row_row, blocks.cation_element[ion])
    return PairTables(
        column=column,
        row_row=row_row,
        row_slope=row @ slopes if is_tabled else no_table,
        slope_row=cation_slope @ rows if is_tabled else no_table,
        slope_slope=slope_slope,
        row=rows,
        slope=slopes,
        bias=padded(program.bias[anion_set, ion, coefficient - 1]),
        fraction_bias=padded(program.fraction_bias[anion_set, ion, coefficient - 1]),
        curve=padded(np.diagonal(program.curve)[:n_cations] / 2),
        anion_curve=padded(program.curve[n_cations:, :n_cations]),
        anion_row=padded(program.anion_row, padding),
        anion_bias=plain(program.anion_bias),
        anion_fraction_bias=plain(program.anion_fraction_bias),
        anion_slope=slope[n_cations:],
        anion_anion_curve=plain(anion_anion_curve),
        stoichiometry_row=np.ascontiguousarray(program.stoichiometry_row),
        stoichiometry_bias=np.ascontiguousarray(program.stoichiometry_bias),
        has_fractions=any(array.any() for array in (program.slope, program.curve, program.fraction_bias, program.anion_fraction_bias)),
    )


def _n_pairs(blocks: BlockArrays, anion_set: int) -> int:
    """Return the number of pairs of cations in different slots of all blocks of one set of anions."""
    sizes = blocks.size[blocks.anion_set == anion_set]
    return int((sizes.sum(axis=1) ** 2 - (sizes**2).sum(axis=1)).sum()) // 2


def _exclude_equal(row_row: np.ndarray, element: np.ndarray) -> None:
    """Let pairs of columns of one element score -inf; element (N,)."""
    order = np.argsort(element, kind="stable")
    for own in np.split(order, np.flatnonzero(np.diff(element[order])) + 1):
        row_row[np.ix_(own, own)] = -np.inf


def _columns(blocks: BlockArrays, anion_set: int, max_coefficient: int, n_cations: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the column of each kind of slot, and the cation and the coefficient of each column."""
    own = blocks.anion_set == anion_set
    size = np.zeros(n_cations, np.int64)
    size[blocks.start[own]] = blocks.size[own]
    kinds = np.unique((blocks.coefficient[own] - 1) * n_cations + blocks.start[own])
    sizes = size[kinds % n_cations]
    first = np.cumsum(sizes) - sizes
    column = np.full(max_coefficient * n_cations, -1, np.int64)
    column[kinds] = first
    of_column = np.repeat(kinds, sizes)
    ion = of_column % n_cations + np.arange(len(of_column)) - np.repeat(first, sizes)
    return column.reshape(max_coefficient, n_cations), ion, of_column // n_cations + 1


class TableWorkspace(NamedTuple):
    """Scratch of one thread, for n slots of at most L cations, with W = wide(L).

    Attributes
    ----------
    context
        What stoichiometry and anions multiply each cation's vector with, (F,).
    vectors
        Those of the cations of two slots, factor by factor, (2, F, W).
    unary, pair
        Scores of the cations of each slot, -inf outside the block, and of each two slots but the last two, which are in the tile:
        (n, W), (n, n, L, W).
    score
        What the block adds to all scores, (1,).
    left, right
        What the block and the first slots add to the scores of a tile's rows and columns, by the number of slots, (n, W), (n, W).
    last
        The choice of the slots before the tile that these were made for, -1 for none, int64 (n,).
    reach
        The most that a cation before the tile adds to a score, without its pairs with others before the tile, (n, L).
    highest
        The most that a tile's own cations add; NaN as long as neither is known, (1,).
    zero, best, peak
        Zeros, and room for intermediate results, (W,).
    """

    context: np.ndarray
    vectors: np.ndarray
    unary: np.ndarray
    pair: np.ndarray
    score: np.ndarray
    left: np.ndarray
    right: np.ndarray
    last: np.ndarray
    reach: np.ndarray
    highest: np.ndarray
    zero: np.ndarray
    best: np.ndarray
    peak: np.ndarray


def table_workspace(tables: PairTables, n_slots: int, largest: int) -> TableWorkspace:
    """Return scratch for blocks of ``n_slots`` slots with at most ``largest`` cations each."""
    dtype, width, n_factors = tables.row.dtype, room(largest), tables.anion_slope.shape[1]
    return TableWorkspace(
        context=np.empty(n_factors, dtype),
        vectors=np.empty((2, n_factors, width), dtype),
        unary=np.empty((n_slots, width), dtype),
        pair=np.empty((n_slots, n_slots, largest, width), dtype),
        score=np.empty(1, dtype),
        left=np.empty((n_slots, width), dtype),
        right=np.empty((n_slots, width), dtype),
        last=np.empty(n_slots, np.int64),
        reach=np.empty((n_slots, largest), dtype),
        highest=np.empty(1, dtype),
        zero=np.zeros(width, dtype),
        best=np.empty(width, dtype),
        peak=np.empty(width, dtype),
    )


@lean_sum
def _fill_context(tables, blocks, b, context):
    """Fill ``context`` and return the score of stoichiometry and anions themselves."""
    s, n_factors = blocks.stoichiometry[b], tables.stoichiometry_row.shape[1]
    score = context.dtype.type(tables.stoichiometry_bias[s])
    for k in range(context.size):
        context[k] = context.dtype.type(tables.stoichiometry_row[s, k]) if k < n_factors else context.dtype.type(0)
    for a in range(blocks.anions.shape[1]):
        x, c = blocks.anions[b, a], blocks.anion_coefficients[b, a] - 1
        f = context.dtype.type(blocks.anion_coefficients[b, a] / blocks.n_atoms[b])
        score += tables.anion_bias[x, c]
        score += f * (tables.anion_fraction_bias[x, c] + f * tables.anion_anion_curve[x, x])
        for other in range(a):
            f_other = context.dtype.type(blocks.anion_coefficients[b, other] / blocks.n_atoms[b])
            score += f * f_other * tables.anion_anion_curve[x, blocks.anions[b, other]]
        for k in range(context.size):
            own = tables.anion_row[x, c, k] + f * tables.anion_slope[x, k]
            score += own * context[k]
            context[k] += own
    return score


@lean_sum
def _add_product(context, scale, vectors, first, n, out):
    """Add to ``out`` (n,) the products of ``context`` with n vectors from number ``first`` on, times ``scale``; n as from ``wide``."""
    for k in range(0, context.size, 4):
        w0, w1, w2, w3 = scale * context[k], scale * context[k + 1], scale * context[k + 2], scale * context[k + 3]
        v0, v1, v2, v3 = vectors[k, first:], vectors[k + 1, first:], vectors[k + 2, first:], vectors[k + 3, first:]
        for i in range(n):
            out[i] += w0 * v0[i] + w1 * v1[i] + w2 * v2[i] + w3 * v3[i]


@lean_sum
def _fill_unary(tables, blocks, b, slot, context, free, out):
    """Fill ``out`` with the unary scores of a slot's cations."""
    start, n = blocks.start[b, slot], wide(blocks.size[b, slot])
    first = tables.column[blocks.coefficient[b, slot] - 1, start]
    f = context.dtype.type(blocks.coefficient[b, slot] / blocks.n_atoms[b])
    bias = tables.bias[first:]
    for i in range(n):
        out[i] = bias[i] + free[i]
    if tables.has_fractions:
        fraction_bias, curve = tables.fraction_bias[first:], tables.curve[start:]
        for i in range(n):
            out[i] += f * (fraction_bias[i] + f * curve[i])
        for a in range(blocks.anions.shape[1]):
            product = f * context.dtype.type(blocks.anion_coefficients[b, a] / blocks.n_atoms[b])
            anion_curve = tables.anion_curve[blocks.anions[b, a], start:]
            for i in range(n):
                out[i] += product * anion_curve[i]
        _add_product(context, f, tables.slope, start, n, out)
    _add_product(context, context.dtype.type(1), tables.row, first, n, out)


@lean_sum
def _fill_pair(tables, blocks, b, first, second, vectors, out):
    """Fill ``out[i, j]`` with the pair score of cation ``i`` of slot ``first`` and ``j`` of ``second``."""
    if tables.row_row.size > 0:
        _fill_from_table(tables, blocks, b, first, second, out)
    else:
        _fill_products(tables, blocks, b, first, second, vectors, out)


@lean_sum
def _fill_from_table(tables, blocks, b, first, second, out):
    """Fill ``out`` with numbers of the tables."""
    start, start_second = blocks.start[b, first], blocks.start[b, second]
    c, d = blocks.coefficient[b, first], blocks.coefficient[b, second]
    column, column_second = tables.column[c - 1, start], tables.column[d - 1, start_second]
    n = wide(blocks.size[b, second])
    f, g = out.dtype.type(c / blocks.n_atoms[b]), out.dtype.type(d / blocks.n_atoms[b])
    for i in range(blocks.size[b, first]):
        line, row_row = out[i], tables.row_row[column + i, column_second:]
        if tables.has_fractions:
            row_slope, slope_row = tables.row_slope[column + i, start_second:], tables.slope_row[start + i, column_second:]
            slope_slope = tables.slope_slope[start + i, start_second:]
            for j in range(n):
                line[j] = row_row[j] + g * row_slope[j] + f * (slope_row[j] + g * slope_slope[j])
        else:
            for j in range(n):
                line[j] = row_row[j]


@lean_sum
def _fill_vectors(tables, blocks, b, slot, out):
    """Fill ``out[k, i]`` with factor ``k`` of the vector of cation ``i`` of a slot; return the slot's atomic fraction."""
    start, n = blocks.start[b, slot], wide(blocks.size[b, slot])
    column = tables.column[blocks.coefficient[b, slot] - 1, start]
    f = out.dtype.type(blocks.coefficient[b, slot] / blocks.n_atoms[b])
    for k in range(out.shape[0]):
        line, row, slope = out[k], tables.row[k, column:], tables.slope[k, start:]
        for i in range(n):
            line[i] = row[i] + f * slope[i]
    return f


@lean_sum
def _fill_products(tables, blocks, b, first, second, vectors, out):
    """Fill ``out`` with products of vectors; equal elements score -inf."""
    start, start_second = blocks.start[b, first], blocks.start[b, second]
    n, n_second = wide(blocks.size[b, second]), blocks.size[b, second]
    weight = _fill_vectors(tables, blocks, b, first, vectors[0]) * _fill_vectors(tables, blocks, b, second, vectors[1])
    elements = blocks.cation_element[start_second:]
    for i in range(blocks.size[b, first]):
        line, curve = out[i], tables.slope_slope[start + i, start_second:]
        for j in range(n):
            line[j] = weight * curve[j]
        _add_product(vectors[0, :, i], line.dtype.type(1), vectors[1], 0, n, line)
        for j in range(n_second):
            line[j] = -np.inf if elements[j] == blocks.cation_element[start + i] else line[j]


@lean
def prepare_tables(tables, blocks, b, work, tile):
    """Fill the unary and pair scores of block ``b``."""
    n_slots = blocks.size.shape[1]
    a, z = row_slot(blocks), n_slots - 1
    work.score[0] = _fill_context(tables, blocks, b, work.context)
    for slot in range(n_slots):
        _fill_unary(tables, blocks, b, slot, work.context, tile.free[slot], work.unary[slot])
        for other in range(min(slot, a)):
            _fill_pair(tables, blocks, b, other, slot, work.vectors, work.pair[other, slot])
    work.last[:] = -1
    work.highest[0] = np.nan
    n_right = wide(blocks.size[b, z])
    if a < 0:
        for j in range(n_right):
            tile.pair[0, j] = 0
        return
    _fill_sum(work.unary[a], work.zero, work.score[0], wide(blocks.size[b, a]), work.left[0])
    _fill_sum(work.unary[z], work.zero, work.zero[0], n_right, work.right[0])
    _fill_pair(tables, blocks, b, a, z, work.vectors, tile.pair)
    close_pairs(blocks, b, tile)


@inlined_sum
def fill_from_tables(tables, blocks, b, prefix, work, tile):  # noqa: ARG001
    """Fill the unary terms of a tile; sums over the first slots are kept from the tile before."""
    a, z = row_slot(blocks), blocks.size.shape[1] - 1
    n_right, nothing = wide(blocks.size[b, z]), work.zero[0]
    if a < 0:
        tile.left[0] = work.score[0]
        _fill_sum(work.unary[z], work.zero, nothing, n_right, tile.right)
        return
    n_left = wide(blocks.size[b, a])
    if a == 0:
        _fill_sum(work.left[0], work.zero, nothing, n_left, tile.left)
        _fill_sum(work.right[0], work.zero, nothing, n_right, tile.right)
        return
    slot = 0
    while slot < a and work.last[slot] == prefix[slot]:
        slot += 1
    while slot < a:
        i = prefix[slot]
        score = work.unary[slot, i]
        for other in range(slot):
            score += work.pair[other, slot, prefix[other], i]
        is_last = slot + 1 == a
        _fill_sum(work.left[slot], work.pair[slot, a, i], score, n_left, tile.left if is_last else work.left[slot + 1])
        _fill_sum(work.right[slot], work.pair[slot, z, i], nothing, n_right, tile.right if is_last else work.right[slot + 1])
        work.last[slot] = i
        slot += 1


@lean
def _fill_sum(values, others, score, n, out):
    """Fill ``out`` with sums of n values, as many others, and a score."""
    for i in range(n):
        out[i] = values[i] + others[i] + score


@lean
def _largest(values):
    largest = values[0]
    for value in values:
        largest = value if value > largest else largest  # noqa: FURB136
    return largest


@lean
def _fill_column_maxima(left, table, n_rows, out):
    """Fill ``out[j]`` with the largest ``left[i] + table[i, j]``, four rows at a time."""
    out[:] = -np.inf
    end = n_rows - 1
    for i in range(0, n_rows, 4):
        i1, i2, i3 = min(i + 1, end), min(i + 2, end), min(i + 3, end)
        l0, l1, l2, l3 = left[i], left[i1], left[i2], left[i3]
        t0, t1, t2, t3 = table[i], table[i1], table[i2], table[i3]
        for j in range(out.size):
            s0, s1, s2, s3 = l0 + t0[j], l1 + t1[j], l2 + t2[j], l3 + t3[j]
            best = s0 if s0 > s1 else s1  # noqa: FURB136
            other = s2 if s2 > s3 else s3  # noqa: FURB136
            best = best if best > other else other  # noqa: FURB136
            out[j] = best if best > out[j] else out[j]  # noqa: FURB136


@lean
def bound_block(tables, blocks, b, work, tile):  # noqa: ARG001
    """Return a bound on the scores of a block that was prepared: each slot alone, its pairs with earlier slots at their largest."""
    n_slots = blocks.size.shape[1]
    bound = work.score[0]
    for slot in range(min(1, n_slots - 1), n_slots):
        n = blocks.size[b, slot]
        best, peak = work.best[:n], work.peak[:n]
        for i in range(n):
            best[i] = work.unary[slot, i]
        for other in range(slot):
            table = tile.pair if other == n_slots - 2 else work.pair[other, slot]
            left = work.unary[0] if slot == 1 else work.zero
            _fill_column_maxima(left, table, blocks.size[b, other], peak)
            for i in range(n):
                best[i] += peak[i]
        bound += _largest(best)
    return bound


@lean
def _fill_reach(blocks, b, work, tile):
    n_left, n_right = blocks.size[b, -2], blocks.size[b, -1]
    a, z = row_slot(blocks), row_slot(blocks) + 1
    best = work.best[:n_right]
    _fill_column_maxima(work.unary[a], tile.pair, n_left, best)
    for j in range(n_right):
        best[j] += work.unary[z, j]
    work.highest[0] = _largest(best)
    for slot in range(a):
        for i in range(blocks.size[b, slot]):
            work.reach[slot, i] = work.unary[slot, i]
            work.reach[slot, i] += _largest(work.pair[slot, a, i, :n_left]) + _largest(work.pair[slot, z, i, :n_right])


@inlined
def bound_from_tables(tables, blocks, b, prefix, work, tile):  # noqa: ARG001
    """Return a bound on a tile's scores: the pairs of each earlier slot with the tile's at their largest."""
    if row_slot(blocks) < 0:
        return np.inf
    if np.isnan(work.highest[0]):
        _fill_reach(blocks, b, work, tile)
    score = work.score[0] + work.highest[0]
    for slot in range(row_slot(blocks)):
        score += work.reach[slot, prefix[slot]]
        for other in range(slot):
            score += work.pair[other, slot, prefix[other], prefix[slot]]
    return score


class TableOutline(NamedTuple):
    """The largest numbers of tables over the cations that a slot can have; a *kind* is a range of cations with a coefficient, K in all.

    Attributes
    ----------
    kind
        The kind of a slot, by coefficient - 1 and the cation that it starts with, int64 (M, C).
    row_row, row_slope, slope_row, slope_slope
        Those of the tables, by the kind of the first cation: (K, N), (K, C), (K, N), (K, C), with wide(L) columns more.
    free
        0 where a cation may be used beside the anions, -inf where not, (C + wide(L),).
    """

    kind: np.ndarray
    row_row: np.ndarray
    row_slope: np.ndarray
    slope_row: np.ndarray
    slope_slope: np.ndarray
    free: np.ndarray


def outline_of(tables: PairTables, blocks: BlockArrays, anion_set: int, allowed: np.ndarray) -> TableOutline | None:
    """Return what bounds blocks of one set of anions quickly, None where there are no tables; allowed (C,)."""
    if not tables.row_row.size:
        return None
    coefficient, start = np.nonzero(tables.column >= 0)
    first, n_columns = tables.column[coefficient, start], len(tables.row_row)
    end = start + np.diff(first, append=n_columns)
    kind = np.full(tables.column.shape, -1)
    kind[coefficient, start] = np.arange(len(start))
    anions = blocks.anions[np.argmax(blocks.anion_set == anion_set)]
    free = np.zeros(tables.curve.shape, tables.row.dtype)
    free[: len(allowed)][~allowed | np.isin(blocks.cation_element, blocks.anion_element[anions])] = -np.inf
    columns, ions = np.column_stack([first, first + end - start]), np.column_stack([start, end])
    return TableOutline(
        kind,
        _largest_rows(tables.row_row, columns),
        _largest_rows(tables.row_slope, columns),
        _largest_rows(tables.slope_row, ions),
        _largest_rows(tables.slope_slope, ions),
        free,
    )


def _largest_rows(table: np.ndarray, ranges: np.ndarray) -> np.ndarray:
    """Return the largest of each column over some ranges of rows, (n_ranges, n_columns); ranges (n_ranges, 2)."""
    distinct, of = np.unique(ranges, axis=0, return_inverse=True)
    return np.array([table[first:end].max(axis=0) for first, end in distinct])[of.ravel()]


@lean_sum
def _add_largest(tables, outline, blocks, b, first, second, out):
    """Add to ``out`` for each cation of slot ``second`` what no pair of it with slot ``first`` exceeds."""
    start, start_second = blocks.start[b, first], blocks.start[b, second]
    c, d = blocks.coefficient[b, first], blocks.coefficient[b, second]
    kind, column = outline.kind[c - 1, start], tables.column[d - 1, start_second]
    n, row_row = wide(blocks.size[b, second]), outline.row_row[kind, column:]
    if not tables.has_fractions:
        for j in range(n):
            out[j] += row_row[j]
        return
    f, g = out.dtype.type(c / blocks.n_atoms[b]), out.dtype.type(d / blocks.n_atoms[b])
    row_slope, slope_row = outline.row_slope[kind, start_second:], outline.slope_row[kind, column:]
    slope_slope = outline.slope_slope[kind, start_second:]
    for j in range(n):
        out[j] += row_row[j] + g * row_slope[j] + f * (slope_row[j] + g * slope_slope[j])


@lean
def skim_blocks(tables, outline, blocks, order, work, out):
    """Fill ``out[b]`` with a bound on the scores of each block ``b`` in ``order``, all of one set of anions, from an outline of its tables.

    It is that of :func:`bound_block`, but with the largest of each table in place of the largest sum of them, and a tenth of the work.
    """
    for b in order:
        bound = _fill_context(tables, blocks, b, work.context)
        for slot in range(blocks.size.shape[1]):
            _fill_unary(tables, blocks, b, slot, work.context, outline.free[blocks.start[b, slot] :], work.best)
            for other in range(slot):
                _add_largest(tables, outline, blocks, b, other, slot, work.best)
            bound += _largest(work.best[: blocks.size[b, slot]])
        out[b] = bound
