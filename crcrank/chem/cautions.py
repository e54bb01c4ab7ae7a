"""What to mind about elements before one makes a compound of them: scarce, toxic."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from crcrank.chem.elements import Row, check_symbol, read_number, read_rows
from crcrank.errors import ConfigError

SCARCE_BELOW = 0.1
"""Amount in the earth's crust, mg/kg: the noble metals, Se, Te, Re, Hg and Bi have less."""

TOXIC_UP_TO = 0.02
"""Largest amount allowed in drinking water, mg/l: Be, As, Cd, Sb, Hg, Tl and Pb have such a limit."""

_ABUNDANCE, _LIMIT = "crustal_abundance_mg_per_kg", "drinking_water_limit_mg_per_l"


@dataclass(frozen=True)
class Cautions:
    """Elements to mind.

    Attributes
    ----------
    scarce
        Elements with less than :data:`SCARCE_BELOW` in the earth's crust.
    toxic
        Elements that drinking water may hold at most :data:`TOXIC_UP_TO` of.
    """

    scarce: frozenset[str]
    toxic: frozenset[str]


def read_cautions(path: Path) -> Cautions:
    """Read a table of abundances and limits; an empty cell is a missing value and marks nothing.

    Parameters
    ----------
    path
        CSV with the columns ``symbol``, ``crustal_abundance_mg_per_kg`` and ``drinking_water_limit_mg_per_l``.

    Raises
    ------
    ConfigError
        A column is missing, a cell is no number from 0 on, a symbol is unknown or occurs twice, or the file cannot be read as CSV.
    """
    abundance: dict[str, float] = {}
    limit: dict[str, float] = {}
    for row in read_rows(path, ("symbol", _ABUNDANCE, _LIMIT)):
        symbol = check_symbol(row.cells["symbol"], row.where)
        if symbol in abundance:
            raise ConfigError(f"{row.where}: expected every element once, found {symbol} again")
        abundance[symbol], limit[symbol] = _amount(row, _ABUNDANCE), _amount(row, _LIMIT)
    return Cautions(
        scarce=frozenset(symbol for symbol, amount in abundance.items() if amount < SCARCE_BELOW),
        toxic=frozenset(symbol for symbol, amount in limit.items() if amount <= TOXIC_UP_TO),
    )


def _amount(row: Row, column: str) -> float:
    amount = read_number(row, column)
    if amount < 0:
        raise ConfigError(f"{row.where}, column {column}: expected 0 or more, found {amount:g}")
    return math.inf if math.isnan(amount) else amount
