"""Two stages: Factorization Machines and a linear autoencoder find the best candidates of a whole class, trees order them anew.

Each machine holds back a part of the known compounds of its own. The candidates that it and the autoencoder then rank
best, some of them held back, teach the trees what a real compound looks like among the well-ranked: by its scores, and by what is
known around it, in the space and outside of it (:mod:`crcrank.models.neighbours`). After that the machine takes its last steps
on all known. So no compound is both counted as known and looked for (stacking: Wolpert, Neural Networks 5, 241 (1992),
doi:10.1016/S0893-6080(05)80023-1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, cast

import numpy as np

from crcrank.chem.elements import standardised
from crcrank.config import EaseSettings, StackSettings
from crcrank.errors import ConfigError, ModelFitError
from crcrank.models.contract import Arrays, Earlier, Fitted, Parts, Recommender, TrainingData, fact, parameter
from crcrank.models.ease import element_rates, foretelling
from crcrank.models.fm import FactorizationMachine, FittedFM, Parameters
from crcrank.models.neighbours import Neighbourhood, rate
from crcrank.models.staged import search_all
from crcrank.models.substitution import Substitution, rate_terms
from crcrank.models.terms import Term, scaled
from crcrank.models.training import Fit, history_rows, machine_of, prior_facts, prior_of
from crcrank.models.trees import Trees, grow_trees, log_rate, tree_terms
from crcrank.models.warm import WarmStart
from crcrank.progress import ProgressSink
from crcrank.ranking.filters import ElementFilter, search_filter
from crcrank.space.positions import Outside
from crcrank.space.space import Candidates, Space


@dataclass(frozen=True)
class Stack:
    """A first stage that searches, and trees that order what it finds.

    Attributes
    ----------
    space
        The space.
    machine, autoencoder
        What searches the whole class.
    neighbourhood
        The known compounds, ready to be counted around candidates.
    trees
        Their sums are log-odds of being real.
    """

    space: Space
    machine: FittedFM
    autoencoder: Substitution
    neighbourhood: Neighbourhood
    trees: Trees

    @property
    def is_probabilistic(self) -> bool:
        """Whether a score says how probable it is to be known."""
        return True

    @property
    def classes(self) -> tuple[str, ...]:
        """Classes it was trained on and can score."""
        return self.machine.classes

    @property
    def first_stage(self) -> tuple[Recommender, ...]:
        """What searches the whole class."""
        return self.machine, self.autoencoder

    def features(self, name: str, candidates: Candidates) -> dict[str, np.ndarray]:
        """Return what the trees see of candidates of class ``name``, by name of the feature, float64 (n,) each."""
        return _features(self.first_stage, self.neighbourhood, name, candidates)

    def scores(self, name: str, candidates: Candidates) -> np.ndarray:
        """Return log(rate) for candidates of class ``name``, float64 (n,): 1 - exp(-rate) is the probability of being real.

        The rate is the geometric mean of that of the trees and of what the known compositions one element away add up to: on
        compounds held back one by one or by whole chemical systems, the mean puts more of them first than the trees do alone.
        """
        features = self.features(name, candidates)
        foretold = np.log(self.autoencoder.background[name] + rate(features))
        return np.asarray((log_rate(self.trees.sums(_matrix(features))) + foretold) / 2)

    def terms(self, name: str, candidates: Candidates) -> list[Term]:
        """Return half the terms of the trees, a feature each, and half those of the known compositions one element away."""
        features = self.features(name, candidates)
        trees = tree_terms(self.trees, _matrix(features)[0], [_in_words(feature) for feature in features])
        trees = [term._replace(group=f"trees: {term.group}") for term in trees]
        donors = self.neighbourhood.donors(name, candidates)
        return scaled([*trees, *rate_terms(self.autoencoder.background[name], donors)], 0.5)

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
        around = self.neighbourhood
        own = {"nodes": self.trees.nodes, "roots": self.trees.roots, "properties": around.properties, "element_rates": around.element_rates}
        outside = {"elements": around.outside.elements.astype(np.float64), "amounts": around.outside.amounts.astype(np.float64)}
        first_stage = {**_prefixed("machine", self.machine.arrays()), **_prefixed("autoencoder", self.autoencoder.arrays())}
        return {**own, **_prefixed("outside", outside), **first_stage}

    def facts(self) -> dict[str, Any]:
        """Return what else is needed to restore it, JSON-serialisable."""
        return {
            "machine": self.machine.facts(),
            "autoencoder": self.autoencoder.facts(),
            "property_names": list(self.neighbourhood.property_names),
            "outside": list(self.neighbourhood.outside.elements.shape),
            "n_nodes": self.trees.nodes.shape[1],
            "n_trees": len(self.trees.roots),
        }

    @classmethod
    def restore(cls, arrays: Arrays, facts: Mapping[str, Any], space: Space) -> Stack:
        """Return the model that :meth:`arrays` and :meth:`facts` came from."""
        machine = FittedFM.restore(_without_prefix("machine", arrays), fact(facts, "machine"), space)
        autoencoder = Substitution.restore(_without_prefix("autoencoder", arrays), fact(facts, "autoencoder"), space)
        shape, n_elements, names = tuple(fact(facts, "outside")), len(space.ions.elements), tuple(fact(facts, "property_names"))
        outside = Outside(*(parameter(arrays, f"outside.{part}", shape).astype(np.int64) for part in ("elements", "amounts")))
        properties = parameter(arrays, "properties", (n_elements, len(names)))
        element_rates = parameter(arrays, "element_rates", (n_elements, n_elements))
        around = Neighbourhood(space, autoencoder.known, outside, properties, names, autoencoder.rates, element_rates)
        trees = Trees(parameter(arrays, "nodes", (5, fact(facts, "n_nodes"))), parameter(arrays, "roots", (fact(facts, "n_trees"),)))
        model = cls(space, machine, autoencoder, around, trees)
        name, known = next(iter(autoencoder.known.items()))
        trees.check(len(model.features(name, known.take(np.arange(1)))), "the nodes of the second stage")
        return model


_FEATURES = {
    "score.0": ("score", "by the Factorization Machine"),
    "score.1": ("score", "by the linear autoencoder"),
    "foretold": ("known around", "foretold by known compounds one ion away"),
    "foretold_element": ("known around", "foretold by known compositions one element away"),
    "stoichiometry": ("known around", "known compounds of the stoichiometry"),
    "stoichiometry_anion": ("known around", "known compounds of the stoichiometry with the anion"),
    "stoichiometry_ion": ("known around", "known compounds of the stoichiometry with the ion"),
    "ion_amount": ("known around", "known compounds with the ion at its coefficient"),
    "element_substitution": ("known around", "known compounds with another element"),
    "cations": ("composition", "number of cations"),
    "atoms": ("composition", "atoms in the formula"),
    "charge.largest": ("composition", "largest charge of a cation"),
    "charge.smallest": ("composition", "smallest charge of a cation"),
    "charge.anion": ("composition", "charge of the anion"),
}
_PLACES = {"sum": "sum over the cations", "largest": "largest of the cations", "smallest": "smallest of the cations", "anion": "anion"}


def _in_words(feature: str) -> tuple[str, str]:
    """Return the kind of a feature that the trees see, and what it is."""
    if feature in _FEATURES:
        return _FEATURES[feature]
    first, _, last = feature.rpartition(".")
    if first in _FEATURES:
        group, text = _FEATURES[first]
        return group, f"{text} ({_PLACES[last]})"
    moment, _, label = feature.partition(".")
    return "composition", f"{moment} of {label}"


def _prefixed(prefix: str, arrays: Arrays) -> Arrays:
    return {f"{prefix}.{name}": values for name, values in arrays.items()}


def _without_prefix(prefix: str, arrays: Arrays) -> Arrays:
    return {name.removeprefix(f"{prefix}."): values for name, values in arrays.items() if name.startswith(f"{prefix}.")}


def fit_stack(
    data: TrainingData,
    settings: StackSettings,
    rng: np.random.Generator,
    n_threads: int,
    progress: ProgressSink,
    earlier: Earlier | None = None,
) -> Fitted:
    """Fit the machines of the first stage, and trees on what they rank best.

    An earlier fit lends the machines their start; trees are grown anew, on what is held back now.

    Raises
    ------
    ArtifactError
        If an earlier fit was of other machines.
    ModelFitError
        If a fit diverges, or nothing that was held back is among the best.
    """
    prior = prior_of(settings.fm, data)
    machine = machine_of(settings.fm, data, prior)
    teacher = _Teacher(data.space, settings.depth, n_threads, progress)
    starts, parts = _beginning(data, machine, settings, earlier, rng)
    fits, learned, lessons = [], [], []
    for start, (kept, held) in zip(starts, parts, strict=True):
        fit = Fit(machine, (kept, held), settings.fm, rng.spawn(1)[0], n_threads, start)
        fit.learn(progress)
        learned.append(dict(fit.parameters))
        autoencoder, around = _surroundings(data, kept, settings.ease)
        lessons += teacher.lessons((FittedFM(machine, (fit.parameters,)), autoencoder), around, (kept, held))
        fit.finish(progress)
        fits.append(fit)
    trees = _grown(lessons, settings, int(rng.integers(2**31)), progress)
    fitted = FittedFM(machine, tuple(fit.parameters for fit in fits))
    model = Stack(data.space, fitted, *_surroundings(data, data.all_known(), settings.ease), trees)
    return Fitted(
        model=model,
        n_epochs=sum(len(fit.history) for fit in fits),
        facts={"history": [history_rows(fit.history) for fit in fits], "prior": prior_facts(prior), "features": list(lessons[0][0])},
        state=WarmStart.after(machine, learned, parts).arrays(),
    )


def _surroundings(data: TrainingData, known: Mapping[str, Candidates], settings: EaseSettings) -> tuple[Substitution, Neighbourhood]:
    """Return what known candidates foretell, and what is known around others."""
    autoencoder, outside = foretelling(data.space, known, settings), Outside.of(data.space, data.outside)
    properties, names, _ = standardised(data.elements, data.space.ions.elements)
    rates = element_rates(data.space, known, outside, settings)
    return autoencoder, Neighbourhood(data.space, known, outside, properties, names, autoencoder.rates, rates)


def _beginning(
    data: TrainingData, machine: FactorizationMachine, settings: StackSettings, earlier: Earlier | None, rng: np.random.Generator
) -> tuple[Sequence[Parameters | None], list[Parts]]:
    """Return the parameters that each machine starts from, None for random ones, and for each what to fit to and to hold back."""
    n_parts, sizes = settings.fm.n_models, _part_sizes(data, settings.fm.n_models, settings.held_back_fraction)
    if earlier is None:
        return [None] * n_parts, _deal(data, n_parts, sizes, rng)
    warm = WarmStart.of(earlier, cast("Stack", earlier.model).machine, machine, n_parts, n_parts)
    return warm.machines.members, warm.parts(data.all_known(), sizes, rng)


def _part_sizes(data: TrainingData, n_parts: int, fraction: float) -> dict[str, int]:
    """Return how many compounds of each class a part holds back."""
    if n_parts * fraction > 1:
        raise ConfigError(f"train.stack: {n_parts} parts of {fraction:g} are more than all known compounds; lower held_back_fraction")
    return {name: max(1, round(fraction * len(known))) for name, known in data.all_known().items()}


def _deal(data: TrainingData, n_parts: int, sizes: Mapping[str, int], rng: np.random.Generator) -> list[Parts]:
    """Return, for each of the parts held back, what is left to fit to and the part; no two parts overlap."""
    dealt: list[Parts] = [({}, {}) for _ in range(n_parts)]
    for name, known in data.all_known().items():
        order, size = rng.permutation(len(known)), sizes[name]
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

    def lessons(self, first: tuple[Recommender, ...], around: Neighbourhood, parts: Parts) -> list[Lesson]:
        """Return, for each class, the features of the best candidates that were not fitted to, and whether each was held back."""
        return [self._lesson(first, around, name, *(part[name] for part in parts)) for name in first[0].classes]

    def _lesson(self, first: tuple[Recommender, ...], around: Neighbourhood, name: str, kept: Candidates, held: Candidates) -> Lesson:
        keys = self.space.composition_keys
        _, candidates = search_all(
            first,
            self.space,
            name,
            self.depth,
            excluded=np.unique(keys(name, kept)),
            search_filter=search_filter(self.space, ElementFilter()),
            n_threads=self.n_threads,
            progress=self.progress,
        )
        return _features(first, around, name, candidates), np.isin(keys(name, candidates), keys(name, held))


def _grown(lessons: Sequence[Lesson], settings: StackSettings, seed: int, progress: ProgressSink) -> Trees:
    rows = np.concatenate([_matrix(features) for features, _ in lessons])
    found = np.concatenate([labels for _, labels in lessons])
    if not found.any():
        raise ModelFitError("train: no held-back compound is among the best candidates; raise train.stack.depth or held_back_fraction")
    progress.start("grow trees", 1, "forests")
    trees = grow_trees(rows, found, settings.trees, seed)
    progress.advance(1)
    return trees


def _features(first: tuple[Recommender, ...], around: Neighbourhood, name: str, candidates: Candidates) -> dict[str, np.ndarray]:
    scores = {f"score.{i}": model.scores(name, candidates) for i, model in enumerate(first)}
    return {**scores, **around.features(name, candidates)}


def _matrix(features: Mapping[str, np.ndarray]) -> np.ndarray:
    return np.column_stack([column.astype(np.float32) for column in features.values()])
