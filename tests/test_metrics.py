import naive_metrics
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crcrank.errors import ConfigError, InputDataError
from crcrank.evaluation.curves import discovery_curve
from crcrank.evaluation.metrics import HitCounts, hit_row, hit_table, wilson_interval


@st.composite
def _rankings(draw):
    """Draw a ranking without repeats, a non-empty holdout, and a number of unknown candidates that holds both."""
    formulas = [f"formula{i}" for i in range(draw(st.integers(1, 60)))]
    ranked = draw(st.permutations(formulas))[: draw(st.integers(0, len(formulas)))]
    holdout = draw(st.sets(st.sampled_from(formulas), min_size=1))
    return ranked, holdout, len(formulas) + draw(st.integers(0, 10**9))


@settings(deadline=None)
@given(_rankings(), st.lists(st.integers(1, 80), max_size=6))
def test_hit_table_agrees_with_its_twin(case, cutoffs):
    ranked, holdout, n_unknown = case
    rows = hit_table(ranked, holdout, n_unknown=n_unknown, cutoffs=cutoffs)
    twins = [naive_metrics.hit_row(ranked, holdout, n_unknown, k) for k in cutoffs if k <= len(ranked)]
    assert len(rows) == len(twins)
    for row, twin in zip(rows, twins, strict=True):
        assert {name: getattr(row, name) for name in twin} == pytest.approx(twin, rel=1e-14)
        assert (row.hit_rate_low, row.hit_rate_high) == wilson_interval(row.n_hits, row.k)


@settings(deadline=None)
@given(_rankings())
def test_discovery_curve_agrees_with_its_twin(case):
    ranked, holdout, _ = case
    curve = discovery_curve(ranked, holdout)
    assert curve.dtype == np.int64
    assert curve.tolist() == naive_metrics.discovery_curve(ranked, holdout)


@settings(deadline=None)
@given(_rankings(), st.integers(0, 60))
def test_curve_of_a_shorter_ranking_is_the_start_of_the_curve(case, n_kept):
    ranked, holdout, _ = case
    assert discovery_curve(ranked[:n_kept], holdout).tolist() == discovery_curve(ranked, holdout)[:n_kept].tolist()


@settings(deadline=None)
@given(_rankings())
def test_hits_of_disjoint_holdouts_add_up(case):
    ranked, holdout, _ = case
    some = set(sorted(holdout)[::2])
    parts = discovery_curve(ranked, some) + discovery_curve(ranked, holdout - some)
    assert parts.tolist() == discovery_curve(ranked, holdout).tolist()


@settings(deadline=None)
@given(st.integers(1, 50), st.integers(0, 50), st.integers(0, 10**9))
def test_perfect_ranking_reaches_recall_1_at_holdout_size(n_holdout, n_others, n_unseen):
    holdout = {f"hit{i}" for i in range(n_holdout)}
    ranked = sorted(holdout) + [f"other{i}" for i in range(n_others)]
    n_unknown = n_holdout + n_others + n_unseen
    (row,) = hit_table(ranked, holdout, n_unknown=n_unknown, cutoffs=[n_holdout])
    assert row.recall == row.hit_rate == 1
    assert row.enrichment == pytest.approx(1 / row.base_rate)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_random_ranking_has_enrichment_near_1(seed):
    rng = np.random.default_rng(seed)
    n_unknown, n_holdout, k = 20_000, 2_000, 5_000
    ranked = [str(i) for i in rng.permutation(n_unknown)]
    (row,) = hit_table(ranked, {str(i) for i in range(n_holdout)}, n_unknown=n_unknown, cutoffs=[k])
    assert row.expected_random == 500
    # The hits are hypergeometric with a standard deviation of 18.4: this allows five of them.
    assert abs(row.n_hits - row.expected_random) < 92
    assert row.enrichment == pytest.approx(1, abs=0.19)


def test_whole_space_has_enrichment_1_and_recall_1():
    formulas = [str(i) for i in range(1000)]
    (row,) = hit_table(formulas, set(formulas[::7]), n_unknown=1000, cutoffs=[1000])
    assert (row.enrichment, row.recall) == (1, 1)


def test_report_of_the_tensor_recommender_is_reproduced():
    ranked = [str(i) for i in range(100)]
    holdout = {str(i) for i in [*range(16), *range(20, 60)]}
    best20, best100 = hit_table(ranked, holdout, n_unknown=7_544_452, cutoffs=[20, 100])
    assert (best20.n_hits, best20.hit_rate) == (16, 0.8)
    assert (best100.n_hits, best100.hit_rate) == (56, 0.56)


def test_rows_keep_the_order_of_the_cutoffs_and_leave_out_those_beyond_the_end():
    rows = hit_table(["A", "B", "C"], {"B"}, n_unknown=10, cutoffs=[3, 4, 1, 100])
    assert [(row.k, row.n_hits) for row in rows] == [(3, 1), (1, 0)]


def test_empty_ranking_has_no_rows():
    assert hit_table([], {"A"}, n_unknown=10, cutoffs=[1, 10]) == []
    assert discovery_curve([], {"A"}).shape == (0,)


def test_no_hits_is_enrichment_0():
    row = hit_row(HitCounts(k=100, n_hits=0, n_reachable=5, n_unknown=10**10))
    assert (row.hit_rate, row.recall, row.enrichment, row.hit_rate_low) == (0, 0, 0, 0)
    assert row.hit_rate_high == pytest.approx(0.0370, abs=1e-4)


@pytest.mark.parametrize("k", [0, -1])
def test_cutoff_below_1_is_refused(k):
    with pytest.raises(ConfigError, match=f"cutoff {k}: the number of recommendations to examine must be at least 1"):
        hit_table(["A"], {"A"}, n_unknown=10, cutoffs=[1, k])


def test_empty_holdout_is_refused():
    with pytest.raises(InputDataError, match="the holdout is empty: none of its compositions is inside the space and unknown"):
        hit_table(["A"], set(), n_unknown=10, cutoffs=[1])


def test_holdout_larger_than_the_space_is_refused():
    with pytest.raises(InputDataError, match="3 reachable holdout compositions do not fit into 2 unknown candidates"):
        hit_table(["A"], {"A", "B", "C"}, n_unknown=2, cutoffs=[1])


def test_formula_listed_twice_is_refused():
    with pytest.raises(InputDataError, match="the ranking lists B 2 times; each formula may appear once"):
        discovery_curve(["A", "B", "C", "B"], {"B"})


@settings(deadline=None)
@given(st.integers(1, 10_000).flatmap(lambda k: st.tuples(st.integers(0, k), st.just(k))))
def test_wilson_interval_agrees_with_its_twin(counts):
    n_hits, k = counts
    low, high = wilson_interval(n_hits, k)
    assert 0 <= low <= n_hits / k <= high <= 1
    assert (low, high) == pytest.approx(naive_metrics.wilson_interval(n_hits, k), abs=1e-9)


@settings(deadline=None)
@given(st.integers(1, 10_000).flatmap(lambda k: st.tuples(st.integers(0, k), st.just(k))))
def test_wilson_interval_of_misses_mirrors_that_of_hits(counts):
    n_hits, k = counts
    low, high = wilson_interval(n_hits, k)
    assert wilson_interval(k - n_hits, k) == pytest.approx((1 - high, 1 - low), abs=1e-12)
