from dataclasses import replace
from itertools import chain, combinations
from typing import get_args

import naive
import numpy as np
import pytest
from small_spaces import ALL_CASES, FIXED_CASES, as_sets, class_ids, machine, random_parameters, space_of, table_of, twin_arguments

from crcrank.config import SharedGroup
from crcrank.errors import ModelFitError
from crcrank.kernels import tables as pair_tables
from crcrank.kernels.pairwise import PairwiseProgram, fill_scores, score_margin
from crcrank.kernels.tables import (
    bound_block,
    bound_from_tables,
    fill_from_tables,
    outline_of,
    prepare_tables,
    skim_blocks,
    table_workspace,
    tables_at_anion,
)
from crcrank.kernels.tile import close_prefix, is_free_prefix, new_tile, open_tile
from crcrank.models.fm import FEATURE_GROUPS, FittedFM
from crcrank.space.space import Candidates, CompositionClass, Space

SHARED_GROUPS = get_args(SharedGroup)
_SUBSETS = list(chain.from_iterable(combinations(FEATURE_GROUPS, n) for n in range(len(FEATURE_GROUPS) + 1)))
_CASES = pytest.mark.parametrize("chosen", ALL_CASES.values(), ids=ALL_CASES)


def _scores(space, name, program, candidates):
    scores = np.empty(len(candidates))
    fill_scores(program, space.block_arrays(name), candidates.blocks, candidates.cations, scores)
    return scores


def _some_candidates(space, name, n, seed=0):
    ids = class_ids(space, name)
    return space.decode(name, np.random.default_rng(seed).permutation(ids)[:n])


def _assert_scores_are_the_twins(model, parameters, name, n):
    candidates = _some_candidates(model.space, name, n)
    arguments = twin_arguments(model, parameters, name)
    expected = [naive.fm_score(one, *arguments) for one in as_sets(model.space, name, candidates)]
    found = _scores(model.space, name, model.compile(parameters, name), candidates)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("n_components", [0, 1, 2])
@pytest.mark.parametrize("features", _SUBSETS, ids=lambda features: "+".join(features) or "none")
def test_scores_are_those_of_the_textbook(features, n_components):
    space = space_of(FIXED_CASES["two_slots"], (3, 2))
    model = machine(space, features, n_factors=2 + len(features), n_components=n_components, seed=n_components)
    parameters = random_parameters(model, seed=len(features))
    for name in space.classes:
        _assert_scores_are_the_twins(model, parameters, name, 6)


_OWN = pytest.mark.parametrize("per_class", [("ion",), ("cation_anion", "prior"), SHARED_GROUPS], ids="+".join)


@_OWN
def test_scores_of_each_class_are_by_its_own_parameters_where_it_has_some(per_class):
    model = machine(space_of(FIXED_CASES["two_slots"], (3, 2)), per_class=per_class)
    parameters = random_parameters(model, seed=1)
    for name in model.classes:
        _assert_scores_are_the_twins(model, parameters, name, 6)


@_OWN
def test_own_parameters_that_are_equal_score_as_shared_ones_and_share_the_gradient(per_class):
    shared = machine(space_of(FIXED_CASES["two_slots"], (3, 2), (1, 4)))
    model = replace(shared, per_class=frozenset(per_class))
    parameters = random_parameters(shared, seed=2)
    copies = {group: parameters[_shared_name(group, shared)] for group in model.shapes()}
    rng = np.random.default_rng(3)
    flows = {name: _random_like(shared.compile(parameters, name), rng) for name in shared.classes}
    for name in shared.classes:
        for one, other in zip(shared.compile(parameters, name), model.compile(copies, name), strict=True):
            np.testing.assert_array_equal(one, other)
    total = {group: np.zeros(shape) for group, shape in shared.shapes().items()}
    for group, gradient in model.pull_back(copies, flows).items():
        total[_shared_name(group, shared)] += gradient
    for group, gradient in shared.pull_back(parameters, flows).items():
        np.testing.assert_allclose(total[group], gradient, rtol=1e-9, atol=1e-9, err_msg=group)


def _shared_name(group, shared):
    return group if group in shared.shapes() else group.rpartition(".")[0]


