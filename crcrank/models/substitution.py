"""Known compositions that differ from a candidate in one ion, each weighed by how readily the two ions replace each other.

A candidate's neighbours are the known candidates of its class with another ion of the same charge in one place, and the same
coefficients. Ion ``a`` of a known candidate is replaced by ``b`` to give another known one with probability ``p[a, b]``, which
the known list itself tells: of the known candidates with ``a``, the share that is also known with ``b``, shrunk to the share of
``b`` among the ions of that charge. (Hautier et al., Inorg. Chem. 50, 656 (2011), doi:10.1021/ic102031h, learn such
probabilities of pairs of ions from compounds of the same structure; there are no structures here.) Each neighbour is one
chance, so that a candidate is known with probability ``1 - (1 - p1)(1 - p2)...``: its rate is the sum of ``-log(1 - p)``, and
its score the logarithm of that rate, as for the other models. All candidates without a neighbour share a small rate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from crcrank.config import SubstitutionSettings
from crcrank.models.contract import Arrays, Fitted, TrainingData, fact, parameter, restored_candidates
from crcrank.models.terms import Term, formulas
from crcrank.progress import ProgressSink
from crcrank.space.listed import ListedScores
from crcrank.space.ranges import written_out
from crcrank.space.space import Candidates, Space


class Donor(NamedTuple):
    """A known composition next to a candidate: its formula, what differs (``La3+ -> Ce3+``), and what it adds to the candidate's rate."""

    formula: str
    change: str
    rate: float


class Replacements(NamedTuple):
    """Candidates that differ in one ion from given ones.

    Attributes
    ----------
    rows
        Which of the given ones each comes from, int64 (n,).
    candidates
        The new candidates.
    old, new
        The ion replaced and the one in its place, indices of cations, then anions, int64 (n,).
    """

    rows: np.ndarray
    candidates: Candidates
    old: np.ndarray
    new: np.ndarray


def replacements(space: Space, name: str, candidates: Candidates) -> Replacements:
    """Return all candidates of class ``name`` with another ion of the same charge in one place of a given candidate."""
    slots = [_cations_replaced(space, name, candidates, slot) for slot in range(candidates.cations.shape[1])]
    n_anions = space.classes[name].composition_class.n_anions
    anions = product(range(n_anions), range(len(space.ions.anions)))
    parts = [*slots, *(_anion_replaced(space, name, candidates, place, anion) for place, anion in anions)]
    rows, blocks, cations, old, new = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    made = Candidates(blocks, cations)
    kept = np.flatnonzero((old != new) & space.have_distinct_ions(name, made))
    return Replacements(rows[kept], space.in_order(name, made.take(kept)), old[kept], new[kept])


def _cations_replaced(space: Space, name: str, candidates: Candidates, slot: int) -> tuple[np.ndarray, ...]:
    """Return rows, blocks, cations, old and new ion with each cation of the charge in ``slot``, those without change included."""
    blocks = space.block_arrays(name)
    size = blocks.size[candidates.blocks, slot]
    rows, new = written_out(blocks.start[candidates.blocks, slot], size)
    cations = candidates.cations[rows]
    old = cations[:, slot].copy()
    cations[:, slot] = new
    return rows, candidates.blocks[rows], cations, old, new


def _anion_replaced(space: Space, name: str, candidates: Candidates, place: int, anion: int) -> tuple[np.ndarray, ...]:
    """Return rows, blocks, cations, old and new ion with ``anion`` in one place of the anions, where the charge is its own."""
    item = space.classes[name]
    old = item.block_anions[candidates.blocks, place]
    rows = np.flatnonzero(space.ions.anion_charge[old] == space.ions.anion_charge[anion])
    stoichiometry = item.block_stoichiometry[candidates.blocks[rows]]
    groups, coefficients = item.stoichiometries.groups[stoichiometry], item.stoichiometries.coefficients[stoichiometry]
    anions = item.block_anions[candidates.blocks[rows]]
    anions[:, place] = anion
    blocks = space.find_blocks(name, groups, coefficients, anions, item.stoichiometries.anion_coefficients[stoichiometry])
    rows, blocks = rows[blocks >= 0], blocks[blocks >= 0]
    n_cations = len(space.ions.cations)
    return rows, blocks, candidates.cations[rows], n_cations + old[rows], np.full(len(rows), n_cations + anion)


