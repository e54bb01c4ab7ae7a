"""Say why a formula scores what it does: the terms of its score, its rank, what is known around it, and what else there is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice, product
from math import gcd
from pathlib import Path
from typing import Any

import numpy as np

from crcrank.artifacts.store import read_artifact
from crcrank.chem.cautions import read_cautions
from crcrank.chem.formula import Composition, FormulaError, format_formula, pretty_formula, read_formula
from crcrank.chem.ions import IonTable
from crcrank.config import Settings
from crcrank.errors import ConfigError
from crcrank.models.contract import Recommender
from crcrank.models.likelihood import probability
from crcrank.models.registry import is_parameter, load_model
from crcrank.models.staged import Stages
from crcrank.models.terms import Term, stoichiometry_text
from crcrank.progress import ProgressSink, SilentProgress
from crcrank.ranking.filters import ElementFilter, search_filter
from crcrank.ranking.novelty import one_ion_away
from crcrank.space.placement import Placer
from crcrank.space.space import Candidates, Compositions, Space
from crcrank.stages.common import candidate_columns, load_space, read_compositions
from crcrank.stages.novelty import Surroundings
from crcrank.stages.ranks import RankFinder

_N_SHOWN = 10


@dataclass(frozen=True)
class Part:
    """A sum of terms.

    Attributes
    ----------
    name
        What it is the score of.
    score
        The sum.
    terms
        The terms, in the order of the model.
    """

    name: str
    score: float
    terms: tuple[Term, ...]


@dataclass(frozen=True)
class Explanation:
    """Why a formula scores what it does.

    Parameters
    ----------
    formula, pretty_formula, chemical_system, composition_class, candidate_id
        What it is, and its place: that of its best assignment of ions.
    ions, stoichiometry
        The assignment.
    other_assignments
        Ions and score of the others.
    score, probability
        By the model; the probability of being known, None where the model tells none.
    rank
        Among the unknown formulas of its class; None if it is known, or no ranking that lists it was given.
    is_known
        Whether it is among the known, None if these were not given.
    parts
        The score as a sum, then the scores of the models of a first stage, on which it rests.
    nearest_known
        Known compounds that differ in one ion: formula, substitution, likeness of the two ions; the most alike first.
    n_one_ion_away
        Their number.
    known_in_system
        Known compounds of the chemical system.
    mixture
        Two known compounds on whose line in the system the formula lies.
    alternatives
        The best unknown formulas of the chemical system: formula and score.
    cautions
        Unusual ions, scarce and toxic elements, by the columns of a ranking.
    """

    formula: str
    pretty_formula: str
    chemical_system: str
    composition_class: str
    candidate_id: int
    ions: str
    stoichiometry: str
    other_assignments: tuple[tuple[str, float], ...]
    score: float
    probability: float | None
    rank: int | None
    is_known: bool | None
    parts: tuple[Part, ...] = field(repr=False)
    nearest_known: tuple[tuple[str, str, float], ...] = field(repr=False)
    n_one_ion_away: int | None
    known_in_system: tuple[str, ...]
    mixture: str | None
    alternatives: tuple[tuple[str, float], ...] = field(repr=False)
    cautions: dict[str, list[str]]


@dataclass(frozen=True)
class ExplainSummary:
    """What was asked for, in that order."""

    formulas: tuple[Explanation, ...]


def run_explain(
    texts: Sequence[str],
    model: Path,
    *,
    settings: Settings,
    known: Path | None = None,
    ranking: Path | None = None,
    exact_ranks: bool = False,
    n_threads: int = 1,
    progress: ProgressSink | None = None,
) -> ExplainSummary:
    """Explain the scores of some formulas.

    Parameters
    ----------
    texts
        Formulas, as people write them.
    model, known, ranking
        Artifacts; without ``known``, nothing is said of what is known; ``ranking`` tells the rank of what it lists.
    exact_ranks
        Count over the whole class for the ranks, instead of looking into a ranking.

    Raises
    ------
    ConfigError
        If a formula cannot be read, lies outside the space, or in a class that the model never learned.
    ArtifactError
        If an artifact is missing, damaged, or made for another space.
    """
    space, ions = load_space(settings)
    artifact = read_artifact(model, "model", space_digest=space.digest, wanted=is_parameter)
    compositions = read_compositions(read_artifact(known, "known").table) if known else []
    table = read_artifact(ranking, "ranking", space_digest=space.digest).table if ranking else None
    ranks = dict(zip(table["formula"].to_pylist(), table["rank"].to_pylist(), strict=True)) if table else {}
    explainer = _Explainer(space, ions, settings, load_model(artifact.table, artifact.metadata, space), compositions, ranks)
    found = [explainer.explained(text) for text in texts]
    if exact_ranks:
        counted = explainer.exact_ranks(found, n_threads, progress or SilentProgress())
        found = [replace(item, rank=counted.get(item.formula)) for item in found]
    return ExplainSummary(tuple(found))


@dataclass(frozen=True)
class _Explainer:
    """A model, and what is known."""

    space: Space
    ions: IonTable
    settings: Settings
    model: Recommender
    known: Compositions
    ranks: dict[str, int]

    def explained(self, text: str) -> Explanation:
        """Explain one formula."""
        composition = read_composition(text)
        name, candidates = self._placed(text, composition)
        scores = self.model.scores(name, candidates)
        order = np.lexsort((self.space.encode(name, candidates), -scores))
        best, score = candidates.take(order[:1]), float(scores[order[0]])
        columns = candidate_columns(self.space, name, best)
        around = self.around.columns(name, best, columns)
        return Explanation(
            formula=composition.formula,
            pretty_formula=composition.pretty_formula,
            chemical_system=composition.chemical_system,
            composition_class=name,
            candidate_id=int(self.space.encode(name, best)[0]),
            ions=self._ions(name, best),
            stoichiometry=stoichiometry_text(self.space, name, int(self.space.classes[name].block_stoichiometry[best.blocks[0]])),
            other_assignments=tuple(
                (self._ions(name, candidates.take(order[i : i + 1])), float(scores[order[i]])) for i in range(1, len(order))
            ),
            score=score,
            probability=float(probability(scores[order[:1]])[0]) if self.model.is_probabilistic else None,
            rank=self.ranks.get(composition.formula),
            is_known=composition.formula in self._known_formulas if self.known else None,
            parts=tuple(self._parts(name, best, score)),
            nearest_known=self._nearest(name, best),
            n_one_ion_away=None if not self.known else int(around["n_one_ion_away"][0]),
            known_in_system=tuple(pretty_formula(*self.known[i]) for i in self.around.systems.within(composition.elements)),
            mixture=around["mixture"][0],
            alternatives=self._alternatives(name, composition),
            cautions={column: around[column][0] for column in ("unusual_ions", "scarce", "toxic") if around[column][0]},
        )

    def exact_ranks(self, found: Sequence[Explanation], n_threads: int, progress: ProgressSink) -> dict[str, int]:
        """Return the ranks of unknown formulas among all of their classes."""
        stages, anything = Stages.of(self.model, None, self.settings.rank.rerank_depth), search_filter(self.space, ElementFilter())
        options: Any = {"search_filter": anything, "n_threads": n_threads, "progress": progress}
        listings = {
            name: stages.listing(
                self.space, name, self.settings.rank.k, excluded=self.space.formula_keys(name, self.known), **options
            ).ranked
            for name in dict.fromkeys(item.composition_class for item in found)
        }
        asked = {item.formula: read_composition(item.formula) for item in found}
        finder = RankFinder(self.space, self.ions, stages, anything, self.known, n_threads, progress)
        rows = finder.find({formula: (one.elements, one.amounts) for formula, one in asked.items()}, listings).ranks
        pairs = zip(rows["formula"].to_pylist(), rows["rank"].to_pylist(), strict=True)
        return {formula: rank for formula, rank in pairs if rank is not None}

    def _placed(self, text: str, composition: Composition) -> tuple[str, Candidates]:
        """Return the class that a formula is explained in, and its candidates there."""
        pair = (composition.elements, composition.amounts)
        placements, outside = self._placer.place([pair])
        names = [name for name, item in placements.items() if len(item)]
        if outside:
            raise ConfigError(f"{text}: outside the space: {outside[0]}; crcrank ingest --explain {composition.formula} says more")
        learned = [name for name in names if name in self.model.classes]
        if not learned:
            raise ConfigError(
                f"{text}: class {names[0]!r} was never learned by the model, which knows {', '.join(self.model.classes)}; "
                f"train with --class {names[0]}"
            )
        return learned[0], placements[learned[0]].candidates

    def _parts(self, name: str, best: Candidates, score: float) -> list[Part]:
        """Return the score as a sum, and the scores of a first stage that are no terms of it."""
        parts = [Part("score", score, tuple(self.model.terms(name, best)))]
        for what, model in zip(("Factorization Machine", "linear autoencoder"), getattr(self.model, "first_stage", ()), strict=False):
            parts.append(Part(what, float(model.scores(name, best)[0]), tuple(model.terms(name, best))))
        return parts

    def _nearest(self, name: str, best: Candidates) -> tuple[tuple[str, str, float], ...]:
        if not self.known:
            return ()
        likeliest, labels = self.around.placements[name].best(), self.space.ions.labels
        pairs = one_ion_away(self.space, name, likeliest.candidates, best)
        return tuple(
            (
                pretty_formula(*self.known[likeliest.composition[pairs.known[i]]]),
                f"{labels[pairs.old[i]]} -> {labels[pairs.new[i]]}",
                float(pairs.alike[i]),
            )
            for i in range(min(_N_SHOWN, len(pairs.row)))
        )

    def _alternatives(self, name: str, composition: Composition) -> tuple[tuple[str, float], ...]:
        """Return the best other formulas of the chemical system among all its candidates."""
        largest = self.space.classes[name].composition_class.max_coefficient
        tuples = product(range(1, largest + 1), repeat=len(composition.elements))
        others = [(composition.elements, amounts) for amounts in tuples if gcd(*amounts) == 1 and amounts != tuple(composition.amounts)]
        placed = self._placer.places(others, [name])[name]
        scores = self.model.scores(name, placed.candidates)
        order = np.lexsort((placed.composition, -scores))
        distinct = order[np.sort(np.unique(placed.composition[order], return_index=True)[1])]
        found = ((others[placed.composition[i]], float(scores[i])) for i in distinct.tolist())
        unknown = ((pretty_formula(*pair), score) for pair, score in found if format_formula(*pair) not in self._known_formulas)
        return tuple(islice(unknown, _N_SHOWN))

    def _ions(self, name: str, candidates: Candidates) -> str:
        """Return the ions of the first of some candidates as a person writes them."""
        labels, amounts = self.space.ions_of(name, candidates)
        return " ".join(label if n == 1 else f"{n}{label}" for label, n in zip(labels[0], amounts[0].tolist(), strict=True))

    @cached_property
    def _placer(self) -> Placer:
        return Placer(self.space, self.ions)

    @cached_property
    def around(self) -> Surroundings:
        """What is known."""
        return Surroundings(self.space, self.ions, self.known, self.model.classes, read_cautions(self.settings.space.cautions))

    @cached_property
    def _known_formulas(self) -> frozenset[str]:
        return frozenset(format_formula(*pair) for pair in self.known)


def read_composition(text: str) -> Composition:
    """Return the composition that a person wrote.

    Raises
    ------
    ConfigError
        If it cannot be read.
    """
    try:
        return read_formula(text).composition
    except FormulaError as error:
        raise ConfigError(f"{text or repr(text)}: {error}; wanted a formula such as BaTiO3") from error
