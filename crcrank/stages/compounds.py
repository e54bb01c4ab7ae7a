"""The compounds of a holdout one by one: where each is ranked, and what among the known could explain a low rank."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from crcrank.artifacts.store import Artifact, read_artifact, sha256_of_file
from crcrank.errors import ArtifactError
from crcrank.space.placement import Placements
from crcrank.space.space import Space
from crcrank.stages.ranks import rank_paths

_FEW = 3


@dataclass(frozen=True)
class KnownCounts:
    """How many known compositions of a class hold each ion, each cation together with each anion, and each stoichiometry.

    Attributes
    ----------
    cation, anion, pair, stoichiometry
        int64 (n_cations,), (n_anions,), (n_cations, n_anions), (n_stoichiometries,).
    """

    space: Space
    name: str
    cation: np.ndarray
    anion: np.ndarray
    pair: np.ndarray
    stoichiometry: np.ndarray

    @classmethod
    def of(cls, placed: Placements) -> KnownCounts:
        """Count each composition by its likeliest assignment."""
        space, known = placed.space, placed.best().candidates
        item, n_cations, n_anions = space.classes[placed.name], len(space.ions.cations), len(space.ions.anions)
        anions = item.block_anions[known.blocks]
        pairs = known.cations[:, :, None] * n_anions + anions[:, None, :]
        pair = np.bincount(pairs.ravel(), minlength=n_cations * n_anions).reshape(n_cations, n_anions)
        stoichiometry = np.bincount(item.block_stoichiometry[known.blocks], minlength=len(item.stoichiometries.keys))
        cation, anion = np.bincount(known.cations.ravel(), minlength=n_cations), np.bincount(anions.ravel(), minlength=n_anions)
        return cls(space, placed.name, cation, anion, pair, stoichiometry)

    def reasons(self, ids: Sequence[int]) -> list[str]:
        """Return what few or no known compounds share with each candidate, the rarest first; nothing where all is common."""
        candidates = self.space.decode(self.name, np.array(ids, np.int64))
        parts = [
            sorted((n, what) for n, what in self._parts(block, cations) if n <= _FEW)
            for block, cations in zip(candidates.blocks.tolist(), candidates.cations.tolist(), strict=True)
        ]
        return [f"known {self.name} compounds with " + ", ".join(f"{what}: {n}" for n, what in rare) if rare else "" for rare in parts]

    def _parts(self, block: int, cations: Sequence[int]) -> Iterator[tuple[int, str]]:
        """Yield how many known compounds share each part of a candidate; a pair says nothing new where one ion is rare itself."""
        item, labels = self.space.classes[self.name], self.space.ions.labels
        anions = item.block_anions[block].tolist()
        yield int(self.stoichiometry[item.block_stoichiometry[block]]), "this stoichiometry"
        yield from ((int(self.anion[a]), labels[len(self.space.ions.cations) + a]) for a in anions)
        for c in cations:
            yield int(self.cation[c]), labels[c]
            for a in anions:
                if min(self.cation[c], self.anion[a]) > _FEW:
                    yield int(self.pair[c, a]), f"{labels[c]} and {labels[len(self.space.ions.cations) + a]}"


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
