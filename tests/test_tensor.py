"""Tucker and CP decompositions against dense tensors, TensorLy and numeric slopes."""

import itertools
import math

import naive
import naive_tensor
import numpy as np
import pytest
import tensorly
from small_spaces import case, class_ids, space_of
from tensorly.decomposition import tucker as tensorly_tucker

from crcrank.chem.elements import read_element_table
from crcrank.config import load_config
from crcrank.errors import ModelFitError
from crcrank.kernels.forms import form_of
from crcrank.models.contract import TrainingData
from crcrank.models.cp import SquaredError
from crcrank.models.registry import RECOMMENDERS
from crcrank.models.tensor import Ones, ordered_ones, unordered_ones
from crcrank.models.tucker import core_tensor, decompose
from crcrank.progress import SilentProgress
from crcrank.ranking.filters import ElementFilter, search_filter
from crcrank.ranking.search import rank_class

SETTINGS = load_config()
_NO_KEYS = np.empty(0, np.int64)
_IONS = "Li1+ Na1+ K1+ Mg2+ Ca2+ Fe2+ Fe3+ Al3+ O2- S2- Cl1-"


def _known(n_cations, n_known=60, seed=0):
    """Return a space of one class, and some of its candidates as known."""
    space = space_of(case(_IONS, n_cations, 3))
    ids = np.random.default_rng(seed).permutation(class_ids(space))[:n_known]
    return space, space.decode("first", np.sort(ids))


def _dense(space, known):
    item = space.classes["first"]
    rows = item.block_stoichiometry[known.blocks]
    listed = zip(
        known.cations.tolist(),
        item.block_anion_set[known.blocks].tolist(),
        item.stoichiometries.coefficients[rows].tolist(),
        item.stoichiometries.anion_coefficients[rows, 0].tolist(),
        strict=True,
    )
    return naive_tensor.dense_tensor(list(listed), (len(space.ions.cations), len(space.ions.anions)))[0]


def _decomposed(space, known, ranks, n_iterations):
    """Return the ones, the factors, and the approximation as a dense tensor, its ratios in their own order."""
    ones, _ = ordered_ones(space, "first", known)
    sizes = (len(space.ions.cations), len(space.ions.anions), int(ones.ratio.max()) + 1)
    factors = decompose(ones, sizes, ranks, n_iterations)
    n = ones.cations.shape[1]
    core = core_tensor(ones, factors).reshape(sizes[1], *[factors.cation.shape[1]] * n, -1)
    dense = np.moveaxis(core, 0, n)
    for mode, factor in [*((mode, factors.cation) for mode in range(n)), (n + 1, factors.ratio)]:
        dense = np.moveaxis(np.tensordot(factor, dense, axes=(1, mode)), 0, mode)
    return ones, factors, dense


def _of_ones(ones, shape):
    tensor = np.zeros(shape)
    tensor[(*ones.cations.T, ones.anion, ones.ratio)] = 1
    return tensor


@pytest.mark.parametrize("n_cations", [1, 2, 3])
def test_the_ones_are_the_dense_tensor(n_cations):
    space, known = _known(n_cations, 20)
    ones, rows = ordered_ones(space, "first", known)
    dense = _dense(space, known)
    tensor = _of_ones(ones, dense.shape)
    # The ratios of the twin are sorted another way: slices are the same as a set.
    slices = sorted(tensor[..., r].tobytes() for r in range(dense.shape[-1]))
    assert slices == sorted(dense[..., r].tobytes() for r in range(dense.shape[-1]))
    stoichiometry = space.classes["first"].block_stoichiometry[known.blocks]
    assert (tensor[(*known.cations.T, space.classes["first"].block_anion_set[known.blocks], rows[stoichiometry])] == 1).all()
    assert set(rows[rows >= 0].tolist()) <= set(ones.ratio.tolist())


@pytest.mark.parametrize(("n_cations", "ranks"), [(2, (4, 2, 6)), (2, (6, 3, 10)), (3, (5, 2, 8))])
def test_tucker_fits_as_well_as_tensorly(n_cations, ranks):
    space, known = _known(n_cations)
    ones, factors, found = _decomposed(space, known, ranks, 20)
    tensor = _of_ones(ones, found.shape)
    ranks = [ranks[0]] * n_cations + [ranks[1], factors.ratio.shape[1]]
    oracle = tensorly.tucker_to_tensor(tensorly_tucker(tensor, rank=ranks, n_iter_max=100, tol=1e-9))
    assert np.linalg.norm(tensor - found) < 1.01 * np.linalg.norm(tensor - oracle)


