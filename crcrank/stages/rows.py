"""Tables as text for other programs: CSV and JSON lines, lists joined by spaces in CSV."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa

from crcrank.artifacts.store import replacing
from crcrank.errors import ConfigError

TEXT_FORMATS = ("csv", "jsonl")
_BATCH = 1_000


def check_format(out: Path | None, format: str | None) -> str:  # noqa: A002  (the word that users write: --format)
    """Return the format to write ``out`` in: the one named, else that of its suffix, else Parquet.

    Raises
    ------
    ConfigError
        If there is no such format.
    """
    suffix = out.suffix.removeprefix(".").lower() if out else ""
    found = format or (suffix if suffix in TEXT_FORMATS else "parquet")
    if found not in (*TEXT_FORMATS, "parquet"):
        raise ConfigError(f"--format: wanted parquet, csv or jsonl, found {found!r}")
    return found


def write_rows(table: pa.Table, format: str, out: Path) -> None:  # noqa: A002
    """Write a table as text to a file, which appears complete or not at all."""
    with replacing(out) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        stream_rows(table, format, stream)


def stream_rows(table: pa.Table, format: str, stream: TextIO) -> None:  # noqa: A002
    """Write a table as text to an open stream."""
    writer = csv.writer(stream, lineterminator="\n")
    if format == "csv":
        writer.writerow(table.column_names)
    for batch in table.to_batches(max_chunksize=_BATCH):
        if format == "csv":
            writer.writerows(zip(*map(_csv_cells, batch.columns), strict=True))
        else:
            stream.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in batch.to_pylist())


def _csv_cells(column: pa.Array) -> list[Any]:
    cells: list[Any] = column.to_pylist()
    return [cell if cell is None else " ".join(map(str, cell)) for cell in cells] if pa.types.is_list(column.type) else cells
