"""Train a recommender on the encoded compositions."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter

import numpy as np
import pyarrow as pa

from crcrank.artifacts.store import Provenance, hold_output, read_artifact, write_artifact
from crcrank.chem.elements import read_element_table
from crcrank.config import Settings
from crcrank.errors import ModelFitError
from crcrank.evaluation.splits import validation_split
from crcrank.models.contract import Fitted, TrainingData
from crcrank.models.registry import RECOMMENDERS, model_columns
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
    train = settings.train
    config = {
        "model": train.model,
        "classes": list(chosen_classes(classes or train.classes, tuple(space.classes), settings)),
        "validation_fraction": train.validation_fraction,
        train.model: getattr(train, train.model).model_dump(mode="json"),
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
        known = known_candidates(space, _known_ids(table, provenance.config["classes"]), str(encoded))
        fitted = fit_model(space, known, settings=settings, seed=provenance.seed or 0, n_threads=n_threads, progress=progress)
        name, model = settings.train.model, fitted.model
        summary = TrainSummary(
            model=name,
            classes={name: len(item) for name, item in known.items()},
            n_parameters=sum(values.size for values in model.arrays().values()),
            n_epochs=fitted.n_epochs,
            seconds=perf_counter() - started,
            validation=dict(fitted.validation),
            out=out,
        )
        facts = {"model": name, "restore": model.facts(), "n_known": summary.classes, **fitted.facts}
        write_artifact(out, "model", model_columns(model), replace(provenance, extra=facts))
    _log.info("%s: %d parameters after %d epochs", out, summary.n_parameters, summary.n_epochs)
    return summary


def fit_model(
    space: Space,
    known: Mapping[str, Candidates],
    *,
    settings: Settings,
    seed: int,
    n_threads: int,
    progress: ProgressSink | None = None,
) -> Fitted:
    """Fit the model of the settings to known candidates of each class, a part of which is held back to stop the fit.

    Raises
    ------
    ModelFitError
        If the fit diverges.
    """
    rng = np.random.default_rng(seed)
    fitting, held_back = _split(known, settings.train.validation_fraction, rng)
    data = TrainingData(space, fitting, held_back, read_element_table(settings.space.elements))
    name = settings.train.model
    return RECOMMENDERS[name].fit(data, getattr(settings.train, name), rng, n_threads, progress or SilentProgress())


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


def _split(
    known: Mapping[str, Candidates], fraction: float, rng: np.random.Generator
) -> tuple[dict[str, Candidates], dict[str, Candidates]]:
    fitting, held_back = {}, {}
    for name, item in known.items():
        kept, held = validation_split(len(item), fraction, rng) if fraction else (np.arange(len(item)), np.empty(0, np.int64))
        fitting[name] = item.take(kept)
        held_back[name] = item.take(held)
    return fitting, held_back
