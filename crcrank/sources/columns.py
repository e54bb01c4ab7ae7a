"""Which columns of a table hold the formula, the id and the year, and how their cells are read."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
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
    "chemical_formula",
    "reduced_formula",
    "empirical_formula",
    "full_formula",
    "struct_form",
)
ID_COLUMNS = ("source_id", "material_id", "entry_id", "file", "CollectionCode", "coll_code", "icsd_id", "auid", "mpid", "id")
YEAR_COLUMNS = ("year", "PublicationYear", "publication_year", "journal_year", "publ_year", "pub_year")

THEORETICAL_COLUMNS = ("theoretical", "is_theoretical")

_TRUE, _FALSE = {"true", "1", "yes", "t"}, {"false", "0", "no", "f"}
_MAX_NAMES_SHOWN, _MAX_NAME_SHOWN = 20, 40
_YEAR = re.compile(r"\s*(1[5-9]\d\d|20\d\d)(?!\d)")


@dataclass(frozen=True, slots=True)
class Columns:
    """The names of the columns to read.

    Parameters
    ----------
    formula
        The first that has a cell counts.
    source_id, year, theoretical
        None where the table has no such column.
    """

    formula: tuple[str, ...]
    source_id: str | None
    year: str | None
    theoretical: str | None

    def names(self) -> list[str]:
        """Return the names of all columns that ``record`` looks at."""
        return [name for name in (*self.formula, self.source_id, self.year, self.theoretical) if name is not None]

    def record(self, line: int, row: Mapping[str, object]) -> RawRecord:
        """Return the record of a row, empty where cells are missing."""
        text = next((text for name in self.formula if (text := cell_text(row.get(name)))), "")
        source_id = cell_text(row.get(self.source_id)) if self.source_id else ""
        year = year_of(row.get(self.year)) if self.year else None
        return RawRecord(line, text, source_id or None, year, truth_of(row.get(self.theoretical)) if self.theoretical else None)


def formula_column(names: Sequence[str], options: ReadOptions) -> str | None:
    """Return the formula column among ``names``, as they are written there, or None."""
    return _first_of(FORMULA_COLUMNS if options.formula_column is None else (options.formula_column,), names)


def choose_columns(source_name: str, names: Sequence[str], options: ReadOptions) -> Columns:
    """Return the columns to read, those that the user named or else the first with a usual name.

    Raises
    ------
    InputDataError
        If there is no formula column, a column that the user named is missing, or the table is a list of candidates.
    """
    if "candidate_id" in names and "n_assignments" not in names:
        raise InputDataError(f"{source_name}: candidates of crcrank, not real compositions")
    formula = formula_column(names, options)
    if formula is None:
        raise InputDataError(_missing(source_name, "formula", options.formula_column, FORMULA_COLUMNS, names))
    return Columns(
        (formula,),
        _optional(source_name, "id", options.id_column, ID_COLUMNS, names),
        _optional(source_name, "year", options.year_column, YEAR_COLUMNS, names),
        _first_of(THEORETICAL_COLUMNS, names),
    )


def present(wanted: Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
    """Return those of the wanted names that a table has, as they are written there."""
    return tuple(name for want in wanted if (name := _first_of((want,), names)) is not None)


def cell_text(cell: object) -> str:
    """Return a cell without spaces and without the quotes that a tab-separated table may keep; amounts by element as a formula."""
    if isinstance(cell, Mapping):
        return " ".join(f"{element}{amount}" for element, amount in cell.items())
    return "" if cell is None else str(cell).strip().strip('"')


def year_of(cell: object) -> int | None:
    """Return the year that a cell begins with (2012, ``2012.0``, ``2012-05-01``)."""
    match = None if cell is None else _YEAR.match(cell_text(cell))
    return int(match[1]) if match else None


def truth_of(cell: object) -> bool | None:
    """Return what a cell says, None if it says nothing."""
    text = cell_text(cell).casefold()
    return True if text in _TRUE else False if text in _FALSE else None


def _first_of(wanted: Sequence[str], names: Sequence[str]) -> str | None:
    """Return the first name that is wanted, in the order of wanting; case, spaces and punctuation matter only if they decide."""
    name_by_bare = {_bare(name): name for name in reversed(names)}
    for want in wanted:
        found = want if want in names else name_by_bare.get(_bare(want))
        if found is not None:
            return found
    return None


def _bare(name: str) -> str:
    """Return ``chemicalformula`` of ``Chemical Formula`` and ``chemical_formula``; a name of punctuation stays as it is."""
    return "".join(filter(str.isalnum, name.casefold())) or name


def _optional(source_name: str, role: str, chosen: str | None, usual: Sequence[str], names: Sequence[str]) -> str | None:
    found = _first_of(usual if chosen is None else (chosen,), names)
    if found is None and chosen is not None:
        raise InputDataError(_missing(source_name, role, chosen, usual, names))
    return found


def _missing(source_name: str, role: str, chosen: str | None, usual: Sequence[str], names: Sequence[str]) -> str:
    wanted = f"wanted {chosen!r}" if chosen is not None else f"wanted one of {', '.join(usual)}"
    shown = ", ".join(repr(name[:_MAX_NAME_SHOWN]) for name in names[:_MAX_NAMES_SHOWN]) + (
        ", ..." if len(names) > _MAX_NAMES_SHOWN else ""
    )
    near = next(
        (close[0] for want in ((chosen,) if chosen is not None else usual) if (close := get_close_matches(want, names, 1, 0.75))), None
    )
    hint = f"did you mean {near!r}?" if near is not None else "the first row must name the columns"
    return f"{source_name}: no {role} column; {wanted}; found {shown}; {hint} (--{role}-column names it)"
