"""Search a whole class for its best formulas with several threads, exactly and in bounded memory."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from crcrank.errors import ArtifactError
from crcrank.kernels.forms import ScoringProgram, form_of
from crcrank.kernels.pairwise import BlockArrays
from crcrank.kernels.search import Hits, search_blocks
from crcrank.kernels.tile import Tile, new_tile
from crcrank.progress import ProgressSink, SilentProgress
from crcrank.ranking.best import BestFormulas, Ranked
from crcrank.ranking.filters import SearchFilter
from crcrank.ranking.listed import rank_listed
from crcrank.ranking.shuffled import rank_shuffled
from crcrank.space.listed import ListedScores
from crcrank.space.programs import RankingProgram
from crcrank.space.shuffled import ShuffledScores
from crcrank.space.space import Candidates, Space

_HIT_CAPACITY = 1 << 16
_N_PIECES = 256
# What a block costs besides its candidates, in candidates.
_BLOCK_WORK = 2000.0
# Products of two larger numbers, summed over factors and positions, can overflow single precision.
_LARGEST_PARAMETER = 1e15


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
    prune
        Skip what bounds exclude, where there are bounds; the result is the same without.

    Raises
    ------
    ArtifactError
        If the program holds numbers that are not finite, or too large for single precision.
    """
    progress = progress or SilentProgress()
    if isinstance(program, ListedScores):
        listed = rank_listed(space, name, program, k, excluded=excluded, search_filter=search_filter, progress=progress)
        return ClassRanking(listed[0], space.classes[name].n_candidates, listed[1])
    if isinstance(program, ShuffledScores):
        shuffled = rank_shuffled(space, name, program, k, excluded=excluded, search_filter=search_filter, progress=progress)
        return ClassRanking(shuffled[0], space.classes[name].n_candidates, shuffled[1])
    if not all(np.isfinite(array).all() for array in program):
        raise ArtifactError(f"the model's parameters for class {name!r} are not all finite: train it again")
    if max(np.abs(array).max(initial=0.0) for array in program) > _LARGEST_PARAMETER:
        raise ArtifactError(f"the model's parameters for class {name!r} are beyond {_LARGEST_PARAMETER:g}: train it again")
    search = _Search(space, name, program, BestFormulas(space, name, k, excluded), search_filter, prune)
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


@dataclass(frozen=True)
class _Piece:
    """Blocks of one anion that one thread searches, int64 (n,)."""

    anion: int
    blocks: np.ndarray


class _Search:
    """One search of a class, shared by its threads; only ``best`` and the counters need the lock."""

    def __init__(
        self, space: Space, name: str, program: ScoringProgram, best: BestFormulas, search_filter: SearchFilter, prune: bool
    ) -> None:
        self._blocks: BlockArrays = space.block_arrays(name)
        self._sizes = space.classes[name].block_size
        self._program, self._form = program, form_of(program)
        self._margin = self._form.score_margin(program, self._blocks.size.shape[1])
        if not np.isfinite(self._margin):
            raise ArtifactError(f"the model's scores for class {name!r} are beyond what single precision can hold: train it again")
        self._filter, self._prune = search_filter, prune
        self._allowed_blocks = search_filter.allowed_blocks(space, name)
        self._local = threading.local()
        self._lock = threading.Lock()
        self._programs: dict[int, Any] = {}
        self.best = best
        self.n_scored = 0
        self.stopped = threading.Event()

    def pieces(self) -> list[_Piece]:
        """Return the allowed blocks in pieces of about equal work, promising anions and blocks first."""
        promise = self._form.promise(self._program, self._blocks)
        order = np.argsort(-promise, kind="stable")
        order = order[self._allowed_blocks[order]]
        anions, first = np.unique(self._blocks.anion[order], return_index=True)
        piece_work = (self._sizes[order] + _BLOCK_WORK).sum() / _N_PIECES
        pieces = []
        for anion in anions[np.argsort(first)]:
            own = order[self._blocks.anion[order] == anion]
            work = np.cumsum(self._sizes[own] + _BLOCK_WORK)
            cuts = np.unique(np.searchsorted(work, np.arange(piece_work, work[-1], piece_work)))
            pieces += [_Piece(int(anion), blocks) for blocks in np.split(own, cuts) if len(blocks)]
        return pieces

    def run(self, piece: _Piece) -> int:
        """Search a piece; return the number of its candidates."""
        program = self._at_anion(piece.anion)
        work, tile, hits = self._scratch(program)
        state = np.array([0, len(piece.blocks), 0, 0], np.int64)
        filters = (self._filter.allowed, self._filter.bits, self._filter.wanted)
        while state[0] < state[1] and not self.stopped.is_set():
            threshold = np.float32(np.nextafter(np.float32(self.best.threshold - self._margin), np.float32(-np.inf)))
            n_hits = search_blocks(program, self._blocks, piece.blocks, state, threshold, self._prune, filters, work, tile, hits)
            if n_hits:
                self._take(Candidates(hits.block[:n_hits], hits.cations[:n_hits]))
        with self._lock:
            self.n_scored += int(state[3])
        return int(self._sizes[piece.blocks].sum())

    def _take(self, candidates: Candidates) -> None:
        scores = np.empty(len(candidates))
        self._form.fill_scores(self._program, self._blocks, candidates.blocks, candidates.cations, scores)
        with self._lock:
            self.best.offer(candidates, scores)

    def _at_anion(self, anion: int) -> Any:
        """Return the program of an anion; pieces come anion by anion, so that only the last ones are kept."""
        with self._lock:
            if anion not in self._programs:
                for old in list(self._programs)[:-1]:
                    del self._programs[old]
                self._programs[anion] = self._form.at_anion(self._program, self._blocks, anion)
            return self._programs[anion]

    def _scratch(self, program: Any) -> tuple[Any, Tile, Hits]:
        if not hasattr(self._local, "scratch"):
            n_slots, largest = self._blocks.size.shape[1], int(self._blocks.size.max())
            capacity = max(_HIT_CAPACITY, largest**2)
            n_elements = 1 + int(max(self._blocks.cation_element.max(), self._blocks.anion_element.max()))
            self._local.scratch = (
                self._form.workspace(program, n_slots, largest),
                new_tile(n_slots, largest, n_elements),
                Hits(np.empty(capacity, np.int64), np.empty((capacity, n_slots), np.int64)),
            )
        work, tile, hits = self._local.scratch
        return work, tile, hits
