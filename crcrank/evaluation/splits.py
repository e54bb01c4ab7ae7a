"""Splits of real compositions: into parts to train and to validate on, and into parts to learn from and to look for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from crcrank.errors import ConfigError, InputDataError

Indices = npt.NDArray[np.int64]


def validation_split(n: int, fraction: float, rng: np.random.Generator) -> tuple[Indices, Indices]:
    """Split rows at random into training and validation rows.

    Rows must be unique by formula; then no formula is on both sides.

    Parameters
    ----------
    n
        Number of rows, at least 2.
    fraction
        Share of the rows to validate on, between 0 and 1; both sides get at least one row.
    rng
        Source of the random numbers; the same state gives the same split.

    Returns
    -------
    Training and validation row numbers, each int64 and increasing; together every row once.

    Raises
    ------
    ConfigError
        If ``fraction`` is not between 0 and 1.
    InputDataError
        If there are fewer than two rows.
    """
    if not 0 < fraction < 1:
        raise ConfigError(f"validation fraction {fraction}: it must lie between 0 and 1")
    if n < 2:
        raise InputDataError(f"a validation split needs at least 2 compositions, found {n}")
    n_validation = min(max(round(fraction * n), 1), n - 1)
    is_validation = np.zeros(n, dtype=bool)
    is_validation[rng.permutation(n)[np.diff(np.arange(n + 1) * n_validation // n) > 0]] = True  # at even distances
    return np.flatnonzero(~is_validation), np.flatnonzero(is_validation)


@dataclass(frozen=True)
class Listed:
    """Real compositions of one class, unique by formula, of all lists together.

    Parameters
    ----------
    is_known
        Whether a composition is of the lists that may be trained on, bool (n,); the others are held out, in every design.
    systems
        Its chemical system, (n,).
    years
        Its year, 0 where no list says it, int64 (n,).
    """

    is_known: npt.NDArray[np.bool_]
    systems: Sequence[str]
    years: Indices

    def __len__(self) -> int:
        return len(self.is_known)


@dataclass(frozen=True)
class Split:
    """What is trained on, what is looked for, and what a ranking leaves out; row numbers, each int64 and increasing.

    Parameters
    ----------
    trained
        Rows to train on; never a row that is held out.
    targets
        Rows that count as hits; none of them is trained on.
    unlisted
        Rows that the ranking leaves out: all that are trained on, and what is real but not asked for.
    """

    trained: Indices
    targets: Indices
    unlisted: Indices


def design_split(design: str, listed: Listed, fraction: float, rng: np.random.Generator, *, year: int | None = None) -> Split:
    """Split the real compositions of a class as a design of studies asks for.

    ====================  ======================================  ================================
    design                trains on a random fraction of          looks for
    ====================  ======================================  ================================
    ``other_database``    the known                               the held-out that are not known
    ``random_fraction``   the known                               all others
    ``leave_system_out``  the known's chemical systems, whole     all of the other systems
    ``by_year``           the known up to ``year``                all that are later
    ``class_transfer``    nothing of this class                   all
    ====================  ======================================  ================================

    Parameters
    ----------
    fraction
        Above 0, to 1. From the same state of ``rng``, a larger fraction holds a smaller one.
    rng
        Source of the random numbers.
    year
        Last year to train on, for ``by_year``.

    Raises
    ------
    ConfigError
        If there is no such design.
    """
    known, everything = np.flatnonzero(listed.is_known), np.arange(len(listed))
    if design == "other_database":
        return Split(_part(known, fraction, rng), np.flatnonzero(~listed.is_known), known)
    if design == "random_fraction":
        trained = _part(known, fraction, rng)
        return Split(trained, np.setdiff1d(everything, trained), trained)
    if design == "leave_system_out":
        systems = np.asarray(listed.systems, dtype=np.str_)
        seen = np.isin(systems, _part(np.unique(systems[known]), fraction, rng))
        return Split(np.flatnonzero(seen & listed.is_known), np.flatnonzero(~seen), np.flatnonzero(seen))
    if design == "by_year" and year is not None:
        is_early = (listed.years > 0) & (listed.years <= year)
        trained = _part(np.flatnonzero(is_early & listed.is_known), fraction, rng)
        return Split(trained, np.flatnonzero(listed.years > year), np.flatnonzero(listed.years <= year))
    if design == "class_transfer":
        return Split(known[:0], everything, known[:0])
    raise ConfigError(f"no split design {design!r}" + (" without a year" if design == "by_year" else ""))


def _part(items: npt.NDArray[Any], fraction: float, rng: np.random.Generator) -> npt.NDArray[Any]:
    """Return a random part of the items, sorted, at least one where there are any."""
    n_taken = max(1, round(fraction * len(items)))
    return np.sort(rng.permutation(items)[:n_taken])
