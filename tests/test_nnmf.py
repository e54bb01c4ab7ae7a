from concurrent.futures import ThreadPoolExecutor
from itertools import product

import naive
import numpy as np
import pytest
from small_spaces import FIXED_CASES, as_sets, class_ids, machine, random_parameters, space_of, twin_latents

from crcrank.chem.elements import read_element_table
from crcrank.config import load_config
from crcrank.errors import ModelFitError
from crcrank.kernels.perceptron import Batch, PerceptronProgram, add_batch_gradient, batch_loss, perceptron_workspace
from crcrank.kernels.perceptron_tiles import at_anion, bound_tile, fill_tile, prepare, score_margin, tile_workspace
from crcrank.kernels.tile import new_tile, open_tile
from crcrank.models import nnmf_training
from crcrank.models.contract import TrainingData
from crcrank.models.fm import FittedFM
from crcrank.models.nnmf import FittedNNMF, LatentNetwork
from crcrank.models.nnmf_training import fit_nnmf, starting_point
from crcrank.models.unlabelled import UnlabelledSampler
from crcrank.progress import SilentProgress
from crcrank.ranking.filters import ElementFilter, search_filter
from crcrank.ranking.search import rank_class

SETTINGS = load_config()
CASES = pytest.mark.parametrize("chosen", FIXED_CASES.values(), ids=FIXED_CASES)


def _network(space, n_layers=3):
    return LatentNetwork(space, tuple(space.classes), 2, 3, n_layers, 6)


def _fitted(space, seed=0, scale=0.7, n_layers=3):
    network = _network(space, n_layers)
    return FittedNNMF(network, random_parameters(network, seed, scale))


def _everything(space, name="first"):
    return space.decode(name, class_ids(space, name))


@CASES
@pytest.mark.parametrize("n_layers", [1, 3])
def test_scores_are_the_twins(chosen, n_layers):
    space = space_of(chosen, (2, 3))
    model = _fitted(space, n_layers, n_layers=n_layers)
    for name in space.classes:
        candidates = _everything(space, name)
        expected = [naive.nnmf_score(one, *twin_latents(model.network, model.parameters, name)) for one in as_sets(space, name, candidates)]
        np.testing.assert_allclose(model.scores(name, candidates), expected, rtol=1e-12, atol=1e-12)


def _batch(space, name):
    candidates = _everything(space, name)
    rng = np.random.default_rng(7)
    return Batch(candidates.blocks, candidates.cations, *(rng.random((2, len(candidates))) * (rng.random((2, len(candidates))) > 0.5)))


@CASES
def test_the_loss_is_the_twins(chosen):
    space = space_of(chosen)
    model = _fitted(space, scale=0.3)
    program, batch = model.program("first"), _batch(space, "first")
    scores = model.scores("first", _everything(space))
    expected = naive.sum_of_rates(scores, batch.rate_weight) + naive.known_loss(scores, batch.known_weight)
    found = batch_loss(program, space.block_arrays("first"), batch, perceptron_workspace(program))
    assert found == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("bias", [0.0, -20.0])
def test_the_gradient_is_the_slope_of_the_loss(bias):
    space = space_of(FIXED_CASES["three_slots"], (2, 3))
    network = _network(space)
    parameters = random_parameters(network, 3, 0.3)
    parameters |= {f"bias.{name}": np.array([bias]) for name in space.classes}
    batches = {name: _batch(space, name) for name in space.classes}

    def loss(changed):
        programs = network.compile_all(changed)
        work = perceptron_workspace(programs["first"])
        return sum(batch_loss(programs[name], space.block_arrays(name), batch, work) for name, batch in batches.items())

    programs = network.compile_all(parameters)
    gathered = {id(array): np.zeros_like(array) for program in programs.values() for array in program}
    gradients = {name: PerceptronProgram(*(gathered[id(array)] for array in program)) for name, program in programs.items()}
    work = perceptron_workspace(programs["first"])
    found_loss = sum(
        add_batch_gradient(programs[name], space.block_arrays(name), batch, work, gradients[name]) for name, batch in batches.items()
    )
    assert found_loss == pytest.approx(loss(parameters), rel=1e-12)
    gradient = network.pull_back(gradients)
    rng = np.random.default_rng(4)
    assert {group: values.shape for group, values in gradient.items()} == network.shapes()
    for group, shape in network.shapes().items():
        direction = rng.standard_normal(shape)
        expected = naive.slope_along(
            lambda point, group=group: loss(parameters | {group: point[0]}), [parameters[group]], [direction], step=1e-6
        )
        assert naive.inner([gradient[group]], [direction]) == pytest.approx(expected, rel=1e-5, abs=1e-7), group


