import copy
import itertools
import math
from concurrent.futures import ThreadPoolExecutor

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_spaces import ALL_CASES, FIXED_CASES, as_sets, case, class_ids, machine, random_parameters, space_of, twin_arguments

from crcrank.config import load_config
from crcrank.kernels import likelihood
from crcrank.kernels.likelihood import add_block_sums, add_candidate_flows, fill_factors, sum_workspace
from crcrank.kernels.pairwise import PairwiseProgram, fill_context, fill_scores, fill_slot, product_sum, score_each
from crcrank.models.likelihood import ClassLikelihood, KnownCandidates, log_known, probability, zeros_like
from crcrank.models.substitution import similarity_of_ions
from crcrank.models.training import Fit, class_weights
from crcrank.progress import SilentProgress

# Four equal slots, with and without an element that is also the anion's.
_CASES = ALL_CASES | {"four_alike": case("Li1+ Na1+ K1+ Fe1+ Ti1+ S1+ O2- S2-", 4, 2)}
_BY_CASE = pytest.mark.parametrize("chosen", _CASES.values(), ids=_CASES)


def _compiled(space, seed, n_factors=5, scale=0.3):
    model = machine(space, n_factors=n_factors, seed=seed)
    return model.compile(random_parameters(model, seed, scale), "first")


def _single(program):
    return PairwiseProgram(*(array.astype(np.float32) for array in program))


def _scores(space, program, candidates):
    scores = np.empty(len(candidates))
    fill_scores(program, space.block_arrays("first"), candidates.blocks, candidates.cations, scores)
    return scores


def _random_direction(program, rng):
    """Return a random step for each field; the fraction-fraction terms stay symmetric."""
    direction = PairwiseProgram(*(rng.standard_normal(array.shape) for array in program))
    return direction._replace(curve=direction.curve + direction.curve.T)


def _assert_is_gradient(gradient, function, program, seed):
    """Compare a float32 gradient with central differences, along random directions of one field at a time."""
    rng = np.random.default_rng(seed)
    for field, found in gradient._asdict().items():
        step = getattr(_random_direction(program, rng), field)

        def value(point, field=field):
            return function(program._replace(**{field: point[0]}))

        expected = naive.slope_along(value, [getattr(program, field)], [step], step=1e-3 if field == "curve" else 1e-4)
        tolerance = 1e-4 * naive.norm([found]) * naive.norm([step]) + 1e-6
        assert naive.inner([found], [step]) == pytest.approx(expected, abs=tolerance), field


def _block_sums(space, program, order, weights):
    blocks = space.block_arrays("first")
    work = sum_workspace(blocks.size.shape[1], int(blocks.size.max()), program.row.shape[3])
    gradient = zeros_like(program)
    total = add_block_sums(_single(program), blocks, order, weights.astype(np.float32), work, gradient)
    return total, gradient


def _naive_sum(space, order, weights):
    """Return the function that sums the weighted rates of all candidates of some blocks."""
    candidates = space.decode("first", class_ids(space))
    weight_of = np.zeros(space.classes["first"].n_blocks)
    weight_of[order] = weights

    def total(program):
        return naive.sum_of_rates(_scores(space, program, candidates), weight_of[candidates.blocks])

    return total


