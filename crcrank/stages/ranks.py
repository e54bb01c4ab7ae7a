"""The exact ranks of formulas that a user asks for, beside a ranking, and the histogram of all scores."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from crcrank.artifacts.schemas import SCHEMAS
from crcrank.artifacts.store import Provenance, read_artifact, sibling, write_artifact
from crcrank.chem.formula import Composition, format_formula
from crcrank.chem.ions import IonTable
from crcrank.errors import ConfigError
from crcrank.models.ranks import FormulaRanks, formula_ranks
from crcrank.models.staged import Stages
from crcrank.progress import ProgressSink
from crcrank.ranking.best import Ranked
from crcrank.ranking.filters import SearchFilter
from crcrank.space.placement import Placer
from crcrank.space.space import Candidates, Compositions, Space
from crcrank.stages.common import candidate_columns, read_compositions

_log = logging.getLogger(__name__)
KNOWN = "known: training saw it"
FILTERED = "left out by the filters"


@dataclass(frozen=True)
class AskedRanks:
    """Ranks of given formulas.

    Attributes
    ----------
    ranks, histogram
        Rows of the artifacts.
    seconds
        Time by class.
    """

    ranks: pa.Table
    histogram: pa.Table
    seconds: dict[str, float]


def rank_paths(out: Path) -> tuple[Path, Path]:
    """Return where ranks and histogram lie beside a ranking."""
    return sibling(out, "ranks"), sibling(out, "histogram")


def read_asked(paths: Sequence[Path]) -> dict[str, tuple[Sequence[str], Sequence[int]]]:
    """Return elements and amounts by formula of ``known`` artifacts, each formula once."""
    tables = [read_artifact(path, "known").table for path in paths]
    return {formula: pair for table in tables for formula, pair in zip(table["formula"].to_pylist(), read_compositions(table), strict=True)}


@dataclass(frozen=True)
class RankFinder:
    """Finds the ranks of formulas in one ranking.

    Attributes
    ----------
    space, ions, stages, wanted
        What ranks.
    known
        Known compositions, which have no rank.
    """

    space: Space
    ions: IonTable
    stages: Stages
    wanted: SearchFilter
    known: Compositions
    n_threads: int
    progress: ProgressSink

    def find(self, asked: Mapping[str, tuple[Sequence[str], Sequence[int]]], listings: Mapping[str, Ranked]) -> AskedRanks:
        """Return the ranks of formulas, given what each class lists.

        Raises
        ------
        ConfigError
            If there is no formula.
        """
        if not asked:
            raise ConfigError("--ranks-of: the lists hold no formula")
        placer, formulas = Placer(self.space, self.ions), list(asked)
        known = {format_formula(*pair) for pair in self.known}
        new = [formula for formula in formulas if formula not in known]
        placements, outside = placer.place([asked[formula] for formula in new], tuple(listings))
        known_candidates = placer.places(self.known, tuple(listings))
        ranks, histograms, seconds, ranked = [], [], {}, set()
        for name, listing in listings.items():
            start = time.perf_counter()
            found = formula_ranks(
                self.stages,
                listing,
                placements[name],
                known=known_candidates[name].candidates,
                listed=self._all_candidates(placer, name, listing),
                search_filter=self.wanted,
                n_threads=self.n_threads,
                progress=self.progress,
            )
            seconds[name] = round(time.perf_counter() - start, 3)
            placed = "1 formula" if len(found.ranks) == 1 else f"{len(found.ranks):,} formulas"
            _log.info("%s: %s placed among all candidates in %.1f s", name, placed, seconds[name])
            ranked |= set(found.composition.tolist())
            ranks.append(self._rows(name, found))
            histograms.append(_histogram_rows(name, found))
        reasons = {formula: KNOWN for formula in formulas if formula in known}
        reasons |= {new[i]: outside.get(i, FILTERED) for i in range(len(new)) if i not in ranked}
        return AskedRanks(pa.concat_tables([*ranks, _unranked(asked, reasons)]), pa.concat_tables(histograms), seconds)

    def _all_candidates(self, placer: Placer, name: str, listing: Ranked) -> Candidates:
        """Return all candidates of the formulas of a list."""
        columns = candidate_columns(self.space, name, listing.candidates)
        return placer.places(list(zip(columns["elements"], columns["amounts"], strict=True)), (name,))[name].candidates

    def _rows(self, name: str, found: FormulaRanks) -> pa.Table:
        order = np.argsort(found.ranks, kind="stable")
        candidates = found.candidates.take(order)
        columns = candidate_columns(self.space, name, candidates)
        return _table(
            "ranks",
            len(order),
            columns
            | {
                "composition_class": [name] * len(order),
                "rank": found.ranks[order],
                "is_listed": found.is_listed[order],
                "score": self.stages.scorer.scores(name, candidates),
                "search_score": found.search_scores[order],
                "chemical_system": ["-".join(symbols) for symbols in columns["elements"]],
                "candidate_id": self.space.encode(name, candidates),
            },
        )


def _unranked(asked: Mapping[str, tuple[Sequence[str], Sequence[int]]], reasons: Mapping[str, str]) -> pa.Table:
    """Return the rows of formulas without a rank, in the order in which they were asked for."""
    compositions = {formula: Composition.of(*pair) for formula, pair in asked.items() if formula in reasons}
    columns = {
        "formula": list(compositions),
        "pretty_formula": [item.pretty_formula for item in compositions.values()],
        "chemical_system": [item.chemical_system for item in compositions.values()],
        "reason": [reasons[formula] for formula in compositions],
    }
    return _table("ranks", len(compositions), columns)


def _histogram_rows(name: str, found: FormulaRanks) -> pa.Table:
    edges, counts = found.histogram.edges, found.histogram.counts
    columns = {
        "composition_class": [name] * len(counts),
        "low": edges[:-1],
        "high": edges[1:],
        "n_candidates": counts,
        "n_known": found.n_known,
        "n_asked": found.n_asked,
    }
    return _table("histogram", len(counts), columns)


def _table(kind: str, n: int, columns: Mapping[str, Any]) -> pa.Table:
    """Return rows of an artifact; columns that are left out are empty."""
    schema = SCHEMAS[kind]
    return pa.table({name: columns.get(name, [None] * n) for name in schema.names}, schema=schema)


def write_ranks(out: Path, found: AskedRanks, provenance: Provenance) -> None:
    """Write ranks and histogram beside the ranking ``out``, which is recorded among their inputs."""
    provenance = replace(provenance, inputs=[*provenance.inputs, out], extra={"seconds": found.seconds})
    for path, kind, table in zip(rank_paths(out), ("ranks", "histogram"), (found.ranks, found.histogram), strict=True):
        write_artifact(path, kind, table, provenance)
