"""Folders and archives: their files as sources, one after the other; a bad one is reported and never stops the rest.

Hidden files and what operating systems leave behind are passed over, links and devices too. Archives within archives and
folders are opened up to a depth of three.
"""

from __future__ import annotations

import os
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, cast

from crcrank.errors import InputDataError
from crcrank.sources.opening import Source, bytes_source, checked, file_source, read_errors, spooled
from crcrank.sources.records import RawRecord

UNUSABLE_FILE = "a file that cannot be used"

_MAX_DEPTH = 3
_KEPT_IN_MEMORY = 8 << 20
_ZIP_MAGICS = (b"PK\x03\x04", b"PK\x05\x06")
_TAR_MAGIC, _TAR_MAGIC_AT = b"ustar", 257
_OFFICE_PARTS = {"[Content_Types].xml", "mimetype"}
_LEFT_BEHIND = {"__MACOSX", "Thumbs.db", "desktop.ini"}

Advance = Callable[[int], None]
Member = Source | RawRecord
"""A file, or the record that says why there is none."""


def is_archive(source: Source) -> bool:
    """Say whether a file is a zip or tar archive (an office document is neither)."""
    return _is_zip(source) or _is_tar(source)


def folder_size(folder: Path) -> int:
    """Return the bytes of all files that ``folder_members`` would yield."""
    return sum(path.stat().st_size for path in _files(folder) if path.is_file())


def folder_members(folder: Path, advance: Advance) -> Iterator[Member]:
    """Yield the files of a folder and its subfolders in the order of their paths, archives opened."""
    for path in _files(folder):
        if path.is_file():
            try:
                source = file_source(path, str(path))
            except InputDataError as error:
                yield problem(str(path), error)
            else:
                yield from _opened(source, 1)
                advance(source.size)
        elif not path.is_symlink():
            yield RawRecord(0, "neither a file nor a folder", problem=UNUSABLE_FILE, source=str(path))


def archive_members(source: Source, advance: Advance, depth: int = 1) -> Iterator[Member]:
    """Yield the files of an archive in their order there.

    Raises
    ------
    InputDataError
        If the archive itself cannot be read on.
    """
    members = _zip_members if _is_zip(source) else _tar_members
    for member in members(source, advance):
        yield from _opened(member, depth)


def problem(name: str, error: InputDataError) -> RawRecord:
    """Return the record that reports a file."""
    return RawRecord(0, str(error).removeprefix(f"{name}: "), problem=UNUSABLE_FILE, source=name)


def _opened(member: Member, depth: int) -> Iterator[Member]:
    """Yield a file, or the files within it."""
    if isinstance(member, RawRecord):
        yield member
        return
    try:
        if not is_archive(checked(member)):
            yield member
        elif depth > _MAX_DEPTH:
            yield RawRecord(0, f"archives within archives, more than {_MAX_DEPTH} deep", problem=UNUSABLE_FILE, source=member.name)
        else:
            yield from archive_members(member, _ignore, depth + 1)
    except InputDataError as error:
        yield problem(member.name, error)


def _ignore(n_bytes: int) -> None:
    """Take no notice of bytes that are counted elsewhere."""


def _files(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if _is_wanted(name))
        yield from (Path(parent) / name for name in sorted(names) if _is_wanted(name))


def _is_wanted(name: str) -> bool:
    return not any(part.startswith(".") or part in _LEFT_BEHIND for part in PurePosixPath(name).parts)


def _is_zip(source: Source) -> bool:
    return source.head.startswith(_ZIP_MAGICS)


def _is_tar(source: Source) -> bool:
    return source.head[_TAR_MAGIC_AT:].startswith(_TAR_MAGIC)


def _zip_members(source: Source, advance: Advance) -> Iterator[Member]:
    with read_errors(source.name), source.open() as file, zipfile.ZipFile(file) as archive:
        if _OFFICE_PARTS & set(archive.namelist()[:2]):
            raise InputDataError(f"{source.name}: an Excel workbook or another office document; save the table as CSV")
        for info in archive.infolist():
            if not info.is_dir() and _is_wanted(info.filename):
                yield _zip_member(source, archive, info)
                advance(info.compress_size)


def _zip_member(source: Source, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Member:
    name = f"{source.name}/{info.filename}"
    source.budget.spend(info.file_size)
    if info.flag_bits & 1:
        return RawRecord(0, "protected by a password", problem=UNUSABLE_FILE, source=name)
    try:
        with read_errors(name):
            if info.file_size <= _KEPT_IN_MEMORY:
                return bytes_source(name, archive.read(info), source.budget)
            opener = cast("Callable[[], IO[bytes]]", partial(archive.open, info))
            return checked(Source(name, opener, info.file_size, source.budget, is_detached=False))
    except InputDataError as error:
        return problem(name, error)


def _tar_members(source: Source, advance: Advance) -> Iterator[Member]:
    with read_errors(source.name), source.open(advance) as file, tarfile.open(fileobj=file, mode="r|") as archive:
        for info in archive:
            if info.isfile() and _is_wanted(info.name):
                yield _tar_member(source, archive, info)


def _tar_member(source: Source, archive: tarfile.TarFile, info: tarfile.TarInfo) -> Source:
    name = f"{source.name}/{info.name}"
    source.budget.spend(info.size)
    content = cast("IO[bytes]", archive.extractfile(info))
    if info.size <= _KEPT_IN_MEMORY:
        return bytes_source(name, content.read(), source.budget)
    return spooled(name, content)
