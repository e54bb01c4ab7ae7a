"""How many formulas of a kind a list may hold: look-alikes that differ in the lanthanide, and formulas of one chemical system."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crcrank.space.space import Candidates, Space

LANTHANIDES = frozenset(["La", "Ce", "Pr", "Nd", "Pm", "Sm", "Eu", "Gd", "Tb", "Dy", "Ho", "Er", "Tm", "Yb", "Lu", "Y"])
"""Elements that readily take each other's place: the lanthanides, and yttrium, whose ion is as large as that of holmium."""

_LANTHANIDE = "Ln"


@dataclass(frozen=True)
class Limits:
    """How many formulas of a kind a list may hold.

    Attributes
    ----------
    one_per_family
        Of formulas that differ in their lanthanides alone, only the best; systems that differ so then count as one, too.
    max_per_system
        Formulas of one chemical system, 0 for any number.
    """

    one_per_family: bool = False
    max_per_system: int = 0

    def kept(self, space: Space, name: str, candidates: Candidates) -> np.ndarray:
        """Return which candidates of class ``name``, best first and each of another formula, stay in a list, int64 (n,)."""
        rows = np.arange(len(candidates))
        if not (self.one_per_family or self.max_per_system):
            return rows
        labels, amounts = self._labels(space, name, candidates)
        if self.one_per_family:
            rows = rows[_among_first(_codes(labels, amounts), 1)]
        if self.max_per_system:
            rows = rows[_among_first(_codes(labels, np.minimum(amounts, 1))[rows], self.max_per_system)]
        return rows

    def _labels(self, space: Space, name: str, candidates: Candidates) -> tuple[np.ndarray, np.ndarray]:
        """Return a number for each element and its amount; all lanthanides have the same number where they are look-alikes."""
        elements, amounts = space.composition_arrays(name, candidates)
        labels = np.arange(len(space.ions.elements))
        if self.one_per_family:
            alike = [i for i, symbol in enumerate(space.ions.elements) if symbol in LANTHANIDES]
            labels[alike] = min(alike, default=0)
        return labels[elements], amounts


NO_LIMITS: Limits = Limits()


def _codes(labels: np.ndarray, amounts: np.ndarray) -> np.ndarray:
    """Return a number for each row of labels and amounts that does not depend on their order, int64 (n,)."""
    digits = np.sort(np.where(amounts > 0, labels * (int(amounts.max(initial=0)) + 1) + amounts, -1), axis=1)
    return np.unique(digits, axis=0, return_inverse=True)[1].ravel()


def _among_first(codes: np.ndarray, n: int) -> np.ndarray:
    """Return whether fewer than ``n`` rows before it have the code of a row, bool (n_rows,)."""
    order = np.argsort(codes, kind="stable")
    _, first, counts = np.unique(codes[order], return_index=True, return_counts=True)
    places = np.empty(len(codes), np.int64)
    places[order] = np.arange(len(codes)) - np.repeat(first, counts)
    return places < n


def families(symbols: Sequence[str], elements: np.ndarray, amounts: np.ndarray) -> list[str | None]:
    """Return formulas with every lanthanide written ``Ln``, None for those that have none.

    Parameters
    ----------
    symbols
        Those of the elements.
    elements, amounts
        Of each formula, as in :meth:`Space.composition_arrays`, int64 (n, n_ions).

    Examples
    --------
    >>> families(["Ba", "Fe", "Gd", "O", "Y"], np.array([[1, 3, 4], [2, 3, 4], [0, 3, 3]]), np.array([[1, 3, 1], [1, 3, 1], [1, 1, 0]]))
    ['FeLnO3', 'LnLnO3', None]
    """
    is_lanthanide = np.isin(symbols, [*LANTHANIDES])
    names = [_LANTHANIDE if found else symbol for symbol, found in zip(symbols, is_lanthanide, strict=True)]
    alphabet, place = np.unique(names, return_inverse=True)
    rows = np.flatnonzero((is_lanthanide[elements] & (amounts > 0)).any(axis=1))
    base = int(amounts.max(initial=1)) + 1
    digits = np.sort(np.where(amounts > 0, place[elements] * base + amounts, len(alphabet) * base)[rows], axis=1)
    parts = [name + (str(n) if n > 1 else "") for name in alphabet for n in range(base)] + [""]
    found: list[str | None] = [None] * len(elements)
    for row, own in zip(rows.tolist(), np.array(parts, object)[digits].tolist(), strict=True):
        found[row] = "".join(own)
    return found
