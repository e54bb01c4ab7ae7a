"""Ranges of numbers written out, one after the other."""

from __future__ import annotations

import numpy as np


def written_out(first: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers ``first[i]``, ``first[i] + 1``, ..., ``n[i]`` of them, of each ``i`` in turn, as (i, number), int64 (n.sum(),).

    Examples
    --------
    >>> written_out(np.array([5, 2, 8]), np.array([2, 0, 3]))
    (array([0, 0, 2, 2, 2]), array([ 5,  6,  8,  9, 10]))
    """
    of = np.repeat(np.arange(len(n)), n)
    return of, np.arange(len(of)) + (first - np.cumsum(n) + n)[of]
