"""A fit that continues an earlier one: what it starts from, what stays held back, and what it refuses."""

from dataclasses import replace

import numpy as np
import pytest
from small_spaces import case, class_ids, space_of

from crcrank.chem.elements import read_element_table
from crcrank.config import load_config
from crcrank.errors import ArtifactError
from crcrank.models import stack as stack_module
from crcrank.models import training as training_module
from crcrank.models.contract import Earlier, TrainingData
from crcrank.models.registry import RECOMMENDERS
from crcrank.models.training import Fit
from crcrank.models.warm import WarmStart
from crcrank.progress import SilentProgress

_TRAIN = load_config().train
_SMALL_FM = {"n_factors": 3, "n_epochs": 6, "n_final_epochs": 1, "n_batches": 2, "n_warm_epochs": 2, "learning_rate": 0.05}
_SECTIONS = {
    "fm": _TRAIN.fm.model_copy(update=_SMALL_FM),
    "stack": _TRAIN.stack.model_copy(
        update={
            "depth": 40,
            "fm": _TRAIN.stack.fm.model_copy(update=_SMALL_FM),
            "trees": _TRAIN.stack.trees.model_copy(update={"n_trees": 8, "smallest_leaf": 3}),
        }
    ),
}
_KINDS = pytest.mark.parametrize("kind", _SECTIONS)
_SPACE = space_of(case("Li1+ Na1+ K1+ Ag1+ Ca2+ Fe2+ Fe3+ Al3+ O2- S2- Cl1-", 2, 3), (3, 2))


def known(n, first=0):
    """Return candidates of each class, each formula once; a larger number holds a smaller one."""
    found = {}
    for name in _SPACE.classes:
        candidates = _SPACE.decode(name, class_ids(_SPACE, name))
        distinct = np.unique(_SPACE.composition_keys(name, candidates), return_index=True)[1]
        found[name] = candidates.take(np.sort(np.random.default_rng(3).permutation(distinct)[first:n]))
    return found


def data(candidates, every=8):
    held = {name: item.take(np.arange(0, len(item), every)) for name, item in candidates.items()}
    fitting = {name: item.take(np.flatnonzero(np.arange(len(item)) % every)) for name, item in candidates.items()}
    return TrainingData(_SPACE, fitting, held, read_element_table(load_config().space.elements))


def fit(kind, candidates, earlier=None, seed=0, **changes):
    section = _SECTIONS[kind].model_copy(update=changes)
    return RECOMMENDERS[kind].fit(data(candidates), section, np.random.default_rng(seed), 1, SilentProgress(), earlier)


def ending(fitted):
    return Earlier(fitted.model, fitted.state, _SPACE)


def machines(kind, model):
    return model if kind == "fm" else model.machine


def warm_start(kind, fitted):
    machine = machines(kind, fitted.model)
    return WarmStart.of(ending(fitted), machine, machine.machine, len(machine.members), 1 if kind == "fm" else 2)


def keys(name, candidates):
    return set(_SPACE.composition_keys(name, candidates).tolist())


def watch_fits(monkeypatch):
    """Return the list that every fit from now on puts itself and its start into."""
    seen = []

    class Watched(Fit):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            seen.append((self, dict(self.parameters)))

    for module in (training_module, stack_module):
        monkeypatch.setattr(module, "Fit", Watched)
    return seen


@_KINDS
def test_a_fit_goes_on_where_the_other_had_not_seen_what_was_held_back(kind, monkeypatch):
    first = fit(kind, known(30))
    seen = watch_fits(monkeypatch)
    again = fit(kind, known(30), ending(first))
    starts = warm_start(kind, first).machines.members
    assert len(seen) == len(starts) == (1 if kind == "fm" else 2)
    for (continued, start), learned, final in zip(seen, starts, machines(kind, first.model).members, strict=True):
        assert any((learned[name] != final[name]).any() for name in final)
        for name, values in learned.items():
            np.testing.assert_array_equal(start[name], values)
        assert [epoch.phase for epoch in continued.history] == ["fit", "fit", "final"]
        assert [epoch.learning_rate for epoch in continued.history] == pytest.approx([0.05 * 2 / 6, 0.05 / 6, 0.05 / 6])
    assert again.n_epochs == 3 * len(seen) < first.n_epochs


