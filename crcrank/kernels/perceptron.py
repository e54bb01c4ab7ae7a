"""Scores of a multilayer perceptron over sums and products of latent vectors: the program, single candidates, and the gradient.

A cation ``i`` at coefficient ``c`` beside anion ``x`` carries the latent vector ``row[x, i, c]``, the anion ``anion_row[x, c]``,
the stoichiometry a third; the first D entries of each are concatenated, the other F multiplied. With ``r`` the *sum* of the
cations' vectors, which has no order, ``a`` the anion's and ``s`` the stoichiometry's, the network sees::

    r, a, s                                (first D entries)
    r * r / 2,  a * r,  s * (r + a)        (last F entries, element by element)

Hidden layers are rectified, the last layer is linear. What the first layer makes of a candidate is a sum of terms of single
cations and of pairs of them (Dziugaite & Roy, arXiv:1511.06443, section 3, with a sum where they have two vectors).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from crcrank.kernels.jit import kernel

# A larger product of matrices would make OpenBLAS start threads of its own beside those of the caller.
LARGEST_PRODUCT = 1 << 18


class PerceptronProgram(NamedTuple):
    """A network compiled for one class. With A anions, C cations, coefficients to M, S stoichiometries, H units in each of N layers.

    Attributes
    ----------
    row, anion_row, stoichiometry_row
        Latent vectors: (A, C, M, D + F), (A, M, D + F), (S, D + F).
    concatenated, multiplied
        Weights of the first layer, for the three vectors and the three products above: (3, D, H), (3, F, H).
    first_bias, hidden, hidden_bias, last, bias
        The other weights: (H,), (N - 1, H, H), (N - 1, H), (H,), (1,).
    """

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


class Batch(NamedTuple):
    """Candidates with their part in a loss: block int64 (n,), cations int64 (n, n_slots), weights float32 (n,).

    A candidate of score ``s`` and ``rate = exp(s)`` costs ``rate_weight * rate - known_weight * log(exp(rate) - 1)``.
    """

    blocks: np.ndarray
    cations: np.ndarray
    rate_weight: np.ndarray
    known_weight: np.ndarray


class PerceptronWorkspace(NamedTuple):
    """Scratch of one thread for n candidates: latents (3, n, D + F), inputs (n, 3, D) and (n, 3, F), the rest (N, n, H) and (n, H)."""

    latents: np.ndarray
    concatenated: np.ndarray
    multiplied: np.ndarray
    active: np.ndarray
    flow: np.ndarray
    spare: np.ndarray


def perceptron_workspace(program: PerceptronProgram) -> PerceptronWorkspace:
    """Return scratch of the precision of ``program``."""
    _, n_concatenated, n_hidden = program.concatenated.shape
    n_multiplied, n_layers, dtype = program.multiplied.shape[1], len(program.hidden) + 1, program.row.dtype
    n = max(1, LARGEST_PRODUCT // (n_hidden * max(3 * n_concatenated, 3 * n_multiplied, n_hidden)))
    return PerceptronWorkspace(
        np.zeros((3, n, n_concatenated + n_multiplied), dtype),
        np.zeros((n, 3, n_concatenated), dtype),
        np.zeros((n, 3, n_multiplied), dtype),
        np.zeros((n_layers, n, n_hidden), dtype),
        np.zeros((n, n_hidden), dtype),
        np.zeros((n, n_hidden), dtype),
    )


@kernel
def _fill_latents(program, blocks, b, cations, total, anion, stoichiometry):
    """Fill the latent vectors of one candidate: of its cations together, its anion and its stoichiometry, each (D + F,)."""
    x, s = blocks.anion_set[b], blocks.stoichiometry[b]
    for e in range(total.size):
        total[e] = 0
        anion[e] = program.anion_row[x, blocks.anion_coefficients[b, 0] - 1, e]
        stoichiometry[e] = program.stoichiometry_row[s, e]
    for slot in range(cations.size):
        own = program.row[x, cations[slot], blocks.coefficient[b, slot] - 1]
        for e in range(total.size):
            total[e] += own[e]


@kernel
def _fill_inputs(total, anion, stoichiometry, concatenated, multiplied):
    """Fill what the network sees of one candidate, (3, D) and (3, F)."""
    d = concatenated.shape[1]
    for e in range(d):
        concatenated[0, e], concatenated[1, e], concatenated[2, e] = total[e], anion[e], stoichiometry[e]
    for f in range(multiplied.shape[1]):
        r, a, s = total[d + f], anion[d + f], stoichiometry[d + f]
        multiplied[0, f] = r * r / 2
        multiplied[1, f] = a * r
        multiplied[2, f] = s * (r + a)


@kernel
def add_product(inputs, weights, out):
    """Add ``inputs`` (K,) times ``weights`` (K, H) to ``out`` (H,)."""
    for k in range(inputs.size):
        for h in range(out.size):
            out[h] += inputs[k] * weights[k, h]


@kernel
def fill_scores(program, blocks, candidate_blocks, cations, out):
    """Fill ``out[c]`` with the score of each candidate, term by term in one fixed order; cations (n, n_slots)."""
    _, n_concatenated, n_hidden = program.concatenated.shape
    latents = np.empty((3, program.row.shape[3]), program.row.dtype)
    concatenated = np.empty((3, n_concatenated), program.row.dtype)
    multiplied = np.empty((3, program.multiplied.shape[1]), program.row.dtype)
    units, before = np.empty(n_hidden, program.row.dtype), np.empty(n_hidden, program.row.dtype)
    for c in range(cations.shape[0]):
        _fill_latents(program, blocks, candidate_blocks[c], cations[c], latents[0], latents[1], latents[2])
        _fill_inputs(latents[0], latents[1], latents[2], concatenated, multiplied)
        units[:] = program.first_bias
        for part in range(3):
            add_product(concatenated[part], program.concatenated[part], units)
            add_product(multiplied[part], program.multiplied[part], units)
        for layer in range(program.hidden.shape[0]):
            for h in range(n_hidden):
                before[h] = max(units[h], 0)
            units[:] = program.hidden_bias[layer]
            add_product(before, program.hidden[layer], units)
        score = program.bias[0]
        for h in range(n_hidden):
            score += max(units[h], 0) * program.last[h]
        out[c] = score


@kernel
def rectify(units, bias):
    """Add ``bias`` (H,) to each row of ``units`` (n, H) and cut it at zero."""
    for c in range(units.shape[0]):
        for h in range(units.shape[1]):
            total = units[c, h] + bias[h]
            units[c, h] = total if total > 0 else 0  # noqa: FURB136  (max() of numba treats NaN another way, which takes longer)


@kernel
def _forward(program, blocks, batch, first, n, work):
    """Fill latents, inputs and active units of ``n`` candidates of a batch from ``first`` on."""
    for c in range(n):
        total, anion, stoichiometry = work.latents[0, c], work.latents[1, c], work.latents[2, c]
        _fill_latents(program, blocks, batch.blocks[first + c], batch.cations[first + c], total, anion, stoichiometry)
        _fill_inputs(total, anion, stoichiometry, work.concatenated[c], work.multiplied[c])
    units, spare = work.active[0, :n], work.spare[:n]
    np.dot(_rows(work.concatenated, n), _weights(program.concatenated), units)
    np.dot(_rows(work.multiplied, n), _weights(program.multiplied), spare)
    for c in range(n):
        for h in range(units.shape[1]):
            units[c, h] += spare[c, h]
    rectify(units, program.first_bias)
    for layer in range(program.hidden.shape[0]):
        np.dot(work.active[layer, :n], program.hidden[layer], work.active[layer + 1, :n])
        rectify(work.active[layer + 1, :n], program.hidden_bias[layer])


@kernel
def _rows(inputs, n):
    """Return the first ``n`` of inputs (N, 3, K) as a matrix (n, 3 K)."""
    return inputs[:n].reshape((n, inputs.shape[1] * inputs.shape[2]))


@kernel
def _weights(weights):
    """Return weights (3, K, H) as a matrix (3 K, H)."""
    return weights.reshape((weights.shape[0] * weights.shape[1], weights.shape[2]))


@kernel
def _loss_and_slope(score, rate_weight, known_weight):
    """Return the loss of one candidate and its derivative by the score."""
    rate = np.exp(min(score, 30.0))
    loss, slope = rate_weight * rate, rate_weight * rate
    if known_weight > 0:
        is_small = rate < 1e-6
        loss -= known_weight * (score if is_small else rate + np.log(-np.expm1(-rate)))
        slope -= known_weight * (1.0 if is_small else rate / -np.expm1(-rate))
    return loss, slope


@kernel
def _score(program, units):
    score = np.float64(program.bias[0])
    for h in range(units.size):
        score += units[h] * program.last[h]
    return score


@kernel
def _add_matrix(inputs, flow, out):
    """Add ``inputs`` (n, K) transposed times ``flow`` (n, H) to ``out`` (K, H)."""
    out += np.dot(inputs.T, flow)


@kernel
def _stop_at_zero(flow, units):
    """Let nothing flow through units that are cut at zero, both (n, H)."""
    for c in range(flow.shape[0]):
        for h in range(flow.shape[1]):
            if units[c, h] <= 0:
                flow[c, h] = 0


@kernel
def _backward(program, n, work, gradient):
    """Add the gradient of the hidden layers; ``flow`` is by the last active units and becomes that by the first layer's sums."""
    flow, spare = work.flow[:n], work.spare[:n]
    for layer in range(program.hidden.shape[0] - 1, -1, -1):
        _stop_at_zero(flow, work.active[layer + 1, :n])
        _add_matrix(work.active[layer, :n], flow, gradient.hidden[layer])
        for c in range(n):
            gradient.hidden_bias[layer] += flow[c]
        np.dot(flow, program.hidden[layer].T, spare)
        flow[:] = spare
    _stop_at_zero(flow, work.active[0, :n])
    _add_matrix(_rows(work.concatenated, n), flow, _weights(gradient.concatenated))
    _add_matrix(_rows(work.multiplied, n), flow, _weights(gradient.multiplied))
    first_bias = gradient.first_bias
    for c in range(n):
        first_bias += flow[c]


