"""What is known around a candidate, as numbers that a second stage learns from.

A candidate is a set of positions, ions at coefficients. Known compounds that differ from it in one ion, weighted by how alike
the two ions are (data-mined ionic substitution: Hautier et al., Inorg. Chem. 50, 656 (2011), doi:10.1021/ic102031h), and those of its
stoichiometry and with its ions are counted. No number depends on the order of the cations.

Nothing counts what is known of the chemical system. Where single compounds are held back, trees learn from such counts that systems
with known compounds hold more; where whole systems are held back they then find far less than substitution alone.

Sets are compared by the sum of random 64-bit codes of their members (Zobrist, Tech. Rep. 88, University of Wisconsin (1970)):
leaving one member out is a subtraction, and two different sets among 10^6 agree by chance once in 10^7 such tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import csr_matrix

from crcrank.space.space import Candidates, Space

_CODES_SEED = 20181  # any number: features are the same for all
_SHRINKAGE = 3.0  # surroundings that an ion is taken to have had alone, so that rare ions are not alike by chance
_SUMMARY = ("sum", "largest", "smallest", "anion")


def _codes(*shape: int, stream: int) -> np.ndarray:
    return np.random.default_rng([_CODES_SEED, stream]).integers(0, 2**64, shape, dtype=np.uint64)


@dataclass(frozen=True)
class _Codes:
    """Codes of ions (n_ions,), of ions, elements and charges at coefficients (..., M + 1), and of coefficients (M + 1,)."""

    ion: np.ndarray
    ion_amount: np.ndarray
    element_amount: np.ndarray
    role: np.ndarray
    amount: np.ndarray

    @classmethod
    def of(cls, space: Space) -> _Codes:
        """Return codes for all that a space holds; they depend on its sizes alone."""
        n_ions, n_elements = len(space.ions.labels), len(space.ions.elements)
        m = 1 + max(item.composition_class.max_coefficient for item in space.classes.values())
        shapes = ((n_ions,), (n_ions, m), (n_elements, m), (len(space.ions.group_charge) + len(space.ions.anions), m), (m,))
        return cls(*(_codes(*shape, stream=i) for i, shape in enumerate(shapes)))


class _Positions:
    """Candidates position by position, cations then the anion; all arrays have shape (n, n_positions)."""

    def __init__(self, space: Space, name: str, candidates: Candidates, codes: _Codes) -> None:
        item, ions, n_cations = space.classes[name], space.ions, len(space.ions.cations)
        rows, anions = item.block_stoichiometry[candidates.blocks], item.block_anion[candidates.blocks]
        self.codes = codes
        self.ions = np.column_stack([candidates.cations, n_cations + anions])
        self.amounts = np.column_stack([item.stoichiometries.coefficients[rows], item.stoichiometries.anion_coefficient[rows]])
        self.elements = np.concatenate([ions.cation_element, ions.anion_element])[self.ions]
        self.roles = _roles(space)[self.ions]
        self.charges = np.concatenate([np.repeat(ions.group_charge, ions.tables.size), -ions.anion_charge])[self.ions]

    @cached_property
    def ion_codes(self) -> np.ndarray:
        """Code of each ion at its coefficient."""
        return np.asarray(self.codes.ion_amount[self.ions, self.amounts])

    @cached_property
    def role_codes(self) -> np.ndarray:
        """Code of each charge at its coefficient; their sum is that of the stoichiometry."""
        return np.asarray(self.codes.role[self.roles, self.amounts])

    @property
    def anion_code(self) -> np.ndarray:
        """Code of the anion, (n,)."""
        return np.asarray(self.codes.ion[self.ions[:, -1]])

    @property
    def surroundings(self) -> np.ndarray:
        """Code of all else than the ion, and of the place that it takes."""
        return np.asarray(_without_each(self.ion_codes) + self.role_codes)

    @property
    def other_elements(self) -> np.ndarray:
        """Code of all other elements at their amounts, and of the amount of the element left out."""
        return np.asarray(_without_each(self.codes.element_amount[self.elements, self.amounts]) + self.codes.amount[self.amounts])

    @property
    def stoichiometry(self) -> np.ndarray:
        """Code of the stoichiometry, (n,)."""
        return _total(self.role_codes)


def _roles(space: Space) -> np.ndarray:
    """Return a number for each ion that is the same for ions that can take each other's place."""
    n_groups = len(space.ions.group_charge)
    return np.concatenate([np.repeat(np.arange(n_groups), space.ions.tables.size), n_groups + space.ions.anion_charge - 1])


def _total(codes: np.ndarray) -> np.ndarray:
    return np.asarray(codes.sum(axis=1, dtype=np.uint64))


def _without_each(codes: np.ndarray) -> np.ndarray:
    return np.asarray(_total(codes)[:, None] - codes)


