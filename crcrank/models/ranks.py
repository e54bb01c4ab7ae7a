"""The exact rank of given formulas in the ranking of a whole class, however deep they lie.

The list of a ranking holds each formula once. After its last formula it goes on with every other candidate, in the order of the
first model that searches; there a formula has a place for each of its ion assignments, and the best is its rank. So a rank
within the list counts formulas, and beyond it the formulas listed and the candidates that come before.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crcrank.models.staged import Stages
from crcrank.progress import ProgressSink
from crcrank.ranking.best import Ranked
from crcrank.ranking.cells import Histogram, Standing
from crcrank.ranking.counting import count_before, program_scores
from crcrank.ranking.filters import SearchFilter
from crcrank.space.lookup import places_in
from crcrank.space.placement import Placements
from crcrank.space.programs import RankingProgram
from crcrank.space.space import Candidates


@dataclass(frozen=True)
class FormulaRanks:
    """Formulas with their ranks, in the order in which they were asked for.

    Attributes
    ----------
    composition
        Which of the compositions asked for, int64 (n,).
    candidates
        What stands for the formula: the listed candidate, or else the best of its candidates.
    ranks
        From 1, int64 (n,).
    is_listed
        Whether the list itself holds the formula, bool (n,).
    search_scores
        Scores by the first model, float64 (n,).
    histogram
        Of the scores of all candidates by the first model.
    n_known, n_asked
        Candidates of known formulas, and formulas asked for, by the bins of the histogram, int64 (n_bins,).
    """

    composition: np.ndarray
    candidates: Candidates
    ranks: np.ndarray
    is_listed: np.ndarray
    search_scores: np.ndarray
    histogram: Histogram
    n_known: np.ndarray
    n_asked: np.ndarray


def formula_ranks(
    stages: Stages,
    listing: Ranked,
    asked: Placements,
    *,
    known: Candidates,
    listed: Candidates,
    search_filter: SearchFilter,
    n_threads: int,
    progress: ProgressSink,
) -> FormulaRanks:
    """Rank formulas in one class.

    Parameters
    ----------
    listing
        All that :meth:`Stages.listing` lists, with the same filter.
    asked
        Candidates of the formulas, none of which is known.
    known, listed
        All candidates of the known formulas, and of those listed.
    """
    space, name = asked.space, asked.name
    program = stages.first[0].program(name)
    asked, scores = _best(program, asked.taken(np.flatnonzero(search_filter.passes(space, name, asked.candidates))))
    others = known.joined(listed)
    others = others.take(np.flatnonzero(search_filter.passes(space, name, others)))
    n_known = int(search_filter.passes(space, name, known).sum())
    other_scores = program_scores(space, name, program, others)
    counted = count_before(
        space,
        name,
        program,
        asked.candidates,
        search_filter=search_filter,
        extremes=other_scores,
        n_threads=n_threads,
        progress=progress,
    )
    standing = Standing(space, asked.candidates, scores)
    n_passed = np.bincount(standing.n_passed(others, other_scores), minlength=len(asked) + 1)
    ranks = 1 + len(listing) + counted.n_before - standing.n_before(n_passed)
    places = _places(listing, asked.candidates)
    candidates, is_listed = _as_listed(listing.candidates, places, asked.candidates), places >= 0
    return FormulaRanks(
        composition=asked.composition,
        candidates=candidates,
        ranks=np.where(is_listed, places + 1, ranks),
        is_listed=is_listed,
        search_scores=program_scores(space, name, program, candidates),
        histogram=counted.histogram,
        n_known=counted.cells.count(other_scores[:n_known]).counts,
        n_asked=counted.cells.count(scores).counts,
    )


def _best(program: RankingProgram, asked: Placements) -> tuple[Placements, np.ndarray]:
    """Return the best candidate of each composition, and its score: that which comes first in a ranking."""
    scores = program_scores(asked.space, asked.name, program, asked.candidates)
    order = np.lexsort((asked.space.order_keys(asked.candidates), -scores, asked.composition))
    rows = order[np.unique(asked.composition[order], return_index=True)[1]]
    return asked.taken(rows), scores[rows]


def _places(listing: Ranked, candidates: Candidates) -> np.ndarray:
    """Return where the list holds the formula of each candidate, -1 where it does not, int64 (n,)."""
    keys, wanted = (listing.space.composition_keys(listing.name, item) for item in (listing.candidates, candidates))
    order = np.argsort(keys)
    return np.asarray(np.append(order, -1)[places_in(keys[order], wanted)])


def _as_listed(listed: Candidates, places: np.ndarray, candidates: Candidates) -> Candidates:
    """Return what the list has at these places, and the candidates themselves where a place is -1."""
    rows = np.where(places >= 0, places, len(listed) + np.arange(len(places)))
    return listed.joined(candidates).take(rows)
