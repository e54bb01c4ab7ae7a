"""The pairwise scoring program.

A score is a sum of unary and pair terms over the positions of a candidate: its cations and its anions. With ion ``i`` at
coefficient ``c`` beside the anions ``x``, and ``f = c / n_atoms``, a position carries the vector ``row[x, i, c] + f slope[i]``;
two positions contribute the product of their vectors plus ``f_a f_b curve[i, j]``, the stoichiometry contributes a bias
and one more vector. A second-order Factorization Machine over ions, pairs, coefficients, means and second moments is
exactly of this form (Rendle, ICDM 2010, doi:10.1109/ICDM.2010.127, eq. 5).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from crcrank.kernels.jit import kernel, lean

MAX_ANIONS = 2  # in a set


class PairwiseProgram(NamedTuple):
    """A model compiled for one class. With A anions in X sets, C cations, coefficients to M, S stoichiometries, F factors.

    Attributes
    ----------
    row, slope, curve
        Vectors and pair terms of positions: (X, C, M, F), (C + A, F), (C + A, C + A); ``curve`` is symmetric.
    bias, fraction_bias
        Unary terms of cations, constant and per atomic fraction: (X, C, M).
    anion_row, anion_bias, anion_fraction_bias
        The same for an anion: (A, M, F), (A, M), (A, M).
    stoichiometry_row, stoichiometry_bias
        (S, F), (S,).
    """

    row: np.ndarray
    slope: np.ndarray
    curve: np.ndarray
    bias: np.ndarray
    fraction_bias: np.ndarray
    anion_row: np.ndarray
    anion_bias: np.ndarray
    anion_fraction_bias: np.ndarray
    stoichiometry_row: np.ndarray
    stoichiometry_bias: np.ndarray


class BlockArrays(NamedTuple):
    """The blocks of a class, with the cations of each slot as a range.

    Attributes
    ----------
    stoichiometry, anion_set
        int64 (n_blocks,); a set of one anion has the number of the anion.
    anions
        int64 (n_blocks, n_anions).
    n_atoms, anion_coefficients
        int32 (n_blocks,) and (n_blocks, n_anions): there are millions of blocks, and these numbers are small.
    start, coefficient
        First cation and coefficient of each slot, int32 (n_blocks, n_slots).
    size
        Number of cations of each slot, int64 (n_blocks, n_slots), since kernels count up to it.
    run
        Whether a slot equals the one before it, so that their cations ascend, bool (n_blocks, n_slots).
    cation_element, anion_element
        Label of each ion, int64 (C,), (A,): its element, unless the class allows more; ions of one label exclude each other.
    """

    stoichiometry: np.ndarray
    anion_set: np.ndarray
    anions: np.ndarray
    anion_coefficients: np.ndarray
    n_atoms: np.ndarray
    start: np.ndarray
    size: np.ndarray
    coefficient: np.ndarray
    run: np.ndarray
    cation_element: np.ndarray
    anion_element: np.ndarray


@kernel
def product_sum(first, second):
    """Return the sum of the products of two vectors, in four sums side by side: in one, each addition would wait for the last."""
    a = b = c = d = first.dtype.type(0.0)
    n = first.size - first.size % 4
    for k in range(0, n, 4):
        a += first[k] * second[k]
        b += first[k + 1] * second[k + 1]
        c += first[k + 2] * second[k + 2]
        d += first[k + 3] * second[k + 3]
    for k in range(n, first.size):
        a += first[k] * second[k]
    return (a + b) + (c + d)


@lean
def fill_context(program, blocks, b, vector):
    """Fill ``vector`` (F,) with what the stoichiometry and the anions add to the product with each cation; return their own score."""
    s, n_cations = blocks.stoichiometry[b], program.row.shape[1]
    score = program.stoichiometry_bias[s]
    for k in range(vector.size):
        vector[k] = program.stoichiometry_row[s, k]
    for a in range(blocks.anions.shape[1]):
        x, c = blocks.anions[b, a], blocks.anion_coefficients[b, a] - 1
        f = program.row.dtype.type(blocks.anion_coefficients[b, a] / blocks.n_atoms[b])
        ion = n_cations + x
        score = score + program.anion_bias[x, c] + f * program.anion_fraction_bias[x, c]
        score += program.row.dtype.type(0.5) * f * f * program.curve[ion, ion]
        for other in range(a):
            f_other = program.row.dtype.type(blocks.anion_coefficients[b, other] / blocks.n_atoms[b])
            score += f * f_other * program.curve[ion, n_cations + blocks.anions[b, other]]
        for k in range(vector.size):
            own = program.anion_row[x, c, k] + f * program.slope[ion, k]
            score += own * vector[k]
            vector[k] += own
    return score


@kernel
def fill_slot(program, blocks, b, slot, context, rows, unary):
    """Fill vectors ``rows`` (size, F) and unary scores (size,) of a slot's cations; the anions' own elements score -inf."""
    x = blocks.anion_set[b]
    c = blocks.coefficient[b, slot] - 1
    f = program.row.dtype.type(blocks.coefficient[b, slot] / blocks.n_atoms[b])
    n_cations = program.row.shape[1]
    for i in range(blocks.size[b, slot]):
        ion = blocks.start[b, slot] + i
        score = program.bias[x, ion, c] + f * program.fraction_bias[x, ion, c]
        curve = program.row.dtype.type(0.5) * f * program.curve[ion, ion]
        for a in range(blocks.anions.shape[1]):
            f_anion = program.row.dtype.type(blocks.anion_coefficients[b, a] / blocks.n_atoms[b])
            curve += f_anion * program.curve[ion, n_cations + blocks.anions[b, a]]
        score += f * curve
        for k in range(context.size):
            rows[i, k] = program.row[x, ion, c, k] + f * program.slope[ion, k]
        unary[i] = score + product_sum(rows[i], context)
        for a in range(blocks.anions.shape[1]):
            if blocks.cation_element[ion] == blocks.anion_element[blocks.anions[b, a]]:
                unary[i] = -np.inf


@kernel
def matrix(buffer, n_rows, n_columns):
    """Return the start of a contiguous buffer as a matrix, which is what a matrix product needs."""
    return buffer[: n_rows * n_columns].reshape((n_rows, n_columns))


@kernel
def fill_pair(program, blocks, b, first, second, rows, columns, scratch, out):
    """Fill ``out[i, j]`` with the pair score of cation ``i`` in slot ``first`` and ``j`` in ``second``; equal elements score -inf."""
    n_rows, n_columns = blocks.size[b, first], blocks.size[b, second]
    weight = program.row.dtype.type(
        (blocks.coefficient[b, first] / blocks.n_atoms[b]) * (blocks.coefficient[b, second] / blocks.n_atoms[b])
    )
    product = matrix(scratch, n_rows, n_columns)
    np.dot(rows[:n_rows], columns[:n_columns].T, product)
    elements = blocks.cation_element[blocks.start[b, second] :]
    for i in range(n_rows):
        ion = blocks.start[b, first] + i
        line = out[i]
        curve = program.curve[ion, blocks.start[b, second] :]
        for j in range(n_columns):
            line[j] = product[i, j] + weight * curve[j]
        for j in range(n_columns):
            if elements[j] == blocks.cation_element[ion]:
                line[j] = -np.inf


def fill_scores(program: PairwiseProgram, blocks: BlockArrays, candidate_blocks: np.ndarray, cations: np.ndarray, out: np.ndarray) -> None:
    """Fill ``out[c]`` with the score of each candidate, term by term in one fixed order; cations (n, n_slots)."""
    n_factors, dtype = program.row.shape[3], program.row.dtype
    score_each(program, blocks, candidate_blocks, cations, np.empty(n_factors, dtype), np.empty((cations.shape[1], n_factors), dtype), out)


@lean
def score_each(program, blocks, candidate_blocks, cations, context, rows, out):
    """Do as :func:`fill_scores`, with room for a vector and for one of each slot, (F,), (n_slots, F)."""
    n_factors, n_slots, n_cations = program.row.shape[3], cations.shape[1], program.row.shape[1]
    for c in range(cations.shape[0]):
        b = candidate_blocks[c]
        x = blocks.anion_set[b]
        score = fill_context(program, blocks, b, context)
        for slot in range(n_slots):
            ion = cations[c, slot]
            m = blocks.coefficient[b, slot] - 1
            f = blocks.coefficient[b, slot] / blocks.n_atoms[b]
            score += program.bias[x, ion, m] + f * program.fraction_bias[x, ion, m]
            curve = 0.5 * f * program.curve[ion, ion]
            for a in range(blocks.anions.shape[1]):
                curve += blocks.anion_coefficients[b, a] / blocks.n_atoms[b] * program.curve[ion, n_cations + blocks.anions[b, a]]
            score += f * curve
            for k in range(n_factors):
                rows[slot, k] = program.row[x, ion, m, k] + f * program.slope[ion, k]
                score += rows[slot, k] * context[k]
            for other in range(slot):
                score += f * (blocks.coefficient[b, other] / blocks.n_atoms[b]) * program.curve[ion, cations[c, other]]
                for k in range(n_factors):
                    score += rows[slot, k] * rows[other, k]
        out[c] = score


def promise(program: PairwiseProgram, blocks: BlockArrays) -> np.ndarray:
    """Return the biases of each block's stoichiometry and anions, float64 (n_blocks,)."""
    anions = program.anion_bias[blocks.anions, blocks.anion_coefficients - 1].sum(axis=1)
    return np.asarray(program.stoichiometry_bias[blocks.stoichiometry] + anions)


