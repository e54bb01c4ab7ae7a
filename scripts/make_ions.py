"""Write the default ion table from the oxidation-state counts that SMACT ships.

Source: `oxidation_states_icsd24_counts.json` of the package `smact` (MIT), the number of ICSD structures in which an
element has an oxidation state. The result is a plain CSV that users edit; configs/README.md describes its columns.
"""

import argparse
import csv
import json
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

MIN_STRUCTURES = 50
NOT_CATIONS = frozenset({"H", "O", "F", "He", "Ne", "Ar", "Kr", "Xe", "Rn", "Og"})
ANION_STATES = {
    **dict.fromkeys(("F", "Cl", "Br", "I"), -1),
    **dict.fromkeys(("O", "S", "Se", "Te"), -2),
    **dict.fromkeys(("N", "P", "As", "Sb"), -3),
}
COLUMNS = ("ion", "element", "oxidation_state", "role", "icsd_count")
DEFAULT_OUT = Path(__file__).resolve().parents[1] / "configs" / "ions.csv"


def read_counts() -> list[dict[str, Any]]:
    """Return SMACT's records with keys `element`, `oxidation_state` and `results_count`."""
    text = (files("smact") / "data" / "oxidation_states_icsd24_counts.json").read_text(encoding="utf-8")
    records: list[dict[str, Any]] = json.loads(text)
    return records


def role_of(element: str, oxidation_state: int, count: int) -> str | None:
    """Return `cation`, `anion`, or None for a state that the default table leaves out."""
    if ANION_STATES.get(element) == oxidation_state:
        return "anion"
    if oxidation_state > 0 and count >= MIN_STRUCTURES and element not in NOT_CATIONS:
        return "cation"
    return None


def ion_rows() -> Iterator[tuple[str, str, int, str, int]]:
    """Yield the rows of the ion table, by element and oxidation state."""
    for record in sorted(read_counts(), key=lambda r: (r["element"], r["oxidation_state"])):
        element, state, count = record["element"], record["oxidation_state"], record["results_count"]
        role = role_of(element, state, count)
        if role is not None:
            yield f"{element}{abs(state)}{'+' if state > 0 else '-'}", element, state, role, count


def main() -> None:
    """Write the table to the path given by --out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--out", type=Path, default=DEFAULT_OUT, help="CSV to write (default: configs/ions.csv)")
    out: Path = parser.parse_args().out
    with out.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(ion_rows())


if __name__ == "__main__":
    main()
