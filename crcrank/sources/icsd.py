"""Tables of the ICSD web service: tab-separated, ``CollectionCode`` first, the header may end in a tab."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from crcrank.sources.columns import Columns, choose_columns, present
from crcrank.sources.opening import Source
from crcrank.sources.records import About, RawRecord, ReadOptions
from crcrank.sources.table import header_names, read_rows

ABOUT = About(
    "table of the ICSD web service, tab-separated",
    formula="StructuredFormula, else SumFormula",
    source_id="CollectionCode",
    year="PublicationYear",
    rejects="decimals (disorder); leave theoretical structures out when exporting",
)

_FORMULAS = ("StructuredFormula", "SumFormula")


def recognises(source: Source) -> bool:
    """Say whether the header has ICSD's names."""
    names = header_names(source)
    return "CollectionCode" in names and bool(present(_FORMULAS, names))


def read(source: Source, options: ReadOptions, advance: Callable[[int], None] | None = None) -> Iterator[RawRecord]:
    """Yield one record a row.

    Raises
    ------
    InputDataError
        If a column is missing.
    """
    return read_rows(source, options, advance, _choose)


def _choose(source_name: str, names: Sequence[str], options: ReadOptions) -> Columns:
    columns = choose_columns(source_name, names, options)
    return columns if options.formula_column else replace(columns, formula=present(_FORMULAS, names) or columns.formula)
