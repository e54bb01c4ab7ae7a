"""How the search fills its tiles with the scores of a perceptron, in single precision.

What the first layer makes of a candidate is a sum of vectors, one for each cation and one for each pair of cations: tables of
them are made once per block. A tile then costs an addition per unit for the first layer, and matrix products for the others.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from crcrank.kernels.jit import kernel, sum_kernel
from crcrank.kernels.pairwise import BlockArrays
from crcrank.kernels.perceptron import LARGEST_PRODUCT, PerceptronProgram, add_product, rectify
from crcrank.kernels.tile import close_pairs, row_slot


class PerceptronSearch(NamedTuple):
    """A perceptron for the search: the fields of its program, and ``slack``, which no error of the first layer exceeds, (H,)."""

    row: np.ndarray
    anion_row: np.ndarray
    stoichiometry_row: np.ndarray
    concatenated: np.ndarray
    multiplied: np.ndarray
    first_bias: np.ndarray
    hidden: np.ndarray
    hidden_bias: np.ndarray
    last: np.ndarray
    bias: np.ndarray
    slack: np.ndarray


class TileWorkspace(NamedTuple):
    """Scratch of one thread, for slots of at most L cations and n candidates at a time.

    Attributes
    ----------
    context, unary, pair
        What the first layer makes of a block's anion and stoichiometry, of each cation, and of each two of them: (H,),
        (n_slots, L, H), (n_slots, n_slots, L, L, H).
    rows, scaled
        Multiplied latents of the cations of each slot, (n_slots, L, F), and the weights of their products times one of them, (F, H).
    left, right
        Sums of the vectors of a tile's row or column with those of the block and the earlier slots, (L, H).
    units, spare, place
        Units of a layer and of the next, (n, H), and the row and column of each candidate, int64 (n, 2).
    range, reach
        What a tile's own cations, and each earlier cation in its pairs with those, add to the first layer at least and at most:
        (2, H), (n_slots, L, 2, H).
    bounds
        Least and largest units of a layer, and of the next, (2, 2, H).
    """

    context: np.ndarray
    unary: np.ndarray
    pair: np.ndarray
    rows: np.ndarray
    scaled: np.ndarray
    left: np.ndarray
    right: np.ndarray
    units: np.ndarray
    spare: np.ndarray
    place: np.ndarray
    range: np.ndarray
    reach: np.ndarray
    bounds: np.ndarray


def tile_workspace(program: PerceptronSearch, n_slots: int, largest: int) -> TileWorkspace:
    """Return scratch for blocks of ``n_slots`` slots with at most ``largest`` cations each."""
    _, n_multiplied, n_hidden = program.multiplied.shape
    n, dtype = max(1, LARGEST_PRODUCT // n_hidden**2), program.row.dtype
    return TileWorkspace(
        np.empty(n_hidden, dtype),
        np.empty((n_slots, largest, n_hidden), dtype),
        np.empty((n_slots, n_slots, largest, largest, n_hidden), dtype),
        np.empty((n_slots, largest, n_multiplied), dtype),
        np.empty((n_multiplied, n_hidden), dtype),
        np.empty((largest, n_hidden), dtype),
        np.empty((largest, n_hidden), dtype),
        np.empty((n, n_hidden), dtype),
        np.empty((n, n_hidden), dtype),
        np.empty((n, 2), np.int64),
        np.empty((2, n_hidden), dtype),
        np.empty((n_slots, largest, 2, n_hidden), dtype),
        np.empty((2, 2, n_hidden), dtype),
    )


def at_anion(program: PerceptronProgram, blocks: BlockArrays, anion: int, dtype: type = np.float32) -> PerceptronSearch:  # noqa: ARG001
    """Return the program in another precision."""
    _, slack = _first_layer_bounds(program, blocks.size.shape[1])
    return PerceptronSearch(*(np.ascontiguousarray(array, dtype) for array in (*program, slack)))


def promise(program: PerceptronProgram, blocks: BlockArrays) -> np.ndarray:
    """Return the score of each block for cations of average latents, float64 (n_blocks,)."""
    d = program.concatenated.shape[1]
    a, s = program.anion_row[blocks.anion_set, blocks.anion_coefficients[:, 0] - 1], program.stoichiometry_row[blocks.stoichiometry]
    sums = np.pad(program.row.cumsum(axis=1), ((0, 0), (1, 0), (0, 0), (0, 0)))
    r = np.zeros(a.shape)
    for start, size, coefficient in zip(blocks.start.T, blocks.size.T, blocks.coefficient.T, strict=True):
        r += (sums[blocks.anion_set, start + size, coefficient - 1] - sums[blocks.anion_set, start, coefficient - 1]) / size[:, None]
    units = program.first_bias + np.einsum("nbd,ndh->bh", [r[:, :d], a[:, :d], s[:, :d]], program.concatenated, optimize=True)
    r, a, s = r[:, d:], a[:, d:], s[:, d:]
    units += np.einsum("nbf,nfh->bh", [r * r / 2, a * r, s * (r + a)], program.multiplied, optimize=True)
    for weights, bias in zip(program.hidden, program.hidden_bias, strict=True):
        units = np.maximum(units, 0) @ weights + bias
    return np.asarray(np.maximum(units, 0) @ program.last + program.bias[0])


@sum_kernel
def _fill_context(program, blocks, b, out):
    d = program.concatenated.shape[1]
    anion = program.anion_row[blocks.anion_set[b], blocks.anion_coefficients[b, 0] - 1]
    stoichiometry = program.stoichiometry_row[blocks.stoichiometry[b]]
    out[:] = program.first_bias
    add_product(anion[:d], program.concatenated[1], out)
    add_product(stoichiometry[:d], program.concatenated[2], out)
    add_product(anion[d:] * stoichiometry[d:], program.multiplied[2], out)


@sum_kernel
def _fill_slot(program, blocks, b, slot, rows, unary):
    d, x, c = program.concatenated.shape[1], blocks.anion_set[b], blocks.coefficient[b, slot] - 1
    anion, stoichiometry = program.anion_row[x, blocks.anion_coefficients[b, 0] - 1], program.stoichiometry_row[blocks.stoichiometry[b]]
    for i in range(blocks.size[b, slot]):
        own = program.row[x, blocks.start[b, slot] + i, c]
        rows[i] = own[d:]
        unary[i] = 0
        add_product(own[:d], program.concatenated[0], unary[i])
        add_product(own[d:] * own[d:] * np.float32(0.5), program.multiplied[0], unary[i])
        add_product(anion[d:] * own[d:], program.multiplied[1], unary[i])
        add_product(stoichiometry[d:] * own[d:], program.multiplied[2], unary[i])


@sum_kernel
def _fill_pairs(program, n_rows, n_columns, rows, columns, scaled, pair):
    """Fill ``pair[i, j]`` (H,) with what the first layer makes of the product of two cations' latents."""
    for i in range(n_rows):
        for f in range(scaled.shape[0]):
            for h in range(scaled.shape[1]):
                scaled[f, h] = rows[i, f] * program.multiplied[0, f, h]
        np.dot(columns[:n_columns], scaled, pair[i, :n_columns])


