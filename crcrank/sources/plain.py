"""Plain lists: one formula a line; ``#`` begins a comment, blank lines are skipped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

from crcrank.chem.formula import FormulaError, parse_formula
from crcrank.sources.opening import Source
from crcrank.sources.records import About, RawRecord, ReadOptions

ABOUT = About(
    "text, one formula a line; # begins a comment",
    formula="the line",
    source_id="none",
    year="none",
    rejects="nothing but unreadable formulas",
)

_N_LINES_LOOKED_AT = 20


def recognises(source: Source) -> bool:  # noqa: ARG001  (the contract of a format)
    """Say yes to any text: whatever no other format takes is a list of formulas."""
    return True


def is_mostly_formulas(source: Source) -> bool:
    """Say whether at least half of the first lines are formulas; beside other files, a text may be anything."""
    records = list(islice(read(source, ReadOptions()), _N_LINES_LOOKED_AT))
    return bool(records) and sum(_is_formula(record.text) for record in records) * 2 >= len(records)


def read(source: Source, options: ReadOptions, advance: Callable[[int], None] | None = None) -> Iterator[RawRecord]:  # noqa: ARG001
    """Yield the lines that are not blank or comments."""
    for number, line in enumerate(source.lines(advance), start=1):
        text = line.partition("#")[0].strip()
        if text:
            yield RawRecord(number, text)


def _is_formula(text: str) -> bool:
    try:
        parse_formula(text)
    except FormulaError:
        return False
    return True
