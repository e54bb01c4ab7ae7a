"""Documents of the Materials Project: ``materials.summary``, and the older ones with ``pretty_formula`` and ``icsd_ids``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from crcrank.sources.columns import year_of
from crcrank.sources.documents import first_document, read_documents, value_of
from crcrank.sources.opening import Source
from crcrank.sources.records import About, RawRecord, ReadOptions

ABOUT = About(
    "JSON of the Materials Project, old and new",
    formula="formula_pretty, else pretty_formula",
    source_id="material_id, else task_id",
    year="none",
    rejects="theoretical: true, or no ICSD entry where that key is missing; deprecated documents",
)

FORMULA_KEYS = ("formula_pretty", "pretty_formula")
ID_KEYS = ("material_id", "task_id")
_DEPRECATED = "deprecated entry"


def recognises(source: Source) -> bool:
    """Say whether the first document has an id and a formula by the names of the Materials Project."""
    keys = first_document(source).keys()
    return not keys.isdisjoint(ID_KEYS) and not keys.isdisjoint(FORMULA_KEYS)


def read(source: Source, options: ReadOptions, advance: Callable[[int], None] | None = None) -> Iterator[RawRecord]:
    """Yield one record a document.

    Raises
    ------
    InputDataError
        If an array is damaged.
    """
    return read_documents(source, advance, partial(record_of, options))


def record_of(options: ReadOptions, line: int, row: Mapping[str, Any]) -> RawRecord:
    """Return the record of a document."""
    return RawRecord(
        line,
        value_of(row, options.formula_column, FORMULA_KEYS) or "",
        value_of(row, options.id_column, ID_KEYS),
        year_of(value_of(row, options.year_column, ())),
        _is_theoretical(row),
        problem=_DEPRECATED if row.get("deprecated") is True else None,
    )


def _is_theoretical(row: Mapping[str, Any]) -> bool | None:
    if isinstance(row.get("theoretical"), bool):
        return bool(row["theoretical"])
    observed = next((row[key] for key in ("icsd_ids", "database_IDs") if key in row), None)
    return None if observed is None else not (any(observed.values()) if isinstance(observed, dict) else observed)
