"""Classes of mixed valence, of charges that need not balance, and of two anions: every model learns and ranks them, or refuses."""

from functools import cache

import numpy as np
import pytest
from small_spaces import as_sets, case, class_ids, space_of
from test_contract import FAMILY, SETTINGS, SMALL

from crcrank.chem.elements import read_element_table
from crcrank.errors import ModelFitError
from crcrank.models.contract import TrainingData
from crcrank.models.registry import RECOMMENDERS
from crcrank.models.staged import Stages
from crcrank.progress import SilentProgress
from crcrank.ranking.filters import ElementFilter, search_filter

_IONS = "Li1+ Na1+ K1+ Cu1+ Tl1+ Mg2+ Ca2+ Ba2+ Fe2+ Fe3+ Mn2+ Mn3+ La3+ Ti3+ Ti4+ O2- S2- F1- Cl1-"
WORLDS = {
    "mixed": case(_IONS, 2, 3, mixed_valence=True),
    "charged": case(_IONS, 2, 2, neutral=False),
    "two_anions": case(_IONS, 2, 2, n_anions=2),
    "two_anions_mixed": case(_IONS, 2, 2, mixed_valence=True, n_anions=2),
}
REFUSED = {(kind, world) for kind in ("svd", "nmf") for world in WORLDS} | {("nnmf", "two_anions"), ("nnmf", "two_anions_mixed")}
every_world = pytest.mark.parametrize("world", WORLDS)


@cache
def data(world):
    """Return what is known: half of the candidates whose cations are all of one family, with oxygen and no sulfur."""
    space = space_of(WORLDS[world])
    candidates = space.decode("first", class_ids(space))
    sets = as_sets(space, "first", candidates)
    cations = [{element in FAMILY for element, state, _ in one if state > 0} for one in sets]
    anions = [{element for element, state, _ in one if state < 0} for one in sets]
    alike = [len(own) == 1 and "O" in others and "S" not in others for own, others in zip(cations, anions, strict=True)]
    known = candidates.take(np.sort(np.random.default_rng(0).permutation(np.flatnonzero(alike))[: sum(alike) // 2]))
    held = np.arange(len(known)) % 8 == 0
    parts = ({"first": known.take(np.flatnonzero(rows))} for rows in (~held, held))
    return TrainingData(space, *parts, read_element_table(SETTINGS.space.elements))


def fit(kind, world):
    section = getattr(SETTINGS.train, kind).model_copy(update=SMALL.get(kind, {}))
    return RECOMMENDERS[kind].fit(data(world), section, np.random.default_rng(0), 1, SilentProgress()).model


@every_world
@pytest.mark.parametrize("kind", sorted({kind for kind in RECOMMENDERS if kind not in {"svd", "nmf", "forest"}}))
def test_the_ranking_is_the_order_of_the_scores(kind, world):
    if (kind, world) in REFUSED:
        pytest.skip("refused")
    space, model = data(world).space, fit(kind, world)
    stages = Stages.of(model, None, space.n_candidates)
    candidates = space.decode("first", class_ids(space))
    order = np.argsort(-stages.first[0].scores("first", candidates), kind="stable")
    best = np.unique(space.composition_keys("first", candidates.take(order)), return_index=True)[1]
    expected = np.sort(stages.scorer.scores("first", candidates.take(order[best])))[::-1]
    found = stages.rank(space, "first", 60, excluded=np.empty(0, np.int64), search_filter=search_filter(space, ElementFilter())).ranked
    np.testing.assert_allclose(found.scores, expected[:60], rtol=1e-9, atol=1e-9)
    if kind != "random":
        known = np.isin(class_ids(space), space.encode("first", data(world).known("first")))
        scores = model.scores("first", candidates)
        assert np.isfinite(scores).all()
        assert scores[known].mean() > scores[~known].mean()


@every_world
def test_a_forest_tells_known_from_unknown(world):
    space, model = data(world).space, fit("forest", world)
    candidates = space.decode("first", class_ids(space))
    known = np.isin(class_ids(space), space.encode("first", data(world).known("first")))
    scores = model.scores("first", candidates)
    assert scores[known].mean() > scores[~known].mean() + 1


@pytest.mark.parametrize(("kind", "world"), sorted(REFUSED))
def test_what_a_model_has_no_place_for_is_refused(kind, world):
    with pytest.raises(ModelFitError, match=f"class first has .*two anions.* choose another model than .*{kind}"):
        fit(kind, world)
