from dataclasses import replace

import numpy as np
import pytest
from small_spaces import FIXED_CASES, class_ids, space_of

from crcrank.chem.elements import read_element_table
from crcrank.chem.formula import pretty_formula
from crcrank.config import load_config
from crcrank.errors import ArtifactError, ConfigError, ModelFitError
from crcrank.models import stack as stack_module
from crcrank.models.contract import TrainingData
from crcrank.models.stack import Stack, fit_stack
from crcrank.models.staged import Stages, distinct
from crcrank.progress import SilentProgress
from crcrank.ranking.filters import ElementFilter, search_filter

_CONFIG = load_config()
_SMALL_FM = {"n_factors": 3, "n_epochs": 6, "n_final_epochs": 1, "n_batches": 2}
_SETTINGS = _CONFIG.train.stack.model_copy(
    update={
        "depth": 40,
        "fm": _CONFIG.train.stack.fm.model_copy(update=_SMALL_FM),
        "trees": _CONFIG.train.stack.trees.model_copy(update={"n_trees": 8, "smallest_leaf": 3}),
    }
)


@pytest.fixture(scope="module")
def data():
    space = space_of(FIXED_CASES["two_slots"], (3, 2))
    rng = np.random.default_rng(0)
    known = {name: space.decode(name, np.sort(rng.permutation(class_ids(space, name))[:40])) for name in space.classes}
    none = {name: item.take(np.arange(0)) for name, item in known.items()}
    return TrainingData(space, known, none, read_element_table(_CONFIG.space.elements))


def fit(data, **changes):
    return fit_stack(data, _SETTINGS.model_copy(update=changes), np.random.default_rng(0), 1, SilentProgress()).model


def keys(data, name, candidates):
    return set(data.space.composition_keys(name, candidates).tolist())


def test_parts_held_back_are_apart_and_leave_the_rest(data):
    sizes = stack_module._part_sizes(data, 4, 0.2)
    parts = stack_module._deal(data, 4, sizes, np.random.default_rng(0))
    for name in data.classes:
        ids = [data.space.encode(name, held[name]) for _, held in parts]
        assert len(np.unique(np.concatenate(ids))) == 4 * max(1, round(0.2 * len(data.known(name))))
        for kept, apart in parts:
            assert not np.isin(data.space.encode(name, kept[name]), data.space.encode(name, apart[name])).any()
            assert len(kept[name]) + len(apart[name]) == len(data.known(name))


def test_more_parts_than_there_are_compositions_are_refused(data):
    with pytest.raises(ConfigError, match=r"train\.stack: 2 parts of 0\.6 are more than all known compounds; lower held_back_fraction"):
        fit(data, held_back_fraction=0.6)


def test_trees_learn_from_what_neither_model_nor_features_saw(data, monkeypatch):
    """What is fitted or counted is not listed, and what is listed as real was held back."""
    lessons, neighbourhoods, lists = [], [], []
    teach, surroundings, search = stack_module._Teacher._lesson, stack_module.Neighbourhood, stack_module.search_all

    def lesson(self, first, around, name, kept, held):
        features, found = teach(self, first, around, name, kept, held)
        lessons.append((name, kept, held, first, found))
        return features, found

    def neighbourhood(space, known, *rest):
        neighbourhoods.append(known)
        return surroundings(space, known, *rest)

    def search_all(*arguments, **options):
        rankings, candidates = search(*arguments, **options)
        lists.append(candidates)
        return rankings, candidates

    monkeypatch.setattr(stack_module._Teacher, "_lesson", lesson)
    monkeypatch.setattr(stack_module, "Neighbourhood", neighbourhood)
    monkeypatch.setattr(stack_module, "search_all", search_all)
    fit(data)
    assert len(lessons) == len(lists) == 2 * len(data.classes)
    for (name, kept, held, _, found), listed in zip(lessons, lists, strict=True):
        assert not keys(data, name, listed) & keys(data, name, kept)
        assert len(keys(data, name, listed) & keys(data, name, held)) == found.sum()
    for (name, kept, held, first, found), known in zip(lessons, np.repeat(neighbourhoods[:-1], len(data.classes)), strict=True):
        assert keys(data, name, known[name]) == keys(data, name, kept) == keys(data, name, first[1].known[name])
        assert not keys(data, name, held) & keys(data, name, kept)
        assert 0 < found.sum() <= len(held)


