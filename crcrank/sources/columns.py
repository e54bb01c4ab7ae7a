"""Which columns of a table hold the formula, the id and the year, and how their cells are read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from crcrank.errors import InputDataError
from crcrank.sources.records import RawRecord, ReadOptions

FORMULA_COLUMNS = (
    "formula",
    "StructuredFormula",
    "SumFormula",
    "formula_pretty",
    "pretty_formula",
    "chemical_formula_reduced",
    "composition",
    "name",
    "compound",
    "calcformula",
    "chemical_formula_sum",
)
ID_COLUMNS = ("source_id", "material_id", "entry_id", "file", "CollectionCode", "icsd_id", "auid", "id")
YEAR_COLUMNS = ("year", "PublicationYear", "publication_year", "_journal_year", "journal_year")

_MAX_NAMES_SHOWN = 20
_YEAR = re.compile(r"\s*(1[5-9]\d\d|20\d\d)(?!\d)")


@dataclass(frozen=True, slots=True)
class Columns:
    """The names of the columns to read."""

    formula: str
    source_id: str | None
    year: str | None


def formula_column(names: Sequence[str], options: ReadOptions) -> str | None:
    """Return the formula column among ``names``, as they are written there, or None."""
    return _first_of(FORMULA_COLUMNS if options.formula_column is None else (options.formula_column,), names)


def choose_columns(source_name: str, names: Sequence[str], options: ReadOptions) -> Columns:
    """Return the columns to read, those that the user named or else the first with a usual name.

    Raises
    ------
    InputDataError
        If there is no formula column, or a column that the user named is missing.
    """
    formula = formula_column(names, options)
    if formula is None:
        raise InputDataError(_missing(source_name, "formula", options.formula_column, FORMULA_COLUMNS, names))
    return Columns(
        formula,
        _optional(source_name, "id", options.id_column, ID_COLUMNS, names),
        _optional(source_name, "year", options.year_column, YEAR_COLUMNS, names),
    )


def raw_record(line: int, formula: object, source_id: object, year: object) -> RawRecord:
    """Return the record of a row's cells, None where a cell is missing."""
    return RawRecord(line, _cell_text(formula), _cell_text(source_id) or None, _cell_year(year))


def _cell_text(cell: object) -> str:
    """Return a cell without spaces and without the quotes that a tab-separated table may keep."""
    return "" if cell is None else str(cell).strip().strip('"')


def _cell_year(cell: object) -> int | None:
    """Return the year that a cell begins with (2012, ``2012.0``, ``2012-05-01``)."""
    match = None if cell is None else _YEAR.match(_cell_text(cell))
    return int(match[1]) if match else None


def _first_of(wanted: Sequence[str], names: Sequence[str]) -> str | None:
    """Return the first name that is wanted, in the order of wanting; letter case matters only if it decides."""
    name_by_folded = {name.casefold(): name for name in reversed(names)}
    for want in wanted:
        found = want if want in names else name_by_folded.get(want.casefold())
        if found is not None:
            return found
    return None


def _optional(source_name: str, role: str, chosen: str | None, usual: Sequence[str], names: Sequence[str]) -> str | None:
    found = _first_of(usual if chosen is None else (chosen,), names)
    if found is None and chosen is not None:
        raise InputDataError(_missing(source_name, role, chosen, usual, names))
    return found


def _missing(source_name: str, role: str, chosen: str | None, usual: Sequence[str], names: Sequence[str]) -> str:
    wanted = f"wanted {chosen!r}" if chosen is not None else f"wanted one of {', '.join(usual)}"
    shown = ", ".join(repr(name) for name in names[:_MAX_NAMES_SHOWN]) + (", ..." if len(names) > _MAX_NAMES_SHOWN else "")
    near = next(
        (close[0] for want in ((chosen,) if chosen is not None else usual) if (close := get_close_matches(want, names, 1, 0.75))), None
    )
    hint = f"did you mean {near!r}?" if near is not None else "the first row must name the columns"
    return f"{source_name}: no {role} column; {wanted}; found {shown}; {hint} (--{role}-column names it)"