def test_tucker_iterations_improve_the_fit():
    space, known = _known(2)
    errors = []
    for n_iterations in (0, 1, 5):
        ones, _, found = _decomposed(space, known, (4, 2, 6), n_iterations)
        errors.append(np.linalg.norm(_of_ones(ones, found.shape) - found))
    assert errors[0] > errors[1] > errors[2]


def test_tucker_starts_from_cations_that_come_together_where_the_frequent_ones_do_not():
    pairs = np.array([[0, 2], [0, 3], [0, 4], [1, 5], [1, 6], [1, 7]])  # 0 and 1 are in most, and never together
    ones = Ones(np.concatenate([pairs, pairs[:, ::-1]]), np.zeros(12, np.int64), np.arange(12))
    norms = [(core_tensor(ones, decompose(ones, (8, 1, 12), (2, 1, 12), n)) ** 2).sum() for n in (0, 5)]
    assert norms[1] >= norms[0] > 0.9


def test_tucker_scores_what_no_known_composition_has_exactly_zero():
    space, known = _known(2, 6)
    item, blocks = space.classes["first"], space.block_arrays("first")
    model = _fit("tucker", space, known, n_cation_factors=[3] * 4, n_anion_factors=[1] * 4, n_ratio_factors=[3] * 4).model
    candidates = space.decode("first", class_ids(space))
    anions = item.block_anion_set[candidates.blocks]
    unknown = ~np.isin(candidates.cations, known.cations).all(axis=1) | ~np.isin(anions, item.block_anion_set[known.blocks])
    scores = model.scores("first", candidates)
    assert 0 < unknown.sum() < len(unknown)
    assert not scores[unknown].any()
    assert scores.any()
    assert (np.isnan(form_of(model.program("first")).constant(model.program("first"), blocks)[candidates.blocks]) >= (scores != 0)).all()


@pytest.mark.parametrize("n_cations", [2, 3])
def test_tucker_is_the_same_in_every_order_of_the_cations(n_cations):
    space, known = _known(n_cations, 40)
    item = space.classes["first"]
    ones, _, found = _decomposed(space, known, (4, 2, 7), 3)
    position = {}
    for order in itertools.permutations(range(n_cations)):
        ratio = ones.ratio.reshape(-1, len(known))[list(itertools.permutations(range(n_cations))).index(order)]
        for i, r in enumerate(ratio.tolist()):
            position[order, i] = r
    for i, anion in enumerate(item.block_anion_set[known.blocks].tolist()):
        values = [found[(*known.cations[i, list(order)], anion, position[order, i])] for order in itertools.permutations(range(n_cations))]
        np.testing.assert_allclose(values, values[0], rtol=1e-8, atol=1e-9)


def _fit(kind, space, known, **settings):
    data = TrainingData(space, {"first": known}, {"first": known.take(np.empty(0, np.int64))}, read_element_table(SETTINGS.space.elements))
    section = getattr(SETTINGS.train, kind).model_copy(update=settings)
    return RECOMMENDERS[kind].fit(data, section, np.random.default_rng(0), 1, SilentProgress())


@pytest.mark.parametrize(
    ("kind", "settings"),
    [("tucker", {"n_cation_factors": [4] * 4, "n_anion_factors": [2] * 4, "n_ratio_factors": [20] * 4}), ("cp", {"n_factors": [25] * 4})],
)
def test_bounds_spare_nearly_all_of_a_class_of_four_cations(kind, settings):
    space = space_of(case(f"{_IONS} Rb1+ Cs1+ Ag1+ Tl1+ Sr2+ Ba2+ La3+", 4, 5))
    ids = np.sort(np.random.default_rng(0).permutation(class_ids(space))[:200])
    program = _fit(kind, space, space.decode("first", ids), **settings).model.program("first")
    found, exhaustive = (
        rank_class(space, "first", program, 5, excluded=_NO_KEYS, search_filter=search_filter(space, ElementFilter()), prune=prune)
        for prune in (True, False)
    )
    assert found.ranked.ids.tolist() == exhaustive.ranked.ids.tolist()
    assert found.n_scored < 0.03 * exhaustive.n_scored == 0.03 * space.n_candidates


