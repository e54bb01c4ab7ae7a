"""The multilinear scoring programs: a score is a product of the vectors of all ions, taken with a core tensor.

A block fixes the anion and the stoichiometry, hence a core tensor with one mode per cation; the first cation turns it into a
smaller one, and so on until a matrix is left, whose product with the vectors of the last two slots is the tile. Where the core
is diagonal (a CP decomposition), it is a vector all the way. For the decompositions see Kolda and Bader, SIAM Review 51, 455
(2009), doi:10.1137/07070111X, sections 3 and 4.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from crcrank.kernels.jit import kernel
from crcrank.kernels.pairwise import BlockArrays, matrix
from crcrank.kernels.tile import close_pairs, n_tile_rows, row_slot

# What single precision loses at most in one operation, and to underflow.
_UNIT, _TINY = 2.0**-23, 2.0**-126
# Above this, sums of products come too near to what single precision can hold.
_LARGEST_SCORE = 1e30
# More than double precision loses in a block's bound.
_ROUNDING = 1e-12


class MultilinearProgram(NamedTuple):
    """A Tucker decomposition compiled for one class of n slots. With A anions, C cations, S stoichiometries, P and R factors.

    The score of cations ``c_1 ... c_n`` with anion ``x`` in stoichiometry ``s`` is the sum over ``p_1 ... p_n`` and ``r`` of
    ``core[x, (p_1 ... p_n), r] ratio[s, r] cation[c_1, p_1] ... cation[c_n, p_n]``.

    Attributes
    ----------
    cation
        (C, P).
    core
        The core tensor, multiplied with the vector of each anion, (A, P ** n, R).
    ratio
        (S, R); zeros where no known composition has this ratio.
    """

    cation: np.ndarray
    core: np.ndarray
    ratio: np.ndarray


class DiagonalProgram(NamedTuple):
    """A CP decomposition compiled for one class: a score is the sum over F factors of the product of all vectors.

    Attributes
    ----------
    cation, anion, ratio
        (C, F), (A, F), (S, F).
    """

    cation: np.ndarray
    anion: np.ndarray
    ratio: np.ndarray


class Slack(NamedTuple):
    """What scores in single precision are off by at most; zeros in double, where nobody asks.

    A tile is off by far less than the margin where little is multiplied. Its scores are lowered by the difference, so that a candidate
    which does not reach the threshold is not found because of the margin.

    Attributes
    ----------
    margin
        Any score.
    share, lost
        A score that is a sum of products whose absolute values add up to ``total``: ``share * total + lost``.
    """

    margin: float
    share: float
    lost: float


class MultilinearSearch(NamedTuple):
    """A :class:`MultilinearProgram` for one anion: (C, P), (P ** n, R), (S, R), and norms of cations, core and ratios (C,), (1,), (S,)."""

    cation: np.ndarray
    core: np.ndarray
    ratio: np.ndarray
    norm: np.ndarray
    core_norm: np.ndarray
    ratio_norm: np.ndarray
    slack: Slack


class DiagonalSearch(NamedTuple):
    """A :class:`DiagonalProgram` in single or double precision."""

    cation: np.ndarray
    anion: np.ndarray
    ratio: np.ndarray
    slack: Slack


class MultilinearWorkspace(NamedTuple):
    """Scratch of one thread, for slots of at most L cations.

    Attributes
    ----------
    core
        Core tensor of the block, (P ** n,).
    first
        The same once the first cation is chosen, for each choice; one row if the tile comes first, (L, P ** (n - 1)).
    inner
        Matrix of the tile, (P * P,).
    rows, product
        Room for the tile, (L * P,), (L * L,).
    bound, lost
        Bound on the scores of each row of ``first``, but for the norms of the other cations before the tile, (L,); what they may
        lose to underflow, (1,).
    error
        What the scores are off by, but for underflow and the norms of the cations before the tile, (1,).
    """

    core: np.ndarray
    first: np.ndarray
    inner: np.ndarray
    rows: np.ndarray
    product: np.ndarray
    bound: np.ndarray
    lost: np.ndarray
    error: np.ndarray


class DiagonalWorkspace(NamedTuple):
    """Scratch of one thread, for slots of at most L cations.

    Attributes
    ----------
    block, prefix
        Product of the vectors of the block, and of the cations before the tile with it, (F,).
    largest, lost
        Largest magnitude of each factor in each slot, (n, F); what scores may lose to underflow, (1,).
    rows, product
        Room for the tile, (L * F,), (L * L,).
    """

    block: np.ndarray
    prefix: np.ndarray
    largest: np.ndarray
    lost: np.ndarray
    rows: np.ndarray
    product: np.ndarray


def at_anion(program: MultilinearProgram, blocks: BlockArrays, anion: int, dtype: type = np.float32) -> MultilinearSearch:
    """Return the program of an anion."""
    arrays: list[np.ndarray] = [np.ascontiguousarray(array, dtype) for array in (program.cation, program.core[anion], program.ratio)]
    cation, core, ratio = arrays
    return MultilinearSearch(
        cation,
        core,
        ratio,
        _norms(cation.astype(np.float64)),
        _norms(program.core[anion].reshape(1, -1)),
        _norms(program.ratio),
        _slack(*_multilinear_sums(program, blocks.size.shape[1]), dtype),
    )


def multilinear_workspace(program: MultilinearSearch, n_slots: int, largest: int) -> MultilinearWorkspace:
    """Return scratch for a program."""
    n_factors, dtype = program.cation.shape[1], program.cation.dtype
    return MultilinearWorkspace(
        np.empty(n_factors**n_slots, dtype),
        np.empty((largest, n_factors ** max(n_slots - 1, 1)), dtype),
        np.empty(n_factors**2, dtype),
        np.empty(largest * n_factors, dtype),
        np.empty(largest * largest, dtype),
        np.empty(largest),
        np.empty(1),
        np.empty(1),
    )


@kernel
def _norm(values):
    total = 0.0
    for value in values:
        total += np.float64(value) * np.float64(value)
    return np.sqrt(total)


@kernel
def _is_zero(values):
    for value in values:
        if value != 0:
            return False
    return True


@kernel
def _largest_norm(program, blocks, b, slot):
    largest = 0.0
    for i in range(blocks.size[b, slot]):
        largest = max(largest, program.norm[blocks.start[b, slot] + i])
    return largest


@kernel
def _cations(program, blocks, b, slot):
    """Return the vectors of a slot's cations, (size, P)."""
    start = blocks.start[b, slot]
    return program.cation[start : start + blocks.size[b, slot]]


