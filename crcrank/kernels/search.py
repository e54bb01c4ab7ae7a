"""Exhaustive and pruned search of blocks for the candidates that score above a threshold, for any form of program.

The loop runs over blocks and their tiles (:mod:`crcrank.kernels.tile`); what scores a tile depends on the form
(:mod:`crcrank.kernels.forms`). In a tile, a candidate is one addition and one comparison.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from crcrank.kernels.forms import bound_block, bound_tile, fill_tile, prepare
from crcrank.kernels.jit import inlined, inlined_sum, lean
from crcrank.kernels.tile import LANES, ROWS, anion_bits, close_prefix, is_free_prefix, n_candidates, n_tile_rows, open_tile, row_slot


class Hits(NamedTuple):
    """Room for what a search finds: block int64 (n,), cations int64 (n, n_slots), scores as compared float32 (n,)."""

    block: np.ndarray
    cations: np.ndarray
    score: np.ndarray


_ONE, _ZERO = np.float32(1), np.float32(0)


@inlined_sum
def _any_above(left, right, pair, first_lanes, end_lanes, threshold):
    """Return whether any score of eight rows is above the threshold; left (8,), pair (8, at least 8 end_lanes)."""
    l0, l1, l2, l3, l4, l5, l6, l7 = left[0], left[1], left[2], left[3], left[4], left[5], left[6], left[7]
    n_above = _ZERO  # single precision, like the scores, so that as many fit into a register
    for j in range(np.uint64(LANES * first_lanes), np.uint64(LANES * end_lanes)):  # an index that cannot be negative costs less
        best = _larger(
            _larger(_larger(l0 + pair[0, j], l1 + pair[1, j]), _larger(l2 + pair[2, j], l3 + pair[3, j])),
            _larger(_larger(l4 + pair[4, j], l5 + pair[5, j]), _larger(l6 + pair[6, j], l7 + pair[7, j])),
        )
        n_above += _ONE if right[j] + best > threshold else _ZERO
    return n_above > 0


@inlined
def _larger(a, b):
    return a if a > b else b  # noqa: FURB136  (max() of numba treats NaN another way, which takes longer)


@lean
def put_hit(blocks, b, prefix, k, j, hits, n_hits):
    """Write down, as number ``n_hits``, the candidate in row ``k`` and column ``j`` of a tile."""
    a, z = row_slot(blocks), blocks.size.shape[1] - 1
    hits.block[n_hits] = b
    for slot in range(a):
        hits.cations[n_hits, slot] = blocks.start[b, slot] + prefix[slot]
    if a >= 0:
        hits.cations[n_hits, a] = blocks.start[b, a] + k
    hits.cations[n_hits, z] = blocks.start[b, z] + j


@lean
def _record(blocks, b, prefix, tile, first, threshold, filters, hits, n_hits):
    """Append the candidates of eight rows that score above the threshold and hold the wanted elements."""
    _, bits, wanted = filters
    n_slots = blocks.size.shape[1]
    a, z = row_slot(blocks), n_slots - 1
    have = anion_bits(blocks, b, bits)
    for slot in range(a):
        have |= bits[blocks.start[b, slot] + prefix[slot]]
    for k in range(first, min(first + ROWS, n_tile_rows(blocks, b))):
        row_have = have | bits[blocks.start[b, a] + k] if a >= 0 else have
        for j in range(blocks.size[b, z]):
            score = tile.left[k] + tile.pair[k, j] + tile.right[j]
            if score > threshold and (row_have | bits[blocks.start[b, z] + j]) == wanted:
                put_hit(blocks, b, prefix, k, j, hits, n_hits)
                hits.score[n_hits] = score
                n_hits += 1
    return n_hits


@inlined
def _scan_tile(blocks, b, prefix, tile, threshold, filters, hits, n_hits):
    """Search one tile; return the number of hits so far."""
    a = row_slot(blocks)
    end = -(-blocks.size[b, a + 1] // LANES)
    is_run = a >= 0 and blocks.run[b, a + 1]
    for k in range(prefix[a - 1] + 1 if a > 0 and blocks.run[b, a] else 0, n_tile_rows(blocks, b), ROWS):
        start = (k + 1) // LANES if is_run else 0
        if _any_above(tile.left[k : k + ROWS], tile.right, tile.pair[k : k + ROWS], start, end, threshold):
            n_hits = _record(blocks, b, prefix, tile, k, threshold, filters, hits, n_hits)
    return n_hits


@inlined
def first_prefix(prefix, blocks, b):
    """Set the first choice of the slots before the tile; return False if there is none."""
    for slot in range(row_slot(blocks)):
        prefix[slot] = prefix[slot - 1] + 1 if slot > 0 and blocks.run[b, slot] else 0
        if prefix[slot] >= blocks.size[b, slot]:
            return False
    return True


@inlined
def next_prefix(prefix, blocks, b):
    """Advance to the next choice of the slots before the tile; return False after the last."""
    n_prefix = row_slot(blocks)
    slot = n_prefix - 1
    while slot >= 0:
        prefix[slot] += 1
        if prefix[slot] < blocks.size[b, slot]:
            for later in range(slot + 1, n_prefix):
                prefix[later] = prefix[later - 1] + 1 if blocks.run[b, later] else 0
                if prefix[later] >= blocks.size[b, later]:
                    return False
            return True
        slot -= 1
    return False


@lean
def bound_blocks(program, blocks, order, allowed, work, tile, out):
    """Fill ``out[b]`` with a bound on the scores of each block ``b`` in ``order``, all of one set of anions; see :func:`search_blocks`."""
    for b in order:
        open_tile(blocks, b, allowed, tile)
        prepare(program, blocks, b, work, tile)
        out[b] = bound_block(program, blocks, b, work, tile)


@lean
def search_blocks(program, blocks, order, state, threshold, bounds, filters, work, tile, hits):
    """Search blocks ``order[state[0]:state[1]]`` of one set of anions for candidates that score above ``threshold``.

    Parameters
    ----------
    program
        What the form's ``at_anion`` returns.
    order
        Block indices in the order of the search, int64.
    state
        Position in ``order``, its end, number of the first tile in the block at this position, and the count of
        candidates scored one by one (kept when pruning); int64 (4,). Updated: the search stops when ``hits`` cannot hold one more tile,
        and a second call with the same state resumes it.
    bounds
        What no score of a block exceeds, float32 (n_blocks,); blocks and tiles that cannot reach the threshold are left out.
        Without blocks, (0,), all are searched.
    filters
        ``(allowed, bits, wanted)``: whether each cation may be used, bool (C,); required elements as bits of each
        ion, int64 (C + A,), and all of them together.
    work, tile, hits
        Scratch of the form, of the loop, and where the hits go.

    Returns
    -------
    int
        Number of hits written.
    """
    prune = bounds.size > 0
    n_slots = blocks.size.shape[1]
    prefix = tile.prefix
    n_hits = 0
    while state[0] < state[1]:
        b = order[state[0]]
        more = (not prune or bounds[b] > threshold) and first_prefix(prefix, blocks, b)
        if more:
            open_tile(blocks, b, filters[0], tile)
            prepare(program, blocks, b, work, tile)
        number = 0
        while more:
            if number >= state[2] and is_free_prefix(blocks, b, prefix, tile):
                if n_hits + n_tile_rows(blocks, b) * blocks.size[b, n_slots - 1] > hits.block.size:
                    state[2] = number
                    return n_hits
                if not prune or bound_tile(program, blocks, b, prefix, work, tile) > threshold:
                    fill_tile(program, blocks, b, prefix, work, tile)
                    close_prefix(blocks, b, prefix, tile)
                    if prune:
                        state[3] += n_candidates(blocks, b, tile)
                    n_hits = _scan_tile(blocks, b, prefix, tile, threshold, filters, hits, n_hits)
            number += 1
            more = next_prefix(prefix, blocks, b)
        state[2] = 0
        state[0] += 1
    return n_hits
