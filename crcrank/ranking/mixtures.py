"""Compositions that are mixtures of known compounds in name: they lie on a line between two of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from math import gcd, lcm

import numpy as np

from crcrank.chem.formula import pretty_formula
from crcrank.space.space import Compositions

_SAME = 1e-9  # atomic fractions
_OPPOSITE = 1e-9 - 1  # the cosine between the ways to two compounds; what passes is then solved in whole numbers


@dataclass(frozen=True)
class Mixture:
    """Known compounds that make up a formula exactly.

    Attributes
    ----------
    parts
        Elements and amounts of each compound.
    numbers
        Formula units of each, without a common divisor.
    """

    parts: tuple[tuple[Sequence[str], Sequence[int]], ...]
    numbers: tuple[int, ...]

    def __str__(self) -> str:
        texts = (_pretty(tuple(elements), tuple(amounts)) for elements, amounts in self.parts)
        return " + ".join(text if n == 1 else f"{n} {text}" for text, n in zip(texts, self.numbers, strict=True))


@lru_cache(maxsize=1 << 16)
def _pretty(elements: tuple[str, ...], amounts: tuple[int, ...]) -> str:
    return pretty_formula(elements, amounts)


class KnownSystems:
    """Known compositions by their chemical system.

    Parameters
    ----------
    known
        Elements, in alphabetical order, and amounts of each, every composition once.
    """

    def __init__(self, known: Compositions) -> None:
        self._known = known
        self._rows: dict[tuple[str, ...], list[int]] = {}
        self._points_by_elements: dict[tuple[str, ...], tuple[np.ndarray, np.ndarray]] = {}
        for i, (elements, _) in enumerate(known):
            self._rows.setdefault(tuple(elements), []).append(i)

    def within(self, elements: Sequence[str]) -> list[int]:
        """Return the known compositions of exactly these elements."""
        return self._rows.get(tuple(elements), [])

    def below(self, elements: Sequence[str]) -> list[int]:
        """Return the known compositions of these elements or some of them."""
        subsets = (subset for n in range(1, len(elements) + 1) for subset in combinations(elements, n))
        return [i for subset in subsets for i in self._rows.get(subset, ())]

    def tie_line(self, elements: Sequence[str], amounts: Sequence[int]) -> Mixture | None:
        """Return the two known compounds on whose line a composition lies, the closest to it of several; None if there are none.

        The closest are those with the smallest mean square distance, in atomic fractions and weighted by their share of the atoms.
        """
        rows, points = self._points(tuple(elements))
        steps = points - np.divide(amounts, sum(amounts))
        squares = np.einsum("ne,ne->n", steps, steps)
        others = np.flatnonzero(squares > _SAME**2)
        rows, lengths = rows[others], np.sqrt(squares[others])
        units = steps[others] / lengths[:, None]
        first, second = np.nonzero(units @ units.T < _OPPOSITE)
        once = first < second
        first, second = first[once], second[once]
        order = np.argsort(lengths[first] * lengths[second], kind="stable")  # at distances a and b, the weighted mean of squares is a b
        pairs = (rows[[first[i], second[i]]].tolist() for i in order)
        return next(filter(None, (self._solved(elements, amounts, pair) for pair in pairs)), None)

    def _points(self, elements: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
        """Return the known compositions of some elements or fewer, int64 (n,), and their atomic fractions, float64 (n, n_elements)."""
        if elements not in self._points_by_elements:
            rows = self.below(elements)
            index = {symbol: i for i, symbol in enumerate(elements)}
            points = np.zeros((len(rows), len(elements)))
            for point, row in zip(points, rows, strict=True):
                for symbol, n in zip(*self._known[row], strict=True):
                    point[index[symbol]] = n
            self._points_by_elements[elements] = np.array(rows, np.int64), points / points.sum(axis=1, keepdims=True)
        return self._points_by_elements[elements]

    def _solved(self, elements: Sequence[str], amounts: Sequence[int], rows: Sequence[int]) -> Mixture | None:
        """Return the mixture of known compositions that is a composition exactly, None if there is none of all of them."""
        columns = [dict(zip(*self._known[row], strict=True)) for row in rows]
        numbers = solved([[column.get(symbol, 0) for column in columns] for symbol in elements], amounts)
        return Mixture(tuple(self._known[row] for row in rows), numbers) if numbers else None


def solved(matrix: Sequence[Sequence[int]], wanted: Sequence[int]) -> tuple[int, ...] | None:
    """Return whole numbers above zero, without a common divisor, whose products with the columns add up to a multiple of ``wanted``.

    None if there are no such numbers, or more than one choice of them.

    Examples
    --------
    >>> solved([[2, 0], [0, 2], [3, 3]], [1, 1, 3])
    (1, 1)
    >>> solved([[1, 0], [0, 1], [1, 2]], [1, 1, 4])
    """
    rows = [[*row, total] for row, total in zip(matrix, wanted, strict=True)]
    n_columns = len(matrix[0])
    for column in range(n_columns):
        place = next((i for i, row in enumerate(rows[column:], column) if row[column]), None)
        if place is None:
            return None
        pivot = rows.pop(place)
        rows = [[value * pivot[column] - row[column] * own for value, own in zip(row, pivot, strict=True)] for row in rows]
        rows.insert(column, pivot)
    if any(row[-1] for row in rows[n_columns:]) or any(row[i] * row[-1] <= 0 for i, row in enumerate(rows[:n_columns])):
        return None
    units = lcm(*(row[i] for i, row in enumerate(rows[:n_columns])))
    numbers = [row[-1] * units // row[i] for i, row in enumerate(rows[:n_columns])]
    return tuple(n // gcd(*numbers) for n in numbers)
