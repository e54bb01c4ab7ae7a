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
