"""Feed the readers mutations of the examples in tests/data for some minutes: no traceback, no hang, no memory blow-up.

    python scripts/fuzz_readers.py --minutes 10 --seed 0

A file that breaks a reader is kept in the folder that is printed; its name tells the seed of its mutation.
"""

from __future__ import annotations

import argparse
import bz2
import gzip
import io
import logging
import lzma
import random
import resource
import shutil
import signal
import sys
import tarfile
import tempfile
import time
import traceback
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from crcrank.errors import CrcrankError, InputDataError
from crcrank.sources.records import RawRecord
from crcrank.sources.registry import FORMATS, Reading, read_source
from crcrank.stages.ingest import run_ingest

DATA = Path(__file__).parent.parent / "tests" / "data"
MAX_SECONDS = 30
MAX_GROWTH_MIB = 1_000

_TOKENS = [
    b"data_", b"data_x\n", b"\n;\n", b"loop_\n", b"_chemical_formula_sum ", b"'", b'"', b"{", b"}", b"[", b"]", b'{"data": [', b",", b";",
    b"\t", b"|", b"\0", b"\xff", b"\xef\xbb\xbf", b"\xff\xfe", b"\r", b"\n", b"null", b"NaN", b"1e999", b"9" * 5_000, b"-", b"Xx", b"(",
    b")" * 50, b"[" * 5_000, b"PK\x03\x04", b"PAR1", b"\x1f\x8b\x08", b"ustar", b"formula,id,year\n", b"\xe2\x82\x83", b"\xed\xa0\x80",
    b"\\ud800", b"A" * 200_000, b" " * 10_000, b"(" * 20_000,
]  # fmt: skip


def examples() -> list[Path]:
    """Return the files to mutate."""
    return sorted(path for path in DATA.rglob("*") if path.is_file())


def mutated(content: bytes, rng: random.Random) -> bytes:
    """Return the content after a few random edits, packed at times, and then edited again at times."""
    for _ in range(rng.randint(1, 6)):
        content = rng.choice(_EDITS)(content, rng)
    if rng.random() < 0.3:
        content = rng.choice(_PACKINGS)(content)
        if rng.random() < 0.5:
            content = rng.choice(_EDITS)(content, rng)
    return content


def check_file(path: Path, name: str | None) -> str:
    """Read a file; return what came of it.

    Raises
    ------
    AssertionError
        If it is refused in any but one clear line that names it.
    """
    try:
        records = list(read_source(path, Reading(name)))
    except InputDataError as error:
        _check("\n" not in str(error) and str(path) in str(error), str(error))
        return "refused"
    _check(all(isinstance(record, RawRecord) for record in records), "wanted records")
    return "read"


def check_folder(folder: Path) -> None:
    """Read a folder that holds ``good.txt`` with one formula, whatever else it holds.

    Raises
    ------
    AssertionError
        If that formula is not found.
    """
    good = str(folder / "good.txt")
    found = [record.text for record in read_source(folder, Reading(n_threads=2)) if record.source == good]
    _check(found == ["NaCl"], str(found))


def _check(is_well: bool, what: str) -> None:
    if not is_well:
        raise AssertionError(what)


# ---- edits ----


def _spot(content: bytes, rng: random.Random) -> int:
    return rng.randint(0, len(content))


def _flip(content: bytes, rng: random.Random) -> bytes:
    if not content:
        return content
    at = rng.randrange(len(content))
    return content[:at] + bytes([rng.randrange(256)]) + content[at + 1 :]


def _insert(content: bytes, rng: random.Random) -> bytes:
    at = _spot(content, rng)
    return content[:at] + rng.choice(_TOKENS) + content[at:]


def _delete(content: bytes, rng: random.Random) -> bytes:
    first, last = sorted((_spot(content, rng), _spot(content, rng)))
    return content[:first] + content[min(last, first + rng.choice([1, 10, 1_000])) :]


def _repeat(content: bytes, rng: random.Random) -> bytes:
    first, last = sorted((_spot(content, rng), _spot(content, rng)))
    return content[:first] + content[first:last] * rng.choice([2, 3, 50]) + content[last:]


def _cut(content: bytes, rng: random.Random) -> bytes:
    return content[: _spot(content, rng)]


def _join(content: bytes, rng: random.Random) -> bytes:
    other = rng.choice(examples()).read_bytes()
    return content[: _spot(content, rng)] + other[_spot(other, rng) :]


_EDITS: list[Callable[[bytes, random.Random], bytes]] = [_flip, _flip, _insert, _insert, _delete, _repeat, _cut, _join]


def _zipped(content: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("good.txt", "NaCl\n")
        archive.writestr("mutated", content)
    return packed.getvalue()


def _tarred(content: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        info = tarfile.TarInfo("mutated")
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    return packed.getvalue()


_PACKINGS: list[Callable[[bytes], bytes]] = [gzip.compress, lzma.compress, bz2.compress, _zipped, _tarred]


# ---- for some minutes ----


def main() -> int:
    """Run until the time is up; return 1 if anything broke."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--minutes", type=float, default=10)
    arguments.add_argument("--seed", type=int, default=0)
    given = arguments.parse_args()
    folder, failures = Path(tempfile.mkdtemp(prefix="fuzz-")), Path(tempfile.mkdtemp(prefix="fuzz-failures-"))
    (folder / "good.txt").write_text("NaCl\n", encoding="utf-8")
    logging.getLogger("crcrank").setLevel(logging.ERROR)
    signal.signal(signal.SIGALRM, _time_is_up)
    counts: Counter[str] = Counter()
    slowest, ends_at, seed = 0.0, time.monotonic() + given.minutes * 60, given.seed
    while time.monotonic() < ends_at:
        seed += 1
        started = time.process_time()
        counts[_tried(seed, folder, failures)] += 1
        slowest = max(slowest, time.process_time() - started)
    n = counts.total()
    print(f"{n:,} mutations, seeds {given.seed + 1} to {seed}: {dict(counts)}; slowest {slowest:.1f} s CPU; at most {_peak_mib():,} MiB")
    shutil.rmtree(folder)
    if counts["broken"]:
        print(f"failures are in {failures}")
        return 1
    failures.rmdir()
    return 0


def _tried(seed: int, folder: Path, failures: Path) -> str:
    rng = random.Random(seed)  # noqa: S311  (no secrets here)
    content = mutated(rng.choice(examples()).read_bytes(), rng)
    path = folder / f"mutated-{seed}"
    path.write_bytes(content)
    before = _peak_mib()
    signal.alarm(MAX_SECONDS)
    try:
        outcome = check_file(path, rng.choice([None, rng.choice(list(FORMATS))]))
        check_folder(folder)
        if rng.random() < 0.1:
            _ingest(folder)
        _check(_peak_mib() - before < MAX_GROWTH_MIB, f"{_peak_mib() - before} MiB more")
    except Exception:  # noqa: BLE001  (whatever it is, it is what we look for)
        (failures / path.name).write_bytes(content)
        traceback.print_exc()
        outcome = "broken"
    finally:
        signal.alarm(0)
        path.unlink()
    return outcome


def _ingest(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as results:
        try:
            run_ingest([folder], Path(results) / "known.parquet")
        except CrcrankError as error:
            _check("\n" not in str(error), str(error))


def _peak_mib() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // (1 << 20 if sys.platform == "darwin" else 1 << 10)


def _time_is_up(*_: object) -> None:
    raise TimeoutError(f"more than {MAX_SECONDS} s")


if __name__ == "__main__":
    sys.exit(main())