@_BY_CASE
@pytest.mark.parametrize("n_factors", [0, 5])
def test_block_sums_are_those_of_all_candidates(chosen, n_factors):
    space = space_of(chosen)
    program = _compiled(space, seed=1, n_factors=n_factors)
    rng = np.random.default_rng(2)
    order = rng.permutation(space.classes["first"].n_blocks)[: 2 * space.classes["first"].n_blocks // 3 + 1]
    weights = rng.uniform(0.5, 2.0, len(order)).astype(np.float32)
    total, gradient = _block_sums(space, program, order, weights)
    function = _naive_sum(space, order, weights)
    assert total == pytest.approx(function(program), rel=1e-5)
    _assert_is_gradient(gradient, function, program, seed=3)


@_BY_CASE
def test_scores_that_underflow_add_nothing(chosen):
    space = space_of(chosen)
    program = _compiled(space, seed=1)
    program = program._replace(bias=program.bias.copy())
    program.bias[:, 0] = -500.0
    order = np.arange(space.classes["first"].n_blocks)
    total, gradient = _block_sums(space, program, order, np.ones(len(order)))
    assert total == pytest.approx(_naive_sum(space, order, 1.0)(program), rel=1e-5)
    assert not gradient.bias[:, 0].any()


@_BY_CASE
def test_candidate_flows_are_the_gradient_of_single_scores(chosen):
    space = space_of(chosen)
    program = _compiled(space, seed=4)
    rng = np.random.default_rng(5)
    candidates = space.decode("first", rng.choice(class_ids(space), 12))
    flows = rng.standard_normal(12).astype(np.float32)
    gradient = zeros_like(program)
    add_candidate_flows(_single(program), space.block_arrays("first"), candidates.blocks, candidates.cations, flows, gradient)
    _assert_is_gradient(gradient, lambda point: float(flows @ _scores(space, point, candidates)), program, seed=6)


@pytest.mark.parametrize("score", [-40.0, -14.0, -13.0, -2.0, 0.0, 1.5, 3.0])
def test_log_known_and_probability_are_their_formulas(score):
    rate = math.exp(score)
    assert log_known(np.array([score]))[0] == pytest.approx(math.log(math.expm1(rate)), rel=1e-6)
    assert probability(np.array([score]))[0] == pytest.approx(-math.expm1(-rate), rel=1e-12)


def test_extreme_scores_do_not_overflow():
    scores = np.array([-700.0, 29.0, 700.0])
    assert log_known(scores)[0] == -700.0
    assert np.isfinite(log_known(scores)).all()
    assert probability(scores)[1:].tolist() == [1.0, 1.0]


def test_batches_deal_every_block_once():
    space = space_of(FIXED_CASES["three_slots"])
    likelihood = ClassLikelihood(space, "first")
    batches = likelihood.batches(5, np.random.default_rng(0))
    assert len(batches) == 5
    assert sorted(np.concatenate(batches).tolist()) == list(range(space.classes["first"].n_blocks))


@_BY_CASE
def test_number_of_threads_changes_no_bit(chosen):
    space = space_of(chosen)
    program = _single(_compiled(space, seed=7))
    likelihood = ClassLikelihood(space, "first")
    results = []
    for n_threads in (1, 3):
        buffers = [zeros_like(program) for _ in range(4)]
        with ThreadPoolExecutor(n_threads) as pool:
            total = likelihood.add_rates(program, np.arange(likelihood.space.n_blocks), 0.7, buffers, pool)
        results.append((total, *(array.tobytes() for buffer in buffers for array in buffer)))
    assert results[0] == results[1]


def _known(space, name, seed):
    rng = np.random.default_rng(seed)
    candidates = space.decode(name, rng.choice(class_ids(space, name), 5))
    return KnownCandidates(candidates, rng.uniform(0.5, 2.0, 5))


def _loss_and_gradient(model, parameters, known):
    """Return the whole negative log-likelihood over all classes, and its gradient by the parameters."""
    loss, gradients = 0.0, {}
    with ThreadPoolExecutor(1) as pool:
        for name in model.classes:
            likelihood = ClassLikelihood(model.space, name)
            program = model.compile(parameters, name, np.float32)
            gradients[name] = zeros_like(program)
            loss += likelihood.add_known(program, known[name], gradients[name])
            loss += likelihood.add_rates(program, np.arange(likelihood.space.n_blocks), 0.8, [gradients[name]], pool)
    return loss, model.pull_back(parameters, gradients)


def _naive_scores(model, parameters, name, candidates):
    arguments = twin_arguments(model, parameters, name)
    return [naive.fm_score(one, *arguments) for one in as_sets(model.space, name, candidates)]


def _naive_rates(model, parameters, name):
    everything = model.space.decode(name, class_ids(model.space, name))
    return naive.sum_of_rates(_naive_scores(model, parameters, name, everything), np.ones(len(everything)))


def _naive_known(model, parameters, name, candidates, weights=None):
    weights = np.ones(len(candidates)) if weights is None else weights
    return naive.known_loss(_naive_scores(model, parameters, name, candidates), weights)


def _naive_loss(model, parameters, known):
    return sum(
        0.8 * _naive_rates(model, parameters, name) + _naive_known(model, parameters, name, known[name].candidates, known[name].weights)
        for name in model.classes
    )


@pytest.mark.parametrize(
    "features",
    [
        ("ion", "stoichiometry", "cation_anion", "ion_coefficient"),
        ("ion", "stoichiometry", "prior"),
        ("stoichiometry", "cation_cation_anion"),
    ],
    ids="+".join,
)
def test_whole_likelihood_and_its_gradient_are_the_textbooks(features):
    space = space_of(case("Li1+ Na1+ Fe2+ S2+ Fe3+ O2- S2-", 2, 3), (3, 2))
    model = machine(space, features)
    parameters = random_parameters(model, seed=8, scale=0.3)
    known = {name: _known(space, name, seed=9) for name in space.classes}
    loss, gradient = _loss_and_gradient(model, parameters, known)
    assert loss == pytest.approx(_naive_loss(model, parameters, known), rel=1e-5)
    rng = np.random.default_rng(10)
    for group in parameters:
        step = rng.standard_normal(parameters[group].shape)
        expected = naive.slope_along(
            lambda point, group=group: _naive_loss(model, parameters | {group: point[0]}, known), [parameters[group]], [step]
        )
        tolerance = 1e-4 * naive.norm([gradient[group]]) * naive.norm([step]) + 1e-5
        assert naive.inner([gradient[group]], [step]) == pytest.approx(expected, abs=tolerance), group


def _spread(parameters, group, similarity):
    """Return half the sum over pairs of ions of similarity times the squared distance of their factors."""
    values = parameters[group].reshape(len(parameters[group]), -1)
    n = len(values)
    return sum(similarity[i, j] * ((values[i] - values[j]) ** 2).sum() / 2 for i in range(n) for j in range(n))


def test_the_penalty_on_similar_ions_draws_their_parameters_together():
    space = space_of(case("Li1+ Na1+ K1+ Ag1+ Fe2+ Ca2+ O2- S2-", 2, 3))
    model = machine(space, ("ion", "cation_anion", "cation_cation_anion"))
    rng = np.random.default_rng(0)
    known = {"first": space.decode("first", np.sort(rng.permutation(class_ids(space, "first"))[:60]))}
    none = {"first": known["first"].take(np.arange(0))}
    similarity = similarity_of_ions(space, known)
    assert np.count_nonzero(similarity) > 8
    found = {}
    for weight in (0.0, 1e3):
        options = load_config().train.fm
        l2 = dict.fromkeys(type(options.l2).model_fields, 0.01) | {"similarity": weight}
        options = options.model_copy(update={"n_epochs": 20, "n_batches": 2, "l2": options.l2.model_copy(update=l2)})
        fit = Fit(model, (known, none), options, np.random.default_rng(1), 1)
        fit.learn(SilentProgress())
        found[weight] = fit.parameters
    for group in ("factor.ion", "weight.cation_anion", "factor.cation_cation_anion"):
        assert _spread(found[1e3], group, similarity) < 0.2 * _spread(found[0.0], group, similarity), group


def _fit(model, known, held, options, **changes):
    """Return a fit of one epoch of one step, unless told otherwise, without penalty."""
    free = options.l2.model_copy(update=dict.fromkeys(type(options.l2).model_fields, 0.0))
    options = options.model_copy(update={"n_epochs": 1, "n_batches": 1, "l2": free} | changes)
    return Fit(model, (known, held), options, np.random.default_rng(1), 1)


def _some_known(space, sizes, seed=0):
    rng = np.random.default_rng(seed)
    return {name: space.decode(name, np.sort(rng.permutation(class_ids(space, name))[:n])) for name, n in sizes.items()}


_COUNTS = st.dictionaries(st.sampled_from("abcd"), st.integers(1, 10**6), min_size=1)


@given(_COUNTS, st.floats(0, 1))
def test_class_weights_are_powers_of_what_is_known_and_one_on_average(n_known, balance):
    weights = class_weights(n_known, balance)
    assert sum(n * weights[name] for name, n in n_known.items()) == pytest.approx(sum(n_known.values()))
    for one, other in itertools.combinations(n_known, 2):
        assert weights[one] / weights[other] == pytest.approx((n_known[other] / n_known[one]) ** balance)
    assert set(class_weights(n_known, 0.0).values()) == {1.0}


def test_what_is_held_back_does_not_say_when_to_stop():
    space = space_of(case("Li1+ Na1+ Fe2+ S2+ Fe3+ O2- S2-", 2, 3))
    model, options = machine(space, ("ion", "cation_anion")), load_config().train.fm
    everything = _some_known(space, {"first": 24})["first"]
    known, held, nothing = ({"first": everything.take(np.arange(*rows))} for rows in ((12,), (12, 24), (0,)))
    one, other = (_fit(model, known, part, options, n_epochs=30, n_batches=2, learning_rate=0.2) for part in (held, nothing))
    for fit in (one, other):
        fit.learn(SilentProgress())
    judged = [epoch.validation["first"] for epoch in one.history]
    assert len(one.history) == len(other.history) == 30
    assert np.argmin(judged) < 15, "the held-back part should grow unlikely, or this shows nothing"
    for name, values in one.parameters.items():
        np.testing.assert_array_equal(values, other.parameters[name])


def test_steps_shrink_from_epoch_to_epoch_to_a_twentieth():
    space = space_of(case("Li1+ Na1+ Fe2+ S2+ Fe3+ O2- S2-", 2, 3))
    known, held = _some_known(space, {"first": 12}), _some_known(space, {"first": 3}, seed=1)
    fit = _fit(machine(space, ("ion",)), known, held, load_config().train.fm, n_epochs=40, learning_rate=0.2)
    fit.learn(SilentProgress())
    assert [epoch.learning_rate for epoch in fit.history] == pytest.approx([0.2 * max(1 - n / 40, 0.05) for n in range(40)])


def test_the_penalty_of_each_group_is_its_own():
    """Of an epoch of one step, the loss is that without penalty and half of each parameter's squared norm times its weight."""
    space = space_of(case("Li1+ Na1+ Fe2+ S2+ Fe3+ O2- S2-", 2, 3))
    model = machine(space)
    known = _some_known(space, {"first": 12})
    none = {"first": known["first"].take(np.arange(0))}
    options, losses = load_config().train.fm, []
    weights = {"weights": 3.0, "ion": 0.5, "stoichiometry": 0.25, "cation_anion": 2.0, "ion_coefficient": 1.5, "prior": 4.0}
    weights |= {"cation_cation_anion": 0.75, "similarity": 0.0}
    start = random_parameters(model, seed=3, scale=0.2)
    for l2 in (dict.fromkeys(weights, 0.0), weights):
        fit = _fit(model, known, none, options, l2=options.l2.model_copy(update=l2))
        fit.parameters = dict(start)
        fit.learn(SilentProgress())
        losses.append(fit.history[0].loss)
    penalty = 0.0
    for group, values in start.items():
        kind, feature, *_ = group.split(".")
        weight = 0.0 if kind == "bias" else weights["weights" if kind == "weight" else feature]
        penalty += weight * (model.prior_scale if feature == "prior" else 1.0) ** 2 * (values**2).sum() / 2
    assert losses[1] - losses[0] == pytest.approx(penalty, rel=1e-4)


@pytest.mark.parametrize("balance", [0.0, 0.5, 1.0])
def test_each_class_counts_by_its_weight_and_is_judged_without(balance):
    space = space_of(case("Li1+ Na1+ Fe2+ S2+ Fe3+ O2- S2-", 2, 3), (3, 2))
    model = machine(space, ("ion", "stoichiometry", "cation_anion"))
    sizes = {"first": 12, "more0": 3}
    known, held = _some_known(space, sizes), _some_known(space, dict.fromkeys(sizes, 3), seed=1)
    fit = _fit(model, known, held, load_config().train.fm, class_balance=balance)
    start, gradients = dict(fit.parameters), []
    fit._adam.step = lambda _, gradient, __: gradients.append(gradient)
    fit.learn(SilentProgress())
    weights = {name: 15 * n**-balance / sum(m ** (1 - balance) for m in sizes.values()) for name, n in sizes.items()}

    def loss(parameters):
        parts = {name: _naive_rates(model, parameters, name) + _naive_known(model, parameters, name, known[name]) for name in weights}
        return sum(weight * parts[name] for name, weight in weights.items())

    (epoch,) = fit.history
    assert epoch.loss == pytest.approx(loss(start), rel=1e-5)
    assert set(epoch.validation) == set(sizes)
    for name, value in epoch.validation.items():
        expected = _naive_known(model, start, name, held[name]) / 3 + _naive_rates(model, start, name) / sizes[name]
        assert value == pytest.approx(expected, rel=1e-5)
    rng = np.random.default_rng(2)
    for group, values in start.items():
        step = rng.standard_normal(values.shape)
        expected = naive.slope_along(lambda point, group=group: loss(start | {group: point[0]}), [values], [step])
        tolerance = 1e-4 * naive.norm([gradients[0][group]]) * naive.norm([step]) + 1e-5
        assert naive.inner([gradients[0][group]], [step]) == pytest.approx(expected, abs=tolerance), group


@pytest.mark.parametrize("is_own", [True, False])
def test_a_class_learns_from_another_only_by_what_they_share(is_own):
    space = space_of(case("Li1+ Na1+ Fe2+ S2+ Fe3+ O2- S2-", 2, 3), (3, 2))
    features = ("ion", "stoichiometry", "cation_anion", "ion_coefficient", "prior")
    model = machine(space, features, per_class=[feature for feature in features if feature != "stoichiometry"] if is_own else ())
    found = []
    for seed in (0, 1):
        known = _some_known(space, {"more0": 2}) | _some_known(space, {"first": 10}, seed)
        none = {name: item.take(np.arange(0)) for name, item in known.items()}
        fit = _fit(model, known, none, load_config().train.fm, n_epochs=3, n_batches=2)
        fit.learn(SilentProgress())
        found.append(_naive_scores(model, fit.parameters, "more0", space.decode("more0", class_ids(space, "more0"))))
    assert (found[0] == found[1]) == is_own


def _flat(item):
    return [array for part in item for array in _flat(part)] if isinstance(item, tuple) else [np.asarray(item)]


def _assert_sums_as_written(kernel, arguments, *written):
    """Compare bit by bit what a kernel returns and writes with what its source does, line by line in Python."""
    by_kernel, by_source = copy.deepcopy(written), copy.deepcopy(written)
    found, expected = kernel(*arguments, *by_kernel), kernel.__wrapped__(*arguments, *by_source)
    for a, b in zip(_flat((found, by_kernel)), _flat((expected, by_source)), strict=True):
        np.testing.assert_array_equal(a, b, err_msg=kernel.__name__)


@pytest.mark.parametrize("name", ["two_slots", "three_slots", "two_anions_two_slots"])
def test_the_bits_of_a_fit_are_those_of_its_source_however_it_is_compiled(name):
    space = space_of(_CASES[name])
    program, blocks = _single(_compiled(space, seed=1, n_factors=21)), space.block_arrays("first")
    rng = np.random.default_rng(2)
    work = sum_workspace(blocks.size.shape[1], int(blocks.size.max()), 21)
    gradient = zeros_like(program)
    for b in rng.permutation(len(blocks.size))[:8]:
        fill_factors(program, blocks, b, work)
        _assert_sums_as_written(fill_context, (program, blocks, b), work.context)
        _assert_sums_as_written(fill_slot, (program, blocks, b, 0, work.context), work.rows[0], work.unary[0])
        _assert_sums_as_written(product_sum, (work.context, work.rows[0, 0]))
        if blocks.size.shape[1] == 2:
            _assert_sums_as_written(likelihood._contract_two, (blocks.size[b],), work)
        for sums in (work.unary_sum, work.row_sum, work.pair_sum, work.context_sum):
            sums[:] = rng.standard_normal(sums.shape)
        _assert_sums_as_written(likelihood._slots_back, (blocks, b, work), gradient)
        _assert_sums_as_written(likelihood._anion_back, (program, blocks, b, np.float32(0.3), work.context_sum), gradient)
    candidates = space.decode("first", class_ids(space)[::7][:30])
    n_slots, n_factors = blocks.size.shape[1], program.row.shape[3]
    room = (np.zeros(n_factors, np.float32), np.zeros((n_slots, n_factors), np.float32), np.zeros(len(candidates)))
    _assert_sums_as_written(score_each, (program, blocks, candidates.blocks, candidates.cations), *room)
    flows = rng.standard_normal(len(candidates)).astype(np.float32)
    _assert_sums_as_written(add_candidate_flows, (program, blocks, candidates.blocks, candidates.cations, flows), gradient)
