"""Forms of export: what their tools make of them is what the ranking says."""

import csv
import io
import json

import pytest
import tiny

from crcrank.artifacts.store import read_artifact
from crcrank.cli.main import main
from crcrank.errors import ArtifactError, ConfigError, OutputError
from crcrank.stages.export import FORMS, anonymous_formula, run_export, stream_export


@pytest.fixture(scope="module")
def ranking(tmp_path_factory):
    return tiny.make_world(tmp_path_factory.mktemp("export")).parent / "run" / "ranking.parquet"


@pytest.fixture(scope="module")
def rows(ranking):
    return read_artifact(ranking, "ranking").table.to_pylist()


def exported(ranking, form, **options):
    stream = io.StringIO()
    stream_export(ranking, stream, form=form, **options)
    return stream.getvalue()


def test_pymatgen_reads_its_list_and_the_formulas(ranking, rows):
    core = pytest.importorskip("pymatgen.core")
    by_species = [core.Composition(item) for item in json.loads(exported(ranking, "pymatgen"))]
    formulas = [core.Composition(line) for line in exported(ranking, "formulas").splitlines()]
    for row, species, formula in zip(rows, by_species, formulas, strict=True):
        assert core.Composition(row["formula"]) == species.element_composition == formula
        assert sum(ion.oxi_state * n for ion, n in species.items()) == 0
        expected = {str(core.Species.from_str(ion)): n for ion, n in zip(row["ions"], row["coefficients"], strict=True)}
        assert {str(ion): n for ion, n in species.items()} == expected


def test_smact_makes_compositions_of_its_list(ranking, rows):
    composition = pytest.importorskip("smact.utils.composition")
    core = pytest.importorskip("pymatgen.core")
    for row, item in zip(rows, json.loads(exported(ranking, "smact")), strict=True):
        assert sum(ion.oxi_state * n for ion, n in composition.comp_maker(item).items()) == 0
        assert core.Composition(composition.formula_maker(item)) == core.Composition(row["formula"])
        assert composition.parse_formula(row["pretty_formula"]) == core.Composition(row["formula"]).get_el_amt_dict()


@pytest.mark.filterwarnings("ignore")
def test_optimade_takes_the_response_for_one_of_its_own(ranking, rows):
    models = pytest.importorskip("optimade.models")
    page = json.loads(exported(ranking, "optimade", k=5))
    response = models.StructureResponseMany.model_validate(page)
    assert [item.attributes.chemical_formula_reduced for item in response.data] == [row["formula"] for row in rows[:5]]
    assert all(isinstance(item, models.StructureResource) for item in response.data)
    assert page["meta"]["data_returned"] == len(page["data"]) == 5
    for row, item in zip(rows, page["data"], strict=False):
        attributes = item["attributes"]
        assert attributes["chemical_formula_descriptive"] == row["pretty_formula"]
        assert (attributes["_crcrank_rank"], attributes["_crcrank_score"]) == (row["rank"], row["score"])
        assert "-".join(attributes["elements"]) == row["chemical_system"]
        assert sum(attributes["elements_ratios"]) == pytest.approx(1, abs=1e-12)
    assert len({item["id"] for item in page["data"]}) == 5


def test_crcrank_reads_its_own_optimade_response_and_formulas(ranking, rows, tmp_path):
    for form, name in (("optimade", "o.json"), ("formulas", "f.txt")):
        run_export(ranking, tmp_path / name, form=form)
        assert main(["ingest", str(tmp_path / name), "-o", str(tmp_path / f"{form}.parquet"), "-q"]) == 0
        found = read_artifact(tmp_path / f"{form}.parquet", "known").table["formula"].to_pylist()
        assert sorted(found) == sorted(row["formula"] for row in rows)


def test_anonymous_formulas():
    assert [anonymous_formula(amounts) for amounts in ((1, 1), (1, 3, 1), (2, 12, 2, 3))] == ["AB", "A3BC", "A12B3C2D2"]


def test_phase_fields_are_sets_of_elements_best_first(ranking, rows):
    found = list(csv.DictReader(io.StringIO(exported(ranking, "phase-fields"))))
    systems = list(dict.fromkeys(row["chemical_system"] for row in rows))
    assert [row["phases"].split() for row in found] == [system.split("-") for system in systems]
    for row, system in zip(found, systems, strict=True):
        own = [item for item in rows if item["chemical_system"] == system]
        assert (int(row["n_formulas"]), int(row["best_rank"]), row["best_formula"]) == (len(own), own[0]["rank"], own[0]["pretty_formula"])
        assert float(row["score"]) == max(item["score"] for item in own)
        assert float(row["expected_known"]) == pytest.approx(sum(item["probability"] for item in own))


@pytest.mark.parametrize("form", FORMS)
def test_a_file_holds_what_is_streamed(ranking, form, tmp_path):
    summary = run_export(ranking, tmp_path / "out", form=form, k=3, classes=["ternary"])
    assert (tmp_path / "out").read_text() == exported(ranking, form, k=3)
    assert summary.classes == {"ternary": 3}


def test_what_export_refuses(ranking, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(ConfigError, match="--to: wanted one of formulas, smact, pymatgen, optimade, phase-fields, found 'cif'"):
        run_export(ranking, out, form="cif")
    with pytest.raises(ConfigError, match=r"--class: .*ranking\.parquet does not rank 'binary'; it ranks ternary"):
        run_export(ranking, out, form="smact", classes=["binary"])
    with pytest.raises(ArtifactError, match="wanted an artifact of kind 'ranking', found 'model'"):
        run_export(ranking.with_name("model.parquet"), out, form="smact")
    assert not out.exists()
    out.touch()
    with pytest.raises(OutputError, match="exists already"):
        run_export(ranking, out, form="smact")


def test_the_command_streams_lists_and_writes(ranking, rows, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["export", str(ranking), "--to", "formulas", "-k", "2"]) == 0
    assert capsys.readouterr().out.splitlines() == [row["pretty_formula"] for row in rows[:2]]
    assert main(["export", str(ranking), "--to", "smact", "-o", "s.json"]) == 0
    assert "ternary: 12" in capsys.readouterr().out
    assert len(json.loads((tmp_path / "s.json").read_text())) == 12
    assert main(["export", "--list-forms"]) == 0
    assert [line.split(":")[0] for line in capsys.readouterr().out.splitlines()] == list(FORMS)
    assert main(["export", str(ranking), "--to", "cif"]) == 2
    assert capsys.readouterr().err.startswith("crcrank: error: --to: wanted one of")
