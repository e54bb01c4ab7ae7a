"""One cell of a study: a model fitted to one part of the known compositions, and its hits in complete rankings."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from crcrank.artifacts.schemas import SCHEMAS
from crcrank.artifacts.store import digest_of
from crcrank.chem.ions import IonTable
from crcrank.config import Settings, VariantSettings, with_model, with_variant
from crcrank.errors import ConfigError, InputDataError
from crcrank.evaluation.curves import discovery_curve
from crcrank.evaluation.metrics import hit_table
from crcrank.evaluation.splits import Listed, Split, design_split
from crcrank.models.contract import Recommender
from crcrank.models.registry import RECOMMENDERS
from crcrank.models.staged import Stages
from crcrank.progress import ProgressSink
from crcrank.ranking.filters import ElementFilter, search_filter
from crcrank.space.placement import Placer
from crcrank.space.space import Candidates, Compositions, Space
from crcrank.stages.common import candidate_columns
from crcrank.stages.train import fit_model, known_candidates

# Splits and fits draw from streams of their own, so that a fit is the same as that of ``crcrank train`` with its seed.
_SPLIT_STREAM = 1


@dataclass(frozen=True)
class Arm:
    """What is compared: a model with its settings.

    Attributes
    ----------
    name
        Name of the variant, and of its prior where the study varies it.
    variant, prior_components
        The variant, and the components that the study gives it, None where they are those of its settings.
    settings
        The settings with its model to train.
    learn
        ``each`` or ``together``.
    first
        The settings with the model that searches for it to order anew what it finds; None if it searches itself.
    """

    name: str
    variant: str
    prior_components: int | None
    settings: Settings
    learn: str
    first: Settings | None = None

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """The settings of its model."""
        return _hyperparameters(self.settings)

    @property
    def first_stage(self) -> dict[str, Any] | None:
        """Kind and settings of the model that searches for it, if there is one, and how many of its best are ordered anew."""
        if self.first is None:
            return None
        return {"model": self.first.train.model, "depth": self.first.rank.rerank_depth, "settings": _hyperparameters(self.first)}


def _hyperparameters(settings: Settings) -> dict[str, Any]:
    return dict(getattr(settings.train, settings.train.model).model_dump(mode="json"))


@dataclass(frozen=True)
class Cell:
    """One fit of an arm, and the classes that it ranks."""

    design: str
    arm: Arm
    learned: tuple[str, ...]
    ranked: tuple[str, ...]
    fraction: float
    seed: int

    @property
    def name(self) -> str:
        """A name to read, different for each cell of a study."""
        classes = "+".join(self.learned) + ("" if self.learned == self.ranked else f"-to-{'+'.join(self.ranked)}")
        words = (self.design, self.arm.name, classes, f"fraction_{self.fraction:g}", f"seed_{self.seed}")
        return "-".join(re.sub(r"[^\w.+-]+", "_", word) for word in words)

    def config(self) -> dict[str, Any]:
        """Return the settings that shape its rows."""
        settings = self.arm.settings
        study = settings.study
        return {
            "design": self.design,
            "year": study.year if self.design == "by_year" else None,
            "fraction": self.fraction,
            "count": study.count,
            "k": list(study.k),
            "learned": list(self.learned),
            "ranked": list(self.ranked),
            "model": settings.train.model,
            "validation_fraction": settings.train.validation_fraction,
            "settings": self.arm.hyperparameters,
            "first_stage": self.arm.first_stage,
            "seed": self.seed,
        }

    def file_name(self, ground: Mapping[str, Any]) -> str:
        """Return the name of its artifact, given what all cells of a study rest on (lists, space, version)."""
        return f"{self.name}-{digest_of([self.config(), ground])[:12]}.parquet"


def arms(settings: Settings) -> list[Arm]:
    """Return what a study compares, the baseline first."""
    study = settings.study
    variants = study.all_variants()
    if not variants:
        raise ConfigError('study: names no model; the configuration needs [study] models = ["fm"], or [[study.variants]]')
    found = [arm for variant in variants for arm in _arms_of(settings, variant)]
    return sorted(found, key=lambda arm: arm.variant != (study.baseline or variants[0].name))


def _arms_of(settings: Settings, variant: VariantSettings) -> Iterator[Arm]:
    study, own = settings.study, with_variant(settings, variant)
    learn, model = variant.learn or study.learn, own.train.model
    first = with_model(settings, variant.first_stage) if variant.first_stage else None
    if not study.prior_components or "prior_components" not in type(getattr(own.train, model)).model_fields:
        yield Arm(variant.name, variant.name, None, own, learn, first)
        return
    for n in study.prior_components:
        section = getattr(own.train, model).model_copy(update={"prior_components": n})
        train = own.train.model_copy(update={model: section})
        prior = "no prior" if n == 0 else "1 component" if n == 1 else f"{n} components"
        yield Arm(f"{variant.name}, {prior}", variant.name, n, own.model_copy(update={"train": train}), learn, first)


def grid(settings: Settings, classes: Sequence[str]) -> list[Cell]:
    """Return all cells of a study of some classes, those of a seed together.

    Raises
    ------
    ConfigError
        If a model cannot do what a design asks for.
    """
    study = settings.study
    cells = []
    for seed, design, arm, fraction in product(study.seeds, study.designs, arms(settings), study.fractions):
        for learned, ranked in _parts(design, arm, study.learn_from, tuple(classes)):
            cells.append(Cell(design, arm, learned, ranked, fraction, seed))
    return cells


def _parts(design: str, arm: Arm, learn_from: tuple[str, ...], classes: tuple[str, ...]) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Return which classes are learned and which ranked in each cell."""
    if design == "class_transfer":
        model = arm.settings.train.model
        if RECOMMENDERS[model].transfer is None:
            raise ConfigError(
                f"study: {arm.variant}: a model of kind {model!r} cannot rank a class that it never saw; "
                "leave it out, or the design 'class_transfer'"
            )
        return [(learn_from, classes)]
    return [(classes, classes)] if arm.learn == "together" else [((name,), (name,)) for name in classes]


