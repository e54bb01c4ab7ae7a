"""What changed from one ranking to the next, and which earlier recommendations have since become known."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from crcrank.artifacts.schemas import SCHEMAS
from crcrank.artifacts.store import Artifact, Provenance, hold_output, read_artifact, write_artifact
from crcrank.errors import ConfigError
from crcrank.evaluation.changes import Change, ChangeCounts, ranking_changes
from crcrank.stages.common import filters_in_words, recorded_known
from crcrank.stages.rows import check_format, write_rows

N_SHOWN = 20


@dataclass(frozen=True)
class DiffSummary:
    """Two rankings compared.

    Parameters
    ----------
    classes
        Counts by class.
    best
        Of each class, the first rows of each kind but ``stayed``, as the columns of ``table``.
    notes
        What a reader should know.
    out
        The file written, if any.
    table
        A row for each formula among the first ``k`` of either ranking.
    """

    classes: dict[str, ChangeCounts] = field(repr=False)
    best: dict[str, dict[str, list[dict[str, Any]]]] = field(repr=False)
    notes: tuple[str, ...]
    out: Path | None
    table: pa.Table = field(repr=False)


def run_diff(
    before: Path,
    after: Path,
    out: Path | None = None,
    *,
    known: Path | None = None,
    classes: Sequence[str] | None = None,
    k: int | None = None,
    format: str | None = None,  # noqa: A002  (the word that users write: --format)
    overwrite: bool = False,
) -> DiffSummary:
    """Compare two rankings by formula; their spaces may differ.

    Parameters
    ----------
    before, after
        ``ranking`` artifacts, the earlier one first.
    out
        The ``diff`` artifact, or ``.csv`` or ``.jsonl``; nothing is written if left out.
    known
        A ``known`` artifact that says what is known by now; the one that ``after`` left out, if it is still there.
    classes, k
        Classes to compare, all that both rankings have if left out; and how many formulas of each, as many as both were asked for.
    format
        ``parquet``, ``csv`` or ``jsonl``; by the suffix of ``out`` if left out.

    Raises
    ------
    ArtifactError
        If an artifact is missing or damaged.
    ConfigError
        If no class asked for is in both rankings.
    OutputError
        If ``out`` exists and ``overwrite`` is false, or it cannot be written.
    """
    kind = check_format(out, format)
    with hold_output(out, overwrite=overwrite) if out else nullcontext():
        rankings = [read_artifact(path, "ranking") for path in (before, after)]
        chosen, notes = _shared_classes(rankings, classes)
        recorded, is_unchanged = recorded_known(rankings[1])
        known = known or (recorded if is_unchanged else None)
        notes += _notes(rankings, known)
        formulas = read_artifact(known, "known").table["formula"].to_pylist() if known else ()
        rows: list[dict[str, Any]] = []
        counts = {}
        for name in chosen:
            sides = [_Side.of(ranking, name) for ranking in rankings]
            n = min(k or side.k for side in sides)
            changes = ranking_changes(sides[0].formulas, sides[1].formulas, n, formulas)
            counts[name] = ChangeCounts.of(n, changes)
            rows += [_row(name, change, *sides) for change in changes]
        table = pa.Table.from_pylist(rows, schema=SCHEMAS["diff"])
        if out and kind == "parquet":
            inputs = [before, after, *([known] if known else [])]
            write_artifact(out, "diff", table, Provenance(config={"k": k, "classes": list(chosen)}, inputs=inputs))
        elif out:
            write_rows(table, kind, out)
    return DiffSummary(counts, _best(rows), tuple(notes), out, table)


@dataclass(frozen=True)
class _Side:
    """A class of one of the rankings, its rows by formula, best first."""

    k: int
    rows: dict[str, dict[str, Any]]

    @classmethod
    def of(cls, ranking: Artifact, name: str) -> _Side:
        columns = ["composition_class", "rank", "formula", "pretty_formula", "score"]
        rows = [row for row in ranking.table.select(columns).to_pylist() if row["composition_class"] == name]
        return cls(
            ranking.metadata["extra"]["classes"][name]["k"], {row["formula"]: row for row in sorted(rows, key=lambda row: row["rank"])}
        )

    @property
    def formulas(self) -> list[str]:
        return list(self.rows)


def _row(name: str, change: Change, before: _Side, after: _Side) -> dict[str, Any]:
    old, new = before.rows.get(change.formula, {}), after.rows.get(change.formula, {})
    return {
        "composition_class": name,
        "formula": change.formula,
        "pretty_formula": (new or old)["pretty_formula"],
        "change": change.kind,
        "rank_before": change.before,
        "rank_after": change.after,
        "score_before": old.get("score"),
        "score_after": new.get("score"),
    }


def _best(rows: Sequence[dict[str, Any]]) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Return the first rows of each class and kind, by their rank before, or after where they entered."""
    best: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for name in dict.fromkeys(row["composition_class"] for row in rows):
        for kind in ("became_known", "entered", "left", "moved"):
            own = [row for row in rows if (row["composition_class"], row["change"]) == (name, kind)]
            own.sort(key=lambda row: row["rank_after"] if row["change"] == "entered" else row["rank_before"])
            if own:
                best.setdefault(name, {})[kind] = own[:N_SHOWN]
    return best


def _shared_classes(rankings: Sequence[Artifact], classes: Sequence[str] | None) -> tuple[list[str], list[str]]:
    """Return the classes to compare, and a note for each that only one ranking has."""
    old, new = (list(dict.fromkeys(ranking.table["composition_class"].to_pylist())) for ranking in rankings)
    everything = list(dict.fromkeys((*old, *new)))
    for name in classes or ():
        if name not in everything:
            raise ConfigError(f"--class: neither ranking has {name!r}; they have {', '.join(everything)}")
    wanted = [name for name in everything if not classes or name in classes]
    shared = [name for name in wanted if name in old and name in new]
    if not shared:
        raise ConfigError(f"diff: no class is in both rankings; the first has {', '.join(old)}, the second {', '.join(new)}")
    return shared, [f"{name}: only in {rankings[name in new].path}; not compared" for name in wanted if name not in shared]


def _notes(rankings: Sequence[Artifact], known: Path | None) -> list[str]:
    before, after = rankings
    notes = []
    if known is None:
        notes.append(f"the known compositions of {after.path} are not at hand: name them with --known to see what became known")
    if before.metadata["extra"]["known"] is None:
        notes.append(f"{before.path} left out no known compositions: what is known now may have been known then")
    if before.metadata["space_digest"] != after.metadata["space_digest"]:
        notes.append("the rankings are of different candidate spaces: what entered or left may be in one of them only")
    filters = [filters_in_words(ranking.metadata["extra"]["filters"]) or "none" for ranking in rankings]
    if filters[0] != filters[1]:
        notes.append(f"the filters changed from {filters[0]} to {filters[1]}")
    return notes
