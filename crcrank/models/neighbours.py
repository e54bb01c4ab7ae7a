"""What is known around a candidate, as numbers that a second stage learns from.

A candidate is a set of positions, ions at coefficients. What the ions known in each position, all else the same, foretell of the
candidate's ion is added up (:mod:`crcrank.models.ease`), and known compounds of its stoichiometry and with its ions are counted. No
number depends on the order of the cations.

Nothing counts what is known of the chemical system. Where single compounds are held back, trees learn from such counts that systems
with known compounds hold more; where whole systems are held back they then find far less than substitution alone.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.sparse import csr_matrix

from crcrank.space.positions import Codes, Positions
from crcrank.space.space import Candidates, Space

_SUMMARY = ("sum", "largest", "smallest", "anion")


def _counts(codes: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Return how often each code occurs among others, in the shape of ``codes``."""
    known, n_known = np.unique(among.ravel(), return_counts=True)
    if not len(known):
        return np.zeros(codes.shape)
    place = np.minimum(np.searchsorted(known, codes), len(known) - 1)
    return np.where(known[place] == codes, n_known[place], 0).astype(np.float64)


def _summary(values: np.ndarray, n_cations: int) -> np.ndarray:
    """Return sum, largest and smallest over the cations, and the sum over the anions, (n, 4)."""
    cations, anions = values[:, :n_cations], values[:, n_cations:]
    return np.column_stack([cations.sum(axis=1), cations.max(axis=1), cations.min(axis=1), anions.sum(axis=1)])


class Neighbourhood:
    """The known compounds, ready to be counted around candidates.

    Parameters
    ----------
    space
        The space.
    known
        Known candidates of each class.
    properties
        Standardised properties of the elements of the space, float64 (n_elements, n_properties).
    property_names
        Their names.
    rates
        What each ion known in a position adds to another there, float64 (n_ions, n_ions).
    """

    def __init__(
        self, space: Space, known: Mapping[str, Candidates], properties: np.ndarray, property_names: tuple[str, ...], rates: np.ndarray
    ) -> None:
        self._space, self._properties, self._property_names, self._rates = space, properties, property_names, rates
        self._codes = Codes.of(space)
        self._known = {name: Positions(space, name, candidates, self._codes) for name, candidates in known.items()}

    def features(self, name: str, candidates: Candidates) -> dict[str, np.ndarray]:
        """Return what is known around candidates of class ``name``, by name of the feature, float64 (n,) each."""
        asked = Positions(self._space, name, candidates, self._codes)
        features: dict[str, np.ndarray] = {"cations": np.full(len(candidates), float(asked.n_cations))}
        for group, values in {"foretold": self._foretold(name, asked), **self._counts(name, asked)}.items():
            summary = _summary(values, asked.n_cations) if values.ndim == 2 else values[:, None]
            for label, column in zip(_SUMMARY, summary.T, strict=False):
                features[f"{group}.{label}" if values.ndim == 2 else group] = column
        return features | self._composition(asked)

    def _foretold(self, name: str, asked: Positions) -> np.ndarray:
        """Return, for each position, what the ions that are known there with all else the same add to its ion, (n, n_positions)."""
        known = self._known[name]
        surroundings, row = np.unique(known.surroundings.ravel(), return_inverse=True)
        occurs = csr_matrix((np.ones(row.size), (row.ravel(), known.ions.ravel())), (len(surroundings), len(self._space.ions.labels)))
        place = np.minimum(np.searchsorted(surroundings, asked.surroundings), len(surroundings) - 1)
        return np.where(surroundings[place] == asked.surroundings, (occurs @ self._rates)[place, asked.ions], 0.0)

    def _counts(self, name: str, asked: Positions) -> dict[str, np.ndarray]:
        """Return numbers of known compounds, (n,) or for each position (n, n_positions)."""
        known = self._known[name]
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
        values = self._properties[asked.elements]
        means = np.einsum("np,npd->nd", fractions, values)
        variances = np.einsum("np,npd->nd", fractions, (values - means[:, None]) ** 2)
        for i, label in enumerate(self._property_names):
            features |= {f"mean.{label}": means[:, i], f"variance.{label}": variances[:, i]}
        return features
