"""A program form for models whose score is the same for all candidates of a class but a listed few."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crcrank.space.lookup import places_in
from crcrank.space.space import Candidates, Space


@dataclass(frozen=True)
class ListedScores:
    """The scores of a class: one for each listed candidate, and one for all the rest.

    Attributes
    ----------
    candidates
        The listed, each once, in the order of their candidate_id and written as :meth:`Space.decode` writes them.
    scores
        float64 (n,).
    rest
        Score of every candidate that is not listed.
    """

    candidates: Candidates
    scores: np.ndarray
    rest: float

    @classmethod
    def sums(cls, space: Space, name: str, candidates: Candidates, scores: np.ndarray, rest: float = 0.0) -> ListedScores:
        """Return the list of some candidates in any order; scores (n,) of a candidate that comes several times are added up."""
        candidates = space.in_order(name, candidates)
        _, first, inverse = np.unique(space.order_keys(candidates), return_index=True, return_inverse=True)
        return cls(candidates.take(first), np.bincount(inverse, scores, len(first)), rest)

    def scores_of(self, space: Space, name: str, candidates: Candidates) -> np.ndarray:
        """Return the scores of candidates of class ``name``, float64 (n,)."""
        rows = places_in(space.order_keys(self.candidates), space.order_keys(space.in_order(name, candidates)))
        return np.asarray(np.append(self.scores, self.rest)[rows])
