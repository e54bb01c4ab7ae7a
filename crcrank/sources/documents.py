"""JSON documents, one object an entry: a line each, in an array, or in a page of a web service (``{"data": [...]}``).

An array that begins with a text is a list of formulas.

Arrays and pages are read as streams; a document may be large, its file larger than memory.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from io import TextIOWrapper
from typing import Any, NamedTuple

from crcrank.errors import InputDataError
from crcrank.sources.opening import MAX_LINE_LENGTH, Source, repaired
from crcrank.sources.records import RawRecord

DAMAGED = "damaged JSON"
NOT_AN_OBJECT = "JSON, but no object"

_LISTS = ("data", "response", "results", "documents", "entries", "structures")
"""Keys under which web services give their documents."""
_SPACE = re.compile(r"\s*+")
_SERVED = {"links", "meta", "valid_response"}
_BLOCK = 1 << 20
_MAX_DOCUMENT = 64 << 20


class Document(NamedTuple):
    """An entry.

    Parameters
    ----------
    line
        Line, or number within an array or page, from 1.
    content
        The object; None if there is none.
    text
        What stands there instead of an object.
    problem
        Why there is none.
    """

    line: int
    content: dict[str, Any] | None
    text: str = ""
    problem: str | None = None


def begins_as_json(source: Source) -> bool:
    """Say whether the first character opens an object or an array."""
    return source.head.removeprefix(b"\xef\xbb\xbf").replace(b"\0", b"").lstrip(b"\xff\xfe \t\r\n")[:1] in {b"{", b"["}


def first_document(source: Source) -> Mapping[str, Any]:
    """Return the first object, empty if the file does not begin with one."""
    if not begins_as_json(source):
        return {}
    try:
        return next((document.content for document in documents(source) if document.content), {})
    except InputDataError:
        return {}


def value_of(row: Mapping[str, Any], chosen: str | None, usual: Sequence[str]) -> str | None:
    """Return the value of the key that the user chose, or else of the first usual one that has one, as a text."""
    values = (row.get(key) for key in ((chosen,) if chosen is not None else usual))
    return next((text for value in values if value is not None and (text := str(value).strip())), None)


def read_documents(
    source: Source, advance: Callable[[int], None] | None, to_record: Callable[[int, dict[str, Any]], RawRecord | None]
) -> Iterator[RawRecord]:
    """Yield the record that ``to_record`` makes of each document; what is no document becomes a problem."""
    for line, content, text, problem in documents(source, advance):
        record = RawRecord(line, text, problem=problem) if content is None else to_record(line, content)
        if record is not None:
            yield record


def documents(source: Source, advance: Callable[[int], None] | None = None) -> Iterator[Document]:
    """Yield the documents of a file.

    Raises
    ------
    InputDataError
        If an array or a page is damaged; of lines, only the damaged one is.
    """
    if _has_lines(source):
        for number, line in enumerate(source.lines(advance), start=1):
            if line.strip():
                yield from _of_line(number, line)
        return
    with source.text(advance) as text:
        yield from _streamed(source.name, text)


def _has_lines(source: Source) -> bool:
    """Say whether the first line is an object by itself."""
    with source.text() as text:
        line = next((line for line in iter(lambda: text.readline(MAX_LINE_LENGTH), "") if line.strip()), "")
    return len(line) < MAX_LINE_LENGTH and isinstance(_loaded(line), dict)


def _of_line(number: int, line: str) -> Iterator[Document]:
    value = _loaded(line)
    if value is None:
        yield Document(number, None, line.strip(), DAMAGED)
        return
    page = _page_of(value)
    if page is None:
        yield _document(number, value)
    else:
        yield from (_document(i, item) for i, item in enumerate(page, start=1))


def _loaded(line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _document(number: int, value: Any) -> Document:
    return Document(number, value) if isinstance(value, dict) else Document(number, None, str(value)[:_BLOCK], NOT_AN_OBJECT)


def _page_of(value: Any) -> list[Any] | None:
    """Return the documents of a page; AFLOW numbers them by keys, ``"1 of 64"``."""
    if not isinstance(value, dict):
        return None
    named: list[Any] | None = next((value[key] for key in _LISTS if isinstance(value.get(key), list)), None)
    if named is not None and all(isinstance(item, dict) for item in named) and (named or not _SERVED.isdisjoint(value)):
        return named
    return list(value.values()) if value and all(" of " in key for key in value) else None


# ---- arrays and pages, as streams ----


def _streamed(name: str, text: TextIOWrapper) -> Iterator[Document]:
    scanner = _Scanner(name, text)
    number = 0
    is_list = False
    while scanner.peek():
        for value in scanner.items():
            number += 1
            is_list = is_list or (number == 1 and isinstance(value, str))
            yield _document(number, {"formula": value} if is_list and isinstance(value, str) else value)
        scanner.skip(",")


def _end_of_space(text: str, start: int) -> int:
    match = _SPACE.match(text, start)
    return match.end() if match else start


class _Scanner:
    """A JSON text of any length, of which one value at a time is in memory."""

    def __init__(self, name: str, text: TextIOWrapper) -> None:
        self._name = name
        self._text = text
        self._buffer = ""
        self._at = 0
        self._decode = json.JSONDecoder().raw_decode

    def items(self) -> Iterator[Any]:
        """Yield the documents of the array, the page or the object that comes next."""
        if self.peek() == "[":
            yield from self._array()
        elif self.peek() == "{":
            yield from self._object()
        else:
            self._fail("wanted an object or an array")

    def peek(self) -> str:
        """Return the next character that is no space, empty at the end."""
        while True:
            self._at = _end_of_space(self._buffer, self._at)
            if self._at < len(self._buffer):
                return self._buffer[self._at]
            if not self._fill():
                return ""

    def skip(self, character: str) -> bool:
        """Pass over a character if it comes next."""
        is_next = self.peek() == character
        self._at += is_next
        return is_next

    def _array(self) -> Iterator[Any]:
        self.skip("[")
        while not self.skip("]"):
            yield self._value()
            if not self.skip(",") and self.peek() != "]":
                self._fail("wanted , or ]")

    def _object(self) -> Iterator[Any]:
        """Yield the documents of a page as they come, or else the whole object."""
        self.skip("{")
        whole: dict[str, Any] = {}
        is_page = False
        while not self.skip("}"):
            key = str(self._value())
            if not self.skip(":"):
                self._fail("wanted :")
            if key in _LISTS and self.peek() == "[":
                whole[key] = others = []
                for value in self._array():
                    if isinstance(value, dict):
                        is_page = True
                        yield value
                    else:
                        others.append(value)
            else:
                whole[key] = self._value()
            if not self.skip(",") and self.peek() != "}":
                self._fail("wanted , or }")
        if not is_page:
            yield from _page_of(whole) or [whole]

    def _value(self) -> Any:
        wanted = _BLOCK
        while True:
            self.peek()
            try:
                value, end = self._decode(self._buffer, self._at)
            except RecursionError:
                self._fail("nested too deeply")
            except ValueError as error:
                if len(self._buffer) - self._at > _MAX_DOCUMENT:
                    self._fail(f"no value within {_MAX_DOCUMENT >> 20} million characters")
                if not self._fill(wanted):
                    self._fail(str(error))
                wanted *= 2
            else:
                if end < len(self._buffer) or not self._fill():  # a number may go on
                    self._at = end
                    return value

    def _fill(self, wanted: int = _BLOCK) -> bool:
        block = self._text.read(wanted)
        self._buffer = self._buffer[self._at :] + repaired(block)
        self._at = 0
        return bool(block)

    def _fail(self, reason: str) -> None:
        raise InputDataError(f"{self._name}: {DAMAGED} ({reason})")
