"""The columns of a ranking that say how new and how credible a formula is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any

from crcrank.chem.cautions import Cautions
from crcrank.chem.formula import Composition
from crcrank.chem.ions import IonTable, parse_ion
from crcrank.ranking.limits import families
from crcrank.ranking.mixtures import KnownSystems
from crcrank.ranking.novelty import one_ion_away
from crcrank.space.placement import Placements, Placer
from crcrank.space.space import Candidates, Compositions, Space

_OF_KNOWN = ("nearest_known", "substitution", "n_one_ion_away", "n_known_in_system", "mixture")
UNUSUAL_BELOW = 0.03
"""Share of an element's ICSD structures in which it has an oxidation state: Cu3+ is unusual, Cr4+ is not."""


@dataclass(frozen=True)
class Surroundings:
    """What is known around the formulas of a ranking.

    Attributes
    ----------
    space, ions
        The space, and the ion table that it is made from.
    known
        Known compositions; if there are none, nothing is said of them.
    classes
        Classes in which formulas are asked for.
    cautions
        Elements to mind.
    """

    space: Space
    ions: IonTable
    known: Compositions
    classes: Sequence[str]
    cautions: Cautions

    def columns(self, name: str, candidates: Candidates, columns: Mapping[str, Any]) -> dict[str, Any]:
        """Return the columns for candidates of class ``name``, given their ``elements``, ``amounts`` and ``ions``."""
        elements, amounts = columns["elements"], columns["amounts"]
        about = {
            "family": families(self.space.ions.elements, *self.space.composition_arrays(name, candidates)),
            "scarce": _among(elements, self.cautions.scarce),
            "toxic": _among(elements, self.cautions.toxic),
            "unusual_ions": _among(columns["ions"], self._unusual),
        }
        if not self.known:
            return about | dict.fromkeys(_OF_KNOWN, [None] * len(candidates))
        return (
            about
            | self._nearest(name, candidates)
            | {
                "n_known_in_system": [len(self.systems.within(symbols)) for symbols in elements],
                "mixture": self._mixtures(list(zip(elements, amounts, strict=True))),
            }
        )

    @cached_property
    def placements(self) -> dict[str, Placements]:
        """Where the known compositions lie in each class."""
        return Placer(self.space, self.ions).places(self.known, self.classes)

    @cached_property
    def systems(self) -> KnownSystems:
        """The known compositions by their chemical system."""
        return KnownSystems(self.known)

    @cached_property
    def _unusual(self) -> frozenset[str]:
        return frozenset(label for label in self.space.ions.labels if self.ions.frequency(parse_ion(label)) < UNUSUAL_BELOW)

    def _mixtures(self, compositions: Compositions) -> list[str | None]:
        parts, numbers = (column.tolist() for column in self.systems.tie_lines(compositions))
        names = {i: self._known_at(i).pretty_formula for i in {*chain.from_iterable(parts)} - {-1}}

        def written(pair: Sequence[int], units: Sequence[int]) -> str:
            return " + ".join(names[i] if n == 1 else f"{n} {names[i]}" for i, n in zip(pair, units, strict=True))

        return [None if -1 in pair else written(pair, units) for pair, units in zip(parts, numbers, strict=True)]

    def _nearest(self, name: str, candidates: Candidates) -> dict[str, Any]:
        likeliest = self.placements[name].best()
        pairs = one_ion_away(self.space, name, likeliest.candidates, candidates)
        labels = self.space.ions.labels
        first = pairs.first()
        found = likeliest.composition[pairs.known[list(first.values())]].tolist()
        names = {i: self._known_at(i).formula for i in set(found)}
        formulas = {row: names[i] for row, i in zip(first, found, strict=True)}
        substitutions = {row: f"{labels[pairs.old[i]]} -> {labels[pairs.new[i]]}" for row, i in first.items()}
        return {
            "nearest_known": [formulas.get(row) for row in range(len(candidates))],
            "substitution": [substitutions.get(row) for row in range(len(candidates))],
            "n_one_ion_away": pairs.counts(len(candidates)),
        }

    def _known_at(self, i: int) -> Composition:
        elements, amounts = self.known[i]
        return Composition(tuple(elements), tuple(amounts))


def _among(rows: Sequence[Sequence[str]], chosen: frozenset[str]) -> list[list[str]]:
    """Return of each row what is among the chosen, which in most rows is nothing."""
    return [[] if chosen.isdisjoint(row) else [label for label in row if label in chosen] for row in rows]
