"""Plain lists: one formula a line; ``#`` begins a comment, blank lines are skipped."""

from __future__ import annotations

from collections.abc import Iterator

from crcrank.sources.opening import Source
from crcrank.sources.records import RawRecord, ReadOptions


def recognises(source: Source) -> bool:  # noqa: ARG001  (the contract of a format)
    """Say yes to any text: whatever no other format takes is a list of formulas."""
    return True


def read(source: Source, options: ReadOptions) -> Iterator[RawRecord]:  # noqa: ARG001  (a list has no columns)
    """Yield the lines that are not blank or comments."""
    for number, line in enumerate(source.lines(), start=1):
        text = line.partition("#")[0].strip()
        if text:
            yield RawRecord(number, text)