@kernel
def _add_latent_flows(program, blocks, batch, first, n, work, gradient):
    """Add the gradient of the latent vectors; the inputs of the network are overwritten by the gradient by them."""
    np.dot(work.flow[:n], _weights(program.concatenated).T, _rows(work.concatenated, n))
    np.dot(work.flow[:n], _weights(program.multiplied).T, _rows(work.multiplied, n))
    d = program.concatenated.shape[1]
    for c in range(n):
        total, anion, stoichiometry = work.latents[0, c], work.latents[1, c], work.latents[2, c]
        by_vector, by_product = work.concatenated[c], work.multiplied[c]
        for f in range(program.multiplied.shape[1]):
            r, a, s = total[d + f], anion[d + f], stoichiometry[d + f]
            total[d + f] = r * by_product[0, f] + a * by_product[1, f] + s * by_product[2, f]
            anion[d + f] = r * by_product[1, f] + s * by_product[2, f]
            stoichiometry[d + f] = (r + a) * by_product[2, f]
        total[:d], anion[:d], stoichiometry[:d] = by_vector[0], by_vector[1], by_vector[2]
        b = batch.blocks[first + c]
        x = blocks.anion_set[b]
        gradient.anion_row[x, blocks.anion_coefficients[b, 0] - 1] += anion
        gradient.stoichiometry_row[blocks.stoichiometry[b]] += stoichiometry
        for slot in range(batch.cations.shape[1]):
            gradient.row[x, batch.cations[first + c, slot], blocks.coefficient[b, slot] - 1] += total


