"""Hits by chance, and resampled holdouts, against slow twins."""

from fractions import Fraction
from math import comb, log10

import naive_metrics
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crcrank.errors import InputDataError
from crcrank.evaluation.chance import depth_of, log10_p_value, resampled_hits


@st.composite
def _counts(draw):
    n_unknown = draw(st.integers(1, 60))
    k, n_reachable = draw(st.integers(1, n_unknown)), draw(st.integers(1, n_unknown))
    return draw(st.integers(0, min(k, n_reachable))), k, n_reachable, n_unknown


@settings(deadline=None)
@given(_counts())
def test_p_value_is_the_twins(counts):
    expected = naive_metrics.p_value(*counts)
    found = log10_p_value(*counts)
    assert found == pytest.approx(log10(expected) if expected else -np.inf, abs=1e-9)


def test_p_value_of_large_numbers_keeps_its_digits():
    n_unknown, n_reachable, k, n_hits = 10**10, 3000, 100, 2
    chance = sum(
        Fraction(comb(n_reachable, x) * comb(n_unknown - n_reachable, k - x), comb(n_unknown, k)) for x in range(n_hits, n_hits + 6)
    )
    assert log10_p_value(n_hits, k, n_reachable, n_unknown) == pytest.approx(log10(chance), abs=1e-9)
    assert log10_p_value(60, 100, 2000, 7_500_000) < -150
    assert log10_p_value(101, 100, 2000, 7_500_000) == -np.inf


@settings(deadline=None)
@given(st.integers(1, 12), st.data())
def test_resampled_hits_are_the_twins(n, data):
    n_hits = data.draw(st.integers(0, n))
    assert resampled_hits(n_hits, n) == naive_metrics.resampled_hits(n_hits, n)


@settings(deadline=None)
@given(st.lists(st.integers(1, 50), min_size=1, max_size=5), st.sampled_from([0.1, 0.5, 0.75, 1.0]))
def test_depths_are_the_twins(ranks, share):
    assert depth_of(np.array(ranks), share) == naive_metrics.depth_of(ranks, share)


def test_a_depth_is_not_rounded_up_by_a_last_bit():
    assert 0.07 * 100 > 7
    assert depth_of(np.arange(1, 101), 0.07)[0] == 7


def test_depth_of_nothing_is_refused():
    with pytest.raises(InputDataError, match="no compound of the holdout has a rank"):
        depth_of(np.empty(0, np.int64), 0.5)
