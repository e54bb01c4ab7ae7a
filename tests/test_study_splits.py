"""Split designs of studies and means over seeds, against their naive twins."""

from itertools import pairwise

import naive_study
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crcrank.errors import ConfigError
from crcrank.evaluation.splits import Listed, design_split
from crcrank.evaluation.statistics import mean_over, paired_difference

DESIGNS = ("other_database", "random_fraction", "leave_system_out", "by_year", "class_transfer")
YEAR = 1990

_rows = st.lists(
    st.fixed_dictionaries(
        {
            "is_known": st.booleans(),
            "system": st.sampled_from(["Ba-O-Ti", "K-S", "Cl-Na"]),
            "year": st.sampled_from([0, 1950, 1990, 1991, 2020]),
        }
    ),
    min_size=1,
    max_size=40,
)
_fractions = st.sampled_from([0.01, 0.1, 0.5, 0.9, 1.0])
_seeds = st.integers(0, 2**32 - 1)
_values = st.dictionaries(st.integers(0, 9), st.integers(0, 3000).map(float), min_size=1)


def listed(rows):
    return Listed(
        np.array([row["is_known"] for row in rows]), [row["system"] for row in rows], np.array([row["year"] for row in rows], np.int64)
    )


def split(design, rows, fraction, seed):
    return design_split(design, listed(rows), fraction, np.random.default_rng(seed), year=YEAR)


@settings(deadline=None)
@given(st.sampled_from(DESIGNS), _rows, _fractions, _seeds)
def test_a_split_agrees_with_its_naive_twin(design, rows, fraction, seed):
    found = split(design, rows, fraction, seed)
    order = np.random.default_rng(seed).permutation(naive_study.n_shuffled(design, rows, YEAR))
    known = [i for i, row in enumerate(rows) if row["is_known"]]
    if design == "by_year":
        known = [i for i in known if 0 < rows[i]["year"] <= YEAR]
    shuffled = order.tolist() if design == "leave_system_out" else [known[i] for i in order]
    expected = naive_study.split(design, rows, fraction, shuffled, YEAR)
    for rows_found, rows_expected in zip((found.trained, found.targets, found.unlisted), expected, strict=True):
        assert rows_found.tolist() == sorted(rows_expected)
        assert rows_found.dtype == np.int64


@settings(deadline=None)
@given(st.sampled_from(DESIGNS), _rows, _fractions, _seeds)
def test_nothing_held_out_or_looked_for_is_trained_on(design, rows, fraction, seed):
    found = split(design, rows, fraction, seed)
    assert all(rows[i]["is_known"] for i in found.trained)
    assert not set(found.trained) & set(found.targets)
    assert not set(found.unlisted) & set(found.targets)
    assert set(found.trained) <= set(found.unlisted)


@settings(deadline=None)
@given(st.sampled_from(DESIGNS), _rows, _seeds)
def test_a_larger_fraction_holds_a_smaller_one(design, rows, seed):
    parts = [set(split(design, rows, fraction, seed).trained.tolist()) for fraction in (0.01, 0.1, 0.5, 1.0)]
    assert all(small <= large for small, large in pairwise(parts))


@given(st.sampled_from(["leave_system_out"]), _rows, _fractions, _seeds)
def test_systems_stay_whole(design, rows, fraction, seed):
    found = split(design, rows, fraction, seed)
    assert not {rows[i]["system"] for i in found.trained} & {rows[i]["system"] for i in found.targets}


def test_the_fractions_of_the_reports():
    rows = [{"is_known": True, "system": "Ba-O-Ti", "year": 0}] * 9313
    assert [len(split("random_fraction", rows, fraction, 0).trained) for fraction in (1.0, 0.1, 0.01)] == [9313, 931, 93]


def test_every_row_is_equally_likely_to_be_trained_on():
    rows = [{"is_known": True, "system": "Ba-O-Ti", "year": 0}] * 20
    n_times = np.zeros(20)
    for seed in range(2000):
        n_times[split("random_fraction", rows, 0.3, seed).trained] += 1
    # Binomial around 600 with a standard deviation of 20.5: this allows five of them.
    assert np.abs(n_times - 600).max() < 103


@pytest.mark.parametrize(
    ("design", "message"), [("rndom", "no split design 'rndom'$"), ("by_year", "no split design 'by_year' without a year")]
)
def test_an_unknown_design_is_refused(design, message):
    with pytest.raises(ConfigError, match=message):
        design_split(design, listed([{"is_known": True, "system": "K-S", "year": 0}]), 1.0, np.random.default_rng(0))


@given(_values)
def test_a_mean_agrees_with_its_naive_twin(values):
    found = mean_over(values)
    mean, error = naive_study.mean_and_error(list(values.values()))
    assert found.n == len(values)
    assert found.mean == pytest.approx(mean)
    assert (found.standard_error is None) == (error is None)
    assert found.standard_error == pytest.approx(error, abs=1e-9)


@given(_values, _values)
def test_a_paired_difference_agrees_with_its_naive_twin(values, baseline):
    found = paired_difference(values, baseline)
    differences = [values[seed] - baseline[seed] for seed in sorted(values.keys() & baseline.keys())]
    if not differences:
        assert found is None
        return
    mean, error = naive_study.mean_and_error(differences)
    assert (found.n, found.mean) == (len(differences), pytest.approx(mean))
    assert found.standard_error == pytest.approx(error, abs=1e-9)
