import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_spaces import FIXED_CASES, class_ids, space_of

from crcrank.chem.elements import ElementTable, read_element_table
from crcrank.chem.ions import read_ion_table
from crcrank.config import load_config
from crcrank.errors import ConfigError
from crcrank.models import descriptors as descriptors_module
from crcrank.models import forest
from crcrank.models.contract import TrainingData
from crcrank.models.descriptors import descriptors, n_descriptors
from crcrank.models.forest import Forest, fit_forest
from crcrank.progress import SilentProgress

_SETTINGS = load_config().train.forest.model_copy(update={"n_trees": 12, "n_leaves": 6, "n_unlabelled": 80})
_TABLE = read_element_table(load_config().space.elements)


def _data(table=_TABLE):
    space = space_of(FIXED_CASES["three_slots"])
    candidates = space.decode("first", class_ids(space))
    return TrainingData(space, {"first": candidates.take(np.arange(0, 20))}, {"first": candidates.take(np.arange(20, 24))}, table)


def _fit(data, **changes):
    return fit_forest(data, _SETTINGS.model_copy(update=changes), np.random.default_rng(0), 1, SilentProgress()).model


@settings(deadline=None, max_examples=40)
@given(st.data(), st.integers(1, 5), st.integers(1, 4), st.sampled_from([1, 3, 1 << 14]))
def test_descriptors_are_the_twins(data, n_parts, n_properties, chunk):
    amounts = np.array(data.draw(st.lists(st.lists(st.integers(1, 9), min_size=n_parts, max_size=n_parts), min_size=1, max_size=7)))
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    properties = rng.standard_normal((8, n_properties))
    elements = np.array([rng.permutation(8)[:n_parts] for _ in amounts])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(descriptors_module, "_CHUNK", chunk)
        found = descriptors(properties, elements, amounts)
    assert found.shape == (len(amounts), n_descriptors(n_properties))
    expected = [naive.descriptors(*pair, properties) for pair in zip(elements.tolist(), amounts.tolist(), strict=True)]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_the_default_makes_275_descriptors():
    table = read_ion_table(load_config().space.ions)
    symbols = tuple(sorted({ion.element for ion in (*table.cations, *table.anions)}))
    properties, _ = forest._properties(_TABLE, symbols, _SETTINGS.leave_out)
    assert n_descriptors(properties.shape[1]) == 275


def test_scores_are_the_log_odds_as_rates():
    data = _data()
    model = _fit(data)
    candidates = data.space.decode("first", class_ids(data.space))
    rows = descriptors(model.properties, *data.space.composition_arrays("first", candidates))
    odds = np.exp(model.trees["first"].sums(rows) + model.offsets["first"])
    np.testing.assert_allclose(-np.expm1(-np.exp(model.scores("first", candidates))), odds / (1 + odds), rtol=1e-6)
    far = Forest(data.space, model.properties, model.property_names, model.trees, {"first": -200.0})
    np.testing.assert_allclose(far.scores("first", candidates), model.trees["first"].sums(rows) - 200, rtol=1e-12)


def test_all_candidates_of_a_small_class_are_the_sample_and_none_is_known():
    data = _data()
    known = data.known("first")
    unlabelled, weight = forest._sample(data.space, "first", known, 10**6, np.random.default_rng(0))
    known_keys = data.space.composition_keys("first", known)
    everything = data.space.decode("first", class_ids(data.space))
    expected = ~np.isin(data.space.composition_keys("first", everything), known_keys)
    assert weight == 1
    assert data.space.encode("first", unlabelled).tolist() == class_ids(data.space)[expected].tolist()
    few, weight = forest._sample(data.space, "first", known, 10, np.random.default_rng(0))
    assert len(few) <= 10
    assert weight == data.space.n_candidates / 10


def test_a_property_that_is_none_is_refused():
    with pytest.raises(ConfigError, match=r"train.forest.leave_out: 'mass' is no property; known are atomic_number, "):
        _fit(_data(), leave_out=("mass",))


def test_a_property_that_does_not_vary_is_not_used():
    values = np.column_stack([np.ones(len(_TABLE.symbols)), _TABLE.values[:, :2]])
    table = ElementTable(_TABLE.symbols, ("same", "one", "two"), values, frozenset())
    assert _fit(_data(table), leave_out=()).properties.shape[1] == 2