@_OWN
def test_a_machine_of_own_parameters_is_restored(per_class):
    model = machine(space_of(FIXED_CASES["two_slots"], (3, 2)), per_class=per_class)
    fitted = FittedFM(model, (random_parameters(model, seed=1), random_parameters(model, seed=2)))
    again = FittedFM.restore(fitted.arrays(), fitted.facts(), model.space)
    assert again.machine.per_class == set(per_class)
    for name in model.classes:
        candidates = _some_candidates(model.space, name, 20)
        np.testing.assert_array_equal(again.scores(name, candidates), fitted.scores(name, candidates))


def test_a_class_may_be_named_like_a_feature():
    classes = [CompositionClass("ion", 2, 3), CompositionClass("prior", 3, 2)]
    model = machine(Space(table_of(FIXED_CASES["two_slots"].ions), classes), per_class=("cation_anion",))
    parameters = random_parameters(model, seed=1)
    for name in model.classes:
        _assert_scores_are_the_twins(model, parameters, name, 6)


@_CASES
@pytest.mark.parametrize("n_factors", [0, 1, 4, 9])
def test_any_number_of_slots_and_factors(chosen, n_factors):
    model = machine(space_of(chosen), n_factors=n_factors, n_components=3)
    _assert_scores_are_the_twins(model, random_parameters(model, seed=n_factors), "first", 12)


@pytest.mark.parametrize("name", ["three_slots", "four_slots"])
def test_order_of_equal_slots_does_not_matter(name):
    space = space_of(FIXED_CASES[name])
    model = machine(space)
    program = model.compile(random_parameters(model, seed=3), "first")
    candidates = space.decode("first", class_ids(space))
    runs = space.block_arrays("first").run[candidates.blocks]
    swapped = candidates.cations.copy()
    for row, run in zip(swapped, runs, strict=True):
        for slot in np.flatnonzero(run):
            row[[slot - 1, slot]] = row[[slot, slot - 1]]
    assert (swapped != candidates.cations).any()
    found = _scores(space, "first", program, Candidates(candidates.blocks, swapped))
    np.testing.assert_allclose(found, _scores(space, "first", program, candidates), rtol=1e-12, atol=1e-12)


@pytest.fixture(params=[0, 1 << 40], ids=["products", "tables"])
def products_or_tables(request, monkeypatch):
    """Let blocks multiply vectors, as in a small class, or read tables, as in a large one."""
    monkeypatch.setattr(pair_tables, "_n_pairs", lambda *_: request.param)
    return bool(request.param)


def _searched_blocks(space, program, dtype):
    """Yield for each block its scores as the search computes them, (size of slot 0, ...), -inf for what is no candidate.

    With them come its bound, and that of each of its tiles, (size of slot 0, ...).
    """
    blocks = space.block_arrays("first")
    n_slots, largest = blocks.size.shape[1], int(blocks.size.max())
    n_labels = 1 + max(blocks.cation_element.max(), blocks.anion_element.max())
    tile = new_tile(n_slots, largest, n_labels, dtype)
    allowed = np.ones(len(space.ions.cations), bool)
    for b, anion in enumerate(blocks.anion_set):
        tables = tables_at_anion(program, blocks, anion, dtype)
        work = table_workspace(tables, n_slots, largest)
        open_tile(blocks, b, allowed, tile)
        prepare_tables(tables, blocks, b, work, tile)
        sizes = blocks.size[b]
        scores, bounds = np.full(sizes, -np.inf, dtype), np.empty(sizes[:-2])
        rows, columns = sizes[-2] if n_slots > 1 else 1, sizes[-1]
        for prefix in np.ndindex(*sizes[:-2]):
            chosen = np.array([*prefix, 0])
            bounds[prefix] = bound_from_tables(tables, blocks, b, chosen, work, tile)
            fill_from_tables(tables, blocks, b, chosen, work, tile)
            close_prefix(blocks, b, chosen, tile)
            own = tile.left[:rows, None] + tile.right[:columns] + tile.pair[:rows, :columns]
            if is_free_prefix(blocks, b, chosen, tile):
                scores[prefix] = own.reshape(sizes[-2:])
        yield scores, bound_block(tables, blocks, b, work, tile), bounds


