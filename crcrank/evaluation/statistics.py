"""Means over seeds, and differences between what was measured on the same seeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt


@dataclass(frozen=True)
class Mean:
    """A mean of independent values with its standard error, None for a single one."""

    n: int
    mean: float
    standard_error: float | None


def mean_over(values: Mapping[int, float]) -> Mean:
    """Return the mean over seeds, given the value of each, at least one.

    Examples
    --------
    >>> mean_over({0: 3.0, 1: 5.0})
    Mean(n=2, mean=4.0, standard_error=1.0)
    """
    n = len(values)
    mean = sum(values.values()) / n
    if n == 1:
        return Mean(n, mean, None)
    variance = sum((value - mean) ** 2 for value in values.values()) / (n - 1)
    return Mean(n, mean, sqrt(variance / n))


def paired_difference(values: Mapping[int, float], baseline: Mapping[int, float]) -> Mean | None:
    """Return the mean difference to a baseline over the seeds that both have, None if there is none.

    Seeds share their split of the data; what is easy or hard about a split falls out of the difference.

    Examples
    --------
    >>> paired_difference({0: 11.0, 1: 22.0, 2: 9.0}, {0: 10.0, 1: 20.0})
    Mean(n=2, mean=1.5, standard_error=0.5)
    """
    shared = {seed: value - baseline[seed] for seed, value in values.items() if seed in baseline}
    return mean_over(shared) if shared else None
