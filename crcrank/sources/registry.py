"""All formats, and the one way to read what a user names: a file, a folder or an archive."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from typing import NamedTuple, Protocol

from crcrank.config import is_live
from crcrank.errors import ConfigError, InputDataError
from crcrank.progress import ProgressSink, SilentProgress
from crcrank.sources import (
    aflow,
    cif,
    cod,
    icdd,
    icsd,
    icsd_cif,
    jsonlines,
    kyoto,
    materials_project,
    materials_project_live,
    optimade,
    optimade_live,
    oqmd,
    parquet,
    plain,
    springer,
    table,
)
from crcrank.sources.containers import Member, archive_members, folder_members, folder_size, is_archive, problem
from crcrank.sources.opening import STDIN, Source, open_source
from crcrank.sources.records import About, RawRecord, ReadOptions

_log = logging.getLogger(__name__)
_N_TOGETHER = 32
_MAX_RECORDS_HELD = 10_000


class Reader(Protocol):
    """What a format's module offers."""

    ABOUT: About

    def recognises(self, source: Source) -> bool:
        """Say whether the beginning of the source is of this format."""

    def read(self, source: Source, options: ReadOptions, advance: Callable[[int], None] | None = None) -> Iterator[RawRecord]:
        """Yield the source's records, telling ``advance`` of stored bytes as they are read."""


FORMATS: dict[str, Reader] = {
    "parquet": parquet,
    "springer": springer,
    "icsd-cif": icsd_cif,
    "cif": cif,
    "optimade": optimade,
    "mp": materials_project,
    "oqmd": oqmd,
    "aflow": aflow,
    "cod": cod,
    "jsonl": jsonlines,
    "icsd": icsd,
    "icdd": icdd,
    "kyoto": kyoto,
    "table": table,
    "plain": plain,
}
"""Readers by name, in the order in which they are asked whether they recognise a file."""


LIVE = {"optimade": optimade_live, "mp": materials_project_live}
"""Sources over the network by what stands before the colon in their names."""


class Reading(NamedTuple):
    """How to read.

    Parameters
    ----------
    format
        A name in ``FORMATS``; detected by content, file by file, if None.
    options
        Columns and the like.
    n_threads
        Files of a folder or archive read at a time.
    refresh
        Ask a live source again even for what was kept.
    """

    format: str | None = None
    options: ReadOptions = ReadOptions()
    n_threads: int = 1
    refresh: bool = False


def detect_format(path: Path | str) -> str:
    """Return the name of the first format that recognises a file by its content.

    Raises
    ------
    InputDataError
        If the file cannot be read, is empty, or is binary and not Parquet.
    """
    return _detected(open_source(path), ReadOptions())


def read_source(path: Path | str, reading: Reading | None = None, progress: ProgressSink | None = None) -> Iterator[RawRecord]:
    """Read what a user names.

    Parameters
    ----------
    path
        A file, packed or not, a folder or an archive of files, ``-`` for stdin, or a live source such as ``optimade:URL``.
    reading
        How to read; everything is detected if left out.
    progress
        Told of bytes.

    Yields
    ------
    RawRecord
        In the order of the files and their lines, at least one. A file within a folder or archive that cannot be used gives
        a record that says so.

    Raises
    ------
    ConfigError
        If there is no such format.
    InputDataError
        If the file cannot be used, or none of the folder or archive.
    """
    reading = reading or Reading()
    progress = progress or SilentProgress()
    check_format(reading.format)
    if is_live(path):
        kind, _, address = str(path).partition(":")
        records = LIVE[kind].read(address, reading.options, progress, refresh=reading.refresh)
        yield from _at_least_one(str(path), records)
        return
    if str(path) != "-" and Path(path).is_dir():
        progress.start(f"read {Path(path).name}", folder_size(Path(path)), "bytes")
        records = _read_members(folder_members(Path(path), progress.advance), reading)
        yield from _at_least_one_usable(str(path), records)
        return
    source = open_source(path)
    progress.start(f"read {Path(source.name).name}", source.size, "bytes")
    if is_archive(source):
        yield from _at_least_one_usable(source.name, _read_members(archive_members(source, progress.advance), reading))
    else:
        name = reading.format or _detected(source, reading.options)
        if name == "plain" and reading.format is None and str(path) != STDIN and not plain.is_mostly_formulas(source):
            _log.warning("%s: read as a list, but most of its first lines are no formulas; --format says what it is", source.name)
        yield from _at_least_one(source.name, FORMATS[name].read(source, reading.options, progress.advance))


