"""Answers of the Open Quantum Materials Database: ``{"data": [{"name", "entry_id", "icsd_id", "composition", ...}]}``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from crcrank.sources.columns import year_of
from crcrank.sources.documents import first_document, read_documents, value_of
from crcrank.sources.opening import Source
from crcrank.sources.records import About, RawRecord, ReadOptions

ABOUT = About(
    "JSON of the OQMD",
    formula="composition, else name",
    source_id="entry_id",
    year="none",
    rejects="entries whose icsd_id is empty (calculated only)",
)

_FORMULA_KEYS = ("composition", "name")
_NO_ID = (None, "", 0, "0", "None", "null")


def recognises(source: Source) -> bool:
    """Say whether the first document has an OQMD entry_id."""
    keys = first_document(source).keys()
    return "entry_id" in keys and not keys.isdisjoint({"icsd_id", "composition_generic", "formationenergy_id", "ntypes"})


def read(source: Source, options: ReadOptions, advance: Callable[[int], None] | None = None) -> Iterator[RawRecord]:
    """Yield one record a document.

    Raises
    ------
    InputDataError
        If a page is damaged.
    """
    return read_documents(source, advance, partial(_record, options))


def _record(options: ReadOptions, line: int, row: Mapping[str, Any]) -> RawRecord:
    return RawRecord(
        line,
        value_of(row, options.formula_column, _FORMULA_KEYS) or "",
        value_of(row, options.id_column, ("entry_id",)),
        year_of(value_of(row, options.year_column, ())),
        row["icsd_id"] in _NO_ID if isinstance(row.get("icsd_id", []), (str, int, type(None))) else None,
    )
