from dataclasses import asdict

import naive
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from small_spaces import FIXED_CASES, as_sets, class_ids, filters, space_of, spaces

from crcrank.errors import ArtifactError, ConfigError
from crcrank.models.chance import Chance
from crcrank.ranking import shuffled
from crcrank.ranking.filters import search_filter
from crcrank.ranking.search import rank_class
from crcrank.space.shuffled import N_ROUNDS, ShuffledScores

_keys = st.lists(st.integers(0, 2**32 - 1), min_size=N_ROUNDS, max_size=N_ROUNDS)


def _order(n, keys, first_id=0):
    return ShuffledScores(first_id, n, np.array(keys, np.uint64))


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 300), _keys, st.integers(0, 10**11))
def test_the_order_is_the_twins_and_holds_each_id_once(n, keys, first_id):
    order = _order(n, keys, first_id)
    ids = order.ids_at(np.arange(n))
    assert ids.tolist() == [first_id + naive.shuffled(place, n, keys) for place in range(n)]
    assert sorted(ids.tolist()) == list(range(first_id, first_id + n))
    assert order.places_of(ids).tolist() == list(range(n))


@settings(deadline=None, max_examples=30)
@given(st.integers(10**9, 10**12), _keys, st.lists(st.integers(0, 10**9 - 1), min_size=1, max_size=20))
def test_a_large_order_is_the_twins_and_goes_back(n, keys, places):
    order = _order(n, keys)
    ids = order.ids_at(np.array(places))
    assert ids.tolist() == [naive.shuffled(place, n, keys) for place in places]
    assert order.places_of(ids).tolist() == places


def test_scores_are_all_different_between_0_and_1_and_look_random():
    n = 20_000
    order = _order(n, range(N_ROUNDS))
    scores = order.scores_at(order.places_of(np.arange(n)))
    assert len(set(scores.tolist())) == n
    assert 0 < scores.min() < scores.max() < 1
    for apart in (1, 2, 64, 1000):
        assert abs(np.corrcoef(scores[:-apart], scores[apart:])[0, 1]) < 4 / np.sqrt(n)
    assert abs(np.corrcoef(scores, np.arange(n))[0, 1]) < 4 / np.sqrt(n)
    far = _order(10**10, range(N_ROUNDS)).scores_at(np.arange(10**10 - 1000, 10**10))
    assert (np.diff(far) < 0).all()
    assert far[-1] > 0


@settings(deadline=None, max_examples=60)
@given(spaces(), _keys, st.data(), st.integers(1, 20), st.sampled_from([1, 5, 1 << 14]))
def test_ranking_is_the_twins(space, keys, data, k, chunk):
    wanted = data.draw(filters(space))
    try:
        chosen = search_filter(space, wanted)
    except ConfigError:
        assume(False)
    candidates = space.decode("first", class_ids(space))
    program = _order(space.n_candidates, keys)
    scores = program.scores_of(space, "first", candidates).tolist()
    sets = as_sets(space, "first", candidates)
    known = candidates.take(np.array(data.draw(st.lists(st.integers(0, len(sets) - 1), max_size=4)), np.int64))
    rows = [
        (score, candidate_id, naive.formula(one))
        for score, candidate_id, one in zip(scores, class_ids(space).tolist(), sets, strict=True)
        if naive.passes(one, **asdict(wanted))
    ]
    excluded = np.unique(space.composition_keys("first", known))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shuffled, "_CHUNK", chunk)
        found = rank_class(space, "first", program, k, excluded=excluded, search_filter=chosen)
    known_formulas = {naive.formula(one) for one in as_sets(space, "first", known)}
    expected = naive.ranking(rows, known_formulas, k)
    assert list(zip(found.ranked.ids.tolist(), found.ranked.scores.tolist(), strict=True)) == expected
    assert found.n_scored <= found.n_candidates == space.n_candidates
    if len(expected) == k:
        assert found.n_scored < chunk + sum(score >= expected[-1][1] for score in scores)


def test_keys_that_are_none_are_refused():
    space = space_of(FIXED_CASES["two_slots"])
    for wrong in (-1.0, 0.5, 2.0**32, np.nan):
        with pytest.raises(ArtifactError, match=r"model: the keys of class 'first' should be integers from 0 to .*; train it again"):
            Chance.restore({"keys.first": np.full(N_ROUNDS, wrong)}, {"classes": ["first"]}, space)
