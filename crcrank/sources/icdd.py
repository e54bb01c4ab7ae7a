"""ICDD's Powder Diffraction File: cards (``Name: ...``, ``Formula: ...``) and tables, with numbers like 00-046-1212."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from crcrank.sources.columns import Columns, cell_text, choose_columns, present
from crcrank.sources.opening import Source
from crcrank.sources.records import About, RawRecord, ReadOptions
from crcrank.sources.table import header_names, read_rows

ABOUT = About(
    "cards and tables of ICDD's PDF",
    formula="the line Formula: ...; column Chemical Formula, else Empirical Formula, or --formula-column",
    source_id="the number, 00-046-1212",
    year="--year-column",
    rejects="cards of hypothetical or deleted entries",
)

_NUMBER = re.compile(r"(?<![\d-])\d{2}-\d{3}-\d{4}(?![\d-])")
_FIELD = re.compile(r"\s*(?P<name>[A-Za-z][A-Za-z .#]{0,40}?)\s*[:=]\s*(?P<value>.*)")
_FORMULA_FIELDS = ("formula", "chemical formula", "empirical formula")
_FORMULA_COLUMNS = ("Chemical Formula", "Formula", "Empirical Formula")
_ID_COLUMNS = ("PDF #", "PDF#", "PDF Number", "PDF No.", "PDF-No.", "PDF Card", "PDF")
_MARKS = ("quality", "quality mark", "qm", "status")
_HYPOTHETICAL = "hypothetical"
_DELETED = "deleted entry"


@dataclass(frozen=True, slots=True)
class _IcddColumns(Columns):
    """ICDD's columns, with what its marks tell of an entry."""

    marks: tuple[str, ...] = ()

    def names(self) -> list[str]:
        """Return the names of all columns that ``record`` looks at."""
        return [*Columns.names(self), *self.marks]

    def record(self, line: int, row: Mapping[str, object]) -> RawRecord:
        return _marked(Columns.record(self, line, row), {name.casefold(): cell_text(cell) for name, cell in row.items()})


def recognises(source: Source) -> bool:
    """Say whether there is a card with a number and a formula, or a table with a column of numbers."""
    if b"\0" in source.head:
        return False
    text = source.head.decode("latin-1")
    return _NUMBER.search(text) is not None and (_has_card(text.splitlines()) or _is_table(source))


def read(source: Source, options: ReadOptions, advance: Callable[[int], None] | None = None) -> Iterator[RawRecord]:
    """Yield one record a card or row.

    Raises
    ------
    InputDataError
        If a column of a table is missing.
    """
    if options.has_columns or _is_table(source):
        return read_rows(source, options, advance, _choose)
    return _read_cards(source.lines(advance))


def _is_table(source: Source) -> bool:
    names = header_names(source)
    return len(names) > 1 and bool(present(_ID_COLUMNS, names)) and bool(present(_FORMULA_COLUMNS, names))


def _choose(source_name: str, names: Sequence[str], options: ReadOptions) -> Columns:
    formula = options.formula_column or next(iter(present(_FORMULA_COLUMNS, names)), None)
    number = options.id_column or next(iter(present(_ID_COLUMNS, names)), None)
    found = choose_columns(source_name, names, ReadOptions(formula, number, options.year_column))
    return _IcddColumns(found.formula, found.source_id, found.year, None, present(_MARKS, names))


def _marked(record: RawRecord, fields: Mapping[str, str]) -> RawRecord:
    """Return the record with what the fields of a card or row say about it."""
    marks = " ".join(fields.get(name, "") for name in _MARKS).casefold()
    is_theoretical = True if _HYPOTHETICAL in marks else None
    return record._replace(is_theoretical=is_theoretical, problem=_DELETED if "deleted" in marks else None)


def _has_card(lines: Iterable[str]) -> bool:
    fields = {match["name"].casefold() for line in lines if (match := _FIELD.fullmatch(line))}
    return not fields.isdisjoint(_FORMULA_FIELDS)


def _read_cards(lines: Iterable[str]) -> Iterator[RawRecord]:
    """Yield a card when its number, or the first field that it has already, comes again."""
    card = _Card(0)
    for line_number, line in enumerate(lines, start=1):
        match = _FIELD.fullmatch(line.rstrip("\r\n"))
        name, value = (match["name"].casefold(), match["value"].strip()) if match else ("", "")
        number = _NUMBER.search(line) if not name or name.startswith("pdf") else None
        if (number and card.number not in (None, number[0])) or name in card.fields:
            yield from card.records()
            card = _Card(line_number)
        card.add(line_number, name, value, number[0] if number else None)
    yield from card.records()


class _Card:
    """What was read of a card so far."""

    def __init__(self, line: int) -> None:
        self.line = line
        self.number: str | None = None
        self.fields: dict[str, str] = {}

    def add(self, line: int, name: str, value: str, number: str | None) -> None:
        self.number = self.number or number
        if name:
            self.fields[name] = value
        if name in _FORMULA_FIELDS:
            self.line = line

    def records(self) -> Iterator[RawRecord]:
        text = next((text for name in _FORMULA_FIELDS if (text := self.fields.get(name, ""))), "")
        if text or self.number:
            yield _marked(RawRecord(self.line, text, self.number), self.fields)
