from dataclasses import asdict

import naive
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from small_spaces import FIXED_CASES, as_sets, class_ids, filters, space_of, spaces

from crcrank.errors import ArtifactError, ConfigError
from crcrank.ranking import listed
from crcrank.ranking.filters import ElementFilter, search_filter
from crcrank.ranking.search import rank_class
from crcrank.space.listed import ListedScores
from crcrank.space.space import Candidates

_ANY = ElementFilter()
_NO_KEYS = np.empty(0, np.int64)


def _program(space, score_by_id, rest):
    ids = np.array(list(score_by_id), np.int64)
    return ListedScores.sums(space, "first", space.decode("first", ids), np.array(list(score_by_id.values()), np.float64), rest)


def _rank(space, program, k, *, known=_NO_KEYS, wanted=_ANY, **options):
    return rank_class(space, "first", program, k, excluded=known, search_filter=search_filter(space, wanted), **options)


def _pairs(ranking):
    return list(zip(ranking.ranked.ids.tolist(), ranking.ranked.scores.tolist(), strict=True))


def _shuffled_runs(space, candidates, seed):
    """Return the same candidates, with the cations of each run in a random order."""
    rng = np.random.default_rng(seed)
    runs = space.block_arrays("first").run[candidates.blocks]
    cations = candidates.cations.copy()
    for row, run in zip(cations, runs, strict=True):
        for part in np.split(np.arange(len(row)), np.flatnonzero(~run)):
            row[part] = rng.permutation(row[part])
    return Candidates(candidates.blocks, cations)


@st.composite
def _cases(draw):
    """Draw a space, few scores with ties among themselves and with the rest, k, a filter, and what is known."""
    space = draw(spaces())
    ids = class_ids(space).tolist()
    score_by_id = draw(st.dictionaries(st.sampled_from(ids), st.integers(-2, 2), max_size=12))
    k = draw(st.one_of(st.integers(1, 12), st.just(10_000)))
    known = draw(st.lists(st.sampled_from(ids), max_size=6))
    return space, score_by_id, float(draw(st.integers(-3, 3))), k, draw(filters(space)), np.array(known, np.int64)


@settings(deadline=None, max_examples=150)
@given(_cases(), st.sampled_from([1, 7, 1 << 16]))
def test_ranking_is_the_twins(case, chunk):
    space, score_by_id, rest, k, wanted, known_ids = case
    try:
        search_filter(space, wanted)
    except ConfigError:
        assume(False)
    sets = as_sets(space, "first", space.decode("first", class_ids(space)))
    formulas = dict(zip(class_ids(space).tolist(), map(naive.formula, sets), strict=True))
    rows = [
        (score_by_id.get(candidate_id, rest), candidate_id, formulas[candidate_id])
        for candidate_id, one in zip(formulas, sets, strict=True)
        if naive.passes(one, **asdict(wanted))
    ]
    known = np.unique(space.composition_keys("first", space.decode("first", known_ids)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(listed, "_CHUNK", chunk)
        found = _rank(space, _program(space, score_by_id, rest), k, known=known, wanted=wanted)
    assert _pairs(found) == naive.ranking(rows, {formulas[i] for i in known_ids.tolist()}, k)
    assert found.n_candidates == space.n_candidates


@settings(deadline=None, max_examples=60)
@given(spaces(), st.integers(0, 2**16))
def test_keys_ascend_with_the_ids_and_the_order_of_a_run_does_not_matter(space, seed):
    candidates = space.decode("first", class_ids(space))
    again = space.in_order("first", _shuffled_runs(space, candidates, seed))
    np.testing.assert_array_equal(again.cations, candidates.cations)
    assert (np.diff(space.order_keys(candidates)) > 0).all()


@settings(deadline=None, max_examples=60)
@given(spaces(), st.data())
def test_filters_pass_what_the_twins_pass(space, data):
    wanted = data.draw(filters(space))
    try:
        chosen = search_filter(space, wanted)
    except ConfigError:
        assume(False)
    candidates = space.decode("first", class_ids(space))
    expected = [naive.passes(one, **asdict(wanted)) for one in as_sets(space, "first", candidates)]
    assert chosen.passes(space, "first", candidates).tolist() == expected


def test_scores_of_a_candidate_listed_twice_add_up_whatever_the_order_of_its_cations():
    space = space_of(FIXED_CASES["three_slots"])
    candidates = space.decode("first", class_ids(space)[::7])
    swapped = _shuffled_runs(space, candidates, seed=1)
    assert (swapped.cations != candidates.cations).any()
    scores = np.arange(1.0, len(candidates) + 1)
    program = ListedScores.sums(space, "first", candidates.joined(swapped), np.concatenate([scores, 2 * scores]), rest=-1.0)
    expected = np.full(space.n_candidates, -1.0)
    expected[::7] = 3 * scores
    np.testing.assert_array_equal(program.scores_of(space, "first", space.decode("first", class_ids(space))), expected)
    np.testing.assert_array_equal(program.scores_of(space, "first", swapped), 3 * scores)


def test_the_rest_is_walked_no_further_than_needed(monkeypatch):
    monkeypatch.setattr(listed, "_CHUNK", 4)
    space = space_of(FIXED_CASES["four_slots"])
    best = class_ids(space)[-3:]
    program = _program(space, dict.fromkeys(best.tolist(), 1.0), rest=0.0)
    assert _rank(space, program, 3).n_scored == 3
    assert 3 < _rank(space, program, 5).n_scored < space.n_candidates


def test_nothing_listed_is_a_ranking_by_id():
    space = space_of(FIXED_CASES["two_slots"])
    program = _program(space, {}, rest=0.5)
    found = _rank(space, program, 10_000)
    assert (np.diff(found.ranked.ids) > 0).all()
    assert set(found.ranked.scores.tolist()) == {0.5}
    assert found.n_scored == space.n_candidates


@pytest.mark.parametrize(("score", "rest"), [(np.nan, 0.0), (np.inf, 0.0), (1.0, np.nan)])
def test_scores_that_are_not_finite_are_refused(score, rest):
    space = space_of(FIXED_CASES["two_slots"])
    with pytest.raises(ArtifactError, match="scores for class 'first' are not all finite: train it again"):
        _rank(space, _program(space, {0: score}, rest), 5)
