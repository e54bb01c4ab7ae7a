"""Train a recommender on the encoded compositions."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pyarrow as pa

from crcrank.artifacts.store import Provenance, hold_output, read_artifact, write_artifact
from crcrank.chem.elements import PropertyComponents, property_components, read_element_table
from crcrank.config import Settings
from crcrank.errors import ModelFitError
from crcrank.evaluation.splits import validation_split
from crcrank.models.fm import FactorizationMachine
from crcrank.models.registry import FittedFM, model_columns
from crcrank.models.training import Fit, FitOptions, history_rows
from crcrank.progress import ProgressSink, SilentProgress
from crcrank.space.space import Candidates, Space
from crcrank.stages.common import chosen_classes, load_space

_log = logging.getLogger(__name__)
_FEWEST_KNOWN = 10


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
    out
        The artifact written.
    """

    model: str
    classes: dict[str, int]
    n_parameters: int
    n_epochs: int
    seconds: float
    validation: dict[str, float]
    out: Path


def train_provenance(
    encoded: Path, *, settings: Settings, space: Space, classes: Sequence[str] | None = None, seed: int | None = None
) -> Provenance:
    """Return what shapes the rows of a model artifact."""
    config = settings.train.model_dump(mode="json") | {
        "classes": list(chosen_classes(classes or settings.train.classes, tuple(space.classes), settings))
    }
    inputs = [encoded, settings.space.ions, settings.space.elements]
    return Provenance(config=config, inputs=inputs, space_digest=space.digest, seed=settings.seed if seed is None else seed)


def run_train(
    encoded: Path,
    out: Path,
    *,
    settings: Settings,
    classes: Sequence[str] | None = None,
    n_threads: int = 1,
    seed: int | None = None,
    overwrite: bool = False,
    progress: ProgressSink | None = None,
) -> TrainSummary:
    """Fit a model to encoded compositions and write it.

    Parameters
    ----------
    encoded
        An ``encoded`` artifact of the settings' space.
    out
        The ``model`` artifact.
    classes, seed
        Classes to learn and seed, instead of the settings'.

    Raises
    ------
    ArtifactError
        If ``encoded`` is missing, damaged, or from another space.
    ModelFitError
        If a class has too few known compositions, or the fit diverges.
    """
    started = perf_counter()
    with hold_output(out, overwrite=overwrite):
        space, _ = load_space(settings)
        provenance = train_provenance(encoded, settings=settings, space=space, classes=classes, seed=seed)
        table = read_artifact(encoded, "encoded", space_digest=space.digest).table
        known = _known_candidates(space, table, provenance.config["classes"], encoded)
        rng = np.random.default_rng(provenance.seed)
        fitting, held_back = _split(known, settings.train.validation_fraction, rng)
        prior = _prior(settings, space)
        machine = _machine(settings, space, tuple(known), prior)
        fit = Fit(machine, fitting, held_back, _options(settings), rng, n_threads)
        fit.run(progress or SilentProgress())
        model = FittedFM(machine, fit.parameters)
        best = min((epoch for epoch in fit.history if epoch.validation), key=lambda e: sum(e.validation.values()), default=None)
        summary = TrainSummary(
            model=settings.train.model,
            classes={name: len(item) for name, item in known.items()},
            n_parameters=sum(values.size for values in fit.parameters.values()),
            n_epochs=len(fit.history),
            seconds=perf_counter() - started,
            validation=best.validation if best else {},
            out=out,
        )
        facts = {
            "model": summary.model,
            "restore": model.facts(),
            "n_known": summary.classes,
            "history": history_rows(fit.history),
            "prior": _prior_facts(prior),
        }
        write_artifact(out, "model", model_columns(model), replace(provenance, extra=facts))
    _log.info("%s: %d parameters after %d epochs", out, summary.n_parameters, summary.n_epochs)
    return summary


def _known_candidates(space: Space, table: pa.Table, classes: Sequence[str], path: Path) -> dict[str, Candidates]:
    names = np.asarray(table["composition_class"].to_pylist(), object)
    ids = table["candidate_id"].to_numpy()
    known = {}
    for name in classes:
        rows = np.sort(ids[names == name])
        if len(rows) < _FEWEST_KNOWN:
            raise ModelFitError(
                f"{path}: {len(rows)} known {name} compositions in the space; wanted at least {_FEWEST_KNOWN}: "
                "leave the class out with --class or [train] classes"
            )
        known[name] = space.decode(name, rows)
    return known


def _split(
    known: Mapping[str, Candidates], fraction: float, rng: np.random.Generator
) -> tuple[dict[str, Candidates], dict[str, Candidates]]:
    fitting, held_back = {}, {}
    for name, item in known.items():
        kept, held = validation_split(len(item), fraction, rng) if fraction else (np.arange(len(item)), np.empty(0, np.int64))
        fitting[name] = item.take(kept)
        held_back[name] = item.take(held)
    return fitting, held_back


def _prior(settings: Settings, space: Space) -> PropertyComponents:
    wanted = settings.train.prior_components if "prior" in settings.train.features else 0
    return property_components(read_element_table(settings.space.elements), space.ions.elements, wanted)


def _machine(settings: Settings, space: Space, classes: tuple[str, ...], prior: PropertyComponents) -> FactorizationMachine:
    ion_elements = np.concatenate([space.ions.cation_element, space.ions.anion_element])
    features = frozenset(settings.train.features) - (frozenset() if prior.components.shape[1] else {"prior"})
    return FactorizationMachine(space, classes, features, settings.train.n_factors, prior.components[ion_elements])


def _options(settings: Settings) -> FitOptions:
    train = settings.train
    return FitOptions(
        l2=train.l2.model_dump(),
        n_epochs=train.n_epochs,
        n_final_epochs=train.n_final_epochs if train.validation_fraction else 0,
        n_batches=train.n_batches,
        learning_rate=train.learning_rate,
        patience=train.patience,
    )


def _prior_facts(prior: PropertyComponents) -> dict[str, Any]:
    return {
        "properties": list(prior.property_names),
        "loadings": prior.loadings.tolist(),
        "explained_variance_ratio": prior.explained_variance_ratio.tolist(),
        "imputed": list(prior.imputed),
    }
