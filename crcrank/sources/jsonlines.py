"""JSON lines: one object a line, as document databases export them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from crcrank.errors import InputDataError
from crcrank.sources.columns import Columns, choose_columns, raw_record
from crcrank.sources.opening import Source
from crcrank.sources.records import RawRecord, ReadOptions


def recognises(source: Source) -> bool:
    """Say whether the first text in the file begins an object."""
    return next((line for line in source.lines() if line.strip()), "").lstrip().startswith("{")


def read(source: Source, options: ReadOptions) -> Iterator[RawRecord]:
    """Yield one record an object; the keys of the first object are the columns.

    Raises
    ------
    InputDataError
        If a line is not a JSON object or the first object has no formula.
    """
    columns: Columns | None = None
    for number, line in enumerate(source.lines(), start=1):
        if not line.strip():
            continue
        row = _object(source.name, number, line)
        columns = columns or choose_columns(source.name, list(row), options)
        names = (columns.formula, columns.source_id, columns.year)
        yield raw_record(number, *(None if name is None else row.get(name) for name in names))


def _object(source_name: str, number: int, line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputDataError(f"{source_name}: line {number}: wanted one JSON object a line, found damaged JSON ({error})") from error
    if not isinstance(row, dict):
        raise InputDataError(f"{source_name}: line {number}: wanted one JSON object a line, found a JSON {type(row).__name__}")
    return row