@dataclass(frozen=True)
class Substitution:
    """What is known, and how readily ions replace each other.

    Attributes
    ----------
    space
        The space.
    known
        Known candidates of each class.
    rates
        What a neighbour with the first ion adds to the rate of a candidate with the second, float64 (n_ions, n_ions); all neighbours
        together add 0 if their sum is negative.
    background
        Rate of the candidates without neighbours of each class, and added to all others.
    """

    space: Space
    known: Mapping[str, Candidates]
    rates: np.ndarray
    background: Mapping[str, float]

    @property
    def is_probabilistic(self) -> bool:
        """Whether a score says how probable it is to be known."""
        return False

    @property
    def classes(self) -> tuple[str, ...]:
        """Classes it was trained on and can score."""
        return tuple(self.known)

    def program(self, name: str) -> ListedScores:
        """Return the scores of all candidates of class ``name`` that have a neighbour."""
        made = replacements(self.space, name, self.known[name])
        summed = ListedScores.sums(self.space, name, made.candidates, self.rates[made.old, made.new])
        background = self.background[name]
        return ListedScores(summed.candidates, np.log(background + np.maximum(summed.scores, 0.0)), float(np.log(background)))

    def scores(self, name: str, candidates: Candidates) -> np.ndarray:
        """Return the scores of candidates of class ``name``, float64 (n,)."""
        return self.program(name).scores_of(self.space, name, candidates)

    def terms(self, name: str, candidates: Candidates) -> list[Term]:
        """Return the logarithm of the background rate of a single candidate, and what the rate of each known neighbour adds to it."""
        return rate_terms(self.background[name], self.donors(name, candidates))

    def donors(self, name: str, candidates: Candidates) -> list[Donor]:
        """Return the known candidates that differ in one ion from a single one of class ``name``."""
        made = replacements(self.space, name, candidates)
        known = self.space.order_keys(self.known[name])
        found = np.flatnonzero(np.isin(self.space.order_keys(made.candidates), known))
        old, new = made.new[found], made.old[found]
        labels, rates = self.space.ions.labels, self.rates[old, new].tolist()
        changes = [f"{labels[one]} -> {labels[other]}" for one, other in zip(old, new, strict=True)]
        return list(map(Donor, formulas(self.space, name, made.candidates.take(found)), changes, rates))

    def arrays(self) -> Arrays:
        """Return all its numbers by name."""
        known = {f"known.{name}": self.space.encode(name, item).astype(np.float64) for name, item in self.known.items()}
        return {"rates": self.rates, **{f"background.{name}": np.array(rate) for name, rate in self.background.items()}, **known}

    def facts(self) -> dict[str, Any]:
        """Return what else is needed to restore it, JSON-serialisable."""
        return {"n_known": {name: len(item) for name, item in self.known.items()}}

    @classmethod
    def restore(cls, arrays: Arrays, facts: Mapping[str, Any], space: Space) -> Substitution:
        """Return the model that :meth:`arrays` and :meth:`facts` came from."""
        n_ions = len(space.ions.labels)
        return cls(
            space,
            {name: restored_candidates(arrays, f"known.{name}", n, space, name) for name, n in fact(facts, "n_known").items()},
            parameter(arrays, "rates", (n_ions, n_ions)),
            {name: float(parameter(arrays, f"background.{name}", ())) for name in fact(facts, "n_known")},
        )


def rate_terms(background: float, donors: Sequence[Donor]) -> list[Term]:
    """Return the terms of log(background + rate), the rate being the sum of those of some donors, or 0 if that is negative.

    Rates add up, their logarithm does not: what all donors add to it is shared among them as they share in the rate.
    """
    total = sum(donor.rate for donor in donors)
    gain = float(np.log1p(total / background) / total) if total > 0 else 0.0
    largest_first = sorted(donors, key=lambda donor: -abs(donor.rate))
    terms = [Term("substitution", f"{donor.formula}, {donor.change}", gain * donor.rate) for donor in largest_first]
    return [Term("background", "a candidate without known neighbours", float(np.log(background))), *terms]


