"""Parquet tables, crcrank's own artifacts included."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from typing import Any

from crcrank.errors import InputDataError
from crcrank.sources.columns import choose_columns, raw_record
from crcrank.sources.opening import Source
from crcrank.sources.records import RawRecord, ReadOptions

_MAGIC = b"PAR1"
_ALL_IDS = "source_ids"
"""The column of a ``known`` artifact with the ids of all lines that were merged."""


def recognises(source: Source) -> bool:
    """Say whether the file begins as Parquet does."""
    return source.head().startswith(_MAGIC)


def read(source: Source, options: ReadOptions) -> Iterator[RawRecord]:
    """Yield one record a row; the rows count as lines.

    Raises
    ------
    InputDataError
        If the file is damaged or a column is missing.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with source.open() as file:
        try:
            table = pq.ParquetFile(file)
            columns = choose_columns(source.name, table.schema_arrow.names, options)
            more = _ALL_IDS if _holds_texts(table.schema_arrow, _ALL_IDS) else None
            wanted = [columns.formula, columns.source_id, columns.year, more]
            batches = table.iter_batches(columns=[name for name in wanted if name is not None])
            for number, (*row, ids) in enumerate(_rows(batches, wanted), start=1):
                yield raw_record(number, *row)._replace(other_ids=tuple(ids) if ids else ())
        except (pa.ArrowException, OSError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise InputDataError(f"{source.name}: a damaged or truncated Parquet file ({reason})") from error


def _holds_texts(schema: Any, name: str) -> bool:
    """Say whether the table has a column of lists of texts with this name."""
    return name in schema.names and str(schema.field(name).type) in {"list<element: string>", "list<item: string>"}


def _rows(batches: Iterable[Any], names: Sequence[str | None]) -> Iterator[tuple[Any, ...]]:
    """Yield the cells of the named columns, None for a column that is not named."""
    for batch in batches:
        yield from zip(*(repeat(None, batch.num_rows) if name is None else batch.column(name).to_pylist() for name in names), strict=True)