def score_margin(program: PairwiseProgram, n_slots: int) -> float:
    """Return a bound on the difference between a float32 and a float64 score of ``program``.

    A sum of ``n`` products is off by at most ``n`` units in the last place of the sum of their absolute values (Higham,
    Accuracy and Stability of Numerical Algorithms, 2002, section 3.1); norms bound those sums. What underflows is off by less
    than the smallest normal number.
    """

    def norm(array: np.ndarray) -> float:
        return float(np.sqrt(np.einsum("...f,...f->...", array, array)).max(initial=0.0))  # makes no array of the squares

    def largest(array: np.ndarray) -> float:
        return float(np.abs(array).max(initial=0.0))

    n_positions = n_slots + (1 if len(program.row) == len(program.anion_row) else MAX_ANIONS)
    vector = norm(program.slope) + max(norm(program.row), norm(program.anion_row))
    unary = largest(program.bias) + largest(program.fraction_bias) + largest(program.anion_bias)
    unary += largest(program.anion_fraction_bias) + largest(program.curve) + vector * norm(program.stoichiometry_row)
    pairs = n_positions * (n_positions - 1) / 2 * (vector**2 + largest(program.curve))
    n_operations = 2 * program.row.shape[3] + 16 * n_positions
    total = largest(program.stoichiometry_bias) + n_positions * unary + pairs
    return float(n_operations * (2.0**-23 * total + 2.0**-126))
