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

from crcrank.chem.elements import ElementTable, imputed
from crcrank.config import ForestSettings
from crcrank.errors import ArtifactError, ConfigError, ModelFitError
from crcrank.models.contract import Arrays, Fitted, TrainingData, parameter
from crcrank.models.descriptors import descriptors, n_descriptors
from crcrank.progress import ProgressSink
from crcrank.space.space import Candidates, Space

_CHUNK = 1 << 12


@dataclass(frozen=True)
class Trees:
    """Decision trees whose leaves add up.

    Attributes
    ----------
    nodes
        ``feature``, ``threshold``, ``left``, ``right`` and ``value`` of the nodes of all trees, one after the other, float64
        (5, n_nodes). What is at most the threshold goes left. A child comes after its parent; a leaf is its own child.
    roots
        First node of each tree, float64 (n_trees,).
    """

    nodes: np.ndarray
    roots: np.ndarray

    def sums(self, rows: np.ndarray) -> np.ndarray:
        """Return the sum over all trees of the leaf that each row (n, n_features) falls into, float64 (n,)."""
        feature, left, right = (self.nodes[i].astype(np.int64) for i in (0, 2, 3))
        threshold, value = self.nodes[1], self.nodes[4]
        sums = np.empty(len(rows))
        for first in range(0, len(rows), _CHUNK):
            part = rows[first : first + _CHUNK]
            at, before = np.tile(self.roots.astype(np.int64), (len(part), 1)), None
            while before is None or (at != before).any():
                before = at
                at = np.where(np.take_along_axis(part, feature[at], axis=1) <= threshold[at], left[at], right[at])
            sums[first : first + _CHUNK] = value[at].sum(axis=1)
        return sums

    def check(self, n_features: int, what: str) -> None:
        """Raise ArtifactError, naming ``what``, unless every row of features leads from every root to a leaf."""
        feature, threshold, left, right, value = self.nodes
        index = np.arange(self.nodes.shape[1])
        leaf = (left == index) & (right == index)
        inner = (left > index) & (right > index) & (left < len(index)) & (right < len(index))
        whole = (self.nodes[[0, 2, 3]] % 1 == 0).all() and (self.roots % 1 == 0).all()
        inside = (feature >= 0) & (feature < n_features) & (leaf | inner) & np.isfinite(value) & ~np.isnan(threshold)
        if not (whole and inside.all() and (self.roots >= 0).all() and (self.roots < len(index)).all()):
            raise ArtifactError(f"model: {what} are no trees over {n_features} descriptors; train it again")


@dataclass(frozen=True)
class Forest:
    """Trees of each class, and the properties that their descriptors are made of.

    Attributes
    ----------
    space
        The space.
    properties
        Standardised properties of the elements of the space, float64 (n_elements, p).
    trees
        By class.
    offsets
        What is added to the trees' sum to give the log-odds of being known, by class.
    """

    space: Space
    properties: np.ndarray
    trees: Mapping[str, Trees]
    offsets: Mapping[str, float]

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
        log_odds = self.trees[name].sums(found) + self.offsets[name]
        return np.where(log_odds < -30, log_odds, np.log(np.logaddexp(0, np.maximum(log_odds, -30))))

    def arrays(self) -> Arrays:
        """Return all its numbers by name."""
        arrays: Arrays = {"properties": self.properties}
        for name, trees in self.trees.items():
            arrays |= {f"nodes.{name}": trees.nodes, f"roots.{name}": trees.roots, f"offset.{name}": np.array(self.offsets[name])}
        return arrays

    def facts(self) -> dict[str, Any]:
        """Return what else is needed to restore it, JSON-serialisable."""
        sizes = {name: [trees.nodes.shape[1], len(trees.roots)] for name, trees in self.trees.items()}
        return {"n_properties": self.properties.shape[1], "n_nodes_and_trees": sizes}

    @classmethod
    def restore(cls, arrays: Arrays, facts: Mapping[str, Any], space: Space) -> Forest:
        """Return the model that :meth:`arrays` and :meth:`facts` came from."""
        properties = parameter(arrays, "properties", (len(space.ions.elements), facts["n_properties"]))
        trees, offsets = {}, {}
        for name, (n_nodes, n_trees) in facts["n_nodes_and_trees"].items():
            trees[name] = Trees(parameter(arrays, f"nodes.{name}", (5, n_nodes)), parameter(arrays, f"roots.{name}", (n_trees,)))
            trees[name].check(n_descriptors(properties.shape[1]), f"the nodes of class {name!r}")
            offsets[name] = float(parameter(arrays, f"offset.{name}", ()))
        return cls(space, properties, trees, offsets)


