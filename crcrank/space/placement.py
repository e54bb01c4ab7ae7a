"""Known compositions as candidates: every neutral ion assignment, the likeliest first, and why some have none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, combinations, product
from typing import NamedTuple

import numpy as np

from crcrank.chem.bonding import Recogniser
from crcrank.chem.ions import IonTable
from crcrank.space.ranges import written_out
from crcrank.space.space import Candidates, CompositionClass, Compositions, Space
from crcrank.space.splitting import SlotIon, SplitAssignment, splits

_NOT_TABLED = "element not in the ion table"
_N_AT_ONCE = 1 << 14  # bounds the memory of all their ion assignments


@dataclass(frozen=True)
class Placements:
    """Where compositions lie in one class of the space; a composition can have several rows.

    Attributes
    ----------
    space, name
        The space and the class.
    composition
        Index of the composition, ascending, int64 (n,).
    candidates
        The candidate of each row.
    frequency
        Product over the ions of the share of their element's ICSD structures with this oxidation state, float64 (n,).
    """

    space: Space
    name: str
    composition: np.ndarray
    candidates: Candidates
    frequency: np.ndarray

    def __len__(self) -> int:
        return len(self.composition)

    @cached_property
    def candidate_id(self) -> np.ndarray:
        """candidate_id of each row, int64 (n,)."""
        return self.space.encode(self.name, self.candidates)

    def likeliest_first(self) -> Placements:
        """Return the rows of each composition by descending frequency; of equals, the lowest candidate_id first."""
        return self.taken(np.lexsort((self.candidate_id, -self.frequency, self.composition)))

    def best(self) -> Placements:
        """Keep for each composition the likeliest assignment; of equals, the one with the lowest candidate_id."""
        ordered = self.likeliest_first()
        return ordered.taken(np.unique(ordered.composition, return_index=True)[1])

    def taken(self, rows: np.ndarray) -> Placements:
        """Return these rows, int64 (n,)."""
        return Placements(self.space, self.name, self.composition[rows], self.candidates.take(rows), self.frequency[rows])


class _States(NamedTuple):
    """The ions of each element; what has none has index -1.

    Attributes
    ----------
    n, first
        Number of ions of each element and where they begin in ``ions``, int64 (n_elements + 1,).
    ions
        Ion indices by element, int64 (n_ions,).
    """

    n: np.ndarray
    first: np.ndarray
    ions: np.ndarray

    @classmethod
    def of(cls, element: np.ndarray, n_elements: int) -> _States:
        """Sort the ions by their elements."""
        n = np.bincount(element, minlength=n_elements + 1)
        return cls(n, np.cumsum(n) - n, np.argsort(element, kind="stable"))

    def of_element(self, element: int) -> np.ndarray:
        """Return the ions of an element, int64 (n,)."""
        return self.ions[self.first[element] : self.first[element] + self.n[element]]

    def choices(self, elements: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return every choice of an ion for each of some elements, as (index into ``elements``, ion)."""
        rows, places = written_out(self.first[elements], self.n[elements])
        return rows, self.ions[places]


class _Assignments(NamedTuple):
    """Neutral ion assignments: the composition of each, cations and anions with coefficients (n, n_cations), (n, n_anions)."""

    composition: np.ndarray
    cations: np.ndarray
    coefficients: np.ndarray
    anions: np.ndarray
    anion_coefficients: np.ndarray


def _ascending(found: _Assignments) -> _Assignments:
    """Return the assignments in the order of their compositions."""
    order = np.argsort(found.composition, kind="stable")
    return _Assignments(*(column[order] for column in found))


