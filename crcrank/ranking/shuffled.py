"""The best formulas of a class whose candidates stand in a random order."""

from __future__ import annotations

import numpy as np

from crcrank.progress import ProgressSink
from crcrank.ranking.best import BestFormulas, Ranked
from crcrank.ranking.filters import SearchFilter
from crcrank.ranking.limits import Limits
from crcrank.space.shuffled import ShuffledScores
from crcrank.space.space import Space

_CHUNK = 1 << 14


def rank_shuffled(
    space: Space,
    name: str,
    program: ShuffledScores,
    k: int,
    *,
    excluded: np.ndarray,
    search_filter: SearchFilter,
    limits: Limits,
    progress: ProgressSink,
) -> tuple[Ranked, int]:
    """Return the ``k`` best formulas of a class, and how many candidates were looked at: from the best place on, until there are k."""
    n_candidates = program.n_candidates
    progress.start(f"rank {name}", n_candidates, "candidates")
    best = BestFormulas(space, name, k, excluded, limits)
    n_scored = 0
    while n_scored < n_candidates and best.threshold == -np.inf:
        places = np.arange(n_scored, min(n_scored + _CHUNK, n_candidates))
        candidates = space.decode(name, program.ids_at(places))
        rows = np.flatnonzero(search_filter.passes(space, name, candidates))
        best.offer(candidates.take(rows), program.scores_at(places[rows]))
        n_scored += len(places)
        progress.advance(len(places))
    return best.ranked(), n_scored