@kernel
def prepare(program, blocks, b, work, tile):  # noqa: ARG001
    """Fill the tables of block ``b``."""
    n_slots = blocks.size.shape[1]
    _fill_context(program, blocks, b, work.context)
    for slot in range(n_slots):
        _fill_slot(program, blocks, b, slot, work.rows[slot], work.unary[slot])
    for slot in range(n_slots):
        for other in range(slot + 1, n_slots):
            n_rows, n_columns = blocks.size[b, slot], blocks.size[b, other]
            _fill_pairs(program, n_rows, n_columns, work.rows[slot], work.rows[other], work.scaled, work.pair[slot, other])
    _fill_range(blocks, b, work)
    for slot in range(row_slot(blocks)):
        _fill_reach(blocks, b, slot, work)


@kernel
def _widen(vector, out):
    """Let the range ``out`` (2, H) hold ``vector`` (H,)."""
    # min() and max() of numba treat NaN another way, which takes longer.
    for h in range(vector.size):
        out[0, h] = vector[h] if vector[h] < out[0, h] else out[0, h]  # noqa: FURB136
        out[1, h] = vector[h] if vector[h] > out[1, h] else out[1, h]  # noqa: FURB136


@kernel
def _empty_range(out):
    out[0], out[1] = np.inf, -np.inf