@kernel
def batch_loss(program, blocks, batch, work):
    """Return the loss of a batch."""
    loss, size = 0.0, work.flow.shape[0]
    for first in range(0, batch.blocks.size, size):
        n = min(size, batch.blocks.size - first)
        _forward(program, blocks, batch, first, n, work)
        for c in range(n):
            score = _score(program, work.active[program.hidden.shape[0], c])
            loss += _loss_and_slope(score, batch.rate_weight[first + c], batch.known_weight[first + c])[0]
    return loss


@kernel
def add_batch_gradient(program, blocks, batch, work, gradient):
    """Add the gradient of a batch's loss to ``gradient``, a program-shaped record; return that loss."""
    loss, size = 0.0, work.flow.shape[0]
    for first in range(0, batch.blocks.size, size):
        n = min(size, batch.blocks.size - first)
        _forward(program, blocks, batch, first, n, work)
        for c in range(n):
            units = work.active[program.hidden.shape[0], c]
            own, slope = _loss_and_slope(_score(program, units), batch.rate_weight[first + c], batch.known_weight[first + c])
            loss += own
            gradient.bias[0] += slope
            for h in range(units.size):
                gradient.last[h] += slope * units[h]
                work.flow[c, h] = slope * program.last[h]
        _backward(program, n, work, gradient)
        _add_latent_flows(program, blocks, batch, first, n, work, gradient)
    return loss
