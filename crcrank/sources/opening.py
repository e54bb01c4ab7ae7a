"""Users' files opened: plain or packed, named, piped or stdin; every failure is one clear line.

Whatever a file claims to be, reading it takes bounded memory: lines are bounded, and so is what a packed file may unpack to.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import shutil
import sys
import tarfile
import tempfile
import weakref
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import IO, Any, cast

from crcrank.errors import InputDataError

STDIN = "-"
MAX_LINE_LENGTH = 16 << 20
"""Characters of a line; the longest that databases write hold a structure each, some 100,000."""

_HEAD_BYTES = 65_536
_SPOOLED_BYTES = 32 << 20
_MAX_UNPACKING = 200
_ALWAYS_UNPACKED = 64 << 20
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_UNPACKERS: dict[bytes, Callable[[Any], Any]] = {
    b"\x1f\x8b": lambda packed: gzip.GzipFile(fileobj=packed),
    b"\xfd7zXZ\x00": lzma.LZMAFile,
    b"BZh": bz2.BZ2File,
}
_BINARY_KINDS = {b"PK\x03\x04": "a zip archive", b"SQLite": "an SQLite database", b"PAR1": "a Parquet file", b"%PDF": "a PDF document"}
_DAMAGED = (EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile, NotImplementedError)


class Budget:
    """Bytes that one named source may unpack to, so that a small file cannot fill the machine.

    Parameters
    ----------
    size
        Bytes of the file as it is stored.
    """

    def __init__(self, size: int) -> None:
        self._left = _ALWAYS_UNPACKED + _MAX_UNPACKING * size

    def spend(self, n_bytes: int) -> None:
        """Count unpacked bytes.

        Raises
        ------
        InputDataError
            If they are more than any list of formulas would unpack to.
        """
        if n_bytes > self._left:
            raise InputDataError(f"unpacks to more than {_MAX_UNPACKING} times its size; is it a zip bomb?")
        self._left -= n_bytes


@dataclass(frozen=True)
class Source:
    """A readable input.

    Parameters
    ----------
    name
        What messages and artifacts call it: the path as the user wrote it, a file within it, or ``stdin``.
    opener
        Opens the stored bytes from their beginning, any number of times.
    size
        Stored bytes.
    budget
        What it may unpack to, shared by all files of an archive.
    is_detached
        Whether it can be opened at any time, not only while its archive is.
    """

    name: str
    opener: Callable[[], AbstractContextManager[IO[bytes]]]
    size: int
    budget: Budget = field(compare=False)
    is_detached: bool = True

    @contextmanager
    def open(self, advance: Callable[[int], None] | None = None) -> Iterator[IO[bytes]]:
        """Open for reading bytes, unpacking gzip, xz and bzip2; ``advance`` is told of stored bytes as they are read.

        Raises
        ------
        InputDataError
            If the file cannot be read or is damaged, or unpacks to too much, also while the block reads.
        """
        with read_errors(self.name):
            unpacker = _UNPACKERS.get(self._packing)
        with read_errors(self.name), self.opener() as stored:
            raw = cast("IO[bytes]", io.BufferedReader(_Tap(stored, advance))) if advance else stored
            if unpacker is None:
                yield raw
            else:
                with unpacker(raw) as unpacked:
                    yield cast("IO[bytes]", io.BufferedReader(_Tap(unpacked, self.budget.spend)))

    @cached_property
    def head(self) -> bytes:
        """The first 64 KiB."""
        with self.open() as file:
            return file.read(_HEAD_BYTES)

    @cached_property
    def head_lines(self) -> list[str]:
        """The lines that the head holds whole, or the one that it does not; none if it is binary."""
        is_wide = self.head.startswith(_UTF16_MARKS)
        if b"\0" in self.head and not is_wide:
            return []
        lines = self.head.decode("utf-16" if is_wide else "utf-8-sig", "replace").splitlines(keepends=True)
        return lines[:-1] if len(self.head) == _HEAD_BYTES and len(lines) > 1 else lines

    def lines(self, advance: Callable[[int], None] | None = None) -> Iterator[str]:
        r"""Yield the lines of a text with their ends (``\n``, ``\r`` or ``\r\n``).

        The encoding is UTF-8, or UTF-16 if the file begins with its mark. A line that is no UTF-8 is taken as Latin-1,
        in which older databases write the names of authors; formulas read the same in both.

        Raises
        ------
        InputDataError
            If the file is binary or a line is longer than ``MAX_LINE_LENGTH``.
        """
        with self.text(advance) as text:
            number = 0
            while line := text.readline(MAX_LINE_LENGTH):
                number += 1
                if len(line) == MAX_LINE_LENGTH:
                    raise InputDataError(f"{self.name}: line {number}: longer than {MAX_LINE_LENGTH >> 20} million characters")
                yield repaired(line)

    @contextmanager
    def text(self, advance: Callable[[int], None] | None = None, newline: str | None = "") -> Iterator[io.TextIOWrapper]:
        r"""Open for reading characters; what is no UTF-8 comes as surrogates, which ``repaired`` reads as Latin-1.

        With ``newline=None`` every line ends in ``\n``.

        Raises
        ------
        InputDataError
            If the file is binary.
        """
        encoding = self._encoding()
        with self.open(advance) as file, io.TextIOWrapper(cast("Any", file), encoding, errors="surrogateescape", newline=newline) as text:
            yield text

    def _encoding(self) -> str:
        if self.head.startswith(_UTF16_MARKS):
            return "utf-16"
        if b"\0" in self.head:
            found = next((kind for magic, kind in _BINARY_KINDS.items() if self.head.startswith(magic)), "a binary file")
            raise InputDataError(f"{self.name}: wanted a text, found {found}")
        return "utf-8-sig"

    @cached_property
    def _packing(self) -> bytes:
        """The magic number of the packing, empty if there is none."""
        with self.opener() as stored:
            first = stored.read(max(map(len, _UNPACKERS)))
        return next((magic for magic in _UNPACKERS if first.startswith(magic)), b"")


def open_source(path: Path | str) -> Source:
    """Return the source behind a path, or stdin for ``-``.

    Raises
    ------
    InputDataError
        If there is no such file, it is a folder, it cannot be read, or it is empty.
    """
    name = "stdin" if str(path) == STDIN else str(path)
    if str(path) == STDIN:
        source = spooled(name, sys.stdin.buffer)
    elif Path(path).is_dir():
        raise InputDataError(f"{name}: wanted a file, found a folder")
    elif not Path(path).exists():
        raise InputDataError(f"{name}: no such file")
    elif Path(path).is_file():
        source = file_source(Path(path), name)
    else:
        with read_errors(name), Path(path).open("rb") as pipe:
            source = spooled(name, pipe)
    return checked(source)


def checked(source: Source) -> Source:
    """Return the source if it holds anything.

    Raises
    ------
    InputDataError
        If it is empty or cannot be read.
    """
    if not source.head.strip():
        raise InputDataError(f"{source.name}: an empty file; wanted formulas")
    return source


def file_source(path: Path, name: str) -> Source:
    """Return a regular file as a source."""
    with read_errors(name):
        size = path.stat().st_size
    return Source(name, lambda: path.open("rb"), size, Budget(size))


def bytes_source(name: str, content: bytes, budget: Budget) -> Source:
    """Return bytes in memory as a source."""
    return Source(name, partial(io.BytesIO, content), len(content), budget)


def spooled(name: str, stream: IO[bytes]) -> Source:
    """Return what can be read only once as a source, kept in memory or, if it is large, in a temporary file."""
    with read_errors(name):
        start = stream.read(_SPOOLED_BYTES)
        if len(start) < _SPOOLED_BYTES:
            return bytes_source(name, start, Budget(len(start)))
        with tempfile.NamedTemporaryFile(prefix="crcrank-", delete=False) as file:
            kept = _TemporaryFile(Path(file.name))
            file.write(start)
            shutil.copyfileobj(stream, file, 1 << 20)
            size = file.tell()
    return Source(name, kept.open, size, Budget(size), is_detached=False)


class _TemporaryFile:
    """A file that is removed when nothing refers to it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        weakref.finalize(self, path.unlink, missing_ok=True)

    def open(self) -> IO[bytes]:
        return self._path.open("rb")


