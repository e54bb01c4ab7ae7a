"""Compositions that are mixtures of known compounds in name: they lie on a line between two of them.

Only mixtures of two are looked for, since more would say nothing. With fixed oxidation states the balance of charges is one linear
equation, and what solves it for n cations and an anion is just what n simple compounds, one of each cation, add up to: BaTiO3 is
BaO + TiO2, and any oxide of three metals is a mixture of their three oxides. So with two cations nearly every formula lies on a line,
and what tells something is between which compounds; with three or four, to lie on one is particular.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import reduce
from itertools import combinations
from typing import NamedTuple

import numpy as np

from crcrank.space.lookup import places_in
from crcrank.space.ranges import written_out
from crcrank.space.space import Compositions

_CODES_SEED = 20182  # any number: lines are found by codes of 64 bits
_MIXER = np.uint64(0x9E3779B97F4A7C15)  # any odd number with bits all over


class TieLines(NamedTuple):
    """For each composition the two known compounds on whose line it lies.

    Attributes
    ----------
    parts
        Which known compounds, -1 where there are none, int64 (n, 2).
    numbers
        Formula units of each that add up to the composition, without a common divisor, int64 (n, 2).
    """

    parts: np.ndarray
    numbers: np.ndarray


class _Systems(NamedTuple):
    """Known compositions of one number of elements, sorted by their chemical system.

    Attributes
    ----------
    keys, first
        A number for each system, ascending, int64 (n_systems,), and where each begins and the last ends, int64 (n_systems + 1,).
    known, amounts
        Which compositions, int64 (n,), and their amounts, int64 (n, n_elements).
    """

    keys: np.ndarray
    first: np.ndarray
    known: np.ndarray
    amounts: np.ndarray

    def of(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the compositions of each of some systems, as (index into ``keys``, index into ``known``), int64 (n,)."""
        systems = places_in(self.keys, keys)
        n = np.where(systems >= 0, np.diff(self.first)[systems], 0)
        return written_out(self.first[systems], n)

    def spread(self, places: np.ndarray, columns: Sequence[int], n_columns: int) -> tuple[np.ndarray, np.ndarray]:
        """Return which compositions are at some places, and their amounts as some rows of several, int64 (n_columns, n)."""
        amounts = np.zeros((n_columns, len(places)), np.int64)
        amounts[columns] = self.amounts[places].T
        return self.known[places], amounts


class _Views(NamedTuple):
    """Known compounds as seen from compositions, those of a composition in a fixed order.

    Attributes
    ----------
    row, known
        From which composition, and which known compound, int64 (n,).
    way
        The difference of the atomic fractions, times the numbers of atoms of both, int64 (n_elements, n).
    n_atoms
        The number of the compound, int64 (n,).
    """

    row: np.ndarray
    known: np.ndarray
    way: np.ndarray
    n_atoms: np.ndarray

    @property
    def steps(self) -> np.ndarray:
        """How many times the smallest whole numbers ``way`` is, int64 (n,)."""
        return np.asarray(reduce(np.gcd, self.way))

    def taken(self, chosen: np.ndarray) -> _Views:
        """Return some of them."""
        return _Views(self.row[chosen], self.known[chosen], self.way[:, chosen], self.n_atoms[chosen])


