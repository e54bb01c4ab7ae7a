"""Answers of AFLOW: ``{"compound": "Be2O2", "aurl": "aflowlib.duke.edu:AFLOWDATA/ICSD_WEB/HEX/Be1O1_ICSD_15620"}``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from crcrank.sources.columns import year_of
from crcrank.sources.documents import first_document, read_documents, value_of
from crcrank.sources.opening import Source
from crcrank.sources.records import About, RawRecord, ReadOptions

ABOUT = About(
    "JSON of AFLOW",
    formula="compound",
    source_id="auid, else aurl",
    year="none",
    rejects="entries whose aurl is not in /ICSD_WEB/ (calculated only)",
)

_OBSERVED = "/ICSD_WEB/"


def recognises(source: Source) -> bool:
    """Say whether the first document has a compound and an AFLOW address."""
    keys = first_document(source).keys()
    return "compound" in keys and not keys.isdisjoint({"aurl", "auid"})


def read(source: Source, options: ReadOptions, advance: Callable[[int], None] | None = None) -> Iterator[RawRecord]:
    """Yield one record a document.

    Raises
    ------
    InputDataError
        If an array is damaged.
    """
    return read_documents(source, advance, partial(_record, options))


def _record(options: ReadOptions, line: int, row: Mapping[str, Any]) -> RawRecord:
    aurl = row.get("aurl")
    return RawRecord(
        line,
        value_of(row, options.formula_column, ("compound",)) or "",
        value_of(row, options.id_column, ("auid", "aurl")),
        year_of(value_of(row, options.year_column, ())),
        _OBSERVED not in str(aurl) if aurl else None,
    )
