"""Terms add up to the score, for machines with any features, in any space; what trees add is told feature by feature."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_spaces import FIXED_CASES, class_ids, machine, random_parameters, space_of, spaces

from crcrank.config import load_config
from crcrank.models.fm import FEATURE_GROUPS, FittedFM
from crcrank.models.terms import formulas, mean_terms, scaled, total
from crcrank.models.trees import grow_trees, tree_terms


@settings(deadline=None, max_examples=40)
@given(spaces(), st.sets(st.sampled_from(FEATURE_GROUPS)), st.integers(0, 2**16), st.data())
def test_terms_of_a_machine_add_up_to_its_score(space, features, seed, data):
    own = data.draw(st.sets(st.sampled_from(sorted(features - {"stoichiometry"})))) if features - {"stoichiometry"} else ()
    shape = machine(space, features, n_components=2 if "prior" in features else 0, seed=seed, per_class=own)
    parameters = [random_parameters(shape, seed), random_parameters(shape, seed + 1)]
    model = FittedFM(shape, tuple(parameters[: data.draw(st.integers(1, 2))]))
    candidates = space.decode("first", np.array(data.draw(st.lists(st.sampled_from(class_ids(space)), min_size=1, max_size=4)), np.int64))
    for row, score in enumerate(model.scores("first", candidates)):
        terms = model.terms("first", candidates.take(np.array([row])))
        assert total(terms) == pytest.approx(score, abs=1e-9)


def test_a_weight_is_found_in_the_term_of_its_name():
    space = space_of(FIXED_CASES["two_slots"])
    shape = machine(space, ("ion", "stoichiometry", "cation_anion"), n_components=0)
    parameters = {name: np.zeros(values) for name, values in shape.shapes().items()}
    candidate = space.decode("first", class_ids(space)[:1])
    (anion,) = space.classes["first"].block_anions[candidate.blocks[0]]
    first, second = candidate.cations[0]
    labels = space.ions.labels
    parameters["bias.first"] = np.array(-3.0)
    parameters["weight.ion"][first] = 0.5
    parameters["weight.cation_anion"][second, anion] = 0.25
    parameters["weight.stoichiometry.first"][space.classes["first"].block_stoichiometry[candidate.blocks[0]]] = 2.0
    found = {term[:2]: term.value for term in FittedFM(shape, (parameters,)).terms("first", candidate) if term.value}
    anion_label = labels[len(space.ions.cations) + anion]
    assert found.pop(("stoichiometry", next(what for group, what in found if group == "stoichiometry"))) == 2.0
    assert found == {("bias", "first"): -3.0, ("ion", labels[first]): 0.5, ("pair", f"{labels[second]} {anion_label}"): 0.25}


def test_trees_add_by_feature_what_they_add_together():
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((1500, 4)).astype(np.float32)
    labels = rows[:, 0] + rows[:, 1] > 1.5
    chosen = load_config().train.stack.trees.model_copy(update={"n_trees": 20, "feature_share": 1.0})
    trees = grow_trees(rows, labels, chosen, 0)
    for row, expected in zip(rows[:50], trees.sums(rows[:50]), strict=True):
        assert trees.contributions(row).sum() == pytest.approx(expected, abs=1e-9)
    high, low = (np.array([x, x, 0, 0], np.float32) for x in (3.0, -3.0))
    assert (trees.contributions(high)[:2] > 0.3).all()
    assert (trees.contributions(low)[:2] < 0.1).all()
    assert (np.abs(trees.contributions(high)[2:4]) < 0.3).all()
    terms = tree_terms(trees, high, [("x", "a"), ("x", "b"), ("x", "c"), ("x", "d")], offset=-1.0)
    odds = np.exp(trees.sums(high[None])[0] - 1.0)
    assert total(terms) == pytest.approx(np.log(np.log1p(odds)))
    assert ("x", "a = 3") in {term[:2] for term in terms}


def test_sums_and_means_of_terms():
    space = space_of(FIXED_CASES["two_slots"])
    shape = machine(space)
    candidate = space.decode("first", class_ids(space)[:1])
    one, two = (FittedFM(shape, (random_parameters(shape, seed),)).terms("first", candidate) for seed in (1, 2))
    assert total(mean_terms([one, two])) == pytest.approx((total(one) + total(two)) / 2)
    assert total(scaled(one, 0.5)) == pytest.approx(total(one) / 2)
    assert len(formulas(space, "first", candidate)) == 1