class KnownSystems:
    """Known compositions by their chemical system.

    Parameters
    ----------
    known
        Elements, in alphabetical order, and amounts of each, every composition once.
    """

    def __init__(self, known: Compositions) -> None:
        self._rows: dict[tuple[str, ...], list[int]] = {}
        for i, (elements, _) in enumerate(known):
            self._rows.setdefault(tuple(elements), []).append(i)
        self._codes = {symbol: i for i, symbol in enumerate(sorted({symbol for elements in self._rows for symbol in elements}))}
        self._systems = {n: self._sorted(n, known) for n in sorted({len(elements) for elements in self._rows})}

    def within(self, elements: Sequence[str]) -> list[int]:
        """Return the known compositions of exactly these elements."""
        return self._rows.get(tuple(elements), [])

    def tie_lines(self, wanted: Compositions) -> TieLines:
        """Return between which two known compounds each composition lies, the closest to it of several.

        The closest are those with the smallest mean square distance, in atomic fractions and weighted by their share of the atoms; of
        equally close ones the first, where fewer elements come before more, then the alphabet and the order of the known.

        Parameters
        ----------
        wanted
            Elements in alphabetical order, nine at most, and amounts of each.
        """
        lines = TieLines(np.full((len(wanted), 2), -1), np.zeros((len(wanted), 2), np.int64))
        sizes = np.array([len(elements) for elements, _ in wanted], np.int64)
        for n in np.unique(sizes):
            rows = np.flatnonzero(sizes == n)
            chosen = [wanted[row] for row in rows.tolist()]
            codes = [[self._codes.get(symbol, len(self._codes)) for symbol in elements] for elements, _ in chosen]
            self._fill(lines, rows, np.array(codes), np.array([amounts for _, amounts in chosen]))
        return lines

    def _fill(self, lines: TieLines, rows: np.ndarray, elements: np.ndarray, amounts: np.ndarray) -> None:
        """Fill some rows; elements and amounts (n_rows, n_elements)."""
        seen = self._views(elements, amounts)
        pairs = _nearest_opposites(seen)
        first, second = seen.taken(pairs[:, 0]), seen.taken(pairs[:, 1])
        steps = np.array([first.steps, second.steps])
        way = first.way // steps[0]
        # At distances a and b, the weighted mean of squares is a b; equal ones are equal here, being quotients of whole numbers.
        spreads = steps[0] * steps[1] * (way * way).sum(axis=0) / (first.n_atoms * second.n_atoms)
        order = np.lexsort((pairs[:, 0], spreads, first.row))
        found, closest = np.unique(first.row[order], return_index=True)
        chosen = order[closest]
        numbers = steps[::-1, chosen]
        lines.parts[rows[found]] = np.column_stack([first.known[chosen], second.known[chosen]])
        lines.numbers[rows[found]] = (numbers // np.gcd(*numbers)).T

    def _views(self, elements: np.ndarray, amounts: np.ndarray) -> _Views:
        """Return the known compounds as seen from each composition, those that can have an opposite."""
        subsets = [columns for columns in _subsets(elements.shape[1]) if len(columns) in self._systems]
        found = [self._systems[len(columns)].of(self._keys(elements[:, columns])) for columns in subsets]
        is_useful = _can_have_opposites(elements.shape, subsets, [rows for rows, _ in found])
        parts = [(np.empty(0, np.int64), np.empty(0, np.int64), np.empty((elements.shape[1], 0), np.int64))]
        for columns, (rows, places) in zip(subsets, found, strict=True):
            kept = np.flatnonzero(is_useful[rows, _mask(columns)])
            parts.append((rows[kept], *self._systems[len(columns)].spread(places[kept], columns, elements.shape[1])))
        row, known, own = (np.concatenate(part, axis=-1) for part in zip(*parts, strict=True))
        return _seen(row, known, own, np.ascontiguousarray(amounts.T)[:, row])

    def _sorted(self, n_elements: int, known: Compositions) -> _Systems:
        rows = np.array([i for i, (elements, _) in enumerate(known) if len(elements) == n_elements])
        elements = np.array([[self._codes[symbol] for symbol in known[i][0]] for i in rows])
        keys = self._keys(elements)
        order = np.argsort(keys, kind="stable")
        distinct, first = np.unique(keys[order], return_index=True)
        return _Systems(distinct, np.append(first, len(rows)), rows[order], np.array([known[i][1] for i in rows])[order])

    def _keys(self, elements: np.ndarray) -> np.ndarray:
        """Return a number for each chemical system, int64 (n,)."""
        keys = np.zeros(len(elements), np.int64)
        for column in elements.T:
            keys = keys * (len(self._codes) + 1) + column
        return keys


def _subsets(n: int) -> Iterator[list[int]]:
    """Yield the subsets of ``n`` columns, smaller ones first."""
    for size in range(1, n + 1):
        yield from map(list, combinations(range(n), size))


def _mask(columns: Sequence[int]) -> int:
    return sum(1 << column for column in columns)


def _can_have_opposites(shape: tuple[int, ...], subsets: Sequence[Sequence[int]], rows: Sequence[np.ndarray]) -> np.ndarray:
    """Return for each row and subset of its columns whether known compounds hold all other columns, bool (n_rows, 2**n_columns).

    There are known compounds of ``subsets`` in ``rows``.
    """
    holds = np.zeros((shape[0], 1 << shape[1]), bool)
    for columns, own in zip(subsets, rows, strict=True):
        holds[own, _mask(columns)] = True
    for column in range(shape[1]):  # what holds a set of columns holds the set without this one, too
        both = holds.reshape(shape[0], -1, 2, 1 << column)
        both[:, :, 0] |= both[:, :, 1]
    return holds[:, ::-1]


def _seen(rows: np.ndarray, known: np.ndarray, amounts: np.ndarray, origin: np.ndarray) -> _Views:
    """Return known compounds as seen from compositions, amounts and origin (n_elements, n); none sees itself."""
    n_atoms = amounts.sum(axis=0)
    way = amounts * origin.sum(axis=0) - origin * n_atoms
    return _Views(rows, known, way, n_atoms).taken(np.flatnonzero(way.any(axis=0)))


def _nearest_opposites(seen: _Views) -> np.ndarray:
    """Return on each line through a composition the two nearest to it, one on either side, as ascending indices, int64 (n, 2)."""
    leading = _leading(seen.way)
    line = _lines(seen.row, seen.way, leading)
    is_ahead = leading > 0
    n, n_ahead = np.bincount(line), np.bincount(line, is_ahead)
    kept = np.flatnonzero(((n_ahead > 0) & (n_ahead < n))[line])
    side = 2 * line[kept] + is_ahead[kept]
    order = np.lexsort((np.abs(leading[kept]) / seen.n_atoms[kept], side))
    nearest = order[np.unique(side[order], return_index=True)[1]]
    return np.sort(kept[nearest].reshape(-1, 2), axis=1)


def _leading(way: np.ndarray) -> np.ndarray:
    """Return the first number of each that is not zero, int64 (n,)."""
    leading: np.ndarray = way[-1]
    for numbers in way[-2::-1]:
        leading = np.where(numbers != 0, numbers, leading)
    return leading


def _lines(rows: np.ndarray, way: np.ndarray, leading: np.ndarray) -> np.ndarray:
    """Return a number for each line through a composition, int64 (n,).

    Multiples have equal quotients, to the last bit, and others do not as long as the numbers are below 2**26.
    """
    quotients = np.vstack([way / leading, rows]) + 0.0  # there are two zeros
    bits = quotients.view(np.uint64) * _MIXER
    bits ^= bits >> np.uint64(32)
    factors = np.random.default_rng(_CODES_SEED).integers(2**64, size=(len(bits), 1), dtype=np.uint64) | np.uint64(1)
    return np.asarray(np.unique((bits * factors).sum(axis=0), return_inverse=True)[1])
