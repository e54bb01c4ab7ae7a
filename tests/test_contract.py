"""What every recommender must pass: one suite for all of them."""

import re
from functools import cache

import numpy as np
import pyarrow as pa
import pytest
from small_spaces import case, space_of

from crcrank.artifacts.schemas import SCHEMAS
from crcrank.chem.elements import read_element_table
from crcrank.config import load_config, with_model
from crcrank.errors import ArtifactError, ConfigError
from crcrank.models.contract import TrainingData
from crcrank.models.registry import RECOMMENDERS, ion_vectors, load_model, model_columns
from crcrank.models.staged import Stages
from crcrank.models.terms import total
from crcrank.progress import SilentProgress
from crcrank.ranking.filters import ElementFilter, search_filter
from crcrank.space.space import Candidates

SETTINGS = load_config()
# Settings of the suite, where those of the configuration would take long.
SMALL = {
    "fm": {"n_factors": 4, "n_epochs": 30, "n_final_epochs": 1, "n_batches": 2, "learning_rate": 0.05},
    "forest": {"n_unlabelled": 1000, "n_trees": 40, "n_leaves": 8, "learning_rate": 0.2},
    "nnmf": {
        "n_multiplied": 4,
        "n_concatenated": 2,
        "n_hidden": 8,
        "n_samples": 500,
        "n_epochs": 4,
        "latent_rate": 0.01,
        "machine": SETTINGS.train.nnmf.machine.model_copy(update={"n_epochs": 30, "n_batches": 2, "learning_rate": 0.05}),
    },
    "tucker": {"n_cation_factors": (2, 6, 6, 2), "n_anion_factors": (1, 1, 1, 1), "n_ratio_factors": (2, 4, 2, 2)},
    "cp": {"n_factors": (4, 8, 8, 4)},
    "svd": {"n_factors": (2, 3, 3, 2)},
    "nmf": {"n_factors": (2, 3, 3, 2)},
}
SMALL["stack"] = {
    "depth": 300,
    "fm": SETTINGS.train.stack.fm.model_copy(update=SMALL["fm"]),
    "trees": SETTINGS.train.stack.trees.model_copy(update={"n_trees": 40, "smallest_leaf": 5}),
}
# How well a model must tell what was kept back from what is not there; popularity sees ions one by one.
RECOVERS = {name: 0.75 for name in RECOMMENDERS if name != "random"} | {"popularity": 0.6}
RANKS = [name for name in RECOMMENDERS if name != "forest"]
every_model = pytest.mark.parametrize("kind", RECOMMENDERS)

IONS = "Li1+ Na1+ K1+ Ag1+ Cu1+ Tl1+ Mg2+ Ca2+ Ba2+ Fe2+ Mn2+ Zn2+ Al3+ Ga3+ La3+ Ti4+ O2- S2- Cl1-"
FAMILY = {"Li", "Na", "K", "Mg", "Ca", "Ba", "Al", "La"}


