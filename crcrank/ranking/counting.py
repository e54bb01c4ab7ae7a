"""How many candidates of a class come before each of some targets, and the histogram of all scores, for any form of program."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from crcrank.kernels.counting import Counts, count_blocks, fill_sizes
from crcrank.kernels.forms import DOUBLE, ScoringProgram, form_of
from crcrank.progress import ProgressSink, SilentProgress
from crcrank.ranking.cells import N_CELLS, Histogram, ScoreCells, Standing
from crcrank.ranking.filters import SearchFilter
from crcrank.ranking.listed import Walk
from crcrank.ranking.search import BLOCK_WORK, checked_margin, made_ahead, new_hits, pieces, results, tile_of
from crcrank.space.listed import ListedScores
from crcrank.space.programs import RankingProgram
from crcrank.space.shuffled import ShuffledScores
from crcrank.space.space import Candidates, Space

_N_SAMPLED = 1 << 14
_CHUNK = 1 << 16


@dataclass(frozen=True)
class Counted:
    """What comes before some targets, and all scores.

    Attributes
    ----------
    n_before
        Candidates that the filter lets pass and that come before each target: they score more, or the same with a lower
        candidate_id, int64 (n,).
    histogram
        Of the scores of all candidates that the filter lets pass.
    cells
        What the histogram was made with: others can be counted by the same bins.
    """

    n_before: np.ndarray
    histogram: Histogram
    cells: ScoreCells


def count_before(
    space: Space,
    name: str,
    program: RankingProgram,
    targets: Candidates,
    *,
    search_filter: SearchFilter,
    extremes: np.ndarray | None = None,
    n_threads: int = 1,
    progress: ProgressSink | None = None,
) -> Counted:
    """Count exactly, over all candidates of a class that a filter lets pass.

    Parameters
    ----------
    targets
        Candidates of the class.
    extremes
        Scores that the histogram should reach, besides those of the targets and of a sample of the class, float64 (n,).

    Raises
    ------
    ArtifactError
        If the program holds numbers that are not finite, or too large for single precision.
    """
    progress = progress or SilentProgress()
    progress.start(f"count {name}", space.classes[name].n_candidates, "candidates")
    extremes = np.empty(0) if extremes is None else extremes
    if isinstance(program, ShuffledScores):
        return _count_shuffled(space, name, program, targets, search_filter)
    if isinstance(program, ListedScores):
        return _count_listed(space, name, program, targets, search_filter)
    count = _Count(space, name, program, targets, search_filter=search_filter, extremes=extremes, progress=progress)
    return count.counted(n_threads)


def program_scores(space: Space, name: str, program: RankingProgram, candidates: Candidates) -> np.ndarray:
    """Return the scores by which a ranking orders candidates of class ``name``, float64 (n,)."""
    if isinstance(program, (ListedScores, ShuffledScores)):
        return program.scores_of(space, name, candidates)
    scores = np.empty(len(candidates))
    form_of(program).fill_scores(program, space.block_arrays(name), candidates.blocks, candidates.cations, scores)
    return scores


class PassingOrder:
    """The candidates of some blocks that a filter lets pass, in the order of their candidate_id.

    Parameters
    ----------
    space, name, search_filter
        The class and the filter.
    chosen
        The blocks, bool (n_blocks,).
    """

    def __init__(self, space: Space, name: str, search_filter: SearchFilter, chosen: np.ndarray) -> None:
        self._space, self._name, self._filter, self._chosen = space, name, search_filter, chosen

    @property
    def n_candidates(self) -> int:
        """How many there are."""
        return int(self._sizes.sum())

    def n_before(self, candidates: Candidates) -> np.ndarray:
        """Return how many have a lower candidate_id than each candidate, which need not be one of them, int64 (n,)."""
        first = np.cumsum(self._sizes) - self._sizes
        return np.asarray(first[candidates.blocks] + np.where(self._chosen[candidates.blocks], self._n_before_in_block(candidates), 0))

    @cached_property
    def _sizes(self) -> np.ndarray:
        """Number in each block, int64 (n_blocks,)."""
        if self._filter.is_open:
            return np.where(self._chosen, self._space.classes[self._name].block_size, 0)
        blocks, sizes = self._space.block_arrays(self._name), np.zeros(len(self._chosen), np.int64)
        order = np.flatnonzero(self._chosen & self._filter.allowed_blocks(self._space, self._name))
        fill_sizes(blocks, order, _filters(self._filter), tile_of(blocks), sizes)
        return sizes

    def _n_before_in_block(self, candidates: Candidates) -> np.ndarray:
        if self._filter.is_open:
            item = self._space.classes[self._name]
            return np.asarray(self._space.encode(self._name, candidates) - item.block_first[candidates.blocks])
        n, keys = np.zeros(len(candidates), np.int64), self._space.order_keys(candidates)
        walk, allowed = Walk(self._space, self._name, self._filter), self._filter.allowed_blocks(self._space, self._name)
        for block in np.unique(candidates.blocks[(self._chosen & allowed)[candidates.blocks]]).tolist():
            own = np.flatnonzero(candidates.blocks == block)
            for part in walk.block(block):
                n[own] += np.searchsorted(np.sort(self._space.order_keys(part)), keys[own])
        return n


class _Count:
    """A count of one class, one set of anions after the other, shared by its threads; what each counts adds up in the end."""

    def __init__(
        self,
        space: Space,
        name: str,
        program: ScoringProgram,
        targets: Candidates,
        *,
        search_filter: SearchFilter,
        extremes: np.ndarray,
        progress: ProgressSink,
    ) -> None:
        self._space, self._name, self._filter, self._progress = space, name, search_filter, progress
        self._blocks = space.block_arrays(name)
        self._sizes = space.classes[name].block_size
        self._program, self._form = program, form_of(program)
        margin = DOUBLE * checked_margin(name, program, self._blocks.size.shape[1])
        self._constant = self._form.constant(program, self._blocks)
        self._targets, self._scores = targets, self._score(targets)
        self._standing = Standing(space, targets, self._scores)
        sampled = self._score(_sample(space, name))
        constant = self._constant[~np.isnan(self._constant)]
        self._cells = ScoreCells.spanning(np.concatenate([self._scores, extremes, sampled, constant]))
        self._levels = self._cells.levels(self._standing.levels, margin)
        self._flags = self._cells.flags(self._levels)
        self._local, self._lock, self._stopped = threading.local(), threading.Lock(), threading.Event()
        self._all_counts: list[Counts] = []
        self._n_passed = np.zeros(len(targets) + 1, np.int64)
        self._n_hits_by_cell = 0

    def counted(self, n_threads: int) -> Counted:
        """Count, and return what comes before each target."""
        with ThreadPoolExecutor(n_threads) as pool:
            try:
                for n_done in self._run(pool):
                    self._progress.advance(n_done)
            except BaseException:
                self._stopped.set()
                pool.shutdown(cancel_futures=True)
                raise
        n_by_cell = self._n_by_cell()
        n_before = self._standing.n_before(self._n_passed + self._n_passed_by_the_rest(n_by_cell))
        for score in np.unique(self._constant[~np.isnan(self._constant)]):
            n_before += self._n_constant_before(float(score), n_by_cell)
        return Counted(n_before, self._cells.histogram(n_by_cell), self._cells)

    def _run(self, pool: ThreadPoolExecutor) -> Iterator[int]:
        """Count all blocks; yield numbers of candidates whenever they are done."""
        order = np.flatnonzero(self._filter.allowed_blocks(self._space, self._name) & np.isnan(self._constant))
        work = self._sizes[order].sum() + BLOCK_WORK * len(order)
        yield from results(self._counted(pool, order, work))

    def _counted(self, pool: ThreadPoolExecutor, order: np.ndarray, all_work: float) -> Iterator[list[Future[int]]]:
        """Yield for each set of anions the count of its blocks; each returns a number of candidates."""
        for anion_set, program in made_ahead(pool, self._made, np.unique(self._blocks.anion_set[order])):
            own = order[self._blocks.anion_set[order] == anion_set]
            yield [pool.submit(self._count, program, piece) for piece in pieces(own, self._sizes, all_work, 1)]

    def _made(self, anion_set: int) -> Any:
        return self._form.at_anion(self._program, self._blocks, anion_set, np.float64)

    def _count(self, program: Any, piece: np.ndarray) -> int:
        """Count a piece; return the number of its candidates."""
        work, tile, counts, hits = self._scratch(program)
        state, filters = np.array([0, len(piece), 0], np.int64), _filters(self._filter)
        while state[0] < state[1] and not self._stopped.is_set():
            n_hits = count_blocks(program, self._blocks, piece, state, self._levels, filters, work, tile, counts, hits)
            if n_hits:
                self._compare(Candidates(hits.block[:n_hits], hits.cations[:n_hits]))
        return int(self._sizes[piece].sum())

    def _compare(self, hits: Candidates) -> None:
        """Let the scores that a ranking goes by say which targets candidates come before whose tile's score is too near to tell."""
        n_passed = self._standing.n_passed(hits, self._score(hits))
        with self._lock:
            self._n_passed += np.bincount(n_passed, minlength=len(self._n_passed))

    def _score(self, candidates: Candidates) -> np.ndarray:
        return program_scores(self._space, self._name, self._program, candidates)

    def _n_by_cell(self) -> np.ndarray:
        """Return the number of candidates in each cell, int64 (N_CELLS,)."""
        n = np.zeros(N_CELLS, np.int64)
        for counts in self._all_counts:
            n += counts.cells - self._flags
        n[0] = sum(int(counts.total[0]) for counts in self._all_counts) - n[1:].sum()
        return n

    def _n_passed_by_the_rest(self, n_by_cell: np.ndarray) -> np.ndarray:
        """Return how many candidates come before each number of targets, without those compared one by one, int64 (n_targets + 1,)."""
        far = np.flatnonzero(self._flags == 0)
        n_below = self._standing.n_below(np.append(self._levels.level, np.inf))  # of as many levels, and of all
        n = np.bincount(n_below[self._levels.first[far]], n_by_cell[far], len(self._n_passed)).astype(np.int64)
        for counts in self._all_counts:
            np.add.at(n, n_below, counts.above)
        return n

    def _n_constant_before(self, score: float, n_by_cell: np.ndarray) -> np.ndarray:
        """Return how many candidates of blocks of a constant score come before each target, int64 (n,), and add them to the cells."""
        order = PassingOrder(self._space, self._name, self._filter, self._constant == score)
        n_by_cell[self._cells.of(np.array([score]))] += order.n_candidates
        return _n_equal_before(order, score, self._targets, self._scores)

    def _scratch(self, program: Any) -> tuple[Any, Any, Counts, Any]:
        if not hasattr(self._local, "scratch"):
            n_slots, largest = self._blocks.size.shape[1], int(self._blocks.size.max())
            cell = np.zeros(largest, np.int32)
            above = np.zeros(len(self._levels.level) + 1, np.int64)
            counts = Counts(self._flags.copy(), above, np.zeros(1, np.int64), cell, cell.view(np.uint32))
            with self._lock:
                self._all_counts.append(counts)
            work = self._form.workspace(program, n_slots, largest)
            self._local.scratch = (work, tile_of(self._blocks, np.float64), counts, new_hits(self._blocks))
        work, tile, counts, hits = self._local.scratch
        return work, tile, counts, hits


