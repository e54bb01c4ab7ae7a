"""All stoichiometries of a class: charges and integer coefficients, without the elements."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from itertools import combinations_with_replacement, product
from math import gcd

import numpy as np


@dataclass(frozen=True)
class Stoichiometries:
    """Gcd-reduced choices of (charge, coefficient) for each cation slot and the anions, neutral unless the class says otherwise.

    Slots are in ascending order of (charge group, coefficient), anions in that of (charge, coefficient); equal neighbours form a run.

    Attributes
    ----------
    groups, coefficients
        Charge group and coefficient of each slot, int64 (n, n_cations).
    anion_charges, anion_coefficients
        Magnitude of each anion's charge and its coefficient, int64 (n, n_anions).
    keys
        A number that identifies each stoichiometry within its class, ascending, int64 (n,).
    """

    groups: np.ndarray
    coefficients: np.ndarray
    anion_charges: np.ndarray
    anion_coefficients: np.ndarray
    keys: np.ndarray

    @property
    def runs(self) -> np.ndarray:
        """Whether each slot equals the one before it in charge and coefficient, bool (n, n_cations)."""
        return _runs(self.groups, self.coefficients)

    @property
    def anion_runs(self) -> np.ndarray:
        """Whether each anion equals the one before it in charge and coefficient, bool (n, n_anions)."""
        return _runs(self.anion_charges, self.anion_coefficients)

    @property
    def n_atoms(self) -> np.ndarray:
        """Atoms in the formula unit, int64 (n,)."""
        return np.asarray(self.coefficients.sum(axis=1) + self.anion_coefficients.sum(axis=1))


def _runs(kinds: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    runs = np.zeros(kinds.shape, bool)
    runs[:, 1:] = (kinds[:, 1:] == kinds[:, :-1]) & (coefficients[:, 1:] == coefficients[:, :-1])
    return runs


def stoichiometry_keys(
    groups: np.ndarray, coefficients: np.ndarray, anion_charges: np.ndarray, anion_coefficients: np.ndarray, max_coefficient: int
) -> np.ndarray:
    """Return the identifying number of stoichiometries whose slots and anions are in canonical order."""
    keys = np.zeros(len(groups), np.int64)
    for slot in range(groups.shape[1]):
        keys = keys * _n_types(max_coefficient) + groups[:, slot] * max_coefficient + coefficients[:, slot] - 1
    for charge, coefficient in zip(anion_charges.T, anion_coefficients.T, strict=True):
        keys = (keys * 16 + charge) * (max_coefficient + 1) + coefficient
    return keys


def enumerate_stoichiometries(
    charges: np.ndarray, anion_charges: np.ndarray, n_cations: int, max_coefficient: int, n_anions: int = 1, *, neutral: bool = True
) -> Stoichiometries:
    """Enumerate the stoichiometries of a class.

    Parameters
    ----------
    charges
        Charge of each charge group, positive, int64 (n_groups,).
    anion_charges
        Distinct magnitudes of the anions' charges.
    n_cations, max_coefficient, n_anions
        The class.
    neutral
        Whether the charges must add up to zero; otherwise the anions have every coefficient.
    """
    n_types = len(charges) * max_coefficient
    type_charge = np.repeat(charges, max_coefficient) * np.tile(np.arange(1, max_coefficient + 1), len(charges))
    limit = n_anions * int(anion_charges.max()) * max_coefficient if neutral else n_cations * int(type_charge.max())
    slots = np.arange(n_types)[type_charge <= limit][:, None]
    for _ in range(n_cations - 1):
        slots = _extended(slots, type_charge, limit)
    balanced = _balanced if neutral else _unbalanced
    anion_types = list(product(np.unique(anion_charges).tolist(), range(1, max_coefficient + 1)))
    parts = [
        balanced(slots, type_charge, first, charge, max_coefficient)
        for first in combinations_with_replacement(anion_types, n_anions - 1)
        for charge in np.unique(anion_charges).tolist()
    ]
    types, anion_charges, anion_coefficients = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    groups, coefficients = types // max_coefficient, types % max_coefficient + 1
    keys = stoichiometry_keys(groups, coefficients, anion_charges, anion_coefficients, max_coefficient)
    order = np.argsort(keys)
    return Stoichiometries(groups[order], coefficients[order], anion_charges[order], anion_coefficients[order], keys[order])


def _n_types(max_coefficient: int) -> int:
    return 16 * max_coefficient


def _extended(slots: np.ndarray, type_charge: np.ndarray, limit: int) -> np.ndarray:
    """Append a slot of equal or larger type to each row, as far as the total charge stays within ``limit``."""
    totals = type_charge[slots].sum(axis=1)
    rows, types = [], []
    for new in range(len(type_charge)):
        fits = np.flatnonzero((slots[:, -1] <= new) & (totals + type_charge[new] <= limit))
        rows.append(fits)
        types.append(np.full(len(fits), new))
    return np.column_stack([slots[np.concatenate(rows)], np.concatenate(types)])


AnionTypes = tuple[tuple[int, int], ...]
"""Charge and coefficient of each anion but the last."""


def _balanced(slots: np.ndarray, type_charge: np.ndarray, first: AnionTypes, charge: int, max_coefficient: int) -> tuple[np.ndarray, ...]:
    """Keep the rows that a last anion of this charge balances with an allowed coefficient and without a common divisor."""
    left = type_charge[slots].sum(axis=1) - sum(state * n for state, n in first)
    last = left // charge
    fits = (left % charge == 0) & (last > 0) & (last <= max_coefficient)
    return _with_anions(slots[fits], first, charge, last[fits], max_coefficient)


def _unbalanced(slots: np.ndarray, type_charge: np.ndarray, first: AnionTypes, charge: int, max_coefficient: int) -> tuple[np.ndarray, ...]:  # noqa: ARG001
    """Give each row every coefficient of the last anion that leaves no common divisor."""
    last = np.tile(np.arange(1, max_coefficient + 1), len(slots))
    return _with_anions(np.repeat(slots, max_coefficient, axis=0), first, charge, last, max_coefficient)


def _with_anions(slots: np.ndarray, first: AnionTypes, charge: int, last: np.ndarray, max_coefficient: int) -> tuple[np.ndarray, ...]:
    """Return slots, charges and coefficients of the anions, where these ascend and nothing divides all coefficients."""
    divisor = reduce(np.gcd, slots.T % max_coefficient + 1, np.gcd(last, gcd(*(n for _, n in first))))
    kept = np.flatnonzero((divisor == 1) & _ascend(first, charge, last))
    charges = np.tile(np.array([*(state for state, _ in first), charge]), (len(kept), 1))
    coefficients = np.tile(np.array([*(n for _, n in first), 0]), (len(kept), 1))
    coefficients[:, -1] = last[kept]
    return slots[kept], charges, coefficients


def _ascend(first: AnionTypes, charge: int, last: np.ndarray) -> np.ndarray:
    """Return whether each last anion is of no smaller type than the one before it, bool (n,)."""
    if not first or charge > first[-1][0]:
        return np.ones(len(last), bool)
    return np.asarray((charge == first[-1][0]) & (last >= first[-1][1]))
