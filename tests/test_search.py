from dataclasses import asdict
from typing import NamedTuple

import naive
import numba
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from small_spaces import (
    ALL_CASES,
    FIXED_CASES,
    BrokenProgress,
    InterruptedProgressError,
    as_sets,
    class_ids,
    filters,
    machine,
    random_parameters,
    space_of,
    spaces,
    tied_parameters,
    twin_arguments,
)

from crcrank.errors import ArtifactError, ConfigError
from crcrank.kernels import tables
from crcrank.kernels.forms import FORMS, ScoringForm
from crcrank.kernels.pairwise import fill_scores
from crcrank.kernels.tile import close_pairs
from crcrank.ranking import search
from crcrank.ranking.best import BestFormulas
from crcrank.ranking.filters import ElementFilter, search_filter
from crcrank.ranking.search import rank_class

_NO_KEYS = np.empty(0, np.int64)
_ANY = ElementFilter()


def _scored(space, program):
    """Return all candidates as the twins write them, and their scores."""
    candidates = space.decode("first", class_ids(space))
    scores = np.empty(len(candidates))
    fill_scores(program, space.block_arrays("first"), candidates.blocks, candidates.cations, scores)
    return as_sets(space, "first", candidates), scores


def _naive_ranking(space, program, k, known=frozenset(), wanted=_ANY):
    sets, scores = _scored(space, program)
    conditions = asdict(wanted)
    rows = [
        (score, candidate_id, naive.formula(one))
        for one, score, candidate_id in zip(sets, scores.tolist(), class_ids(space).tolist(), strict=True)
        if naive.passes(one, **conditions)
    ]
    return naive.ranking(rows, known, k)


def _rank(space, program, k, *, known=_NO_KEYS, wanted=_ANY, **options):
    return rank_class(space, "first", program, k, excluded=known, search_filter=search_filter(space, wanted), **options)


def _pairs(ranking):
    return list(zip(ranking.ranked.ids.tolist(), ranking.ranked.scores.tolist(), strict=True))


@st.composite
def _programs(draw, space):
    """Draw a program with normal scores, with many ties, or with all scores equal."""
    seed = draw(st.integers(0, 2**16))
    kind = draw(st.sampled_from(["normal", "tied", "few", "equal"]))
    if kind == "normal":
        model = machine(space, n_factors=draw(st.integers(1, 5)), seed=seed)
        return model.compile(random_parameters(model, seed), "first")
    model = machine(space, ("ion", "stoichiometry", "cation_anion"), n_factors=2, n_components=0)
    return model.compile(tied_parameters(model, seed, {"tied": 3, "few": 1, "equal": 0}[kind]), "first")


@st.composite
def _searches(draw):
    """Draw a space, a program, k, a filter, and the formulas that are known."""
    space = draw(spaces())
    program = draw(_programs(space))
    wanted = draw(filters(space))
    k = draw(st.one_of(st.integers(1, 8), st.just(10_000)))
    known_ids = draw(st.lists(st.sampled_from(class_ids(space)), max_size=6))
    return space, program, k, wanted, np.array(known_ids, np.int64)


def _check_ranking(case, options, capacity, n_pieces, n_pairs):
    space, program, k, wanted, known_ids = case
    known = space.decode("first", known_ids)
    known_formulas = {naive.formula(one) for one in as_sets(space, "first", known)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "_HIT_CAPACITY", capacity)
        patch.setattr(search, "_N_PIECES", n_pieces)
        patch.setattr(search, "_SKIMMED_AT_ONCE", n_pieces)
        patch.setattr(tables, "_n_pairs", lambda *_: n_pairs)  # few: vectors are multiplied, many: tables are made and outlined
        found = _rank(space, program, k, known=np.unique(space.composition_keys("first", known)), wanted=wanted, **options)
    assert _pairs(found) == _naive_ranking(space, program, k, known_formulas, wanted)
    assert 0 <= found.n_scored <= found.n_candidates == space.n_candidates


@settings(deadline=None, max_examples=60)
@given(
    _searches(),
    st.booleans(),
    st.sampled_from([1, 2]),
    st.sampled_from([1, 50, 1 << 16]),
    st.sampled_from([1, 3, 256]),
    st.sampled_from([0, 1 << 40]),
)
def test_ranking_is_the_twins(case, prune, n_threads, capacity, n_pieces, n_pairs):
    try:
        search_filter(case[0], case[3])
    except ConfigError:
        assume(False)
    _check_ranking(case, {"prune": prune, "n_threads": n_threads}, capacity, n_pieces, n_pairs)


