"""What is known around a candidate, as numbers that a second stage learns from.

A candidate is a set of positions, ions at coefficients. What the ions known in each position, all else the same, foretell of the
candidate's ion is added up, and so is what the elements known there foretell of its element (:mod:`crcrank.models.ease`); known compounds
of its stoichiometry and with its ions are counted. The elements are those of all known compositions, with those outside the space:
intermetallics, mixed valence, two anions. No number depends on the order of the cations.

Nothing counts what is known of the chemical system. Where single compounds are held back, trees learn from such counts that systems
with known compounds hold more; where whole systems are held back they then find far less than substitution alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import csr_matrix

from crcrank.chem.formula import pretty_formula
from crcrank.models.substitution import Donor
from crcrank.models.terms import formulas
from crcrank.space.lookup import places_in
from crcrank.space.positions import Codes, Marks, Outside, Positions
from crcrank.space.space import Candidates, Space

_SUMMARY = ("sum", "largest", "smallest", "anion")


class _Foretelling:
    """What all items known in the same surroundings add to another."""

    def __init__(self, marks: Marks, rates: np.ndarray) -> None:
        self._surroundings, row = np.unique(marks.surroundings, return_inverse=True)
        shape = (len(self._surroundings), len(rates))
        self._occurs, self._rates = csr_matrix((np.ones(row.size), (row.ravel(), marks.items)), shape), rates
        self._occurs.data[:] = 1

    def of(self, surroundings: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Return the sum of the rates, 0 where nothing is known in the surroundings, in the shape of ``items``."""
        place, added = places_in(self._surroundings, surroundings), np.zeros(items.shape)
        found = place >= 0
        rows, row = np.unique(place[found], return_inverse=True)
        added[found] = (self._occurs[rows] @ self._rates)[row.ravel(), items[found]]
        return added


