"""Arms of a study side by side: means over all seeds, differences and ratios over those that the baseline has too."""

from math import sqrt

import pytest

from crcrank.evaluation.comparison import Measured, Place, compare

_PLACE = Place("other_database", "hidden", "ternary", 1.0, 100)
_WIDER = Place("other_database", "hidden", "ternary", 1.0, 1000)


def measured(place, arm, hits_by_seed):
    """Return what each seed of an arm gave."""
    return [
        Measured(place, arm, seed, n_hits, n_hits / place.k, 2.0 * n_hits, 50, 200 + seed, 1.5) for seed, n_hits in hits_by_seed.items()
    ]


def test_an_arm_is_compared_on_the_seeds_that_the_baseline_has():
    rows = [*measured(_PLACE, "arm", {0: 12, 1: 26, 2: 99}), *measured(_PLACE, "base", {0: 10, 1: 20, 5: 70})]
    arm, base = compare(rows, "base")
    assert (arm.arm, arm.place, arm.hits_by_seed) == ("arm", _PLACE, {0: 12, 1: 26, 2: 99})
    assert arm.n_hits.mean == pytest.approx((12 + 26 + 99) / 3)
    assert (arm.difference.n, arm.difference.mean, arm.difference.standard_error) == pytest.approx((2, 4, sqrt(8 / 2)))
    assert (arm.ratio, arm.ratio_error) == pytest.approx((38 / 30, sqrt(8 / 2) / 15))
    assert (arm.hit_rate, arm.enrichment, arm.n_known_fitted) == pytest.approx((137 / 300, 274 / 3, 201))
    assert (base.difference, base.ratio, base.ratio_error) == (None, None, None)


def test_one_seed_has_a_ratio_without_error():
    (arm, _) = compare([*measured(_PLACE, "arm", {3: 12}), *measured(_PLACE, "base", {3: 8})], "base")
    assert (arm.difference.mean, arm.difference.standard_error, arm.ratio, arm.ratio_error) == (4, None, 1.5, None)


def test_a_baseline_without_hits_or_at_another_place_gives_no_ratio():
    rows = [*measured(_PLACE, "base", {0: 0, 1: 0}), *measured(_WIDER, "arm", {0: 5}), *measured(_PLACE, "arm", {0: 3, 1: 5})]
    base, arm, alone = compare(rows, "base")
    assert [(item.place.k, item.arm) for item in (base, arm, alone)] == [(100, "base"), (100, "arm"), (1000, "arm")]
    assert (arm.difference.mean, arm.ratio, arm.ratio_error) == (4, None, None)
    assert (alone.difference, alone.ratio) == (None, None)
