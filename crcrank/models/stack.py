"""Two stages: Factorization Machines find the best candidates of a whole class, trees order them anew.

Each machine holds back a part of the known compounds of its own. The candidates that it then ranks best, some of them held
back, teach the trees what a real compound looks like among the well-ranked: by its score, and by what is known around it
(:mod:`crcrank.models.neighbours`). After that the machine takes its last steps on all known compounds. So no compound is both
counted as known and looked for (stacking: Wolpert, Neural Networks 5, 241 (1992), doi:10.1016/S0893-6080(05)80023-1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NoReturn

import numpy as np

from crcrank.chem.elements import imputed
from crcrank.config import StackSettings
from crcrank.errors import ArtifactError, ConfigError, ModelFitError
from crcrank.models.contract import Arrays, Fitted, TrainingData, parameter
from crcrank.models.fm import FittedFM
from crcrank.models.neighbours import Neighbourhood
from crcrank.models.training import Fit, history_rows, machine_of, prior_facts, prior_of
from crcrank.models.trees import Trees, grow_trees
from crcrank.progress import ProgressSink
from crcrank.ranking.filters import ElementFilter, search_filter
from crcrank.ranking.search import rank_class
from crcrank.space.space import Candidates, Space

_SCORE = "first_stage"


@dataclass(frozen=True)
class Stack:
    """A first stage that searches, and trees that order what it finds.

    Attributes
    ----------
    space
        The space.
    first_stage
        What searches the whole class.
    known
        Known candidates of each class, which the features count.
    properties
        Standardised properties of the elements of the space, float64 (n_elements, n_properties).
    property_names
        Their names.
    trees
        Their sums are log-odds of being real.
    """

    space: Space
    first_stage: FittedFM
    known: Mapping[str, Candidates]
    properties: np.ndarray
    property_names: tuple[str, ...]
    trees: Trees

    @property
    def is_probabilistic(self) -> bool:
        """Whether a score says how probable it is to be known."""
        return True

    @property
    def classes(self) -> tuple[str, ...]:
        """Classes it was trained on and can score."""
        return self.first_stage.classes

    @cached_property
    def neighbourhood(self) -> Neighbourhood:
        """The known compounds, ready to be counted around candidates."""
        return Neighbourhood(self.space, self.known, self.properties, self.property_names)

    def features(self, name: str, candidates: Candidates) -> dict[str, np.ndarray]:
        """Return what the trees see of candidates of class ``name``, by name of the feature, float64 (n,) each."""
        return _features(self.neighbourhood, name, candidates, self.first_stage.scores(name, candidates))

    def scores(self, name: str, candidates: Candidates) -> np.ndarray:
        """Return log(-log(1 - p)), p the probability of being real, for candidates of class ``name``, float64 (n,)."""
        log_odds = self.trees.sums(_matrix(self.features(name, candidates)))
        return np.asarray(np.log(np.logaddexp(0.0, np.maximum(log_odds, -30.0))))

    def program(self, name: str) -> NoReturn:
        """Refuse: the trees cannot be searched for their best.

        Raises
        ------
        ConfigError
            Always.
        """
        raise ConfigError(f"rank: the second stage of a stack only re-ranks; class {name!r} is searched by its first stage")

    def arrays(self) -> Arrays:
        """Return all its numbers by name."""
        known = {f"known.{name}": self.space.encode(name, item).astype(np.float64) for name, item in self.known.items()}
        trees = {"nodes": self.trees.nodes, "roots": self.trees.roots, "properties": self.properties}
        return {**known, **trees, **{f"first.{name}": values for name, values in self.first_stage.arrays().items()}}

    def facts(self) -> dict[str, Any]:
        """Return what else is needed to restore it, JSON-serialisable."""
        return {
            "first": self.first_stage.facts(),
            "property_names": list(self.property_names),
            "n_known": {name: len(item) for name, item in self.known.items()},
            "n_nodes": self.trees.nodes.shape[1],
            "n_trees": len(self.trees.roots),
        }

    @classmethod
    def restore(cls, arrays: Arrays, facts: Mapping[str, Any], space: Space) -> Stack:
        """Return the model that :meth:`arrays` and :meth:`facts` came from."""
        first = {name.removeprefix("first."): values for name, values in arrays.items() if name.startswith("first.")}
        known = {name: _restored_known(space, name, parameter(arrays, f"known.{name}", (n,))) for name, n in facts["n_known"].items()}
        names = tuple(facts["property_names"])
        trees = Trees(parameter(arrays, "nodes", (5, facts["n_nodes"])), parameter(arrays, "roots", (facts["n_trees"],)))
        properties = parameter(arrays, "properties", (len(space.ions.elements), len(names)))
        model = cls(space, FittedFM.restore(first, facts["first"], space), known, properties, names, trees)
        trees.check(len(model.features(model.classes[0], known[model.classes[0]].take(np.arange(1)))), "the nodes of the second stage")
        return model


def _restored_known(space: Space, name: str, ids: np.ndarray) -> Candidates:
    item = space.classes[name]
    if not ((ids % 1 == 0) & (ids >= item.first_id) & (ids < item.first_id + item.n_candidates)).all():
        raise ArtifactError(f"model: known candidates of class {name!r} are not in the space; train it again")
    return space.decode(name, ids.astype(np.int64))


def fit_stack(data: TrainingData, settings: StackSettings, rng: np.random.Generator, n_threads: int, progress: ProgressSink) -> Fitted:
    """Fit the machines of the first stage, and trees on what they rank best.

    Raises
    ------
    ModelFitError
        If a fit diverges, or nothing that was held back is among the best.
    """
    prior = prior_of(settings.fm, data)
    machine = machine_of(settings.fm, data, prior)
    properties, names = _properties(data)
    teacher = _Teacher(data.space, settings.depth, n_threads, progress)
    fits, lessons = [], []
    for kept, held in _deal(data, settings.fm.n_models, settings.held_back_fraction, rng):
        fit = Fit(machine, kept, held, settings.fm, rng.spawn(1)[0], n_threads)
        fit.search(progress)
        first, around = FittedFM(machine, (fit.parameters,)), Neighbourhood(data.space, kept, properties, names)
        lessons += teacher.lessons(first, around, (kept, held))
        fit.finish(progress)
        fits.append(fit)
    trees = _grown(lessons, settings, int(rng.integers(2**31)), progress)
    known = {name: data.known(name) for name in data.classes}
    model = Stack(data.space, FittedFM(machine, tuple(fit.parameters for fit in fits)), known, properties, names, trees)
    return Fitted(
        model=model,
        n_epochs=sum(len(fit.history) for fit in fits),
        facts={"history": [history_rows(fit.history) for fit in fits], "prior": prior_facts(prior), "features": list(lessons[0][0])},
    )


def _properties(data: TrainingData) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the properties that vary over the elements of the space, standardised, and their names."""
    values = imputed(data.elements, data.space.ions.elements)[0]
    varies = np.ptp(values, axis=0) > 0
    values = values[:, varies]
    names = tuple(name for name, kept in zip(data.elements.property_names, varies, strict=True) if kept)
    return (values - values.mean(axis=0)) / values.std(axis=0), names