def _tiles(space, program):
    """Yield block, prefix, filled tile and bound of all tiles of a class."""
    blocks = space.block_arrays("first")
    n_slots, largest = blocks.size.shape[1], int(blocks.size.max())
    tile = new_tile(n_slots, largest, len(space.ions.elements))
    allowed = np.ones(len(space.ions.cations), bool)
    for b in range(len(blocks.size)):
        searched = at_anion(program, blocks, blocks.anion_set[b])
        work = tile_workspace(searched, n_slots, largest)
        open_tile(blocks, b, allowed, tile)
        prepare(searched, blocks, b, work, tile)
        for prefix in product(*map(range, blocks.size[b, : max(n_slots - 2, 0)])):
            local = np.array([*prefix, 0], np.int64)
            bound = bound_tile(searched, blocks, b, local, work, tile)
            fill_tile(searched, blocks, b, local, work, tile)
            yield b, prefix, tile, bound


@CASES
@pytest.mark.parametrize("scale", [1e-3, 0.7, 30.0])
def test_tiles_are_within_the_margin_of_the_scores_and_below_their_bound(chosen, scale):
    space = space_of(chosen)
    model = _fitted(space, 1, scale)
    program, starts = model.program("first"), space.block_arrays("first").start
    candidates = _everything(space)
    expected = dict(zip(zip(candidates.blocks.tolist(), map(tuple, candidates.cations.tolist()), strict=True),
                        model.scores("first", candidates), strict=True))  # fmt: skip
    margin, largest, error = score_margin(program, chosen.n_cations), max(map(abs, expected.values())), 0.0
    for b, prefix, tile, bound in _tiles(space, program):
        scores = tile.left[:, None] + tile.pair + tile.right
        for k, j in np.argwhere(scores > -np.inf):
            own = [*prefix, k, j][-chosen.n_cations :]
            score = expected.get((b, tuple(int(start) + int(i) for start, i in zip(starts[b], own, strict=True))))
            if score is not None:
                error = max(error, abs(score - float(scores[k, j])))
                assert score <= bound
    assert 0 < error <= margin < 0.05 * largest


@CASES
@pytest.mark.parametrize("scale", [0.7, 30.0])
def test_the_ranking_is_the_twins(chosen, scale):
    space = space_of(chosen)
    model = _fitted(space, 2, scale)
    formulas = [naive.formula(one) for one in as_sets(space, "first", _everything(space))]
    rows = zip(model.scores("first", _everything(space)).tolist(), class_ids(space).tolist(), formulas, strict=True)
    found = rank_class(
        space,
        "first",
        model.program("first"),
        30,
        excluded=np.empty(0, np.int64),
        search_filter=search_filter(space, ElementFilter()),
        n_threads=2,
    ).ranked
    assert list(zip(found.ids.tolist(), found.scores.tolist(), strict=True)) == naive.ranking(rows, set(), 30)


@CASES
def test_samples_hold_each_candidate_as_often_as_their_weights_say(chosen):
    space = space_of(chosen)
    shape = machine(space)
    program = FittedFM(shape, (random_parameters(shape, 1),)).program("first")
    with ThreadPoolExecutor(2) as pool:
        n = 100_000
        candidates, weights = UnlabelledSampler(space, "first", program, pool).draw(n, np.random.default_rng(3))
    ids = space.encode("first", candidates)
    assert set(ids.tolist()) <= set(class_ids(space).tolist())
    found, rows, counts = np.unique(ids, return_index=True, return_counts=True)
    expected = 1 / weights[rows]
    missing = n - expected.sum()
    assert missing < 0.001 * n
    assert len(found) > 0.9 * space.n_candidates
    assert (np.abs(counts - expected) < 6 * np.sqrt(expected) + 1).all()
    assert weights.sum() == pytest.approx(space.n_candidates, rel=0.05)