@dataclass(frozen=True)
class RealClass:
    """The real compositions of a class, those of all lists that lie in the space.

    Attributes
    ----------
    formulas, compositions
        Unique formulas, and their elements and amounts.
    candidate_id
        The likeliest candidate of each, int64 (n,).
    n_candidates
        Candidates of each formula, one for each of its ion assignments, int64 (n,).
    listed
        What splits go by.
    """

    formulas: list[str]
    compositions: Compositions
    candidate_id: np.ndarray
    n_candidates: np.ndarray
    listed: Listed


def compositions_outside(space: Space, ions: IonTable, known: Sequence[Mapping[str, Any]]) -> Compositions:
    """Return the compositions of the rows of ``known`` artifacts that lie in no class of the space."""
    compositions = [(row["elements"], row["amounts"]) for row in known]
    placements = Placer(space, ions).places(compositions, space.classes)
    inside = {i for item in placements.values() for i in item.composition.tolist()}
    return [composition for i, composition in enumerate(compositions) if i not in inside]


def real_classes(
    space: Space, ions: IonTable, known: Sequence[Mapping[str, Any]], holdout: Sequence[Mapping[str, Any]], classes: Sequence[str]
) -> dict[str, RealClass]:
    """Return the real compositions of each class, given the rows of ``known`` artifacts; of two years the earlier counts."""
    rows: dict[str, Mapping[str, Any]] = {}
    for row in (*known, *holdout):
        first = rows.get(row["formula"], row)
        years = [item["year"] for item in (first, row) if item["year"] is not None]
        rows[row["formula"]] = {**first, "year": min(years, default=0)}
    known_formulas = {row["formula"] for row in known}
    real = list(rows.values())
    placements = Placer(space, ions).places([(row["elements"], row["amounts"]) for row in real], classes)
    found = {}
    for name, item in placements.items():
        best = item.best()
        own = [real[i] for i in best.composition]
        listed = Listed(
            is_known=np.array([row["formula"] in known_formulas for row in own], np.bool_),
            systems=["-".join(row["elements"]) for row in own],
            years=np.array([row["year"] for row in own], np.int64),
        )
        found[name] = RealClass(
            formulas=[row["formula"] for row in own],
            compositions=[(row["elements"], row["amounts"]) for row in own],
            candidate_id=best.candidate_id,
            n_candidates=np.unique(item.composition, return_counts=True)[1],
            listed=listed,
        )
    return found


