"""Read users' files into the known (or holdout) compositions, with an account of every line that was not used."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from crcrank.artifacts.store import Provenance, hold_output, sibling, write_artifact
from crcrank.chem.formula import Composition
from crcrank.chem.rules import RuleRow, Verdict, judge, rule_table
from crcrank.config import RuleSettings, is_live, load_config
from crcrank.errors import ConfigError, InputDataError, OutputError
from crcrank.progress import ProgressSink, SilentProgress
from crcrank.sources.containers import UNUSABLE_FILE
from crcrank.sources.opening import STDIN
from crcrank.sources.records import RawRecord, ReadOptions
from crcrank.sources.registry import Reading, read_source
from crcrank.stages.common import replacing_all

_log = logging.getLogger(__name__)
_PROGRESS_STEP = 5_000
_N_REASONS_SHOWN = 3
_MAX_REJECTED_TEXT = 1_000


@dataclass(frozen=True)
class IngestSummary:
    """What became of the lines: ``n_in == n_kept + n_rejected + n_duplicate``.

    Parameters
    ----------
    n_in
        Lines (or rows) that hold a formula or should.
    n_kept
        Compositions written, each once.
    n_rejected
        Lines that could not be used.
    n_duplicate
        Lines whose composition an earlier line gave.
    reasons
        Rejected lines by reason, most common first.
    rules
        What each rule did.
    out, rejected
        The two artifacts written.
    """

    n_in: int
    n_kept: int
    n_rejected: int
    n_duplicate: int
    reasons: dict[str, int]
    rules: list[RuleRow] = field(repr=False)
    out: Path
    rejected: Path


@dataclass(slots=True)
class _Known:
    composition: Composition
    source: str
    source_id: str | None
    source_ids: dict[str, None]
    year: int | None
    flags: tuple[str, ...]

    def merge(self, record: RawRecord, flags: tuple[str, ...]) -> bool:
        """Take in another line of the composition; return whether it moves the year back."""
        self.source_ids |= _ids(record)
        self.flags = tuple(flag for flag in self.flags if flag in flags)
        before = self.year
        self.year = min((year for year in (before, record.year) if year is not None), default=None)
        return before is not None and self.year != before


def _ids(record: RawRecord) -> dict[str, None]:
    """Return all ids of a line, each once, in order."""
    own = () if record.source_id is None else (record.source_id,)
    return dict.fromkeys((*own, *record.other_ids))


@dataclass(slots=True)
class _Account:
    """What was read so far."""

    rules: RuleSettings
    n_in: int = 0
    n_duplicate: int = 0
    n_earlier: int = 0
    n_lines_by_flag: Counter[str] = field(default_factory=Counter)
    n_unusable_files: int = 0
    known_by_formula: dict[str, _Known] = field(default_factory=dict)
    rejected: list[tuple[str, int, str, str]] = field(default_factory=list)

    def add(self, source: str, record: RawRecord) -> None:
        """Book a line as known, duplicate or rejected."""
        self.n_in += 1
        self.n_unusable_files += record.problem == UNUSABLE_FILE
        source = record.source or source
        composition, reason, flags = self._verdict(record)
        self.n_lines_by_flag.update(flags)
        if composition is None:
            self.rejected.append((source, record.line, record.text[:_MAX_REJECTED_TEXT], str(reason)))
            return
        formula = composition.formula
        known = self.known_by_formula.get(formula)
        if known is None:
            self.known_by_formula[formula] = _Known(composition, source, record.source_id, _ids(record), record.year, flags)
        else:
            self.n_duplicate += 1
            self.n_earlier += known.merge(record, flags)

    def _verdict(self, record: RawRecord) -> Verdict:
        if record.problem is not None:
            return Verdict(None, record.problem, ())
        return judge(record.text, self.rules, is_theoretical=bool(record.is_theoretical), is_disordered=bool(record.is_disordered))

    def reasons(self) -> dict[str, int]:
        """Return the rejected lines by reason, most common first, equally common ones by name."""
        counts = Counter(reason for *_, reason in self.rejected)
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

    def rule_rows(self) -> list[RuleRow]:
        """Return what each rule did."""
        return [
            *rule_table(self.rules, self.n_lines_by_flag),
            RuleRow("duplicates", "always", self.n_duplicate, "merged by formula, all ids kept"),
            RuleRow("earliest year", "always", self.n_earlier, "moved the year of a formula back"),
        ]


def run_ingest(
    sources: Sequence[Path | str],
    out: Path,
    *,
    format: str | None = None,  # noqa: A002  (the word that users write: --format)
    formula_column: str | None = None,
    id_column: str | None = None,
    year_column: str | None = None,
    rules: RuleSettings | None = None,
    anion: str | None = None,
    filter: str | None = None,  # noqa: A002  (the word that users write: --filter)
    refresh: bool = False,
    n_threads: int = 1,
    overwrite: bool = False,
    progress: ProgressSink | None = None,
) -> IngestSummary:
    """Read files of formulas and write the compositions as a ``known`` artifact, beside it the rejected lines.

    A holdout is ingested in the same way; its artifact is of the kind ``known`` too, for only its use differs.
    Lines of one composition are merged: the first line gives source and source_id, all give their source_ids, the year is the
    earliest, and flags are those that all lines have.
    Rows are sorted by formula. Both artifacts are written, or neither.

    Parameters
    ----------
    sources
        Files, folders or archives, or ``-`` for stdin; earlier ones win where compositions repeat.
    out
        The ``known`` artifact; the rejected lines go to ``sibling(out, "rejected")``.
    format, formula_column, id_column, year_column, anion, filter, refresh
        As in ``Reading`` and ``ReadOptions``; they hold for all sources.
    rules
        What is taken, flagged or left out; as in the packaged default if left out.
    n_threads
        Files of a folder or archive read at a time.
    overwrite
        Replace artifacts that exist.
    progress
        Told of bytes read and compositions found.

    Raises
    ------
    ConfigError
        If there is no such format, or a filter but nothing to filter.
    InputDataError
        If a file cannot be used, or none of the lines can.
    OutputError
        If ``out`` exists and ``overwrite`` is false, or it cannot be written.
    OutputHeldError
        If another run writes ``out``.
    """
    rules = rules or load_config().ingest.rules
    columns = {"formula_column": formula_column, "id_column": id_column, "year_column": year_column, "anion": anion}
    config = {"format": format, **columns, "rules": rules.model_dump(), **({"filter": filter} if filter else {})}
    reading = Reading(format, ReadOptions(**columns, filter=filter), n_threads, refresh)
    _check_filter(sources, filter)
    rejected_path = sibling(out, "rejected")
    _check_not_folders(out, rejected_path)
    with hold_output(out, overwrite=overwrite):
        account = _Account(rules)
        for source in sources:
            _ingest_source(source, account, reading, progress or SilentProgress())
        summary = _summary(account, out, rejected_path)
        _check_usable(sources, summary)
        _write(account, summary, _provenance(sources, config, summary))
    return summary


def _check_filter(sources: Sequence[Path | str], wanted: str | None) -> None:
    if wanted is not None and not any(map(is_live, sources)):
        raise ConfigError(f"--filter: only a live source has one, such as optimade:URL; found {', '.join(map(str, sources))}")


def _check_not_folders(*paths: Path) -> None:
    for path in paths:
        if path.is_dir():
            raise OutputError(f"{path}: wanted a file to write, found a folder")


def _shown(source: Path | str) -> str:
    return "stdin" if str(source) == STDIN else str(source)


def _ingest_source(source: Path | str, account: _Account, reading: Reading, progress: ProgressSink) -> None:
    name = _shown(source)
    n_before, n_files_before = account.n_in, account.n_unusable_files
    for record in read_source(source, reading, progress):
        account.add(name, record)
        if account.n_in % _PROGRESS_STEP == 0:
            progress.advance(0, f"{len(account.known_by_formula):,} compositions")
    progress.advance(0, f"{len(account.known_by_formula):,} compositions")
    n_files = account.n_unusable_files - n_files_before
    n_read = account.n_in - n_before - n_files
    _log.info("%s: %d %s read", name, n_read, "formula" if n_read == 1 else "formulas")
    if n_files:
        _log.warning("%s: files that cannot be used: %d; the rejected lines say why", name, n_files)


def _summary(account: _Account, out: Path, rejected_path: Path) -> IngestSummary:
    n_kept, n_rejected = len(account.known_by_formula), len(account.rejected)
    assert account.n_in == n_kept + n_rejected + account.n_duplicate, "every line is kept, rejected or a duplicate"  # noqa: S101
    rows = account.rule_rows()
    return IngestSummary(account.n_in, n_kept, n_rejected, account.n_duplicate, account.reasons(), rows, out, rejected_path)


def _check_usable(sources: Sequence[Path | str], summary: IngestSummary) -> None:
    if summary.n_kept:
        return
    commonest = "; ".join(f"{reason}: {count}" for reason, count in islice(summary.reasons.items(), _N_REASONS_SHOWN))
    names = ", ".join(map(_shown, sources))
    lines = "its one line is no" if summary.n_in == 1 else f"none of {summary.n_in:,} lines is a"
    raise InputDataError(f"{names}: {lines} usable composition ({commonest}); is it the right column or format?")


def _provenance(sources: Sequence[Path | str], config: Mapping[str, Any], summary: IngestSummary) -> Provenance:
    counts = {name: getattr(summary, name) for name in ("n_in", "n_kept", "n_rejected", "n_duplicate", "reasons")}
    counts["rules"] = {row.rule: row.n_lines for row in summary.rules}
    paths = [Path(source) for source in sources if str(source) != STDIN and (Path(source).is_file() or Path(source).is_dir())]
    return Provenance(config={"sources": list(map(str, sources)), **config, **live_sources(sources)}, inputs=paths, extra=counts)


def live_sources(sources: Sequence[Path | str]) -> dict[str, list[str]]:
    """Return what the provenance says of sources over the network: their names, if there are any."""
    names = [str(source) for source in sources if is_live(source)]
    return {"live": names} if names else {}


def _write(account: _Account, summary: IngestSummary, provenance: Provenance) -> None:
    """Write both artifacts in full before either gets its name."""
    with replacing_all(summary.out, summary.rejected) as (known_path, rejected_path):
        write_artifact(known_path, "known", _known_columns(account.known_by_formula), provenance)
        write_artifact(rejected_path, "rejected", _rejected_columns(account.rejected), provenance)


def _known_columns(known_by_formula: Mapping[str, _Known]) -> dict[str, list[Any]]:
    formulas = sorted(known_by_formula)
    rows = [known_by_formula[formula] for formula in formulas]
    compositions = [row.composition for row in rows]
    return {
        "formula": formulas,
        "pretty_formula": [composition.pretty_formula for composition in compositions],
        "elements": [composition.elements for composition in compositions],
        "amounts": [composition.amounts for composition in compositions],
        "n_elements": [len(composition.elements) for composition in compositions],
        "source": _encodable(row.source for row in rows),
        "source_id": _encodable(row.source_id for row in rows),
        "source_ids": [_encodable(row.source_ids) for row in rows],
        "year": [row.year for row in rows],
        "flags": [row.flags for row in rows],
    }


def _rejected_columns(rejected: Sequence[tuple[str, int, str, str]]) -> dict[str, list[Any]]:
    return {
        "source": _encodable(source for source, *_ in rejected),
        "line": [line for _, line, *_ in rejected],
        "text": _encodable(text for _, _, text, _ in rejected),
        "reason": [reason for *_, reason in rejected],
    }


def _encodable(texts: Iterable[str | None]) -> list[str | None]:
    """Replace what UTF-8 cannot hold: lone surrogates from JSON escapes and from odd file names."""
    return [None if text is None else text.encode("utf-8", "replace").decode() for text in texts]
