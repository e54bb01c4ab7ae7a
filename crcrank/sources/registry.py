"""All formats, and the one way to read a user's file."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Protocol

from crcrank.errors import ConfigError, InputDataError
from crcrank.sources import jsonlines, parquet, plain, table
from crcrank.sources.opening import Source, open_source
from crcrank.sources.records import RawRecord, ReadOptions


class Reader(Protocol):
    """What a format's module offers."""

    def recognises(self, source: Source) -> bool:
        """Say whether the beginning of the source is of this format."""

    def read(self, source: Source, options: ReadOptions) -> Iterator[RawRecord]:
        """Yield the source's records."""


FORMATS: dict[str, Reader] = {
    "parquet": parquet,
    "jsonl": jsonlines,
    "table": table,
    "plain": plain,
}
"""Readers by name, in the order in which they are asked whether they recognise a file."""


def detect_format(path: Path | str) -> str:
    """Return the name of the first format that recognises a file by its content.

    Raises
    ------
    InputDataError
        If the file cannot be read, is empty, or is binary and not Parquet.
    """
    return _detected(open_source(path))


def read_source(
    path: Path | str,
    format: str | None = None,  # noqa: A002  (the word that users write: --format)
    formula_column: str | None = None,
    id_column: str | None = None,
    year_column: str | None = None,
) -> Iterator[RawRecord]:
    """Read a user's file.

    Parameters
    ----------
    path
        A file, gzipped or not, or ``-`` for stdin.
    format
        A name in ``FORMATS``; detected by content if left out.
    formula_column, id_column, year_column
        Columns of a table; found by their usual names if left out.

    Yields
    ------
    RawRecord
        In the order of the file, at least one.

    Raises
    ------
    ConfigError
        If there is no such format.
    InputDataError
        If the file cannot be used.
    """
    if format is not None and format not in FORMATS:
        near = get_close_matches(format, FORMATS, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ConfigError(f"unknown format {format!r}; known are {', '.join(FORMATS)}{hint}")
    source = open_source(path)
    options = ReadOptions(formula_column, id_column, year_column)
    reader = FORMATS[format or _detected(source, options)]
    return _at_least_one(source, reader.read(source, options))


def _detected(source: Source, options: ReadOptions | None = None) -> str:
    """Return the format's name; a list has no columns, so a user who names one has a table."""
    found = next(name for name, reader in FORMATS.items() if reader.recognises(source))
    has_columns = options is not None and options != ReadOptions()
    return "table" if found == "plain" and has_columns else found


def _at_least_one(source: Source, records: Iterator[RawRecord]) -> Iterator[RawRecord]:
    first = next(records, None)
    if first is None:
        raise InputDataError(f"{source.name}: holds no formulas, only comments or a header")
    yield first
    yield from records