Parts = tuple[dict[str, Candidates], dict[str, Candidates]]


def _deal(data: TrainingData, n_parts: int, fraction: float, rng: np.random.Generator) -> list[Parts]:
    """Return, for each of the parts held back, what is left to fit to and the part; parts overlap only if they must."""
    if n_parts * fraction > 1:
        raise ConfigError(f"train.stack: {n_parts} parts of {fraction:g} are more than all known compounds; lower held_back_fraction")
    dealt: list[Parts] = [({}, {}) for _ in range(n_parts)]
    for name in data.classes:
        known = data.known(name)
        order, size = rng.permutation(len(known)), max(1, round(fraction * len(known)))
        for i, (kept, held) in enumerate(dealt):
            rows = order[i * size : (i + 1) * size]
            held[name] = known.take(np.sort(rows))
            kept[name] = known.take(np.setdiff1d(order, rows))
    return dealt


Lesson = tuple[dict[str, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class _Teacher:
    """Shows the trees what machines rank best."""

    space: Space
    depth: int
    n_threads: int
    progress: ProgressSink

    def lessons(self, first: FittedFM, around: Neighbourhood, parts: Parts) -> list[Lesson]:
        """Return, for each class, the features of the best candidates that were not fitted to, and whether each was held back."""
        return [self._lesson(first, around, name, *(part[name] for part in parts)) for name in first.classes]

    def _lesson(self, first: FittedFM, around: Neighbourhood, name: str, kept: Candidates, held: Candidates) -> Lesson:
        keys = self.space.composition_keys
        best = rank_class(
            self.space,
            name,
            first.program(name),
            self.depth,
            excluded=np.unique(keys(name, kept)),
            search_filter=search_filter(self.space, ElementFilter()),
            n_threads=self.n_threads,
            progress=self.progress,
        ).ranked
        found = np.isin(keys(name, best.candidates), keys(name, held))
        return _features(around, name, best.candidates, best.scores), found


def _grown(lessons: Sequence[Lesson], settings: StackSettings, seed: int, progress: ProgressSink) -> Trees:
    rows = np.concatenate([_matrix(features) for features, _ in lessons])
    found = np.concatenate([labels for _, labels in lessons])
    if not found.any():
        raise ModelFitError("train: no held-back compound is among the best candidates; raise train.stack.depth or held_back_fraction")
    progress.start("grow trees", 1, "forests")
    trees = grow_trees(rows, found, settings.trees, seed)
    progress.advance(1)
    return trees


def _features(around: Neighbourhood, name: str, candidates: Candidates, scores: np.ndarray) -> dict[str, np.ndarray]:
    return {_SCORE: scores, **around.features(name, candidates)}


def _matrix(features: Mapping[str, np.ndarray]) -> np.ndarray:
    return np.column_stack([column.astype(np.float32) for column in features.values()])