def _filters(search_filter: SearchFilter) -> tuple[np.ndarray, np.ndarray, int]:
    return search_filter.allowed, search_filter.bits, search_filter.wanted


def _sample(space: Space, name: str) -> Candidates:
    """Return candidates from all over a class."""
    item = space.classes[name]
    n = min(item.n_candidates, _N_SAMPLED)
    return space.decode(name, item.first_id + np.arange(n) * (item.n_candidates // n))


def _n_equal_before(order: PassingOrder, score: float, targets: Candidates, scores: np.ndarray) -> np.ndarray:
    """Return how many candidates come before each target that all score the same, int64 (n_targets,)."""
    n = np.where(scores < score, order.n_candidates, 0)
    tied = np.flatnonzero(scores == score)
    n[tied] = order.n_before(targets.take(tied))
    return n


def _count_listed(space: Space, name: str, program: ListedScores, targets: Candidates, search_filter: SearchFilter) -> Counted:
    """Count as if none were listed, and then what being listed changes."""
    scores = program.scores_of(space, name, targets)
    standing = Standing(space, targets, scores)
    order = PassingOrder(space, name, search_filter, np.ones(space.classes[name].n_blocks, bool))
    rows = np.flatnonzero(search_filter.passes(space, name, program.candidates))
    listed, own = program.candidates.take(rows), program.scores[rows]

    def n_before(values: np.ndarray) -> np.ndarray:
        return standing.n_before(np.bincount(standing.n_passed(listed, values), minlength=len(targets) + 1))

    n = _n_equal_before(order, program.rest, targets, scores) + n_before(own) - n_before(np.full(len(own), program.rest))
    cells = ScoreCells.spanning(np.append(own, program.rest))
    n_by_cell = np.bincount(cells.of(own), minlength=N_CELLS)
    n_by_cell[cells.of(np.array([program.rest]))] += order.n_candidates - len(own)
    return Counted(n, cells.histogram(n_by_cell), cells)


def _count_shuffled(space: Space, name: str, program: ShuffledScores, targets: Candidates, search_filter: SearchFilter) -> Counted:
    """Count by the places themselves, or where a filter leaves some out, one by one."""
    cells, n_candidates = ScoreCells(0.0, 1 / N_CELLS), program.n_candidates
    places = program.places_of(space.encode(name, targets))
    if search_filter.is_open:
        return Counted(places, cells.histogram(_n_places(program, cells)), cells)
    standing = Standing(space, targets, program.scores_at(places))
    n_passed, n_by_cell = np.zeros(len(targets) + 1, np.int64), np.zeros(N_CELLS, np.int64)
    for first in range(0, n_candidates, _CHUNK):
        chunk = np.arange(first, min(first + _CHUNK, n_candidates))
        candidates = space.decode(name, program.ids_at(chunk))
        rows = np.flatnonzero(search_filter.passes(space, name, candidates))
        scores = program.scores_at(chunk[rows])
        n_passed += np.bincount(standing.n_passed(candidates.take(rows), scores), minlength=len(n_passed))
        n_by_cell += np.bincount(cells.of(scores), minlength=N_CELLS)
    return Counted(standing.n_before(n_passed), cells.histogram(n_by_cell), cells)


def _n_places(program: ShuffledScores, cells: ScoreCells) -> np.ndarray:
    """Return the number of places in each cell, by bisection: scores fall from place to place, int64 (N_CELLS,)."""
    first, end = np.zeros(N_CELLS, np.int64), np.full(N_CELLS, program.n_candidates)
    while (first < end).any():
        middle = (first + end) // 2
        is_in = (middle < end) & (cells.of(program.scores_at(middle)) >= np.arange(N_CELLS))
        first, end = np.where(is_in, middle + 1, first), np.where(is_in, end, middle)
    return -np.diff(first, append=0)
