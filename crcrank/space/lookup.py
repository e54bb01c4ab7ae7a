"""Numbers looked up among others."""

from __future__ import annotations

import numpy as np


def places_in(ascending: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return where each of some numbers is among ascending ones, all different, -1 where it is not, int64 in the shape of ``wanted``.

    Examples
    --------
    >>> places_in(np.array([2, 5, 9]), np.array([5, 6, 10]))
    array([ 1, -1, -1])
    """
    if not len(ascending):
        return np.full(wanted.shape, -1)
    places = np.minimum(np.searchsorted(ascending, wanted), len(ascending) - 1)
    return np.asarray(np.where(ascending[places] == wanted, places, -1))