def _counts(codes: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Return how often each code occurs among others, in the shape of ``codes``."""
    known, n_known = np.unique(among.ravel(), return_counts=True)
    if not len(known):
        return np.zeros(codes.shape)
    place = np.minimum(np.searchsorted(known, codes), len(known) - 1)
    return np.where(known[place] == codes, n_known[place], 0).astype(np.float64)


def _summary(values: np.ndarray) -> np.ndarray:
    """Return sum, largest and smallest over the cations, and the anion's, (n, 4)."""
    cations = values[:, :-1]
    return np.column_stack([cations.sum(axis=1), cations.max(axis=1), cations.min(axis=1), values[:, -1]])


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
    """

    def __init__(self, space: Space, known: Mapping[str, Candidates], properties: np.ndarray, property_names: tuple[str, ...]) -> None:
        self._space, self._properties, self._property_names = space, properties, property_names
        self._codes = _Codes.of(space)
        self._known = {name: _Positions(space, name, candidates, self._codes) for name, candidates in known.items()}
        self._alike = {name: _shared_surroundings(item, len(space.ions.labels)) for name, item in self._known.items()}

    def features(self, name: str, candidates: Candidates) -> dict[str, np.ndarray]:
        """Return what is known around candidates of class ``name``, by name of the feature, float64 (n,) each."""
        asked = _Positions(self._space, name, candidates, self._codes)
        features: dict[str, np.ndarray] = {"cations": np.full(len(candidates), asked.ions.shape[1] - 1.0)}
        for group, values in {**self._substitutions(name, asked), **self._counts(name, asked)}.items():
            summary = _summary(values) if values.ndim == 2 else values[:, None]
            for label, column in zip(_SUMMARY, summary.T, strict=False):
                features[f"{group}.{label}" if values.ndim == 2 else group] = column
        return features | self._composition(asked)

    def _substitutions(self, name: str, asked: _Positions) -> dict[str, np.ndarray]:
        """Return, for each position, how alike its ion is to those that known compounds have there with all else the same."""
        known = self._known[name]
        surroundings, row = np.unique(known.surroundings.ravel(), return_inverse=True)
        occurs = csr_matrix((np.ones(row.size), (row.ravel(), known.ions.ravel())), (len(surroundings), len(self._space.ions.labels)))
        place = np.minimum(np.searchsorted(surroundings, asked.surroundings), len(surroundings) - 1)
        found = surroundings[place] == asked.surroundings
        shared = {"class": self._alike[name], "all": np.sum(list(self._alike.values()), axis=0)}
        return {
            f"substitution.{key}": np.where(found, (occurs @ _similarity(counts))[place, asked.ions], 0.0) for key, counts in shared.items()
        }

    def _counts(self, name: str, asked: _Positions) -> dict[str, np.ndarray]:
        """Return numbers of known compounds, (n,) or for each position (n, n_positions)."""
        known = self._known[name]
        return {
            "stoichiometry": _counts(asked.stoichiometry, known.stoichiometry),
            "stoichiometry_anion": _counts(asked.stoichiometry + asked.anion_code, known.stoichiometry + known.anion_code),
            "stoichiometry_ion": _counts(asked.stoichiometry[:, None] + asked.ion_codes, known.stoichiometry[:, None] + known.ion_codes),
            "ion_amount": _counts(asked.ion_codes, known.ion_codes),
            "element_substitution": _counts(asked.other_elements, known.other_elements),
        }

    def _composition(self, asked: _Positions) -> dict[str, np.ndarray]:
        """Return what the composition itself says: atoms, charges, means and variances of the properties."""
        charges = asked.charges[:, :-1]
        features = {
            "atoms": asked.amounts.sum(axis=1),
            "charge.largest": charges.max(axis=1),
            "charge.smallest": charges.min(axis=1),
            "charge.anion": asked.charges[:, -1],
        }
        fractions = asked.amounts / asked.amounts.sum(axis=1, keepdims=True)
        values = self._properties[asked.elements]
        means = np.einsum("np,npd->nd", fractions, values)
        variances = np.einsum("np,npd->nd", fractions, (values - means[:, None]) ** 2)
        for i, label in enumerate(self._property_names):
            features |= {f"mean.{label}": means[:, i], f"variance.{label}": variances[:, i]}
        return features


def _shared_surroundings(known: _Positions, n_ions: int) -> np.ndarray:
    """Return in how many surroundings two ions both occur, float64 (n_ions, n_ions)."""
    surroundings, column = np.unique(known.surroundings.ravel(), return_inverse=True)
    occurs = csr_matrix((np.ones(column.size), (known.ions.ravel(), column.ravel())), (n_ions, len(surroundings)))
    occurs.data[:] = 1.0
    return np.asarray((occurs @ occurs.T).todense())


def _similarity(shared: np.ndarray) -> np.ndarray:
    """Return the shrunk cosine of the ions' surroundings, 0 of an ion with itself, float64 (n_ions, n_ions)."""
    own = np.sqrt(np.diagonal(shared) + _SHRINKAGE)
    similarity = shared / np.outer(own, own)
    np.fill_diagonal(similarity, 0.0)
    return np.asarray(similarity)
