import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crcrank.errors import ConfigError, InputDataError
from crcrank.evaluation.splits import validation_split

_fractions = st.floats(0.01, 0.99)
_seeds = st.integers(0, 2**32 - 1)
_numbers = st.integers(2, 300)


@settings(deadline=None)
@given(_numbers, _fractions, _seeds)
def test_every_row_is_on_exactly_one_side(n, fraction, seed):
    train, validation = validation_split(n, fraction, np.random.default_rng(seed))
    assert sorted([*train, *validation]) == list(range(n))
    assert train.tolist() == sorted(train)
    assert validation.tolist() == sorted(validation)
    assert train.dtype == validation.dtype == np.int64


@settings(deadline=None)
@given(_numbers, _fractions, _seeds)
def test_validation_has_its_share_and_both_sides_have_rows(n, fraction, seed):
    train, validation = validation_split(n, fraction, np.random.default_rng(seed))
    assert len(train) >= 1
    assert len(validation) >= 1
    assert abs(len(validation) - fraction * n) <= 1


@settings(deadline=None)
@given(_numbers, _fractions, _seeds)
def test_same_generator_gives_the_same_split(n, fraction, seed):
    first, again = (validation_split(n, fraction, np.random.default_rng(seed)) for _ in range(2))
    assert [side.tolist() for side in first] == [side.tolist() for side in again]


def test_another_seed_gives_another_split():
    splits = [validation_split(1000, 0.1, np.random.default_rng(seed))[1].tolist() for seed in (1, 2)]
    assert splits[0] != splits[1]


def test_every_row_is_equally_likely_to_be_validated():
    rng = np.random.default_rng(0)
    n_times = np.zeros(20)
    for _ in range(4000):
        n_times[validation_split(20, 0.2, rng)[1]] += 1
    # Binomial around 800 with a standard deviation of 25.3: this allows five of them.
    assert np.abs(n_times - 800).max() < 127


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5, float("nan")])
def test_fraction_outside_0_to_1_is_refused(fraction):
    with pytest.raises(ConfigError, match=f"validation fraction {fraction}: it must lie between 0 and 1"):
        validation_split(10, fraction, np.random.default_rng(0))


@pytest.mark.parametrize("n", [0, 1])
def test_too_few_rows_are_refused(n):
    with pytest.raises(InputDataError, match=f"needs at least 2 compositions, found {n}"):
        validation_split(n, 0.5, np.random.default_rng(0))