@kernel
def prepare_multilinear(program, blocks, b, work, tile):  # noqa: ARG001
    """Fill the core of block ``b``, what each first cation makes of it, and the bounds."""
    n_slots, n_factors = blocks.size.shape[1], program.cation.shape[1]
    ratio = program.ratio[blocks.stoichiometry[b]]
    if _is_zero(ratio):
        work.core[:] = 0
    else:
        np.dot(program.core, ratio, work.core)
    reach = 1.0 + 2 * _UNIT * (n_slots * (n_factors + 2) + 8)
    work.lost[0] = _TINY * (n_slots * (n_factors + 2) + 8)
    work.error[0] = program.slack.share * program.core_norm[0] * program.ratio_norm[blocks.stoichiometry[b]]
    for slot in range(n_slots):
        norm = _largest_norm(program, blocks, b, slot)
        work.lost[0] *= 1 + np.sqrt(n_factors) * norm
        if slot >= row_slot(blocks):
            reach *= norm
            work.error[0] *= norm
    if n_slots < 3:
        work.bound[0] = reach * _norm(work.core)
        return
    cations = _cations(program, blocks, b, 0)
    np.dot(cations, matrix(work.core, n_factors, work.first.shape[1]), work.first[: len(cations)])
    for i in range(len(cations)):
        work.bound[i] = reach * _norm(work.first[i])


@kernel
def bound_multilinear(program, blocks, b, prefix, work, tile):  # noqa: ARG001
    """Return a bound on a tile's scores: the product of the norms of all that is multiplied."""
    a = row_slot(blocks)
    bound = work.bound[prefix[0] if a > 0 else 0]
    for slot in range(1, a):
        bound *= program.norm[blocks.start[b, slot] + prefix[slot]]
    return bound + work.lost[0] + _multilinear_error(program, blocks, b, prefix, work) - program.slack.margin


@kernel
def _multilinear_error(program, blocks, b, prefix, work):
    """Return what the scores of a tile are off by at most."""
    error = work.error[0]
    for slot in range(row_slot(blocks)):
        error *= program.norm[blocks.start[b, slot] + prefix[slot]]
    return _with_lost(error, program.slack)


@kernel
def _with_lost(error, slack):
    return min(error + slack.lost + 8 * _UNIT * slack.margin, slack.margin)


