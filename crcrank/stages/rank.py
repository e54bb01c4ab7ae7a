"""The best unknown formulas of each class, by exact search over every candidate."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from crcrank.artifacts.schemas import SCHEMAS
from crcrank.artifacts.store import Provenance, check_space, hold_output, read_artifact, read_metadata, write_artifact
from crcrank.chem.cautions import Cautions, read_cautions
from crcrank.chem.elements import read_element_table
from crcrank.chem.ions import IonTable
from crcrank.config import RankSettings, Settings
from crcrank.errors import ConfigError
from crcrank.models.contract import Recommender
from crcrank.models.likelihood import probability
from crcrank.models.registry import is_parameter, load_model
from crcrank.models.staged import Stages
from crcrank.progress import ProgressSink, SilentProgress
from crcrank.ranking.best import Ranked
from crcrank.ranking.filters import ElementFilter, SearchFilter, search_filter
from crcrank.ranking.limits import NO_LIMITS, Limits
from crcrank.ranking.search import ClassRanking
from crcrank.space.space import Compositions, Space
from crcrank.stages.common import candidate_columns, chosen_classes, filters_in_words, load_space, read_compositions
from crcrank.stages.novelty import Surroundings
from crcrank.stages.ranks import RankFinder, rank_paths, read_asked, write_ranks
from crcrank.stages.rows import check_format, write_rows

_log = logging.getLogger(__name__)
N_SHOWN = 20


@dataclass(frozen=True)
class ClassFacts:
    """How a class was ranked.

    Parameters
    ----------
    k, n_listed
        Formulas asked for and listed.
    n_candidates
        Candidates of the class, all of which the ranking covers.
    n_known
        Candidates of known formulas, one for each of their ion assignments; they are not listed.
    n_scored
        Candidates scored one by one; bounds excluded the others.
    seconds, candidates_per_second
        Time of the search.
    """

    k: int
    n_listed: int
    n_candidates: int
    n_known: int
    n_scored: int
    seconds: float
    candidates_per_second: float


@dataclass(frozen=True)
class RankSummary:
    """A ranking.

    Parameters
    ----------
    classes
        Facts by class.
    notes
        What a reader of the ranking should know.
    out
        The file written, if any.
    best
        The first rows of each class, as the ranking's columns.
    table
        The whole ranking.
    ranks
        The ranks of the formulas asked for, the best of each class first, as the columns of ``ranks``.
    """

    classes: dict[str, ClassFacts] = field(repr=False)
    notes: tuple[str, ...]
    out: Path | None
    best: dict[str, list[dict[str, Any]]] = field(repr=False)
    table: pa.Table = field(repr=False)
    ranks: list[dict[str, Any]] = field(repr=False)


def rank_provenance(
    model: Path,
    plan: Path,
    known: Path | None,
    *,
    settings: Settings,
    space: Space,
    classes: Sequence[str] | None = None,
    rerank: Path | None = None,
    ranks_of: Sequence[Path] = (),
) -> Provenance:
    """Return what shapes the rows of a ranking, and of the ranks beside it."""
    config = settings.rank.model_dump(mode="json") | {"classes": None if classes is None else list(classes)}
    inputs = [
        model,
        plan,
        settings.space.ions,
        settings.space.elements,
        settings.space.cautions,
        *(path for path in (rerank, known) if path),
        *ranks_of,
    ]
    return Provenance(config=config, inputs=inputs, space_digest=space.digest)


def run_rank(
    model: Path,
    plan: Path,
    out: Path | None = None,
    *,
    settings: Settings,
    known: Path | None = None,
    rerank: Path | None = None,
    ranks_of: Sequence[Path] = (),
    classes: Sequence[str] | None = None,
    k: int | None = None,
    format: str | None = None,  # noqa: A002  (the word that users write: --format)
    n_threads: int,
    overwrite: bool = False,
    progress: ProgressSink | None = None,
) -> RankSummary:
    """Rank the unknown formulas of each class.

    Parameters
    ----------
    model, plan, known
        Artifacts; without ``known``, known formulas are listed too.
    rerank
        Another model, which orders the best anew; the settings say how many of each class.
    ranks_of
        ``known`` artifacts: the exact rank of each of their formulas goes beside ``out``, with the histogram of all scores.
    out
        The ``ranking`` artifact, or ``.csv`` or ``.jsonl``; nothing is written if left out.
    settings
        The section ``rank`` holds k and the filters.
    classes
        Classes to rank; all that the model learned if left out.
    k
        Formulas per class, instead of that of the settings; refused above the number of candidates of a class.
    format
        ``parquet``, ``csv`` or ``jsonl``; by the suffix of ``out`` if left out.
    n_threads
        Threads; the rows do not depend on it.

    Raises
    ------
    ArtifactError
        If an artifact is missing, damaged, or made for another space.
    ConfigError
        If a class was never learned, ``k`` is too large, the filters leave nothing, or ranks would have no place beside ``out``.
    OutputError
        If ``out`` exists and ``overwrite`` is false, or it cannot be written.
    """
    kind = check_format(out, format)
    if ranks_of and (settings.rank.one_per_family or settings.rank.max_per_system):
        raise ConfigError("--ranks-of: ranks are those in the whole list; leave out --one-per-family and --max-per-system")
    if ranks_of and out and kind != "parquet":
        raise ConfigError(f"--ranks-of: ranks are written beside a Parquet file, and {out} is none; leave -o out for a table")
    if k is not None:
        settings = settings.model_copy(update={"rank": settings.rank.model_copy(update={"k": k})})
    with hold_output(out, overwrite=overwrite) if out else nullcontext():
        space, ions = load_space(settings)
        check_space(plan, read_metadata(plan, "plan"), space.digest)
        compositions = read_compositions(read_artifact(known, "known").table) if known else []
        learned, reranker = _read_model(model, space), _read_model(rerank, space) if rerank else None
        pa.default_memory_pool().release_unused()  # what Arrow read models with, which is more than they take
        stages = Stages.of(learned, reranker, settings.rank.rerank_depth)
        chosen = chosen_classes(classes, learned.classes, settings)
        asked = read_asked(ranks_of)
        if reranker:
            chosen_classes(chosen, reranker.classes, settings)
        if k is not None:
            _check_k(space, chosen, k)
        radioactive = read_element_table(settings.space.elements).radioactive
        wanted = search_filter(space, element_filter(settings.rank, space, radioactive))
        cautions = read_cautions(settings.space.cautions)
        ranker = _Ranker(
            space, settings.rank, ions, compositions, stages, wanted, radioactive, cautions, n_threads, progress or SilentProgress()
        )
        table, facts, listings = ranker.rank_all(classes_left(space, chosen, wanted))
        found = ranker.finder().find(asked, listings) if ranks_of else None
        notes = tuple(_notes(settings.rank, known, chosen, facts))
        extra = {
            "classes": {name: asdict(item) for name, item in facts.items()},
            "known": str(known) if known else None,
            "filters": filters_in_use(settings.rank),
        }
        if out and kind == "parquet":
            shaped: dict[str, Any] = {"settings": settings, "space": space, "classes": classes, "rerank": rerank}
            provenance = rank_provenance(model, plan, known, **shaped, ranks_of=ranks_of)
            for path in rank_paths(out):  # of an earlier ranking
                path.unlink(missing_ok=True)
            write_artifact(out, "ranking", table, replace(provenance, extra=extra))
            if found:
                write_ranks(out, found, provenance)
        elif out:
            write_rows(table, kind, out)
    return RankSummary(facts, notes, out, best_rows(table), table, found.ranks.to_pylist() if found else [])


def _read_model(path: Path, space: Space) -> Recommender:
    artifact = read_artifact(path, "model", space_digest=space.digest, wanted=is_parameter)
    return load_model(artifact.table, artifact.metadata, space)


def element_filter(rank: RankSettings, space: Space, radioactive: frozenset[str]) -> ElementFilter:
    """Return the conditions on elements that the settings ask for."""
    excluded = rank.exclude
    if rank.exclude_radioactive:
        excluded = (*excluded, *sorted(radioactive & set(space.ions.elements)))
    return ElementFilter(rank.require, rank.allow, excluded, rank.anions, rank.max_coefficient)


def filters_in_use(rank: RankSettings) -> dict[str, Any]:
    """Return the conditions that leave formulas out of a ranking."""
    keys = ("require", "allow", "exclude", "anions", "max_coefficient", "exclude_radioactive", "one_per_family", "max_per_system")
    return {key: value for key, value in rank.model_dump(mode="json", include=set(keys)).items() if value}


def best_rows(table: pa.Table) -> dict[str, list[dict[str, Any]]]:
    """Return the first rows of each class of a ranking."""
    starts = [i for i, rank in enumerate(table["rank"].to_pylist()) if rank == 1]
    parts = [table.slice(start, min(end - start, N_SHOWN)).to_pylist() for start, end in pairwise([*starts, table.num_rows])]
    return {rows[0]["composition_class"]: rows for rows in parts}


def _check_k(space: Space, classes: Sequence[str], k: int) -> None:
    for name in classes:
        n_candidates = space.classes[name].n_candidates
        if k > n_candidates:
            raise ConfigError(f"-k {k:,}: class {name!r} has only {n_candidates:,} candidates; choose a smaller k, or classes with --class")


def classes_left(space: Space, classes: Sequence[str], wanted: SearchFilter) -> list[str]:
    """Return the classes in which the filters leave candidates to search."""
    left = [name for name in classes if _has_room(space, name, wanted) and wanted.allowed_blocks(space, name).any()]
    if not left:
        raise ConfigError(f"rank: the filters leave no candidate in {', '.join(classes)}; nothing was written")
    return left


def _has_room(space: Space, name: str, wanted: SearchFilter) -> bool:
    """Say whether a class has no fewer ions than elements are required, and no more than are allowed."""
    kind, ions = space.classes[name].composition_class, space.ions
    allowed = {*ions.cation_element[wanted.allowed].tolist(), *ions.anion_element[wanted.anion_allowed].tolist()}
    return wanted.wanted.bit_count() <= kind.n_ions and (kind.mixed_valence or kind.n_ions <= len(allowed))


@dataclass(frozen=True)
class _Ranker:
    """A question to the space; each class is one search."""

    space: Space
    rank: RankSettings
    ions: IonTable
    known: Compositions
    stages: Stages
    wanted: SearchFilter
    radioactive: frozenset[str]
    cautions: Cautions
    n_threads: int
    progress: ProgressSink

    def finder(self) -> RankFinder:
        """Return what finds the ranks of given formulas."""
        return RankFinder(self.space, self.ions, self.stages, self.wanted, self.known, self.n_threads, self.progress)

    def rank_all(self, names: Sequence[str]) -> tuple[pa.Table, dict[str, ClassFacts], dict[str, Ranked]]:
        """Return the rows and facts of all classes, and all that each lists, which may be more than the rows."""
        found, rows = {}, []
        around = Surroundings(self.space, self.ions, self.known, names, self.cautions)
        with ThreadPoolExecutor(1) as pool:  # kernels hold no lock of Python: rows are made while the next class is searched
            for name in names:
                found[name] = self._searched(name)
                rows.append(pool.submit(self._rows, name, found[name][0].ranked.first(self.rank.k), around))
            table = pa.concat_tables([part.result() for part in rows])
        if not table.num_rows:
            raise ConfigError("rank: the filters leave no unknown formula in any class; nothing was written")
        facts = {name: self._facts(item, len(around.placements[name]), seconds) for name, (item, seconds) in found.items()}
        return table, facts, {name: item.ranked for name, (item, _) in found.items()}

    def _searched(self, name: str) -> tuple[ClassRanking, float]:
        """Return the ranking of a class, and how long it took."""
        start = time.perf_counter()
        limits = Limits(self.rank.one_per_family, self.rank.max_per_system)
        find = self.stages.listing if limits == NO_LIMITS else partial(self.stages.rank, limits=limits)
        found = find(
            self.space,
            name,
            self.rank.k,
            excluded=self.space.formula_keys(name, self.known),
            search_filter=self.wanted,
            n_threads=self.n_threads,
            prune=not self.rank.exhaustive,
            progress=self.progress,
        )
        seconds = time.perf_counter() - start
        _log.info("%s: %s candidates ranked in %.1f s", name, f"{found.n_candidates:,}", seconds)
        return found, seconds

    def _facts(self, found: ClassRanking, n_known: int, seconds: float) -> ClassFacts:
        return ClassFacts(
            k=self.rank.k,
            n_listed=min(self.rank.k, len(found.ranked)),
            n_candidates=found.n_candidates,
            n_known=n_known,
            n_scored=found.n_scored,
            seconds=round(seconds, 3),
            candidates_per_second=round(found.n_candidates / seconds),
        )

    def _rows(self, name: str, ranked: Ranked, around: Surroundings) -> pa.Table:
        columns = candidate_columns(self.space, name, ranked.candidates)
        columns |= around.columns(name, ranked.candidates, columns)
        elements = columns["elements"]
        columns |= {
            "composition_class": [name] * len(ranked),
            "rank": np.arange(1, len(ranked) + 1),
            "score": ranked.scores,
            "probability": probability(ranked.scores) if self.stages.scorer.is_probabilistic else [None] * len(ranked),
            "chemical_system": ["-".join(symbols) for symbols in elements],
            "radioactive": [not self.radioactive.isdisjoint(symbols) for symbols in elements],
            "candidate_id": ranked.ids,
        }
        schema = SCHEMAS["ranking"]
        return pa.table({column: columns[column] for column in schema.names}, schema=schema)


def _notes(rank: RankSettings, known: Path | None, classes: Sequence[str], facts: dict[str, ClassFacts]) -> list[str]:
    notes = [] if known else ["no --known list was given: known compounds are ranked too"]
    notes += [f"{name}: the filters leave no candidate" for name in classes if name not in facts]
    notes += [
        f"{name}: {item.n_listed:,} formulas are all there are, fewer than k = {item.k:,}"
        for name, item in facts.items()
        if item.n_listed < item.k
    ]
    if filters := filters_in_use(rank):
        notes.append(f"filters: {filters_in_words(filters)}")
    return notes
