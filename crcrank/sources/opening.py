"""Users' files opened: plain or gzipped, named, piped or stdin; every failure is one clear line."""

from __future__ import annotations

import gzip
import io
import os
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from crcrank.errors import InputDataError

STDIN = "-"

_HEAD_BYTES = 65_536
_GZIP_MAGIC = b"\x1f\x8b"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_BINARY_KINDS = {b"PK\x03\x04": "a zip archive or an Excel workbook", b"SQLite": "an SQLite database", b"PAR1": "a Parquet file"}


@dataclass(frozen=True, slots=True)
class Source:
    """A readable input.

    Parameters
    ----------
    name
        What messages and artifacts call it: the path as the user wrote it, or ``stdin``.
    origin
        A regular file, or the bytes of what can be read only once (stdin, a pipe).
    """

    name: str
    origin: Path | bytes

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """Open for reading bytes, unpacking gzip.

        Raises
        ------
        InputDataError
            If the file cannot be read or its gzip stream is damaged, also while the block reads.
        """
        with _read_errors(self.name), _opened(self.origin) as raw:
            is_packed = raw.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
            raw.seek(0)
            if is_packed:
                with gzip.GzipFile(fileobj=raw) as unpacked:
                    yield cast("IO[bytes]", unpacked)
            else:
                yield raw

    def head(self) -> bytes:
        """Return the first 64 KiB."""
        with self.open() as file:
            return file.read(_HEAD_BYTES)

    def lines(self) -> Iterator[str]:
        r"""Yield the lines of a text with their ends (``\n``, ``\r`` or ``\r\n``).

        The encoding is UTF-8, or UTF-16 if the file begins with its mark. A line that is no UTF-8 is taken as Latin-1,
        in which older databases write the names of authors; formulas read the same in both.

        Raises
        ------
        InputDataError
            If the file is binary.
        """
        encoding = self._encoding()
        with self.open() as file, io.TextIOWrapper(file, encoding, errors="surrogateescape", newline="") as text:
            for line in text:
                yield line if line.isascii() else _repaired(line)

    def _encoding(self) -> str:
        head = self.head()
        if head.startswith(_UTF16_MARKS):
            return "utf-16"
        if b"\0" in head:
            found = next((kind for magic, kind in _BINARY_KINDS.items() if head.startswith(magic)), "a binary file")
            raise InputDataError(f"{self.name}: wanted a text, found {found}")
        return "utf-8-sig"


def open_source(path: Path | str) -> Source:
    """Return the source behind a path, or stdin for ``-``.

    Raises
    ------
    InputDataError
        If there is no such file, it is a folder, it cannot be read, or it is empty.
    """
    name = "stdin" if str(path) == STDIN else str(path)
    if str(path) == STDIN:
        source = Source(name, sys.stdin.buffer.read())
    elif Path(path).is_dir():
        raise InputDataError(f"{name}: wanted a file, found a folder")
    elif not Path(path).exists():
        raise InputDataError(f"{name}: no such file")
    else:
        with _read_errors(name):
            source = Source(name, Path(path) if Path(path).is_file() else Path(path).read_bytes())
    if not source.head().strip():
        raise InputDataError(f"{name}: an empty file; wanted formulas")
    return source


@contextmanager
def _opened(origin: Path | bytes) -> Iterator[IO[bytes]]:
    with io.BytesIO(origin) if isinstance(origin, bytes) else origin.open("rb") as raw:
        yield raw


@contextmanager
def _read_errors(name: str) -> Iterator[None]:
    try:
        yield
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputDataError(f"{name}: a damaged or truncated gzip file ({error})") from error
    except UnicodeError as error:
        raise InputDataError(f"{name}: neither UTF-8, UTF-16 nor Latin-1 text ({error})") from error
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise InputDataError(f"{name}: cannot be read ({reason})") from error


def _repaired(line: str) -> str:
    """Return the line with bytes that were no UTF-8 read as Latin-1."""
    data = line.encode("utf-8", "surrogateescape")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")
