"""Ions, and the table of those that a candidate may hold."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from crcrank.chem.elements import Row, check_symbol, read_rows
from crcrank.errors import ConfigError

_LABEL = re.compile(r"([A-Z][a-z]?)([1-9][0-9]*)([+-])")
_COLUMNS = ("ion", "element", "oxidation_state", "role", "icsd_count")
_SIGN_BY_ROLE = {"cation": 1, "anion": -1}


@dataclass(frozen=True, slots=True)
class Ion:
    """An element in one oxidation state.

    Parameters
    ----------
    element
        Element symbol.
    oxidation_state
        In elementary charges, not zero.

    Examples
    --------
    >>> Ion("Fe", 3).label, Ion("Cl", -1).label
    ('Fe3+', 'Cl1-')
    """

    element: str
    oxidation_state: int

    @property
    def label(self) -> str:
        """The one spelling of the ion: symbol, number (also 1), sign."""
        return f"{self.element}{abs(self.oxidation_state)}{'+' if self.oxidation_state > 0 else '-'}"


@dataclass(frozen=True)
class IonTable:
    """The ions that a candidate may hold.

    Parameters
    ----------
    cations
        By oxidation state, then element.
    anions
        By oxidation state from -1 downwards, then element.
    icsd_counts
        Number of ICSD structures with the ion, for every ion of the table.
    """

    cations: tuple[Ion, ...]
    anions: tuple[Ion, ...]
    icsd_counts: Mapping[Ion, int]

    def frequency(self, ion: Ion) -> float:
        """Return how often the element takes this oxidation state.

        Parameters
        ----------
        ion
            An ion of the table.

        Returns
        -------
        float
            Its count divided by the sum over the table's ions of the same element, in 0..1; equal shares where all of these counts
            are zero.
        """
        peers = [peer for peer in (*self.cations, *self.anions) if peer.element == ion.element]
        total = sum(self.icsd_counts[peer] for peer in peers)
        return self.icsd_counts[ion] / total if total else 1 / len(peers)


def parse_ion(label: str) -> Ion:
    """Read an ion's label.

    Parameters
    ----------
    label
        Symbol, number (also 1), sign.

    Returns
    -------
    Ion
        The ion whose ``label`` this is.

    Raises
    ------
    ConfigError
        The label is spelled otherwise or its element is unknown.

    Examples
    --------
    >>> parse_ion("O2-")
    Ion(element='O', oxidation_state=-2)
    """
    match = _LABEL.fullmatch(label)
    if match is None:
        raise ConfigError(f"ion: expected a label like Fe3+ or Cl1-, found {label!r}")
    element, number, sign = match.groups()
    return Ion(check_symbol(element, f"ion {label!r}"), int(sign + number))


def read_ion_table(path: Path) -> IonTable:
    """Read the table of ions.

    Parameters
    ----------
    path
        CSV with the columns ``ion``, ``element``, ``oxidation_state``, ``role`` (cation or anion) and ``icsd_count``.

    Returns
    -------
    IonTable
        The ions, in an order that does not depend on the file's.

    Raises
    ------
    ConfigError
        A column is missing, a cell has a wrong value, an ion occurs twice, there is no cation or no anion, or the file cannot
        be read as CSV.
    """
    counts: dict[Ion, int] = {}
    for row in read_rows(path, _COLUMNS):
        ion = _ion(row)
        if ion in counts:
            raise ConfigError(f"{row.where}: expected every ion once, found {ion.label} again")
        counts[ion] = _count(row)
    table = IonTable(
        cations=tuple(sorted((ion for ion in counts if ion.oxidation_state > 0), key=lambda ion: (ion.oxidation_state, ion.element))),
        anions=tuple(sorted((ion for ion in counts if ion.oxidation_state < 0), key=lambda ion: (-ion.oxidation_state, ion.element))),
        icsd_counts=counts,
    )
    if not (table.cations and table.anions):
        found = f"{len(table.cations)} cations and {len(table.anions)} anions"
        raise ConfigError(f"{path}: expected at least one cation and one anion, found {found}")
    return table


def _ion(row: Row) -> Ion:
    role = row.cells["role"]
    if role not in _SIGN_BY_ROLE:
        raise ConfigError(f"{row.where}, column role: expected cation or anion, found {role!r}")
    ion = Ion(check_symbol(row.cells["element"], f"{row.where}, column element"), _integer(row, "oxidation_state"))
    if ion.oxidation_state * _SIGN_BY_ROLE[role] <= 0:
        sign = "positive" if _SIGN_BY_ROLE[role] > 0 else "negative"
        raise ConfigError(f"{row.where}, column oxidation_state: expected a {sign} number as {role}, found {ion.oxidation_state}")
    if row.cells["ion"] != ion.label:
        raise ConfigError(f"{row.where}, column ion: expected {ion.label}, found {row.cells['ion']!r}")
    return ion


def _count(row: Row) -> int:
    count = _integer(row, "icsd_count")
    if count < 0:
        raise ConfigError(f"{row.where}, column icsd_count: expected 0 or more, found {count}")
    return count


def _integer(row: Row, column: str) -> int:
    try:
        return int(row.cells[column])
    except ValueError as error:
        raise ConfigError(f"{row.where}, column {column}: expected an integer, found {row.cells[column]!r}") from error
