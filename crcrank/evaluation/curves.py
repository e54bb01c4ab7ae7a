"""Discovery curves: hits as a function of how far down a ranking one reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from collections.abc import Set as AbstractSet

import numpy as np
import numpy.typing as npt

from crcrank.errors import InputDataError


def discovery_curve(ranked_formulas: Sequence[str], holdout: AbstractSet[str]) -> npt.NDArray[np.int64]:
    """Count the holdout formulas among the first k recommendations, for every k.

    Parameters
    ----------
    ranked_formulas
        Recommended formulas, best first, each listed once.
    holdout
        Formulas that count as hits.

    Returns
    -------
    Hits among the first k = 1, 2, ... recommendations; int64 of shape (n_ranked,), never decreasing.

    Raises
    ------
    InputDataError
        If a formula is listed twice: it would count as two hits.

    Examples
    --------
    >>> discovery_curve(["BaO3Ti", "NaCl", "O3PbTi"], {"BaO3Ti", "O3PbTi"})
    array([1, 1, 2])
    """
    if len(set(ranked_formulas)) < len(ranked_formulas):
        formula, n_times = Counter(ranked_formulas).most_common(1)[0]
        raise InputDataError(f"the ranking lists {formula} {n_times} times; each formula may appear once")
    is_hit = np.fromiter((formula in holdout for formula in ranked_formulas), dtype=bool, count=len(ranked_formulas))
    return np.cumsum(is_hit, dtype=np.int64)
