"""Lists with at most one look-alike and so many formulas of a system, against going down the whole list."""

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_spaces import as_sets, case, class_ids, machine, random_parameters, space_of, tied_parameters

from crcrank.models.staged import Stages
from crcrank.ranking.best import BestFormulas
from crcrank.ranking.filters import ElementFilter, search_filter
from crcrank.ranking.limits import LANTHANIDES, Limits, families
from crcrank.ranking.search import rank_class
from crcrank.space.listed import ListedScores
from crcrank.space.shuffled import N_ROUNDS, ShuffledScores

_NO_KEYS = np.empty(0, np.int64)
# With two lanthanides in a formula, one in two states, and one in two states at once.
_SPACES = [
    space_of(case("La3+ Gd3+ Y3+ Eu2+ Ba2+ Ti4+ O2- S2-", 2, 4)),
    space_of(case("La3+ Y3+ Ce4+ Ba2+ Na1+ K1+ Ti4+ O2- Cl1-", 3, 5)),
    space_of(case("La3+ Ce3+ Ce4+ Na1+ Fe2+ Fe3+ O2- S2-", 2, 4, mixed_valence=True)),
]
_LIMITS = st.builds(Limits, st.booleans(), st.integers(0, 3))


def _expected(space, ids, scores, k, limits):
    """Go down the whole list."""
    sets = dict(zip(ids.tolist(), as_sets(space, "first", space.decode("first", ids)), strict=True))
    rows = [(score, i, naive.formula(sets[i])) for i, score in zip(ids.tolist(), scores.tolist(), strict=True)]
    ranked = [(sets[i], (i, score)) for i, score in naive.ranking(rows, set(), len(rows))]
    return naive.limited(ranked, limits.one_per_family, limits.max_per_system, LANTHANIDES)[:k]


def _pairs(ranked):
    return list(zip(ranked.ids.tolist(), ranked.scores.tolist(), strict=True))


def _options(space):
    return {"excluded": _NO_KEYS, "search_filter": search_filter(space, ElementFilter())}


@st.composite
def _offers(draw):
    """Draw a space, scores with ties, and the candidates in a random order, cut into offers."""
    space = draw(st.sampled_from(_SPACES))
    ids = np.array(draw(st.permutations(class_ids(space).tolist()))[:150], np.int64)
    scores = np.array(draw(st.lists(st.integers(-3, 3), min_size=len(ids), max_size=len(ids))), np.float64)
    return space, ids, scores, sorted(draw(st.lists(st.integers(0, len(ids)), max_size=4)))


@settings(deadline=None, max_examples=40)
@given(_offers(), st.integers(1, 12), _LIMITS)
def test_what_was_left_out_never_comes_back(offers, k, limits):
    space, ids, scores, cuts = offers
    best = BestFormulas(space, "first", k, _NO_KEYS, limits)
    for part in np.split(np.arange(len(ids)), cuts):
        best.offer(space.decode("first", ids[part]), scores[part])
    assert _pairs(best.ranked()) == _expected(space, ids, scores, k, limits)


@settings(deadline=None, max_examples=30)
@given(st.sampled_from(_SPACES), st.integers(0, 2**16), st.integers(0, 3), st.sampled_from([1, 7, 40, 10_000]), _LIMITS)
def test_a_search_within_limits_is_the_whole_list_cut(space, seed, largest, k, limits):
    model = machine(space, ("ion", "stoichiometry", "cation_anion"), n_components=0, seed=seed)
    parameters = tied_parameters(model, seed, largest) if largest else random_parameters(model, seed)
    program = model.compile(parameters, "first")
    found = rank_class(space, "first", program, 10**6, **_options(space)).ranked
    ranked = list(zip(as_sets(space, "first", found.candidates), _pairs(found), strict=True))
    expected = naive.limited(ranked, limits.one_per_family, limits.max_per_system, LANTHANIDES)[:k]
    assert _pairs(rank_class(space, "first", program, k, limits=limits, **_options(space)).ranked) == expected


@pytest.mark.parametrize("space", _SPACES)
@pytest.mark.parametrize("limits", [Limits(one_per_family=True), Limits(max_per_system=1), Limits(one_per_family=True, max_per_system=2)])
def test_lists_without_a_search_are_limited_too(space, limits):
    ids, rng = class_ids(space), np.random.default_rng(5)
    shuffled = ShuffledScores(int(ids[0]), len(ids), rng.integers(2**32, size=N_ROUNDS).astype(np.uint64))
    some = np.sort(rng.choice(ids, 20, replace=False))
    listed = ListedScores.sums(space, "first", space.decode("first", some), rng.integers(-2, 3, 20).astype(np.float64))
    for program in (shuffled, listed):
        scores = program.scores_of(space, "first", space.decode("first", ids))
        found = rank_class(space, "first", program, 15, limits=limits, **_options(space)).ranked
        assert _pairs(found) == _expected(space, ids, scores, 15, limits)


class _Scorer:
    """Scores candidates by a number for each."""

    def __init__(self, space, scores):
        self._space, self._scores = space, scores

    def scores(self, name, candidates):
        return self._scores[self._space.encode(name, candidates) - self._space.classes[name].first_id]

    def program(self, name):
        return ListedScores(self._space.decode(name, class_ids(self._space)), self._scores, -100.0)


def test_a_second_stage_is_given_more_where_the_limits_leave_too_few():
    space = _SPACES[0]
    first, second = (np.random.default_rng(seed).permutation(len(class_ids(space))).astype(np.float64) for seed in (1, 2))
    limits = Limits(one_per_family=True, max_per_system=1)
    for k in (2, 6, 10_000):
        stages = Stages((_Scorer(space, first),), _Scorer(space, second), depth=4)
        found = stages.rank(space, "first", k, limits=limits, **_options(space)).ranked
        depth = max(4, k)
        while True:
            ordered = _expected(space, class_ids(space), first, depth, Limits())
            ids = np.array([i for i, _ in ordered])
            expected = _expected(space, ids, second[ids - ids.min() + (ids.min() - class_ids(space)[0])], k, limits)
            if len(expected) == k or len(ordered) < depth:
                break
            depth *= 4
        assert _pairs(found) == expected
        assert len(found) == k or k == 10_000


def _family(composition):
    """Return a formula with every lanthanide written Ln, element by element."""
    symbols, amounts = composition
    parts = sorted(("Ln" if symbol in LANTHANIDES else symbol, n) for symbol, n in zip(symbols, amounts, strict=True))
    return "".join(symbol + (str(n) if n > 1 else "") for symbol, n in parts) if set(symbols) & LANTHANIDES else None


@pytest.mark.parametrize("space", _SPACES)
def test_families_have_one_sign_for_lanthanides(space):
    candidates = space.decode("first", class_ids(space))
    expected = [_family(naive.composition(one)) for one in as_sets(space, "first", candidates)]
    assert families(space.ions.elements, *space.composition_arrays("first", candidates)) == expected
    assert None in expected