def check_format(name: str | None) -> None:
    """Raise ConfigError unless there is a format of that name, or none is named."""
    if name is not None and name not in FORMATS:
        near = get_close_matches(name, FORMATS, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ConfigError(f"unknown format {name!r}; known are {', '.join(FORMATS)}{hint}")


def _detected(source: Source, options: ReadOptions) -> str:
    """Return the format's name; a list has no columns, so a user who names one has a table."""
    found = next(name for name, reader in FORMATS.items() if reader.recognises(source))
    return "table" if found == "plain" and options.has_columns else found


def _detected_beside_others(source: Source, options: ReadOptions) -> str:
    """Return the format's name; a text in a folder must look like a list to be read as one."""
    found = _detected(source, options)
    if found == "plain" and not plain.is_mostly_formulas(source):
        raise InputDataError(f"{source.name}: of no known format; --format names one")
    return found


def _at_least_one(name: str, records: Iterator[RawRecord]) -> Iterator[RawRecord]:
    first = next(records, None)
    if first is None:
        raise InputDataError(f"{name}: holds no formulas, only comments or a header")
    yield first
    yield from records


def _at_least_one_usable(name: str, records: Iterator[RawRecord]) -> Iterator[RawRecord]:
    """Yield the records; that no file at all can be used is an error."""
    n_usable = n_problems = 0
    for record in records:
        n_usable += record.problem is None
        n_problems += record.problem is not None
        yield record
    if not n_usable and n_problems:
        raise InputDataError(f"{name}: none of its files can be used, {n_problems:,} tried; the last: {record.source}: {record.text}")
    if not n_usable:
        raise InputDataError(f"{name}: holds no files")


# ---- files of a folder or archive, some at a time ----


def _read_members(members: Iterator[Member], reading: Reading) -> Iterator[RawRecord]:
    """Yield the records of all members in their order, while threads read the next ones.

    A source that is only open as long as its archive stands at it, or that holds more than fits, is read at once.
    """
    with ThreadPoolExecutor(reading.n_threads) as pool:
        pending: deque[Future[list[RawRecord | Source]]] = deque()
        for together in _together(members):
            if len(together) == 1 and isinstance(together[0], Source) and not together[0].is_detached:
                yield from _finished(pending, reading)
                yield from _read_member(together[0], reading)
                continue
            pending.append(pool.submit(_read_together, together, reading))
            if len(pending) > 2 * reading.n_threads:
                yield from _result(pending.popleft(), reading)
        yield from _finished(pending, reading)


def _together(members: Iterator[Member]) -> Iterator[list[Member]]:
    """Yield members in handfuls, those that must be read at once alone."""
    handful: list[Member] = []
    for member in members:
        must_be_alone = isinstance(member, Source) and not member.is_detached
        if handful and (must_be_alone or len(handful) == _N_TOGETHER):
            yield handful
            handful = []
        if must_be_alone:
            yield [member]
        else:
            handful.append(member)
    if handful:
        yield handful


def _finished(pending: deque[Future[list[RawRecord | Source]]], reading: Reading) -> Iterator[RawRecord]:
    while pending:
        yield from _result(pending.popleft(), reading)


def _result(done: Future[list[RawRecord | Source]], reading: Reading) -> Iterator[RawRecord]:
    for item in done.result():
        if isinstance(item, Source):
            yield from _read_member(item, reading)
        else:
            yield item


def _read_together(members: list[Member], reading: Reading) -> list[RawRecord | Source]:
    """Return the records of each member, or the source itself where they are too many to hold."""
    found: list[RawRecord | Source] = []
    for member in members:
        if isinstance(member, RawRecord):
            found.append(member)
            continue
        records = list(islice(_read_member(member, reading), _MAX_RECORDS_HELD + 1))
        found.extend(records if len(records) <= _MAX_RECORDS_HELD else [member])
    return found


def _read_member(source: Source, reading: Reading) -> Iterator[RawRecord]:
    """Yield the records of a file in a folder or archive, and what is wrong with it."""
    try:
        reader = FORMATS[reading.format or _detected_beside_others(source, reading.options)]
        for record in _at_least_one(source.name, reader.read(source, reading.options)):
            yield record._replace(source=source.name)
    except InputDataError as error:
        yield problem(source.name, error)
