"""CIF as ICSD exports it: many blocks ``data_71031-ICSD``, between ``#(C) ... by FIZ Karlsruhe`` and ``#End of TTdata_...``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from crcrank.sources.blocks import FORMULA_TAGS, Block, blocks, looks_like_cif
from crcrank.sources.opening import Source
from crcrank.sources.records import About, RawRecord, ReadOptions

ABOUT = About(
    "CIF of the ICSD, many blocks a file",
    formula="_chemical_formula_sum, else _structural",
    source_id="_database_code_ICSD, else the number in data_71031-ICSD",
    year="_journal_year, else _citation_year",
    rejects="damaged blocks; decimals (disorder)",
)

_ID_TAG = "_database_code_ICSD"
_NAME = re.compile(r"(\d+)-ICSD")
_LOOKED_AT = re.compile(rb"^data_\d+-ICSD\b|^_database_code_ICSD\s", re.MULTILINE)


def recognises(source: Source) -> bool:
    """Say whether the first block carries an ICSD number."""
    return b"ICSD" in source.head and _LOOKED_AT.search(source.head) is not None and looks_like_cif(source)


def read(source: Source, options: ReadOptions, advance: Callable[[int], None] | None = None) -> Iterator[RawRecord]:  # noqa: ARG001
    """Yield one record a block that describes a structure."""
    return (_record(block) for block in blocks(source, advance) if block.has_structure())


def _record(block: Block) -> RawRecord:
    number = _NAME.match(block.name)
    return block.record(block.first(FORMULA_TAGS), block.first([_ID_TAG]) or (number[1] if number else block.name))
