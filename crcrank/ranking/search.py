"""Search a whole class for its best formulas with several threads, exactly and in bounded memory."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np

from crcrank.errors import ArtifactError
from crcrank.kernels.forms import ScoringProgram, form_of
from crcrank.kernels.pairwise import BlockArrays
from crcrank.kernels.search import Hits, bound_blocks, search_blocks
from crcrank.kernels.tile import Tile, new_tile
from crcrank.progress import ProgressSink, SilentProgress
from crcrank.ranking.best import BestFormulas, Ranked
from crcrank.ranking.filters import SearchFilter
from crcrank.ranking.limits import NO_LIMITS, Limits
from crcrank.ranking.listed import rank_listed
from crcrank.ranking.shuffled import rank_shuffled
from crcrank.ranking.zeros import Zeros
from crcrank.space.listed import ListedScores
from crcrank.space.programs import RankingProgram
from crcrank.space.shuffled import ShuffledScores
from crcrank.space.space import Candidates, Space

_HIT_CAPACITY = 1 << 16
_N_PIECES = 256
_OFFER = 1 << 13
_SKIMMED_AT_ONCE = 512
# What a block costs besides its candidates, in candidates.
BLOCK_WORK = 40000.0
# Products of two larger numbers, summed over factors and positions, can overflow single precision.
_LARGEST_PARAMETER = 1e15


_Made = TypeVar("_Made")


@dataclass(frozen=True)
class ClassRanking:
    """The best formulas of a class, and how many of its candidates were scored one by one."""

    ranked: Ranked
    n_candidates: int
    n_scored: int


def rank_class(
    space: Space,
    name: str,
    program: RankingProgram,
    k: int,
    *,
    excluded: np.ndarray,
    search_filter: SearchFilter,
    limits: Limits = NO_LIMITS,
    n_threads: int = 1,
    prune: bool = True,
    progress: ProgressSink | None = None,
) -> ClassRanking:
    """Return the ``k`` best formulas among all candidates of a class.

    Parameters
    ----------
    program
        The float64 scoring program; where it is searched for, float32 finds, float64 decides.
    excluded
        Composition keys that are not listed (the known formulas), sorted, int64.
    limits
        How many formulas of a kind are listed; others take the place of those left out.
    prune
        Skip what bounds exclude, where there are bounds; the result is the same without.

    Raises
    ------
    ArtifactError
        If the program holds numbers that are not finite, or too large for single precision.
    """
    progress = progress or SilentProgress()
    options: Any = {"excluded": excluded, "search_filter": search_filter, "limits": limits, "progress": progress}
    if isinstance(program, ListedScores):
        listed = rank_listed(space, name, program, k, **options)
        return ClassRanking(listed[0], space.classes[name].n_candidates, listed[1])
    if isinstance(program, ShuffledScores):
        shuffled = rank_shuffled(space, name, program, k, **options)
        return ClassRanking(shuffled[0], space.classes[name].n_candidates, shuffled[1])
    search = _Search(space, name, program, BestFormulas(space, name, k, excluded, limits), search_filter, prune)
    progress.start(f"rank {name}", space.classes[name].n_candidates, "candidates")
    with ThreadPoolExecutor(n_threads) as pool:
        try:
            for n_done in search.run(pool):
                progress.advance(n_done)
        except BaseException:
            search.stopped.set()
            pool.shutdown(cancel_futures=True)
            raise
    n_candidates = space.classes[name].n_candidates
    return ClassRanking(search.best.ranked(), n_candidates, search.n_scored if prune else n_candidates)


def checked_margin(name: str, program: ScoringProgram, n_slots: int) -> float:
    """Return the margin of a program's scores in single precision.

    Raises
    ------
    ArtifactError
        If the program holds numbers that are not finite, or too large for single precision.
    """
    if not all(np.isfinite(array).all() for array in program):
        raise ArtifactError(f"the model's parameters for class {name!r} are not all finite: train it again")
    if max(max(array.max(initial=0.0), -array.min(initial=0.0)) for array in program) > _LARGEST_PARAMETER:
        raise ArtifactError(f"the model's parameters for class {name!r} are beyond {_LARGEST_PARAMETER:g}: train it again")
    margin = form_of(program).score_margin(program, n_slots)
    if not np.isfinite(margin):
        raise ArtifactError(f"the model's scores for class {name!r} are beyond what single precision can hold: train it again")
    return margin


def pieces(order: np.ndarray, sizes: np.ndarray, all_work: float, weight: float) -> list[np.ndarray]:
    """Cut blocks into pieces of about equal work, of which ``all_work`` has some hundreds; sizes (n_blocks,)."""
    work = np.cumsum(weight * sizes[order] + BLOCK_WORK)
    cuts = np.unique(np.searchsorted(work, np.arange(1, _N_PIECES) * (all_work / _N_PIECES)))
    return [piece for piece in np.split(order, cuts) if len(piece)]


def made_ahead(pool: ThreadPoolExecutor, make: Callable[[int], _Made], anion_sets: np.ndarray) -> Iterator[tuple[int, _Made]]:
    """Yield each set of anions with what is made for it while the one before is worked with."""
    made = deque(pool.submit(make, int(first)) for first in anion_sets[:2])
    for i, anion_set in enumerate(anion_sets):
        current = made.popleft().result()
        made.extend(pool.submit(make, int(following)) for following in anion_sets[max(i + 1, 2) : i + 2])
        yield int(anion_set), current


def results(tasks: Iterator[Sequence[Future[int]]]) -> Iterator[int]:
    """Yield the results of lists of tasks, of each when the next is under way, so that no thread waits for the last task of a list."""
    before: Sequence[Future[int]] = ()
    for own in tasks:
        yield from (task.result() for task in before)
        before = own
    yield from (task.result() for task in before)


def new_hits(blocks: BlockArrays) -> Hits:
    """Return room for the hits of a thread."""
    capacity = max(_HIT_CAPACITY, int(blocks.size.max()) ** 2)
    return Hits(np.empty(capacity, np.int64), np.empty((capacity, blocks.size.shape[1]), np.int64), np.empty(capacity, np.float32))


def tile_of(blocks: BlockArrays, dtype: type = np.float32) -> Tile:
    """Return room for the tiles of a thread."""
    n_elements = 1 + int(max(blocks.cation_element.max(), blocks.anion_element.max()))
    return new_tile(blocks.size.shape[1], int(blocks.size.max()), n_elements, dtype)


class _Search:
    """One search of a class, one set of anions after the other, shared by its threads; only ``best`` and the counters need the lock."""

    def __init__(
        self, space: Space, name: str, program: ScoringProgram, best: BestFormulas, search_filter: SearchFilter, prune: bool
    ) -> None:
        self._blocks: BlockArrays = space.block_arrays(name)
        self._sizes = space.classes[name].block_size
        self._program, self._form = program, form_of(program)
        self._margin = checked_margin(name, program, self._blocks.size.shape[1])
        self._zeros = Zeros(space, name, self._blocks, program, search_filter) if prune else None
        self._filter = self._zeros.others if self._zeros else search_filter
        allowed = search_filter.allowed_blocks(space, name)
        self._bounds = np.full(len(self._sizes) if prune else 0, np.inf, np.float32)
        self._order = self._promising_first(np.flatnonzero(allowed & ~self._zeros.blocks if self._zeros else allowed))
        self._work = self._all_work(self._order)
        self._local = threading.local()
        self._lock = threading.Lock()
        self._waiting: list[tuple[Candidates, np.ndarray]] = []
        self._n_waiting = 0
        self.best = best
        self.n_scored = 0
        self.stopped = threading.Event()

    def run(self, pool: ThreadPoolExecutor) -> Iterator[int]:
        """Search all blocks, promising ones first; yield numbers of candidates whenever they are done."""
        sets, first = np.unique(self._blocks.anion_set[self._order], return_index=True)
        yield from results(self._searched(pool, sets[np.argsort(first)]))
        self.offer()
        if self._zeros:
            self.n_scored += self._zeros.offer(self.best)
            yield int(self._sizes[self._zeros.blocks].sum())

    def _promising_first(self, blocks: np.ndarray) -> np.ndarray:
        """Return blocks in the order of what their scores promise, which fills the bounds if it is one."""
        promise = self._form.promise(self._program, self._blocks)
        if self._form.promise_is_bound and len(self._bounds):
            self._bounds[:] = np.nextafter(promise.astype(np.float32), np.float32(np.inf))
        return np.asarray(blocks[np.argsort(-promise[blocks], kind="stable")])

    def _searched(self, pool: ThreadPoolExecutor, anion_sets: np.ndarray) -> Iterator[list[Future[int]]]:
        """Yield for each set of anions the search of its blocks; each returns a number of candidates."""
        for anion_set, (program, outline) in made_ahead(pool, self._made, anion_sets):
            own = self._order[self._blocks.anion_set[self._order] == anion_set]
            left = self._promising(pool, program, outline, own) if len(self._bounds) else own
            excluded: Future[int] = Future()
            excluded.set_result(int(self._sizes[own].sum() - self._sizes[left].sum()))
            work = self._work if left is own else 8 * self._all_work(left)  # eight sets of anions: not too few pieces of the best blocks
            yield [excluded, *(pool.submit(self._search, program, piece) for piece in pieces(left, self._sizes, work, 1))]

    def _made(self, anion_set: int) -> tuple[Any, Any]:
        """Return the program for the kernels, and its outline if that is wanted."""
        program = self._form.at_anion(self._program, self._blocks, anion_set, np.float32)
        outline = self._form.outline(program, self._blocks, anion_set, self._filter.allowed) if len(self._bounds) else None
        return program, outline

    def _promising(self, pool: ThreadPoolExecutor, program: Any, outline: Any, order: np.ndarray) -> np.ndarray:
        """Return the blocks that bounds do not exclude, those with the highest first."""
        if self._form.promise_is_bound:
            return np.asarray(order[self._bounds[order] > self._threshold()])
        if outline is not None:
            parts = np.split(order, range(_SKIMMED_AT_ONCE, len(order), _SKIMMED_AT_ONCE))
            deque(pool.map(partial(self._skim, program, outline), parts), maxlen=0)
            order = order[self._bounds[order] > self._threshold()]
        deque(pool.map(partial(self._bound, program), pieces(order, self._sizes, self._work, 0)), maxlen=0)
        order = order[self._bounds[order] > self._threshold()]
        return order[np.argsort(-self._bounds[order], kind="stable")]

    def _all_work(self, order: np.ndarray) -> float:
        return float(self._sizes[order].sum() + BLOCK_WORK * len(order))

    def _skim(self, program: Any, outline: Any, piece: np.ndarray) -> None:
        """Fill the bounds of a piece as an outline of the program has them."""
        self._form.skim_blocks(program, outline, self._blocks, piece, self._scratch(program)[0], self._bounds)

    def _bound(self, program: Any, piece: np.ndarray) -> None:
        """Fill the bounds of a piece."""
        work, tile, _ = self._scratch(program)
        bound_blocks(program, self._blocks, piece, self._filter.allowed, work, tile, self._bounds)

    def _search(self, program: Any, piece: np.ndarray) -> int:
        """Search a piece; return the number of its candidates."""
        work, tile, hits = self._scratch(program)
        state = np.array([0, len(piece), 0, 0], np.int64)
        filters = (self._filter.allowed, self._filter.bits, self._filter.wanted)
        while state[0] < state[1] and not self.stopped.is_set():
            n_hits = search_blocks(program, self._blocks, piece, state, self._threshold(), self._bounds, filters, work, tile, hits)
            self._take(hits, np.arange(n_hits))
        with self._lock:
            self.n_scored += int(state[3])
        return int(self._sizes[piece].sum())

    def _threshold(self) -> np.float32:
        """Return what a candidate's score in single precision is above, if it can enter."""
        return np.float32(np.nextafter(np.float32(self.best.threshold - self._margin), np.float32(-np.inf)))

    def _take(self, hits: Hits, rows: np.ndarray) -> None:
        """Score those hits in double precision that can enter, the best first: thereafter, most of the others no longer can."""
        while len(rows := rows[hits.score[rows] > self._threshold()]):
            n = min(max(self.best.k, _OFFER), len(rows))
            rows = rows[np.argpartition(-hits.score[rows], n - 1)]
            self._score(Candidates(hits.block[rows[:n]], hits.cations[rows[:n]]))
            rows = rows[n:]

    def _score(self, candidates: Candidates) -> None:
        """Score candidates in double precision, and offer them when there are enough to be worth the sorting."""
        scores = np.empty(len(candidates))
        self._form.fill_scores(self._program, self._blocks, candidates.blocks, candidates.cations, scores)
        with self._lock:
            kept = np.flatnonzero(scores >= self.best.threshold)
            self._waiting.append((candidates.take(kept), scores[kept]))
            self._n_waiting += len(kept)
            if self._n_waiting >= min(self.best.k, _OFFER):
                self.offer()

    def offer(self) -> None:
        """Offer the hits that wait."""
        if self._waiting:
            candidates, scores = zip(*self._waiting, strict=True)
            blocks, cations = zip(*((item.blocks, item.cations) for item in candidates), strict=True)
            self.best.offer(Candidates(np.concatenate(blocks), np.concatenate(cations)), np.concatenate(scores))
            self._waiting.clear()
            self._n_waiting = 0

    def _scratch(self, program: Any) -> tuple[Any, Tile, Hits]:
        if not hasattr(self._local, "scratch"):
            n_slots, largest = self._blocks.size.shape[1], int(self._blocks.size.max())
            self._local.scratch = (self._form.workspace(program, n_slots, largest), tile_of(self._blocks), new_hits(self._blocks))
        work, tile, hits = self._local.scratch
        return work, tile, hits
