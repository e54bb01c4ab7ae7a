"""What every recommender offers to the stages, and what it is fitted to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Protocol

import numpy as np

from crcrank.chem.elements import ElementTable
from crcrank.errors import ArtifactError
from crcrank.models.terms import Term
from crcrank.progress import ProgressSink
from crcrank.space.programs import RankingProgram
from crcrank.space.space import Candidates, Compositions, Space

Arrays = dict[str, np.ndarray]
Parts = tuple[dict[str, Candidates], dict[str, Candidates]]
"""Known candidates of each class to fit to, and those held back."""


class Recommender(Protocol):
    """A fitted model."""

    @property
    def is_probabilistic(self) -> bool:
        """Whether a score ``s`` says that the probability of being known is 1 - exp(-exp(s))."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Classes it was trained on and can score."""

    def scores(self, name: str, candidates: Candidates) -> np.ndarray:
        """Return the scores of candidates of class ``name``, comparable within the class, float64 (n,)."""

    def program(self, name: str) -> RankingProgram:
        """Return what ranks all candidates of class ``name`` by the same scores."""

    def terms(self, name: str, candidates: Candidates) -> list[Term]:
        """Return what adds up to the score of a single candidate of class ``name``; one term where the model is no sum."""

    def arrays(self) -> Arrays:
        """Return all its numbers by name, float64."""

    def facts(self) -> dict[str, Any]:
        """Return what else is needed to restore it, JSON-serialisable."""


@dataclass(frozen=True)
class TrainingData:
    """What a model may learn from.

    Attributes
    ----------
    space
        The space; all its candidates that are not known are unlabelled.
    fitting, held_back
        Known candidates of each class to fit to, and those held back to judge the fit; no formula is in both.
    elements
        Properties of the elements.
    outside
        Known compositions that lie outside the space.
    """

    space: Space
    fitting: Mapping[str, Candidates]
    held_back: Mapping[str, Candidates]
    elements: ElementTable
    outside: Compositions = ()

    @property
    def classes(self) -> tuple[str, ...]:
        """Classes to learn."""
        return tuple(self.fitting)

    def known(self, name: str) -> Candidates:
        """Return all known candidates of a class."""
        return self.fitting[name].joined(self.held_back[name])

    def all_known(self) -> dict[str, Candidates]:
        """Return all known candidates of each class."""
        return {name: self.known(name) for name in self.classes}


@dataclass(frozen=True)
class Fitted:
    """A model and how its fit went.

    Attributes
    ----------
    model
        The model.
    n_epochs
        Passes over the data; 1 for a model in closed form.
    validation
        Negative log-likelihood per held-back composition of each class, where the model has a likelihood.
    facts
        What else to record beside the model, JSON-serialisable.
    state
        What a later fit continues from, where the kind of model can.
    """

    model: Recommender
    n_epochs: int = 1
    validation: Mapping[str, float] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    state: Arrays = field(default_factory=dict)


@dataclass(frozen=True)
class Earlier:
    """A fit that another one continues: its model, the state that it left, and the space of both."""

    model: Recommender
    state: Arrays
    space: Space


@dataclass(frozen=True)
class Kind:
    """A kind of recommender, whose modules are loaded when they are needed.

    Attributes
    ----------
    fitting
        ``module:function`` below this package that fits it, given the data, its section of the settings, a generator, the
        number of threads (on which no number depends) and a progress sink.
    model
        ``module:class`` of the model. Its ``restore(arrays, facts, space)`` raises ArtifactError if they do not fit the space.
    transfers
        Whether the model's ``transferred(classes)`` returns one with more classes, which it never saw.
    continues
        Whether the function that fits it takes an earlier fit to continue, as its last argument.
    """

    fitting: str
    model: str
    transfers: bool = False
    continues: bool = False

    @property
    def transfer(self) -> Callable[[Any, Sequence[str]], Recommender] | None:
        """What returns a model with more classes, None where the kind cannot score a class that it never saw."""
        return _loaded(self.model).transferred if self.transfers else None

    def fit(
        self,
        data: TrainingData,
        section: Any,
        rng: np.random.Generator,
        n_threads: int,
        progress: ProgressSink,
        earlier: Earlier | None = None,
    ) -> Fitted:
        """Fit a model; each matrix product takes one thread, so that its sums do not depend on what else the machine does."""
        import scipy.linalg.cython_blas  # noqa: F401  (whose library the kernels call, and the limit finds only when it is loaded)
        from threadpoolctl import threadpool_limits

        fit = _loaded(self.fitting)
        with threadpool_limits(1, user_api="blas"):
            fitted: Fitted = fit(data, section, rng, n_threads, progress, *([earlier] if earlier else []))
        return fitted

    def restore(self, arrays: Arrays, facts: Mapping[str, Any], space: Space) -> Recommender:
        """Return the model that its arrays and facts came from."""
        model: Recommender = _loaded(self.model).restore(arrays, facts, space)
        return model


def _loaded(place: str) -> Any:
    module, name = place.split(":")
    return getattr(import_module(f"crcrank.models.{module}"), name)


def fact(facts: Mapping[str, Any], name: str) -> Any:
    """Return a fact of a stored model.

    Raises
    ------
    ArtifactError
        If it is missing.
    """
    if name not in facts:
        raise ArtifactError(f"model: nothing says its {name!r}, found {', '.join(facts) or 'nothing'}; train it again")
    return facts[name]


def parameter(arrays: Arrays, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return a parameter of a stored model.

    Raises
    ------
    ArtifactError
        If it is missing or has another shape.
    """
    found = arrays[name].shape if name in arrays else None
    if found != shape:
        raise ArtifactError(f"model: parameter {name!r} should have shape {shape}, found {found}; train it again")
    return arrays[name]


def restored_candidates(arrays: Arrays, parameter_name: str, n: int, space: Space, name: str) -> Candidates:
    """Return ``n`` candidates of class ``name`` that are stored as their candidate_ids.

    Raises
    ------
    ArtifactError
        If they are missing, not as many, or no candidates of the class.
    """
    ids, item = parameter(arrays, parameter_name, (n,)), space.classes[name]
    if not ((ids >= item.first_id) & (ids < item.first_id + item.n_candidates) & (ids % 1 == 0)).all():
        raise ArtifactError(f"model: parameter {parameter_name!r} should hold candidate_ids of class {name!r}; train it again")
    return space.decode(name, ids.astype(np.int64))
