"""Write the table of elemental properties from the data that pymatgen and SMACT ship (both MIT).

A value that neither knows stays empty: what is filled in later is filled in by crcrank.chem.elements, which names it.
configs/README.md describes every column, its unit and its source.
"""

import argparse
import csv
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from pymatgen.core import Element
from smact import Element as SmactElement

# The versions whose data the committed table holds (the distribution pymatgen-core carries pymatgen's elements).
MADE_WITH = {"pymatgen-core": "2026.10.16", "SMACT": "4.0.2"}
LAST_ATOMIC_NUMBER = 103
DEFAULT_OUT = Path(__file__).resolve().parents[1] / "configs" / "elements.csv"


class Sources(NamedTuple):
    """One element as the two packages know it."""

    element: Element
    data: dict[str, Any]  # pymatgen's record; a missing value is absent or a text
    smact: SmactElement


def pymatgen_value(key: str) -> Callable[[Sources], float | None]:
    """Return a reader of one entry of pymatgen's record."""
    return lambda sources: number(sources.data.get(key))


def number(value: object) -> float | None:
    """Return a number unchanged, and None for a text such as "no data" or for nothing."""
    return value if isinstance(value, int | float) else None


def ionization_energy(order: int) -> Callable[[Sources], float | None]:
    """Return a reader of the ionisation energy of the given order (1, 2, ...)."""

    def read(sources: Sources) -> float | None:
        energies = sources.data.get("Ionization energies") or []
        return number(energies[order - 1]) if len(energies) >= order else None

    return read


def n_valence_electrons(subshell: str) -> Callable[[Sources], int]:
    """Return a counter of the electrons outside the noble-gas core in one kind of subshell: s, p, d or f."""
    pattern = re.compile(rf"\d{subshell}(\d+)")
    return lambda sources: sum(int(n) for n in pattern.findall(sources.element.electronic_structure))


def mean_ionic_radius(sources: Sources) -> float | None:
    """Return the mean over all tabled oxidation states; pymatgen's zero means that there is none."""
    return float(sources.element.average_ionic_radius) or None


def density(sources: Sources) -> float | None:
    """Return atomic mass over molar volume, in g/cm3: pymatgen's own densities leave out gases and liquids."""
    molar_volume = number(sources.data.get("Molar volume"))
    return float(sources.element.atomic_mass) / molar_volume if molar_volume else None


COLUMNS: dict[str, Callable[[Sources], object]] = {
    "symbol": lambda sources: sources.element.symbol,
    "atomic_number": lambda sources: sources.element.Z,
    "radioactive": lambda sources: str(sources.element.is_radioactive).lower(),
    "atomic_mass_u": pymatgen_value("Atomic mass"),
    "period": lambda sources: sources.element.row,
    "group": lambda sources: sources.element.group,
    "mendeleev_number": pymatgen_value("Mendeleev no"),
    "pauling_electronegativity": pymatgen_value("X"),
    "first_ionization_energy_ev": ionization_energy(1),
    "second_ionization_energy_ev": ionization_energy(2),
    "electron_affinity_ev": pymatgen_value("Electron affinity"),
    "n_valence_s": n_valence_electrons("s"),
    "n_valence_p": n_valence_electrons("p"),
    "n_valence_d": n_valence_electrons("d"),
    "n_valence_f": n_valence_electrons("f"),
    "atomic_radius_angstrom": pymatgen_value("Atomic radius"),
    "covalent_radius_angstrom": lambda sources: sources.smact.covalent_radius,
    "van_der_waals_radius_angstrom": pymatgen_value("Van der waals radius"),
    "mean_ionic_radius_angstrom": mean_ionic_radius,
    "dipole_polarizability_au": lambda sources: sources.smact.dipol,
    "melting_point_k": pymatgen_value("Melting point"),
    "boiling_point_k": pymatgen_value("Boiling point"),
    "density_g_per_cm3": density,
    "molar_volume_cm3_per_mol": pymatgen_value("Molar volume"),
    "thermal_conductivity_w_per_m_k": pymatgen_value("Thermal conductivity"),
}


def cell(value: object) -> object:
    """Return what the CSV holds: six significant digits for a measured value, nothing for a missing one."""
    if isinstance(value, float):
        return f"{value:.6g}"
    return "" if value is None else value


def element_rows() -> list[list[object]]:
    """Return one row per element, by atomic number."""
    rows = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # both packages warn of the missing data that this table leaves empty
        for atomic_number in range(1, LAST_ATOMIC_NUMBER + 1):
            element = Element.from_Z(atomic_number)
            sources = Sources(element, element.data, SmactElement(element.symbol))
            rows.append([cell(read(sources)) for read in COLUMNS.values()])
    return rows


def main() -> None:
    """Write the table to the path given by --out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--out", type=Path, default=DEFAULT_OUT, help="CSV to write (default: configs/elements.csv)")
    out: Path = parser.parse_args().out
    with out.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(element_rows())


if __name__ == "__main__":
    main()