def _largest_error(space, program, dtype):
    """Return the largest difference of tile scores in ``dtype`` from float64 scores; check that only candidates have one."""
    blocks = space.block_arrays("first")
    candidates = space.decode("first", class_ids(space))
    expected = _scores(space, "first", program, candidates)
    error = 0.0
    for b, (scores, _, _) in enumerate(_searched_blocks(space, program, dtype)):
        own = candidates.blocks == b
        assert scores.dtype == dtype
        local = candidates.cations[own] - blocks.start[b]
        error = max(error, np.abs(scores[tuple(local.T)].astype(np.float64) - expected[own]).max())
        ascending = [np.diff(np.indices(scores.shape), axis=0)[slot - 1] > 0 for slot in np.flatnonzero(blocks.run[b])]
        once = np.logical_and.reduce([np.isfinite(scores), *ascending])
        assert once.sum() == own.sum()
    return error


@_CASES
@pytest.mark.usefixtures("products_or_tables")
@pytest.mark.parametrize("n_factors", [0, 3, 8])
def test_tables_add_up_to_the_scores(chosen, n_factors):
    space = space_of(chosen)
    model = machine(space, n_factors=n_factors)
    program = model.compile(random_parameters(model, seed=n_factors), "first")
    assert _largest_error(space, program, np.float64) < 1e-12 * (1 + score_margin(program, chosen.n_cations) * 2.0**23)


@_CASES
@pytest.mark.usefixtures("products_or_tables")
@pytest.mark.parametrize("n_components", [0, 2])
def test_bounds_are_reached_by_two_slots_and_exceeded_by_none(chosen, n_components):
    space = space_of(chosen)
    model = machine(space, n_factors=5, n_components=n_components)
    program = model.compile(random_parameters(model, seed=n_components), "first")
    close = {"rel": 0, "abs": score_margin(program, chosen.n_cations) * 2.0**-28}
    for scores, bound, bounds in _searched_blocks(space, program, np.float64):
        best = scores.max(axis=(-2, -1)) if scores.ndim > 1 else scores.max()
        assert best.max() <= bound + close["abs"]
        assert (best <= bounds + close["abs"]).all()
        if scores.ndim == 2:
            assert best == pytest.approx(bound, **close)
            assert best == pytest.approx(float(bounds), **close)


@_CASES
@pytest.mark.parametrize("n_components", [0, 2])
def test_bounds_from_an_outline_are_exceeded_by_none(chosen, n_components, products_or_tables):
    space = space_of(chosen)
    model = machine(space, n_factors=5, n_components=n_components)
    program, blocks = model.compile(random_parameters(model, seed=n_components), "first"), space.block_arrays("first")
    allowed = np.arange(len(space.ions.cations)) % 4 != 1
    expected, found = np.full(len(blocks.anion_set), -np.inf), np.full(len(blocks.anion_set), np.nan)
    candidates = space.decode("first", class_ids(space))
    rows = allowed[candidates.cations].all(axis=1)
    np.maximum.at(expected, candidates.blocks[rows], _scores(space, "first", program, candidates)[rows])
    for anion in np.unique(blocks.anion_set):
        tables = tables_at_anion(program, blocks, anion, np.float64)
        outline = outline_of(tables, blocks, anion, allowed)
        assert (outline is not None) == products_or_tables
        if outline:
            work = table_workspace(tables, blocks.size.shape[1], int(blocks.size.max()))
            skim_blocks(tables, outline, blocks, np.flatnonzero(blocks.anion_set == anion), work, found)
    if products_or_tables:
        assert (expected <= found + score_margin(program, chosen.n_cations) * 2.0**-28).all()
        if chosen.n_cations == 1:
            np.testing.assert_allclose(found, expected, rtol=1e-12)


@_CASES
@pytest.mark.usefixtures("products_or_tables")
@pytest.mark.parametrize("scale", [1e-25, 1e-3, 0.5, 30.0, 1e4, 1e9])
def test_score_margin_bounds_the_error_of_single_precision(chosen, scale):
    space = space_of(chosen)
    for seed, features in enumerate([FEATURE_GROUPS, ("ion", "stoichiometry"), ("prior",)]):
        model = machine(space, features, n_factors=1 + 3 * seed, seed=seed)
        program = model.compile(random_parameters(model, seed, scale), "first")
        assert _largest_error(space, program, np.float32) <= score_margin(program, chosen.n_cations)


