"""Slow and obvious twins of the tensor and matrix recommenders. Imports nothing from crcrank."""

import itertools

import numpy as np


def multilinear_score(core, ratio, vectors):
    """Sum over all choices of one factor per cation and one of the ratio; core (P, ..., P, R), ratio (R,), a vector (P,) per cation."""
    score = 0.0
    for factors in itertools.product(*(range(len(vector)) for vector in vectors), range(len(ratio))):
        term = core[factors] * ratio[factors[-1]]
        for vector, p in zip(vectors, factors[:-1], strict=True):
            term *= vector[p]
        score += float(term)
    return score


def diagonal_score(anion, ratio, vectors):
    return sum(float(np.prod([anion[f], ratio[f], *(vector[f] for vector in vectors)])) for f in range(len(anion)))


def cells(candidate, matrix, order):
    """Return the (row, column) labels of a candidate's cells; ``order`` lists the cations, each (element, oxidation state)."""
    cations = [(element, state, n) for element, state, n in candidate if state > 0]
    (anion,) = [one for one in candidate if one[1] < 0]
    if matrix == "ion_rest":
        return [((element, state), (candidate - {(element, state, n)}, n)) for element, state, n in cations]
    if matrix == "pair_rest":
        amounts = [n for element, state, n in sorted(cations, key=lambda one: order.index(one[:2]))]
        return [(frozenset(one[:2] for one in cations), (anion, *amounts))]
    return [(frozenset(one[0] for one in candidate), tuple(sorted((state, n) for _, state, n in candidate)))]


def matrix_scores(candidates, known, matrix, order):
    """Score candidates by the matrix of known ones itself: the mean over a candidate's cells of what the matrix holds."""
    ones = {cell for candidate in known for cell in cells(candidate, matrix, order)}
    for candidate in candidates:
        own = cells(candidate, matrix, order)
        yield sum(cell in ones for cell in own) / len(own)


def dense_tensor(known, sizes):
    """Return the tensor of known compositions, each (cations, anion, ratio as a tuple), in every order of the cations.

    ``sizes`` are the numbers of cations and anions; returns the tensor and the ratios in the order of its last mode.
    """
    entries = [
        ([cations[i] for i in order], anion, (*(coefficients[i] for i in order), n_anions))
        for cations, anion, coefficients, n_anions in known
        for order in itertools.permutations(range(len(cations)))
    ]
    ratios = sorted({ratio for _, _, ratio in entries})
    tensor = np.zeros((*[sizes[0]] * len(known[0][0]), sizes[1], len(ratios)))
    for cations, anion, ratio in entries:
        tensor[(*cations, anion, ratios.index(ratio))] = 1
    return tensor, ratios
