"""Gradient-boosted trees on compositional descriptors: known compositions against a uniform sample of the unlabelled.

The descriptors (:mod:`crcrank.models.descriptors`) tell nothing of ions or charges, and are no sum over pairs: there is no exact
search for the best, so a forest only re-ranks what another model lists. scikit-learn grows the trees; they are stored as
plain arrays, and scored without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from crcrank.chem.elements import ElementTable, standardised
from crcrank.config import ForestSettings
from crcrank.errors import ConfigError
from crcrank.models.contract import Arrays, Fitted, TrainingData, fact, parameter
from crcrank.models.descriptors import descriptor_names, descriptors, n_descriptors
from crcrank.models.terms import Term
from crcrank.models.trees import Trees, grow_trees, log_rate, tree_terms
from crcrank.progress import ProgressSink
from crcrank.space.space import Candidates, Space


@dataclass(frozen=True)
class Forest:
    """Trees of each class, and the properties that their descriptors are made of.

    Attributes
    ----------
    space
        The space.
    properties
        Standardised properties of the elements of the space, float64 (n_elements, p).
    property_names
        Their names.
    trees
        By class.
    offsets
        What is added to the trees' sum to give the log-odds of being known, by class.
    """

    space: Space
    properties: np.ndarray
    property_names: tuple[str, ...]
    trees: Mapping[str, Trees]
    offsets: Mapping[str, float]

    @property
    def is_probabilistic(self) -> bool:
        """Whether a score says how probable it is to be known."""
        return True

    @property
    def classes(self) -> tuple[str, ...]:
        """Classes it was trained on and can score."""
        return tuple(self.trees)

    def program(self, name: str) -> NoReturn:
        """Refuse: the best of a class cannot be searched for.

        Raises
        ------
        ConfigError
            Always.
        """
        raise ConfigError(
            f"rank: a forest only re-ranks: it cannot search all candidates of class {name!r}; rank with another model and "
            "give this one to --rerank"
        )

    def scores(self, name: str, candidates: Candidates) -> np.ndarray:
        """Return log(-log(1 - p)), p the probability of being known, for candidates of class ``name``, float64 (n,)."""
        found = descriptors(self.properties, *self.space.composition_arrays(name, candidates))
        return log_rate(self.trees[name].sums(found) + self.offsets[name])

    def terms(self, name: str, candidates: Candidates) -> list[Term]:
        """Return what each descriptor of a single candidate adds along the paths through the trees."""
        row = descriptors(self.properties, *self.space.composition_arrays(name, candidates))[0]
        return tree_terms(
            self.trees[name], row, [("descriptor", text) for text in descriptor_names(self.property_names)], self.offsets[name]
        )

    def arrays(self) -> Arrays:
        """Return all its numbers by name."""
        arrays: Arrays = {"properties": self.properties}
        for name, trees in self.trees.items():
            arrays |= {f"nodes.{name}": trees.nodes, f"roots.{name}": trees.roots, f"offset.{name}": np.array(self.offsets[name])}
        return arrays

    def facts(self) -> dict[str, Any]:
        """Return what else is needed to restore it, JSON-serialisable."""
        sizes = {name: [trees.nodes.shape[1], len(trees.roots)] for name, trees in self.trees.items()}
        return {"property_names": list(self.property_names), "n_nodes_and_trees": sizes}

    @classmethod
    def restore(cls, arrays: Arrays, facts: Mapping[str, Any], space: Space) -> Forest:
        """Return the model that :meth:`arrays` and :meth:`facts` came from."""
        names = tuple(fact(facts, "property_names"))
        properties = parameter(arrays, "properties", (len(space.ions.elements), len(names)))
        trees, offsets = {}, {}
        for name, (n_nodes, n_trees) in fact(facts, "n_nodes_and_trees").items():
            trees[name] = Trees(parameter(arrays, f"nodes.{name}", (5, n_nodes)), parameter(arrays, f"roots.{name}", (n_trees,)))
            trees[name].check(n_descriptors(properties.shape[1]), f"the nodes of class {name!r}")
            offsets[name] = float(parameter(arrays, f"offset.{name}", ()))
        return cls(space, properties, names, trees, offsets)


def fit_forest(data: TrainingData, settings: ForestSettings, rng: np.random.Generator, n_threads: int, progress: ProgressSink) -> Fitted:
    """Grow trees for each class.

    Each row counts once. That an unlabelled one stands for many then enters as an offset of the log-odds, which is exact
    (King and Zeng, Political Analysis 9, 137 (2001), doi:10.1093/oxfordjournals.pan.a004868, section 4.1).

    Raises
    ------
    ConfigError
        If a property to leave out is none.
    """
    properties, names = _properties(data.elements, data.space.ions.elements, settings.leave_out)
    progress.start("train", len(data.classes), "classes")

    def grow(name: str, own: np.random.Generator) -> tuple[Trees, float]:
        known = data.known(name)
        unlabelled, weight = _sample(data.space, name, known, settings.n_unlabelled, own)
        rows = descriptors(properties, *data.space.composition_arrays(name, known.joined(unlabelled)))
        trees = grow_trees(rows, np.arange(len(rows)) < len(known), settings, int(own.integers(2**31)))
        progress.advance(1, name)
        return trees, -float(np.log(weight))

    with ThreadPoolExecutor(n_threads) as pool:
        grown = dict(zip(data.classes, pool.map(grow, data.classes, rng.spawn(len(data.classes))), strict=True))
    trees, offsets = {name: item[0] for name, item in grown.items()}, {name: item[1] for name, item in grown.items()}
    return Fitted(Forest(data.space, properties, names, trees, offsets), n_epochs=settings.n_trees)


def _properties(table: ElementTable, symbols: tuple[str, ...], leave_out: tuple[str, ...]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the properties that vary, standardised over the elements of the space, and their names."""
    unknown = [name for name in leave_out if name not in table.property_names]
    if unknown:
        raise ConfigError(f"train.forest.leave_out: {unknown[0]!r} is no property; known are {', '.join(table.property_names)}")
    return standardised(table, symbols, leave_out)[:2]


def _sample(space: Space, name: str, known: Candidates, n: int, rng: np.random.Generator) -> tuple[Candidates, float]:
    """Return the unlabelled among ``n`` candidates drawn uniformly, all if the class has no more, and how many each stands for."""
    item = space.classes[name]
    places = rng.integers(item.n_candidates, size=n) if n < item.n_candidates else np.arange(item.n_candidates)
    drawn = space.decode(name, item.first_id + places)
    is_known = np.isin(space.composition_keys(name, drawn), space.composition_keys(name, known))
    return drawn.take(np.flatnonzero(~is_known)), item.n_candidates / len(places)
