"""Ranking with one model, or in two stages: the first searches the whole class, the second orders its best anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from crcrank.models.contract import Recommender
from crcrank.ranking.best import Ranked
from crcrank.ranking.limits import NO_LIMITS, Limits
from crcrank.ranking.search import ClassRanking, rank_class
from crcrank.space.space import Candidates, Space

_DEEPER = 4


@dataclass(frozen=True)
class Stages:
    """What ranks a class.

    Attributes
    ----------
    first
        Each of them searches all candidates; more than one only before a second stage.
    second
        Orders the best of all of them anew, if given.
    depth
        Formulas of each that it orders, if not more are asked for.
    """

    first: tuple[Recommender, ...]
    second: Recommender | None
    depth: int

    @classmethod
    def of(cls, model: Recommender, reranker: Recommender | None, depth: int) -> Stages:
        """Return the stages of a model, which may have a second one of its own, or that of another model instead."""
        first = getattr(model, "first_stage", None)
        if first is None:
            return cls((model,), reranker, depth)
        return cls(first, reranker or model, depth)

    @property
    def scorer(self) -> Recommender:
        """The model whose scores are listed."""
        return self.second or self.first[0]

    def rank(self, space: Space, name: str, k: int, *, limits: Limits = NO_LIMITS, **options: Any) -> ClassRanking:
        """Return the ``k`` best formulas of class ``name``; ``options`` are those of :func:`rank_class`.

        Where the limits leave fewer than ``k`` of what the second stage orders, it is given four times as many.
        """
        if self.second is None:
            return rank_class(space, name, self.first[0].program(name), k, limits=limits, **options)
        depth, n_scored = max(k, self.depth), 0
        while True:
            found, candidates = search_all(self.first, space, name, depth, **options)
            n_scored += sum(item.n_scored for item in found)
            ranked = _ordered(space, name, candidates, self.second.scores(name, candidates), limits, k)
            if len(ranked) == k or all(len(item.ranked) < depth for item in found):
                return replace(found[0], ranked=ranked, n_scored=n_scored)
            depth *= _DEEPER

    def listing(self, space: Space, name: str, k: int, **options: Any) -> ClassRanking:
        """Return the ``k`` best formulas of class ``name``, or all that a second stage orders, if those are more."""
        if self.second is None:
            return self.rank(space, name, k, **options)
        found, candidates = search_all(self.first, space, name, max(k, self.depth), **options)
        ranked = _ordered(space, name, candidates, self.second.scores(name, candidates), NO_LIMITS, len(candidates))
        return replace(found[0], ranked=ranked, n_scored=sum(item.n_scored for item in found))


def search_all(models: Sequence[Recommender], space: Space, name: str, depth: int, **options: Any) -> tuple[list[ClassRanking], Candidates]:
    """Return the ``depth`` best of class ``name`` by each model, and the candidates of all of them, each formula once."""
    found = [rank_class(space, name, model.program(name), depth, **options) for model in models]
    return found, distinct(space, name, [item.ranked.candidates for item in found])


def distinct(space: Space, name: str, lists: Sequence[Candidates]) -> Candidates:
    """Return the candidates of several lists, each formula once, as the first list has it."""
    joined = lists[0]
    for item in lists[1:]:
        joined = joined.joined(item)
    return joined.take(np.sort(np.unique(space.composition_keys(name, joined), return_index=True)[1]))


def _ordered(space: Space, name: str, candidates: Candidates, scores: np.ndarray, limits: Limits, k: int) -> Ranked:
    """Return the ``k`` best within the limits by score, float64 (n,), then by candidate_id."""
    ids = space.encode(name, candidates)
    order = np.lexsort((ids, -scores))
    rows = order[limits.kept(space, name, candidates.take(order))][:k]
    return Ranked(space, name, candidates.take(rows), scores[rows])