@_CASES
def test_score_margin_bounds_the_error_where_products_underflow(chosen):
    space = space_of(chosen)
    model = machine(space, ("ion", "stoichiometry", "cation_anion"))
    for scale in (1e-20, 1e-22, 1e-30):
        parameters = random_parameters(model, 2, scale)
        program = model.compile({group: array if group.startswith("factor") else 0 * array for group, array in parameters.items()}, "first")
        program = program._replace(bias=0 * program.bias, anion_bias=0 * program.anion_bias)
        assert _largest_error(space, program, np.float32) <= score_margin(program, chosen.n_cations)


def test_score_margin_bounds_the_error_where_terms_cancel():
    space = space_of(FIXED_CASES["four_slots"])
    model = machine(space, n_factors=5)
    parameters = random_parameters(model, seed=1, scale=100.0)
    program = model.compile(parameters, "first")
    scores = _scores(space, "first", program, space.decode("first", class_ids(space)))
    program = model.compile(parameters | {"bias.first": parameters["bias.first"] - scores.mean()}, "first")
    assert 0 < _largest_error(space, program, np.float32) <= score_margin(program, 4)


def _random_like(program, rng):
    return PairwiseProgram(*(rng.standard_normal(array.shape) for array in program))


@pytest.mark.parametrize("n_components", [0, 1, 2])
@pytest.mark.parametrize(
    ("features", "per_class"),
    [
        (FEATURE_GROUPS, ()),
        (FEATURE_GROUPS, ("ion_coefficient", "cation_cation_anion")),
        (("ion", "prior"), ()),
        (("ion", "prior"), ("prior",)),
        (("cation_anion",), ("ion",)),
        ((), ()),
    ],
    ids=lambda groups: "+".join(groups) or "none",
)
def test_pull_back_is_the_transpose_of_compile(features, per_class, n_components):
    space = space_of(FIXED_CASES["two_slots"], (3, 2), (1, 4))
    model = machine(space, features, n_components=n_components, per_class=per_class)
    parameters = random_parameters(model, seed=5)
    rng = np.random.default_rng(6)
    flows = {name: _random_like(model.compile(parameters, name), rng) for name in space.classes}
    gradient = model.pull_back(parameters, flows)
    assert {group: array.shape for group, array in gradient.items()} == model.shapes()

    def value(group, array):
        programs = {name: model.compile(parameters | {group: array}, name) for name in space.classes}
        return sum(naive.inner(programs[name], flows[name]) for name in space.classes)

    for group, shape in model.shapes().items():
        direction = rng.standard_normal(shape)
        expected = naive.slope_along(lambda point, group=group: value(group, point[0]), [parameters[group]], [direction])
        found = naive.inner([gradient[group]], [direction])
        assert found == pytest.approx(expected, rel=1e-6, abs=1e-6), group


def test_initial_parameters_have_every_shape():
    model = machine(space_of(FIXED_CASES["two_slots"], (1, 2)))
    parameters = model.initial({"first": -3.0, "more0": -1.0}, 0.1, np.random.default_rng(0))
    assert {group: array.shape for group, array in parameters.items()} == model.shapes()
    assert (parameters["bias.first"], parameters["bias.more0"]) == (-3.0, -1.0)
    assert not any(parameters[group].any() for group in parameters if group.startswith("weight."))
    assert 0.05 < np.std(parameters["factor.ion_coefficient"]) < 0.2


def test_a_class_never_seen_is_scored_without_its_stoichiometries():
    both = machine(space_of(FIXED_CASES["two_slots"], (3, 2)))
    parameters = random_parameters(both, seed=4)
    alone = replace(both, classes=("first",))
    model = FittedFM(alone, ({group: parameters[group] for group in alone.shapes()},)).transferred(["more0"])
    assert model.classes == ("first", "more0")
    zeroed = {group: np.zeros_like(values) if group.endswith("more0") else values for group, values in parameters.items()}
    for name in model.classes:
        candidates = _some_candidates(both.space, name, 20)
        np.testing.assert_array_equal(model.scores(name, candidates), FittedFM(both, (zeroed,)).scores(name, candidates))
    smaller = replace(both, classes=("more0",))
    with pytest.raises(ModelFitError, match="no coefficient above 2 was learned, but first has coefficients to 3"):
        FittedFM(smaller, (random_parameters(smaller, seed=4),)).transferred(["first"])
