"""Write the table of what to mind about elements: how scarce they are (SMACT's copy of a table of the CRC Handbook), and how toxic.

A value that neither source holds stays empty. configs/README.md names the sources.
"""

import argparse
import csv
from pathlib import Path

from smact import Element

MADE_WITH = {"SMACT": "4.0.2"}
DEFAULT_OUT = Path(__file__).resolve().parents[1] / "configs" / "cautions.csv"

# The handbook's values where SMACT has none (Ru, Rn), or one that is ten or a hundred times too large or too small; checked against
# those of mendeleev 1.3.0, which are the handbook's too (95th edition).
CORRECTED_ABUNDANCE = {"S": 350, "Nb": 20, "Ru": 0.001, "Lu": 0.8, "Rn": 4e-13}

# Largest amounts in drinking water, mg/l: 40 CFR 141.62(b); of lead the action level of 40 CFR 141.80(c)(1) as amended in 2024
# (89 FR 86416), to be met from November 2027 and 0.015 until then; of uranium 40 CFR 141.66(e).
DRINKING_WATER_LIMIT = {
    "As": 0.010,
    "Ba": 2,
    "Be": 0.004,
    "Cd": 0.005,
    "Cr": 0.1,
    "Hg": 0.002,
    "Pb": 0.010,
    "Sb": 0.006,
    "Se": 0.05,
    "Tl": 0.002,
    "U": 0.030,
}


def abundance(symbol: str) -> float | None:
    """Return the amount of an element in the earth's crust, in mg/kg; None where there is no value."""
    found = CORRECTED_ABUNDANCE.get(symbol, Element(symbol).crustal_abundance)
    return float(found) if found else None


def rows(symbols: list[str]) -> list[list[object]]:
    """Return one row per element."""
    values = [(symbol, abundance(symbol), DRINKING_WATER_LIMIT.get(symbol)) for symbol in symbols]
    return [["" if value is None else value if isinstance(value, str) else f"{value:g}" for value in row] for row in values]


def main() -> None:
    """Write the table to the path given by --out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--out", type=Path, default=DEFAULT_OUT, help="CSV to write (default: configs/cautions.csv)")
    out: Path = parser.parse_args().out
    with (DEFAULT_OUT.parent / "elements.csv").open(encoding="utf-8", newline="") as stream:
        symbols = [row["symbol"] for row in csv.DictReader(stream)]
    with out.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["symbol", "crustal_abundance_mg_per_kg", "drinking_water_limit_mg_per_l"])
        writer.writerows(rows(symbols))


if __name__ == "__main__":
    main()
