"""Charge assignments: which neutral choices of ions a composition can be, and how likely each is.

Every element is taken in one of its tabled oxidation states, one element at a time also in two (mixed valence). An assignment
is as likely as the product of its ions' shares among the ICSD structures with their element.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import gcd

from crcrank.chem.ions import Ion, IonTable


@dataclass(frozen=True, slots=True)
class Assignment:
    """A neutral choice of ions for a composition.

    Parameters
    ----------
    ions
        Ions with their amounts, cations by charge, then anions; all amounts belong to the same, smallest number of formula units.
    frequency
        Product over the ions of their share (:meth:`IonTable.frequency`).
    """

    ions: tuple[tuple[Ion, int], ...]
    frequency: float

    @property
    def n_anions(self) -> int:
        """Number of anions."""
        return sum(ion.oxidation_state < 0 for ion, _ in self.ions)

    @property
    def mixed(self) -> tuple[Ion, ...]:
        """The ions of the element in two oxidation states, none if there is no such element."""
        elements = [ion.element for ion, _ in self.ions]
        return tuple(ion for ion, _ in self.ions if elements.count(ion.element) > 1)

    @property
    def text(self) -> str:
        """The ions as a person writes them (``Fe2+ 2Fe3+ 4O2-``)."""
        return " ".join(f"{n if n > 1 else ''}{ion.label}" for ion, n in self.ions)


@dataclass(frozen=True, slots=True)
class _Choice:
    """An ion of each element taken so far, their total charge, and the product of their shares."""

    ions: tuple[tuple[Ion, int], ...]
    charge: int
    frequency: float


class ChargeBalancer:
    """Finds charge assignments.

    Parameters
    ----------
    table
        The ions to choose from.
    """

    def __init__(self, table: IonTable) -> None:
        self.states: dict[str, list[Ion]] = {}
        for ion in (*table.cations, *table.anions):
            self.states.setdefault(ion.element, []).append(ion)
        self._frequency = {ion: table.frequency(ion) for ions in self.states.values() for ion in ions}

    def assignments(self, elements: Sequence[str], amounts: Sequence[int]) -> list[Assignment]:
        """Return all assignments of a composition, the likeliest first; none if an element is not in the table.

        Those of equal frequency are in the order of their text.
        """
        return _likeliest_first([*self.plain(elements, amounts), *self.mixed(elements, amounts)])

    def plain(self, elements: Sequence[str], amounts: Sequence[int]) -> list[Assignment]:
        """Return the assignments with one state for each element, the likeliest first."""
        if any(element not in self.states for element in elements):
            return []
        choices = self._choices(list(zip(elements, amounts, strict=True)), 0, 0)
        return _likeliest_first(_assignment(choice.ions, choice.frequency) for choice in choices)

    def mixed(self, elements: Sequence[str], amounts: Sequence[int]) -> list[Assignment]:
        """Return the assignments with one element in two positive states, the likeliest first."""
        if any(element not in self.states for element in elements):
            return []
        return _likeliest_first(self._mixed(list(zip(elements, amounts, strict=True))))

    def charge_range(self, elements: Sequence[str], amounts: Sequence[int], anion: str) -> tuple[int, int]:
        """Return the smallest and largest total charge of all elements but the anion, each in its positive, else its negative states."""
        low = high = 0
        for element, n in zip(elements, amounts, strict=True):
            states = [ion.oxidation_state for ion in self.states[element]]
            charges = [n * state for state in states if state > 0] or [n * state for state in states]
            if element != anion:
                low, high = low + min(charges), high + max(charges)
        return low, high

    def usual_charge(self, elements: Sequence[str], amounts: Sequence[int], anion: str) -> int:
        """Return the total charge of all elements but the anion in their most frequent states."""
        usual = {e: max(self.states[e], key=self._frequency.__getitem__).oxidation_state for e in elements if e != anion}
        return sum(usual[e] * n for e, n in zip(elements, amounts, strict=True) if e != anion)

    def _mixed(self, parts: Sequence[tuple[str, int]]) -> Iterator[Assignment]:
        for position, (element, n) in enumerate(parts):
            cations = sorted((ion for ion in self.states[element] if ion.oxidation_state > 0), key=lambda ion: ion.oxidation_state)
            if len(cations) < 2:
                continue
            others = [*parts[:position], *parts[position + 1 :]]
            for choice in self._choices(others, n * cations[0].oxidation_state + 1, n * cations[-1].oxidation_state - 1):
                for i, low in enumerate(cations):
                    for high in cations[i + 1 :]:
                        yield from self._split(choice, n, low, high)

    def _split(self, choice: _Choice, n: int, low: Ion, high: Ion) -> Iterator[Assignment]:
        """Yield the assignment that takes ``n`` atoms in two states so that they balance the others, if there is one."""
        n_high = -choice.charge - n * low.oxidation_state
        step = high.oxidation_state - low.oxidation_state
        if not 0 < n_high < n * step:
            return
        units = step // gcd(step, n_high)
        n_high = n_high * units // step
        ions = [(ion, m * units) for ion, m in choice.ions] + [(low, n * units - n_high), (high, n_high)]
        yield _assignment(ions, choice.frequency * self._frequency[low] * self._frequency[high])

    def _choices(self, parts: Sequence[tuple[str, int]], low: int, high: int) -> Iterator[_Choice]:
        """Yield each choice of one ion per element whose charge, taken away, leaves between ``low`` and ``high``."""
        charges = [[n * ion.oxidation_state for ion in self.states[element]] for element, n in parts]
        least = [sum(min(row) for row in charges[i:]) for i in range(len(parts) + 1)]
        most = [sum(max(row) for row in charges[i:]) for i in range(len(parts) + 1)]

        def extend(i: int, choice: _Choice) -> Iterator[_Choice]:
            if not -high - most[i] <= choice.charge <= -low - least[i]:
                return
            if i == len(parts):
                yield choice
                return
            element, n = parts[i]
            for ion in self.states[element]:
                ions = (*choice.ions, (ion, n))
                yield from extend(i + 1, _Choice(ions, choice.charge + n * ion.oxidation_state, choice.frequency * self._frequency[ion]))

        yield from extend(0, _Choice((), 0, 1.0))


def _likeliest_first(assignments: Iterable[Assignment]) -> list[Assignment]:
    return sorted(assignments, key=lambda item: (-item.frequency, item.text))


def _assignment(ions: Sequence[tuple[Ion, int]], frequency: float) -> Assignment:
    ordered = sorted(ions, key=lambda pair: (pair[0].oxidation_state < 0, abs(pair[0].oxidation_state), pair[0].element))
    return Assignment(tuple(ordered), frequency)
