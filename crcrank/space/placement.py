"""Known compositions as candidates: every neutral ion assignment, the likeliest first, and why some have none."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from crcrank.chem.bonding import Recogniser
from crcrank.chem.ions import Ion, IonTable
from crcrank.space.space import Candidates, Space

_NOT_TABLED = "element not in the ion table"


@dataclass(frozen=True)
class Placements:
    """Where compositions lie in one class of the space; a composition can have several rows.

    Attributes
    ----------
    composition
        Index of the composition, ascending, int64 (n,).
    candidate_id
        int64 (n,).
    frequency
        Product over the ions of the share of their element's ICSD structures with this oxidation state, float64 (n,).
    """

    composition: np.ndarray
    candidate_id: np.ndarray
    frequency: np.ndarray

    def likeliest_first(self) -> Placements:
        """Return the rows of each composition by descending frequency; of equals, the lowest candidate_id first."""
        return _taken(self, np.lexsort((self.candidate_id, -self.frequency, self.composition)))

    def best(self) -> Placements:
        """Keep for each composition the likeliest assignment; of equals, the one with the lowest candidate_id."""
        ordered = self.likeliest_first()
        return _taken(ordered, np.unique(ordered.composition, return_index=True)[1])


def _taken(placements: Placements, rows: np.ndarray) -> Placements:
    return Placements(placements.composition[rows], placements.candidate_id[rows], placements.frequency[rows])


@dataclass(frozen=True)
class _Assignment:
    cations: tuple[tuple[Ion, int], ...]
    anion: Ion
    anion_coefficient: int


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
        self._states: dict[str, list[Ion]] = {}
        for ion in ions.cations:
            self._states.setdefault(ion.element, []).append(ion)
        self._anions: dict[str, list[Ion]] = {}
        for ion in ions.anions:
            self._anions.setdefault(ion.element, []).append(ion)
        self._cation_index = {ion: i for i, ion in enumerate(ions.cations)}
        self._anion_index = {ion: i for i, ion in enumerate(ions.anions)}
        self._group = {ion: int(np.flatnonzero(ions.group_charge == ion.oxidation_state)[0]) for ion in ions.cations}
        self._recogniser = Recogniser(table)
        self._frequency = {ion: table.frequency(ion) for ion in (*ions.cations, *ions.anions)}
        self._class_by_n = {item.composition_class.n_cations + 1: name for name, item in space.classes.items()}

    def place(
        self, compositions: Sequence[tuple[Sequence[str], Sequence[int]]], classes: Collection[str] | None = None
    ) -> tuple[dict[str, Placements], dict[int, str]]:
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
        placements = self.places(compositions, chosen)
        placed = {int(i) for item in placements.values() for i in item.composition}
        outside = {i: self._reason(*pair, chosen) for i, pair in enumerate(compositions) if i not in placed}
        return placements, outside

    def places(self, compositions: Sequence[tuple[Sequence[str], Sequence[int]]], classes: Collection[str]) -> dict[str, Placements]:
        """Return the placements in each of the classes; others cost no time."""
        rows: dict[str, list[tuple[int, _Assignment]]] = {name: [] for name in self._space.classes if name in classes}
        for i, (elements, amounts) in enumerate(compositions):
            items = rows.get(self._class_by_n.get(len(elements), ""))
            if items is not None:
                items.extend((i, item) for item in self._assignments(elements, amounts))
        return {name: self._located(name, items) for name, items in rows.items()}

    def _assignments(self, elements: Sequence[str], amounts: Sequence[int]) -> Iterator[_Assignment]:
        pairs = list(zip(elements, amounts, strict=True))
        for position, (element, amount) in enumerate(pairs):
            anions = self._anions.get(element)
            if anions is None:
                continue
            others = pairs[:position] + pairs[position + 1 :]
            if any(e not in self._states for e, _ in others):
                continue
            choices = [[(ion.oxidation_state * n, ion, n) for ion in self._states[e]] for e, n in others]
            for states in itertools.product(*choices):
                charge = sum(state[0] for state in states)
                for anion in anions:
                    if charge == -anion.oxidation_state * amount:
                        yield _Assignment(tuple((ion, n) for _, ion, n in states), anion, amount)

    def weights(self, elements: Sequence[str], amounts: Sequence[int], frequencies: np.ndarray) -> np.ndarray:
        """Return frequencies of a composition's placements as shares of all its assignments, in the space or not, float64 (n,)."""
        total = sum(item.frequency for item in self._recogniser.balancer.assignments(elements, amounts))
        return np.asarray(frequencies / total)

    def _located(self, name: str, items: list[tuple[int, _Assignment]]) -> Placements:
        item = self._space.classes[name].composition_class
        items = [pair for pair in items if max(pair[1].anion_coefficient, *(n for _, n in pair[1].cations)) <= item.max_coefficient]
        slots = [sorted((self._group[ion], n, self._cation_index[ion]) for ion, n in pair[1].cations) for pair in items]
        array = np.array(slots, np.int64).reshape(len(items), item.n_cations, 3)
        anions = np.array([self._anion_index[pair[1].anion] for pair in items], np.int64)
        blocks = self._space.find_blocks(name, array[:, :, 0], array[:, :, 1], anions)
        found = blocks >= 0
        ids = self._space.encode(name, Candidates(blocks[found], array[found, :, 2]))
        composition = np.array([i for i, _ in items], np.int64)[found]
        frequency = np.array([self._likelihood(pair[1]) for pair in items], np.float64)[found]
        return Placements(composition, ids, frequency)

    def _likelihood(self, assignment: _Assignment) -> float:
        value = self._frequency[assignment.anion]
        for ion, _ in assignment.cations:
            value *= self._frequency[ion]
        return value

    def _reason(self, elements: Sequence[str], amounts: Sequence[int], classes: Collection[str]) -> str:
        return self._ionless(elements, amounts) or self._classless(elements, amounts, classes) or self._recogniser.reason(elements, amounts)

    def _ionless(self, elements: Sequence[str], amounts: Sequence[int]) -> str | None:
        """Return why the ion table has no ions for a composition, None if it has."""
        unknown = [e for e in elements if e not in self._states and e not in self._anions]
        if unknown:
            hydrogen = self._recogniser.hydrogen(elements, amounts) if unknown == ["H"] else None
            return hydrogen or f"{_NOT_TABLED}: {unknown[0]}"
        return None if any(e in self._anions for e in elements) else "no anion (intermetallic)"

    def _classless(self, elements: Sequence[str], amounts: Sequence[int], classes: Collection[str]) -> str | None:
        """Return why no class takes a composition of tabled elements, None if that depends on its charges."""
        name = self._class_by_n.get(len(elements))
        if name is None:
            return f"no class of this space holds {len(elements)} {'element' if len(elements) == 1 else 'elements'}"
        if name not in classes:
            return f"class not asked for ({name})"
        if next(self._assignments(elements, amounts), None) is not None:
            limit = self._space.classes[name].composition_class.max_coefficient
            return f"coefficient above {limit} ({name})"
        return None


def count_reasons(outside: dict[int, str]) -> dict[str, int]:
    """Return how many compositions lie outside for each reason, most frequent first; details after a colon do not count."""
    counts = Counter(reason.partition(": ")[0] for reason in outside.values())
    return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))