def _data(n_held=6):
    space = space_of(FIXED_CASES["three_slots"], (2, 3))
    known, held = {}, {}
    for name in space.classes:
        candidates = _everything(space, name)
        rows = np.random.default_rng(2).permutation(len(candidates))
        known[name], held[name] = candidates.take(rows[n_held : n_held + 12]), candidates.take(rows[:n_held])
    return TrainingData(space, known, held, read_element_table(SETTINGS.space.elements))


def _settings(**changes):
    own = SETTINGS.train.nnmf
    small = {"n_multiplied": 3, "n_concatenated": 2, "n_hidden": 6, "n_samples": 50, "n_steps": 4, "n_epochs": 3, "n_final_epochs": 1}
    quick = own.machine.model_copy(update={"n_epochs": 2, "n_batches": 2})
    return own.model_copy(update={**small, "machine": quick, **changes})


def _fit(settings, data=None):
    return fit_nnmf(data or _data(), settings, np.random.default_rng(0), 1, SilentProgress())


def test_a_network_started_from_a_machine_has_its_scores():
    data = _data()
    shape = machine(data.space, ("ion", "stoichiometry", "cation_anion", "ion_coefficient"), n_components=0)
    given = FittedFM(shape, (random_parameters(shape, 3),))
    for n_layers in (1, 3):
        network = _network(data.space, n_layers)
        model = FittedNNMF(network, starting_point(network, data, given, np.random.default_rng(0)))
        for name in data.space.classes:
            candidates = _everything(data.space, name)
            np.testing.assert_allclose(model.scores(name, candidates), given.scores(name, candidates), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("changes", [{"start": "fm"}, {"start": "random"}, {"n_samples": 0}, {"n_alternate": 0}], ids=str)
def test_every_way_of_fitting_lowers_the_loss(changes):
    settings = _settings(n_steps=40, n_epochs=4, l2=(0.1,), latent_rate=0.01, network_rate=0.01, **changes)
    (history,) = _fit(settings).facts["history"]
    losses = [epoch["loss"] for epoch in history if epoch["phase"] == "fit"]
    assert losses[-1] < losses[0]


def test_the_penalty_is_chosen_on_the_held_back_part():
    longer = SETTINGS.train.nnmf.machine.model_copy(update={"n_epochs": 4, "n_batches": 2})
    fitted = _fit(_settings(start="random", l2=(0.0, 1e4), n_steps=60, latent_rate=0.01, network_rate=0.01, machine=longer))
    histories = fitted.facts["history"]
    best = [min(sum(epoch["validation"].values()) for epoch in history if epoch["validation"]) for history in histories]
    assert fitted.facts["l2"] == (0.0, 1e4)[int(np.argmin(best))]
    assert sum(fitted.validation.values()) == min(best)
    assert [[epoch["phase"] for epoch in history].count("final") for history in histories] == [int(b == min(best)) for b in best]
    assert fitted.n_epochs == sum(epoch["phase"] != "start" for history in histories for epoch in history)


def test_a_fit_ends_when_the_held_back_part_stops_improving(monkeypatch):
    values = iter([5.0, 4.0, 6.0, 6.0, 6.0, 1.0])
    monkeypatch.setattr(nnmf_training.NetworkFit, "_epoch", lambda *_: 0.0)
    monkeypatch.setattr(nnmf_training.NetworkFit, "_validate", lambda _: {"first": next(values)})
    fitted = _fit(_settings(l2=(0.1,), n_epochs=5, n_final_epochs=1, patience=1))
    assert [epoch["phase"] for epoch in fitted.facts["history"][0]] == ["start", "fit", "fit", "fit", "final"]
    assert fitted.validation == {"first": 4.0}


def test_nothing_held_back_is_no_reason_to_stop():
    (history,) = _fit(_settings(), _data(n_held=0)).facts["history"]
    assert [epoch["phase"] for epoch in history] == ["start", "fit", "fit", "fit"]
    assert not any(epoch["validation"] for epoch in history)


def test_a_fit_that_diverges_says_so():
    with pytest.raises(ModelFitError, match=r"train: the fit diverged in epoch \d+; lower latent_rate or network_rate in \[train.nnmf\]"):
        _fit(_settings(latent_rate=1e30))


def test_all_candidates_of_a_large_class_at_once_are_refused(monkeypatch):
    monkeypatch.setattr(nnmf_training, "_MOST_AT_ONCE", 100)
    with pytest.raises(ModelFitError, match=r"n_samples = 0 takes all candidates in each step, 100 at most; class 'first' has 225"):
        _fit(_settings(n_samples=0))
