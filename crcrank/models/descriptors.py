"""Compositional descriptors: means, standard deviations and covariances of elemental properties over the atoms of a composition.

Seko, Hayashi, Tanaka, J. Chem. Phys. 148, 241719 (2018), doi:10.1063/1.5016210, section II: 22 properties make 275 descriptors.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np

_CHUNK = 1 << 14


def n_descriptors(n_properties: int) -> int:
    """Return how many descriptors there are: a mean and a standard deviation of each property, and a covariance of each two."""
    return n_properties * (n_properties + 3) // 2


def descriptor_names(properties: Sequence[str]) -> list[str]:
    """Return what each of :func:`descriptors` is, given the names of the properties."""
    pairs = [f"covariance of {a} and {b}" for a, b in combinations(properties, 2)]
    return [*(f"mean of {name}" for name in properties), *(f"deviation of {name}" for name in properties), *pairs]


def descriptors(properties: np.ndarray, elements: np.ndarray, amounts: np.ndarray) -> np.ndarray:
    """Return the descriptors of compositions.

    Parameters
    ----------
    properties
        float64 (n_elements, p).
    elements, amounts
        Rows of ``properties`` and numbers of atoms of each composition, int64 (n, n_parts).

    Returns
    -------
    np.ndarray
        Means, standard deviations, then covariances of the pairs (0, 1), (0, 2), ..., (p - 2, p - 1), float32 (n, p (p + 3) / 2).
    """
    found = np.empty((len(elements), n_descriptors(properties.shape[1])), np.float32)
    for rows in _chunks(len(elements)):
        found[rows] = _descriptors(properties[elements[rows]], amounts[rows] / amounts[rows].sum(axis=1, keepdims=True))
    return found


def _chunks(n: int) -> Iterator[slice]:
    return (slice(first, first + _CHUNK) for first in range(0, n, _CHUNK))


def _descriptors(values: np.ndarray, fractions: np.ndarray) -> np.ndarray:
    """Return the descriptors of compositions of the given atomic fractions (n, n_parts) and properties (n, n_parts, p)."""
    means = np.einsum("ns,nsp->np", fractions, values)
    centred = (values - means[:, None]) * np.sqrt(fractions)[:, :, None]
    covariances = np.matmul(centred.transpose(0, 2, 1), centred)
    p, q = np.triu_indices(values.shape[2], 1)
    deviations = np.sqrt(np.diagonal(covariances, axis1=1, axis2=2))
    return np.hstack([means, deviations, covariances[:, p, q]])
