"""Ranking with one model, or with two: the first searches the whole class, the second orders its best anew."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from crcrank.models.contract import Recommender
from crcrank.progress import ProgressSink
from crcrank.ranking.best import Ranked
from crcrank.ranking.filters import SearchFilter
from crcrank.ranking.search import ClassRanking, rank_class
from crcrank.space.space import Space


@dataclass(frozen=True)
class Stages:
    """What ranks a class.

    Attributes
    ----------
    first
        Searches all candidates.
    second
        Orders the best of them anew, if given.
    depth
        Formulas that it orders, if not more are asked for.
    """

    first: Recommender
    second: Recommender | None
    depth: int

    @classmethod
    def of(cls, model: Recommender, reranker: Recommender | None, depth: int) -> Stages:
        """Return the stages of a model, which may have a second one of its own, or that of another model instead."""
        first = getattr(model, "first_stage", None)
        if first is None:
            return cls(model, reranker, depth)
        return cls(first, reranker or model, depth)

    @property
    def scorer(self) -> Recommender:
        """The model whose scores are listed."""
        return self.second or self.first

    def rank(
        self,
        space: Space,
        name: str,
        k: int,
        *,
        excluded: np.ndarray,
        search_filter: SearchFilter,
        n_threads: int = 1,
        prune: bool = True,
        progress: ProgressSink | None = None,
    ) -> ClassRanking:
        """Return the ``k`` best formulas of class ``name``; parameters are those of :func:`rank_class`."""
        found = rank_class(
            space,
            name,
            self.first.program(name),
            max(k, self.depth) if self.second else k,
            excluded=excluded,
            search_filter=search_filter,
            n_threads=n_threads,
            prune=prune,
            progress=progress,
        )
        if self.second is None:
            return found
        return replace(found, ranked=_reordered(found.ranked, self.second.scores(name, found.ranked.candidates), k))


def _reordered(ranked: Ranked, scores: np.ndarray, k: int) -> Ranked:
    """Return the ``k`` best by other scores, float64 (n,), then by candidate_id."""
    rows = np.lexsort((ranked.ids, -scores))[:k]
    return Ranked(ranked.candidates.take(rows), ranked.ids[rows], scores[rows])