@sum_kernel
def _fill_range(blocks, b, work):
    a, z = row_slot(blocks), blocks.size.shape[1] - 1
    _empty_range(work.range)
    for j in range(blocks.size[b, z]):
        if a < 0:
            _widen(work.unary[z, j], work.range)
        for k in range(blocks.size[b, a] if a >= 0 else 0):
            work.left[0] = work.unary[a, k] + work.unary[z, j] + work.pair[a, z, k, j]
            _widen(work.left[0], work.range)


@kernel
def _fill_reach(blocks, b, slot, work):
    a = row_slot(blocks)
    for i in range(blocks.size[b, slot]):
        work.reach[slot, i] = 0
        for side in range(a, a + 2):
            _empty_range(work.bounds[0])
            for k in range(blocks.size[b, side]):
                _widen(work.pair[slot, side, i, k], work.bounds[0])
            _add(work.bounds[0, 0], work.reach[slot, i, 0])
            _add(work.bounds[0, 1], work.reach[slot, i, 1])


@kernel
def bound_tile(program, blocks, b, prefix, work, tile):  # noqa: ARG001
    """Return a bound on a tile's scores: ranges of the units, passed on from layer to layer, and wider by what rounding can do."""
    bounds, following = work.bounds[0], work.bounds[1]
    bounds[:] = work.range
    for side in range(2):
        _add_prefix(blocks, prefix, work, bounds[side])
        for slot in range(row_slot(blocks)):
            _add(work.reach[slot, prefix[slot], side], bounds[side])
    bounds[0] -= program.slack
    bounds[1] += program.slack
    rounding = np.float32((2 * program.last.size + 16) * 2.0**-23)
    for layer in range(program.hidden.shape[0]):
        _cut(bounds)
        _pass_on(bounds, program.hidden[layer], program.hidden_bias[layer], rounding, following)
        bounds, following = following, bounds
    _cut(bounds)
    score = program.bias[0] + rounding * abs(program.bias[0])
    for h in range(program.last.size):
        score += program.last[h] * bounds[1 if program.last[h] > 0 else 0, h] + rounding * abs(program.last[h]) * bounds[1, h]
    return score


@kernel
def _cut(bounds):
    for side in range(2):
        for h in range(bounds.shape[1]):
            bounds[side, h] = max(bounds[side, h], 0)


@sum_kernel
def _pass_on(bounds, weights, bias, rounding, out):
    """Fill the range of ``bias`` plus the units in ``bounds`` times ``weights``: the image of their centres, as wide as theirs allow."""
    for h in range(bias.size):
        out[0, h], out[1, h] = bias[h], rounding * abs(bias[h])
    for k in range(weights.shape[0]):
        centre = (bounds[1, k] + bounds[0, k]) * np.float32(0.5)
        radius = (bounds[1, k] - bounds[0, k]) * np.float32(0.5) + rounding * bounds[1, k]
        for h in range(weights.shape[1]):
            out[0, h] += centre * weights[k, h]
            out[1, h] += radius * abs(weights[k, h])
    for h in range(weights.shape[1]):
        centre, radius = out[0, h], out[1, h]
        out[0, h], out[1, h] = centre - radius, centre + radius


@kernel
def _add(vector, out):
    for h in range(out.size):
        out[h] += vector[h]


@kernel
def _fill_sums(blocks, b, slot, prefix, work, out):
    """Fill ``out[i]`` (H,) with the vectors of cation ``i`` of a tile's slot and of its pairs with the earlier slots."""
    n_prefix = row_slot(blocks)
    for i in range(blocks.size[b, slot]):
        out[i] = work.unary[slot, i]
        for earlier in range(n_prefix):
            _add(work.pair[earlier, slot, prefix[earlier], i], out[i])


@kernel
def _add_prefix(blocks, prefix, work, out):
    """Add the vectors of the block, of the earlier slots and of their pairs to ``out`` (H,)."""
    _add(work.context, out)
    for slot in range(row_slot(blocks)):
        _add(work.unary[slot, prefix[slot]], out)
        for other in range(slot):
            _add(work.pair[other, slot, prefix[other], prefix[slot]], out)


@sum_kernel
def _finish(program, n, work, pair):
    """Fill the scores of ``n`` candidates, given their first layer's units."""
    units, spare = work.units[:n], work.spare[:n]
    for layer in range(program.hidden.shape[0]):
        np.dot(units, program.hidden[layer], spare)
        rectify(spare, program.hidden_bias[layer])
        units, spare = spare, units
    for c in range(n):
        score = program.bias[0]
        for h in range(units.shape[1]):
            score += units[c, h] * program.last[h]
        pair[work.place[c, 0], work.place[c, 1]] = score


