"""All stoichiometries of a class: charges and integer coefficients, without the elements."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Stoichiometries:
    """Gcd-reduced choices of (charge, coefficient) for each cation slot and the anion, neutral unless the class says otherwise.

    Slots are in ascending order of (charge group, coefficient); equal neighbours form a run.

    Attributes
    ----------
    groups, coefficients
        Charge group and coefficient of each slot, int64 (n, n_cations).
    anion_charge, anion_coefficient
        Magnitude of the anion's charge and its coefficient, int64 (n,).
    keys
        A number that identifies each stoichiometry within its class, ascending, int64 (n,).
    """

    groups: np.ndarray
    coefficients: np.ndarray
    anion_charge: np.ndarray
    anion_coefficient: np.ndarray
    keys: np.ndarray

    @property
    def runs(self) -> np.ndarray:
        """Whether each slot equals the one before it in charge and coefficient, bool (n, n_cations)."""
        runs = np.zeros(self.groups.shape, bool)
        runs[:, 1:] = (self.groups[:, 1:] == self.groups[:, :-1]) & (self.coefficients[:, 1:] == self.coefficients[:, :-1])
        return runs

    @property
    def n_atoms(self) -> np.ndarray:
        """Atoms in the formula unit, int64 (n,)."""
        return np.asarray(self.coefficients.sum(axis=1) + self.anion_coefficient)


def stoichiometry_keys(
    groups: np.ndarray, coefficients: np.ndarray, anion_charge: np.ndarray, anion_coefficient: np.ndarray, max_coefficient: int
) -> np.ndarray:
    """Return the identifying number of stoichiometries whose slots are in canonical order."""
    keys = np.zeros(len(groups), np.int64)
    for slot in range(groups.shape[1]):
        keys = keys * _n_types(max_coefficient) + groups[:, slot] * max_coefficient + coefficients[:, slot] - 1
    return np.asarray((keys * 16 + anion_charge) * (max_coefficient + 1) + anion_coefficient)


def enumerate_stoichiometries(
    charges: np.ndarray, anion_charges: np.ndarray, n_cations: int, max_coefficient: int, *, neutral: bool = True
) -> Stoichiometries:
    """Enumerate the stoichiometries of a class.

    Parameters
    ----------
    charges
        Charge of each charge group, positive, int64 (n_groups,).
    anion_charges
        Distinct magnitudes of the anions' charges.
    n_cations, max_coefficient
        The class.
    neutral
        Whether the charges must add up to zero; otherwise the anion has every coefficient.
    """
    n_types = len(charges) * max_coefficient
    type_charge = np.repeat(charges, max_coefficient) * np.tile(np.arange(1, max_coefficient + 1), len(charges))
    limit = int(anion_charges.max()) * max_coefficient if neutral else n_cations * int(type_charge.max())
    slots = np.arange(n_types)[type_charge <= limit][:, None]
    for _ in range(n_cations - 1):
        slots = _extended(slots, type_charge, limit)
    balanced = _balanced if neutral else _unbalanced
    parts = [balanced(slots, type_charge, int(charge), max_coefficient) for charge in np.unique(anion_charges)]
    types = np.concatenate([part[0] for part in parts])
    anion_charge = np.concatenate([part[1] for part in parts])
    anion_coefficient = np.concatenate([part[2] for part in parts])
    groups, coefficients = types // max_coefficient, types % max_coefficient + 1
    keys = stoichiometry_keys(groups, coefficients, anion_charge, anion_coefficient, max_coefficient)
    order = np.argsort(keys)
    return Stoichiometries(groups[order], coefficients[order], anion_charge[order], anion_coefficient[order], keys[order])


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


def _balanced(slots: np.ndarray, type_charge: np.ndarray, anion_charge: int, max_coefficient: int) -> tuple[np.ndarray, ...]:
    """Keep the rows that an anion of this charge balances with an allowed coefficient and without a common divisor."""
    totals = type_charge[slots].sum(axis=1)
    anion_coefficient = totals // anion_charge
    coefficients = slots % max_coefficient + 1
    divisor = np.gcd(np.gcd.reduce(coefficients, axis=1), anion_coefficient)
    fits = (totals % anion_charge == 0) & (anion_coefficient <= max_coefficient) & (divisor == 1)
    return slots[fits], np.full(int(fits.sum()), anion_charge), anion_coefficient[fits]


def _unbalanced(slots: np.ndarray, type_charge: np.ndarray, anion_charge: int, max_coefficient: int) -> tuple[np.ndarray, ...]:  # noqa: ARG001
    """Give each row every coefficient of the anion that leaves no common divisor."""
    anion_coefficient = np.tile(np.arange(1, max_coefficient + 1), len(slots))
    slots = np.repeat(slots, max_coefficient, axis=0)
    fits = np.gcd(np.gcd.reduce(slots % max_coefficient + 1, axis=1), anion_coefficient) == 1
    return slots[fits], np.full(int(fits.sum()), anion_charge), anion_coefficient[fits]
