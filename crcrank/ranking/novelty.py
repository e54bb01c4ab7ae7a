"""Known compounds that differ from candidates in one ion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crcrank.space.positions import Codes, Marks, Positions, similarity
from crcrank.space.ranges import written_out
from crcrank.space.space import Candidates, Space


@dataclass(frozen=True)
class OneIonAway:
    """Pairs of a candidate and a known one that differ in one ion, those of a candidate together, its most alike first.

    Attributes
    ----------
    row, known
        Which candidate and which known one, int64 (n,).
    old, new
        The ion of the known one and that of the candidate in its place, indices of cations, then anions, int64 (n,).
    alike
        How alike the two ions are: the cosine of the surroundings in which known compounds of the class have them, float64 (n,).
    """

    row: np.ndarray
    known: np.ndarray
    old: np.ndarray
    new: np.ndarray
    alike: np.ndarray

    def counts(self, n_rows: int) -> np.ndarray:
        """Return the number of pairs of each of ``n_rows`` candidates, int64 (n_rows,)."""
        return np.bincount(self.row, minlength=n_rows)

    def first(self) -> dict[int, int]:
        """Return the first pair of each candidate that has one."""
        rows, first = np.unique(self.row, return_index=True)
        return dict(zip(rows.tolist(), first.tolist(), strict=True))


def one_ion_away(space: Space, name: str, known: Candidates, candidates: Candidates) -> OneIonAway:
    """Return which known candidates of class ``name`` differ from which candidates in one ion."""
    codes = Codes.of(space)
    among, asked = Positions(space, name, known, codes), Positions(space, name, candidates, codes)
    order = np.argsort(among.surroundings.ravel(), kind="stable")
    present, wanted = among.surroundings.ravel()[order], asked.surroundings.ravel()
    first, last = np.searchsorted(present, wanted, "left"), np.searchsorted(present, wanted, "right")
    place, found = written_out(first, last - first)
    found = order[found]
    old, new = among.ions.ravel()[found], asked.ions.ravel()[place]
    n_positions = asked.ions.shape[1]
    alike = similarity(Marks.of_ions(among).shared(len(space.ions.labels)))[old, new]
    pairs = OneIonAway(place // n_positions, found // n_positions, old, new, alike)
    kept = np.flatnonzero(old != new)
    order = kept[np.lexsort((pairs.known[kept], -alike[kept], pairs.row[kept]))]
    return OneIonAway(pairs.row[order], pairs.known[order], old[order], new[order], alike[order])