class _Tap(io.RawIOBase):
    """A stream that tells how many bytes are read; closing it leaves the stream open."""

    def __init__(self, stream: IO[bytes], tell: Callable[[int], None] | None) -> None:
        self._stream = stream
        self._told = tell

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._stream.seekable()

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def readinto(self, buffer: Any) -> int:
        block = self._stream.read(len(buffer))
        buffer[: len(block)] = block
        if self._told is not None:
            self._told(len(block))
        return len(block)


@contextmanager
def read_errors(name: str) -> Iterator[None]:
    """Turn what reading a damaged or unreadable file raises into one line that names it.

    Raises
    ------
    InputDataError
        Instead of the errors of the modules that read.
    """
    try:
        yield
    except InputDataError as error:
        if str(error).startswith(name):
            raise
        raise InputDataError(f"{name}: {error}") from error
    except _DAMAGED as error:
        raise InputDataError(f"{name}: a damaged or truncated file ({_one_line(error)})") from error
    except UnicodeError as error:
        raise InputDataError(f"{name}: neither UTF-8, UTF-16 nor Latin-1 text ({error})") from error
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else _one_line(error)
        raise InputDataError(f"{name}: cannot be read ({reason})") from error


def repaired(text: str) -> str:
    """Return a text with bytes that were no UTF-8 read as Latin-1."""
    if text.isascii():
        return text
    data = text.encode("utf-8", "surrogateescape")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
