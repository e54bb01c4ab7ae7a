import naive
import numpy as np
import pytest
from small_spaces import ALL_CASES, as_sets, class_ids, space_of

from crcrank.models.neighbours import Neighbourhood

_GROUPS = ("stoichiometry_ion", "ion_amount", "element_substitution")


def _world(chosen, more):
    """Return a space of two classes, some known candidates of each, and some that are asked for."""
    space = space_of(ALL_CASES[chosen], more)
    rng = np.random.default_rng(3)
    known = {name: space.decode(name, rng.permutation(class_ids(space, name))[:60]) for name in space.classes}
    asked = {name: space.decode(name, rng.permutation(class_ids(space, name))[:40]) for name in space.classes}
    return space, known, asked


def _summary(values, candidate):
    cations = [values[element] for element, charge, _ in candidate if charge > 0]
    anions = [values[element] for element, charge, _ in candidate if charge < 0]
    return {"sum": sum(cations), "largest": max(cations), "smallest": min(cations), "anion": sum(anions)}


def _assert_summary(features, group, row, values, candidate):
    for label, value in _summary(values, candidate).items():
        assert features[f"{group}.{label}"][row] == pytest.approx(value), (group, label)


@pytest.mark.parametrize(
    ("chosen", "more"), [("two_slots", (1, 4)), ("two_slots", (3, 2)), ("three_slots", (2, 3)), ("two_anions_two_slots", (1, 4))]
)
def test_what_is_known_around_is_the_twins(chosen, more):
    space, known, asked = _world(chosen, more)
    labels = [(ion.element, ion.oxidation_state) for ion in (*space.ions.cations, *space.ions.anions)]
    rates = np.random.default_rng(1).standard_normal((len(labels), len(labels))) * ~np.eye(len(labels), dtype=bool)
    around = Neighbourhood(space, known, np.zeros((len(space.ions.elements), 1)), ("none",), rates)

    def added(ion, other):
        return rates[labels.index(other), labels.index(ion)]

    sets = {name: as_sets(space, name, item) for name, item in known.items()}
    n_counted = 0
    for name, candidates in asked.items():
        features = around.features(name, candidates)
        for row, candidate in enumerate(as_sets(space, name, candidates)):
            counts = naive.around(candidate, sets[name])
            assert features["stoichiometry"][row] == counts["stoichiometry"]
            for group in _GROUPS:
                _assert_summary(features, group, row, {element: counts[group, element] for element, _, _ in candidate}, candidate)
            foretold = {part[0]: naive.likeness(candidate, part, sets[name], added) for part in candidate}
            _assert_summary(features, "foretold", row, foretold, candidate)
            n_counted += sum(counts.values())
    assert n_counted > 100


@pytest.mark.parametrize("chosen", ["two_slots", "two_anions_two_slots"])
def test_compositions_are_described(chosen):
    space, known, asked = _world(chosen, (1, 4))
    properties = np.random.default_rng(0).standard_normal((len(space.ions.elements), 2))
    around = Neighbourhood(space, known, properties, ("first", "second"), np.zeros((len(space.ions.labels),) * 2))
    features = around.features("first", asked["first"])
    index = {symbol: i for i, symbol in enumerate(space.ions.elements)}
    for row, candidate in enumerate(as_sets(space, "first", asked["first"])):
        total = sum(amount for _, _, amount in candidate)
        share = {element: amount / total for element, _, amount in candidate}
        values = np.array([properties[index[element]] for element in share])
        mean = np.average(values, axis=0, weights=list(share.values()))
        variance = np.average((values - mean) ** 2, axis=0, weights=list(share.values()))
        assert features["atoms"][row] == total
        assert features["cations"][row] == 2
        assert features["charge.largest"][row] == max(charge for _, charge, _ in candidate)
        assert features["charge.anion"][row] == sum(charge for _, charge, _ in candidate if charge < 0)
        np.testing.assert_allclose([features["mean.first"][row], features["mean.second"][row]], mean)
        np.testing.assert_allclose([features["variance.first"][row], features["variance.second"][row]], variance)