@pytest.mark.parametrize("chosen", ALL_CASES.values(), ids=ALL_CASES)
@pytest.mark.parametrize("k", [1, 20])
def test_pruning_threads_and_room_for_hits_change_nothing(monkeypatch, chosen, k):
    space = space_of(chosen)
    model = machine(space, seed=k)
    program = model.compile(random_parameters(model, k), "first")
    expected = _naive_ranking(space, program, k)
    for prune, n_threads, capacity, n_pieces in [(True, 1, 1, 1), (False, 1, 1, 1), (True, 2, 1, 5), (False, 2, 1 << 16, 256)]:
        monkeypatch.setattr(search, "_HIT_CAPACITY", capacity)
        monkeypatch.setattr(search, "_N_PIECES", n_pieces)
        assert _pairs(_rank(space, program, k, prune=prune, n_threads=n_threads)) == expected


def test_ties_are_ranked_by_id_whoever_scores_them():
    space = space_of(FIXED_CASES["three_slots"])
    model = machine(space, ("ion", "stoichiometry", "cation_anion", "ion_coefficient"), n_components=0)
    parameters = tied_parameters(model, seed=1, largest=1)
    arguments = twin_arguments(model, parameters, "first")
    sets, scores = _scored(space, model.compile(parameters, "first"))
    assert scores.tolist() == [naive.fm_score(one, *arguments) for one in sets]
    assert len(set(scores.tolist())) < len(sets) / 2
    rows = zip(scores.tolist(), class_ids(space).tolist(), map(naive.formula, sets), strict=True)
    assert _pairs(_rank(space, model.compile(parameters, "first"), 40)) == naive.ranking(rows, set(), 40)


def test_pruning_spares_three_quarters_of_a_small_class():
    space = space_of(FIXED_CASES["four_slots"])
    model = machine(space)
    programs = [model.compile(random_parameters(model, seed, scale=2.0), "first") for seed in range(10)]
    assert np.mean([_rank(space, program, 1).n_scored for program in programs]) < 0.25 * space.n_candidates
    assert _rank(space, programs[0], 1, prune=False).n_scored == space.n_candidates


def test_nothing_left_to_rank_is_an_empty_ranking():
    space = space_of(FIXED_CASES["two_slots"])
    model = machine(space)
    program = model.compile(random_parameters(model, 0), "first")
    everything = np.unique(space.composition_keys("first", space.decode("first", class_ids(space))))
    assert len(_rank(space, program, 5, known=everything).ranked) == 0
    assert len(_rank(space, program, 5, wanted=ElementFilter(allowed=("O", "Cl"))).ranked) == 0
    assert len(_rank(space, program, 5, wanted=ElementFilter(required=("O", "Cl"))).ranked) == 0


class _Products(NamedTuple):
    """A form of its own: a score is the sum over factors of the product of all its ions' vectors; anion (A, F), cation (C, F)."""

    anion: np.ndarray
    cation: np.ndarray


def _fill_products(program, blocks, b, prefix, _, tile):
    tile.left[:], tile.right[:] = -np.inf, -np.inf
    starts, sizes = blocks.start[b], blocks.size[b]
    vector = program.anion[blocks.anion_set[b]].copy()
    for slot in range(len(sizes) - 2):
        vector *= program.cation[starts[slot] + prefix[slot]]
    columns = program.cation[starts[-1] : starts[-1] + sizes[-1]]
    tile.right[: sizes[-1]] = tile.free[-1, : sizes[-1]]
    if len(sizes) == 1:
        tile.left[0] = 0
        tile.pair[0, : sizes[-1]] = columns @ vector
        return
    rows = program.cation[starts[-2] : starts[-2] + sizes[-2]]
    tile.left[: sizes[-2]] = tile.free[-2, : sizes[-2]]
    tile.pair[: sizes[-2], : sizes[-1]] = (rows * vector) @ columns.T
    close_pairs(blocks, b, tile)


def _score_products(program, blocks, candidate_blocks, cations, out):
    out[:] = (program.anion[blocks.anion_set[candidate_blocks]] * program.cation[cations].prod(axis=1)).sum(axis=1)


_PRODUCTS = ScoringForm(
    at_anion=lambda program, *_: _Products(*(array.astype(np.float32) for array in program)),
    searched=_Products,
    workspace=lambda *_: (),
    prepare=lambda *_: None,
    fill_tile=_fill_products,
    fill_scores=_score_products,
    score_margin=lambda *_: 1e-3,
    promise=lambda _, blocks: np.zeros(len(blocks.anions)),
)


