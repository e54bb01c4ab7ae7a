"""The best formulas of a class in which few candidates have a score of their own."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from crcrank.errors import ArtifactError
from crcrank.progress import ProgressSink
from crcrank.ranking.best import BestFormulas, Ranked
from crcrank.ranking.filters import SearchFilter
from crcrank.ranking.limits import Limits
from crcrank.space.listed import ListedScores
from crcrank.space.space import Candidates, Space

_CHUNK = 1 << 16


def rank_listed(
    space: Space,
    name: str,
    program: ListedScores,
    k: int,
    *,
    excluded: np.ndarray,
    search_filter: SearchFilter,
    limits: Limits,
    progress: ProgressSink,
) -> tuple[Ranked, int]:
    """Return the ``k`` best formulas of a class, and how many candidates were looked at.

    All listed candidates are looked at, the rest in the order of their candidate_id until no other can enter.

    Raises
    ------
    ArtifactError
        If a score is not finite.
    """
    if not (np.isfinite(program.scores).all() and np.isfinite(program.rest)):
        raise ArtifactError(f"the model's scores for class {name!r} are not all finite: train it again")
    progress.start(f"rank {name}", space.classes[name].n_candidates, "candidates")
    best = BestFormulas(space, name, k, excluded, limits)
    own = program.scores != program.rest
    rows = np.flatnonzero(own & search_filter.passes(space, name, program.candidates))
    best.offer(program.candidates.take(rows), program.scores[rows])
    n_scored = len(program.candidates)
    walk = Walk(space, name, search_filter)
    for block in np.flatnonzero(search_filter.allowed_blocks(space, name)).tolist():
        for candidates in walk.block(block):
            if best.threshold >= program.rest:
                return best.ranked(), n_scored
            scores = program.scores_of(space, name, candidates)
            best.offer(candidates.take(np.flatnonzero(scores == program.rest)), scores[scores == program.rest])
            n_scored += len(candidates)
        progress.advance(int(space.classes[name].block_size[block]))
    return best.ranked(), n_scored


class Walk:
    """Writes the candidates of a block that a filter lets pass, in the order of their candidate_id."""

    def __init__(self, space: Space, name: str, search_filter: SearchFilter) -> None:
        self._blocks, self._filter = space.block_arrays(name), search_filter

    def block(self, block: int) -> Iterator[Candidates]:
        """Yield the candidates of a block, some at a time."""
        anions = np.bitwise_or.reduce(self._filter.bits[len(self._filter.allowed) + self._blocks.anions[block]])
        for cations in self._filled(block, np.empty((1, 0), np.int64), np.full(1, anions)):
            yield Candidates(np.full(len(cations), block), cations)

    def _filled(self, block: int, prefixes: np.ndarray, have: np.ndarray) -> Iterator[np.ndarray]:
        """Yield what the cations of the first slots (n, slot) grow to; ``have`` (n,) holds their required elements and the anions'."""
        slot, n_slots = prefixes.shape[1], self._blocks.size.shape[1]
        if slot == n_slots:
            yield prefixes
            return
        ions = self._ions(block, slot)
        step = max(1, _CHUNK // max(1, len(ions)))
        for first in range(0, len(prefixes) if len(ions) else 0, step):
            part = prefixes[first : first + step]
            rows, columns = np.divmod(np.arange(len(part) * len(ions)), len(ions))
            cations = np.column_stack([part[rows], ions[columns]])
            grown = have[first + rows] | self._filter.bits[ions[columns]]
            kept = np.flatnonzero(self._differ(block, slot, cations) & (np.bitwise_count(self._filter.wanted & ~grown) < n_slots - slot))
            yield from self._filled(block, cations[kept], grown[kept])

    def _ions(self, block: int, slot: int) -> np.ndarray:
        blocks = self._blocks
        ions = blocks.start[block, slot] + np.arange(blocks.size[block, slot])
        other = ~np.isin(blocks.cation_element[ions], blocks.anion_element[blocks.anions[block]])
        return np.asarray(ions[self._filter.allowed[ions] & other])

    def _differ(self, block: int, slot: int, cations: np.ndarray) -> np.ndarray:
        """Return whether the last cation is of a new element, and ascends in a run, bool (n,)."""
        elements = self._blocks.cation_element[cations]
        differ = (elements[:, :-1] != elements[:, -1:]).all(axis=1)
        if self._blocks.run[block, slot]:
            differ &= cations[:, slot - 1] < cations[:, slot]
        return np.asarray(differ)
