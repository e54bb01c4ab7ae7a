"""Elemental properties, and the principal components of them that enter a model as its prior."""

from __future__ import annotations

import csv
import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from crcrank.errors import ConfigError

_SYMBOLS = """
H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr
Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu
Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr
Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og
"""
ELEMENT_SYMBOLS: tuple[str, ...] = tuple(_SYMBOLS.split())  # by atomic number, 1 to 118
_REQUIRED_COLUMNS = ("symbol", "atomic_number", "radioactive", "pauling_electronegativity")
_NOT_PROPERTIES = frozenset({"symbol", "radioactive"})
_TRUTH = {"true": True, "false": False}


class Row(NamedTuple):
    """A line of a CSV table.

    Parameters
    ----------
    where
        File and line, for error messages.
    cells
        Column name to text, stripped.
    """

    where: str
    cells: dict[str, str]


@dataclass(frozen=True, eq=False)
class ElementTable:
    """Properties of the elements.

    Parameters
    ----------
    symbols
        Element symbols, in the order of the file.
    property_names
        Names of the numeric columns, in the order of the file; units are part of the names (``configs/README.md``).
    values
        float64 (n_elements, n_properties), NaN where the value is missing.
    radioactive
        Elements without a stable isotope.
    """

    symbols: tuple[str, ...]
    property_names: tuple[str, ...]
    values: np.ndarray
    radioactive: frozenset[str]


@dataclass(frozen=True, eq=False)
class PropertyComponents:
    """Principal components of the elemental properties.

    Parameters
    ----------
    components
        float64 (n_symbols, p); every column has zero mean and unit variance over the symbols.
    property_names
        The properties that vary over the symbols, the rows of ``loadings``.
    loadings
        float64 (n_properties, p); orthonormal columns, the entry of largest magnitude positive.
    explained_variance_ratio
        float64 (p,), in 0..1, descending: each component's share of the variance of the standardised properties.
    imputed
        One line of text for every value that was missing and filled in.
    """

    components: np.ndarray
    property_names: tuple[str, ...]
    loadings: np.ndarray
    explained_variance_ratio: np.ndarray
    imputed: list[str]


