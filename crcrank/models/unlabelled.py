"""Samples of all candidates of a class with their exact weights, dense where a Factorization Machine expects compositions.

One part of a sample is uniform, the other drawn in proportion to a power of the rates of the machine; a candidate's weight is the
inverse of the number of times that it is expected in the sample, so that every weighted sum over a sample has the sum over
all candidates as its mean, whatever the machine.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from crcrank.kernels.likelihood import SumWorkspace, sum_workspace
from crcrank.kernels.pairwise import PairwiseProgram, fill_scores
from crcrank.kernels.sampling import fill_block_sums, fill_draws
from crcrank.models.fm import tempered
from crcrank.space.space import Candidates, Space

_POWER = 0.75
_UNIFORM = 0.25
_N_PARTS = 16


class UnlabelledSampler:
    """Draws samples of the candidates of one class.

    Parameters
    ----------
    space, name
        The class.
    program
        Scores of the Factorization Machine, log-rates.
    pool
        Threads to work with; the samples do not depend on their number.
    """

    def __init__(self, space: Space, name: str, program: PairwiseProgram, pool: ThreadPoolExecutor) -> None:
        self._space, self._name, self._pool = space, name, pool
        self._blocks = space.block_arrays(name)
        self._program = tempered(program, _POWER)
        self._quick = PairwiseProgram(*(np.ascontiguousarray(array, np.float32) for array in self._program))
        self._sums = np.empty(len(self._blocks.size))
        parts = np.array_split(np.arange(len(self._sums)), _N_PARTS)
        list(pool.map(lambda part: fill_block_sums(self._quick, self._blocks, part, self._work(), self._sums), parts))

    def _work(self) -> SumWorkspace:
        return sum_workspace(self._blocks.size.shape[1], int(self._blocks.size.max()), self._quick.row.shape[3])

    def draw(self, n: int, rng: np.random.Generator) -> tuple[Candidates, np.ndarray]:
        """Return ``n`` candidates in random order and their weights, float64 (n,)."""
        n_uniform = round(_UNIFORM * n)
        item = self._space.classes[self._name]
        uniform = self._space.decode(self._name, rng.integers(item.first_id, item.first_id + item.n_candidates, n_uniform))
        candidates = uniform.joined(self._guided(n - n_uniform, rng)).take(rng.permutation(n))
        scores = np.empty(n)
        fill_scores(self._program, self._blocks, candidates.blocks, candidates.cations, scores)
        expected = n_uniform / item.n_candidates + (n - n_uniform) * np.exp(scores) / self._sums.sum()
        return candidates, 1 / expected

    def _guided(self, n: int, rng: np.random.Generator) -> Candidates:
        blocks = np.repeat(np.arange(len(self._sums)), rng.multinomial(n, self._sums / self._sums.sum()))
        uniforms, cations = rng.random((n, self._blocks.size.shape[1])), np.empty((n, self._blocks.size.shape[1]), np.int64)

        def fill(rows: np.ndarray) -> None:
            fill_draws(self._quick, self._blocks, blocks[rows], uniforms[rows], self._work(), cations[rows[0] : rows[-1] + 1])

        list(self._pool.map(fill, (rows for rows in np.array_split(np.arange(n), _N_PARTS) if len(rows))))
        return Candidates(blocks, cations)