@kernel
def _first_units(left, right, pair, out):
    for h in range(out.size):
        total = left[h] + right[h] + pair[h]
        out[h] = total if total > 0 else 0  # noqa: FURB136  (max() of numba treats NaN another way, which takes longer)


@kernel
def fill_tile(program, blocks, b, prefix, work, tile):
    """Fill the pairs of a tile with the scores of its candidates."""
    a, z = row_slot(blocks), blocks.size.shape[1] - 1
    _fill_sums(blocks, b, z, prefix, work, work.right)
    for j in range(blocks.size[b, z]):
        _add_prefix(blocks, prefix, work, work.right[j])
        tile.right[j] = tile.free[z, j]
    n = 0
    if a < 0:
        tile.left[0] = 0
        work.left[0] = 0
        for j in range(blocks.size[b, z]):
            n = _take(program, 0, j, work.left[0], n, work, tile)
    else:
        _fill_sums(blocks, b, a, prefix, work, work.left)
        for k in range(blocks.size[b, a]):
            tile.left[k] = tile.free[a, k]
            for j in range(k + 1 if blocks.run[b, z] else 0, blocks.size[b, z]):
                n = _take(program, k, j, work.pair[a, z, k, j], n, work, tile)
    if n > 0:
        _finish(program, n, work, tile.pair)
    close_pairs(blocks, b, tile)


@kernel
def _take(program, k, j, pair, n, work, tile):
    """Put one candidate to those whose scores are yet to be filled; fill them when there is no room for more. Return their number."""
    _first_units(work.left[k], work.right[j], pair, work.units[n])
    work.place[n, 0], work.place[n, 1] = k, j
    if n + 1 < work.units.shape[0]:
        return n + 1
    _finish(program, n + 1, work, tile.pair)
    return 0


def score_margin(program: PerceptronProgram, n_slots: int) -> float:
    """Return a bound on the difference between a score of the tiles and the float64 score.

    Bounds on the length of the vector of units go through the layers, and beside them bounds on its error: what comes in with an
    error leaves with that error times the spectral norm of the weights, and a sum of ``n`` products adds at most ``n`` units in the last
    place of the sum of their absolute values (Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 3.1), over
    all units at most so many times the Frobenius norm. Rounding the parameters counts as some more operations; cutting at zero adds none.
    """
    size, error = map(np.linalg.norm, _first_layer_bounds(program, n_slots))
    n_hidden = len(program.last)
    for weights, bias in zip(program.hidden, program.hidden_bias, strict=True):
        spectral, offset = np.linalg.norm(weights, 2), np.linalg.norm(bias)
        error = spectral * error + _rounding(n_hidden + 8, np.linalg.norm(weights) * (size + error) + offset)
        size = spectral * size + offset
    last = np.linalg.norm(program.last)
    return float(last * error + _rounding(n_hidden + 8, last * (size + error) + abs(program.bias[0])))


def _first_layer_bounds(program: PerceptronProgram, n_slots: int) -> tuple[np.ndarray, np.ndarray]:
    """Return what no sum of the first layer exceeds before it is cut at zero, and what no error of one does, (H,)."""
    row, anion_row, stoichiometry_row, concatenated, multiplied, first_bias = (np.abs(array) for array in program[:6])
    d = concatenated.shape[1]
    vectors = n_slots * _largest(row), _largest(anion_row), _largest(stoichiometry_row)
    r, a, s = (vector[d:] for vector in vectors)
    size = first_bias + np.einsum("nd,ndh->h", [vector[:d] for vector in vectors], concatenated)
    size = size + np.einsum("nf,nfh->h", [r * r / 2, a * r, s * (r + a)], multiplied)
    return size, _rounding(3 * row.shape[3] + 8 * (n_slots + 1) ** 2, size)


def _largest(rows: np.ndarray) -> np.ndarray:
    return np.asarray(rows.reshape(-1, rows.shape[-1]).max(axis=0))


def _rounding(n_operations: int, size: Any) -> Any:
    return n_operations * (2.0**-23 * size + 2.0**-120)
