from types import SimpleNamespace

import naive
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from small_spaces import FIXED_CASES, as_sets, cases, class_ids, space_of

from crcrank.config import EaseSettings, PopularitySettings, SubstitutionSettings
from crcrank.errors import ArtifactError, ConfigError
from crcrank.models.contract import TrainingData
from crcrank.models.ease import autoencoder, fit_ease
from crcrank.models.popularity import fit_popularity
from crcrank.models.substitution import Substitution, fit_substitution, replacements, similarity_of_ions
from crcrank.progress import SilentProgress

_NO_RNG = SimpleNamespace()
_EVERY_WAY = {"similarity": True, "shrinkage": 3.0}


@st.composite
def _known(draw):
    """Draw a space of two classes, its ions, and known candidates of each class, some of them held back."""
    chosen = draw(cases())._replace(mixed_valence=False, neutral=True)
    try:
        space = space_of(chosen, (1, 2))
    except ConfigError:
        assume(False)
    fitting, held_back = {}, {}
    for name in space.classes:
        ids = draw(st.lists(st.sampled_from(class_ids(space, name)), unique=True, min_size=1, max_size=12))
        fitting[name] = space.decode(name, np.array(ids[: len(ids) // 2], np.int64))
        held_back[name] = space.decode(name, np.array(ids[len(ids) // 2 :], np.int64))
    return TrainingData(space, fitting, held_back, None), chosen.ions


def _sets_of(data):
    return {name: set(as_sets(data.space, name, data.known(name))) for name in data.classes}


def _fit(fit, data, section):
    return fit(data, section, _NO_RNG, 1, SilentProgress()).model


@settings(deadline=None, max_examples=60)
@given(_known())
def test_replacements_are_the_twins(case):
    data, ions = case
    labels = (*data.space.ions.cations, *data.space.ions.anions)
    for name in data.classes:
        known = data.known(name)
        made = replacements(data.space, name, known)
        found = [
            (row, (labels[old].element, labels[old].oxidation_state), (labels[new].element, labels[new].oxidation_state), one)
            for row, old, new, one in zip(made.rows, made.old, made.new, as_sets(data.space, name, made.candidates), strict=True)
        ]
        expected = [(row, *item) for row, one in enumerate(as_sets(data.space, name, known)) for item in naive.replacements(one, ions)]
        assert len(found) == len(expected)
        assert set(found) == set(expected)


@settings(deadline=None, max_examples=60)
@given(_known())
def test_substitution_is_the_twin(case):
    data, ions = case
    known = _sets_of(data)
    model = _fit(fit_substitution, data, SubstitutionSettings(**_EVERY_WAY))
    probabilities = naive.replacement_probabilities(known.values(), ions, 3.0)
    for name in data.classes:
        ids = class_ids(data.space, name)[:300]
        candidates = data.space.decode(name, ids)
        n_candidates = data.space.classes[name].n_candidates
        expected = [
            naive.substitution_score(one, known[name], ions, probabilities, n_candidates) for one in as_sets(data.space, name, candidates)
        ]
        np.testing.assert_allclose(model.scores(name, candidates), expected, rtol=1e-9)


@settings(deadline=None, max_examples=60)
@given(_known(), st.sampled_from([0.0, 0.5]))
def test_the_linear_autoencoder_is_the_twin(case, dropout):
    data, ions = case
    known = _sets_of(data)
    model = _fit(fit_ease, data, EaseSettings(l2=2.0, dropout=dropout))
    weights = naive.foretelling(known.values(), list(ions), 2.0, dropout / (1 - dropout))
    for name in data.classes:
        candidates = data.space.decode(name, class_ids(data.space, name)[:300])
        n_candidates = data.space.classes[name].n_candidates
        expected = [naive.ease_score(one, known[name], ions, weights, n_candidates) for one in as_sets(data.space, name, candidates)]
        np.testing.assert_allclose(model.scores(name, candidates), expected, rtol=1e-9, atol=1e-12)
        for row in range(0, len(candidates), 37):
            one = candidates.take(np.array([row]))
            assert sum(term.value for term in model.terms(name, one)) == pytest.approx(model.scores(name, one)[0], abs=1e-9)


def test_neighbours_that_speak_against_a_candidate_leave_it_the_background():
    space = space_of(FIXED_CASES["two_slots"])
    ids, n_ions = class_ids(space, "first"), len(space.ions.labels)
    known = {"first": space.decode("first", ids[::3])}
    rates = np.random.default_rng(0).normal(-0.1, 0.3, (n_ions, n_ions))
    model = Substitution(space, known, rates, {"first": 1e-3})
    candidates = space.decode("first", ids)
    scores, n_against = model.scores("first", candidates), 0
    for row, score in enumerate(scores):
        one = candidates.take(np.array([row]))
        donors, terms = model.donors("first", one), model.terms("first", one)
        assert score == pytest.approx(np.log(1e-3 + max(0.0, sum(donor.rate for donor in donors))))
        assert sum(term.value for term in terms) == pytest.approx(score, abs=1e-9)
        n_against += sum(donor.rate for donor in donors) < 0
    assert 0 < n_against < len(scores)


def test_the_linear_autoencoder_finds_what_is_left_out_of_a_pattern():
    """Ions of two kinds, never together: a half-seen row is filled by its own kind, and the other kind speaks against it."""
    rng = np.random.default_rng(0)
    marks = np.kron(rng.permutation(np.repeat(np.eye(2), 40, axis=0)), np.ones(5)) * (rng.random((80, 10)) < 0.7)
    weights = autoencoder(marks.T @ marks, EaseSettings(l2=1.0, dropout=0.2))
    foretold = np.array([1.0, 1, 1, 0, 0, 0, 0, 0, 0, 0]) @ weights
    assert foretold[3:5].min() > 0.3
    assert foretold[5:].max() < 0.1
    assert not np.diagonal(weights).any()


@settings(deadline=None, max_examples=30)
@given(_known())
def test_similarity_of_ions_is_the_twin(case):
    data, ions = case
    n_known, n_both = naive.replacement_counts(_sets_of(data).values(), ions)
    table = data.space.ions
    ions = [(ion.element, ion.oxidation_state) for ion in (*table.cations, *table.anions)]
    expected = [[n_both[one, other] / np.sqrt((n_known[one] + 1) * (n_known[other] + 1)) for other in ions] for one in ions]
    similarity = similarity_of_ions(data.space, {name: data.known(name) for name in data.classes})
    np.testing.assert_allclose(similarity, expected, rtol=1e-12)
    np.testing.assert_array_equal(similarity, similarity.T)


@settings(deadline=None, max_examples=30)
@given(_known())
def test_without_similarity_the_order_is_that_of_the_counts_of_neighbours(case):
    data, ions = case
    known = _sets_of(data)
    model = _fit(fit_substitution, data, SubstitutionSettings(similarity=False, shrinkage=1.0))
    for name in data.classes:
        candidates = data.space.decode(name, class_ids(data.space, name)[:300])
        counts = [
            sum(other in known[name] for _, _, other in naive.replacements(one, ions)) for one in as_sets(data.space, name, candidates)
        ]
        scores = model.scores(name, candidates)
        assert len(set(scores.tolist())) == len(set(counts))
        assert np.array_equal(np.argsort(-scores, kind="stable"), np.argsort(-np.array(counts), kind="stable"))


@settings(deadline=None, max_examples=30)
@given(_known(), st.sampled_from([0.1, 2.0]))
def test_popularity_is_the_twin_up_to_a_constant_and_its_rates_add_up_to_the_known(case, pseudo_count):
    data, _ = case
    known = _sets_of(data)
    model = _fit(fit_popularity, data, PopularitySettings(pseudo_count=pseudo_count))
    for name, item in data.space.classes.items():
        candidates = data.space.decode(name, class_ids(data.space, name))
        scores = model.scores(name, candidates)
        assert np.exp(scores).sum() == pytest.approx(len(known[name]), rel=1e-4)
        n_of_kind = (len(data.space.ions.cations), len(data.space.ions.anions), len(item.stoichiometries.keys))
        sets = as_sets(data.space, name, candidates)[:200]
        expected = np.array([naive.popularity_score(one, list(known[name]), n_of_kind, pseudo_count) for one in sets])
        np.testing.assert_allclose(scores[:200] - scores[0], expected - expected[0], rtol=1e-6, atol=1e-6)


def test_candidate_ids_of_another_space_are_refused():
    space = space_of(FIXED_CASES["two_slots"])
    n_ions = len(space.ions.labels)
    for wrong in (-1.0, 0.5, float(space.n_candidates), np.nan):
        arrays = {"rates": np.zeros((n_ions, n_ions)), "background.first": np.array(1.0), "known.first": np.array([wrong])}
        with pytest.raises(ArtifactError, match=r"model: parameter 'known.first' should hold candidate_ids of class 'first'; train"):
            Substitution.restore(arrays, {"n_known": {"first": 1}}, space)
