"""A grid of models, classes, parts of the known compositions and seeds: measured cell by cell, then compared."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from crcrank import __version__
from crcrank.artifacts.schemas import SCHEMAS
from crcrank.artifacts.store import (
    Provenance,
    digest_of,
    hold_output,
    read_artifact,
    read_metadata,
    replacing,
    sha256_of_file,
    write_artifact,
)
from crcrank.config import Settings
from crcrank.errors import ArtifactError, CrcrankError, InputDataError, ModelFitError
from crcrank.evaluation.comparison import Compared, Measured, Place, compare
from crcrank.progress import ProgressSink, SilentProgress
from crcrank.report.study import StudyLine, StudyPoint, draw_comparison, draw_hits_against_k, draw_hits_by_fraction
from crcrank.report.tables import study_page
from crcrank.space.space import Space
from crcrank.stages.common import chosen_classes, load_space
from crcrank.stages.run import UP_TO_DATE, ingest_step, remove_partial_files, why_run
from crcrank.stages.study_cells import Arm, Bench, Cell, arms, compositions_outside, grid, real_classes

_log = logging.getLogger(__name__)
View = tuple[str, str]  # a design, and what is counted
_COUNTED_IN_WORDS = {"hidden": "what was trained on is left out", "all": "all real compounds count"}


@dataclass(frozen=True)
class StudyPlan:
    """The cells of a study.

    Parameters
    ----------
    n_cells, n_done
        Cells in all, and those whose artifact is there already.
    cells
        Artifact of each cell, and whether it is there.
    """

    n_cells: int
    n_done: int
    cells: dict[Path, bool] = field(repr=False)


@dataclass(frozen=True)
class StudySummary:
    """What came out of a study.

    Parameters
    ----------
    n_cells, n_measured
        Cells in all, and those measured now; the others were there.
    results
        Rows of the ``study`` artifact.
    hyperparameters
        Settings of the model of each variant.
    failed
        Why cells could not be measured, by their names; they are tried again next time.
    out, page, pictures
        The artifact, the tables as Markdown, and the pictures.
    """

    n_cells: int
    n_measured: int
    results: list[dict[str, Any]] = field(repr=False)
    hyperparameters: dict[str, dict[str, Any]] = field(repr=False)
    failed: dict[str, str]
    out: Path
    page: Path
    pictures: tuple[Path, ...]


def plan_study(out_dir: Path, *, settings: Settings, classes: Sequence[str] | None = None) -> StudyPlan:
    """Return the cells of a study, and which of them are done.

    Raises
    ------
    ConfigError
        If the settings describe no study, or parts of it do not go together.
    InputDataError
        If a list is not there.
    """
    space, _ = load_space(settings)
    work = _Work(out_dir, settings, space, _classes(settings, classes))
    cells = {path: _is_done(path) for path in work.cells}
    return StudyPlan(len(cells), sum(cells.values()), cells)


def run_study(
    out_dir: Path,
    *,
    settings: Settings,
    classes: Sequence[str] | None = None,
    n_threads: int,
    force: bool = False,
    progress: ProgressSink | None = None,
) -> StudySummary:
    """Measure all cells that are not there yet, and compare.

    A cell that cannot be measured (too few known compositions, a fit that diverges) is left out and named.

    Parameters
    ----------
    out_dir
        The folder; it is made if need be, and held by one study at a time. ``cells`` in it holds an artifact for each cell.
    settings
        The section ``study`` says what is compared.
    classes
        Classes to rank, instead of the settings'.
    force
        Measure every cell.

    Raises
    ------
    ConfigError
        If the settings describe no study, or parts of it do not go together.
    InputDataError
        If a list cannot be used.
    ModelFitError
        If no cell could be measured.
    OutputHeldError
        If another study works in the folder.
    """
    with hold_output(out_dir / "study", overwrite=True):
        (out_dir / "cells").mkdir(exist_ok=True)
        for folder in (out_dir, out_dir / "cells"):
            remove_partial_files(folder)
        space, ions = load_space(settings)
        work = _Work(out_dir, settings, space, _classes(settings, classes))
        known, holdout = (_rows_of_lists(out_dir, name, settings, progress) for name in ("known", "holdout"))
        real = real_classes(space, ions, known, holdout, work.classes_used)
        bench = Bench(space, real, compositions_outside(space, ions, known), n_threads)
        todo = {path: cell for path, cell in work.cells.items() if force or not _is_done(path)}
        failed = _measure_all(bench, todo, work, progress or SilentProgress())
        found = _read_cells(work)
        if not found:
            raise ModelFitError(f"study: no cell could be measured; the first: {next(iter(failed.values()))}")
        compared = compare([item for items, _ in found for item in items], work.arms[0].name)
        rows = [_row(item, work.arms) for item in compared]
        out, page = out_dir / "study.parquet", out_dir / "study.md"
        columns = {name: [row[name] for row in rows] for name in SCHEMAS["study"].names}
        hyperparameters = work.hyperparameters()
        write_artifact(out, "study", columns, replace(work.provenance(), extra={"failed": failed, "hyperparameters": hyperparameters}))
        points = _points(settings, compared)
        pictures = _draw(out_dir, settings, points, [curve for _, curves in found for curve in curves])
        with replacing(page) as temporary:
            temporary.write_text(study_page(settings.study, points, hyperparameters, failed, pictures), encoding="utf-8")
    return StudySummary(len(work.cells), len(todo) - len(failed), rows, hyperparameters, failed, out, page, tuple(pictures))


def _classes(settings: Settings, classes: Sequence[str] | None) -> tuple[str, ...]:
    return chosen_classes(classes, settings.study.classes or settings.train.classes, settings)


class _Work:
    """The cells of a study and where each lies."""

    def __init__(self, out_dir: Path, settings: Settings, space: Space, classes: tuple[str, ...]) -> None:
        self._settings, self._space, self.classes = settings, space, classes
        self.arms = arms(settings)
        self.inputs = [out_dir / "known.parquet", *([out_dir / "holdout.parquet"] if settings.study.holdout else [])]
        ground = {
            "known": [_source_digest(path) for path in settings.study.known],
            "holdout": [_source_digest(path) for path in settings.study.holdout],
            "tables": [sha256_of_file(path) for path in (settings.space.ions, settings.space.elements)],
            "ingest": settings.ingest.model_dump(mode="json"),
            "space_digest": space.digest,
            "crcrank_version": __version__,
        }
        self.cells = {out_dir / "cells" / cell.file_name(ground): cell for cell in grid(settings, classes)}

    @property
    def classes_used(self) -> list[str]:
        """Classes that any cell learns or ranks."""
        used = {name for cell in self.cells.values() for name in (*cell.learned, *cell.ranked)}
        return [name for name in self._settings.space.classes if name in used]

    def provenance(self, cell: Cell | None = None) -> Provenance:
        """Return what shapes the rows of a cell, or of the whole study."""
        study = self._settings.study.model_dump(mode="json", exclude={"known", "holdout"})
        config = cell.config() if cell else study | {"classes": list(self.classes)}
        inputs = [*self.inputs, self._settings.space.ions, self._settings.space.elements]
        return Provenance(config=config, inputs=inputs, space_digest=self._space.digest, seed=cell.seed if cell else None)

    def hyperparameters(self) -> dict[str, dict[str, Any]]:
        """Return the settings of the model of each variant; of a prior that the study varies, all its components."""
        found: dict[str, dict[str, Any]] = {}
        for arm in self.arms:
            varied = {} if arm.prior_components is None else {"prior_components": list(self._settings.study.prior_components)}
            first = {} if arm.first is None else {"first": arm.first.train.model}
            found[arm.variant] = {"model": arm.settings.train.model, **first, "learn": arm.learn, **arm.hyperparameters, **varied}
        return found


def _source_digest(path: Path) -> str:
    """Return a digest of a list, which may be a folder of files."""
    if not path.exists():
        raise InputDataError(f"{path}: no such file")
    files = sorted(item for item in path.rglob("*") if item.is_file()) if path.is_dir() else [path]
    return digest_of([sha256_of_file(item) for item in files])


def _is_done(path: Path) -> bool:
    try:
        read_metadata(path, "study_cell")
    except ArtifactError:
        return False
    return True


def _rows_of_lists(out_dir: Path, name: str, settings: Settings, progress: ProgressSink | None) -> list[dict[str, Any]]:
    """Return the rows of the lists, read again if they have changed."""
    sources = getattr(settings.study, name)
    if not sources:
        return []
    out = out_dir / f"{name}.parquet"
    step = ingest_step(f"ingest {name}", sources, out, settings, overwrite=True, progress=progress)
    reason = why_run(step)
    _log.info("%s: %s", step.name, reason)
    if reason != UP_TO_DATE:
        step.run()
    return list(read_artifact(out, "known").table.to_pylist())


def _measure_all(bench: Bench, todo: Mapping[Path, Cell], work: _Work, progress: ProgressSink) -> dict[str, str]:
    """Measure cells and write them one by one; return why some could not be measured."""
    _log.info("%d of %d cells to measure", len(todo), len(work.cells))
    progress.start("study", len(todo), "cells")
    failed: dict[str, str] = {}
    start = time.perf_counter()
    for n, (path, cell) in enumerate(todo.items(), 1):
        try:
            columns = bench.measure(cell, _WithinCell(progress, cell.name))
        except CrcrankError as error:
            failed[cell.name] = str(error)
            _log.warning("%s", error)
        else:
            write_artifact(path, "study_cell", columns, work.provenance(cell))
            _log.info("%s: hits %s", cell.name, _hits_in_words(columns))
        seconds = time.perf_counter() - start
        _log.info("cell %d of %d: %s; %s left", n, len(todo), cell.name, _duration(seconds / n * (len(todo) - n)))
        progress.advance(1)
    return failed


def _hits_in_words(columns: Mapping[str, Sequence[Any]]) -> str:
    """Return the hits at each k of each class, and of each way to count if there are several."""
    hits: dict[str, list[str]] = {}
    several = len(set(columns["counted"])) > 1
    for name, counted, n_hits in zip(*(columns[key] for key in ("composition_class", "counted", "n_hits")), strict=True):
        hits.setdefault(f"{name} ({counted})" if several else name, []).append(str(n_hits))
    return ", ".join(f"{name} {'/'.join(counts)}" for name, counts in hits.items())


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


@dataclass
class _WithinCell:
    """Shows how far a cell is beside the bar of all cells."""

    outer: ProgressSink
    name: str
    label: str = ""
    total: float = 1.0
    done: float = 0.0

    def start(self, label: str, total: float, unit: str) -> None:  # noqa: ARG002  (a part of the whole has no unit)
        self.label, self.total, self.done = label, max(total, 1.0), 0.0
        self.advance(0)

    def advance(self, amount: float = 1, note: str = "") -> None:  # noqa: ARG002  (there is room for one note)
        self.done += amount
        self.outer.advance(0, f"{self.label} {self.done / self.total:.0%} of {self.name}")


@dataclass(frozen=True)
class _Curve:
    """Hits along the ranking of a class in one cell, float64 (n_ranked,), and the hit rate at random."""

    cell: Cell
    counted: str
    composition_class: str
    hits: np.ndarray
    base_rate: float


def _read_cells(work: _Work) -> list[tuple[list[Measured], list[_Curve]]]:
    """Return what each cell that is there holds."""
    return [_contents(cell, read_artifact(path, "study_cell").table.to_pylist()) for path, cell in work.cells.items() if path.exists()]


def _contents(cell: Cell, rows: Sequence[Mapping[str, Any]]) -> tuple[list[Measured], list[_Curve]]:
    counts = [field.name for field in fields(Measured) if field.name not in {"place", "arm", "seed"}]
    measured = [
        Measured(
            Place(cell.design, row["counted"], row["composition_class"], cell.fraction, row["k"]),
            cell.arm.name,
            cell.seed,
            **{name: row[name] for name in counts},
        )
        for row in rows
    ]
    longest = {(row["counted"], row["composition_class"]): row for row in sorted(rows, key=lambda row: row["k"])}
    curves = [
        _Curve(
            cell, *place, np.searchsorted(row["hit_ranks"], np.arange(1, row["k"] + 1), side="right"), row["n_targets"] / row["n_unknown"]
        )
        for place, row in longest.items()
    ]
    return measured, curves


def _row(item: Compared, arms: Sequence[Arm]) -> dict[str, Any]:
    """Return a row of the ``study`` artifact."""
    arm = next(arm for arm in arms if arm.name == item.arm)
    difference = item.difference
    return {
        **asdict(item.place),
        "variant": arm.variant,
        "prior_components": arm.prior_components,
        "n_seeds": item.n_hits.n,
        "n_hits": item.n_hits.mean,
        "n_hits_error": item.n_hits.standard_error,
        "hit_rate": item.hit_rate,
        "enrichment": item.enrichment,
        "difference": difference.mean if difference else None,
        "difference_error": difference.standard_error if difference else None,
        "ratio": item.ratio,
        "ratio_error": item.ratio_error,
        "n_targets": item.n_targets,
        "n_known_fitted": item.n_known_fitted,
        "fit_seconds": item.fit_seconds,
    }


def _points(settings: Settings, compared: Sequence[Compared]) -> dict[View, list[StudyPoint]]:
    """Return what pictures and tables show of each design, and of each way to count, that was measured."""
    views = product(settings.study.designs, settings.study.counted)
    points = {view: [_point(item) for item in compared if (item.place.design, item.place.counted) == view] for view in views}
    return {view: items for view, items in points.items() if items}


def _draw(out_dir: Path, settings: Settings, points: Mapping[View, list[StudyPoint]], curves: Sequence[_Curve]) -> list[Path]:
    """Draw the pictures of each view: hits by the part trained on where there are several, else along the ranking and at each k."""
    study = settings.study
    pictures: list[Path] = []
    for view, own in points.items():
        words = [word for word, choice in zip(view, (study.designs, study.counted), strict=True) if len(choice) > 1]
        ending = "".join(f"-{word}" for word in words)
        in_words = [_COUNTED_IN_WORDS.get(word, word.replace("_", " ")) for word in words]
        title = study.name + (f" ({', '.join(in_words)})" if words and study.name else "")
        if len(study.fractions) > 1:
            in_steps = len(study.all_variants()) == 1 and len(study.prior_components) > 1
            pictures += draw_hits_by_fraction(own, out_dir / f"hits_by_fraction{ending}", title=title, in_steps=in_steps)
        else:
            lines = _lines([curve for curve in curves if (curve.cell.design, curve.counted) == view])
            pictures += draw_hits_against_k(lines, out_dir / f"hits_against_k{ending}", title=title)
            pictures += draw_comparison(own, out_dir / f"hits_by_model{ending}", title=title)
    return pictures


def _point(item: Compared) -> StudyPoint:
    place, difference = item.place, item.difference
    return StudyPoint(
        composition_class=place.composition_class,
        arm=item.arm,
        k=place.k,
        fraction=place.fraction,
        n_known_fitted=item.n_known_fitted,
        n_hits=item.n_hits.mean,
        error=item.n_hits.standard_error,
        by_seed=tuple(item.hits_by_seed.values()),
        difference=difference.mean if difference else None,
        difference_error=difference.standard_error if difference else None,
        relative=item.ratio,
        relative_error=item.ratio_error,
    )


def _lines(curves: Sequence[_Curve]) -> list[StudyLine]:
    """Return the mean curve of each class and arm over the seeds."""
    groups: dict[tuple[str, str], list[_Curve]] = {}
    for curve in curves:
        groups.setdefault((curve.composition_class, curve.cell.arm.name), []).append(curve)
    return [_mean_line(*key, items) for key, items in groups.items()]


def _mean_line(name: str, arm: str, curves: Sequence[_Curve]) -> StudyLine:
    n_ranked = min(len(curve.hits) for curve in curves)
    hits = np.mean([curve.hits[:n_ranked] for curve in curves], axis=0)
    return StudyLine(name, arm, hits, float(np.mean([curve.base_rate for curve in curves])))
