"""Search a whole class for its best formulas with several threads, exactly and in bounded memory."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from crcrank.errors import ArtifactError
from crcrank.kernels.pairwise import BlockArrays, PairwiseProgram, fill_scores
from crcrank.kernels.search import Hits, search_blocks, workspace
from crcrank.progress import ProgressSink, SilentProgress
from crcrank.ranking.best import BestFormulas, Ranked
from crcrank.ranking.filters import SearchFilter
from crcrank.space.space import Candidates, Space

_HIT_CAPACITY = 1 << 16
_N_PIECES = 256
# Products of two larger numbers, summed over factors and positions, can overflow single precision.
_LARGEST_PARAMETER = 1e15


@dataclass(frozen=True)
class ClassRanking:
    """The best formulas of a class, and how many of its candidates were scored one by one."""

    ranked: Ranked
    n_candidates: int
    n_scored: int


def score_margin(program: PairwiseProgram, n_slots: int) -> float:
    """Return a bound on the difference between a float32 and a float64 score of ``program``.

    A sum of ``n`` products is off by at most ``n`` units in the last place of the sum of their absolute values (Higham,
    Accuracy and Stability of Numerical Algorithms, 2002, section 3.1); norms bound those sums. What underflows is off by less
    than the smallest normal number.
    """

    def norm(array: np.ndarray) -> float:
        return float(np.sqrt((array**2).sum(axis=-1)).max(initial=0.0))

    def largest(array: np.ndarray) -> float:
        return float(np.abs(array).max(initial=0.0))

    n_positions = n_slots + 1
    vector = norm(program.slope) + max(norm(program.row), norm(program.anion_row))
    unary = largest(program.bias) + largest(program.fraction_bias) + largest(program.anion_bias)
    unary += largest(program.anion_fraction_bias) + largest(program.curve) + vector * norm(program.stoichiometry_row)
    pairs = n_positions * n_slots / 2 * (vector**2 + largest(program.curve))
    n_operations = 2 * program.row.shape[3] + 16 * n_positions
    total = largest(program.stoichiometry_bias) + n_positions * unary + pairs
    return float(n_operations * (2.0**-23 * total + 2.0**-126))


def rank_class(
    space: Space,
    name: str,
    program: PairwiseProgram,
    k: int,
    *,
    excluded: np.ndarray,
    search_filter: SearchFilter,
    n_threads: int = 1,
    prune: bool = True,
    progress: ProgressSink | None = None,
) -> ClassRanking:
    """Return the ``k`` best formulas among all candidates of a class.

    Parameters
    ----------
    program
        The float64 scoring program; float32 finds, float64 decides.
    excluded
        Composition keys that are not listed (the known formulas), sorted, int64.
    prune
        Skip what bounds exclude; the result is the same without.

    Raises
    ------
    ArtifactError
        If the program holds numbers that are not finite, or too large for single precision.
    """
    if not all(np.isfinite(array).all() for array in program):
        raise ArtifactError(f"the model's parameters for class {name!r} are not all finite: train it again")
    if max(np.abs(array).max(initial=0.0) for array in program) > _LARGEST_PARAMETER:
        raise ArtifactError(f"the model's parameters for class {name!r} are beyond {_LARGEST_PARAMETER:g}: train it again")
    search = _Search(space, name, program, BestFormulas(space, name, k, excluded), search_filter, prune)
    progress = progress or SilentProgress()
    progress.start(f"rank {name}", space.classes[name].n_candidates, "candidates")
    pieces = search.pieces()
    with ThreadPoolExecutor(n_threads) as pool:
        try:
            for n_done in pool.map(search.run, pieces):
                progress.advance(n_done)
        except BaseException:
            search.stopped.set()
            pool.shutdown(cancel_futures=True)
            raise
    n_candidates = space.classes[name].n_candidates
    return ClassRanking(search.best.ranked(), n_candidates, search.n_scored if prune else n_candidates)


class _Search:
    """One search of a class, shared by its threads; only ``best`` and the counters need the lock."""

    def __init__(
        self, space: Space, name: str, program: PairwiseProgram, best: BestFormulas, search_filter: SearchFilter, prune: bool
    ) -> None:
        self._blocks: BlockArrays = space.block_arrays(name)
        self._sizes = space.classes[name].block_size
        self._program = program
        self._quick = PairwiseProgram(*(np.ascontiguousarray(array, np.float32) for array in program))
        self._margin = score_margin(program, self._blocks.size.shape[1])
        self._filter, self._prune = search_filter, prune
        self._allowed_blocks = search_filter.allowed_blocks(space, name)
        self._local = threading.local()
        self._lock = threading.Lock()
        self.best = best
        self.n_scored = 0
        self.stopped = threading.Event()

    def pieces(self) -> list[np.ndarray]:
        """Return the allowed blocks in pieces of about equal work, promising stoichiometries first."""
        bias = (
            self._program.stoichiometry_bias[self._blocks.stoichiometry]
            + self._program.anion_bias[self._blocks.anion, self._blocks.anion_coefficient - 1]
        )
        order = np.argsort(-bias, kind="stable")
        order = order[self._allowed_blocks[order]]
        work = np.cumsum(self._sizes[order] + 2000.0)
        if not len(order):
            return []
        cuts = np.unique(np.searchsorted(work, work[-1] * np.arange(1, _N_PIECES) / _N_PIECES))
        return [piece for piece in np.split(order, cuts) if len(piece)]

    def run(self, piece: np.ndarray) -> int:
        """Search a piece; return the number of its candidates."""
        work, hits = self._scratch()
        state = np.array([0, len(piece), 0, 0], np.int64)
        filters = (self._filter.allowed, self._filter.bits, self._filter.wanted)
        while state[0] < state[1] and not self.stopped.is_set():
            threshold = np.float32(np.nextafter(np.float32(self.best.threshold - self._margin), np.float32(-np.inf)))
            n_hits = search_blocks(self._quick, self._blocks, piece, state, threshold, self._prune, filters, work, hits)
            if n_hits:
                self._take(Candidates(hits.block[:n_hits], hits.cations[:n_hits]))
        with self._lock:
            self.n_scored += int(state[3])
        return int(self._sizes[piece].sum())

    def _take(self, candidates: Candidates) -> None:
        scores = np.empty(len(candidates))
        fill_scores(self._program, self._blocks, candidates.blocks, candidates.cations, scores)
        with self._lock:
            self.best.offer(candidates, scores)

    def _scratch(self) -> tuple[object, Hits]:
        if not hasattr(self._local, "work"):
            n_slots, largest = self._blocks.size.shape[1], int(self._blocks.size.max())
            capacity = max(_HIT_CAPACITY, largest**2)
            self._local.work = workspace(n_slots, largest, self._program.row.shape[3])
            self._local.hits = Hits(np.empty(capacity, np.int64), np.empty((capacity, n_slots), np.int64))
        return self._local.work, self._local.hits
