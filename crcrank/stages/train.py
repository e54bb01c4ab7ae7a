"""Train a recommender on the encoded compositions."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter

import numpy as np
import pyarrow as pa

from crcrank.artifacts.store import Provenance, hold_output, read_artifact, sha256_of_file, sibling, write_artifact
from crcrank.chem.elements import read_element_table
from crcrank.chem.formula import parse_formula
from crcrank.config import Settings
from crcrank.errors import ModelFitError
from crcrank.evaluation.changes import Change, ChangeCounts, ranking_changes
from crcrank.evaluation.splits import validation_split
from crcrank.models.contract import Earlier, Fitted, Recommender, TrainingData
from crcrank.models.registry import RECOMMENDERS, load_earlier, model_columns
from crcrank.models.staged import Stages
from crcrank.models.warm import known_before
from crcrank.progress import ProgressSink, SilentProgress
from crcrank.ranking.filters import search_filter
from crcrank.ranking.limits import Limits
from crcrank.space.space import Candidates, Compositions, Space
from crcrank.stages.common import candidate_columns, chosen_classes, load_space
from crcrank.stages.rank import N_SHOWN, classes_left, element_filter

_log = logging.getLogger(__name__)
_FEWEST_KNOWN = 10


@dataclass(frozen=True)
class Since:
    """What changed since the model that a fit continued.

    Parameters
    ----------
    new_known, no_longer_known
        Compositions of each class that joined and left the known ones.
    ranking
        What became of the first k of the ranking of each class, which leaves out what was known then, in that which leaves out what is
        known now; k and the filters are those of the settings.
    became_known
        The first of its recommendations in each class that are known now, with their rank then.
    """

    new_known: dict[str, int]
    no_longer_known: dict[str, int]
    ranking: dict[str, ChangeCounts]
    became_known: dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class TrainSummary:
    """What was fitted.

    Parameters
    ----------
    model, classes
        Kind of model, and known compositions of each class.
    n_parameters, n_epochs, seconds
        Size of the model, passes over the whole space, and time taken.
    validation
        Negative log-likelihood per held-back composition of each class at the chosen epoch.
    since
        What changed since the model that the fit continued, if it did.
    out
        The artifact written.
    """

    model: str
    classes: dict[str, int]
    n_parameters: int
    n_epochs: int
    seconds: float
    validation: dict[str, float]
    since: Since | None
    out: Path


def train_provenance(
    encoded: Path, *, settings: Settings, space: Space, classes: Sequence[str] | None = None, seed: int | None = None
) -> Provenance:
    """Return what shapes the rows of a model artifact."""
    train = settings.train
    config = {
        "model": train.model,
        "classes": list(chosen_classes(classes or train.classes, tuple(space.classes), settings)),
        "validation_fraction": train.validation_fraction,
        train.model: getattr(train, train.model).model_dump(mode="json"),
    }
    inputs = [encoded, sibling(encoded, "outside"), settings.space.ions, settings.space.elements]
    return Provenance(config=config, inputs=inputs, space_digest=space.digest, seed=settings.seed if seed is None else seed)


def run_train(
    encoded: Path,
    out: Path,
    *,
    settings: Settings,
    classes: Sequence[str] | None = None,
    n_threads: int = 1,
    seed: int | None = None,
    warm_start: Path | None = None,
    overwrite: bool = False,
    progress: ProgressSink | None = None,
) -> TrainSummary:
    """Fit a model to encoded compositions and write it.

    Parameters
    ----------
    encoded
        An ``encoded`` artifact of the settings' space; what lies outside the space is read from ``sibling(encoded, "outside")``.
    out
        The ``model`` artifact.
    classes, seed
        Classes to learn and seed, instead of the settings'.
    warm_start
        A ``model`` artifact of the same settings to go on from, for when more compositions have become known; ``out`` may be the same.

    Raises
    ------
    ArtifactError
        If ``encoded`` or ``warm_start`` is missing, damaged, or from another space, or the latter is another model than is wanted.
    ConfigError
        If a model of this kind cannot go on from an earlier one.
    ModelFitError
        If a class has too few known compositions, or the fit diverges.
    """
    started = perf_counter()
    progress = progress or SilentProgress()
    with hold_output(out, overwrite=overwrite):
        space, _ = load_space(settings)
        provenance = train_provenance(encoded, settings=settings, space=space, classes=classes, seed=seed)
        table = read_artifact(encoded, "encoded", space_digest=space.digest).table
        known = known_candidates(space, _known_ids(table, provenance.config["classes"]), str(encoded))
        outside = _outside(read_artifact(sibling(encoded, "outside"), "outside", space_digest=space.digest).table)
        past = _Past.read(warm_start, space, settings, n_threads, progress) if warm_start else None
        earlier = past.earlier if past else None
        fitted = fit_model(
            space, known, outside, settings=settings, seed=provenance.seed or 0, n_threads=n_threads, progress=progress, earlier=earlier
        )
        name, model = settings.train.model, fitted.model
        summary = TrainSummary(
            model=name,
            classes={name: len(item) for name, item in known.items()},
            n_parameters=sum(values.size for values in model.arrays().values()),
            n_epochs=fitted.n_epochs,
            seconds=perf_counter() - started,
            validation=dict(fitted.validation),
            since=past.since(model, known, frozenset(table["formula"].to_pylist())) if past else None,
            out=out,
        )
        facts = {"model": name, "ions": list(space.ions.labels), "restore": model.facts(), "n_known": summary.classes, **fitted.facts}
        facts |= {"warm_start": {"path": str(warm_start), "sha256": sha256_of_file(warm_start)}} if warm_start else {}
        write_artifact(out, "model", model_columns(model, fitted.state), replace(provenance, extra=facts))
    epochs = "epoch" if summary.n_epochs == 1 else "epochs"
    _log.info(
        "%s: %d parameters after %d %s%s", out, summary.n_parameters, summary.n_epochs, epochs, f", from {warm_start}" if past else ""
    )
    return summary


def fit_model(
    space: Space,
    known: Mapping[str, Candidates],
    outside: Compositions,
    *,
    settings: Settings,
    seed: int,
    n_threads: int,
    progress: ProgressSink | None = None,
    earlier: Earlier | None = None,
) -> Fitted:
    """Fit the model of the settings to known candidates of each class, a part of which is held back to judge the fit.

    Some models learn from the known compositions outside the space too. With ``earlier``, go on from that fit.

    Raises
    ------
    ModelFitError
        If the fit diverges.
    """
    rng = np.random.default_rng(seed)
    fitting, held_back = _split(known, settings.train.validation_fraction, rng)
    data = TrainingData(space, fitting, held_back, read_element_table(settings.space.elements), outside)
    name = settings.train.model
    return RECOMMENDERS[name].fit(data, getattr(settings.train, name), rng, n_threads, progress or SilentProgress(), earlier)


@dataclass(frozen=True)
class _Past:
    """A model to go on from, and what it recommends."""

    earlier: Earlier
    known: dict[str, Candidates]
    best: dict[str, list[str]]
    ranker: _Ranker

    @classmethod
    def read(cls, path: Path, space: Space, settings: Settings, n_threads: int, progress: ProgressSink) -> _Past:
        artifact = read_artifact(path, "model", space_digest=space.digest)
        earlier = load_earlier(artifact.table, artifact.metadata, space, settings.train.model)
        known, ranker = known_before(earlier), _Ranker(space, settings, n_threads, progress)
        return cls(earlier, known, ranker.best(earlier.model, known), ranker)

    def since(self, model: Recommender, known: Mapping[str, Candidates], formulas: frozenset[str]) -> Since:
        """Return what changed, given the model now, and what is known now."""
        space, best, k = self.earlier.space, self.ranker.best(model, known), self.ranker.settings.rank.k
        keys = {name: [space.composition_keys(name, item[name]) for item in (self.known, known)] for name in known}
        changes = {name: ranking_changes(self.best[name], best[name], k, formulas) for name in best}
        return Since(
            {name: len(np.setdiff1d(now, then)) for name, (then, now) in keys.items()},
            {name: len(np.setdiff1d(then, now)) for name, (then, now) in keys.items()},
            {name: ChangeCounts.of(k, item) for name, item in changes.items()},
            {name: found for name, item in changes.items() if (found := _found(item))},
        )


def _found(changes: Sequence[Change]) -> tuple[str, ...]:
    """Return the first formulas that became known, with their rank before."""
    found = sorted((change.before or 0, change.formula) for change in changes if change.kind == "became_known")
    return tuple(f"{parse_formula(formula).pretty_formula} ({rank:,})" for rank, formula in found[:N_SHOWN])


@dataclass(frozen=True)
class _Ranker:
    """How models rank what is not known."""

    space: Space
    settings: Settings
    n_threads: int
    progress: ProgressSink

    def best(self, model: Recommender, known: Mapping[str, Candidates]) -> dict[str, list[str]]:
        """Return the best formulas of each class in which the filters leave any."""
        rank = self.settings.rank
        radioactive = read_element_table(self.settings.space.elements).radioactive
        wanted = search_filter(self.space, element_filter(rank, self.space, radioactive))
        stages, limits = Stages.of(model, None, rank.rerank_depth), Limits(rank.one_per_family, rank.max_per_system)
        best = {}
        for name in classes_left(self.space, list(known), wanted):
            excluded = np.unique(self.space.composition_keys(name, known[name]))
            options = {"excluded": excluded, "search_filter": wanted, "n_threads": self.n_threads, "progress": self.progress}
            ranked = stages.rank(self.space, name, rank.k, limits=limits, **options).ranked
            best[name] = candidate_columns(self.space, name, ranked.candidates)["formula"]
        return best


def known_candidates(space: Space, ids: Mapping[str, np.ndarray], where: str) -> dict[str, Candidates]:
    """Return the candidates of each class with these candidate_ids, in the order of the ids.

    Raises
    ------
    ModelFitError
        If a class has too few; the message begins with ``where``.
    """
    for name, rows in ids.items():
        if len(rows) < _FEWEST_KNOWN:
            raise ModelFitError(
                f"{where}: {len(rows)} known {name} compositions in the space; wanted at least {_FEWEST_KNOWN}: "
                "leave the class out with --class or [train] classes"
            )
    return {name: space.decode(name, np.sort(rows)) for name, rows in ids.items()}


def _known_ids(table: pa.Table, classes: Sequence[str]) -> dict[str, np.ndarray]:
    names = np.asarray(table["composition_class"].to_pylist(), object)
    ids = table["candidate_id"].to_numpy()
    return {name: ids[names == name] for name in classes}


def _outside(table: pa.Table) -> Compositions:
    compositions = map(parse_formula, table["formula"].to_pylist())
    return [(item.elements, item.amounts) for item in compositions]


def _split(
    known: Mapping[str, Candidates], fraction: float, rng: np.random.Generator
) -> tuple[dict[str, Candidates], dict[str, Candidates]]:
    fitting, held_back = {}, {}
    for name, item in known.items():
        kept, held = validation_split(len(item), fraction, rng) if fraction else (np.arange(len(item)), np.empty(0, np.int64))
        fitting[name] = item.take(kept)
        held_back[name] = item.take(held)
    return fitting, held_back
