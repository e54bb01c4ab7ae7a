"""What ``ingest --explain`` says of a formula, in a space small enough to know."""

import json
import re

import pytest
import tiny

from crcrank.cli.main import main
from crcrank.config import load_config
from crcrank.stages.explain_reading import run_explain_reading


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("explain")
    (folder / "ions.csv").write_text(tiny.IONS)
    path = folder / "tiny.toml"
    path.write_text(tiny.CONFIG)
    return path


@pytest.fixture
def settings(config):
    return load_config(config)


def test_a_formula_with_two_places(settings):
    found = run_explain_reading("Fe Ti O3", settings=settings)
    assert (found.formula, found.chemical_system, found.rules, found.ingest, found.space) == ("FeO3Ti", "Fe-O-Ti", (), "kept", "inside")
    placed = [item for item in found.assignments if item.candidate_id is not None]
    assert [(item.ions, item.stoichiometry, item.composition_class) for item in placed] == [
        ("Fe2+ Ti4+ 3O2-", "1(2+) 1(4+) 3(2-)", "ternary"),
        ("Fe3+ Ti3+ 3O2-", "1(3+) 1(3+) 3(2-)", "ternary"),
    ]
    assert found.assignments[0].weight > placed[1].weight > 0
    assert sum(item.weight for item in found.assignments) == pytest.approx(1)


@pytest.mark.parametrize(
    ("text", "formula", "rules", "ingest", "space"),
    [
        ("Fe3O4", "Fe3O4", (), "kept", "outside: mixed valence: Fe2+ Fe3+"),
        ("FeOCl", "ClFeO", (), "kept", "outside: two anions: Cl1- O2-"),
        ("NaOD", "HNaO", ("deuterium",), "kept", "outside: hydroxide, hydrate or acid (H1+)"),
        ("FeTi", "FeTi", ("alloy",), "kept", "outside: no anion (intermetallic)"),
        ("Fe0.5O", None, ("disorder",), "left out: fractional amounts (disorder)", None),
        ("Xx", None, (), "left out: unknown element 'Xx'", None),
    ],
)
def test_what_has_no_place(settings, text, formula, rules, ingest, space):
    found = run_explain_reading(text, settings=settings)
    assert (found.formula, found.rules, found.ingest, found.space) == (formula, rules, ingest, space)
    assert all(item.candidate_id is None and item.why_not for item in found.assignments)


def test_what_the_rules_leave_out_is_placed_nevertheless(settings):
    strict = settings.ingest.rules.model_copy(update={"expand_parts": False})
    strict = settings.model_copy(update={"ingest": settings.ingest.model_copy(update={"rules": strict})})
    found = run_explain_reading("Na2O·TiO2", settings=strict)
    assert found.ingest == "left out: parts joined by a dot (a hydrate or an adduct)"
    assert (found.formula, found.space) == ("Na2O3Ti", "inside")


def test_a_widened_class_holds_mixed_valence(config, tmp_path):
    text = config.read_text().replace("n_cations = 2\nmax_coefficient = 4\n", "n_cations = 2\nmax_coefficient = 4\nmixed_valence = true\n")
    (tmp_path / "ions.csv").write_text(tiny.IONS)
    (tmp_path / "mixed.toml").write_text(text)
    found = run_explain_reading("Fe3O4", settings=load_config(tmp_path / "mixed.toml"))
    assert found.space == "inside"
    assert [(item.ions, item.composition_class) for item in found.assignments] == [("Fe2+ 2Fe3+ 4O2-", "ternary")]


def test_a_class_of_two_anions_may_hold_what_no_class_of_one_does(tmp_path):
    (tmp_path / "two.toml").write_text("[space.classes.two]\nn_cations = 2\nn_anions = 2\nmax_coefficient = 8\n")
    settings = load_config(tmp_path / "two.toml")
    found = run_explain_reading("TaWO5Cl", settings=settings)
    assert found.space == "inside"
    assert (found.assignments[0].ions, found.assignments[0].composition_class) == ("Ta5+ W6+ Cl1- 5O2-", "two")
    assert any("no place: no class of this space holds these ions" in str(item) for item in found.assignments)
    assert run_explain_reading("BaTiO3", settings=settings).space == "outside: no class of this space holds 3 elements"


def test_a_list_of_ones_own_ions_widens_the_space(config, tmp_path):
    (tmp_path / "ions.csv").write_text(tiny.IONS + "H1+,H,1,cation,34232\n")
    (tmp_path / "own.toml").write_text(config.read_text())
    found = run_explain_reading("NaOH", settings=load_config(tmp_path / "own.toml"))
    assert (found.space, found.assignments[0].ions) == ("inside", "H1+ Na1+ O2-")


def test_the_command_prints_it_for_people_and_programs(config, capfd):
    assert main(["ingest", "--explain", "BaTiO3", "--config", str(config)]) == 0
    line = r"  1\.000  Ba2\+ Ti4\+ 3O2-  \[1\(2\+\) 1\(4\+\) 3\(2-\)\]  ternary, candidate_id \d+"
    assert any(re.fullmatch(line, printed) for printed in capfd.readouterr().out.splitlines())
    assert main(["ingest", "--explain", "BaTiO3", "--config", str(config), "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["assignments"][0]["ions"] == "Ba2+ Ti4+ 3O2-"


def test_ingest_of_nothing_is_wrong_usage(capfd):
    assert main(["ingest"]) == 2
    assert "SOURCE: names no file; wanted a list of formulas, - for stdin, or --explain FORMULA" in capfd.readouterr().err
