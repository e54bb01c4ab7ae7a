"""What among the known could explain the rank of a compound: how many known compounds share its ions, pairs and stoichiometry."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from crcrank.space.placement import Placements
from crcrank.space.space import Space

_FEW = 3
_SHARING, _STOICHIOMETRY, _AND = " compounds with ", "this stoichiometry", " and "

RARITIES = ("nothing rare", "a rare pair of ions", "a rare stoichiometry", "a new stoichiometry", "a rare ion", "a new ion")
"""What can be rare about a compound, the least first: shared by one to three known compounds, or new, shared by none."""


def rare_parts(reason: str) -> list[tuple[str, int]]:
    """Return what a reason names, and how many known compounds share it; the rarest first, nothing where nothing is rare.

    Examples
    --------
    >>> rare_parts("known ternary compounds with this stoichiometry: 0, N1+ and I1-: 2")
    [('this stoichiometry', 0), ('N1+ and I1-', 2)]
    """
    parts = (part.rpartition(": ") for part in reason.partition(_SHARING)[2].split(", ") if part)
    return [(what, int(n)) for what, _, n in parts]


def rarity_of(reason: str) -> str:
    """Return which of :data:`RARITIES` a reason comes down to: an ion counts for more than a stoichiometry, and that than a pair.

    Examples
    --------
    >>> rarity_of("known ternary compounds with this stoichiometry: 0, N1+ and I1-: 2")
    'a new stoichiometry'
    """
    return max((_rarity(what, n) for what, n in rare_parts(reason)), key=RARITIES.index, default=RARITIES[0])


def _rarity(what: str, n_known: int) -> str:
    if _AND in what:
        return "a rare pair of ions"
    return f"a {'rare' if n_known else 'new'} {'stoichiometry' if what == _STOICHIOMETRY else 'ion'}"


@dataclass(frozen=True)
class KnownCounts:
    """How many known compositions of a class hold each ion, each cation together with each anion, and each stoichiometry.

    Attributes
    ----------
    cation, anion, pair, stoichiometry
        int64 (n_cations,), (n_anions,), (n_cations, n_anions), (n_stoichiometries,).
    """

    space: Space
    name: str
    cation: np.ndarray
    anion: np.ndarray
    pair: np.ndarray
    stoichiometry: np.ndarray

    @classmethod
    def of(cls, placed: Placements) -> KnownCounts:
        """Count each composition by its likeliest assignment."""
        space, known = placed.space, placed.best().candidates
        item, n_cations, n_anions = space.classes[placed.name], len(space.ions.cations), len(space.ions.anions)
        anions = item.block_anions[known.blocks]
        pairs = known.cations[:, :, None] * n_anions + anions[:, None, :]
        pair = np.bincount(pairs.ravel(), minlength=n_cations * n_anions).reshape(n_cations, n_anions)
        stoichiometry = np.bincount(item.block_stoichiometry[known.blocks], minlength=len(item.stoichiometries.keys))
        cation, anion = np.bincount(known.cations.ravel(), minlength=n_cations), np.bincount(anions.ravel(), minlength=n_anions)
        return cls(space, placed.name, cation, anion, pair, stoichiometry)

    def reasons(self, ids: Sequence[int]) -> list[str]:
        """Return what few or no known compounds share with each candidate, the rarest first; nothing where all is common."""
        candidates = self.space.decode(self.name, np.array(ids, np.int64))
        parts = [
            sorted((n, what) for n, what in self._parts(block, cations) if n <= _FEW)
            for block, cations in zip(candidates.blocks.tolist(), candidates.cations.tolist(), strict=True)
        ]
        return [f"known {self.name}{_SHARING}" + ", ".join(f"{what}: {n}" for n, what in rare) if rare else "" for rare in parts]

    def _parts(self, block: int, cations: Sequence[int]) -> Iterator[tuple[int, str]]:
        """Yield how many known compounds share each part of a candidate; a pair says nothing new where one ion is rare itself."""
        item, labels = self.space.classes[self.name], self.space.ions.labels
        anions = item.block_anions[block].tolist()
        yield int(self.stoichiometry[item.block_stoichiometry[block]]), _STOICHIOMETRY
        yield from ((int(self.anion[a]), labels[len(self.space.ions.cations) + a]) for a in anions)
        for c in cations:
            yield int(self.cation[c]), labels[c]
            for a in anions:
                if min(self.cation[c], self.anion[a]) > _FEW:
                    yield int(self.pair[c, a]), f"{labels[c]}{_AND}{labels[len(self.space.ions.cations) + a]}"
