"""Scores in cells of equal width: the histogram of a class, and where scores to be compared with lie in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crcrank.kernels.counting import FLAG, Levels
from crcrank.space.space import Candidates, Space

N_CELLS = 1 << 14
_CELLS_OF_A_BIN = 16


@dataclass(frozen=True)
class ScoreCells:
    """Cells of equal width; the first and the last take in all below and above.

    Attributes
    ----------
    low, width
        Lower end of the first cell, and the width of each.
    """

    low: float
    width: float

    @classmethod
    def spanning(cls, scores: np.ndarray) -> ScoreCells:
        """Return cells that hold these scores, float64 (n,), none of them in the first cell, nor near it."""
        low, high = float(scores.min(initial=np.inf)), float(scores.max(initial=-np.inf))
        width = max((high - low) / (N_CELLS - 8), 1e-9 * max(1.0, abs(low), abs(high)))
        return cls(low - 4 * width, width)

    def of(self, scores: np.ndarray) -> np.ndarray:
        """Return the cell of each score, int64 (n,)."""
        return np.clip((scores - self.low) * (1 / self.width), 0, N_CELLS - 1).astype(np.int64)

    def levels(self, scores: np.ndarray, margin: float) -> Levels:
        """Return the levels of scores, ascending and all different, for the kernel, whose scores are off by ``margin`` at most."""
        margin += 2.0**-50 * (abs(self.low) + N_CELLS * self.width)
        first = np.searchsorted(self.of(scores + margin), np.arange(N_CELLS))
        return Levels(self.low, 1 / self.width, scores, first, margin)

    def flags(self, levels: Levels) -> np.ndarray:
        """Return the counts that cells start with, int64 (N_CELLS,): :data:`FLAG` where a level is near."""
        n_reached = np.searchsorted(self.of(levels.level - levels.margin), np.arange(N_CELLS), side="right")
        return np.where(n_reached > levels.first, FLAG, 0)

    def histogram(self, n_by_cell: np.ndarray) -> Histogram:
        """Return a coarser histogram, given the number of candidates in each cell, int64 (N_CELLS,)."""
        counts = n_by_cell.reshape(-1, _CELLS_OF_A_BIN).sum(axis=1)
        return Histogram(self.low + _CELLS_OF_A_BIN * self.width * np.arange(len(counts) + 1), counts)

    def count(self, scores: np.ndarray) -> Histogram:
        """Return the histogram of scores, float64 (n,)."""
        return self.histogram(np.bincount(self.of(scores), minlength=N_CELLS))


@dataclass(frozen=True)
class Histogram:
    """Numbers by score; the first and the last bin take in all below and above.

    Attributes
    ----------
    edges
        float64 (n_bins + 1,).
    counts
        int64 (n_bins,).
    """

    edges: np.ndarray
    counts: np.ndarray


class Standing:
    """The place of candidates among some targets, in the order of a ranking: score descending, then candidate_id ascending.

    Parameters
    ----------
    space
        The space.
    targets, scores
        Candidates of one class with their scores, float64 (n,).
    """

    def __init__(self, space: Space, targets: Candidates, scores: np.ndarray) -> None:
        self._space = space
        keys = space.order_keys(targets)
        self._order = np.lexsort((-keys, scores))  # the worst first
        self._scores, self._keys = scores[self._order], keys[self._order]

    @property
    def levels(self) -> np.ndarray:
        """The scores of the targets, ascending and all different."""
        return np.unique(self._scores)

    def n_passed(self, candidates: Candidates, scores: np.ndarray) -> np.ndarray:
        """Return how many of the targets each candidate comes before, int64 (n,)."""
        n = self.n_below(scores)
        if not len(self._scores):
            return n
        tied = np.flatnonzero(self._scores[np.minimum(n, len(self._scores) - 1)] == scores)
        keys = self._space.order_keys(candidates.take(tied))
        for score in np.unique(scores[tied]):
            own, (first, end) = scores[tied] == score, np.searchsorted(self._scores, [score, np.nextafter(score, np.inf)])
            n[tied[own]] += np.searchsorted(-self._keys[first:end], -keys[own])
        return n

    def n_below(self, scores: np.ndarray) -> np.ndarray:
        """Return how many of the targets score below, int64 (n,)."""
        return np.searchsorted(self._scores, scores)

    def n_before(self, counts: np.ndarray) -> np.ndarray:
        """Return for each target how many candidates come before it, given their number by :meth:`n_passed`, int64 (n_targets + 1,)."""
        before = np.empty(len(self._order), np.int64)
        before[self._order] = np.cumsum(counts[::-1])[::-1][1:]
        return before
