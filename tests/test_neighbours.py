import naive
import numpy as np
import pytest
from small_spaces import ALL_CASES, as_sets, class_ids, space_of

from crcrank.chem.formula import format_formula, parse_formula
from crcrank.config import EaseSettings
from crcrank.models.ease import element_rates
from crcrank.models.neighbours import Neighbourhood, rate
from crcrank.space.positions import Outside

_GROUPS = ("stoichiometry_ion", "ion_amount", "element_substitution")


def _world(chosen, more):
    """Return a space of two classes, some known candidates of each, some known compositions outside, and candidates that are asked for."""
    space = space_of(ALL_CASES[chosen], more)
    rng = np.random.default_rng(3)
    known = {name: space.decode(name, rng.permutation(class_ids(space, name))[:60]) for name in space.classes}
    asked = {name: space.decode(name, rng.permutation(class_ids(space, name))[:40]) for name in space.classes}
    symbols, outside = sorted(space.ions.elements), []
    listed = {naive.without_charges(one) for name, item in known.items() for one in as_sets(space, name, item)}
    for one in (one for name in space.classes for one in as_sets(space, name, asked[name])):
        elements, amounts = map(list, zip(*sorted(naive.without_charges(one)), strict=True))
        elements[rng.integers(len(elements))] = rng.choice(symbols)
        if len(set(elements)) == len(elements) and frozenset(zip(elements, amounts, strict=True)) not in listed:
            outside.append((elements, amounts))
            listed.add(frozenset(zip(elements, amounts, strict=True)))
    strange = [(["Xx", *elements[1:]], amounts) for elements, amounts in outside[:5]] + [(outside[0][0], [99, *outside[0][1][1:]])]
    return space, known, [*outside, *strange], asked


def _inside_its_elements(outside):
    """Return the compositions whose elements and amounts the space knows, as sets."""
    return [frozenset(zip(*one, strict=True)) for one in outside if "Xx" not in one[0] and max(one[1]) < 99]


def _summary(values, candidate):
    cations = [values[element] for element, charge, _ in candidate if charge > 0]
    anions = [values[element] for element, charge, _ in candidate if charge < 0]
    return {"sum": sum(cations), "largest": max(cations), "smallest": min(cations), "anion": sum(anions)}


def _assert_summary(features, group, row, values, candidate):
    for label, value in _summary(values, candidate).items():
        assert features[f"{group}.{label}"][row] == pytest.approx(value), (group, label)


_WORLDS = [("two_slots", (1, 4)), ("two_slots", (3, 2)), ("two_slots", (2, 2)), ("three_slots", (2, 3)), ("two_anions_two_slots", (1, 4))]


@pytest.mark.parametrize(("chosen", "more"), _WORLDS)
def test_what_is_known_around_is_the_twins(chosen, more):
    space, known, outside, asked = _world(chosen, more)
    labels = [(ion.element, ion.oxidation_state) for ion in (*space.ions.cations, *space.ions.anions)]
    rates = np.random.default_rng(1).standard_normal((len(labels), len(labels))) * ~np.eye(len(labels), dtype=bool)
    elements = list(space.ions.elements)
    element_rates = np.random.default_rng(2).standard_normal((len(elements), len(elements))) * ~np.eye(len(elements), dtype=bool)
    around = Neighbourhood(space, known, Outside.of(space, outside), np.zeros((len(elements), 1)), ("none",), rates, element_rates)

    def added(ion, other):
        return rates[labels.index(other), labels.index(ion)]

    def added_by_element(old, new):
        return element_rates[elements.index(old), elements.index(new)]

    sets = {name: as_sets(space, name, item) for name, item in known.items()}
    compositions = [naive.without_charges(one) for known_sets in sets.values() for one in known_sets]
    compositions = {*compositions, *_inside_its_elements(outside)}
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
            donors = [
                (format_formula(*zip(*other, strict=True)), f"{old} -> {part[0]}", added_by_element(old, part[0]))
                for part in candidate
                for old, other in naive.one_element_away(naive.without_charges(candidate), part[0], compositions)
            ]
            one = around.donors(name, candidates.take(np.array([row])))
            assert sorted((donor.change, donor.rate) for donor in one) == sorted((change, rate) for _, change, rate in donors)
            assert sorted(parse_formula(donor.formula).formula for donor in one) == sorted(formula for formula, _, _ in donors)
            foretold = {part[0]: sum(rate for _, change, rate in donors if change.endswith(f"> {part[0]}")) for part in candidate}
            _assert_summary(features, "foretold_element", row, foretold, candidate)
            n_counted += sum(counts.values())
    assert n_counted > 100


@pytest.mark.parametrize("chosen", ["two_slots", "two_anions_two_slots"])
def test_compositions_are_described(chosen):
    space, known, _, asked = _world(chosen, (1, 4))
    properties = np.random.default_rng(0).standard_normal((len(space.ions.elements), 2))
    none = np.zeros((len(space.ions.labels),) * 2), np.zeros((len(space.ions.elements),) * 2)
    around = Neighbourhood(space, known, Outside.of(space, []), properties, ("first", "second"), *none)
    features = around.features("first", asked["first"])
    index = {symbol: i for i, symbol in enumerate(space.ions.elements)}
    for row, candidate in enumerate(as_sets(space, "first", asked["first"])):
        assert features["atoms"][row] == sum(amount for _, _, amount in candidate)
        assert features["cations"][row] == 2
        assert features["charge.largest"][row] == max(charge for _, charge, _ in candidate)
        assert features["charge.anion"][row] == sum(charge for _, charge, _ in candidate if charge < 0)
        share = {element: amount / features["atoms"][row] for element, _, amount in candidate}
        values = np.array([properties[index[element]] for element in share])
        mean = np.average(values, axis=0, weights=list(share.values()))
        variance = np.average((values - mean) ** 2, axis=0, weights=list(share.values()))
        np.testing.assert_allclose([features["mean.first"][row], features["mean.second"][row]], mean)
        np.testing.assert_allclose([features["variance.first"][row], features["variance.second"][row]], variance)


@pytest.mark.parametrize("chosen", ["two_slots", "two_anions_two_slots"])
def test_what_elements_add_is_learned_from_all_that_is_known(chosen):
    space, known, outside, _ = _world(chosen, (1, 4))
    elements = list(space.ions.elements)
    compositions = [naive.without_charges(one) for name, item in known.items() for one in as_sets(space, name, item)]
    compositions += _inside_its_elements(outside)
    found = element_rates(space, known, Outside.of(space, outside), EaseSettings(l2=2.0, dropout=0.5))
    expected = naive.element_foretelling(compositions, elements, 2.0, 1.0)
    np.testing.assert_allclose(found, [[expected[old, new] for new in elements] for old in elements], atol=1e-12)
    assert len(Outside.of(space, outside)) == len(_inside_its_elements(outside)) > 20


def test_neighbours_that_speak_against_a_candidate_leave_no_negative_rate():
    features = {"foretold_element.sum": np.array([-1.0, 2.0]), "foretold_element.anion": np.array([0.5, -0.5])}
    assert rate(features).tolist() == [0.0, 1.5]
