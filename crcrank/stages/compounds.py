"""The compounds of a holdout one by one: where each is ranked, or why nowhere."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from crcrank.artifacts.store import Artifact, read_artifact, sha256_of_file
from crcrank.errors import ArtifactError
from crcrank.evaluation.familiarity import KnownCounts
from crcrank.stages.ranks import rank_paths


@dataclass(frozen=True)
class Ranks:
    """Exact ranks beside a ranking.

    Attributes
    ----------
    by_class
        Rows of the ``ranks`` artifact by class, and in it by formula; those without a rank are left out.
    """

    path: Path
    by_class: dict[str, dict[str, dict[str, Any]]]

    def missing(self, name: str, formulas: AbstractSet[str]) -> int:
        """Return how many of some formulas have no rank."""
        return len(formulas - self.by_class.get(name, {}).keys())

    def of(self, name: str, formulas: AbstractSet[str]) -> np.ndarray:
        """Return the ranks of formulas, those that have one, ascending, int64 (n,)."""
        rows = self.by_class.get(name, {})
        return np.sort(np.array([rows[formula]["rank"] for formula in formulas & rows.keys()], np.int64))


def read_ranks(ranking: Artifact, path: Path | None) -> Ranks | None:
    """Read the ranks at ``path``, or those beside the ranking if there are any.

    Raises
    ------
    ArtifactError
        If they are damaged, missing at ``path``, or of another ranking.
    """
    where = path or rank_paths(ranking.path)[0]
    if path is None and not where.exists():
        return None
    artifact = read_artifact(where, "ranks", space_digest=ranking.metadata["space_digest"])
    if artifact.metadata["inputs"][-1]["sha256"] != sha256_of_file(ranking.path):
        raise ArtifactError(f"{where}: ranks of another ranking than {ranking.path}; rank again with --ranks-of")
    by_class: dict[str, dict[str, dict[str, Any]]] = {}
    for row in artifact.table.to_pylist():
        if row["rank"] is not None:
            by_class.setdefault(row["composition_class"], {})[row["formula"]] = row
    return Ranks(where, by_class)


@dataclass(frozen=True)
class CompoundTable:
    """Says of each compound of a holdout where it is ranked, or why nowhere.

    Attributes
    ----------
    listed
        Rows of the ranking by class and formula.
    ranks
        Exact ranks, if there are any.
    counts
        Of the known, by class.
    """

    listed: Mapping[str, Mapping[str, dict[str, Any]]]
    ranks: Ranks | None
    counts: Mapping[str, KnownCounts]

    def rows(
        self, holdout: str, pretty: Mapping[str, str], reachable: Mapping[str, AbstractSet[str]], outside: Mapping[str, str]
    ) -> list[dict[str, Any]]:
        """Return the rows of a holdout: by class, the best rank first, then those without a rank, then what is out of reach.

        Parameters
        ----------
        pretty
            All formulas of the holdout, as people write them.
        reachable
            Formulas by class that the ranking could have found.
        outside
            Why the others are out of reach.
        """
        rows: list[dict[str, Any]] = []
        for name, formulas in reachable.items():
            listed = self.listed.get(name, {})
            found = {**(self.ranks.by_class.get(name, {}) if self.ranks else {}), **listed}
            own = sorted((found[formula] for formula in formulas & found.keys()), key=lambda row: row["rank"])
            reasons = self.counts[name].reasons([row["candidate_id"] for row in own])
            for row, reason in zip(own, reasons, strict=True):
                kept = {key: row[key] for key in ("composition_class", "formula", "rank", "score", "ions")}
                rows.append(kept | {"is_listed": row["formula"] in listed, "reason": reason})
            rows += [{"composition_class": name, "formula": formula, "reason": "not listed"} for formula in sorted(formulas - found.keys())]
        rows += [{"formula": formula, "reason": reason} for formula, reason in outside.items()]
        return [{"holdout": holdout, "pretty_formula": pretty[row["formula"]], **row} for row in rows]