def read_rows(path: Path, required_columns: Collection[str]) -> list[Row]:
    """Read a CSV table with a header line.

    Parameters
    ----------
    path
        UTF-8 text, comma-separated. Empty lines are passed over.
    required_columns
        Columns that the header must name; others are kept too.

    Returns
    -------
    list[Row]
        At least one row; every row has the header's columns.

    Raises
    ------
    ConfigError
        The file cannot be read, is no CSV text, lacks a column, names one twice, has a line of another length, or no rows.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = list(_checked_rows(csv.reader(stream, strict=True), path, required_columns))
    except OSError as error:
        raise ConfigError(f"{path}: expected a readable table, found: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path}: expected CSV text in UTF-8, found: {error}") from error
    if not rows:
        raise ConfigError(f"{path}: expected at least one row below the header, found none")
    return rows


def _checked_rows(lines: Iterator[list[str]], path: Path, required_columns: Collection[str]) -> Iterator[Row]:
    header = [name.strip() for name in next(lines, [])]
    missing = [name for name in required_columns if name not in header]
    if missing:
        raise ConfigError(f"{path}, line 1: expected the columns {', '.join(missing)}, found {', '.join(header) or 'nothing'}")
    if len(set(header)) < len(header):
        raise ConfigError(f"{path}, line 1: expected every column once, found {', '.join(header)}")
    for number, cells in enumerate(lines, start=2):
        where = f"{path}, line {number}"
        if not any(cells):
            continue
        if len(cells) != len(header):
            raise ConfigError(f"{where}: expected {len(header)} cells as in the header, found {len(cells)}")
        yield Row(where, dict(zip(header, map(str.strip, cells), strict=True)))


def check_symbol(symbol: str, where: str) -> str:
    """Return the symbol if it is an element's.

    Raises
    ------
    ConfigError
        It is not; the message starts with ``where``.
    """
    if symbol not in ELEMENT_SYMBOLS:
        raise ConfigError(f"{where}: expected the symbol of an element, found {symbol!r}")
    return symbol


def read_element_table(path: Path) -> ElementTable:
    """Read a table of elemental properties.

    Parameters
    ----------
    path
        CSV with the columns ``symbol``, ``atomic_number``, ``radioactive`` (true or false), ``pauling_electronegativity`` and
        any further numeric columns; an empty cell is a missing value.

    Returns
    -------
    ElementTable
        The rows of the file, in its order.

    Raises
    ------
    ConfigError
        A column is missing, a cell is not a number, a symbol is unknown or occurs twice, or the file cannot be read as CSV.
    """
    rows = read_rows(path, _REQUIRED_COLUMNS)
    names = tuple(name for name in rows[0].cells if name not in _NOT_PROPERTIES)
    radioactive: dict[str, bool] = {}
    for row in rows:
        symbol = check_symbol(row.cells["symbol"], row.where)
        if symbol in radioactive:
            raise ConfigError(f"{row.where}: expected every element once, found {symbol} again")
        radioactive[symbol] = _truth(row)
    values = np.array([[read_number(row, name) for name in names] for row in rows])
    return ElementTable(tuple(radioactive), names, values, frozenset(symbol for symbol, is_one in radioactive.items() if is_one))


def _truth(row: Row) -> bool:
    text = row.cells["radioactive"]
    if text not in _TRUTH:
        raise ConfigError(f"{row.where}, column radioactive: expected true or false, found {text!r}")
    return _TRUTH[text]


def read_number(row: Row, name: str) -> float:
    """Return the number in a cell, NaN for an empty one.

    Raises
    ------
    ConfigError
        The cell holds something else.
    """
    text = row.cells[name]
    if not text:
        return math.nan
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ConfigError(f"{row.where}, column {name}: expected a number or an empty cell, found {text!r}")
    return value


def imputed(table: ElementTable, symbols: Sequence[str]) -> tuple[np.ndarray, list[str]]:
    """Return the properties of the given elements without gaps.

    A missing value becomes the mean of the known values of the given elements of the same ``group``; where there is none (or
    the table has no column ``group``), of all given elements.

    Parameters
    ----------
    table
        The properties.
    symbols
        Elements, in the order wanted.

    Returns
    -------
    values
        float64 (n_symbols, n_properties), all finite.
    lines
        One line of text for every value filled in.

    Raises
    ------
    ConfigError
        An element is not in the table, or no given element has a value of some property.
    """
    values = table.values[[_row_index(table, symbol) for symbol in symbols]]
    groups = values[:, table.property_names.index("group")] if "group" in table.property_names else np.full(len(symbols), math.nan)
    filled, lines = values.copy(), []
    for row, column in np.argwhere(np.isnan(values)):
        known = ~np.isnan(values[:, column])
        same_group = known & (groups == groups[row])
        if not known.any():
            raise ConfigError(f"property {table.property_names[column]}: expected a value of at least one element, found none")
        donors = same_group if same_group.any() else known
        filled[row, column] = values[donors, column].mean()
        of_what = f"group {groups[row]:g}" if same_group.any() else "all elements"
        name = table.property_names[column]
        lines.append(f"{symbols[row]}: {name} is missing, filled with {filled[row, column]:.6g}, the mean over {donors.sum()} of {of_what}")
    return filled, lines


def _row_index(table: ElementTable, symbol: str) -> int:
    if symbol not in table.symbols:
        raise ConfigError(f"element properties: expected a row for {symbol}, found none among {len(table.symbols)} elements")
    return table.symbols.index(symbol)


def standardised(
    table: ElementTable, symbols: Sequence[str], leave_out: Collection[str] = ()
) -> tuple[np.ndarray, tuple[str, ...], list[str]]:
    """Return the properties that vary over the given elements, each with zero mean and unit variance; nothing is log-transformed.

    Parameters
    ----------
    table, symbols
        As for :func:`imputed`.
    leave_out
        Properties that are not wanted.

    Returns
    -------
    values
        float64 (n_symbols, n_varying).
    names
        The properties, the columns of ``values``.
    lines
        One line of text for every value filled in.

    Raises
    ------
    ConfigError
        As for :func:`imputed`.
    """
    values, lines = imputed(table, symbols)
    varies = np.ptp(values, axis=0) > 0
    kept = [i for i, name in enumerate(table.property_names) if varies[i] and name not in leave_out]
    values = values[:, kept]
    return (values - values.mean(axis=0)) / values.std(axis=0), tuple(table.property_names[i] for i in kept), lines


def property_components(table: ElementTable, symbols: Sequence[str], n_components: int) -> PropertyComponents:
    """Compress the properties of the given elements to their first principal components.

    The properties are :func:`standardised`, and the components scaled to unit variance.

    Parameters
    ----------
    table
        The properties.
    symbols
        Elements, each once; the rows of the components.
    n_components
        Number of components p, from 0 (no prior) to the rank of the standardised properties.

    Returns
    -------
    PropertyComponents
        The components, and what is needed to explain them.

    Raises
    ------
    ConfigError
        ``n_components`` is negative or larger than the rank, or a property cannot be imputed.
    """
    values, names, lines = standardised(table, symbols)
    left, singular, right = np.linalg.svd(values, full_matrices=False)
    rank = int((singular > 1e-10 * singular.max(initial=0.0)).sum())
    if not 0 <= n_components <= rank:
        raise ConfigError(f"prior components: expected 0 to {rank} (the rank of {len(names)} properties), found {n_components}")
    loadings = right[:n_components].T
    signs = _signs(loadings)
    components = left[:, :n_components] * signs * math.sqrt(len(symbols))
    ratio = singular[:n_components] ** 2 / max((singular**2).sum(), np.finfo(float).tiny)
    return PropertyComponents(components, names, loadings * signs, ratio, lines)


def _signs(loadings: np.ndarray) -> np.ndarray:
    """Return +1 or -1 per column, so that its entry of largest magnitude becomes positive."""
    if not loadings.size:
        return np.ones(loadings.shape[1])
    largest = loadings[np.abs(loadings).argmax(axis=0), np.arange(loadings.shape[1])]
    return np.where(largest < 0, -1.0, 1.0)