def fit_forest(data: TrainingData, settings: ForestSettings, rng: np.random.Generator, n_threads: int, progress: ProgressSink) -> Fitted:
    """Grow trees for each class.

    Each row counts once. That an unlabelled one stands for many then enters as an offset of the log-odds, which is exact
    (King and Zeng, Political Analysis 9, 137 (2001), doi:10.1093/oxfordjournals.pan.a004868, section 4.1).

    Raises
    ------
    ConfigError
        If scikit-learn is missing, or a property to leave out is none.
    """
    _check_scikit_learn()
    properties = _properties(data.elements, data.space.ions.elements, settings.leave_out)
    progress.start("train", len(data.classes), "classes")

    def grow(name: str, own: np.random.Generator) -> tuple[Trees, float]:
        known = data.known(name)
        unlabelled, weight = _sample(data.space, name, known, settings.n_unlabelled, own)
        rows = descriptors(properties, *data.space.composition_arrays(name, known.joined(unlabelled)))
        trees, baseline = _grown(rows, len(known), settings, int(own.integers(2**31)))
        progress.advance(1, name)
        return trees, baseline - float(np.log(weight))

    with ThreadPoolExecutor(n_threads) as pool:
        grown = dict(zip(data.classes, pool.map(grow, data.classes, rng.spawn(len(data.classes))), strict=True))
    trees, offsets = {name: item[0] for name, item in grown.items()}, {name: item[1] for name, item in grown.items()}
    return Fitted(Forest(data.space, properties, trees, offsets), n_epochs=settings.n_trees)


def _check_scikit_learn() -> None:
    try:
        import sklearn  # noqa: F401
    except ImportError as error:
        raise ConfigError("train: model 'forest' needs scikit-learn: pip install 'crcrank[forest]'") from error


def _properties(table: ElementTable, symbols: tuple[str, ...], leave_out: tuple[str, ...]) -> np.ndarray:
    """Return the properties that vary, standardised over the elements of the space."""
    unknown = [name for name in leave_out if name not in table.property_names]
    if unknown:
        raise ConfigError(f"train.forest.leave_out: {unknown[0]!r} is no property; known are {', '.join(table.property_names)}")
    values = imputed(table, symbols)[0][:, [name not in leave_out for name in table.property_names]]
    values = values[:, np.ptp(values, axis=0) > 0]
    return np.asarray((values - values.mean(axis=0)) / values.std(axis=0))


def _sample(space: Space, name: str, known: Candidates, n: int, rng: np.random.Generator) -> tuple[Candidates, float]:
    """Return the unlabelled among ``n`` candidates drawn uniformly, all if the class has no more, and how many each stands for."""
    item = space.classes[name]
    places = rng.integers(item.n_candidates, size=n) if n < item.n_candidates else np.arange(item.n_candidates)
    drawn = space.decode(name, item.first_id + places)
    is_known = np.isin(space.composition_keys(name, drawn), space.composition_keys(name, known))
    return drawn.take(np.flatnonzero(~is_known)), item.n_candidates / len(places)


def _grown(rows: np.ndarray, n_known: int, settings: ForestSettings, seed: int) -> tuple[Trees, float]:
    """Return trees that tell the first ``n_known`` rows from the others, and the log-odds that they start from."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    grower = HistGradientBoostingClassifier(
        max_iter=settings.n_trees,
        learning_rate=settings.learning_rate,
        max_leaf_nodes=settings.n_leaves,
        max_features=settings.feature_share,
        l2_regularization=settings.l2,
        early_stopping=False,
        random_state=seed,
    )
    with threadpool_limits(1, user_api="openmp"):  # on a busy machine its threads wait for each other
        grower.fit(rows, np.arange(len(rows)) < n_known)
        expected = grower.decision_function(rows[:n_known])
    trees, baseline = _as_arrays(grower)
    if not np.allclose(trees.sums(rows[:n_known]) + baseline, expected):
        raise ModelFitError("train: this version of scikit-learn keeps its trees in another way; install 1.5 to 1.9")
    return trees, baseline


def _as_arrays(grower: Any) -> tuple[Trees, float]:
    """Return the trees of a fitted ``HistGradientBoostingClassifier`` and their baseline; scikit-learn has no public way to them."""
    tables = [predictors[0].nodes for predictors in grower._predictors]  # noqa: SLF001
    roots = np.cumsum([0, *(len(table) for table in tables)])[:-1]
    parts = []
    for first, table in zip(roots, tables, strict=True):
        leaf, own = table["is_leaf"].astype(bool), np.arange(len(table))
        children = [first + np.where(leaf, own, table[side]) for side in ("left", "right")]
        feature, threshold = np.where(leaf, 0, table["feature_idx"]), np.where(leaf, 0.0, table["num_threshold"])
        parts.append(np.array([feature, threshold, *children, np.where(leaf, table["value"], 0.0)], np.float64))
    return Trees(np.concatenate(parts, axis=1), roots.astype(np.float64)), float(np.ravel(grower._baseline_prediction)[0])  # noqa: SLF001
