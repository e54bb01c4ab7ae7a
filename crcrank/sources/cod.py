"""The table ``data`` of the Crystallography Open Database as CSV or JSON, and its older dump between semicolons."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crcrank.sources.blocks import RETRACTED
from crcrank.sources.columns import Columns, cell_text, choose_columns, present, year_of
from crcrank.sources.documents import begins_as_json, first_document, read_documents
from crcrank.sources.opening import Source
from crcrank.sources.records import About, RawRecord, ReadOptions
from crcrank.sources.table import first_lines, header_names, line_cells, read_rows

ABOUT = About(
    "COD's table data as CSV or JSON; the older dump between semicolons",
    formula="formula, else calcformula; the cell like C 5.00 H 17.00",
    source_id="file; the cell of seven digits",
    year="year",
    rejects="method theoretical; status retracted",
)

_FORMULAS = ("formula", "calcformula")
_FACTS = ("method", "status")
_NAMES = {"file", "formula", "nel"}
_OLD_ID = re.compile(r"[1-9]\d{6}")
_OLD_FORMULA = re.compile(r"(?:[A-Z][a-z]? +\d+\.\d+ *)+")


@dataclass(frozen=True, slots=True)
class _CodColumns(Columns):
    """COD's columns, with what they tell of an entry."""

    def names(self) -> list[str]:
        """Return the names of all columns that ``record`` looks at."""
        return [*Columns.names(self), *_FACTS]

    def record(self, line: int, row: Mapping[str, object]) -> RawRecord:
        method = cell_text(row.get("method"))
        is_retracted = cell_text(row.get("status")).casefold() == "retracted"
        found = Columns.record(self, line, row)
        return found._replace(is_theoretical=method == "theoretical" if method else None, problem=RETRACTED if is_retracted else None)


def recognises(source: Source) -> bool:
    """Say whether the names of COD's columns are there, or an id and a formula as in the older dump."""
    if begins_as_json(source):
        return first_document(source).keys() >= _NAMES
    return set(header_names(source)) >= _NAMES or _is_old_dump(source)


def read(source: Source, options: ReadOptions, advance: Callable[[int], None] | None = None) -> Iterator[RawRecord]:
    """Yield one record a row or object.

    Raises
    ------
    InputDataError
        If a column is missing or the file is damaged.
    """
    if begins_as_json(source):
        yield from _read_json(source, options, advance)
    elif _is_old_dump(source):
        yield from _read_old_dump(source, advance)
    else:
        yield from read_rows(source, options, advance, _choose)


def _choose(source_name: str, names: Sequence[str], options: ReadOptions) -> Columns:
    found = choose_columns(source_name, names, options)
    formula = found.formula if options.formula_column else present(_FORMULAS, names) or found.formula
    return _CodColumns(formula, found.source_id, found.year, None)


def _read_json(source: Source, options: ReadOptions, advance: Callable[[int], None] | None) -> Iterator[RawRecord]:
    columns: Columns | None = None

    def record(line: int, row: dict[str, Any]) -> RawRecord:
        nonlocal columns
        columns = columns or _choose(source.name, list(row), options)
        return columns.record(line, row)

    return read_documents(source, advance, record)


def _is_old_dump(source: Source) -> bool:
    rows = [_cells(line) for line in first_lines(source)]
    return any(_old_formula(row) and any(map(_OLD_ID.fullmatch, row)) for row in rows[:2])


def _read_old_dump(source: Source, advance: Callable[[int], None] | None) -> Iterator[RawRecord]:
    for number, line in enumerate(source.lines(advance), start=1):
        row = _cells(line)
        source_id = next(filter(_OLD_ID.fullmatch, row), None)
        if source_id is not None:
            yield RawRecord(number, _old_formula(row), source_id, next(filter(None, map(_whole_year, row)), None))


def _cells(line: str) -> list[str]:
    return line_cells(line, ";") if ";" in line else []


def _old_formula(row: Sequence[str]) -> str:
    return next(filter(_OLD_FORMULA.fullmatch, row), "")


def _whole_year(cell: str) -> int | None:
    return year_of(cell) if len(cell) == 4 and cell.isdigit() else None
