"""Candidates position by position, as numbers by which those that differ in one ion are found, and how alike ions are.

A candidate is a set of positions, ions at coefficients. Sets are compared by the sum of random 64-bit codes of their members (Zobrist,
Tech. Rep. 88, University of Wisconsin (1970)): leaving one member out is a subtraction, and two different sets among 10^6 agree
by chance once in 10^7 such tables. Two ions are alike where known compounds have them in the same surroundings (data-mined ionic
substitution: Hautier et al., Inorg. Chem. 50, 656 (2011), doi:10.1021/ic102031h).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from crcrank.space.ranges import written_out
from crcrank.space.space import Candidates, Compositions, Space

_CODES_SEED = 20181  # any number: features are the same for all
_SHRINKAGE = 3.0  # surroundings that an ion is taken to have had alone, so that rare ions are not alike by chance


def _codes(*shape: int, stream: int) -> np.ndarray:
    return np.random.default_rng([_CODES_SEED, stream]).integers(0, 2**64, shape, dtype=np.uint64)


def _max_coefficient(space: Space) -> int:
    return max(item.composition_class.max_coefficient for item in space.classes.values())


@dataclass(frozen=True)
class Codes:
    """Codes of ions (n_ions,), of ions, elements and charges at coefficients (..., M + 1), and of coefficients (M + 1,)."""

    ion: np.ndarray
    ion_amount: np.ndarray
    element_amount: np.ndarray
    role: np.ndarray
    amount: np.ndarray

    @classmethod
    def of(cls, space: Space) -> Codes:
        """Return codes for all that a space holds; they depend on its sizes alone."""
        n_ions, n_elements = len(space.ions.labels), len(space.ions.elements)
        m = 1 + _max_coefficient(space)
        shapes = ((n_ions,), (n_ions, m), (n_elements, m), (len(space.ions.group_charge) + int(space.ions.anion_charge.max()), m), (m,))
        return cls(*(_codes(*shape, stream=i) for i, shape in enumerate(shapes)))


class Positions:
    """Candidates position by position, cations then anions; all arrays have shape (n, n_positions)."""

    def __init__(self, space: Space, name: str, candidates: Candidates, codes: Codes) -> None:
        item, ions, n_cations = space.classes[name], space.ions, len(space.ions.cations)
        rows, anions = item.block_stoichiometry[candidates.blocks], item.block_anions[candidates.blocks]
        self.codes, self.n_cations = codes, candidates.cations.shape[1]
        self.ions = np.column_stack([candidates.cations, n_cations + anions])
        self.amounts = np.column_stack([item.stoichiometries.coefficients[rows], item.stoichiometries.anion_coefficients[rows]])
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
        """Code of the anions, (n,)."""
        return _total(self.codes.ion[self.ions[:, self.n_cations :]])

    @property
    def surroundings(self) -> np.ndarray:
        """Code of all else than the ion, and of the place that it takes."""
        return np.asarray(_without_each(self.ion_codes) + self.role_codes)

    @cached_property
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


@dataclass(frozen=True)
class Outside:
    """Known compositions that are no candidates, for whatever reason.

    Attributes
    ----------
    elements, amounts
        Indices of the space's elements and their amounts, int64 (n, w); -1 and 0 at the end of rows of fewer elements.
    """

    elements: np.ndarray
    amounts: np.ndarray

    @classmethod
    def of(cls, space: Space, compositions: Compositions) -> Outside:
        """Return the compositions whose elements and amounts the candidates of the space may have."""
        index, limit = space.ions.index, _max_coefficient(space)
        kept = [row for row in compositions if max(row[1]) <= limit and index.keys() >= set(row[0])]
        shape = (len(kept), max((len(symbols) for symbols, _ in kept), default=1))
        elements, amounts = np.full(shape, -1, np.int64), np.zeros(shape, np.int64)
        for i, (symbols, numbers) in enumerate(kept):
            elements[i, : len(symbols)] = [index[symbol] for symbol in symbols]
            amounts[i, : len(symbols)] = numbers
        return cls(elements, amounts)

    def __len__(self) -> int:
        return len(self.elements)

    def other_elements(self, codes: Codes) -> np.ndarray:
        """Return the codes of :attr:`Positions.other_elements`, uint64 (n, w); those at the end of short rows mean nothing."""
        own = np.where(self.amounts > 0, codes.element_amount[self.elements, self.amounts], np.uint64(0))
        return np.asarray(_without_each(own) + codes.amount[self.amounts])


class Marks(NamedTuple):
    """What is known in which surroundings: a code of these, uint64 (n,), and the ion or the element there, int64 (n,)."""

    surroundings: np.ndarray
    items: np.ndarray

    @classmethod
    def of_ions(cls, known: Positions) -> Marks:
        """Return the ions known in each surroundings."""
        return cls(known.surroundings.ravel(), known.ions.ravel())

    @classmethod
    def of_elements(cls, known: Iterable[Positions], outside: Outside, codes: Codes) -> Marks:
        """Return the elements known among each set of other elements, in any class or outside of all."""
        here = outside.amounts > 0
        parts = [(item.other_elements.ravel(), item.elements.ravel()) for item in known]
        return cls(*map(np.concatenate, zip(*parts, (outside.other_elements(codes)[here], outside.elements[here]), strict=True)))

    def shared(self, n_items: int) -> np.ndarray:
        """Return in how many surroundings two items both occur, float64 (n_items, n_items)."""
        surroundings = np.unique(self.surroundings, return_inverse=True)[1].ravel()
        place, item = np.divmod(np.unique(surroundings * n_items + self.items), n_items)
        n, first = np.bincount(place), np.flatnonzero(np.diff(place, prepend=-1))
        one, other = written_out(first[place], n[place])
        return np.bincount(item[one] * n_items + item[other], minlength=n_items**2).reshape(n_items, n_items).astype(float)


def similarity(shared: np.ndarray) -> np.ndarray:
    """Return the shrunk cosine of the ions' surroundings, float64 (n_ions, n_ions)."""
    own = np.sqrt(np.diagonal(shared) + _SHRINKAGE)
    return np.asarray(shared / np.outer(own, own))
