"""How many candidates come before each of some scores, and how the scores of all candidates are spread.

The loop over blocks and tiles is that of the search (:mod:`crcrank.kernels.search`), in double precision: the difference between
a tile's scores and those that decide is then so small that hardly a candidate needs to be looked at again.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from crcrank.kernels.forms import fill_tile, prepare
from crcrank.kernels.jit import inlined, lean
from crcrank.kernels.search import first_prefix, next_prefix, put_hit
from crcrank.kernels.tile import anion_bits, close_prefix, is_free_prefix, n_candidates, n_tile_rows, open_tile, row_slot

# A cell starts at this count if a level lies in it or within the margin of it: the sign tells where to look closer.
FLAG = -(1 << 62)


class Levels(NamedTuple):
    """Scores to be compared with, and cells of equal width that make it quick.

    Attributes
    ----------
    low, scale
        A score ``s`` lies in cell ``(s - low) * scale``, cut at both ends. No level lies in the first cell, which takes in what is
        no candidate, too.
    level
        Ascending, all different, float64 (n_levels,).
    first
        Number of the levels that every score of a cell is above, int64 (n_cells,).
    margin
        What the scores of tiles are off by at most.
    """

    low: float
    scale: float
    level: np.ndarray
    first: np.ndarray
    margin: float


class Counts(NamedTuple):
    """What one thread has counted.

    Attributes
    ----------
    cells
        Candidates by cell, from :data:`FLAG` on where a level is near, int64 (n_cells,); the first cell counts too many.
    above
        Candidates of cells near levels by the number of levels that they score above, int64 (n_levels + 1,); without the hits.
    total
        All candidates, int64 (1,).
    cell, cell_index
        Scratch, the cells of one row of a tile, int32, and the same memory as uint32: an index that cannot be negative costs less.
    """

    cells: np.ndarray
    above: np.ndarray
    total: np.ndarray
    cell: np.ndarray
    cell_index: np.ndarray


@lean
def _fill_cells(left, right, pair, levels, cell):
    """Fill ``cell`` for a row of a tile; right, pair and cell (n,)."""
    low, scale, last = levels.low, levels.scale, np.float64(levels.first.size - 1)
    for j in range(right.size):
        x = (left + right[j] + pair[j] - low) * scale
        x = x if x > 0.0 else 0.0  # noqa: FURB136  (max() of numba treats NaN another way, which takes longer)
        x = x if x < last else last  # noqa: FURB136
        cell[j] = np.int32(x)


@lean
def _n_below(score, cell, levels):
    """Return how many levels a score near some is above, -1 if it is within the margin of one."""
    i = levels.first[cell]
    while i < levels.level.size and levels.level[i] < score - levels.margin:
        i += 1
    return -1 if i < levels.level.size and levels.level[i] <= score + levels.margin else i


@inlined
def _leave_out(bits, have, wanted, cell):
    """Move the candidates of a row that lack wanted elements to the first cell; return how many others there are."""
    n = 0
    for j in range(cell.size):
        if have | bits[j] != wanted:
            cell[j] = 0
        n += np.int64(cell[j] > 0)
    return n


@inlined
def _count_tile(blocks, b, prefix, tile, levels, filters, counts, hits, n_hits):
    """Count one tile; return the number of hits so far, which are the candidates within the margin of a level."""
    _, bits, wanted = filters
    a, end = row_slot(blocks), blocks.size[b, row_slot(blocks) + 1]
    is_run = a >= 0 and blocks.run[b, a + 1]
    cells, index = counts.cells, counts.cell_index
    have = anion_bits(blocks, b, bits)
    for slot in range(a):
        have |= bits[blocks.start[b, slot] + prefix[slot]]
    if wanted == 0:
        counts.total[0] += n_candidates(blocks, b, tile)
    for k in range(n_tile_rows(blocks, b)):
        left, first = tile.left[k], k + 1 if is_run else 0
        if left == -np.inf or first >= end:
            continue
        right, pair = tile.right[first:end], tile.pair[k, first:end]
        _fill_cells(left, right, pair, levels, counts.cell[: right.size])
        if wanted != 0:
            row_have = have | bits[blocks.start[b, a] + k] if a >= 0 else have
            column_bits = bits[blocks.start[b, a + 1] + first :]
            counts.total[0] += _leave_out(column_bits, row_have, wanted, counts.cell[: right.size])
        for j in range(right.size):
            c = index[j]
            n = cells[c] + 1
            cells[c] = n
            if n < 0:
                i = _n_below(left + right[j] + pair[j], c, levels)
                if i >= 0:
                    counts.above[i] += 1
                else:
                    put_hit(blocks, b, prefix, k, first + j, hits, n_hits)
                    n_hits += 1
    return n_hits


@inlined
def _n_wanted(blocks, b, have, tile, filters):
    """Return how many candidates of a closed tile hold the wanted elements, given those that its prefix and the anions hold."""
    _, bits, wanted = filters
    a, n = row_slot(blocks), 0
    for k in range(n_tile_rows(blocks, b)):
        row_have, twin = have, -1
        if a >= 0:
            row_have = have | bits[blocks.start[b, a] + k]
            twin = tile.place[1, blocks.cation_element[blocks.start[b, a] + k]]
        for j in range(k + 1 if a >= 0 and blocks.run[b, a + 1] else 0, blocks.size[b, a + 1]):
            is_candidate = tile.left[k] > -np.inf and tile.right[j] > -np.inf and j != twin
            n += np.int64(is_candidate and row_have | bits[blocks.start[b, a + 1] + j] == wanted)
    return n


@lean
def fill_sizes(blocks, order, filters, tile, out):
    """Fill ``out[b]`` with the number of candidates that the filters let pass, for the blocks in ``order``; out int64 (n_blocks,)."""
    a, prefix, bits = row_slot(blocks), tile.prefix, filters[1]
    for b in order:
        out[b] = 0
        more = first_prefix(prefix, blocks, b)
        if more:
            open_tile(blocks, b, filters[0], tile)
        while more:
            if is_free_prefix(blocks, b, prefix, tile):
                for k in range(n_tile_rows(blocks, b)):
                    tile.left[k] = tile.free[a, k] if a >= 0 else 0
                for j in range(blocks.size[b, a + 1]):
                    tile.right[j] = tile.free[a + 1, j]
                close_prefix(blocks, b, prefix, tile)
                have = anion_bits(blocks, b, bits)
                for slot in range(a):
                    have |= bits[blocks.start[b, slot] + prefix[slot]]
                out[b] += n_candidates(blocks, b, tile) if filters[2] == 0 else _n_wanted(blocks, b, have, tile, filters)
            more = next_prefix(prefix, blocks, b)


@lean
def count_blocks(program, blocks, order, state, levels, filters, work, tile, counts, hits):
    """Count the candidates of blocks ``order[state[0]:state[1]]`` of one set of anions.

    Parameters
    ----------
    program
        What the form's ``at_anion`` returns, in double precision.
    order
        Block indices, int64.
    state
        Position in ``order``, its end, and the number of the first tile in the block at this position, int64 (3,). Updated: the
        count stops when ``hits`` cannot hold one more tile, and a second call with the same state resumes it.
    filters
        As for :func:`crcrank.kernels.search.search_blocks`.
    work, tile, counts, hits
        Scratch of the form and of the loop, what is counted, and the candidates within the margin of a level.

    Returns
    -------
    int
        Number of hits written.
    """
    prefix = tile.prefix
    n_hits = 0
    while state[0] < state[1]:
        b = order[state[0]]
        more = first_prefix(prefix, blocks, b)
        if more:
            open_tile(blocks, b, filters[0], tile)
            prepare(program, blocks, b, work, tile)
        number = 0
        while more:
            if number >= state[2] and is_free_prefix(blocks, b, prefix, tile):
                if n_hits + n_tile_rows(blocks, b) * blocks.size[b, row_slot(blocks) + 1] > hits.block.size:
                    state[2] = number
                    return n_hits
                fill_tile(program, blocks, b, prefix, work, tile)
                close_prefix(blocks, b, prefix, tile)
                n_hits = _count_tile(blocks, b, prefix, tile, levels, filters, counts, hits, n_hits)
            number += 1
            more = next_prefix(prefix, blocks, b)
        state[2] = 0
        state[0] += 1
    return n_hits
