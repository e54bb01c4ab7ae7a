"""JSON: objects, one a line or in an array, as document databases export them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from crcrank.sources.columns import Columns, choose_columns
from crcrank.sources.documents import first_document, read_documents
from crcrank.sources.opening import Source
from crcrank.sources.records import About, RawRecord, ReadOptions

ABOUT = About(
    "JSON objects, one a line or in an array; an array of formulas",
    formula="as in a table",
    source_id="as in a table",
    year="as in a table",
    rejects="damaged lines",
)


def recognises(source: Source) -> bool:
    """Say whether the file begins with an object."""
    return bool(first_document(source))


def read(source: Source, options: ReadOptions, advance: Callable[[int], None] | None = None) -> Iterator[RawRecord]:
    """Yield one record an object; the keys of the first object are the columns.

    Raises
    ------
    InputDataError
        If an array is damaged or the first object has no formula.
    """
    columns: Columns | None = None

    def record(line: int, row: dict[str, Any]) -> RawRecord:
        nonlocal columns
        columns = columns or choose_columns(source.name, list(row), options)
        return columns.record(line, row)

    return read_documents(source, advance, record)