@kernel
def _inner(program, blocks, b, prefix, work):
    """Return the matrix of a tile, (P, P)."""
    n_slots, n_factors = blocks.size.shape[1], program.cation.shape[1]
    if n_slots == 2:
        return matrix(work.core, n_factors, n_factors)
    if n_slots == 3:
        return matrix(work.first[prefix[0]], n_factors, n_factors)
    second = program.cation[blocks.start[b, 1] + prefix[1]]
    np.dot(second, matrix(work.first[prefix[0]], n_factors, n_factors**2), work.inner)
    return matrix(work.inner, n_factors, n_factors)


@kernel
def _open_scores(blocks, b, lowered, tile):
    """Fill ``left`` and ``right`` with what makes only free cations count, and lowers all scores; these lie in ``pair``."""
    a, z = row_slot(blocks), blocks.size.shape[1] - 1
    for k in range(n_tile_rows(blocks, b)):
        tile.left[k] = (tile.free[a, k] if a >= 0 else 0) - lowered
    for j in range(blocks.size[b, z]):
        tile.right[j] = tile.free[z, j]


@kernel
def _copy(product, tile):
    n_rows, n_columns = product.shape
    for k in range(n_rows):
        for j in range(n_columns):
            tile.pair[k, j] = product[k, j]


@kernel
def fill_multilinear(program, blocks, b, prefix, work, tile):
    """Fill a tile by two matrix products."""
    _open_scores(blocks, b, program.slack.margin - _multilinear_error(program, blocks, b, prefix, work), tile)
    n_factors = program.cation.shape[1]
    columns = _cations(program, blocks, b, blocks.size.shape[1] - 1)
    n_rows, a = n_tile_rows(blocks, b), row_slot(blocks)
    rows = matrix(work.rows, n_rows, n_factors)
    if a < 0:
        rows[0] = work.core
    else:
        np.dot(_cations(program, blocks, b, a), _inner(program, blocks, b, prefix, work), rows)
    product = matrix(work.product, n_rows, len(columns))
    np.dot(rows, columns.T, product)
    _copy(product, tile)
    close_pairs(blocks, b, tile)


@kernel
def _fill_core(core, ratio, out):
    """Fill ``out`` (P ** n,) with the products of core (P ** n, R) and ratio (R,)."""
    for p in range(core.shape[0]):
        total = 0.0
        for r in range(ratio.size):
            total += core[p, r] * ratio[r]
        out[p] = total


@kernel
def _contract(vector, tensor, n_left):
    """Multiply the first mode of a tensor of ``n_left`` numbers with a vector, in place: its slices add up to the first one."""
    size = n_left // vector.size
    for q in range(size):
        tensor[q] *= vector[0]
    for p in range(1, vector.size):
        for q in range(size):
            tensor[q] += vector[p] * tensor[p * size + q]
    return size


@kernel
def score_multilinear(program, blocks, candidate_blocks, cations, out):
    """Fill ``out[c]`` with the score of each candidate; cations (n, n_slots). Candidates of one block should be neighbours."""
    core = np.empty(program.core.shape[1])
    tensor = np.empty(program.core.shape[1])
    last = -1
    for c in range(cations.shape[0]):
        b = candidate_blocks[c]
        if b != last:
            _fill_core(program.core[blocks.anion_set[b]], program.ratio[blocks.stoichiometry[b]], core)
            last = b
        tensor[:] = core
        n_left = core.size
        for slot in range(cations.shape[1]):
            n_left = _contract(program.cation[cations[c, slot]], tensor, n_left)
        out[c] = 0.0 + tensor[0]  # never -0


def _norms(array: np.ndarray) -> np.ndarray:
    return np.asarray(np.sqrt((array**2).sum(axis=-1)))


def multilinear_margin(program: MultilinearProgram, n_slots: int) -> float:
    """Return a bound on the difference between a float32 and a float64 score, infinite where single precision may overflow.

    A sum of ``n`` products is off by at most ``n`` units in the last place of the sum of their absolute values (Higham, Accuracy
    and Stability of Numerical Algorithms, 2002, section 3.1), which the product of all norms bounds. What underflows is
    multiplied with what comes later.
    """
    return _margin(*_multilinear_sums(program, n_slots))


def _multilinear_sums(program: MultilinearProgram, n_slots: int) -> tuple[int, float, float]:
    """Return the number of operations, bounds on the absolute values they sum up, and on what underflow is multiplied with."""
    n_factors, n_ratio_factors = program.cation.shape[1], program.ratio.shape[1]
    cation, ratio = float(_norms(program.cation).max()), float(_norms(program.ratio).max())
    total = float(np.sqrt((program.core**2).sum(axis=(1, 2)).max())) * ratio * cation**n_slots
    lost = (1 + np.sqrt(n_ratio_factors) * ratio) * (1 + np.sqrt(n_factors) * cation) ** n_slots
    return n_ratio_factors + n_slots * (n_factors + 2) + 8, total, float(lost)


