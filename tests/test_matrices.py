"""SVD and NMF of the matrices of known compositions, against their twins and dense algebra."""

import naive_tensor
import numpy as np
import pytest
from scipy import sparse
from small_spaces import FIXED_CASES, WIDENED_CASES, as_sets, class_ids, space_of

from crcrank.chem.elements import read_element_table
from crcrank.config import load_config
from crcrank.errors import ModelFitError
from crcrank.models import matrices
from crcrank.models.contract import TrainingData
from crcrank.models.matrices import MATRICISATIONS, known_matrix
from crcrank.models.nmf import factorise
from crcrank.models.registry import RECOMMENDERS
from crcrank.progress import SilentProgress

SETTINGS = load_config()
_CASES = pytest.mark.parametrize("chosen", FIXED_CASES.values(), ids=FIXED_CASES)
_LAYOUTS = pytest.mark.parametrize("matrix", MATRICISATIONS)


def _known(chosen, share=0.2):
    space = space_of(chosen)
    ids = np.random.default_rng(0).permutation(class_ids(space))[: max(4, int(share * space.n_candidates))]
    return space, space.decode("first", np.sort(ids))


def _fit(kind, space, known, **settings):
    data = TrainingData(space, {"first": known}, {"first": known.take(np.empty(0, np.int64))}, read_element_table(SETTINGS.space.elements))
    section = getattr(SETTINGS.train, kind).model_copy(update=settings)
    return RECOMMENDERS[kind].fit(data, section, np.random.default_rng(0), 1, SilentProgress())


@_LAYOUTS
@_CASES
def test_without_compression_candidates_score_what_the_twins_matrix_holds(chosen, matrix):
    space, known = _known(chosen)
    n_factors = min(known_matrix(space, "first", known, matrix).ones.shape)
    model = _fit("svd", space, known, matrix=matrix, n_factors=[n_factors] * 4).model
    candidates = space.decode("first", class_ids(space))
    order = [(ion.element, ion.oxidation_state) for ion in space.ions.cations]
    expected = naive_tensor.matrix_scores(as_sets(space, "first", candidates), as_sets(space, "first", known), matrix, order)
    np.testing.assert_allclose(model.scores("first", candidates), list(expected), atol=1e-9)


@_LAYOUTS
def test_svd_is_the_best_approximation(matrix):
    space, known = _known(FIXED_CASES["three_slots"])
    fitted = _fit("svd", space, known, matrix=matrix, n_factors=[3] * 4).model.factored["first"]
    ones = known_matrix(space, "first", known, matrix).ones.toarray()
    u, s, v = np.linalg.svd(ones)
    np.testing.assert_allclose(
        np.linalg.norm(ones - fitted.left @ fitted.right.T), np.linalg.norm(ones - (u[:, :3] * s[:3]) @ v[:3]), rtol=1e-9
    )


def test_nmf_is_not_negative_and_improves():
    space, known = _known(FIXED_CASES["three_slots"])
    ones = known_matrix(space, "first", known, "ion_rest").ones
    errors = []
    for n_iterations in (1, 2, 5, 20, 100):
        left, right = factorise(ones, 3, n_iterations, 0.0, np.random.default_rng(1))
        assert min(left.min(), right.min()) >= 0
        errors.append(np.linalg.norm(ones.toarray() - left @ right.T))
    assert errors == sorted(errors, reverse=True)


def test_nmf_finds_planted_blocks():
    planted = np.kron(np.eye(3), np.ones((4, 6)))
    left, right = factorise(sparse.csr_array(planted), 3, 200, 0.0, np.random.default_rng(0))
    np.testing.assert_allclose(left @ right.T, planted, atol=1e-6)


def test_the_penalty_shrinks_the_factors():
    space, known = _known(FIXED_CASES["two_slots"])
    ones = known_matrix(space, "first", known, "ion_rest").ones
    fits = [factorise(ones, 2, 200, l2, np.random.default_rng(0)) for l2 in (0.0, 0.3)]
    norms = [np.linalg.norm(left @ right.T) for left, right in fits]
    assert 0.1 * norms[0] < norms[1] < 0.99 * norms[0]


@pytest.mark.parametrize("kind", ["svd", "nmf"])
@_LAYOUTS
def test_more_factors_than_rows_or_columns_are_refused(kind, matrix):
    space, known = _known(FIXED_CASES["two_slots"])
    with pytest.raises(ModelFitError, match=rf"train.{kind}.n_factors: 999 factors for class 'first', .* rows or columns \({matrix}\)"):
        _fit(kind, space, known, matrix=matrix, n_factors=[999] * 4)


def test_a_list_beyond_memory_is_refused(monkeypatch):
    space, known = _known(FIXED_CASES["two_slots"])
    model = _fit("svd", space, known, matrix="ion_rest", n_factors=[2] * 4).model
    monkeypatch.setattr(matrices, "LARGEST_LIST", 3)
    with pytest.raises(ModelFitError, match="matrix ion_rest: more than 3 first candidates have a score of their own; choose another"):
        model.program("first")


@pytest.mark.parametrize("chosen", WIDENED_CASES.values(), ids=WIDENED_CASES)
def test_widened_classes_are_refused(chosen):
    space = space_of(chosen)
    with pytest.raises(ModelFitError, match="class first has mixed valence, two anions or charges that need not balance"):
        known_matrix(space, "first", space.decode("first", class_ids(space)[:1]), "ion_rest")
