"""Parquet tables, crcrank's own artifacts included."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from crcrank.errors import InputDataError
from crcrank.sources.columns import choose_columns
from crcrank.sources.opening import Source
from crcrank.sources.records import About, RawRecord, ReadOptions

ABOUT = About(
    "Parquet, the known artifacts of crcrank included",
    formula="as in a table",
    source_id="as in a table",
    year="as in a table",
    rejects="as in a table",
)

_MAGIC = b"PAR1"
_ALL_IDS = "source_ids"
"""The column of a ``known`` artifact with the ids of all lines that were merged."""


def recognises(source: Source) -> bool:
    """Say whether the file begins as Parquet does."""
    return source.head.startswith(_MAGIC)


def read(source: Source, options: ReadOptions, advance: Callable[[int], None] | None = None) -> Iterator[RawRecord]:
    """Yield one record a row; the rows count as lines.

    Raises
    ------
    InputDataError
        If the file is damaged or a column is missing.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with source.open(advance) as file:
        try:
            table = pq.ParquetFile(file)
            columns = choose_columns(source.name, table.schema_arrow.names, options)
            more = _ALL_IDS if _holds_texts(table.schema_arrow, _ALL_IDS) else None
            wanted = [*columns.formula, columns.source_id, columns.year, columns.theoretical, more]
            number = 0
            for batch in table.iter_batches(columns=[name for name in wanted if name is not None]):
                for row in batch.to_pylist():
                    number += 1
                    yield columns.record(number, row)._replace(other_ids=tuple(row.get(more) or ()) if more else ())
        except (pa.ArrowException, OSError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise InputDataError(f"{source.name}: a damaged or truncated Parquet file ({reason})") from error


def _holds_texts(schema: Any, name: str) -> bool:
    """Say whether the table has a column of lists of texts with this name."""
    return name in schema.names and str(schema.field(name).type) in {"list<element: string>", "list<item: string>"}
