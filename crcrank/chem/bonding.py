"""Why a composition has no neutral assignment of the space's kind: what chemistry it is instead, said in a few words.

A reason may end in details after a colon (``two anions: O2- Cl1-``); what stands before it names the kind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from crcrank.chem.charges import Assignment, ChargeBalancer
from crcrank.chem.formula import ELECTRONEGATIVITY_ORDER, METALS
from crcrank.chem.ions import Ion, IonTable

_HYDROGEN = {Ion("H", 1): 34_232, Ion("H", -1): 3_442}
"""Hydrogen's ions with their structures in the ICSD, as SMACT counts them (see configs/README.md)."""

PEROXIDE = "peroxide, superoxide or ozonide (O-O bonds)"
CYANIDE = "cyanide, cyanate or thiocyanate (C-N bonds)"
AZIDE = "azide (N3-)"
AMMONIUM = "ammonium (NH4+)"
AMMONIA = "ammonia, amide or imide (N-H bonds)"
HYDRIDE = "hydride (H1-)"
HYDROXIDE = "hydroxide, hydrate or acid (H1+)"
METAL_RICH = "too many positive charges (metal-metal bonds)"
NOT_NEUTRAL = "no neutral assignment of the tabled oxidation states"

_RANK = {symbol: rank for rank, symbol in enumerate(ELECTRONEGATIVITY_ORDER)}
_BONDS = {
    "O": "too few positive charges (O-O bonds, or hydrogen left out)",
    **{symbol: f"polyhalide: {symbol}-{symbol} bonds" for symbol in ("Cl", "Br", "I")},
    **{symbol: f"polyanion: {symbol}-{symbol} bonds" for symbol in ("N", "P", "As", "Sb", "S", "Se", "Te")},
}
_SMALL_ANIONS = {("O", 1): PEROXIDE, ("O", 2): PEROXIDE, ("O", 3): PEROXIDE, ("N", 3): AZIDE}
"""Anions of several atoms with one or two charges, by their element and its atoms per charge."""

_NUMBERS = {2: "two", 3: "three"}


class Recogniser:
    """Recognises what a composition is that the space does not hold.

    Parameters
    ----------
    table
        The ions of the space.
    """

    def __init__(self, table: IonTable) -> None:
        self.balancer = ChargeBalancer(table)
        cations, anions = (
            tuple(ions) + tuple(ion for ion in _HYDROGEN if ion.oxidation_state * sign > 0 and ion not in ions)
            for ions, sign in ((table.cations, 1), (table.anions, -1))
        )
        self._with_hydrogen = ChargeBalancer(IonTable(cations, anions, {**_HYDROGEN, **table.icsd_counts}))

    def hydrogen(self, elements: Sequence[str], amounts: Sequence[int]) -> str | None:
        """Return what kind of hydrogen compound a composition is, None if hydrogen's ions make it neither neutral nor a metal's hydride."""
        best = next(iter(self._with_hydrogen.plain(elements, amounts)), None)
        amount_by_ion = dict(best.ions) if best else {}
        if Ion("H", -1) in amount_by_ion or (best is None and METALS.issuperset(set(elements) - {"H"})):
            return HYDRIDE
        if Ion("H", 1) not in amount_by_ion:
            return None
        if Ion("N", -3) in amount_by_ion:
            return AMMONIUM if amount_by_ion[Ion("H", 1)] >= 4 * amount_by_ion[Ion("N", -3)] else AMMONIA
        return HYDROXIDE

    def reason(self, elements: Sequence[str], amounts: Sequence[int]) -> str:
        """Return why tabled elements, anions among them, have no neutral assignment of one anion and cations in one state each."""
        amount_by_element = dict(zip(elements, amounts, strict=True))
        if has_cyanide(amount_by_element):
            return CYANIDE
        for find in (self.balancer.plain, self.balancer.mixed):
            kinds = filter(None, map(kind_of, find(elements, amounts)))
            if kind := next(kinds, None):
                return kind
        return self._bonds(amount_by_element)

    def _bonds(self, amount_by_element: Mapping[str, int]) -> str:
        """Return which bonds the charges call for, seen from the most electronegative element."""
        states = self.balancer.states
        anion = max((e for e in amount_by_element if any(i.oxidation_state < 0 for i in states[e])), key=_RANK.__getitem__)
        charge = -min(ion.oxidation_state for ion in states[anion]) * amount_by_element[anion]
        low, high = self.balancer.charge_range(tuple(amount_by_element), tuple(amount_by_element.values()), anion)
        if low > charge:
            return METAL_RICH
        if high < charge:
            usual = self.balancer.usual_charge(tuple(amount_by_element), tuple(amount_by_element.values()), anion)
            small = (kind for (symbol, n), kind in _SMALL_ANIONS.items() if symbol == anion and n * usual == amount_by_element[anion])
            return next(small, _BONDS.get(anion, NOT_NEUTRAL))
        return NOT_NEUTRAL


def has_cyanide(amount_by_element: Mapping[str, int]) -> bool:
    """Return whether each carbon has a nitrogen, as in cyanides, cyanates and thiocyanates."""
    return "C" in amount_by_element and amount_by_element.get("N") == amount_by_element["C"]


def kind_of(assignment: Assignment) -> str | None:
    """Return what sets an assignment apart from one anion and cations in one state each, None if nothing does."""
    anions = " ".join(ion.label for ion, _ in assignment.ions if ion.oxidation_state < 0)
    mixed = " ".join(ion.label for ion in assignment.mixed)
    several = f"{_NUMBERS.get(assignment.n_anions, 'four or more')} anions"
    if assignment.n_anions == 1:
        return f"mixed valence: {mixed}" if mixed else None
    return f"{several}, mixed valence: {anions}, {mixed}" if mixed else f"{several}: {anions}"
