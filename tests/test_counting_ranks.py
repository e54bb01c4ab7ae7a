"""What comes before given candidates, and histograms of all scores, against naive twins."""

from dataclasses import asdict
from itertools import pairwise

import naive
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from small_spaces import (
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
)

from crcrank.errors import ArtifactError, ConfigError
from crcrank.kernels.forms import form_of
from crcrank.kernels.multilinear import DiagonalProgram, MultilinearProgram
from crcrank.models.nnmf import LatentNetwork
from crcrank.ranking import counting, search
from crcrank.ranking.cells import N_CELLS, ScoreCells
from crcrank.ranking.counting import count_before
from crcrank.ranking.filters import ElementFilter, search_filter
from crcrank.space.listed import ListedScores
from crcrank.space.shuffled import N_ROUNDS, ShuffledScores

_FORMS = ["machine", "tied", "equal", "multilinear", "diagonal", "perceptron", "listed", "shuffled"]


def _program(space, form, seed):
    """Return a random program of the class ``first``."""
    rng, item, ions = np.random.default_rng(seed), space.classes["first"], space.ions
    if form == "perceptron" and item.composition_class.n_anions > 1:
        form = "machine"  # a network has no place for two anions
    if form in {"tied", "equal"}:
        model = machine(space, ("ion", "stoichiometry", "cation_anion"), n_factors=2, n_components=0)
        return model.compile(tied_parameters(model, seed, 1 if form == "tied" else 0), "first")
    if form == "machine":
        model = machine(space, n_factors=1 + seed % 5, seed=seed)
        return model.compile(random_parameters(model, seed, 10.0 ** (seed % 4 - 2)), "first")
    if form == "perceptron":
        network = LatentNetwork(space, tuple(space.classes), 2, 2, 2, 3)
        return network.compile(random_parameters(network, seed), "first")
    if form == "listed":
        ids = rng.choice(class_ids(space), min(9, item.n_candidates))
        return ListedScores.sums(space, "first", space.decode("first", ids), rng.integers(-2, 3, len(ids)) / 1.0, float(seed % 3 - 1))
    if form == "shuffled":
        return ShuffledScores(item.first_id, item.n_candidates, rng.integers(0, 2**32, N_ROUNDS).astype(np.uint64))
    n, n_factors, n_ratios = item.composition_class.n_cations, 1 + seed % 3, len(item.stoichiometries.keys)
    is_diagonal = form == "diagonal"
    shapes = [
        (len(ions.cations), n_factors),
        (len(space.anion_sets), n_factors) if is_diagonal else (len(space.anion_sets), n_factors**n, 3),
        (n_ratios, n_factors if is_diagonal else 3),
    ]
    arrays = [rng.standard_normal(shape) for shape in shapes]
    arrays[2][rng.random(n_ratios) < 1 / 3] = 0
    return (DiagonalProgram if is_diagonal else MultilinearProgram)(*arrays)


def _scores(space, program, candidates):
    if isinstance(program, (ListedScores, ShuffledScores)):
        return program.scores_of(space, "first", candidates)
    scores = np.empty(len(candidates))
    form_of(program).fill_scores(program, space.block_arrays("first"), candidates.blocks, candidates.cations, scores)
    return scores


def _check(space, program, wanted, target_ids, **options):
    candidates = space.decode("first", class_ids(space))
    passing = [naive.passes(one, **asdict(wanted)) for one in as_sets(space, "first", candidates)]
    score_by_id = dict(zip(class_ids(space).tolist(), _scores(space, program, candidates).tolist(), strict=True))
    scored = [(score, i) for (i, score), passes in zip(score_by_id.items(), passing, strict=True) if passes]
    targets = space.decode("first", np.array(target_ids, np.int64))
    found = count_before(space, "first", program, targets, search_filter=search_filter(space, wanted), **options)
    assert found.n_before.tolist() == [naive.n_before(scored, (score_by_id[i], i)) for i in target_ids]
    histogram = found.histogram
    assert histogram.counts.sum() == len(scored)
    edges = [-np.inf, *histogram.edges[1:-1], np.inf]
    scores = np.array([score for score, _ in scored])
    by_edge = [((low <= scores) & (scores < high)).sum() for low, high in pairwise(edges)]
    n_near = sum(np.abs(np.array(edges) - score).min() <= 1e-12 * np.abs(edges[1:-1]).max() for score in scores)
    assert np.abs(histogram.counts - by_edge).sum() <= 2 * n_near


@st.composite
def _cases(draw):
    space = draw(spaces())
    targets = draw(st.lists(st.sampled_from(class_ids(space).tolist()), max_size=8))
    return space, draw(filters(space)), targets


@settings(deadline=None, max_examples=120)
@given(_cases(), st.sampled_from(_FORMS), st.integers(0, 99), st.sampled_from([1, 2]), st.sampled_from([1, 1 << 16]))
def test_counts_are_the_twins(case, form, seed, n_threads, capacity):
    space, wanted, targets = case
    try:
        search_filter(space, wanted)
    except ConfigError:
        assume(False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "_HIT_CAPACITY", capacity)
        patch.setattr(counting, "_CHUNK", 7)
        _check(space, _program(space, form, seed), wanted, targets, n_threads=n_threads)


@pytest.mark.parametrize("form", _FORMS)
@pytest.mark.parametrize("chosen", FIXED_CASES.values(), ids=FIXED_CASES)
def test_every_form_counts_every_class(chosen, form):
    space = space_of(chosen, (1, 2))
    targets = np.random.default_rng(1).choice(class_ids(space), 12).tolist()
    _check(space, _program(space, form, 3), ElementFilter(), targets, n_threads=2)


def test_the_histogram_reaches_extremes():
    space = space_of(FIXED_CASES["two_slots"])
    program = _program(space, "machine", 2)
    options = {"search_filter": search_filter(space, ElementFilter()), "extremes": np.array([-500.0, 700.0])}
    edges = count_before(space, "first", program, space.decode("first", class_ids(space)[:1]), **options).histogram.edges
    assert edges[0] < -500 < 700 < edges[-1]


@settings(deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30), st.floats(0, 1e3))
def test_no_score_within_the_margin_of_a_level_is_in_a_cell_without_flag(values, margin):
    scores = np.unique(values)
    cells = ScoreCells.spanning(scores)
    levels = cells.levels(scores, margin)
    is_flagged = cells.flags(levels) < 0
    for level, near in [(level, level + step) for level in scores for step in (-margin, 0, margin)]:
        assert is_flagged[cells.of(np.array([near]))].all()
        first = int(levels.first[cells.of(np.array([near]))[0]])
        assert first <= np.searchsorted(scores, level)
    inside = (cells.of(scores) > 0) & (cells.of(scores) < N_CELLS - 1)
    assert inside.all()


def test_parameters_that_cannot_be_counted_are_refused():
    space = space_of(FIXED_CASES["two_slots"])
    program = _program(space, "machine", 0)
    program.row[:] = np.nan
    with pytest.raises(ArtifactError, match="parameters for class 'first' are not all finite"):
        count_before(
            space, "first", program, space.decode("first", class_ids(space)[:1]), search_filter=search_filter(space, ElementFilter())
        )


def test_an_interrupt_stops_the_count():
    space = space_of(FIXED_CASES["two_slots"])
    targets, options = space.decode("first", class_ids(space)[:1]), {"search_filter": search_filter(space, ElementFilter())}
    with pytest.raises(InterruptedProgressError):
        count_before(space, "first", _program(space, "machine", 0), targets, progress=BrokenProgress(), n_threads=2, **options)
