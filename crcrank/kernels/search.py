"""Exhaustive and pruned search of blocks for the candidates that score above a threshold.

The last two slots of a block form a tile: with the earlier slots fixed, the score of cations ``k`` and ``l`` is
``left[k] + right[l] + pair[k, l]``, one addition and one comparison. A bound on a row of the tile (``left[k]`` plus the
largest ``right`` plus the row's largest ``pair``) excludes what cannot reach the threshold.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from crcrank.kernels.jit import kernel, sum_kernel
from crcrank.kernels.pairwise import fill_tables


class Hits(NamedTuple):
    """Room for what a search finds: block int64 (n,), cations int64 (n, n_slots)."""

    block: np.ndarray
    cations: np.ndarray


class Workspace(NamedTuple):
    """Scratch of one thread: context (F,), rows (n, L, F), scratch (L * L), unary (n, L), pair (n, n, L, L), the rest (L,)."""

    context: np.ndarray
    rows: np.ndarray
    scratch: np.ndarray
    unary: np.ndarray
    pair: np.ndarray
    left: np.ndarray
    right: np.ndarray
    row_bound: np.ndarray


LANES = 16


def workspace(n_slots: int, largest: int, n_factors: int, dtype: type = np.float32) -> Workspace:
    """Return scratch for blocks of ``n_slots`` slots with at most ``largest`` cations each; tails are filled with -inf."""
    n = max(n_slots, 2)
    width = -(-largest // LANES) * LANES
    return Workspace(
        np.empty(n_factors, dtype),
        np.empty((n, width, n_factors), dtype),
        np.empty(width * width, dtype),
        np.empty((n, width), dtype),
        np.full((n, n, width, width), -np.inf, dtype),
        np.full(width, -np.inf, dtype),
        np.full(width, -np.inf, dtype),
        np.full(width, -np.inf, dtype),
    )


@kernel
def _count_above(right, line, n, threshold):
    n_above = 0
    for j in range(n):
        n_above += np.int32(right[j] + line[j] > threshold)
    return n_above


@kernel
def _largest(values, n):
    largest = -np.inf
    for i in range(n):
        if values[i] > largest:
            largest = values[i]
    return largest


@sum_kernel
def _fill_left_right(work, n_slots, sizes, prefix, score):
    """Fill ``left`` and ``right`` for fixed earlier slots; ``score`` is what block and earlier slots add up to."""
    a, z = n_slots - 2, n_slots - 1
    for k in range(sizes[a]):
        work.left[k] = work.unary[a, k] + score
    for j in range(sizes[z]):
        work.right[j] = work.unary[z, j]
    for slot in range(n_slots - 2):
        to_left, to_right = work.pair[slot, a, prefix[slot]], work.pair[slot, z, prefix[slot]]
        for k in range(sizes[a]):
            work.left[k] += to_left[k]
        for j in range(sizes[z]):
            work.right[j] += to_right[j]


@kernel
def _prefix_score(work, n_slots, prefix, shared):
    score = shared
    for slot in range(n_slots - 2):
        score += work.unary[slot, prefix[slot]]
        for other in range(slot):
            score += work.pair[other, slot, prefix[other], prefix[slot]]
    return score


@kernel
def _record(work, blocks, b, prefix, k, padded, threshold, bits, wanted, hits, n_hits):
    """Append the cations of row ``k`` that score above the threshold and complete the wanted elements."""
    n_slots = blocks.size.shape[1]
    a, z = n_slots - 2, n_slots - 1
    have = bits[blocks.cation_element.size + blocks.anion[b]] | bits[blocks.start[b, a] + k]
    for slot in range(n_slots - 2):
        have |= bits[blocks.start[b, slot] + prefix[slot]]
    line = work.pair[a, z, k]
    for j in range(k + 1 if blocks.run[b, z] else 0, padded):
        if work.right[j] + line[j] > threshold and (have | bits[blocks.start[b, z] + j]) == wanted:
            hits.block[n_hits] = b
            for slot in range(n_slots - 2):
                hits.cations[n_hits, slot] = blocks.start[b, slot] + prefix[slot]
            hits.cations[n_hits, a] = blocks.start[b, a] + k
            hits.cations[n_hits, z] = blocks.start[b, z] + j
            n_hits += 1
    return n_hits


@kernel
def _scan_tile(work, blocks, b, prefix, threshold, prune, bits, wanted, hits, n_hits):
    """Search one tile; return the number of hits so far and, if pruning, of candidates scored."""
    n_slots = blocks.size.shape[1]
    a, z = n_slots - 2, n_slots - 1
    n_left, n_right = blocks.size[b, a], blocks.size[b, z]
    padded = min(-(-n_right // LANES) * LANES, work.right.size)
    right_bound = _largest(work.right, n_right)
    n_scored = 0
    first = prefix[a - 1] + 1 if a > 0 and blocks.run[b, a] else 0
    for k in range(first, n_left):
        left = work.left[k]
        if left == -np.inf or (prune and left + right_bound + work.row_bound[k] <= threshold):
            continue
        line = work.pair[a, z, k]
        if prune:
            start = k + 1 if blocks.run[b, z] else 0
            n_scored += _count_above(work.right[start:], line[start:], n_right - start, -np.inf)
        if _count_above(work.right, line, padded, threshold - left) > 0:
            n_hits = _record(work, blocks, b, prefix, k, n_right, threshold - left, bits, wanted, hits, n_hits)
    return n_hits, n_scored


@kernel
def _next_prefix(prefix, blocks, b):
    """Advance to the next choice of the earlier slots; return False after the last."""
    n_prefix = blocks.size.shape[1] - 2
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


@kernel
def _prepare(program, blocks, b, allowed, work):
    """Fill the tables of block ``b``, exclude what is not allowed, pad the last slot with -inf; return the shared score."""
    n_slots = blocks.size.shape[1]
    shared = fill_tables(program, blocks, b, work.context, work.rows, work.scratch, work.unary, work.pair)
    for slot in range(n_slots):
        for i in range(blocks.size[b, slot]):
            if not allowed[blocks.start[b, slot] + i]:
                work.unary[slot, i] = -np.inf
    n_right = blocks.size[b, n_slots - 1]
    for j in range(n_right, work.right.size):
        work.right[j] = -np.inf
    if n_slots > 1:
        tile = work.pair[n_slots - 2, n_slots - 1]
        for k in range(blocks.size[b, n_slots - 2]):
            work.row_bound[k] = _largest(tile[k], n_right)
    return shared


@kernel
def _search_single(work, blocks, b, shared, threshold, bits, wanted, hits, n_hits):
    """Search a block with one slot (binary compounds); return the number of hits so far and of candidates scored."""
    n_scored = 0
    for i in range(blocks.size[b, 0]):
        n_scored += np.int64(work.unary[0, i] > -np.inf)
        have = bits[blocks.cation_element.size + blocks.anion[b]] | bits[blocks.start[b, 0] + i]
        if shared + work.unary[0, i] > threshold and have == wanted:
            hits.block[n_hits] = b
            hits.cations[n_hits, 0] = blocks.start[b, 0] + i
            n_hits += 1
    return n_hits, n_scored


@kernel
def search_blocks(program, blocks, order, state, threshold, prune, filters, work, hits):
    """Search blocks ``order[state[0]:state[1]]`` for candidates that score above ``threshold``.

    Parameters
    ----------
    order
        Block indices in the order of the search, int64.
    state
        Position in ``order``, its end, number of the first tile in the block at this position, and the count of
        candidates scored one by one (kept when pruning); int64 (4,). Updated: the search stops when ``hits`` cannot hold one more tile,
        and a second call with the same state resumes it.
    filters
        ``(allowed, bits, wanted)``: whether each cation may be used, bool (C,); required elements as bits of each
        ion, int64 (C + A,), and all of them together.
    work, hits
        Scratch, and where the hits go.

    Returns
    -------
    int
        Number of hits written.
    """
    allowed, bits, wanted = filters
    n_slots = blocks.size.shape[1]
    prefix = np.zeros(max(n_slots - 2, 1), np.int64)
    n_hits = 0
    while state[0] < state[1]:
        b = order[state[0]]
        shared = _prepare(program, blocks, b, allowed, work)
        if n_slots == 1:
            if n_hits + blocks.size[b, 0] > hits.block.size:
                return n_hits
            n_hits, n_scored = _search_single(work, blocks, b, shared, threshold, bits, wanted, hits, n_hits)
            state[3] += n_scored
            state[0] += 1
            continue
        prefix[:] = 0
        more = True
        for slot in range(1, n_slots - 2):
            prefix[slot] = prefix[slot - 1] + 1 if blocks.run[b, slot] else 0
            more = more and prefix[slot] < blocks.size[b, slot]
        tile = 0
        while more:
            if tile >= state[2]:
                if n_hits + blocks.size[b, n_slots - 2] * blocks.size[b, n_slots - 1] > hits.block.size:
                    state[2] = tile
                    return n_hits
                score = _prefix_score(work, n_slots, prefix, shared)
                if score > -np.inf:
                    _fill_left_right(work, n_slots, blocks.size[b], prefix, score)
                    n_hits, n_scored = _scan_tile(work, blocks, b, prefix, threshold, prune, bits, wanted, hits, n_hits)
                    state[3] += n_scored
            tile += 1
            more = n_slots > 2 and _next_prefix(prefix, blocks, b)
        state[2] = 0
        state[0] += 1
    return n_hits
