"""CIF as a stream of data blocks, each parsed by gemmi, so that a damaged block costs no other."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from io import TextIOWrapper
from typing import Any

from crcrank.sources.columns import year_of
from crcrank.sources.opening import Source, repaired
from crcrank.sources.records import RawRecord

DAMAGED = "damaged CIF block"
RETRACTED = "retracted entry"
NO_FORMULA = "CIF block without a formula (_chemical_formula_sum)"

FORMULA_TAGS = ("_chemical_formula_sum", "_chemical_formula.sum", "_chemical_formula_structural", "_chemical_formula_moiety")
YEAR_TAGS = ("_journal_year", "_journal.year", "_citation_year", "_citation.year")

_ID_TAGS = ("_database_code_ICSD", "_cod_database_code", "_database_code_CSD", "_database_code_depnum_ccdc_archive", "_database_code_PDF")
_METHOD_TAGS = ("_cod_struct_determination_method", "_cod_structure_determination_method", "_cod_structure.determination_method")
_ERROR_TAGS = ("_cod_error_flag", "_cod_entry.error_flag")
_STRUCTURE_TAGS = ("_cell_length_a", "_cell.length_a", "_atom_site_label", "_atom_site_fract_x")
_HEADER = re.compile(r"[ \t]*data_(\S*)", re.IGNORECASE)
_LONE_HEADER = re.compile(r"^[ \t]*data_\S+[ \t]*$", re.IGNORECASE | re.MULTILINE)
_MARK = re.compile(r"^(?:;|[ \t]*[Dd][Aa][Tt][Aa]_)", re.MULTILINE)
_PORTION = 1 << 20
_MAX_BLOCK_LENGTH = 64 << 20
_MISSING = {"", "?", "."}
_LOOKED_AT = re.compile(rb"^[ \t]*data_\S*[ \t]*(?:#.*)?\r?$", re.IGNORECASE | re.MULTILINE)
_TAG_LOOKED_AT = re.compile(rb"^[ \t]*(?:_[A-Za-z]\S*|loop_)", re.MULTILINE)


class Block:
    """A data block.

    Parameters
    ----------
    line
        Where it begins.
    name
        What follows ``data_``.
    content
        gemmi's block; None if it is damaged.
    """

    def __init__(self, line: int, name: str, content: Any) -> None:
        self.line = line
        self.name = name
        self.content = content

    def first(self, tags: Iterable[str]) -> str:
        """Return the first value of the first tag that has one, empty if none has."""
        from gemmi import cif

        if self.content is None:
            return ""
        values = (cif.as_string(value) for tag in tags for value in self.content.find_values(tag))
        return next((text for value in values if (text := " ".join(value.split())) not in _MISSING), "")

    def year(self) -> int | None:
        """Return the year of publication."""
        return year_of(self.first(YEAR_TAGS))

    def record(self, text: str, source_id: str | None, year: int | None = None) -> RawRecord:
        """Return the record of the block's structure with what the block tells about it."""
        if self.content is None:
            return RawRecord(self.line, f"data_{self.name}", problem=DAMAGED)
        method = self.first(_METHOD_TAGS)
        problem = None if text else NO_FORMULA
        if self.first(_ERROR_TAGS).casefold() == "retracted":
            problem = RETRACTED
        return RawRecord(self.line, text, source_id, year or self.year(), method == "theoretical" if method else None, problem=problem)

    def own_record(self) -> RawRecord:
        """Return the record with the block's own formula and its id in whatever database it comes from, or its name."""
        return self.record(self.first(FORMULA_TAGS), self.first(_ID_TAGS) or self.name or None)

    def has_structure(self) -> bool:
        """Say whether the block describes a structure; some hold only the text of the publication."""
        return self.content is None or bool(self.first(FORMULA_TAGS) or self.first(_STRUCTURE_TAGS))


def looks_like_cif(source: Source) -> bool:
    """Say whether there is a ``data_`` line with a tag somewhere after it."""
    header = _LOOKED_AT.search(source.head)
    return header is not None and _TAG_LOOKED_AT.search(source.head, header.end()) is not None


def blocks(source: Source, advance: Callable[[int], None] | None = None) -> Iterator[Block]:
    """Yield the data blocks of a file."""
    with source.text(advance, newline=None) as text:
        for line, piece in _pieces(_whole_lines(text)):
            if len(piece) <= _MAX_BLOCK_LENGTH:
                yield from _parsed(line, piece)
            else:
                yield _damaged(line, piece)


def _whole_lines(text: TextIOWrapper) -> Iterator[str]:
    """Yield a text in portions that end with a line, or, where a line is longer than a portion, in it."""
    rest = ""
    while portion := text.read(_PORTION):
        end = portion.rfind("\n") + 1
        if end:
            yield repaired(rest + portion[:end])
            rest = portion[end:]
        else:
            yield repaired(rest + portion)
            rest = ""
    yield repaired(rest)


def _pieces(portions: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Yield the text of each block with the number of its first line; ``data_`` within a text field begins none."""
    splitter = _Splitter()
    for portion in portions:
        yield from splitter.feed(portion)
    yield from splitter.take()


def _damaged(line: int, text: str) -> Block:
    header = _HEADER.match(text)
    return Block(line, header[1] if header else "", None)


class _Splitter:
    """The block that is being read."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._length = 0
        self._begins = 0  # its first line, 0 before the first block
        self._line = 1
        self._is_in_text = False

    def feed(self, portion: str) -> Iterator[tuple[int, str]]:
        """Take in whole lines; yield the blocks that end there."""
        start = 0
        for match in _MARK.finditer(portion):
            if portion[match.start()] == ";":
                self._is_in_text = not self._is_in_text
            elif not self._is_in_text:
                self._add(portion[start : match.start()])
                yield from self.take()
                start, self._begins = match.start(), self._line
        self._add(portion[start:])

    def take(self) -> Iterator[tuple[int, str]]:
        """Yield what was read of the current block."""
        if self._parts:
            yield self._begins, "".join(self._parts)
        self._parts, self._length = [], 0

    def _add(self, text: str) -> None:
        self._line += text.count("\n")
        if text and self._begins and self._length <= _MAX_BLOCK_LENGTH:
            self._parts.append(text)
        self._length += len(text)


def _parsed(line: int, text: str, *, again: bool = True) -> Iterator[Block]:
    """Yield a block, or, if it is damaged, the blocks that an open text field may have swallowed."""
    from gemmi import cif

    try:
        document = cif.read_string(text, 0)
    except (ValueError, RuntimeError):
        starts = sorted({0, *(match.start() for match in _LONE_HEADER.finditer(text))})
        if not again or len(starts) < 2:
            yield _damaged(line, text)
            return
        for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
            yield from _parsed(line + text.count("\n", 0, start), text[start:end], again=False)
    else:
        yield from (Block(line, content.name.strip(), content) for content in document)