@pytest.mark.parametrize("n_cations", [1, 2])
def test_tucker_without_compression_is_the_tensor(n_cations):
    space, known = _known(n_cations, 25)
    ones, _ = ordered_ones(space, "first", known)
    sizes = [len(np.unique(index)) for index in (ones.cations, ones.anion, ones.ratio)]
    model = _fit(
        "tucker", space, known, n_cation_factors=[sizes[0]] * 4, n_anion_factors=[sizes[1]] * 4, n_ratio_factors=[sizes[2]] * 4
    ).model
    candidates = space.decode("first", class_ids(space))
    # Charges are no part of the ratio, so that a candidate is known if one of the same ions and coefficients is.
    expected = np.isin(class_ids(space), space.encode("first", known)).astype(float)
    np.testing.assert_allclose(model.scores("first", candidates), expected, atol=1e-9)


def test_scores_do_not_depend_on_the_order_of_the_candidates():
    space, known = _known(2)
    model = _fit("tucker", space, known, n_cation_factors=[3] * 4, n_anion_factors=[2] * 4, n_ratio_factors=[4] * 4).model
    candidates = space.decode("first", class_ids(space))
    shuffled = np.random.default_rng(1).permutation(len(candidates))
    np.testing.assert_array_equal(model.scores("first", candidates.take(shuffled)), model.scores("first", candidates)[shuffled])


@pytest.mark.parametrize("n_cations", [1, 2, 3])
def test_cp_error_and_slope(n_cations):
    space, known = _known(n_cations, 15)
    ones = unordered_ones(space, "first", known)
    sizes = (len(space.ions.cations), len(space.ions.anions), len(space.classes["first"].stoichiometries.keys))
    error = SquaredError(ones, sizes, n_factors=3, l2=0.3)
    rng = np.random.default_rng(2)
    numbers = rng.standard_normal(sum(sizes) * 3)
    program = error.unpacked(numbers)
    np.testing.assert_array_equal(error.packed(program), numbers)
    dense = tensorly.cp_to_tensor((np.ones(3), [program.cation] * n_cations + [program.anion, program.ratio]))
    tensor = np.zeros(dense.shape)
    for order in itertools.permutations(range(n_cations)):
        tensor[(*ones.cations[:, list(order)].T, ones.anion, ones.ratio)] = 1
    expected = ((tensor - dense) ** 2).sum() / math.factorial(n_cations) - len(ones.anion) + 0.3 * (numbers**2).sum()
    value, gradient = error(numbers)
    assert value == pytest.approx(expected)
    direction = rng.standard_normal(len(numbers))
    slope = naive.slope_along(lambda point: error(point[0])[0], [numbers], [direction])
    assert gradient @ direction == pytest.approx(slope, rel=1e-6)


def test_cp_recovers_known_compositions_and_scores_unseen_ratios_zero():
    space, known = _known(2, 40)
    fitted = _fit("cp", space, known, n_factors=[35] * 4, l2=1e-3, n_iterations=300)
    candidates = space.decode("first", class_ids(space))
    scores = fitted.model.scores("first", candidates)
    is_known = np.isin(class_ids(space), space.encode("first", known))
    assert scores[is_known].min() > 0.5
    assert scores[~is_known].mean() < 0.1
    assert 1 < fitted.n_epochs <= 300
    stoichiometry = space.classes["first"].block_stoichiometry
    unseen = ~np.isin(stoichiometry[candidates.blocks], stoichiometry[known.blocks])
    assert unseen.any()
    assert not scores[unseen].any()


_FITTING = {"n_cation_factors": [2] * 4, "n_anion_factors": [1] * 4, "n_ratio_factors": [2] * 4}


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        (
            "tucker",
            _FITTING | {"n_cation_factors": [99] * 4},
            "train.tucker.n_cation_factors: 99 factors for class 'first', .* have . cations",
        ),
        ("tucker", _FITTING | {"n_anion_factors": [9] * 4}, "train.tucker.n_anion_factors: 9 factors .* have . anions"),
        ("tucker", _FITTING | {"n_ratio_factors": [99] * 4}, r"train.tucker.n_ratio_factors: 99 factors .* have \d+ ratios"),
        ("cp", {"n_factors": [99] * 4}, r"train.cp.n_factors: 99 factors .* have \d+ cells"),
    ],
)
def test_more_factors_than_the_data_allow_are_refused(kind, settings, message):
    space, known = _known(2, 20)
    with pytest.raises(ModelFitError, match=message):
        _fit(kind, space, known, **settings)