def _joined(parts: Sequence[_Assignments]) -> _Assignments:
    return _Assignments(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


class Placer:
    """Places compositions in a space.

    Parameters
    ----------
    space, table
        The space, and the ion table it was made from (for the frequencies).
    """

    def __init__(self, space: Space, table: IonTable) -> None:
        self._space = space
        ions = space.ions
        self._states = _States.of(ions.cation_element, len(ions.elements))
        self._anions = _States.of(ions.anion_element, len(ions.elements))
        self._anion_elements = frozenset(ions.anion_element.tolist())
        self._group = np.repeat(np.arange(len(ions.group_charge)), ions.tables.size)
        self._recogniser = Recogniser(table)
        self._frequency = np.array([table.frequency(ion) for ion in ions.cations])
        self._anion_frequency = np.array([table.frequency(ion) for ion in ions.anions])
        self._classes_by_n: dict[int, list[str]] = {}
        for name, item in space.classes.items():
            for n in item.composition_class.n_elements:
                self._classes_by_n.setdefault(n, []).append(name)

    def place(self, compositions: Compositions, classes: Collection[str] | None = None) -> tuple[dict[str, Placements], dict[int, str]]:
        """Place compositions, given as (elements, amounts).

        Parameters
        ----------
        classes
            Classes to place in; all of the space if left out.

        Returns
        -------
        tuple
            Placements by class name, and the reason by index for each composition that has no place.
        """
        chosen = self._space.classes if classes is None else classes
        assignments = self._neutral(compositions, chosen)
        placements = {name: self._located(name, item) for name, item in assignments.items()}
        placed = set(chain.from_iterable(item.composition.tolist() for item in placements.values()))
        neutral = set(chain.from_iterable(item.composition.tolist() for item in assignments.values()))
        outside = {i: self._reason(*pair, chosen, is_neutral=i in neutral) for i, pair in enumerate(compositions) if i not in placed}
        return placements, outside

    def places(self, compositions: Compositions, classes: Collection[str]) -> dict[str, Placements]:
        """Return the placements in each of the classes; others cost no time."""
        return {name: self._located(name, item) for name, item in self._neutral(compositions, classes).items()}

    def _neutral(self, compositions: Compositions, classes: Collection[str]) -> dict[str, _Assignments]:
        """Return the assignments in each of the classes, neutral where the class is, whatever the coefficients of plain ones."""
        found = {}
        for name, item in self._space.classes.items():
            if name in classes:
                limits = item.composition_class
                rows, elements, amounts = self._space.compositions_of(limits.n_ions, compositions)
                steps = [slice(i, i + _N_AT_ONCE) for i in range(0, len(rows) or 1, _N_AT_ONCE)]
                plain = [self._assigned(limits, rows[step], elements[step], amounts[step]) for step in steps]
                mixed = [self._split(limits, compositions)] if limits.mixed_valence else []
                found[name] = _ascending(_joined([*plain, *mixed]))
        return found

    def _split(self, limits: CompositionClass, compositions: Compositions) -> _Assignments:
        """Return the assignments of compositions with fewer elements than the class has ions."""
        rows: list[tuple[int, SplitAssignment, tuple[int, ...], tuple[int, ...]]] = []
        for i, (symbols, amounts) in enumerate(compositions):
            if len(symbols) in limits.n_elements[:-1] and all(symbol in self._space.ions.index for symbol in symbols):
                elements = [self._space.ions.index[symbol] for symbol in symbols]
                rows += [(i, *item) for item in self._splits_of(limits, elements, amounts)]
        return _Assignments(
            np.array([i for i, *_ in rows], np.int64),
            np.array([item.cations for _, item, *_ in rows], np.int64).reshape(len(rows), limits.n_cations),
            np.array([item.coefficients for _, item, *_ in rows], np.int64).reshape(len(rows), limits.n_cations),
            np.array([anions for *_, anions, _ in rows], np.int64).reshape(len(rows), limits.n_anions),
            np.array([[n * item.units for n in own] for _, item, _, own in rows], np.int64).reshape(len(rows), limits.n_anions),
        )

    def _splits_of(
        self, limits: CompositionClass, elements: Sequence[int], amounts: Sequence[int]
    ) -> Iterator[tuple[SplitAssignment, tuple[int, ...], tuple[int, ...]]]:
        """Yield cations, anions and the amounts of these."""
        charges = self._space.ions.group_charge[self._group]
        for chosen in combinations(range(len(elements)), limits.n_anions):
            parts = [
                ([SlotIon(int(i), int(charges[i])) for i in self._states.of_element(other)], n, other not in self._anion_elements)
                for i, (other, n) in enumerate(zip(elements, amounts, strict=True))
                if i not in chosen
            ]
            own = tuple(amounts[i] for i in chosen)
            for anions in product(*(self._anions.of_element(elements[i]).tolist() for i in chosen)):
                charge = sum(int(self._space.ions.anion_charge[anion]) * n for anion, n in zip(anions, own, strict=True))
                for item in splits(parts, limits.n_cations, limits.max_coefficient, own, charge if limits.neutral else None):
                    yield item, anions, own

    def _assigned(self, limits: CompositionClass, rows: np.ndarray, elements: np.ndarray, amounts: np.ndarray) -> _Assignments:
        """Return the assignments of compositions ``rows`` with one state for each element; elements, amounts (n, n_ions)."""
        parts = []
        for chosen in combinations(range(limits.n_ions), limits.n_anions):
            others = [i for i in range(limits.n_ions) if i not in chosen]
            can_be = (self._anions.n[elements[:, chosen]] > 0).all(axis=1) & (self._states.n[elements[:, others]] > 0).all(axis=1)
            order = [*others, *chosen]
            found = self._with_last_as_anions(limits, elements[can_be][:, order], amounts[can_be][:, order])
            parts.append(found._replace(composition=rows[can_be][found.composition]))
        return _joined(parts)

    def _with_last_as_anions(self, limits: CompositionClass, elements: np.ndarray, amounts: np.ndarray) -> _Assignments:
        """Choose anions, then cations one by one, as long as the anions can balance them if they must; elements, amounts (n, n_ions)."""
        ions, neutral, n_cations = self._space.ions, limits.neutral, limits.n_cations
        rows, anions, left = np.arange(len(elements)), np.empty((len(elements), 0), np.int64), np.zeros(len(elements), np.int64)
        for position in range(n_cations, limits.n_ions):
            before, states = self._anions.choices(elements[rows, position])
            rows, anions = rows[before], np.column_stack([anions[before], states])
            left = left[before] + ions.anion_charge[states] * amounts[rows, position]
        cations = np.empty((len(rows), 0), np.int64)
        for slot in range(n_cations):
            before, states = self._states.choices(elements[rows, slot])
            rows, anions, cations = rows[before], anions[before], np.column_stack([cations[before], states])
            left = left[before] - ions.group_charge[self._group[states]] * amounts[rows, slot]
            fits = (left >= 0) | (not neutral)
            rows, anions, cations, left = rows[fits], anions[fits], cations[fits], left[fits]
        fits = (left == 0) | (not neutral)
        rows, anions = rows[fits], anions[fits]
        return _Assignments(rows, cations[fits], amounts[rows, :n_cations], anions, amounts[rows, n_cations:])

    def weights(self, elements: Sequence[str], amounts: Sequence[int], frequencies: np.ndarray) -> np.ndarray:
        """Return frequencies of a composition's placements as shares of all its assignments, in the space or not, float64 (n,)."""
        total = sum(item.frequency for item in self._recogniser.balancer.assignments(elements, amounts))
        return np.asarray(frequencies / max(total, frequencies.sum()))

    def _located(self, name: str, found: _Assignments) -> Placements:
        limit = self._space.classes[name].composition_class.max_coefficient
        within = (found.coefficients <= limit).all(axis=1) & (found.anion_coefficients <= limit).all(axis=1)
        composition, cations, coefficients, anions, anion_coefficients = (column[within] for column in found)
        order = np.lexsort((cations, coefficients, self._group[cations]), axis=1)
        slots, n = np.take_along_axis(cations, order, axis=1), np.take_along_axis(coefficients, order, axis=1)
        blocks = self._space.find_blocks(name, self._group[slots], n, anions, anion_coefficients)
        frequency = self._frequency[cations].prod(axis=1) * self._anion_frequency[anions].prod(axis=1)
        rows = np.flatnonzero(blocks >= 0)
        return Placements(self._space, name, composition[rows], Candidates(blocks[rows], slots[rows]), frequency[rows])

    def _reason(self, elements: Sequence[str], amounts: Sequence[int], classes: Collection[str], *, is_neutral: bool) -> str:
        return (
            self._ionless(elements, amounts)
            or self._classless(elements, classes, is_neutral=is_neutral)
            or self._recogniser.reason(elements, amounts)
        )

    def _ionless(self, elements: Sequence[str], amounts: Sequence[int]) -> str | None:
        """Return why the ion table has no ions for a composition, None if it has."""
        unknown = [e for e in elements if e not in self._space.ions.index]
        if unknown:
            hydrogen = self._recogniser.hydrogen(elements, amounts) if unknown == ["H"] else None
            return hydrogen or f"{_NOT_TABLED}: {unknown[0]}"
        return None if any(self._space.ions.index[e] in self._anion_elements for e in elements) else "no anion (intermetallic)"

    def _classless(self, elements: Sequence[str], classes: Collection[str], *, is_neutral: bool) -> str | None:
        """Return why no class takes a composition of tabled elements, None if that depends on its charges."""
        names = self._classes_by_n.get(len(elements), [])
        chosen = [name for name in names if name in classes]
        if not names:
            return f"no class of this space holds {len(elements)} {'element' if len(elements) == 1 else 'elements'}"
        if not chosen:
            return f"class not asked for ({', '.join(names)})"
        if is_neutral:
            name = max(chosen, key=lambda name: self._space.classes[name].composition_class.max_coefficient)
            return f"coefficient above {self._space.classes[name].composition_class.max_coefficient} ({name})"
        return None


def with_likeliest_anions(placements: Mapping[str, Placements]) -> dict[str, Placements]:
    """Keep of each composition the neutral classes with as many anions as its likeliest reading has.

    Where the space has a class of two anions, Bi4TaO8Cl is an oxide chloride there, and no oxide of Cl5+; Tl3AsS3 stays a sulfide of
    As3+, and is no arsenide of Tl3+. A class whose charges need not balance takes everything and decides nothing.
    """
    limits = {name: item.space.classes[name].composition_class for name, item in placements.items()}
    deciding = sorted((name for name in placements if limits[name].neutral), key=lambda name: -limits[name].n_anions)
    n = 1 + max((int(item.composition.max(initial=-1)) for item in placements.values()), default=-1)
    likeliest, n_anions = np.full(n, -1.0), np.zeros(n, np.int64)
    for name in deciding:
        own = np.full(n, -1.0)
        np.maximum.at(own, placements[name].composition, placements[name].frequency)
        n_anions[own > likeliest] = limits[name].n_anions
        likeliest = np.maximum(likeliest, own)
    return {
        name: item.taken(np.flatnonzero(n_anions[item.composition] == limits[name].n_anions)) if name in deciding else item
        for name, item in placements.items()
    }


def count_reasons(outside: dict[int, str]) -> dict[str, int]:
    """Return how many compositions lie outside for each reason, most frequent first; details after a colon do not count."""
    counts = Counter(reason.partition(": ")[0] for reason in outside.values())
    return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))
