"""``crcrank explain``: the score as a sum, what is known around a formula, and what is wrong with one that has none."""

import json
import re

import numpy as np
import pytest
import tiny

from crcrank.artifacts.store import read_artifact
from crcrank.cli.main import main
from crcrank.config import load_config
from crcrank.models.registry import load_model
from crcrank.stages.common import candidate_columns, load_space
from crcrank.stages.explain import run_explain


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return tiny.make_world(tmp_path_factory.mktemp("explain"))


@pytest.fixture
def run(config):
    return config.parent / "run"


@pytest.fixture
def listed(run):
    return read_artifact(run / "ranking.parquet", "ranking").table.to_pylist()


def explained(config, run, *texts):
    paths = {"known": run / "known.parquet", "ranking": run / "ranking.parquet"}
    return run_explain(texts, run / "model.parquet", settings=load_config(config), **paths).formulas


def _scores(config, run):
    """Return the best score of every ternary formula, and its elements."""
    space, _ = load_space(load_config(config))
    artifact = read_artifact(run / "model.parquet", "model")
    item = space.classes["ternary"]
    candidates = space.decode("ternary", np.arange(item.first_id, item.first_id + item.n_candidates))
    columns = candidate_columns(space, "ternary", candidates)
    scores = load_model(artifact.table, artifact.metadata, space).scores("ternary", candidates)
    found = {}
    for formula, elements, score in zip(columns["formula"], columns["elements"], scores.tolist(), strict=True):
        found[formula] = (max(score, found.get(formula, (score,))[0]), "-".join(elements))
    return found


def test_what_a_ranking_lists_is_explained_as_it_says(config, run, listed):
    scores = _scores(config, run)
    known = {row["formula"] for row in read_artifact(run / "known.parquet", "known").table.to_pylist()}
    for row, item in zip(listed, explained(config, run, *(row["pretty_formula"] for row in listed)), strict=True):
        assert (item.formula, item.rank, item.candidate_id, item.is_known) == (row["formula"], row["rank"], row["candidate_id"], False)
        assert item.score == pytest.approx(row["score"], abs=1e-9)
        assert item.probability == pytest.approx(row["probability"])
        assert sum(term.value for term in item.parts[0].terms) == pytest.approx(item.score, abs=1e-6)
        assert item.n_one_ion_away == row["n_one_ion_away"]
        assert len(item.known_in_system) == row["n_known_in_system"]
        assert item.mixture == row["mixture"]
        if row["nearest_known"]:
            assert item.nearest_known[0][1] == row["substitution"]
        system = [(f, s) for f, (s, place) in scores.items() if place == row["chemical_system"] and f not in known and f != row["formula"]]
        expected = sorted((score for _, score in system), reverse=True)[:10]
        np.testing.assert_allclose([score for _, score in item.alternatives], expected)
        assert all(score <= item.score for _, score in item.other_assignments)


def test_a_known_formula_is_explained_too(config, run):
    known = read_artifact(run / "encoded.parquet", "encoded").table.to_pylist()
    text = next(row["formula"] for row in known if row["composition_class"] == "ternary")
    (item,) = explained(config, run, text)
    assert (item.is_known, item.rank) == (True, None)
    assert item.known_in_system


def test_ranks_are_counted_over_the_whole_class(config, run):
    scores = _scores(config, run)
    known = {row["formula"] for row in read_artifact(run / "known.parquet", "known").table.to_pylist()}
    order = sorted((formula for formula in scores if formula not in known), key=lambda formula: -scores[formula][0])
    asked = [order[0], order[20], order[-1], min(known & set(scores))]
    found = run_explain(asked, run / "model.parquet", settings=load_config(config), known=run / "known.parquet", exact_ranks=True).formulas
    assert [item.rank for item in found] == [1, 21, len(order), None]


def test_without_lists_the_terms_are_told_nevertheless(config, run, listed):
    (item,) = run_explain([listed[0]["formula"]], run / "model.parquet", settings=load_config(config)).formulas
    assert (item.is_known, item.rank, item.nearest_known, item.known_in_system, item.n_one_ion_away) == (None, None, (), (), None)
    assert item.parts[0].terms


def test_it_is_printed_and_written_as_json(config, run, listed, capsys):
    formula = next(row["pretty_formula"] for row in listed if row["nearest_known"])
    arguments = ["explain", formula, "--model", str(run / "model.parquet"), "--config", str(config), "--known", str(run / "known.parquet")]
    assert main([*arguments, "--ranking", str(run / "ranking.parquet")]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"{formula}  (ternary, ")
    for text in ("The score as a sum", "rank: ", "bias", "smaller (--all-terms)", "known compounds one ion away", "best others there: "):
        assert text in printed
    assert main([*arguments, "--all-terms"]) == 0
    printed = capsys.readouterr().out
    values = [float(value) for value in re.findall(r"([+-]\d+\.\d{4}) │$", printed, flags=re.MULTILINE)]
    assert sum(values[:-1]) == pytest.approx(values[-1], abs=1e-4 * len(values))
    assert main([*arguments, "--json"]) == 0
    (item,) = json.loads(capsys.readouterr().out)["formulas"]
    assert set(item["parts"][0]["terms"][0]) == {"group", "what", "value"}
    assert sum(term["value"] for term in item["parts"][0]["terms"]) == pytest.approx(item["score"], abs=1e-6)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Xx2O3", "Xx2O3: unknown element 'Xx'; wanted a formula such as BaTiO3"),
        ("BaTiO", "BaTiO: outside the space: .*; crcrank ingest --explain BaOTi says more"),
        ("LaAlO3", "LaAlO3: outside the space: element not in the ion table"),
        ("Na2O", "Na2O: class 'binary' was never learned by the model, which knows ternary; train with --class binary"),
        ("Ba(Ti", r"Ba\(Ti: .*; wanted a formula such as BaTiO3"),
    ],
)
def test_what_cannot_be_explained_is_said_in_one_line(config, run, capsys, text, message):
    assert main(["explain", text, "--model", str(run / "model.parquet"), "--config", str(config)]) == 2
    error = capsys.readouterr().err
    assert re.search(message, error)
    assert error.count("\n") == 1


def test_a_model_of_another_space_is_refused(run, capsys):
    assert main(["explain", "BaTiO3", "--model", str(run / "model.parquet")]) == 4
    assert "space" in capsys.readouterr().err