@dataclass(frozen=True)
class Bench:
    """Where cells are measured: the space, the real compositions of each class, and the known ones outside the space."""

    space: Space
    real: Mapping[str, RealClass]
    outside: Compositions
    n_threads: int

    def measure(self, cell: Cell, progress: ProgressSink) -> dict[str, list[Any]]:
        """Fit and rank; return the columns of a ``study_cell`` artifact.

        Raises
        ------
        InputDataError
            If there is too little to train on, or nothing to look for.
        """
        names = dict.fromkeys((*cell.learned, *cell.ranked))
        splits = {name: self._split(cell, name) for name in names}
        start = time.perf_counter()
        ids = {name: self.real[name].candidate_id[splits[name].trained] for name in cell.learned}
        known = known_candidates(self.space, ids, cell.name)
        stages = self._fitted(cell, known, progress)
        facts = {"n_known_fitted": sum(map(len, known.values())), "fit_seconds": round(time.perf_counter() - start, 3)}
        rows = [
            facts | row
            for name in cell.ranked
            for counted in cell.arm.settings.study.counted
            for row in self._rows(cell, name, counted, stages, splits[name], progress)
        ]
        return {column: [row[column] for row in rows] for column in SCHEMAS["study_cell"].names}

    def _fitted(self, cell: Cell, known: Mapping[str, Candidates], progress: ProgressSink) -> Stages:
        """Return what ranks, fitted to known candidates of the learned classes, and to all outside if it may know the whole lists."""
        arm, outside = cell.arm, self.outside if cell.design == "other_database" and cell.fraction == 1 else ()
        options: dict[str, Any] = {"seed": cell.seed, "n_threads": self.n_threads, "progress": progress}

        def fitted(settings: Settings) -> Recommender:
            return fit_model(self.space, known, outside, settings=settings, **options).model

        if arm.first is None:
            return Stages.of(_with_classes(fitted(arm.settings), cell), None, arm.settings.rank.rerank_depth)
        return Stages.of(fitted(arm.first), fitted(arm.settings), arm.first.rank.rerank_depth)

    def _split(self, cell: Cell, name: str) -> Split:
        study, listed = cell.arm.settings.study, self.real[name].listed
        design = cell.design if name in cell.ranked else "random_fraction"
        split = design_split(design, listed, cell.fraction, np.random.default_rng([cell.seed, _SPLIT_STREAM]), year=study.year)
        if study.count == "hidden" and not len(split.targets) and name in cell.ranked:
            raise InputDataError(f"{cell.name}: the lists leave no {name} composition to look for")
        return split

    def _rows(self, cell: Cell, name: str, counted: str, stages: Stages, split: Split, progress: ProgressSink) -> list[dict[str, Any]]:
        """Rank a class and count at each k; nothing where there is nothing to look for."""
        real, space, cutoffs = self.real[name], self.space, cell.arm.settings.study.k
        if counted == "all":
            split = Split(split.trained, np.arange(len(real.formulas)), split.unlisted[:0])
        if not len(split.targets):
            return []
        start = time.perf_counter()
        found = stages.rank(
            space,
            name,
            max(cutoffs),
            excluded=space.formula_keys(name, [real.compositions[i] for i in split.unlisted]),
            search_filter=search_filter(space, ElementFilter()),
            n_threads=self.n_threads,
            progress=progress,
        )
        seconds = round(time.perf_counter() - start, 3)
        formulas = candidate_columns(space, name, found.ranked.candidates)["formula"]
        targets = {real.formulas[i] for i in split.targets}
        n_unknown = space.classes[name].n_candidates - int(real.n_candidates[split.unlisted].sum())
        ranks = np.flatnonzero(np.diff(discovery_curve(formulas, targets), prepend=0)) + 1
        return [
            {
                "composition_class": name,
                "counted": counted,
                "k": row.k,
                "n_hits": row.n_hits,
                "hit_rate": row.hit_rate,
                "enrichment": row.enrichment,
                "n_targets": row.n_reachable,
                "n_unknown": row.n_unknown,
                "rank_seconds": seconds,
                "hit_ranks": ranks[ranks <= row.k].tolist(),
            }
            for row in hit_table(formulas, targets, n_unknown=n_unknown, cutoffs=cutoffs)
        ]


def _with_classes(model: Recommender, cell: Cell) -> Recommender:
    """Return the model of a cell, made to score the classes that it ranks and did not learn."""
    transfer = RECOMMENDERS[cell.arm.settings.train.model].transfer
    unseen = [name for name in cell.ranked if name not in cell.learned]
    return transfer(model, unseen) if transfer and unseen else model
