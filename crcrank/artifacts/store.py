"""Atomic Parquet artifacts with provenance: a file that is present is complete."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa
import pyarrow.parquet as pq

from crcrank import __version__
from crcrank.artifacts.schemas import LONG_ROWS, METADATA_KEY, SCHEMA_VERSIONS, SCHEMAS, WRITTEN_BY
from crcrank.errors import ArtifactError, OutputError, OutputHeldError

_VERSIONED_PACKAGES = ("numpy", "numba", "polars", "pyarrow")


@dataclass(frozen=True)
class Provenance:
    """Where an artifact comes from; stored as JSON beside its rows.

    Parameters
    ----------
    config
        The settings that shaped the rows, JSON-serialisable.
    inputs
        Files read; each is recorded with its sha256.
    space_digest
        Digest of the candidate space that ids refer to, if any.
    seed
        Seed of the stage's random numbers, if any.
    extra
        Stage-specific facts (counts, loss history).
    """

    config: Mapping[str, Any] = field(default_factory=dict)
    inputs: Sequence[Path] = ()
    space_digest: str | None = None
    seed: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Artifact:
    """A checked artifact: its rows and its metadata."""

    path: Path
    table: pa.Table
    metadata: dict[str, Any]


def digest_of(value: Any) -> str:
    """Return the sha256 of a JSON-serialisable value, independent of key order."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def sha256_of_file(path: Path) -> str:
    """Return the sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file's bytes, or of the names and bytes of all files in a folder but hidden ones."""
    if not path.is_dir():
        return sha256_of_file(path)
    return digest_of([(str(item.relative_to(path)), _sha256_or_reason(item)) for item in _files(path)])


def _files(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(parent, name) for name in sorted(names) if not name.startswith("."))


def _sha256_or_reason(path: Path) -> str:
    try:
        return sha256_of_file(path) if path.is_file() else "no file"
    except OSError as error:
        return str(error.strerror)


def sibling(path: Path, kind: str) -> Path:
    """Return the path beside ``path`` for a companion artifact: ``known.parquet`` -> ``known.rejected.parquet``."""
    return path.with_suffix(f".{kind}{path.suffix}")


@contextmanager
def hold_output(path: Path, *, overwrite: bool) -> Iterator[None]:
    """Hold ``path`` for writing by this process alone.

    Raises
    ------
    OutputError
        If it exists and ``overwrite`` is false, or its folder cannot be written.
    OutputHeldError
        If another process holds it.
    """
    if path.exists() and not overwrite:
        raise OutputError(f"{path} exists already: --force replaces it, -o chooses another name")
    lock_path = path.parent / f".{path.name}.lock"
    with _write_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = _locked(lock_path)
    if lock is None:
        raise OutputHeldError(f"{path}: another crcrank run is writing it; wait for it or choose another place")
    with lock:
        try:
            yield
        finally:
            lock_path.unlink(missing_ok=True)


