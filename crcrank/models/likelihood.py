"""The likelihood of the known compositions against *every* unlabelled candidate, and its gradient.

A candidate of score ``s`` is known with probability ``1 - exp(-rate)``, ``rate = exp(s)`` (the complementary log-log
link). The log-likelihood of a class is then ``sum over known of log(exp(rate) - 1) - sum over all candidates of rate``:
the second sum has a closed form over the whole space (:mod:`crcrank.kernels.likelihood`), so nothing is sampled.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from crcrank.kernels.likelihood import add_block_sums, add_candidate_flows, sum_workspace
from crcrank.kernels.pairwise import BlockArrays, PairwiseProgram, fill_scores
from crcrank.space.space import Candidates, ClassSpace, Space


@dataclass(frozen=True)
class KnownCandidates:
    """The known candidates of a class with their weights, float64 (n,)."""

    candidates: Candidates
    weights: np.ndarray


def log_known(scores: np.ndarray) -> np.ndarray:
    """Return ``log(exp(rate) - 1)`` for ``rate = exp(score)``, without overflow, float64 (n,)."""
    rate = np.exp(np.minimum(scores, 30.0))
    return np.where(rate < 1e-6, scores, rate + np.log(-np.expm1(-rate)))


def probability(scores: np.ndarray) -> np.ndarray:
    """Return the probability of being known, ``1 - exp(-exp(score))``, float64 (n,)."""
    return np.asarray(-np.expm1(-np.exp(np.minimum(scores, 30.0))))


class ClassLikelihood:
    """Sums over one class.

    Parameters
    ----------
    space, name
        The class.
    """

    def __init__(self, space: Space, name: str) -> None:
        self.space: ClassSpace = space.classes[name]
        self.blocks: BlockArrays = space.block_arrays(name)
        self._largest = int(self.blocks.size.max())

    def batches(self, n_batches: int, rng: np.random.Generator) -> list[np.ndarray]:
        """Deal all blocks at random into batches of about equal work."""
        order = rng.permutation(self.space.n_blocks)
        work = np.cumsum(self._work()[order])
        cuts = np.searchsorted(work, work[-1] * np.arange(1, n_batches) / n_batches)
        return list(np.split(order, cuts))

    def scores(self, program: PairwiseProgram, known: KnownCandidates) -> np.ndarray:
        """Return the scores of known candidates in the precision of ``program``."""
        scores = np.empty(len(known.candidates))
        fill_scores(program, self.blocks, known.candidates.blocks, known.candidates.cations, scores)
        return scores

    def add_known(self, program: PairwiseProgram, known: KnownCandidates, gradient: PairwiseProgram) -> float:
        """Add the gradient of the (negative) known part to ``gradient``; return that part."""
        scores = self.scores(program, known)
        rate = np.exp(np.minimum(scores, 30.0))
        slope = np.where(rate < 1e-6, 1.0, rate / -np.expm1(-rate))
        flows = (-known.weights * slope).astype(np.float32)
        add_candidate_flows(program, self.blocks, known.candidates.blocks, known.candidates.cations, flows, gradient)
        return float(-(known.weights * log_known(scores)).sum())

    def add_rates(
        self, program: PairwiseProgram, batch: np.ndarray, weight: float, buffers: Sequence[PairwiseProgram], pool: ThreadPoolExecutor
    ) -> float:
        """Add the gradient of ``weight`` times the rates of all candidates of a batch of blocks; return that sum.

        The batch is split in as many parts as there are buffers, whatever the number of threads, and each buffer takes one
        part's gradient; so the result does not depend on the threads.
        """

        def add(part: np.ndarray, buffer: PairwiseProgram) -> float:
            work = sum_workspace(self.blocks.size.shape[1], self._largest, program.row.shape[3])
            weights = np.full(len(part), weight, np.float32)
            return float(add_block_sums(program, self.blocks, part, weights, work, buffer))

        ordered = batch[np.argsort(-self._work()[batch], kind="stable")]
        parts = [np.sort(ordered[i :: len(buffers)]) for i in range(len(buffers))]
        return sum(pool.map(add, parts, buffers))

    def _work(self) -> np.ndarray:
        tables = self.blocks.size.sum(axis=1) ** 2 * 16
        return np.asarray(self.space.block_size + tables, np.float64)


def zeros_like(program: PairwiseProgram) -> PairwiseProgram:
    """Return a program-shaped record of float32 zeros, to gather a gradient in."""
    return PairwiseProgram(*(np.zeros(array.shape, np.float32) for array in program))