@_KINDS
def test_what_was_held_back_stays_so_and_only_new_compounds_join_it(kind):
    before, after = known(30), known(48, first=4)
    first = warm_start(kind, fit(kind, before))
    second = warm_start(kind, fit(kind, after, ending(fit(kind, before))))
    for name in _SPACE.classes:
        parts = [[keys(name, part[name]) for part in warm.held_back] for warm in (first, second)]
        for old, new in zip(*parts, strict=True):
            assert new & keys(name, before[name]) == old & keys(name, after[name])
            assert new <= keys(name, after[name])
            assert len(new) == (6 if kind == "fm" else 9)
        assert len(set.union(*parts[1])) == sum(map(len, parts[1]))
        assert keys(name, second.known[name]) == keys(name, after[name])


@_KINDS
def test_nothing_fitted_before_is_held_back_after(kind, monkeypatch):
    first = fit(kind, known(30))
    fitted_before = warm_start(kind, first)
    seen = watch_fits(monkeypatch)
    fit(kind, known(48), ending(first))
    for i, (continued, _) in enumerate(seen):
        for name in _SPACE.classes:
            kept = keys(name, fitted_before.known[name]) - keys(name, fitted_before.held_back[i if kind == "stack" else 0][name])
            assert not kept & keys(name, continued._validation[name])
            assert not keys(name, continued._known[name]) & keys(name, continued._validation[name])


def test_a_few_new_compounds_at_a_time_are_held_back_in_the_end():
    machine = machines("fm", fit("fm", known(20)).model).machine
    candidates, rng = known(20), np.random.default_rng(0)
    warm = WarmStart.after(machine, [], [(candidates, {name: item.take(np.arange(0)) for name, item in candidates.items()})])
    for n in range(22, 48, 2):
        candidates = known(n)
        sizes = {name: round(0.1 * len(item)) for name, item in candidates.items()}
        (parts,) = warm.parts(candidates, sizes, rng)
        warm = WarmStart.after(machine, [], [parts])
    assert {name: len(item) for name, item in warm.held_back[0].items()} == sizes == {"more0": 5, "first": 5}


@_KINDS
def test_the_same_seed_gives_the_same_model(kind):
    first = ending(fit(kind, known(30)))
    one, other = (fit(kind, known(48), first).model.arrays() for _ in range(2))
    for name, values in one.items():
        np.testing.assert_array_equal(values, other[name])


@_KINDS
def test_other_machines_are_refused(kind):
    first = fit(kind, known(30))
    own = _SECTIONS[kind] if kind == "fm" else _SECTIONS[kind].fm

    def refused(**changes):
        changed = own.model_copy(update=changes)
        return fit(kind, known(30), ending(first), **(dict(changed) if kind == "fm" else {"fm": changed}))

    with pytest.raises(ArtifactError, match=r"the model has features cation_anion, .*stoichiometry, wanted ion; use the settings that"):
        refused(features=("ion",))
    with pytest.raises(ArtifactError, match=r"the model has per_class none, wanted ion, prior; use the settings that"):
        refused(per_class=("prior", "ion"))
    with pytest.raises(ArtifactError, match=r"the model has n_factors 3, wanted 4; use the settings that"):
        refused(n_factors=4)
    with pytest.raises(ArtifactError, match=r"the model has n_models [12], wanted 4; use the settings that"):
        refused(n_models=4)
    with pytest.raises(ArtifactError, match="the model has a prior of other properties"):
        refused(prior_components=1)


def test_fewer_classes_are_refused():
    first = fit("fm", {"first": known(30)["first"]})
    with pytest.raises(ArtifactError, match="the model has classes first, wanted more0, first; use the settings that"):
        fit("fm", known(30), ending(first))


@_KINDS
def test_a_state_of_another_shape_is_refused(kind):
    first = ending(fit(kind, known(30)))
    shorter = first.state | {"0.factor.ion": first.state["0.factor.ion"][1:]}
    with pytest.raises(ArtifactError, match=r"parameter '0\.factor\.ion' should have shape"):
        fit(kind, known(30), replace(first, state=shorter))
    with pytest.raises(ArtifactError, match=r"parameter 'known\.\w+' should have shape"):
        fit(kind, known(30), replace(first, state={key: item for key, item in first.state.items() if not key.startswith("known")}))
