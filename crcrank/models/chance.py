"""Candidates in random order: what every other recommender must beat."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from crcrank.config import RandomSettings
from crcrank.errors import ArtifactError
from crcrank.models.contract import Arrays, Fitted, TrainingData, fact, parameter
from crcrank.models.terms import Term
from crcrank.progress import ProgressSink
from crcrank.space.shuffled import N_ROUNDS, ShuffledScores
from crcrank.space.space import Candidates, Space

_N_KEYS = 2**32  # so that float64 holds a key


@dataclass(frozen=True)
class Chance:
    """A random order of the candidates of each class.

    Attributes
    ----------
    space
        The space.
    keys
        Keys of the order of each class, int64 (N_ROUNDS,).
    """

    space: Space
    keys: Mapping[str, np.ndarray]

    @property
    def is_probabilistic(self) -> bool:
        """Whether a score says how probable it is to be known."""
        return False

    @property
    def classes(self) -> tuple[str, ...]:
        """Classes it can score."""
        return tuple(self.keys)

    def program(self, name: str) -> ShuffledScores:
        """Return the order of class ``name``."""
        item = self.space.classes[name]
        return ShuffledScores(item.first_id, item.n_candidates, self.keys[name].astype(np.uint64))

    def scores(self, name: str, candidates: Candidates) -> np.ndarray:
        """Return the scores of candidates of class ``name``, all different, uniform in (0, 1), float64 (n,)."""
        return self.program(name).scores_of(self.space, name, candidates)

    def terms(self, name: str, candidates: Candidates) -> list[Term]:
        """Return the score of a single candidate as it is: nothing is known of it."""
        return [Term("chance", "the place in a random order", float(self.scores(name, candidates)[0]))]

    def arrays(self) -> Arrays:
        """Return all its numbers by name."""
        return {f"keys.{name}": keys.astype(np.float64) for name, keys in self.keys.items()}

    def facts(self) -> dict[str, Any]:
        """Return what else is needed to restore it, JSON-serialisable."""
        return {"classes": list(self.keys)}

    @classmethod
    def restore(cls, arrays: Arrays, facts: Mapping[str, Any], space: Space) -> Chance:
        """Return the model that :meth:`arrays` and :meth:`facts` came from."""
        keys = {name: parameter(arrays, f"keys.{name}", (N_ROUNDS,)) for name in fact(facts, "classes")}
        for name, values in keys.items():
            if not ((values >= 0) & (values < _N_KEYS) & (values % 1 == 0)).all():
                raise ArtifactError(f"model: the keys of class {name!r} should be integers from 0 to {_N_KEYS - 1:,}; train it again")
        return cls(space, {name: values.astype(np.int64) for name, values in keys.items()})


def fit_random(
    data: TrainingData,
    settings: RandomSettings,  # noqa: ARG001  (there is nothing to set)
    rng: np.random.Generator,
    n_threads: int,  # noqa: ARG001
    progress: ProgressSink,  # noqa: ARG001
) -> Fitted:
    """Draw the keys of an order for each class."""
    return Fitted(Chance(data.space, {name: rng.integers(_N_KEYS, size=N_ROUNDS) for name in data.classes}))
