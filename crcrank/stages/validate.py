"""Measure a ranking on compositions that training never saw."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from crcrank.artifacts.schemas import SCHEMAS
from crcrank.artifacts.store import Artifact, Provenance, hold_output, read_artifact, sibling, write_artifact
from crcrank.config import Settings
from crcrank.errors import ArtifactError, InputDataError
from crcrank.evaluation.calibration import STATEMENT, calibration_error, calibration_table
from crcrank.evaluation.chance import depth_of
from crcrank.evaluation.curves import discovery_curve
from crcrank.evaluation.familiarity import KnownCounts
from crcrank.evaluation.metrics import coverage, hit_table
from crcrank.progress import ProgressSink, SilentProgress
from crcrank.report.discovery import DiscoveryCurve, draw_discovery
from crcrank.report.recall import RecallCurve, draw_recall
from crcrank.space.placement import Placements, Placer, count_reasons
from crcrank.space.space import Space
from crcrank.stages.common import chosen_classes, filters_in_words, load_space, read_compositions, recorded_known, replacing_all
from crcrank.stages.compounds import CompoundTable, Ranks, read_ranks
from crcrank.stages.ranks import KNOWN, rank_paths

_log = logging.getLogger(__name__)
UNITED = "united"
_N_WORST = 5
_NO_VALIDATION = "no validation, so nothing says how often this list is right: name lists to look in, in [run] holdout"
_RECALLS = (0.1, 0.25, 0.5, 0.75, 0.9, 1.0)


@dataclass(frozen=True)
class Reach:
    """How much of a holdout a ranking can reach.

    Parameters
    ----------
    n_holdout, n_known
        Its compositions, and those of them that training saw.
    reachable
        Compositions in the space and not known, by class in the order of the space.
    out_of_reach
        Why the rest is not reachable, most common reason first.
    """

    n_holdout: int
    n_known: int
    reachable: dict[str, int]
    out_of_reach: dict[str, int]


@dataclass(frozen=True)
class Holdout:
    """A list of real compositions, and what of it a ranking could have found.

    Parameters
    ----------
    name
        What tables and pictures call it.
    formulas
        All of the list.
    n_known
        Those that training saw; they do not count.
    reachable
        Formulas by class that are in the space and not known.
    reasons
        Why the rest is out of reach, with counts.
    pretty
        All of the list as people write it, by formula.
    outside
        Why each formula is out of reach, known ones included.
    """

    name: str
    formulas: frozenset[str]
    n_known: int
    reachable: dict[str, frozenset[str]]
    reasons: dict[str, int]
    pretty: dict[str, str] = field(default_factory=dict)
    outside: dict[str, str] = field(default_factory=dict)

    def reach(self) -> Reach:
        """Return how much of the list a ranking can reach, and why not the rest."""
        reachable = {name: len(formulas) for name, formulas in self.reachable.items()}
        return Reach(len(self.formulas), self.n_known, reachable, self.reasons)


@dataclass(frozen=True)
class ValidateSummary:
    """The figures of merit of a ranking.

    Parameters
    ----------
    hits
        Rows of the validation artifact.
    reach
        By holdout.
    depths
        Rows of the ``depths`` artifact, without ranks none.
    worst
        Of each holdout and class, the compounds that are ranked worst, as rows of ``compounds``.
    calibration_error
        Mean difference of probability and share found, by class and holdout, of models with probabilities.
    notes
        What a reader of the figures should know.
    out, pictures
        The artifact and the pictures written.
    """

    hits: list[dict[str, Any]] = field(repr=False)
    reach: dict[str, Reach]
    depths: list[dict[str, Any]] = field(repr=False)
    worst: list[dict[str, Any]] = field(repr=False)
    calibration_error: dict[str, dict[str, float]]
    notes: tuple[str, ...]
    out: Path
    pictures: tuple[Path, ...]


def validate_provenance(
    ranking: Path,
    holdouts: Sequence[Path],
    known: Path | None,
    *,
    settings: Settings,
    space: Space,
    ranks: Path | None = None,
    classes: Sequence[str] | None = None,
    cutoffs: Sequence[int] | None = None,
) -> Provenance:
    """Return what shapes the rows of a validation."""
    beside = rank_paths(ranking)[0]
    ranks = ranks or (beside if beside.exists() else None)
    config = {"k": list(cutoffs or settings.validation.k), "classes": None if classes is None else list(classes)}
    inputs = [ranking, *holdouts, settings.space.ions, *(path for path in (known, ranks) if path)]
    return Provenance(config=config, inputs=inputs, space_digest=space.digest)


def run_validate(
    ranking: Path,
    holdouts: Sequence[Path],
    out: Path,
    *,
    settings: Settings,
    known: Path | None = None,
    ranks: Path | None = None,
    classes: Sequence[str] | None = None,
    cutoffs: Sequence[int] | None = None,
    overwrite: bool = False,
    progress: ProgressSink | None = None,
) -> ValidateSummary:
    """Count the hits of a ranking in each holdout, and in all of them united; draw the discovery curves beside ``out``.

    Where exact ranks are at hand, the recall goes to the end. Every compound of the holdouts is listed with its rank or the reason
    why it has none, and probabilities are compared with the shares found.

    Hits and reachable compositions are formulas. ``n_unknown``, over which the base rate is taken, counts candidates: a formula
    has one for each of its ion assignments.

    Parameters
    ----------
    ranking
        A ``ranking`` artifact.
    holdouts
        ``known`` artifacts of other lists, at least one.
    out
        The ``validation`` artifact; its pictures have the same name with ``.png`` and ``.svg``.
    known
        The compositions that training saw; those recorded in the ranking if left out.
    ranks
        The ``ranks`` artifact of the ranking; that beside it, if there is one, if left out.
    classes
        Classes to measure; all of the ranking if left out.
    cutoffs
        Numbers of recommendations to examine, instead of the settings'.

    Raises
    ------
    ArtifactError
        If an artifact is missing, damaged, from another space, or the recorded ``known`` has gone or changed.
    InputDataError
        If no holdout has a composition that the ranking could have found.
    OutputError
        If ``out`` exists and ``overwrite`` is false, or it cannot be written.
    """
    progress = progress or SilentProgress()
    with hold_output(out, overwrite=overwrite):
        space, ions = load_space(settings)
        ranked = read_artifact(ranking, "ranking", space_digest=space.digest)
        known = known or _left_out(ranked)
        lists = [read_artifact(path, "known") for path in holdouts]
        chosen = chosen_classes(classes, tuple(ranked.metadata["extra"]["classes"]), settings)
        progress.start("validate", len(lists) + 1, "lists")
        placer = Placer(space, ions)
        known_table = read_artifact(known, "known").table if known else None
        known_formulas = frozenset(known_table["formula"].to_pylist()) if known_table else frozenset()
        placed_known = placer.places(read_compositions(known_table) if known_table else [], chosen)
        known_of = {name: _formulas(known_table, placed) for name, placed in placed_known.items()}
        n_unknown = {name: space.classes[name].n_candidates - len(placed_known[name]) for name in chosen}
        progress.advance()
        reached = [_holdout(name, item, placer, known_formulas) for name, item in zip(names_of_lists(lists), lists, strict=True)]
        progress.advance(len(lists))
        cutoffs_used = cutoffs or settings.validation.k
        measured = _Measured(chosen, _rows_by_class(ranked), n_unknown, known_of, cutoffs_used, read_ranks(ranked, ranks))
        holdouts_and_all = [*reached, *([_united(reached, known_formulas)] if len(reached) > 1 else [])]
        rows, curves, notes = measured.all_rows(holdouts_and_all)
        if not rows and not curves:
            raise InputDataError(f"{', '.join(map(str, holdouts))}: no composition is inside the space and unknown to training")
        depths, recalls, rank_notes = measured.to_the_end(holdouts_and_all)
        calibration, errors = measured.calibration(holdouts_and_all)
        compounds = measured.compounds(reached, {name: KnownCounts.of(placed) for name, placed in placed_known.items()})
        notes = [*_ranking_notes(ranked, known), *_coverage_notes(rows), *notes, *rank_notes, *([STATEMENT] if errors else [])]
        reach = {item.name: item.reach() for item in reached}
        shaped: dict[str, Any] = {"settings": settings, "space": space, "classes": classes, "cutoffs": cutoffs, "ranks": ranks}
        provenance = validate_provenance(ranking, holdouts, known, **shaped)
        pictures = (*picture_paths(out), *(recall_paths(out) if recalls else ()))
        details = {"depths": depths, "compounds": compounds, "calibration": calibration}
        for path in recall_paths(out):
            path.unlink(missing_ok=True)
        with replacing_all(out, *detail_paths(out), *pictures) as (artifact_path, *paths):
            draw_discovery(curves, paths[len(details)])
            if recalls:
                draw_recall(recalls, paths[len(details) + 2])
            for path, (kind, own) in zip(paths, details.items(), strict=False):
                write_artifact(path, kind, _columns(kind, own), provenance)
            facts = {"reach": {name: asdict(item) for name, item in reach.items()}, "notes": notes, "calibration_error": errors}
            write_artifact(artifact_path, "validation", _columns("validation", rows), replace(provenance, extra=facts))
    worst = _worst(compounds) if depths else []  # without exact ranks, the last of a list are not the worst
    return ValidateSummary(rows, reach, depths, worst, errors, tuple(notes), out, pictures)


def _worst(compounds: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the last ranks of each holdout and class, the worst first."""
    ranked: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in compounds:
        if row.get("rank") is not None:
            ranked.setdefault((row["holdout"], row["composition_class"]), []).append(row)
    return [row for rows in ranked.values() for row in rows[: -_N_WORST - 1 : -1]]