def test_trees_over_features_that_are_none_are_refused(data):
    model = fit(data)
    arrays = model.arrays()
    nodes = arrays["nodes"].copy()
    nodes[0, -1] = len(model.features("first", data.known("first").take(np.arange(1))))
    with pytest.raises(ArtifactError, match=r"model: the nodes of the second stage are no trees over \d+ features; train it again"):
        Stack.restore(arrays | {"nodes": nodes}, model.facts(), data.space)


def test_nothing_held_back_among_the_best_is_said(data, monkeypatch):
    monkeypatch.setattr(stack_module._Teacher, "_lesson", lambda *_: ({"score": np.zeros(3)}, np.zeros(3, bool)))
    with pytest.raises(ModelFitError, match=r"no held-back compound is among the best candidates; raise train\.stack\.depth"):
        fit(data)


def test_a_formula_in_two_lists_is_kept_once(data):
    candidates = data.known("first")
    both = distinct(data.space, "first", [candidates.take(np.arange(5)), candidates.take(np.arange(3, 9))])
    assert data.space.encode("first", both).tolist() == data.space.encode("first", candidates.take(np.arange(9))).tolist()


def test_the_second_stage_orders_what_the_first_finds_and_no_more(data):
    model, everything = fit(data), search_filter(data.space, ElementFilter())
    known = np.unique(data.space.composition_keys("first", data.known("first")))
    options = {"excluded": known, "search_filter": everything}
    found = Stages.of(model, None, 10).rank(data.space, "first", 5, **options).ranked
    firsts = [Stages((one,), None, 0).rank(data.space, "first", 10, **options).ranked.candidates for one in model.first_stage]
    union = distinct(data.space, "first", firsts)
    assert keys(data, "first", found.candidates) <= keys(data, "first", union)
    np.testing.assert_allclose(found.scores, np.sort(model.scores("first", union))[::-1][:5])
    more = Stages.of(model, None, 3).rank(data.space, "first", 12, **options).ranked
    assert len(more) == 12


def test_what_is_known_outside_the_space_counts_as_known_in_it_does(data):
    """A composition outside makes those one element away more likely, and is named where a score is explained."""
    candidates = data.space.decode("first", class_ids(data.space, "first"))
    unknown = np.flatnonzero(~np.isin(data.space.composition_keys("first", candidates), list(keys(data, "first", data.known("first")))))
    elements, amounts = data.space.composition_arrays("first", candidates.take(unknown[::5]))
    symbols = data.space.ions.elements
    outside = [([symbols[i] for i in row], n) for row, n in zip(elements.tolist(), amounts.tolist(), strict=True)]
    without, aware = fit(data), fit(replace(data, outside=outside))
    np.testing.assert_array_equal(without.autoencoder.scores("first", candidates), aware.autoencoder.scores("first", candidates))
    named = {pretty_formula(*one) for one in outside}
    n_named = 0
    for row in range(len(candidates)):
        one = candidates.take(np.array([row]))
        terms = aware.terms("first", one)
        assert sum(term.value for term in terms) == pytest.approx(aware.scores("first", one)[0], abs=1e-9)
        donors, before = (
            [t.what.partition(",")[0] for t in found if t.group == "substitution"] for found in (terms, without.terms("first", one))
        )
        assert len(donors) == len(set(donors))
        n_named += bool(named & set(donors) - set(before))
    assert n_named > 5


def test_another_model_can_be_the_second_stage(data):
    model, everything = fit(data), search_filter(data.space, ElementFilter())
    options = {"excluded": np.empty(0, np.int64), "search_filter": everything}
    machine, autoencoder = model.first_stage
    found = Stages.of(machine, autoencoder, 20).rank(data.space, "first", 20, **options).ranked
    first = Stages.of(machine, None, 20).rank(data.space, "first", 20, **options).ranked
    assert keys(data, "first", found.candidates) == keys(data, "first", first.candidates)
    assert found.ids.tolist() != first.ids.tolist()
    np.testing.assert_allclose(found.scores, autoencoder.scores("first", found.candidates))
