"""A linear autoencoder: what is known in one place of a composition foretells what else is known there.

The known compositions with all else the same, one place left open, form a row; the ions known in that place are marked in it. A
square matrix ``B`` without diagonal foretells each mark of a row from the others, ``X ~ X B``, by least squares in closed form (EASE:
Steck, WWW 2019, 3251, doi:10.1145/3308558.3313710, eq. 8), where each mark is left out with a probability, which is a penalty on the
squares of the marks (EDLAE: Steck, Adv. Neural Inf. Process. Syst. 33 (2020)). Unlike counts of how often two ions replace each other,
it does not add up what two alike neighbours both say, and neighbours may speak against a candidate. The rate of a candidate is the
sum over its places, as in substitution: each known composition that differs in one ion adds ``B[its ion, the candidate's]``.

With elements in place of ions, compositions outside the space count too, which have no ions of known charge
(:func:`element_rates`).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from crcrank.config import EaseSettings
from crcrank.models.contract import Fitted, TrainingData
from crcrank.models.substitution import Substitution, background_rates, count_replacements
from crcrank.progress import ProgressSink
from crcrank.space.positions import Codes, Marks, Outside, Positions
from crcrank.space.space import Candidates, Space


def fit_ease(
    data: TrainingData,
    settings: EaseSettings,
    rng: np.random.Generator,  # noqa: ARG001  (nothing is random)
    n_threads: int,  # noqa: ARG001  (it takes a second)
    progress: ProgressSink,
) -> Fitted:
    """Learn from all known compositions what the ions known in a place say about another."""
    progress.start("train", len(data.classes), "classes")
    model = foretelling(data.space, {name: data.known(name) for name in data.classes}, settings)
    progress.advance(len(data.classes))
    return Fitted(model)


def foretelling(space: Space, known: Mapping[str, Candidates], settings: EaseSettings) -> Substitution:
    """Return the model of what is known, candidates by class."""
    rates = autoencoder(_shared(space, known), settings)
    return Substitution(space, known, rates, background_rates(space, count_replacements(space, known)))


def autoencoder(shared: np.ndarray, settings: EaseSettings) -> np.ndarray:
    """Return the matrix that foretells marks, float64 (n_items, n_items), without diagonal, from ``X' X`` of the same shape."""
    odds = settings.dropout / (1 - settings.dropout)
    inverse = np.linalg.inv(shared + np.diag(settings.l2 + odds * np.diagonal(shared)))
    weights = -inverse / np.diagonal(inverse)
    np.fill_diagonal(weights, 0.0)
    return np.asarray(weights)


def _shared(space: Space, known: Mapping[str, Candidates]) -> np.ndarray:
    """Return in how many surroundings of any class two ions are both known, float64 (n_ions, n_ions)."""
    codes, n_ions = Codes.of(space), len(space.ions.labels)
    return np.asarray(np.sum([Marks.of_ions(Positions(space, name, item, codes)).shared(n_ions) for name, item in known.items()], axis=0))


def element_rates(space: Space, known: Mapping[str, Candidates], outside: Outside, settings: EaseSettings) -> np.ndarray:
    """Return what a known element adds to another in its place, float64 (n_elements, n_elements), learned from all known compositions."""
    codes = Codes.of(space)
    marks = Marks.of_elements([Positions(space, name, item, codes) for name, item in known.items()], outside, codes)
    return autoencoder(marks.shared(len(space.ions.elements)), settings)