def _counts(codes: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Return how often each code occurs among others, in the shape of ``codes``."""
    known, n_known = np.unique(among.ravel(), return_counts=True)
    return np.asarray(np.append(n_known, 0)[places_in(known, codes)], np.float64)


def _summary(values: np.ndarray, n_cations: int) -> np.ndarray:
    """Return sum, largest and smallest over the cations, and the sum over the anions, (n, 4)."""
    cations, anions = values[:, :n_cations], values[:, n_cations:]
    return np.column_stack([cations.sum(axis=1), cations.max(axis=1), cations.min(axis=1), anions.sum(axis=1)])


def rate(features: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return what all known compositions one element away add up to, not below 0, given :meth:`Neighbourhood.features`."""
    return np.asarray(np.maximum(features["foretold_element.sum"] + features["foretold_element.anion"], 0.0))


@dataclass(frozen=True)
class Neighbourhood:
    """The known compounds, ready to be counted around candidates.

    Attributes
    ----------
    space
        The space.
    known
        Known candidates of each class.
    outside
        Known compositions outside the space.
    properties, property_names
        Standardised properties of the elements of the space, float64 (n_elements, n_properties), and their names.
    rates, element_rates
        What each ion known in a position adds to another there, float64 (n_ions, n_ions), and each element, (n_elements, n_elements).
    """

    space: Space
    known: Mapping[str, Candidates]
    outside: Outside
    properties: np.ndarray
    property_names: tuple[str, ...]
    rates: np.ndarray
    element_rates: np.ndarray

    def features(self, name: str, candidates: Candidates) -> dict[str, np.ndarray]:
        """Return what is known around candidates of class ``name``, by name of the feature, float64 (n,) each."""
        asked = Positions(self.space, name, candidates, self._codes)
        features: dict[str, np.ndarray] = {"cations": np.full(len(candidates), float(asked.n_cations))}
        for group, values in {**self._foretold(name, asked), **self._counts(name, asked)}.items():
            summary = _summary(values, asked.n_cations) if values.ndim == 2 else values[:, None]
            for label, column in zip(_SUMMARY, summary.T, strict=False):
                features[f"{group}.{label}" if values.ndim == 2 else group] = column
        return features | self._composition(asked)

    def donors(self, name: str, candidates: Candidates) -> list[Donor]:
        """Return the known compositions that differ in one element from a single candidate of class ``name``."""
        asked, symbols = Positions(self.space, name, candidates, self._codes), self.space.ions.elements
        found = []
        for code, new in zip(asked.other_elements[0], asked.elements[0].tolist(), strict=True):
            for formula, old in dict.fromkeys(self._with_surroundings(code)):  # two classes may know the same
                if old != new:
                    found.append(Donor(formula, f"{symbols[old]} -> {symbols[new]}", float(self.element_rates[old, new])))
        return found

    def _with_surroundings(self, code: np.uint64) -> Iterator[tuple[str, int]]:
        """Yield the formula of each known composition with an element in given surroundings, and the element."""
        for name, positions in self._positions.items():
            rows, places = np.nonzero(positions.other_elements == code)
            yield from zip(formulas(self.space, name, self.known[name].take(rows)), positions.elements[rows, places].tolist(), strict=True)
        outside = self.outside
        rows, places = np.nonzero((outside.other_elements(self._codes) == code) & (outside.amounts > 0))
        for row, old in zip(rows.tolist(), outside.elements[rows, places].tolist(), strict=True):
            here = outside.amounts[row] > 0
            symbols = [self.space.ions.elements[i] for i in outside.elements[row, here]]
            yield pretty_formula(symbols, outside.amounts[row, here].tolist()), old

    @cached_property
    def _codes(self) -> Codes:
        return Codes.of(self.space)

    @cached_property
    def _positions(self) -> dict[str, Positions]:
        return {name: Positions(self.space, name, item, self._codes) for name, item in self.known.items()}

    @cached_property
    def _elements_foretold(self) -> _Foretelling:
        return _Foretelling(Marks.of_elements(self._positions.values(), self.outside, self._codes), self.element_rates)

    def _foretold(self, name: str, asked: Positions) -> dict[str, np.ndarray]:
        """Return what all that is known in each position, all else the same, adds to its ion and to its element, (n, n_positions) each."""
        ions = _Foretelling(Marks.of_ions(self._positions[name]), self.rates)
        return {
            "foretold": ions.of(asked.surroundings, asked.ions),
            "foretold_element": self._elements_foretold.of(asked.other_elements, asked.elements),
        }

    def _counts(self, name: str, asked: Positions) -> dict[str, np.ndarray]:
        """Return numbers of known compounds, (n,) or for each position (n, n_positions)."""
        known = self._positions[name]
        return {
            "stoichiometry": _counts(asked.stoichiometry, known.stoichiometry),
            "stoichiometry_anion": _counts(asked.stoichiometry + asked.anion_code, known.stoichiometry + known.anion_code),
            "stoichiometry_ion": _counts(asked.stoichiometry[:, None] + asked.ion_codes, known.stoichiometry[:, None] + known.ion_codes),
            "ion_amount": _counts(asked.ion_codes, known.ion_codes),
            "element_substitution": _counts(asked.other_elements, known.other_elements),
        }

    def _composition(self, asked: Positions) -> dict[str, np.ndarray]:
        """Return what the composition itself says: atoms, charges, means and variances of the properties."""
        charges, anion_charges = asked.charges[:, : asked.n_cations], asked.charges[:, asked.n_cations :]
        features = {
            "atoms": asked.amounts.sum(axis=1),
            "charge.largest": charges.max(axis=1),
            "charge.smallest": charges.min(axis=1),
            "charge.anion": anion_charges.sum(axis=1),
        }
        fractions = asked.amounts / asked.amounts.sum(axis=1, keepdims=True)
        values = self.properties[asked.elements]
        means = np.einsum("np,npd->nd", fractions, values)
        variances = np.einsum("np,npd->nd", fractions, (values - means[:, None]) ** 2)
        for i, label in enumerate(self.property_names):
            features |= {f"mean.{label}": means[:, i], f"variance.{label}": variances[:, i]}
        return features
