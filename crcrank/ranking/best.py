"""The best formulas seen so far: each formula once, with its best candidate."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from crcrank.ranking.limits import NO_LIMITS, Limits
from crcrank.space.lookup import places_in
from crcrank.space.space import Candidates, Space


@dataclass(frozen=True)
class Ranked:
    """Candidates in the order of their rank: score descending, then candidate_id ascending.

    Attributes
    ----------
    space, name
        The space, and the class.
    candidates
        The candidates.
    scores
        float64 (n,).
    """

    space: Space
    name: str
    candidates: Candidates
    scores: np.ndarray

    def __len__(self) -> int:
        return len(self.scores)

    @cached_property
    def ids(self) -> np.ndarray:
        """The candidate_ids, int64 (n,), counted when they are asked for: the next class need not wait for them."""
        return self.space.encode(self.name, self.candidates)

    def first(self, k: int) -> Ranked:
        """Return the first ``k``."""
        return Ranked(self.space, self.name, self.candidates.take(np.arange(min(k, len(self)))), self.scores[:k])


class BestFormulas:
    """Keeps the ``k`` best formulas of a class among the candidates offered, in any order and number of offers.

    Parameters
    ----------
    space, name
        The class.
    k
        Formulas to keep.
    excluded
        Composition keys (:meth:`Space.composition_keys`) that are never listed, sorted, int64.
    limits
        How many formulas of a kind are kept. Families lie in systems, so that what is left out for a better one never comes back.
    """

    def __init__(self, space: Space, name: str, k: int, excluded: np.ndarray, limits: Limits = NO_LIMITS) -> None:
        self._space, self._name, self.k, self._excluded, self._limits = space, name, k, excluded, limits
        self._candidates = Candidates(np.empty(0, np.int64), np.empty((0, space.classes[name].composition_class.n_cations), np.int64))
        self.keys = np.empty(0, np.int64)
        self._scores = np.empty(0, np.float64)

    @property
    def threshold(self) -> float:
        """Score below which a candidate cannot enter; -inf until there are ``k`` formulas."""
        return float(self._scores[-1]) if len(self._scores) == self.k else -np.inf

    def admits(self, candidates: Candidates, score: float) -> bool:
        """Return whether any of some candidates can enter that all score the same, in the order of their candidate_id."""
        if score != self.threshold:
            return score > self.threshold
        first, last = ((int(c.blocks[i]), *c.cations[i].tolist()) for c, i in ((candidates, 0), (self._candidates, -1)))
        return first < last

    def offer(self, candidates: Candidates, scores: np.ndarray) -> None:
        """Take in candidates with their float64 scores (n,)."""
        kept = np.flatnonzero(scores >= self.threshold)
        candidates, scores = candidates.take(kept), scores[kept]
        keys = self._space.composition_keys(self._name, candidates)
        kept = np.flatnonzero(places_in(self._excluded, keys) < 0)
        candidates, scores, keys = candidates.take(kept), scores[kept], keys[kept]
        if not len(keys):
            return
        candidates = self._candidates.joined(candidates)
        scores, keys = np.concatenate([self._scores, scores]), np.concatenate([self.keys, keys])
        order = _ranking_order(candidates, scores)
        rows = order[np.sort(np.unique(keys[order], return_index=True)[1])]
        rows = rows[self._limits.kept(self._space, self._name, candidates.take(rows))][: self.k]
        self._candidates, self._scores, self.keys = candidates.take(rows), scores[rows], keys[rows]

    def ranked(self) -> Ranked:
        """Return what is kept, best first."""
        return Ranked(self._space, self._name, self._candidates, self._scores)


def _ranking_order(candidates: Candidates, scores: np.ndarray) -> np.ndarray:
    """Return the rows by score, then by candidate_id: within a class, ids ascend with the block and the cations of its slots."""
    order = np.argsort(-scores)
    ordered = scores[order]
    if (ordered[1:] < ordered[:-1]).all():  # equal scores are rare, and to sort by all columns takes several times as long
        return order
    return np.lexsort((*candidates.cations.T[::-1], candidates.blocks, -scores))
