"""Text tables with a header: CSV, TSV, and those with ``;`` or ``|`` between their cells.

In tab-separated tables quotes are ordinary characters, since databases export titles with stray ones; elsewhere a
quote that is not closed would swallow rows, and is an error.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Literal

from crcrank.errors import InputDataError
from crcrank.sources.columns import FORMULA_COLUMNS, ID_COLUMNS, YEAR_COLUMNS, Columns, choose_columns, formula_column
from crcrank.sources.opening import Source
from crcrank.sources.records import About, RawRecord, ReadOptions

ABOUT = About(
    "CSV, TSV or text between semicolons or bars, with a header",
    formula=f"first of {', '.join(FORMULA_COLUMNS)}, or --formula-column",
    source_id=f"first of {', '.join(ID_COLUMNS)}, or --id-column",
    year=f"first of {', '.join(YEAR_COLUMNS)}, or --year-column",
    rejects="rows whose column theoretical says true",
)

_DELIMITERS = ("\t", ",", ";", "|")
_N_LINES_LOOKED_AT = 20


def recognises(source: Source) -> bool:
    """Say whether there is a header with a formula column, or lines that all have the same number of cells."""
    lines = first_lines(source)
    return any(_looks_like_table(lines, delimiter) for delimiter in _DELIMITERS)


def read(source: Source, options: ReadOptions, advance: Callable[[int], None] | None = None) -> Iterator[RawRecord]:
    """Yield the rows below the header; a row that is too short gives an empty formula.

    Raises
    ------
    InputDataError
        If no delimiter gives a formula column, a named column is missing, or a quote is not closed.
    """
    return read_rows(source, options, advance, choose_columns)


def read_rows(
    source: Source,
    options: ReadOptions,
    advance: Callable[[int], None] | None,
    choose: Callable[[str, Sequence[str], ReadOptions], Columns],
) -> Iterator[RawRecord]:
    """Yield the records of a table whose columns ``choose`` chooses from the names in its header.

    Raises
    ------
    InputDataError
        If no delimiter gives a formula column, a named column is missing, or a quote is not closed.
    """
    lines = enumerate(source.lines(advance), start=1)
    header_line, header = next(((number, line) for number, line in lines if _is_content(line)), (0, ""))
    delimiter = _delimiter(header, options)
    names = line_cells(header, delimiter)
    columns = choose(source.name, names, options)
    place_by_name = {name: i for i, name in reversed(list(enumerate(names)))}  # of equal names the first counts
    places = {name: i for name in columns.names() if (i := place_by_name.get(name)) is not None}
    rows = csv.reader((line for _, line in lines), delimiter=delimiter, quoting=_quoting(delimiter), strict=True)
    try:
        for row in filter(None, rows):
            yield columns.record(header_line + rows.line_num, {name: row[i] for name, i in places.items() if i < len(row)})
    except csv.Error as error:
        raise InputDataError(f"{source.name}: line {header_line + rows.line_num}: damaged row ({error}); is a quote not closed?") from error


def first_lines(source: Source) -> list[str]:
    """Return the first lines that are neither blank nor comments, of those that the head holds."""
    return list(islice(filter(_is_content, source.head_lines), _N_LINES_LOOKED_AT))


def header_names(source: Source) -> list[str]:
    """Return the names in the header, split at the delimiter that gives most of them."""
    lines = first_lines(source)[:1]
    return max((line_cells(line, delimiter) for line in lines for delimiter in _DELIMITERS), key=len, default=[])


def _is_content(line: str) -> bool:
    text = line.strip()
    return bool(text) and not text.startswith("#")


def _looks_like_table(lines: Sequence[str], delimiter: str) -> bool:
    """Say whether the lines are rows; a comma within brackets, ``(Mg,Fe)2SiO4``, makes no cells."""
    if not lines:
        return False
    names = line_cells(lines[0], delimiter)
    if formula_column(names, ReadOptions()) is not None:
        return True
    splits_brackets = any(name.count("(") != name.count(")") for name in names)
    n_cells = {len(line_cells(line, delimiter)) for line in lines}
    return len(lines) > 1 and n_cells == {len(names)} != {1} and not splits_brackets


def _delimiter(header: str, options: ReadOptions) -> str:
    """Return the delimiter that gives a formula column, or else the one that gives most cells."""

    def fitness(delimiter: str) -> tuple[bool, int]:
        names = line_cells(header, delimiter)
        return formula_column(names, options) is not None, len(names)

    return max(_DELIMITERS, key=fitness)


def line_cells(line: str, delimiter: str) -> list[str]:
    """Return the cells of a line that is looked at by itself; none where a cell is longer than any table's."""
    try:
        cells: Iterable[str] = next(csv.reader([line], delimiter=delimiter, quoting=_quoting(delimiter)), [])
    except csv.Error:
        return []
    return [cell.strip().strip('"') for cell in cells]


def _quoting(delimiter: str) -> Literal[0, 3]:
    return csv.QUOTE_NONE if delimiter == "\t" else csv.QUOTE_MINIMAL
