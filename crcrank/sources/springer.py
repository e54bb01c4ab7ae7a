"""SpringerMaterials: CIF with one entry's cell three times over, and lists copied by hand (``sd_1816951  Ba2TiO4``).

The blocks of an entry may differ in their formulas; the published one counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from crcrank.sources.blocks import FORMULA_TAGS, Block, blocks, looks_like_cif
from crcrank.sources.opening import Source
from crcrank.sources.records import About, RawRecord, ReadOptions
from crcrank.sources.table import first_lines

ABOUT = About(
    "CIF of SpringerMaterials, blocks data_sm_...; lists with sd_1816951",
    formula="that of the published block, else of another, else _sm_phase_labels",
    source_id="sd_1816951",
    year="_journal_year, else _citation_year",
    rejects="damaged blocks; decimals (disorder)",
)

_BLOCK = re.compile(rb"^[ \t]*data_sm_", re.MULTILINE)
_ENTRY = re.compile(r"sd_?(\d{6,8})", re.IGNORECASE)
_LISTED = re.compile(r"(?<![A-Za-z0-9])sd_?\d{6,8}(?![A-Za-z0-9])", re.IGNORECASE)
_SEPARATORS = " \t,;|"
_NEXT_CELL = re.compile(r"[\t,;|]")
_PUBLISHED = "-published_cell"
_LABELS = ("_sm_phase_labels",)


def recognises(source: Source) -> bool:
    """Say whether blocks are named as SpringerMaterials names them, or lines begin with its numbers."""
    if looks_like_cif(source):
        return b"data_sm_" in source.head and _BLOCK.search(source.head) is not None
    lines = first_lines(source)
    return bool(lines) and sum(_LISTED.search(line) is not None for line in lines) * 2 > len(lines)


def read(source: Source, options: ReadOptions, advance: Callable[[int], None] | None = None) -> Iterator[RawRecord]:  # noqa: ARG001
    """Yield one record an entry of a CIF, or a line of a list."""
    return _read_entries(blocks(source, advance)) if looks_like_cif(source) else _read_list(source.lines(advance))


def _read_entries(found: Iterable[Block]) -> Iterator[RawRecord]:
    entry: list[Block] = []
    for block in found:
        if entry and _begins_another(block, entry):
            yield from _of_entry(entry)
            entry = []
        if block.content is None:
            yield block.record("", None)
        else:
            entry.append(block)
    if entry:
        yield from _of_entry(entry)


def _begins_another(block: Block, entry: list[Block]) -> bool:
    """Say whether a block is a new entry's: the common one that comes first, or one with another number."""
    number, numbers = _number(block), {_number(other) for other in entry} - {None}
    return bool(numbers) and (number is None or number not in numbers)


def _of_entry(entry: list[Block]) -> Iterator[RawRecord]:
    published_first = sorted(entry, key=lambda block: not block.name.casefold().endswith(_PUBLISHED))
    text = next((text for block in published_first if (text := block.first(FORMULA_TAGS))), "")
    text = text or next((text for block in entry if (text := block.first(_LABELS))), "")
    number = next(filter(None, map(_number, entry)), None)
    if number is not None or text:
        year = next(filter(None, (block.year() for block in entry)), None)
        yield published_first[0].record(text, number, year)


def _number(block: Block) -> str | None:
    return _number_in(block.name)


def _number_in(text: str) -> str | None:
    match = _ENTRY.search(text)
    return f"sd_{match[1]}" if match else None


def _read_list(lines: Iterable[str]) -> Iterator[RawRecord]:
    """Yield a record a line: the formula is the cell after the number, or that before it where the number comes last."""
    for number, line in enumerate(lines, start=1):
        text = line.partition("#")[0].strip()
        match = _LISTED.search(text)
        if match:
            after = text[match.end() :].strip(_SEPARATORS)
            before = text[: match.start()].strip(_SEPARATORS)
            yield RawRecord(number, _NEXT_CELL.split(before or after, maxsplit=1)[0].strip(), _number_in(match[0]))
        elif text:
            yield RawRecord(number, text)
