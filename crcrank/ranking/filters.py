"""What a user asks of a ranking, as masks that the search kernels understand."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from crcrank.errors import ConfigError
from crcrank.space.space import Candidates, Space


@dataclass(frozen=True)
class ElementFilter:
    """Conditions on the formulas of a ranking; empty means no condition.

    Attributes
    ----------
    required
        Elements that every formula holds.
    allowed
        The only elements that a formula may hold.
    excluded
        Elements that no formula holds.
    anions
        Elements of which an anion is one.
    max_coefficient
        Largest coefficient, 0 for no limit.
    """

    required: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    anions: tuple[str, ...] = ()
    max_coefficient: int = 0


@dataclass(frozen=True)
class SearchFilter:
    """An :class:`ElementFilter` over the ions of a space.

    Attributes
    ----------
    allowed
        Whether each cation may be used, bool (n_cations,).
    anion_allowed, anion_wanted
        Whether each anion may be used, and whether it is one of those wanted, bool (n_anions,).
    bits, wanted
        Required elements as bits of each ion (cations, then anions), int64, and all of them together.
    max_coefficient
        Largest coefficient, 0 for no limit.
    """

    allowed: np.ndarray
    anion_allowed: np.ndarray
    anion_wanted: np.ndarray
    bits: np.ndarray
    wanted: int
    max_coefficient: int

    @property
    def is_open(self) -> bool:
        """Whether every candidate passes."""
        allows_all = self.allowed.all() and self.anion_allowed.all() and self.anion_wanted.all()
        return bool(allows_all and not self.wanted and not self.max_coefficient)

    def allowed_blocks(self, space: Space, name: str) -> np.ndarray:
        """Return whether each block of class ``name`` can hold an allowed candidate, bool (n_blocks,)."""
        item = space.classes[name]
        anions, stoichiometries = item.block_anions, item.stoichiometries
        allowed = self.anion_allowed[anions].all(axis=1) & self.anion_wanted[anions].any(axis=1)
        if self.max_coefficient:
            largest = np.maximum(stoichiometries.coefficients.max(axis=1), stoichiometries.anion_coefficients.max(axis=1))
            allowed &= (largest <= self.max_coefficient)[item.block_stoichiometry]
        return np.asarray(allowed)

    def passes(self, space: Space, name: str, candidates: Candidates) -> np.ndarray:
        """Return whether each candidate of class ``name`` meets the conditions, bool (n,)."""
        anions = space.classes[name].block_anions[candidates.blocks]
        ions = np.column_stack([candidates.cations, len(self.allowed) + anions])
        have = np.bitwise_or.reduce(self.bits[ions], axis=1)
        allowed = self.allowed_blocks(space, name)[candidates.blocks] & self.allowed[candidates.cations].all(axis=1)
        return np.asarray(allowed & (have == self.wanted))


def search_filter(space: Space, wanted: ElementFilter) -> SearchFilter:
    """Translate conditions on elements for the ions of ``space``.

    Raises
    ------
    ConfigError
        If an element is not in the ion table, or nothing can meet the conditions.
    """
    ions, index = space.ions, space.ions.index
    for symbol in (*wanted.required, *wanted.allowed, *wanted.excluded, *wanted.anions):
        if symbol not in index:
            near = symbol.capitalize()
            hint = f"did you mean {near!r}?" if near in index else "write symbols between commas, Li,Zn,S, a system as Li-Zn-S"
            raise ConfigError(f"filter: {symbol!r} is not an element of the ion table; {hint}")
    permitted = _mask(index, wanted.allowed) if wanted.allowed else np.ones(len(index), bool)
    permitted &= ~_mask(index, wanted.excluded)
    anions = _mask(index, wanted.anions) if wanted.anions else np.ones(len(index), bool)
    forbidden = [symbol for symbol in wanted.required if not permitted[index[symbol]]]
    if forbidden:
        raise ConfigError(f"filter: {forbidden[0]} is required and excluded at once")
    if len(set(wanted.required)) > max(item.composition_class.n_ions for item in space.classes.values()):
        raise ConfigError(f"filter: no class has as many elements as are required ({len(set(wanted.required))})")
    bit = np.zeros(len(index), np.int64)
    for i, symbol in enumerate(dict.fromkeys(wanted.required)):
        bit[index[symbol]] = 1 << i
    anion_allowed, anion_wanted = permitted[ions.anion_element], anions[ions.anion_element]
    if not (anion_allowed & anion_wanted).any():
        there = ", ".join(dict.fromkeys(ions.elements[i] for i in ions.anion_element))
        raise ConfigError(f"filter: leaves no anion; the ion table has {there}")
    bits = bit[np.concatenate([ions.cation_element, ions.anion_element])]
    return SearchFilter(permitted[ions.cation_element], anion_allowed, anion_wanted, bits, int(bit.sum()), wanted.max_coefficient)


def _mask(index: dict[str, int], symbols: Collection[str]) -> np.ndarray:
    mask = np.zeros(len(index), bool)
    mask[[index[symbol] for symbol in symbols]] = True
    return mask
