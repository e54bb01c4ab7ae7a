"""The multilinear forms: their scores, bounds and rankings against naive twins."""

from dataclasses import asdict

import naive
import naive_tensor
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from small_spaces import FIXED_CASES, as_sets, class_ids, filters, space_of, spaces

from crcrank.errors import ArtifactError, ConfigError
from crcrank.kernels.forms import form_of
from crcrank.kernels.multilinear import DiagonalProgram, MultilinearProgram
from crcrank.kernels.tile import close_prefix, is_free_prefix, new_tile, open_tile
from crcrank.ranking.filters import ElementFilter, search_filter
from crcrank.ranking.search import rank_class

_CASES = pytest.mark.parametrize("chosen", FIXED_CASES.values(), ids=FIXED_CASES)
_FORMS = pytest.mark.parametrize("form", ["multilinear", "diagonal"])
_NO_KEYS = np.empty(0, np.int64)
_ANY = ElementFilter()


def _program(space, form, seed, scale=1.0):
    """Return a random program of the class ``first``; a third of the stoichiometries score zero."""
    rng = np.random.default_rng(seed)
    item = space.classes["first"]
    n, n_factors = item.composition_class.n_cations, 1 + seed % 4
    n_cations, n_anions, n_ratios = len(space.ions.cations), len(space.anion_sets), len(item.stoichiometries.keys)
    shapes = {
        "multilinear": ((n_cations, n_factors), (n_anions, n_factors**n, 3), (n_ratios, 3)),
        "diagonal": ((n_cations, n_factors), (n_anions, n_factors), (n_ratios, n_factors)),
    }[form]
    arrays = [scale * rng.standard_normal(shape) for shape in shapes]
    arrays[2][rng.random(n_ratios) < 1 / 3] = 0
    return {"multilinear": MultilinearProgram, "diagonal": DiagonalProgram}[form](*arrays)


def _sparse(program, seed, share):
    """Return a program with whole numbers for numbers: a share of its vectors are zeros, and many of the scores equal."""
    rng = np.random.default_rng(seed)
    return program._replace(
        **{
            name: np.round(array) * (rng.random(len(array)) >= share).reshape(-1, *[1] * (array.ndim - 1))
            for name, array in program._asdict().items()
        }
    )


def _scored(space, program):
    candidates = space.decode("first", class_ids(space))
    scores = np.empty(len(candidates))
    form_of(program).fill_scores(program, space.block_arrays("first"), candidates.blocks, candidates.cations, scores)
    return candidates, scores


def _twin_scores(space, program, candidates):
    blocks = space.block_arrays("first")
    for b, cations in zip(candidates.blocks, candidates.cations, strict=True):
        ratio, vectors = program.ratio[blocks.stoichiometry[b]], [program.cation[c] for c in cations]
        if isinstance(program, MultilinearProgram):
            n_factors = program.cation.shape[1]
            core = program.core[blocks.anion_set[b]].reshape(*[n_factors] * len(cations), -1)
            yield naive_tensor.multilinear_score(core, ratio, vectors)
        else:
            yield naive_tensor.diagonal_score(program.anion[blocks.anion_set[b]], ratio, vectors)


@_FORMS
@_CASES
def test_scores_are_the_twins(chosen, form):
    space = space_of(chosen)
    program = _program(space, form, seed=2)
    candidates, scores = _scored(space, program)
    sample = np.sort(np.random.default_rng(0).permutation(len(scores))[:200])
    np.testing.assert_allclose(scores[sample], list(_twin_scores(space, program, candidates.take(sample))), rtol=1e-9, atol=1e-12)


def _tiles(space, program):
    """Yield for each tile that has candidates its bound and its scores in single precision (cations as in the block, float32)."""
    form, blocks = form_of(program), space.block_arrays("first")
    n_slots, largest = blocks.size.shape[1], int(blocks.size.max())
    tile = new_tile(n_slots, largest, len(space.ions.elements))
    allowed = np.ones(len(space.ions.cations), bool)
    for b in range(len(blocks.size)):
        searched = form.at_anion(program, blocks, int(blocks.anion_set[b]))
        work = form.workspace(searched, n_slots, largest)
        open_tile(blocks, b, allowed, tile)
        form.prepare(searched, blocks, b, work, tile)
        for prefix in np.ndindex(*blocks.size[b, : max(n_slots - 2, 0)]):
            chosen = np.array([*prefix, 0], np.int64)
            if not is_free_prefix(blocks, b, chosen, tile):
                continue
            bound = form.bound_tile(searched, blocks, b, chosen, work, tile)
            form.fill_tile(searched, blocks, b, chosen, work, tile)
            close_prefix(blocks, b, chosen, tile)
            n_rows, n_columns = blocks.size[b, -2] if n_slots > 1 else 1, blocks.size[b, -1]
            scores = tile.left[:n_rows, None] + tile.pair[:n_rows, :n_columns] + tile.right[None, :n_columns]
            yield b, prefix, bound, scores


