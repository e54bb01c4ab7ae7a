"""A program form in which the candidates of a class stand in a random order that needs no table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from crcrank.space.space import Candidates, Space

N_ROUNDS = 8
_GAMMA = np.uint64(0x9E3779B97F4A7C15)  # the golden ratio, which keeps the keys of SplitMix64 apart


@dataclass(frozen=True)
class ShuffledScores:
    """Scores in (0, 1), all different, by the place of each candidate in a random order.

    A Feistel network is a bijection of the numbers of an even number of bits, whatever its round function (Luby and Rackoff,
    SIAM J. Comput. 17, 373 (1988), doi:10.1137/0217022); applied again to what falls outside, it is one of the numbers below any
    bound (cycle walking; Black and Rogaway, CT-RSA 2002, doi:10.1007/3-540-45760-7_9, section 3).

    Attributes
    ----------
    first_id, n_candidates
        The candidate_ids that are shuffled.
    keys
        One for each round of the network, uint64 (N_ROUNDS,).
    """

    first_id: int
    n_candidates: int
    keys: np.ndarray

    def ids_at(self, places: np.ndarray) -> np.ndarray:
        """Return the candidate_ids at places of the order, int64 (n,); 0 is the best place."""
        return self.first_id + self._walked(places, self._forward)

    def places_of(self, ids: np.ndarray) -> np.ndarray:
        """Return the places of candidate_ids, the inverse of :meth:`ids_at`, int64 (n,)."""
        return self._walked(ids - self.first_id, self._backward)

    def scores_at(self, places: np.ndarray) -> np.ndarray:
        """Return the scores at places of the order, float64 (n,)."""
        return np.asarray(1 - (places + 0.5) / self.n_candidates)

    def scores_of(self, space: Space, name: str, candidates: Candidates) -> np.ndarray:
        """Return the scores of candidates of class ``name``, float64 (n,)."""
        return self.scores_at(self.places_of(space.encode(name, space.in_order(name, candidates))))

    @property
    def _half(self) -> int:
        """Bits of each half of the numbers that the network permutes."""
        return max(1, ((self.n_candidates - 1).bit_length() + 1) // 2)

    @property
    def _mask(self) -> int:
        return (1 << self._half) - 1

    def _walked(self, numbers: np.ndarray, step: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """Apply ``step`` to each number until it is below ``n_candidates`` again."""
        walked = step(numbers.astype(np.uint64))
        outside = np.flatnonzero(walked >= self.n_candidates)
        while len(outside):
            walked[outside] = step(walked[outside])
            outside = outside[walked[outside] >= self.n_candidates]
        return walked.astype(np.int64)

    def _forward(self, numbers: np.ndarray) -> np.ndarray:
        left, right = numbers >> self._half, numbers & self._mask
        for offset in self.keys * _GAMMA:
            left, right = right, left ^ (_mixed(right + offset) & self._mask)
        return np.asarray(left << self._half | right)

    def _backward(self, numbers: np.ndarray) -> np.ndarray:
        left, right = numbers >> self._half, numbers & self._mask
        for offset in (self.keys * _GAMMA)[::-1]:
            left, right = right ^ (_mixed(left + offset) & self._mask), left
        return np.asarray(left << self._half | right)


def _mixed(bits: np.ndarray) -> np.ndarray:
    """Return the mixing function of SplitMix64 (Steele et al., OOPSLA 2014, doi:10.1145/2660193.2660195, figure 17), uint64 (n,)."""
    bits = (bits ^ (bits >> 30)) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> 27)) * np.uint64(0x94D049BB133111EB)
    return np.asarray(bits ^ (bits >> 31))
