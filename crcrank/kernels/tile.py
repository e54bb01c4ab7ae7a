"""The tile of a block: the scores of its last two slots while the cations of the earlier slots are fixed.

The score of cations ``k`` and ``j`` of these slots is ``left[k] + right[j] + pair[k, j]``. A block of one slot has a tile of
one row.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from crcrank.kernels.jit import inlined, lean

# Rows and columns of a tile are padded with candidates that score -inf, so that as many can be scanned together.
ROWS = 8
LANES = 8
# Arrays over the cations of a slot have room for a multiple of this, so that vectorised loops leave no rest, which would take longer.
_WIDE = 32


class Tile(NamedTuple):
    """One tile, with slots of at most L cations; whatever scores -inf is no candidate.

    Attributes
    ----------
    left, right
        Unary terms of the rows and the columns, (wide(L),).
    pair
        The other terms, (wide(L), wide(L)); what lies outside the block is finite or -inf, never NaN.
    free
        0 where a slot's cation may be used in the block, -inf where not and outside the block, (n_slots, wide(L)).
    place
        Local index of each element's cation among the rows and among the columns, -1 if it has none, int64 (2, n_elements).
    prefix
        The choice of the slots before the tile, int64 (n_slots,).
    """

    left: np.ndarray
    right: np.ndarray
    pair: np.ndarray
    free: np.ndarray
    place: np.ndarray
    prefix: np.ndarray


def new_tile(n_slots: int, largest: int, n_elements: int, dtype: type = np.float32) -> Tile:
    """Return room for the tiles of blocks of ``n_slots`` slots with at most ``largest`` cations each."""
    width = room(largest)
    return Tile(
        np.full(width, -np.inf, dtype),
        np.full(width, -np.inf, dtype),
        np.full((width, width), -np.inf, dtype),
        np.full((n_slots, width), -np.inf, dtype),
        np.full((2, n_elements), -1, np.int64),
        np.zeros(n_slots, np.int64),
    )


def room(n):
    """Return how many numbers there is room for where ``n`` are needed."""
    return (n + _WIDE - 1) & -_WIDE


wide = inlined(room)  # what kernels call; Python would load it, to add two numbers


@inlined
def row_slot(blocks):
    """Return the slot of a tile's rows, -1 if blocks have one slot only."""
    return blocks.size.shape[1] - 2


@inlined
def n_tile_rows(blocks, b):
    """Return the number of rows of a tile."""
    return blocks.size[b, row_slot(blocks)] if row_slot(blocks) >= 0 else 1


@lean
def open_tile(blocks, b, allowed, tile):
    """Prepare a tile for block ``b``: fill ``free`` and ``place``, pad ``left`` and ``right`` with -inf."""
    n_slots = blocks.size.shape[1]
    for slot in range(n_slots):
        n, free = blocks.size[b, slot], tile.free[slot]
        allowed_here, element = allowed[blocks.start[b, slot] :], blocks.cation_element[blocks.start[b, slot] :]
        for i in range(n):
            free[i] = 0 if allowed_here[i] else -np.inf
        for a in range(blocks.anions.shape[1]):
            anion_element = blocks.anion_element[blocks.anions[b, a]]
            for i in range(n):
                free[i] = -np.inf if element[i] == anion_element else free[i]
        free[n:] = -np.inf
    tile.place[:] = -1
    for side in range(2):
        slot = n_slots - 2 + side
        if slot >= 0:
            for i in range(blocks.size[b, slot]):
                tile.place[side, blocks.cation_element[blocks.start[b, slot] + i]] = i
    tile.left[n_tile_rows(blocks, b) :] = -np.inf
    tile.right[blocks.size[b, n_slots - 1] :] = -np.inf


@lean
def close_pairs(blocks, b, tile):
    """Let those pairs of a tile score -inf that are no candidates: equal elements, and in a run what does not ascend."""
    a = row_slot(blocks)
    if a < 0:
        return
    is_run = blocks.run[b, a + 1]
    for k in range(blocks.size[b, a]):
        twin = tile.place[1, blocks.cation_element[blocks.start[b, a] + k]]
        if is_run:
            for j in range(k + 1):
                tile.pair[k, j] = -np.inf
        elif twin >= 0:
            tile.pair[k, twin] = -np.inf


@inlined
def close_prefix(blocks, b, prefix, tile):
    """Let the rows and columns of a tile score -inf whose elements the earlier slots hold, and in a run what does not ascend."""
    a = row_slot(blocks)
    for slot in range(a):
        element = blocks.cation_element[blocks.start[b, slot] + prefix[slot]]
        if tile.place[0, element] >= 0:
            tile.left[tile.place[0, element]] = -np.inf
        if tile.place[1, element] >= 0:
            tile.right[tile.place[1, element]] = -np.inf
    if a > 0 and blocks.run[b, a]:
        for k in range(prefix[a - 1] + 1):
            tile.left[k] = -np.inf


@inlined
def anion_bits(blocks, b, bits):
    """Return the required elements that the anions of a block are, given those of cations, then anions."""
    have = np.int64(0)
    for a in range(blocks.anions.shape[1]):
        have |= bits[blocks.cation_element.size + blocks.anions[b, a]]
    return have


@inlined
def is_free_prefix(blocks, b, prefix, tile):
    """Return whether the cations of the earlier slots may be used together."""
    for slot in range(row_slot(blocks)):
        if tile.free[slot, prefix[slot]] == -np.inf:
            return False
        for other in range(slot):
            ion, other_ion = blocks.start[b, slot] + prefix[slot], blocks.start[b, other] + prefix[other]
            if blocks.cation_element[ion] == blocks.cation_element[other_ion]:
                return False
    return True


@inlined
def n_candidates(blocks, b, tile):
    """Return how many candidates a closed tile holds."""
    n_slots = blocks.size.shape[1]
    a, n_right = n_slots - 2, 0
    for j in range(blocks.size[b, n_slots - 1]):
        n_right += np.int64(tile.right[j] > -np.inf)
    if a < 0:
        return n_right
    n_left, n_twins = 0, 0
    for k in range(blocks.size[b, a]):
        if tile.left[k] > -np.inf:
            n_left += 1
            twin = tile.place[1, blocks.cation_element[blocks.start[b, a] + k]]
            n_twins += np.int64(twin >= 0 and tile.right[twin] > -np.inf)
    return n_left * (n_left - 1) // 2 if blocks.run[b, a + 1] else n_left * n_right - n_twins
