"""Measure a ranking on compositions that training never saw."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from crcrank.artifacts.schemas import SCHEMAS
from crcrank.artifacts.store import Artifact, Provenance, hold_output, read_artifact, sha256_of_file, write_artifact
from crcrank.config import Settings
from crcrank.errors import ArtifactError, InputDataError
from crcrank.evaluation.curves import discovery_curve
from crcrank.evaluation.metrics import hit_table
from crcrank.progress import ProgressSink, SilentProgress
from crcrank.report.discovery import DiscoveryCurve, draw_discovery
from crcrank.space.placement import Placer, count_reasons
from crcrank.space.space import Space
from crcrank.stages.common import chosen_classes, filters_in_words, load_space, read_compositions, replacing_all

_log = logging.getLogger(__name__)
UNITED = "united"


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
    """

    name: str
    formulas: frozenset[str]
    n_known: int
    reachable: dict[str, frozenset[str]]
    reasons: dict[str, int]

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
    notes
        What a reader of the figures should know.
    out, pictures
        The artifact and the pictures written.
    """

    hits: list[dict[str, Any]] = field(repr=False)
    reach: dict[str, Reach]
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
    classes: Sequence[str] | None = None,
    cutoffs: Sequence[int] | None = None,
) -> Provenance:
    """Return what shapes the rows of a validation."""
    config = {"k": list(cutoffs or settings.validation.k), "classes": None if classes is None else list(classes)}
    inputs = [ranking, *holdouts, settings.space.ions, *([known] if known else [])]
    return Provenance(config=config, inputs=inputs, space_digest=space.digest)


def run_validate(
    ranking: Path,
    holdouts: Sequence[Path],
    out: Path,
    *,
    settings: Settings,
    known: Path | None = None,
    classes: Sequence[str] | None = None,
    cutoffs: Sequence[int] | None = None,
    overwrite: bool = False,
    progress: ProgressSink | None = None,
) -> ValidateSummary:
    """Count the hits of a ranking in each holdout, and in all of them united; draw the discovery curves beside ``out``.

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
        known = known or _recorded_known(ranked)
        lists = [read_artifact(path, "known") for path in holdouts]
        chosen = chosen_classes(classes, tuple(ranked.metadata["extra"]["classes"]), settings)
        progress.start("validate", len(lists) + 1, "lists")
        placer = Placer(space, ions)
        known_table = read_artifact(known, "known").table if known else None
        known_formulas = frozenset(known_table["formula"].to_pylist()) if known_table else frozenset()
        placed_known = placer.places(read_compositions(known_table) if known_table else [], chosen)
        n_unknown = {name: space.classes[name].n_candidates - len(placed_known[name]) for name in chosen}
        progress.advance()
        reached = [_holdout(name, item, placer, known_formulas) for name, item in zip(_names(lists), lists, strict=True)]
        progress.advance(len(lists))
        measured = _Measured(chosen, _formulas_by_class(ranked), n_unknown, cutoffs or settings.validation.k)
        rows, curves, notes = measured.all_rows([*reached, *([_united(reached, known_formulas)] if len(reached) > 1 else [])])
        if not rows and not curves:
            raise InputDataError(f"{', '.join(map(str, holdouts))}: no composition is inside the space and unknown to training")
        notes = [*_ranking_notes(ranked, known), *notes]
        reach = {item.name: item.reach() for item in reached}
        provenance = validate_provenance(ranking, holdouts, known, settings=settings, space=space, classes=classes, cutoffs=cutoffs)
        columns = {name: [row[name] for row in rows] for name in SCHEMAS["validation"].names}
        pictures = picture_paths(out)
        with replacing_all(out, *pictures) as (artifact_path, picture_path, _):
            draw_discovery(curves, picture_path)
            facts = {"reach": {name: asdict(item) for name, item in reach.items()}, "notes": notes}
            write_artifact(artifact_path, "validation", columns, replace(provenance, extra=facts))
    return ValidateSummary(rows, reach, tuple(notes), out, pictures)


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


@dataclass(frozen=True)
class _Measured:
    """A ranking to be measured."""

    classes: Sequence[str]
    formulas: dict[str, list[str]]
    n_unknown: dict[str, int]
    cutoffs: Sequence[int]

    def all_rows(self, holdouts: Sequence[Holdout]) -> tuple[list[dict[str, Any]], list[DiscoveryCurve], list[str]]:
        """Return table rows, curves, and notes on what could not be measured."""
        rows: list[dict[str, Any]] = []
        curves: list[DiscoveryCurve] = []
        notes: list[str] = []
        for name in self.classes:
            formulas = self.formulas.get(name, [])
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
        described = {"composition_class": name, "holdout": holdout.name, "n_holdout": len(holdout.formulas)}
        return [described | asdict(row) for row in table]


def _recorded_known(ranking: Artifact) -> Path | None:
    """Return the known compositions that the ranking left out, if they are still what they were.

    Raises
    ------
    ArtifactError
        If the file has gone or changed.
    """
    recorded = ranking.metadata["extra"]["known"]
    if recorded is None:
        return None
    path = Path(recorded)
    sha256 = next(item["sha256"] for item in ranking.metadata["inputs"] if item["path"] == recorded)
    if not path.exists() or sha256_of_file(path) != sha256:
        what = "has changed since" if path.exists() else "is not there any more"
        raise ArtifactError(f"{path}: the known compositions of {ranking.path} {what}; name them with --known, or rank again")
    return path


def _names(holdouts: Sequence[Artifact]) -> list[str]:
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
    return Holdout(name, frozenset(formulas), len(formulas) - len(new), reachable, count_reasons(outside))


def _united(holdouts: Sequence[Holdout], known: frozenset[str]) -> Holdout:
    """Return all lists as one."""
    formulas = frozenset().union(*(item.formulas for item in holdouts))
    reachable = {name: frozenset().union(*(item.reachable[name] for item in holdouts)) for name in holdouts[0].reachable}
    return Holdout(UNITED, formulas, len(formulas & known), reachable, {})


def _formulas_by_class(ranking: Artifact) -> dict[str, list[str]]:
    formulas: dict[str, list[str]] = {}
    table = ranking.table.sort_by([("composition_class", "ascending"), ("rank", "ascending")])
    for name, formula in zip(table["composition_class"].to_pylist(), table["formula"].to_pylist(), strict=True):
        formulas.setdefault(name, []).append(formula)
    return formulas


def _ranking_notes(ranking: Artifact, known: Path | None) -> list[str]:
    notes = [] if known else ["the ranking left out no known compositions, and no --known list was given"]
    if filters := ranking.metadata["extra"]["filters"]:
        notes.append(f"the ranking was filtered ({filters_in_words(filters)}); recall and base rate still count the whole class")
    return notes
