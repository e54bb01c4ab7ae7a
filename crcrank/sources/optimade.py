"""Pages of ``/v1/structures`` of any OPTIMADE service, and its entries as JSON lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from crcrank.sources.columns import year_of
from crcrank.sources.documents import first_document, read_documents, value_of
from crcrank.sources.opening import Source
from crcrank.sources.records import About, RawRecord, ReadOptions

ABOUT = About(
    "JSON pages of an OPTIMADE service, /v1/structures",
    formula="chemical_formula_reduced",
    source_id="id",
    year="_cod_year, where a service gives it",
    rejects="structure_features with disorder",
)

FORMULA_KEYS = ("chemical_formula_reduced",)
_YEAR_KEYS = ("_cod_year",)
_STRUCTURES = "structures"


def recognises(source: Source) -> bool:
    """Say whether the first document is an OPTIMADE entry, or the header of its JSON lines."""
    first = first_document(source)
    return "x-optimade" in first or (isinstance(first.get("attributes"), dict) and first.get("type") == _STRUCTURES)


def read(source: Source, options: ReadOptions, advance: Callable[[int], None] | None = None) -> Iterator[RawRecord]:
    """Yield one record a structure; entries of other types are passed over.

    Raises
    ------
    InputDataError
        If a page is damaged.
    """
    return read_documents(source, advance, partial(record_of, options))


def record_of(options: ReadOptions, line: int, entry: Mapping[str, Any]) -> RawRecord | None:
    """Return the record of an entry, None if it is no structure."""
    if entry.get("type") != _STRUCTURES:
        return None
    attributes = entry.get("attributes")
    found: Mapping[str, Any] = attributes if isinstance(attributes, dict) else {}
    features = found.get("structure_features")
    return RawRecord(
        line,
        value_of(found, options.formula_column, FORMULA_KEYS) or "",
        value_of({**found, "id": entry.get("id")}, options.id_column, ("id",)),
        year_of(value_of(found, options.year_column, _YEAR_KEYS)),
        is_disordered="disorder" in features if isinstance(features, list) else None,
    )
