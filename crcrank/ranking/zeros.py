"""The candidates that score exactly zero because of their block or of one of their ions alone: they are ranked without a search."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from crcrank.kernels.forms import ScoringProgram, form_of
from crcrank.kernels.pairwise import BlockArrays
from crcrank.ranking.best import BestFormulas
from crcrank.ranking.filters import SearchFilter
from crcrank.ranking.listed import Walk
from crcrank.space.space import Space


class Zeros:
    """These candidates of a class.

    Parameters
    ----------
    space, name, blocks, program
        The class, its blocks, and its float64 scoring program.
    search_filter
        Which candidates are ranked.

    Attributes
    ----------
    blocks
        The blocks that hold no others, bool (n_blocks,).
    others
        The filter that leaves them out.
    """

    def __init__(self, space: Space, name: str, blocks: BlockArrays, program: ScoringProgram, search_filter: SearchFilter) -> None:
        form = form_of(program)
        self._space, self._name, self._arrays, self._filter = space, name, blocks, search_filter
        self._cations = np.broadcast_to(form.zero_cations(program), len(blocks.cation_element))
        self.blocks = form.constant(program, blocks) == 0
        self.others = replace(search_filter, allowed=search_filter.allowed & ~self._cations)

    def offer(self, best: BestFormulas) -> int:
        """Offer those that can enter, after all others; return how many candidates were looked at."""
        if not (self.blocks.any() or self._cations.any()):
            return 0
        walk, n_seen = Walk(self._space, self._name, self._filter), 0
        for block in np.flatnonzero(self._held()).tolist():
            for candidates in walk.block(block):  # in the order of their candidate_id, by which ties are ranked
                n_seen += len(candidates)
                zeros = candidates.take(np.flatnonzero(self.blocks[block] | self._cations[candidates.cations].any(axis=1)))
                if len(zeros) and not best.admits(zeros, 0.0):
                    return n_seen
                best.offer(zeros, np.zeros(len(zeros)))
        return n_seen

    def _held(self) -> np.ndarray:
        """Return which blocks may hold one, bool (n_blocks,)."""
        arrays, n_before = self._arrays, np.append(0, np.cumsum(self._cations))
        with_one = (n_before[arrays.start + arrays.size] > n_before[arrays.start]).any(axis=1)
        return np.asarray((self.blocks | with_one) & self._filter.allowed_blocks(self._space, self._name))