def _locked(lock_path: Path) -> TextIO | None:
    """Return the lock file, locked, or None if another process holds it."""
    while True:
        lock = lock_path.open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(lock.fileno()).st_ino == lock_path.stat().st_ino:
                return lock
        except BlockingIOError:
            lock.close()
            return None
        except FileNotFoundError:
            pass
        lock.close()  # its holder removed it between our opening and our locking: try again with the new file


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path; sync it and rename it to ``path`` on success, remove it on any failure."""
    temporary = path.parent / f".{path.stem}.{os.getpid()}.partial{path.suffix}"
    try:
        with _write_errors(path):
            yield temporary
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


@contextmanager
def _write_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise OutputError(f"{path}: no space left on the device; nothing was written") from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.EEXIST):
            raise OutputError(f"{path}: cannot be written ({os.strerror(error.errno)})") from error
        raise


class ArtifactWriter:
    """Writes the rows of an artifact of ``kind`` part by part, and counts them."""

    def __init__(self, writer: pq.ParquetWriter, kind: str) -> None:
        self._writer, self._schema, self._group_size = writer, SCHEMAS[kind], 1 if kind in LONG_ROWS else None
        self.n_rows = 0

    def write(self, rows: pa.Table | Mapping[str, Any]) -> None:
        """Write a table, or a mapping of columns; columns that the schema does not name are left out."""
        table = rows.select(self._schema.names) if isinstance(rows, pa.Table) else pa.table(dict(rows), schema=self._schema)
        if not table.schema.equals(self._schema):
            table = table.cast(self._schema)  # to load what casts takes longer than to write a ranking
        self._writer.write_table(table, row_group_size=self._group_size)
        self.n_rows += table.num_rows


@contextmanager
def artifact_writer(path: Path, kind: str, provenance: Provenance) -> Iterator[ArtifactWriter]:
    """Yield a writer of an artifact of ``kind``; the file appears only when the block ends well."""
    header = _header(kind, provenance)
    options: dict[str, Any] = {"compression": "zstd", "use_dictionary": kind not in LONG_ROWS}
    with replacing(path) as temporary, pq.ParquetWriter(temporary, SCHEMAS[kind], **options) as parquet:
        writer = ArtifactWriter(parquet, kind)
        yield writer
        header["n_rows"] = writer.n_rows
        parquet.add_key_value_metadata({METADATA_KEY: json.dumps(header, sort_keys=True).encode()})


def write_artifact(path: Path, kind: str, rows: pa.Table | Mapping[str, Any], provenance: Provenance) -> None:
    """Write ``rows`` (a table or a mapping of columns) atomically as an artifact of ``kind``."""
    with artifact_writer(path, kind, provenance) as writer:
        writer.write(rows)


def read_artifact(path: Path, kind: str, *, space_digest: str | None = None, wanted: Callable[[Any], bool] | None = None) -> Artifact:
    """Read and check an artifact.

    Parameters
    ----------
    wanted
        Which rows to read, by their first column; of rows written as a group, all are read if one is wanted.

    Raises
    ------
    ArtifactError
        If the file is missing, damaged, of another kind or schema, or from another space.
    """
    metadata = read_metadata(path, kind)
    try:
        file = pq.ParquetFile(path)  # read_table would load pandas where it is installed
        table = pa.concat_tables([file.schema_arrow.empty_table(), *_groups(file, wanted)])
    except (pa.ArrowException, OSError) as error:
        raise ArtifactError(f"{path}: damaged Parquet file ({_first_line(error)}); write it again") from error
    schema = SCHEMAS[kind]
    for column in schema:
        if column.name not in table.column_names:
            raise ArtifactError(f"{path}: wanted a column {column.name!r} ({column.type}), found {table.column_names}")
        found = table.schema.field(column.name).type
        if found != column.type:
            raise ArtifactError(f"{path}: column {column.name!r} should be {column.type}, found {found}")
    if file.metadata.num_rows != metadata["n_rows"]:
        raise ArtifactError(f"{path}: wanted {metadata['n_rows']} rows, found {file.metadata.num_rows}")
    check_space(path, metadata, space_digest)
    return Artifact(path, table.select(schema.names), metadata)


def _groups(file: pq.ParquetFile, wanted: Callable[[Any], bool] | None) -> Iterator[pa.Table]:
    """Yield the groups of rows, one by one and by this thread: all at once, or by threads of its own, takes Arrow far more memory."""
    first = file.schema_arrow.names[:1]
    for i in range(file.num_row_groups):
        if wanted is None or any(map(wanted, file.read_row_group(i, columns=first).column(0).to_pylist())):
            yield file.read_row_group(i, use_threads=False)


def check_space(path: Path, metadata: Mapping[str, Any], space_digest: str | None) -> None:
    """Raise ArtifactError unless the artifact's space is the wanted one (no check for ``None``)."""
    found = metadata.get("space_digest")
    if space_digest is not None and found != space_digest:
        raise ArtifactError(
            f"{path}: made for another candidate space (wanted digest {space_digest[:12]}, found {str(found)[:12]}); "
            "use the configuration it was made with (--config), or make it again"
        )


def read_metadata(path: Path, kind: str) -> dict[str, Any]:
    """Read and check the metadata of an artifact without its rows."""
    wanted, hint = f"wanted an artifact of kind {kind!r}", f"crcrank {WRITTEN_BY[kind]} writes one"
    if not path.exists():
        raise ArtifactError(f"{path}: no such file; {wanted}; {hint}")
    try:
        raw = pq.read_metadata(path).metadata or {}
    except (pa.ArrowException, OSError) as error:
        raise ArtifactError(f"{path}: not a readable Parquet file ({_first_line(error)}); {wanted}; {hint}") from error
    if METADATA_KEY not in raw:
        raise ArtifactError(f"{path}: a Parquet file, but not written by crcrank; {wanted}; {hint}")
    metadata: dict[str, Any] = json.loads(raw[METADATA_KEY])
    if metadata["kind"] != kind:
        raise ArtifactError(f"{path}: {wanted}, found {metadata['kind']!r}; {hint}")
    if (found := metadata["schema_version"]) != SCHEMA_VERSIONS[kind]:
        raise ArtifactError(
            f"{path}: {wanted} in schema version {SCHEMA_VERSIONS[kind]}, found version {found}; make it again: crcrank {WRITTEN_BY[kind]}"
        )
    return metadata


def _header(kind: str, provenance: Provenance) -> dict[str, Any]:
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    now = datetime.fromtimestamp(int(epoch), UTC) if epoch else datetime.now(UTC)
    return {
        "kind": kind,
        "schema_version": SCHEMA_VERSIONS[kind],
        "crcrank_version": __version__,
        "config": dict(provenance.config),
        "config_digest": digest_of(dict(provenance.config)),
        "space_digest": provenance.space_digest,
        "inputs": [{"path": str(path), "sha256": sha256_of(path)} for path in provenance.inputs],
        "seed": provenance.seed,
        "created_at": now.isoformat(timespec="seconds"),
        "packages": {"python": platform.python_version()} | {name: version(name) for name in _VERSIONED_PACKAGES},
        "extra": dict(provenance.extra),
    }


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