def fit_substitution(
    data: TrainingData,
    settings: SubstitutionSettings,
    rng: np.random.Generator,  # noqa: ARG001  (nothing is random)
    n_threads: int,  # noqa: ARG001  (it takes a second)
    progress: ProgressSink,
) -> Fitted:
    """Count how often ions replace each other among all known compositions."""
    progress.start("train", len(data.classes), "classes")
    known = {name: data.known(name) for name in data.classes}
    counts = count_replacements(data.space, known)
    background = background_rates(data.space, counts)
    progress.advance(len(data.classes))
    n_known, n_both = counts.n_known, counts.n_both
    if settings.similarity:
        shares = n_known / (_sums_by_charge(data.space, n_known) + 1)
        probability = (n_both + settings.shrinkage * shares) / (n_known[:, None] + settings.shrinkage)
    else:
        probability = np.full(n_both.shape, (n_both.sum() + 1) / (counts.n_possible + 2))
    return Fitted(Substitution(data.space, known, -np.log1p(-probability), background))


def background_rates(space: Space, counts: Counts) -> dict[str, float]:
    """Return for each class the share of its candidates that are known and have no known neighbour, taken to be one at least."""
    return {name: max(n_alone, 1) / space.classes[name].n_candidates for name, n_alone in counts.n_alone.items()}


class Counts(NamedTuple):
    """How often ions replace each other among known candidates.

    Attributes
    ----------
    n_known
        Known candidates with each ion, float64 (n_ions,).
    n_both
        Pairs of known candidates that differ in two ions only, the first in one and the second in the other, float64 (n_ions, n_ions).
    n_possible
        Candidates, known or not, that differ from a known one in one ion of the same charge.
    n_alone
        Known candidates of each class that differ so from no other known one.
    """

    n_known: np.ndarray
    n_both: np.ndarray
    n_possible: int
    n_alone: dict[str, int]


def count_replacements(space: Space, known: Mapping[str, Candidates]) -> Counts:
    """Count the replacements of ions among known candidates of some classes."""
    n_ions = len(space.ions.labels)
    n_known, n_both, n_possible, n_alone = np.zeros(n_ions), np.zeros((n_ions, n_ions)), 0, {}
    for name, item in known.items():
        anions = len(space.ions.cations) + space.classes[name].block_anions[item.blocks]
        n_known += np.bincount(np.concatenate([item.cations.ravel(), anions.ravel()]), minlength=n_ions)
        made = replacements(space, name, item)
        is_known = np.isin(space.order_keys(made.candidates), space.order_keys(item))
        np.add.at(n_both, (made.old[is_known], made.new[is_known]), 1.0)
        n_possible += len(made.rows)
        n_alone[name] = len(item) - len(np.unique(made.rows[is_known]))
    return Counts(n_known, n_both, n_possible, n_alone)


def similarity_of_ions(space: Space, known: Mapping[str, Candidates]) -> np.ndarray:
    """Return the share of the known candidates with either ion that stay known with the other, float64 (n_ions, n_ions), symmetric.

    It is the cosine of two ions' surroundings: ``n_both / sqrt(n n')``, 0 for ions of different charge and of an ion with itself.
    """
    counts = count_replacements(space, known)
    return np.asarray(counts.n_both / np.sqrt(np.outer(counts.n_known + 1, counts.n_known + 1)))


def _sums_by_charge(space: Space, counts: np.ndarray) -> np.ndarray:
    """Return for each ion the sum of ``counts`` over the ions of its charge."""
    charge = np.array([ion.oxidation_state for ion in space.ions.cations + space.ions.anions])
    return np.asarray(np.where(charge[:, None] == charge, counts, 0.0).sum(axis=1))
