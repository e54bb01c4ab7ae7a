"""The whole chain from one configuration; a stage whose inputs, settings and version are as before is not run again."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crcrank import __version__
from crcrank.artifacts.store import Provenance, digest_of, hold_output, read_artifact, read_metadata, sha256_of, sibling
from crcrank.config import Settings, is_live
from crcrank.errors import ArtifactError, ConfigError
from crcrank.progress import ProgressSink
from crcrank.space.space import Space
from crcrank.stages.common import load_space
from crcrank.stages.encode import encode_provenance, run_encode
from crcrank.stages.enumerate import enumerate_provenance, run_enumerate
from crcrank.stages.ingest import live_sources, run_ingest
from crcrank.stages.rank import best_rows, rank_provenance, run_rank
from crcrank.stages.ranks import rank_paths
from crcrank.stages.report import run_report
from crcrank.stages.train import run_train, train_provenance
from crcrank.stages.validate import (
    Reach,
    detail_paths,
    picture_paths,
    read_validation,
    recall_paths,
    recorded_reach,
    remove_validation,
    run_validate,
    validate_provenance,
)

_log = logging.getLogger(__name__)
UP_TO_DATE = "up to date"


@dataclass(frozen=True)
class RunSummary:
    """What was done, and what came out.

    Parameters
    ----------
    stages
        Why each stage ran, or that it was up to date.
    best
        The first rows of each class of the ranking.
    hits, depths
        Rows of the validation, and of how far one must read.
    reach, notes
        What the ranking could reach of each holdout, and what a reader of the figures should know.
    out_dir, pictures, report
        Where everything lies.
    """

    stages: dict[str, str] = field(repr=False)  # the log has said it
    best: dict[str, list[dict[str, Any]]] = field(repr=False)
    hits: list[dict[str, Any]] = field(repr=False)
    depths: list[dict[str, Any]] = field(repr=False)
    reach: dict[str, Reach]
    notes: tuple[str, ...]
    out_dir: Path
    pictures: tuple[Path, ...]
    report: Path


@dataclass(frozen=True)
class Step:
    """A stage with its output, what shapes its rows now, how to run it, and what it writes beside its output."""

    name: str
    out: Path
    kind: str
    provenance: Callable[[], Provenance]
    run: Callable[[], object]
    companions: Sequence[Path] = ()


def run_run(
    out_dir: Path,
    *,
    settings: Settings,
    classes: Sequence[str] | None = None,
    n_threads: int,
    force: bool = False,
    progress: ProgressSink | None = None,
) -> RunSummary:
    """Run all stages into one folder; without a holdout there is no validation, and one that an earlier run left is removed.

    Parameters
    ----------
    out_dir
        The folder; it is made if need be, and held by one run at a time.
    settings
        The section ``run`` names the lists to train on and, if there are any, to validate on.
    classes
        Classes to train and rank, instead of the settings'.
    force
        Run every stage.

    Raises
    ------
    ConfigError
        If the settings name no list to train on.
    OutputHeldError
        If another run works in the folder.
    """
    if not settings.run.known:
        raise ConfigError('run.known: names no list; the configuration needs [run] known = ["my_list.csv"]')
    with hold_output(out_dir / "run", overwrite=True):
        remove_partial_files(out_dir)
        chain = _Chain(out_dir, settings, classes or settings.run.classes or None, n_threads, progress)
        reasons = {}
        for step in chain.steps():
            reasons[step.name] = reason = "--force" if force else why_run(step)
            _log.info("%s: %s", step.name, reason)
            if reason != UP_TO_DATE:
                step.run()
        best = best_rows(read_artifact(chain.ranking, "ranking").table)
        if not chain.holdouts:
            remove_validation(chain.validation)
        validation = read_validation(chain.validation)
        depths = read_artifact(detail_paths(chain.validation)[0], "depths").table.to_pylist() if chain.holdouts else []
        report = run_report(out_dir, out_dir / "report.html", overwrite=True).out
    facts = validation.metadata["extra"]
    reach = recorded_reach(facts, chain.space)
    hits, notes = validation.table.to_pylist(), tuple(facts["notes"])
    return RunSummary(reasons, best, hits, depths, reach, notes, out_dir, chain.pictures, report)


class _Chain:
    """The stages of one run, each reading what the ones before it wrote."""

    def __init__(
        self, out_dir: Path, settings: Settings, classes: Sequence[str] | None, n_threads: int, progress: ProgressSink | None
    ) -> None:
        self.known, self.encoded, self.model, self.plan, self.ranking, self.validation = (
            out_dir / f"{name}.parquet" for name in ("known", "encoded", "model", "plan", "ranking", "validation")
        )
        with_ranks = settings.run.ranks and not (settings.rank.one_per_family or settings.rank.max_per_system)
        self.holdouts = [out_dir / f"holdout-{i}.parquet" for i in range(1, len(settings.run.holdout) + 1)]
        self._ranks_of = self.holdouts if with_ranks else []
        curves, recall = picture_paths(self.validation), recall_paths(self.validation)
        self.pictures = (*(curves if self.holdouts else ()), *(recall if self._ranks_of else ()))
        self._settings, self._classes, self._n_threads = settings, classes, n_threads
        self._common: dict[str, Any] = {"overwrite": True, "progress": progress}
        self.space: Space = load_space(settings)[0]

    def steps(self) -> Iterator[Step]:
        """Yield the stages in order."""
        run = self._settings.run
        yield self._ingest("ingest known", run.known, self.known)
        for source, out in zip(run.holdout, self.holdouts, strict=True):
            yield self._ingest(f"ingest {out.stem}", [source], out)
        settings, space = self._settings, self.space
        shaped: dict[str, Any] = {"settings": settings, "space": space}
        chosen: dict[str, Any] = {"settings": settings, "classes": self._classes}
        yield Step(
            "encode",
            self.encoded,
            "encoded",
            lambda: encode_provenance(self.known, **shaped),
            lambda: run_encode(self.known, self.encoded, settings=settings, **self._common),
            [sibling(self.encoded, "outside")],
        )
        train = Step(
            "train",
            self.model,
            "model",
            lambda: train_provenance(self.encoded, **shaped, classes=self._classes),
            lambda: run_train(
                self.encoded, self.model, **chosen, n_threads=self._n_threads, warm_start=self._warm_start(train), **self._common
            ),
        )
        yield train
        yield Step(
            "enumerate",
            self.plan,
            "plan",
            lambda: enumerate_provenance(**shaped),
            lambda: run_enumerate(self.plan, settings=settings, **self._common),
        )
        yield Step(
            "rank",
            self.ranking,
            "ranking",
            lambda: rank_provenance(self.model, self.plan, self.known, **shaped, classes=self._classes, ranks_of=self._ranks_of),
            lambda: run_rank(
                self.model,
                self.plan,
                self.ranking,
                **chosen,
                known=self.known,
                ranks_of=self._ranks_of,
                n_threads=self._n_threads,
                **self._common,
            ),
            rank_paths(self.ranking) if self._ranks_of else (),
        )
        if not self.holdouts:
            return
        yield Step(
            "validate",
            self.validation,
            "validation",
            lambda: validate_provenance(self.ranking, self.holdouts, self.known, **shaped, classes=self._classes),
            lambda: run_validate(self.ranking, self.holdouts, self.validation, **chosen, known=self.known, **self._common),
            (*detail_paths(self.validation), *self.pictures),
        )

    def _warm_start(self, train: Step) -> Path | None:
        """Return the model to go on from: the one that is there, if the settings ask for it and only what is known changed."""
        placed = f"input changed: {self.encoded.name}, {sibling(self.encoded, 'outside').name}"
        return self.model if self._settings.run.warm_start and why_run(train) == placed else None

    def _ingest(self, name: str, sources: Sequence[Path | str], out: Path) -> Step:
        return ingest_step(name, sources, out, self._settings, n_threads=self._n_threads, **self._common)


def ingest_step(name: str, sources: Sequence[Path | str], out: Path, settings: Settings, **common: Any) -> Step:
    """Return the step that reads lists into ``out``; a source over the network stays the same as long as its name does."""
    options = settings.ingest
    paths = [Path(source) for source in sources if not is_live(source)]
    return Step(
        name,
        out,
        "known",
        lambda: Provenance(config={**options.model_dump(), **live_sources(sources)}, inputs=paths),
        lambda: run_ingest(sources, out, **dict(options), **common),
        [sibling(out, "rejected")],
    )


def why_run(step: Step) -> str:
    """Return why a stage must run, or that it is up to date.

    Sources are compared by their content alone: their paths depend on where one stands.
    """
    if missing := [path.name for path in (step.out, *step.companions) if not path.exists()]:
        return f"missing: {', '.join(missing)}"
    try:
        found = read_metadata(step.out, step.kind)
    except ArtifactError:
        return "damaged or of an older format"
    wanted = step.provenance()
    if found["crcrank_version"] != __version__:
        return "version changed"
    if inputs := _changed_inputs(found["inputs"], wanted.inputs):
        return f"input changed: {', '.join(inputs)}"
    keys = [key for key in ("space_digest", "seed") if found[key] != getattr(wanted, key)]
    keys += _changed_keys({key: value for key, value in found["config"].items() if key != "sources"}, wanted.config)
    return f"config changed: {', '.join(keys)}" if keys else UP_TO_DATE


def _changed_inputs(found: Sequence[Mapping[str, str]], wanted: Sequence[Path]) -> list[str]:
    if len(found) != len(wanted):
        return ["their number"]
    return [path.name for item, path in zip(found, wanted, strict=True) if not path.exists() or item["sha256"] != sha256_of(path)]


def _changed_keys(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    missing = object()
    return sorted(
        key
        for key in found.keys() | wanted.keys()
        if missing in (found.get(key, missing), wanted.get(key, missing)) or digest_of(found[key]) != digest_of(wanted[key])
    )


def remove_partial_files(out_dir: Path) -> None:
    """Remove what a run that was killed left: its temporary files; no other run works here now."""
    for path in out_dir.glob(".*.partial*"):
        path.unlink(missing_ok=True)