def _check_tiles(space, program):
    """Check that tiles are bounded, and that their scores are those of single candidates but for the margin."""
    blocks = space.block_arrays("first")
    candidates, scores = _scored(space, program)
    margin = form_of(program).score_margin(program, blocks.size.shape[1])
    exact = {(b, *local): score for b, local, score in zip(candidates.blocks.tolist(), _local(blocks, candidates), scores, strict=True)}
    room = margin * (1 + 1e-9)
    assert (scores <= form_of(program).promise(program, blocks)[candidates.blocks] + room).all()
    for b, prefix, bound, found in _tiles(space, program):
        for k, j in np.argwhere(np.isfinite(found)):
            last = (int(k), int(j)) if blocks.size.shape[1] > 1 else (int(j),)
            expected = exact.get((b, *prefix, *last))
            if expected is not None:  # otherwise a run of the earlier slots that does not ascend, which the search leaves out
                assert abs(float(found[k, j]) - expected) <= margin
                assert expected <= bound + room


def _local(blocks, candidates):
    return map(tuple, (candidates.cations - blocks.start[candidates.blocks]).tolist())


@_FORMS
@_CASES
@pytest.mark.parametrize("scale", [1e-25, 1e-12, 1e-3, 1.0, 30.0, 1e4])
def test_bounds_and_margins_hold_at_any_scale(chosen, form, scale):
    space = space_of(chosen)
    _check_tiles(space, _program(space, form, seed=3, scale=scale))


def _naive_ranking(space, program, k, wanted=_ANY):
    candidates, scores = _scored(space, program)
    sets = as_sets(space, "first", candidates)
    rows = zip(scores.tolist(), class_ids(space).tolist(), map(naive.formula, sets), strict=True)
    passing = [row for row, one in zip(rows, sets, strict=True) if naive.passes(one, **asdict(wanted))]
    return naive.ranking(passing, set(), k)


def _found(space, program, k, wanted=_ANY, **options):
    return rank_class(space, "first", program, k, excluded=_NO_KEYS, search_filter=search_filter(space, wanted), **options)


def _rank(space, program, k, wanted=_ANY, **options):
    found = _found(space, program, k, wanted, **options).ranked
    return list(zip(found.ids.tolist(), found.scores.tolist(), strict=True))


@settings(deadline=None, max_examples=40)
@given(spaces(), st.sampled_from(["multilinear", "diagonal"]), st.integers(0, 99), st.booleans(), st.sampled_from([1, 15, 10_000]))
def test_the_ranking_is_the_twins(space, form, seed, prune, k):
    program = _program(space, form, seed)
    assert _rank(space, program, k, prune=prune) == _naive_ranking(space, program, k)


@st.composite
def _ties(draw):
    """Draw a space, a program of few numbers, whole or of very different size, and a filter."""
    space, seed = draw(spaces()), draw(st.integers(0, 99))
    program = _program(space, draw(st.sampled_from(["multilinear", "diagonal"])), seed)
    program = _sparse(program, seed, draw(st.sampled_from([0, 0.2, 0.5, 1])))
    if draw(st.booleans()):  # most scores are then less than the margin
        program = program._replace(cation=program.cation * 10.0 ** -np.random.default_rng(seed).integers(0, 7, (len(program.cation), 1)))
    return space, program, draw(filters(space))


@settings(deadline=None, max_examples=80)
@given(_ties(), st.booleans(), st.sampled_from([1, 3, 15, 10_000]))
def test_ties_and_zeros_are_ranked_as_the_twins(drawn, prune, k):
    space, program, wanted = drawn
    try:
        search_filter(space, wanted)
    except ConfigError:
        assume(False)
    assert _rank(space, program, k, wanted, prune=prune) == _naive_ranking(space, program, k, wanted)


@_FORMS
@_CASES
def test_pruning_and_threads_change_nothing(chosen, form):
    space = space_of(chosen)
    program = _program(space, form, seed=5)
    expected = _naive_ranking(space, program, 20)
    for prune, n_threads in [(True, 1), (False, 1), (True, 2)]:
        assert _rank(space, program, 20, prune=prune, n_threads=n_threads) == expected


@_FORMS
@pytest.mark.parametrize("zero", ["cation", "ratio", "core"])
def test_what_scores_zero_needs_no_search(form, zero):
    """Where no ion is known, or no ratio, or no anion, all tie, and come in their own order."""
    space = space_of(FIXED_CASES["four_slots"])
    program = _program(space, form, seed=3)
    name = "anion" if zero == "core" and form == "diagonal" else zero
    found = _found(space, program._replace(**{name: np.zeros_like(getattr(program, name))}), 20)
    assert found.ranked.ids.tolist() == class_ids(space)[:20].tolist()
    assert not found.ranked.scores.any()
    assert found.n_scored < 0.2 * space.n_candidates


@_FORMS
def test_scores_beyond_single_precision_are_refused(form):
    space = space_of(FIXED_CASES["three_slots"])
    with pytest.raises(ArtifactError, match="scores for class 'first' are beyond what single precision can hold: train it again"):
        _rank(space, _program(space, form, seed=3, scale=1e10), 5)