def _columns(kind: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Return the columns of an artifact; what a row leaves out is empty."""
    return {name: [row.get(name) for row in rows] for name in SCHEMAS[kind].names}


def read_validation(path: Path) -> Artifact:
    """Read a validation; where there is none, return one without rows, whose note says so."""
    if path.exists():
        return read_artifact(path, "validation")
    facts = {"reach": {}, "notes": [_NO_VALIDATION], "calibration_error": {}}
    return Artifact(path, SCHEMAS["validation"].empty_table(), {"extra": facts, "inputs": []})


def remove_validation(out: Path) -> None:
    """Remove a validation and all that was written beside it."""
    for path in (out, *detail_paths(out), *picture_paths(out), *recall_paths(out)):
        path.unlink(missing_ok=True)


def recorded_reach(facts: Mapping[str, Any], space: Space) -> dict[str, Reach]:
    """Return the reach that a validation's metadata records; their keys are sorted, those returned are in order."""
    reach = {}
    for name, item in facts["reach"].items():
        reachable = {key: item["reachable"][key] for key in space.classes}
        reasons = dict(sorted(item["out_of_reach"].items(), key=lambda pair: (-pair[1], pair[0])))
        reach[name] = Reach(item["n_holdout"], item["n_known"], reachable, reasons)
    return reach


def picture_paths(out: Path) -> tuple[Path, Path]:
    """Return where the pictures of a validation lie."""
    return out.with_suffix(".png"), out.with_suffix(".svg")


def recall_paths(out: Path) -> tuple[Path, Path]:
    """Return where the pictures of the recall lie."""
    return out.with_suffix(".recall.png"), out.with_suffix(".recall.svg")


def detail_paths(out: Path) -> tuple[Path, Path, Path]:
    """Return where depths, compounds and calibration lie."""
    return sibling(out, "depths"), sibling(out, "compounds"), sibling(out, "calibration")


@dataclass(frozen=True)
class _Measured:
    """A ranking to be measured; its rows by class, best first, the formulas known of each, and exact ranks, if there are any."""

    classes: Sequence[str]
    listed: dict[str, list[dict[str, Any]]]
    n_unknown: dict[str, int]
    known: dict[str, frozenset[str]]
    cutoffs: Sequence[int]
    ranks: Ranks | None

    def to_the_end(self, holdouts: Sequence[Holdout]) -> tuple[list[dict[str, Any]], list[RecallCurve], list[str]]:
        """Return how far one must read for each share, recall curves, and notes on what has no rank."""
        rows: list[dict[str, Any]] = []
        curves: list[RecallCurve] = []
        notes: list[str] = []
        if self.ranks is None:
            return rows, curves, ["no exact ranks: rank with --ranks-of for the recall to the end"]
        for name, holdout in product(self.classes, holdouts):
            reachable, n_unknown = holdout.reachable[name], self.n_unknown[name]
            if n_missing := self.ranks.missing(name, reachable):
                notes.append(
                    f"{name}: {n_missing:,} of {len(reachable):,} compounds of {holdout.name} have no rank in {self.ranks.path.name}"
                )
            ranks = self.ranks.of(name, reachable)
            if not len(ranks):
                continue
            curves.append(RecallCurve(name, holdout.name, ranks, n_unknown))
            described = {"composition_class": name, "holdout": holdout.name, "n_ranked": len(ranks), "n_unknown": n_unknown}
            for recall in _RECALLS:
                rank, low, high = depth_of(ranks, recall)
                random = -(-recall * len(ranks) // 1) * (n_unknown + 1) / (len(ranks) + 1)
                rows.append(described | {"recall": recall, "rank": rank, "rank_low": low, "rank_high": high, "rank_random": random})
        return rows, curves, notes

    def calibration(self, holdouts: Sequence[Holdout]) -> tuple[list[dict[str, Any]], dict[str, dict[str, float]]]:
        """Return the rows of the calibration, and its error by class and holdout."""
        rows: list[dict[str, Any]] = []
        errors: dict[str, dict[str, float]] = {}
        for name, holdout in product(self.classes, holdouts):
            listed = self.listed.get(name, [])
            if holdout.reachable[name] and listed and listed[0]["probability"] is not None:
                is_found = [row["formula"] in holdout.reachable[name] for row in listed]
                bins = calibration_table([row["probability"] for row in listed], is_found)
                rows += [{"composition_class": name, "holdout": holdout.name} | asdict(item) for item in bins]
                errors.setdefault(name, {})[holdout.name] = round(calibration_error(bins), 4)
        return rows, errors

    def compounds(self, holdouts: Sequence[Holdout], counts: Mapping[str, KnownCounts]) -> list[dict[str, Any]]:
        """Return a row for each compound of each holdout."""
        table = CompoundTable({name: {row["formula"]: row for row in rows} for name, rows in self.listed.items()}, self.ranks, counts)
        rows = []
        for item in holdouts:
            inside = {name: item.reachable[name] for name in self.classes}
            placed = frozenset().union(*inside.values())
            others = {
                formula: f"class not ranked ({name})"
                for name, formulas in item.reachable.items()
                if name not in inside
                for formula in sorted(formulas - placed)
            }
            rows += table.rows(item.name, item.pretty, inside, item.outside | others)
        return rows

    def all_rows(self, holdouts: Sequence[Holdout]) -> tuple[list[dict[str, Any]], list[DiscoveryCurve], list[str]]:
        """Return table rows, curves, and notes on what could not be measured."""
        rows: list[dict[str, Any]] = []
        curves: list[DiscoveryCurve] = []
        notes: list[str] = []
        for name in self.classes:
            formulas = [row["formula"] for row in self.listed.get(name, [])]
            if beyond := [k for k in self.cutoffs if k > len(formulas)]:
                notes.append(f"{name}: only {len(formulas):,} formulas are ranked, so k = {', '.join(map(str, beyond))} is left out")
            for holdout in holdouts:
                reachable = holdout.reachable[name]
                if not reachable:
                    notes.append(f"{name}: nothing in {holdout.name} is inside the space and unknown to training")
                    continue
                rows += self._rows(name, holdout, formulas)
                base_rate = len(reachable) / self.n_unknown[name]
                curves.append(DiscoveryCurve(name, holdout.name, discovery_curve(formulas, reachable), len(reachable), base_rate))
        return rows, curves, notes

    def _rows(self, name: str, holdout: Holdout, formulas: list[str]) -> list[dict[str, Any]]:
        table = hit_table(formulas, holdout.reachable[name], n_unknown=self.n_unknown[name], cutoffs=self.cutoffs)
        share = coverage(self.known[name], holdout.formulas)
        described = {"composition_class": name, "holdout": holdout.name, "n_holdout": len(holdout.formulas), "coverage": share}
        return [described | asdict(row) for row in table]


def _left_out(ranking: Artifact) -> Path | None:
    """Return the known compositions that the ranking left out, if they are still what they were.

    Raises
    ------
    ArtifactError
        If the file has gone or changed.
    """
    path, is_unchanged = recorded_known(ranking)
    if path and not is_unchanged:
        what = "has changed since" if path.exists() else "is not there any more"
        raise ArtifactError(f"{path}: the known compositions of {ranking.path} {what}; name them with --known, or rank again")
    return path


def names_of_lists(holdouts: Sequence[Artifact]) -> list[str]:
    """Return a name for each list: the source it was read from, else its file; made different from each other."""
    names: list[str] = []
    for artifact in holdouts:
        sources = [Path(source).name.split(".")[0] for source in artifact.metadata["config"].get("sources", ())]
        name = "+".join(source for source in sources if source not in {"", "-"}) or artifact.path.stem
        if name in (*names, UNITED):
            name = f"{name}-{len(names) + 1}"
        names.append(name)
    return names


def _holdout(name: str, artifact: Artifact, placer: Placer, known: frozenset[str]) -> Holdout:
    table = artifact.table
    formulas = table["formula"].to_pylist()
    new = [i for i, formula in enumerate(formulas) if formula not in known]
    compositions = read_compositions(table)
    placements, outside = placer.place([compositions[i] for i in new])
    reachable = {key: frozenset(formulas[new[i]] for i in item.composition.tolist()) for key, item in placements.items()}
    why = {formula: KNOWN for formula in formulas if formula in known} | {formulas[new[i]]: reason for i, reason in outside.items()}
    pretty = dict(zip(formulas, table["pretty_formula"].to_pylist(), strict=True))
    return Holdout(name, frozenset(formulas), len(formulas) - len(new), reachable, count_reasons(outside), pretty, why)


def _united(holdouts: Sequence[Holdout], known: frozenset[str]) -> Holdout:
    """Return all lists as one."""
    formulas = frozenset().union(*(item.formulas for item in holdouts))
    reachable = {name: frozenset().union(*(item.reachable[name] for item in holdouts)) for name in holdouts[0].reachable}
    return Holdout(UNITED, formulas, len(formulas & known), reachable, {})


def _rows_by_class(ranking: Artifact) -> dict[str, list[dict[str, Any]]]:
    rows: dict[str, list[dict[str, Any]]] = {}
    for row in ranking.table.sort_by([("composition_class", "ascending"), ("rank", "ascending")]).to_pylist():
        rows.setdefault(row["composition_class"], []).append(row)
    return rows


def _formulas(known: pa.Table | None, placed: Placements) -> frozenset[str]:
    """Return the formulas of the known compositions that have a place."""
    return frozenset(known["formula"].take(np.unique(placed.composition)).to_pylist()) if known else frozenset()


def _coverage_notes(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Say of each holdout what hit rate real compounds would have; not of a class where the list does better: it is of another kind."""
    for holdout in dict.fromkeys(row["holdout"] for row in rows):
        own = [row for row in rows if row["holdout"] == holdout]
        exceeded = {row["composition_class"] for row in own if row["hit_rate"] > (row["coverage"] or 0)}
        covered = {row["composition_class"]: row["coverage"] for row in own if row["coverage"]}
        shares = [f"{share:.0%} of the known {name}" for name, share in covered.items() if name not in exceeded]
        if shares:
            yield f"{holdout} has {', '.join(shares)} compositions; a list of nothing but real ones would have about that hit rate"


def _ranking_notes(ranking: Artifact, known: Path | None) -> list[str]:
    notes = [] if known else ["the ranking left out no known compositions, and no --known list was given"]
    if filters := ranking.metadata["extra"]["filters"]:
        notes.append(f"the ranking was filtered ({filters_in_words(filters)}); recall and base rate still count the whole class")
    return notes