@cache
def world():
    """Return a space of two classes, and candidates known and kept back: those whose cations are all of one family, with oxygen."""
    space = space_of(case(IONS, 2, 3), (3, 2))
    rng = np.random.default_rng(0)
    known, kept = {}, {}
    for name, item in space.classes.items():
        candidates = space.decode(name, np.arange(item.first_id, item.first_id + item.n_candidates))
        labels, _ = space.ions_of(name, candidates)
        alike = [len({label[:-2] in FAMILY for label in row[:-1]}) == 1 and row[-1] == "O2-" for row in labels]
        rows = rng.permutation(np.flatnonzero(alike))
        known[name], kept[name] = candidates.take(np.sort(rows[: len(rows) // 2])), candidates.take(rows[len(rows) // 2 :])
    return space, known, kept


def data():
    space, known, _ = world()
    held = {name: item.take(np.arange(0, len(item), 8)) for name, item in known.items()}
    fitting = {name: item.take(np.flatnonzero(np.arange(len(item)) % 8)) for name, item in known.items()}
    outside = [(["Ba", "Fe"], [1, 2]), (["Fe", "Na", "S"], [1, 1, 2]), (["O", "Ti"], [1, 1])]
    return TrainingData(space, fitting, held, read_element_table(SETTINGS.space.elements), outside)


def fit(kind, seed=0, n_threads=1):
    section = getattr(SETTINGS.train, kind).model_copy(update=SMALL.get(kind, {}))
    return RECOMMENDERS[kind].fit(data(), section, np.random.default_rng(seed), n_threads, SilentProgress())


fitted = cache(lambda kind: fit(kind).model)


def sample(name, n=400):
    space = world()[0]
    item = space.classes[name]
    ids = item.first_id + np.random.default_rng(1).choice(item.n_candidates, min(n, item.n_candidates), replace=False)
    return space.decode(name, np.sort(ids))


def restored(kind, change=lambda columns: columns):
    columns = change(model_columns(fitted(kind)))
    table = pa.table(columns, schema=SCHEMAS["model"])
    return load_model(table, {"extra": {"model": kind, "restore": fitted(kind).facts()}}, world()[0])


def test_every_model_has_settings_and_a_name_on_the_command_line():
    for kind in RECOMMENDERS:
        assert with_model(SETTINGS, kind).train.model == kind
        assert hasattr(SETTINGS.train, kind)


def test_an_unknown_model_is_refused_with_the_near_miss():
    with pytest.raises(ConfigError, match="--model fmm: no such model; did you mean 'fm'"):
        with_model(SETTINGS, "fmm")


@every_model
def test_scores_are_finite_and_of_every_class(kind):
    for name in world()[1]:
        scores = fitted(kind).scores(name, sample(name))
        assert scores.dtype == np.float64
        assert np.isfinite(scores).all()


@every_model
def test_the_same_seed_gives_the_same_model_on_any_number_of_threads(kind):
    again = fit(kind, n_threads=2).model
    for name, values in fitted(kind).arrays().items():
        np.testing.assert_array_equal(values, again.arrays()[name])


@every_model
def test_scores_survive_saving_and_loading(kind):
    again = restored(kind)
    assert again.is_probabilistic == fitted(kind).is_probabilistic
    assert again.classes == fitted(kind).classes
    for name in again.classes:
        np.testing.assert_array_equal(again.scores(name, sample(name)), fitted(kind).scores(name, sample(name)))


@every_model
def test_arrays_of_another_shape_are_refused(kind):
    def shorter(columns):
        return columns | {"shape": [[max(shape[0] - 1, 0), *shape[1:]] if shape else [0] for shape in columns["shape"]],
                          "values": [values[: (values.size - values.size // shape[0]) if shape and shape[0] else 0]
                                     for values, shape in zip(columns["values"], columns["shape"], strict=True)]}  # fmt: skip

    with pytest.raises(ArtifactError, match=r"model: .*; train it again"):
        restored(kind, shorter)


@every_model
def test_a_missing_array_is_refused(kind):
    with pytest.raises(ArtifactError, match=r"model: .*; train it again"):
        restored(kind, lambda columns: {key: values[1:] for key, values in columns.items()})


def test_the_values_of_a_large_array_go_on_from_row_to_row(monkeypatch):
    before = pa.table(model_columns(fitted("fm")))
    monkeypatch.setattr("crcrank.models.registry._LARGEST_ROW", 7)
    columns = model_columns(fitted("fm"))
    assert max(map(len, columns["values"])) == 7
    assert sorted(set(columns["name"])) == sorted(fitted("fm").arrays())
    again = restored("fm").arrays()
    assert {name: values.tolist() for name, values in again.items()} == {name: v.tolist() for name, v in fitted("fm").arrays().items()}
    learned = np.hstack([values for name, values in fitted("fm").arrays().items() if name.endswith(".factor.ion")])
    for table in (before, pa.table(columns)):
        np.testing.assert_array_equal(ion_vectors(table), learned)


@pytest.mark.parametrize("name", fitted("fm").arrays())
def test_any_missing_array_is_named(name):
    def without(columns):
        rows = [i for i, found in enumerate(columns["name"]) if found != name]
        return {key: [values[i] for i in rows] for key, values in columns.items()}

    with pytest.raises(ArtifactError, match=rf"model: parameter '{re.escape(name)}' should have shape .*, found None; train it again"):
        restored("fm", without)


@every_model
def test_any_missing_fact_is_named(kind):
    table, facts = pa.table(model_columns(fitted(kind))), fitted(kind).facts()
    for name in facts:
        others = {key: value for key, value in facts.items() if key != name}
        found = re.escape(", ".join(others) or "nothing")
        with pytest.raises(ArtifactError, match=f"model: nothing says its '{name}', found {found}; train it again"):
            load_model(table, {"extra": {"model": kind, "restore": others}}, world()[0])


@every_model
def test_the_order_of_equal_cations_does_not_matter(kind):
    space = world()[0]
    for name in world()[1]:
        candidates = sample(name)
        runs = space.block_arrays(name).run[candidates.blocks]
        swapped = candidates.cations.copy()
        for row, run in zip(swapped, runs, strict=True):
            for slot in np.flatnonzero(run):
                row[[slot - 1, slot]] = row[[slot, slot - 1]]
        assert (swapped != candidates.cations).any()
        found = fitted(kind).scores(name, Candidates(candidates.blocks, swapped))
        np.testing.assert_allclose(found, fitted(kind).scores(name, candidates), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", RANKS)
def test_the_ranking_is_the_order_of_the_scores(kind):
    """Each formula once, with the candidate that searches find best; a second stage orders these."""
    space = world()[0]
    for name, item in space.classes.items():
        stages = Stages.of(fitted(kind), None, item.n_candidates)
        candidates = space.decode(name, np.arange(item.first_id, item.first_id + item.n_candidates))
        order = np.argsort(-stages.first[0].scores(name, candidates), kind="stable")
        best = np.unique(space.composition_keys(name, candidates.take(order)), return_index=True)[1]
        expected = np.sort(stages.scorer.scores(name, candidates.take(order[best])))[::-1]
        everything = search_filter(space, ElementFilter())
        found = stages.rank(space, name, 60, excluded=np.empty(0, np.int64), search_filter=everything).ranked
        np.testing.assert_allclose(found.scores, expected[:60], rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(found.scores, fitted(kind).scores(name, found.candidates), rtol=1e-9, atol=1e-9)


def test_a_forest_cannot_rank_and_says_what_it_can():
    with pytest.raises(ConfigError, match=r"a forest only re-ranks: .* candidates of class 'first'; .* give this one to --rerank"):
        fitted("forest").program("first")


@pytest.mark.parametrize("kind", RECOVERS)
def test_planted_structure_is_recovered(kind):
    space, known, kept = world()
    shares = []
    for name, item in space.classes.items():
        candidates = space.decode(name, np.arange(item.first_id, item.first_id + item.n_candidates))
        unknown = candidates.take(np.flatnonzero(~np.isin(space.encode(name, candidates), space.encode(name, known[name]))))
        scores = fitted(kind).scores(name, unknown)
        real = np.isin(space.encode(name, unknown), space.encode(name, kept[name]))
        others = np.sort(scores[~real])
        above = (np.searchsorted(others, scores[real], "left") + np.searchsorted(others, scores[real], "right")) / 2 / len(others)
        shares.append(above)
    assert np.concatenate(shares).mean() > RECOVERS[kind], [above.mean() for above in shares]


@every_model
def test_terms_add_up_to_the_score(kind):
    for name in world()[1]:
        for model in (fitted(kind), *getattr(fitted(kind), "first_stage", ())):
            chosen = sample(name, 25).joined(world()[1][name].take(np.arange(5)))
            for row, score in enumerate(model.scores(name, chosen)):
                terms = model.terms(name, chosen.take(np.array([row])))
                assert total(terms) == pytest.approx(score, abs=1e-9)
                assert len(terms) == len({term[:2] for term in terms})
                assert all(term.group and term.what for term in terms)
