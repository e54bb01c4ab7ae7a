"""Gradient-boosted decision trees as plain arrays: scikit-learn grows them, and they are evaluated without it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from crcrank.config import TreeSettings
from crcrank.errors import ArtifactError, ModelFitError
from crcrank.models.terms import Term

_CHUNK = 1 << 12


@dataclass(frozen=True)
class Trees:
    """Decision trees whose leaves add up.

    Attributes
    ----------
    nodes
        ``feature``, ``threshold``, ``left``, ``right`` and ``value`` of the nodes of all trees, one after the other, float64
        (5, n_nodes). What is at most the threshold goes left. A child comes after its parent; a leaf is its own child. The value of
        a leaf is what it adds, that of another node the same for all rows that came there together.
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

    def contributions(self, row: np.ndarray) -> np.ndarray:
        """Return what each feature adds to the sum of a row (n_features,), and last what the roots add, float64 (n_features + 1,).

        Each step down a tree changes the value by what the feature says that it asks for (Saabas, 2014,
        http://blog.datadive.net/interpreting-random-forests).
        """
        result = np.zeros(len(row) + 1)
        for root in self.roots.astype(np.int64).tolist():
            at, below = root, self._below(root, row)
            result[-1] += self.nodes[4, root]
            while below != at:
                result[int(self.nodes[0, at])] += self.nodes[4, below] - self.nodes[4, at]
                at, below = below, self._below(below, row)
        return result

    def _below(self, node: int, row: np.ndarray) -> int:
        feature, threshold, left, right, _ = self.nodes[:, node]
        return int(left if row[int(feature)] <= threshold else right)

    def check(self, n_features: int, what: str) -> None:
        """Raise ArtifactError, naming ``what``, unless every row of features leads from every root to a leaf."""
        feature, threshold, left, right, value = self.nodes
        index = np.arange(self.nodes.shape[1])
        leaf = (left == index) & (right == index)
        inner = (left > index) & (right > index) & (left < len(index)) & (right < len(index))
        whole = (self.nodes[[0, 2, 3]] % 1 == 0).all() and (self.roots % 1 == 0).all()
        inside = (feature >= 0) & (feature < n_features) & (leaf | inner) & np.isfinite(value) & ~np.isnan(threshold)
        if not (whole and inside.all() and (self.roots >= 0).all() and (self.roots < len(index)).all()):
            raise ArtifactError(f"model: {what} are no trees over {n_features} features; train it again")


def log_rate(log_odds: np.ndarray) -> np.ndarray:
    """Return log(-log(1 - p)) of log-odds of ``p``, float64 (n,); where they are small the two are the same."""
    return np.where(log_odds < -30, log_odds, np.log(np.logaddexp(0, np.maximum(log_odds, -30))))


def tree_terms(trees: Trees, row: np.ndarray, features: Sequence[tuple[str, str]], offset: float = 0.0) -> list[Term]:
    """Return the terms of the logarithm of a rate whose log-odds are the trees' sum of a row (n_features,) and an offset.

    ``features`` are the group and the name of each feature; those that no path asks for are left out.
    """
    *values, start = trees.contributions(row).tolist()
    log_odds = sum(values) + start + offset
    terms = [Term(group, f"{text} = {x:.4g}", v) for (group, text), x, v in zip(features, row.tolist(), values, strict=True) if v]
    rate = float(log_rate(np.array([log_odds]))[0])
    return [Term("start", "log-odds before any feature", start + offset), *terms, Term("start", "rate in place of odds", rate - log_odds)]


def grow_trees(rows: np.ndarray, labels: np.ndarray, settings: TreeSettings, seed: int, weights: np.ndarray | None = None) -> Trees:
    """Return trees whose sums are the log-odds that a row (n, n_features) has its label, bool (n,), set.

    Friedman, Ann. Statist. 29, 1189 (2001), doi:10.1214/aos/1013203451, algorithm 6; on histograms of the features. The first
    tree is a single leaf: the log-odds of all rows.

    Raises
    ------
    ModelFitError
        If scikit-learn keeps its trees in a way that is not known here.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    grower = HistGradientBoostingClassifier(
        max_iter=settings.n_trees,
        learning_rate=settings.learning_rate,
        max_leaf_nodes=settings.n_leaves,
        min_samples_leaf=settings.smallest_leaf,
        max_features=settings.feature_share,
        l2_regularization=settings.l2,
        early_stopping=False,
        random_state=seed,
    )
    with threadpool_limits(
        1, user_api="openmp"
    ):  # the threads of such small work wait for each other: twenty times slower on a busy machine
        grower.fit(rows, labels, sample_weight=weights)
        expected = grower.decision_function(rows[:1000])
    trees = _as_arrays(grower)
    if not np.allclose(trees.sums(rows[:1000]), expected):
        raise ModelFitError("train: this version of scikit-learn keeps its trees in another way; install 1.5 to 1.9")
    return trees


def _as_arrays(grower: Any) -> Trees:
    """Return the trees of a fitted ``HistGradientBoostingClassifier``, its baseline first; scikit-learn has no public way to them."""
    baseline = float(np.ravel(grower._baseline_prediction)[0])  # noqa: SLF001
    tables = [predictors[0].nodes for predictors in grower._predictors]  # noqa: SLF001
    roots = np.cumsum([0, 1, *(len(table) for table in tables)])[:-1]
    parts = [np.array([[0.0], [0.0], [0.0], [0.0], [baseline]])]
    for first, table in zip(roots[1:], tables, strict=True):
        leaf, own = table["is_leaf"].astype(bool), np.arange(len(table))
        children = [first + np.where(leaf, own, table[side]) for side in ("left", "right")]
        feature, threshold = np.where(leaf, 0, table["feature_idx"]), np.where(leaf, 0.0, table["num_threshold"])
        value = np.where(leaf, 1.0, grower.learning_rate) * table["value"]  # leaves have been shrunk already
        parts.append(np.array([feature, threshold, *children, value], np.float64))
    return Trees(np.concatenate(parts, axis=1), roots.astype(np.float64))