@pytest.mark.skipif(not numba.config.DISABLE_JIT, reason="kernels of a test must not enter the compile cache")
@pytest.mark.parametrize("chosen", ALL_CASES.values(), ids=ALL_CASES)
def test_a_form_is_all_that_a_new_kind_of_score_needs(monkeypatch, chosen):
    monkeypatch.setitem(FORMS, _Products, _PRODUCTS)
    space = space_of(chosen)
    rng = np.random.default_rng(5)
    program = _Products(rng.standard_normal((len(space.anion_sets), 3)), rng.standard_normal((len(space.ions.cations), 3)))
    candidates = space.decode("first", class_ids(space))
    scores = np.empty(len(candidates))
    _score_products(program, space.block_arrays("first"), candidates.blocks, candidates.cations, scores)
    formulas = [naive.formula(one) for one in as_sets(space, "first", candidates)]
    expected = naive.ranking(zip(scores.tolist(), class_ids(space).tolist(), formulas, strict=True), set(), 25)
    assert _pairs(_rank(space, program, 25)) == expected


def test_an_interrupt_stops_the_search():
    space = space_of(FIXED_CASES["two_slots"])
    model = machine(space)
    with pytest.raises(InterruptedProgressError):
        _rank(space, model.compile(random_parameters(model, 0), "first"), 5, n_threads=2, progress=BrokenProgress())


@pytest.mark.parametrize("field", ["row", "curve", "stoichiometry_bias"])
@pytest.mark.parametrize(
    ("value", "message"), [(np.nan, "not all finite"), (np.inf, "not all finite"), (1e20, "beyond 1e"), (-1e300, "beyond")]
)
def test_parameters_that_cannot_be_searched_are_refused(field, value, message):
    space = space_of(FIXED_CASES["two_slots"])
    model = machine(space)
    program = model.compile(random_parameters(model, 0), "first")
    getattr(program, field).flat[-1] = value
    with pytest.raises(ArtifactError, match=f"parameters for class 'first' are .*{message}"):
        _rank(space, program, 5)


def test_large_parameters_are_ranked_exactly():
    space = space_of(FIXED_CASES["three_slots"])
    model = machine(space)
    program = model.compile(random_parameters(model, 0, scale=1e4), "first")
    assert _pairs(_rank(space, program, 30)) == _naive_ranking(space, program, 30)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (ElementFilter(required=("Xe",)), "'Xe' is not an element of the ion table"),
        (ElementFilter(required=("Fe",), excluded=("Fe",)), "Fe is required and excluded at once"),
        (ElementFilter(required=("Fe",), allowed=("Li", "O")), "Fe is required and excluded at once"),
        (ElementFilter(required=("Fe", "Li", "Na", "O")), r"no class has as many elements as are required \(4\)"),
        (ElementFilter(allowed=("fe",)), "'fe' is not an element of the ion table; did you mean 'Fe'"),
        (ElementFilter(allowed=("LiFeO",)), "'LiFeO' is not an element of the ion table; write symbols between commas, .* as Li-Zn-S"),
        (ElementFilter(anions=("Fe",)), "leaves no anion; the ion table has Cl, O, S$"),
    ],
)
def test_impossible_filters_are_refused(wanted, message):
    with pytest.raises(ConfigError, match=message):
        search_filter(space_of(FIXED_CASES["two_slots"]), wanted)


@st.composite
def _offers(draw):
    """Draw a space, scores with ties, known formulas, and the candidates in a random order, cut into offers."""
    space = draw(spaces())
    ids = np.array(draw(st.permutations(class_ids(space).tolist()))[:200], np.int64)
    scores = np.array(draw(st.lists(st.integers(-3, 3), min_size=len(ids), max_size=len(ids))), np.float64)
    cuts = sorted(draw(st.lists(st.integers(0, len(ids)), max_size=4)))
    known_ids = np.array(draw(st.lists(st.sampled_from(ids), max_size=4)), np.int64)
    return space, ids, scores, cuts, np.unique(space.composition_keys("first", space.decode("first", known_ids)))


@settings(deadline=None, max_examples=60)
@given(_offers(), st.integers(1, 12))
def test_best_of_bests_is_best_of_all(case, k):
    space, ids, scores, cuts, known = case
    merged, in_offers = BestFormulas(space, "first", k, known), BestFormulas(space, "first", k, known)
    for part in np.split(np.arange(len(ids)), cuts):
        own = BestFormulas(space, "first", k, known)
        for best in (own, in_offers):
            best.offer(space.decode("first", ids[part]), scores[part])
        top = own.ranked()
        merged.offer(space.decode("first", top.ids), top.scores)
    formulas = [naive.formula(one) for one in as_sets(space, "first", space.decode("first", ids))]
    keys = space.composition_keys("first", space.decode("first", ids))
    known_formulas = {name for name, key in zip(formulas, keys, strict=True) if key in known}
    expected = naive.ranking(zip(scores.tolist(), ids.tolist(), formulas, strict=True), known_formulas, k)
    for best in (merged, in_offers):
        assert list(zip(best.ranked().ids.tolist(), best.ranked().scores.tolist(), strict=True)) == expected
