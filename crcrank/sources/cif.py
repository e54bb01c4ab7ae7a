"""CIF: data blocks with ``_chemical_formula_sum``, one or many a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from crcrank.sources.blocks import FORMULA_TAGS, blocks, looks_like_cif
from crcrank.sources.opening import Source
from crcrank.sources.records import About, RawRecord, ReadOptions

ABOUT = About(
    "CIF, files or folders or archives of them",
    formula=f"{FORMULA_TAGS[0]}, else _structural, _moiety",
    source_id="the database code, else the name of the block",
    year="_journal_year, else _citation_year",
    rejects="damaged blocks; COD's theoretical and retracted entries",
)


def recognises(source: Source) -> bool:
    """Say whether there is a data block with a tag."""
    return looks_like_cif(source)


def read(source: Source, options: ReadOptions, advance: Callable[[int], None] | None = None) -> Iterator[RawRecord]:  # noqa: ARG001
    """Yield one record a block that describes a structure."""
    return (block.own_record() for block in blocks(source, advance) if block.has_structure())
