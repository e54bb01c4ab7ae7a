"""Compositions of mixed valence: all ways to give their elements several oxidation states each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from math import gcd
from typing import NamedTuple


class SlotIon(NamedTuple):
    """The index of a cation, and its charge."""

    cation: int
    charge: int


class SplitAssignment(NamedTuple):
    """Cations with their coefficients, and the number of formula units that they belong to."""

    cations: tuple[int, ...]
    coefficients: tuple[int, ...]
    units: int


def splits(
    parts: Sequence[tuple[Sequence[SlotIon], int, bool]],
    n_cations: int,
    largest: int,
    anion_amounts: Sequence[int],
    anion_charge: int | None,
) -> Iterator[SplitAssignment]:
    """Yield every choice of ``n_cations`` ions for some elements, without a common divisor, for any number of formula units.

    Parameters
    ----------
    parts
        Ions of each element, its amount, and whether it may be in several states at once.
    n_cations, largest
        Number of ions, and the largest coefficient of any.
    anion_amounts, anion_charge
        Amount of each anion, and the charge of all (a magnitude); None if charges need not balance.
    """
    for units in range(1, largest // max(anion_amounts) + 1):
        charge = None if anion_charge is None else anion_charge * units
        for n_states in _numbers_of_states([may_split for *_, may_split in parts], n_cations):
            order = sorted(range(len(parts)), key=lambda i: n_states[i])  # the last amounts follow from the charge
            chosen = [(parts[i][0], parts[i][1] * units, n_states[i]) for i in order]
            for ions, coefficients in _filled(chosen, largest, charge):
                if gcd(*coefficients, gcd(*anion_amounts) * units) == 1:
                    yield SplitAssignment(tuple(ion.cation for ion in ions), coefficients, units)


def _numbers_of_states(may_split: Sequence[bool], n_cations: int) -> Iterator[tuple[int, ...]]:
    """Yield how many states each element has, ``n_cations`` in all."""
    if not may_split:
        if n_cations == 0:
            yield ()
        return
    for n in range(1, n_cations - len(may_split) + 2 if may_split[0] else 2):
        for rest in _numbers_of_states(may_split[1:], n_cations - n):
            yield (n, *rest)


def _filled(
    chosen: Sequence[tuple[Sequence[SlotIon], int, int]], largest: int, charge: int | None
) -> Iterator[tuple[tuple[SlotIon, ...], tuple[int, ...]]]:
    """Yield ions and coefficients of elements, each given as (ions, amount, number of states), that add up to ``charge``."""
    if not chosen:
        if not charge:
            yield (), ()
        return
    (states, amount, n_states), *rest = chosen
    for ions in combinations(states, n_states):
        for coefficients in _shared_out(amount, [ion.charge for ion in ions], largest, None if rest else charge):
            own = sum(n * ion.charge for n, ion in zip(coefficients, ions, strict=True))
            if charge is None or own <= charge:
                for more, numbers in _filled(rest, largest, None if charge is None else charge - own):
                    yield (*ions, *more), (*coefficients, *numbers)


def _shared_out(amount: int, charges: Sequence[int], largest: int, charge: int | None) -> Iterator[tuple[int, ...]]:
    """Yield the positive coefficients of ions that add up to ``amount`` and, unless it is None, to ``charge``."""
    if len(charges) == 1:
        if amount <= largest and charge in (None, amount * charges[0]):
            yield (amount,)
    elif len(charges) == 2 and charge is not None:
        first, remainder = divmod(charge - amount * charges[1], charges[0] - charges[1])
        if not remainder and 1 <= first < amount and max(first, amount - first) <= largest:
            yield (first, amount - first)
    else:
        for first in range(1, min(amount - len(charges) + 1, largest) + 1):
            left = None if charge is None else charge - first * charges[0]
            for rest in _shared_out(amount - first, charges[1:], largest, left):
                yield (first, *rest)
