"""Vectors of many numbers laid out in a plane."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class Projection(NamedTuple):
    """Points in the plane, and how much of the vectors' variance it shows.

    Attributes
    ----------
    points
        float64 (n, 2).
    shares
        Share of the weighted variance along each axis, in 0..1, descending, float64 (2,).
    """

    points: npt.NDArray[np.float64]
    shares: npt.NDArray[np.float64]


def project(vectors: npt.NDArray[np.float64], weights: npt.NDArray[np.float64]) -> Projection:
    """Return the first two principal components of weighted vectors.

    Parameters
    ----------
    vectors
        float64 (n, n_numbers); the heavier a vector, the more it says about where the axes lie.
    weights
        Not negative, not all zero, float64 (n,).
    """
    parts = weights / weights.sum()
    centred = vectors - parts @ vectors
    _, singular, axes = np.linalg.svd(np.sqrt(parts)[:, None] * centred, full_matrices=False)
    points, shares = np.zeros((len(vectors), 2)), np.zeros(2)
    n_axes = min(2, len(axes))
    points[:, :n_axes] = centred @ axes[:n_axes].T
    variance = singular**2
    shares[:n_axes] = variance[:n_axes] / max(variance.sum(), np.finfo(np.float64).tiny)
    # The sign of an axis is arbitrary: its longest point lies to the right, or on top.
    longest = np.abs(points).argmax(axis=0) if len(points) else np.zeros(2, np.int64)
    signs = np.where(points[longest, [0, 1]] < 0, -1.0, 1.0)
    return Projection(points * signs, shares)