def _margin(n_operations: int, total: float, lost: float) -> float:
    return n_operations * (_UNIT * total + _TINY * lost) if max(total, lost) < _LARGEST_SCORE else np.inf


def _slack(n_operations: int, total: float, lost: float, dtype: type) -> Slack:
    if dtype is np.float64:
        return Slack(0.0, 0.0, 0.0)
    return Slack(float(_margin(n_operations, total, lost)), n_operations * _UNIT, n_operations * _TINY * lost)


def multilinear_bounds(program: MultilinearProgram, blocks: BlockArrays) -> np.ndarray:
    """Return what no score of each block exceeds by more than the margin, float64 (n_blocks,): the norms of all that is multiplied."""
    triangles = (np.asarray(np.linalg.qr(core, mode="r")) for core in program.core)  # a rotation keeps norms
    cores = np.stack(
        [_norms(program.ratio @ triangle.T) + _ROUNDING * _norms(triangle).sum() * _norms(program.ratio) for triangle in triangles]
    )
    reach = _reach(_norms(program.cation)[:, None], blocks, len(program.ratio))[:, 0]
    bounds = (cores * reach)[blocks.anion_set, blocks.stoichiometry]
    return np.asarray(bounds - multilinear_margin(program, blocks.size.shape[1]))


def _reach(values: np.ndarray, blocks: BlockArrays, n_stoichiometries: int) -> np.ndarray:
    """Return the product over the slots of each stoichiometry of the largest of their cations' values (C, F), (S, F)."""
    largest = np.zeros_like(values)
    for start, size in np.unique(np.column_stack([blocks.start.ravel(), blocks.size.ravel()]), axis=0):
        largest[start] = values[start : start + size].max(axis=0)
    rows, first = np.unique(blocks.stoichiometry, return_index=True)
    reach = np.zeros((n_stoichiometries, values.shape[1]))
    reach[rows] = 1
    for start in blocks.start[first].T:
        reach[rows] *= largest[start]
    return reach


def multilinear_constant(program: MultilinearProgram, blocks: BlockArrays) -> np.ndarray:
    """Return 0 for the blocks whose ratio has the vector zero or whose anions have the core zero, NaN for the others."""
    return _zero_or_nan(np.asarray(program.core.any(axis=(1, 2)))[:, None] & program.ratio.any(axis=1), blocks)


def diagonal_constant(program: DiagonalProgram, blocks: BlockArrays) -> np.ndarray:
    """Return 0 for the blocks whose anions and ratio share no factor, NaN for the others, float64 (n_blocks,)."""
    return _zero_or_nan(np.stack([(anion * program.ratio).any(axis=1) for anion in program.anion]), blocks)


def _zero_or_nan(counts: np.ndarray, blocks: BlockArrays) -> np.ndarray:
    return np.where(np.asarray(counts)[blocks.anion_set, blocks.stoichiometry], np.nan, 0.0)


def zero_cations(program: MultilinearProgram | DiagonalProgram) -> np.ndarray:
    """Return which cations have the vector zero, bool (C,)."""
    return np.asarray(~program.cation.any(axis=1))


def diagonal_at_anion(program: DiagonalProgram, blocks: BlockArrays, anion: int, dtype: type = np.float32) -> DiagonalSearch:  # noqa: ARG001
    """Return the program in another precision."""
    arrays: list[np.ndarray] = [np.ascontiguousarray(array, dtype) for array in program]
    cation, anion_vectors, ratio = arrays
    return DiagonalSearch(cation, anion_vectors, ratio, _slack(*_diagonal_sums(program, blocks.size.shape[1]), dtype))


def diagonal_workspace(program: DiagonalSearch, n_slots: int, largest: int) -> DiagonalWorkspace:
    """Return scratch for a program."""
    n_factors, dtype = program.cation.shape[1], program.cation.dtype
    return DiagonalWorkspace(
        np.empty(n_factors, dtype),
        np.empty(n_factors, dtype),
        np.empty((n_slots, n_factors), dtype),
        np.empty(1),
        np.empty(largest * n_factors, dtype),
        np.empty(largest * largest, dtype),
    )


@kernel
def prepare_diagonal(program, blocks, b, work, tile):  # noqa: ARG001
    """Fill the vector of block ``b``, and the largest magnitude of each factor in each slot."""
    anion, ratio = program.anion[blocks.anion_set[b]], program.ratio[blocks.stoichiometry[b]]
    work.largest[:] = 0
    for f in range(work.block.size):
        work.block[f] = anion[f] * ratio[f]
    for slot in range(blocks.size.shape[1]):
        for vector in _cations(program, blocks, b, slot):
            for f in range(vector.size):
                work.largest[slot, f] = max(work.largest[slot, f], abs(vector[f]))
    work.lost[0] = 0
    for f in range(work.block.size):
        lost = _TINY * (work.block.size + 8)
        for slot in range(blocks.size.shape[1]):
            lost *= 1 + work.largest[slot, f]
        work.lost[0] += lost


@kernel
def _fill_prefix(program, blocks, b, prefix, work):
    """Fill the product of the vectors of the block and of the cations before the tile."""
    work.prefix[:] = work.block
    for slot in range(row_slot(blocks)):
        vector = program.cation[blocks.start[b, slot] + prefix[slot]]
        for f in range(vector.size):
            work.prefix[f] *= vector[f]


@kernel
def bound_diagonal(program, blocks, b, prefix, work, tile):  # noqa: ARG001
    """Return a bound on a tile's scores: each factor at its largest in the slots of the tile."""
    _fill_prefix(program, blocks, b, prefix, work)
    return _prefix_bound(blocks, work) - program.slack.margin


@kernel
def _prefix_bound(blocks, work):
    """Return a bound on the scores of the tile whose prefix was filled."""
    n_slots, bound = blocks.size.shape[1], 0.0
    for f in range(work.prefix.size):
        term = np.float64(abs(work.prefix[f]))
        for slot in range(max(row_slot(blocks), 0), n_slots):
            term *= work.largest[slot, f]
        bound += term
    return bound * (1.0 + 2 * _UNIT * (work.prefix.size + 8)) + work.lost[0]


@kernel
def fill_diagonal(program, blocks, b, prefix, work, tile):
    """Fill a tile by one matrix product."""
    _fill_prefix(program, blocks, b, prefix, work)
    error = _with_lost(program.slack.share * _prefix_bound(blocks, work), program.slack)
    _open_scores(blocks, b, program.slack.margin - error, tile)
    columns = _cations(program, blocks, b, blocks.size.shape[1] - 1)
    n_rows, a = n_tile_rows(blocks, b), row_slot(blocks)
    rows = matrix(work.rows, n_rows, work.prefix.size)
    for k in range(n_rows):
        rows[k] = work.prefix
        if a >= 0:
            rows[k] *= program.cation[blocks.start[b, a] + k]
    product = matrix(work.product, n_rows, len(columns))
    np.dot(rows, columns.T, product)
    _copy(product, tile)
    close_pairs(blocks, b, tile)


@kernel
def score_diagonal(program, blocks, candidate_blocks, cations, out):
    """Fill ``out[c]`` with the score of each candidate; cations (n, n_slots)."""
    for c in range(cations.shape[0]):
        b = candidate_blocks[c]
        total = 0.0
        for f in range(program.cation.shape[1]):
            term = program.anion[blocks.anion_set[b], f] * program.ratio[blocks.stoichiometry[b], f]
            for slot in range(cations.shape[1]):
                term *= program.cation[cations[c, slot], f]
            total += term
        out[c] = total


def diagonal_margin(program: DiagonalProgram, n_slots: int) -> float:
    """Return a bound on the difference between a float32 and a float64 score, infinite where single precision may overflow."""
    return _margin(*_diagonal_sums(program, n_slots))


def _diagonal_sums(program: DiagonalProgram, n_slots: int) -> tuple[int, float, float]:
    """Return the number of operations, bounds on the absolute values they sum up, and on what underflow is multiplied with."""
    cation, anion, ratio = (np.abs(array).max(axis=0) for array in program)
    total = float((anion * ratio * cation**n_slots).sum())
    lost = float(((1 + anion) * (1 + ratio) * (1 + cation) ** n_slots).sum())
    return len(cation) + 2 * n_slots + 8, total, lost


def diagonal_bounds(program: DiagonalProgram, blocks: BlockArrays) -> np.ndarray:
    """Return what no score of each block exceeds by more than the margin, float64 (n_blocks,): each factor at its largest in each slot."""
    reach = _reach(np.abs(program.cation), blocks, len(program.ratio))
    bounds = (np.abs(program.anion) @ (reach * np.abs(program.ratio)).T)[blocks.anion_set, blocks.stoichiometry]
    return np.asarray((1 + _ROUNDING) * bounds - diagonal_margin(program, blocks.size.shape[1]))
