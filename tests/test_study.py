"""Studies from end to end: what is trained on, what is counted, what is kept, and what is compared."""

import json
import random
from dataclasses import replace
from pathlib import Path

import naive_study
import numpy as np
import pyarrow.parquet as pq
import pytest
import tiny

from crcrank.artifacts.store import hold_output, read_artifact
from crcrank.chem.formula import format_formula
from crcrank.cli.main import main
from crcrank.config import VariantSettings, load_config, packaged_config_dir
from crcrank.errors import ConfigError, InputDataError, ModelFitError, OutputHeldError
from crcrank.models import training
from crcrank.models.registry import RECOMMENDERS
from crcrank.models.training import fit_fm
from crcrank.report import study as pictures
from crcrank.stages import study_cells as cells_module
from crcrank.stages import train as train_module
from crcrank.stages.common import candidate_columns, load_space
from crcrank.stages.ingest import run_ingest
from crcrank.stages.study import _hits_in_words, plan_study, run_study

STUDY = """
[study]
known = ["known.csv"]
holdout = ["holdout.csv"]
models = ["fm"]
seeds = [0, 1]
k = [5, 10]
"""
VARIANT = """
[[study.variants]]
name = "without pair"
model = "fm"
settings = { features = ["ion", "stoichiometry"], l2 = { ion = 3.0 } }
"""
DESIGNS = {
    "other_database": {},
    "random_fraction": {"fractions": (0.5,)},
    "leave_system_out": {"fractions": (0.5,)},
    "by_year": {"year": 1990},
    "class_transfer": {"classes": ("binary",), "learn_from": ("ternary",), "k": (2, 4)},
}


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    """Return the configuration of a world whose lists have years."""
    config = tiny.make_lists(tmp_path_factory.mktemp("study"))
    config.write_text(config.read_text() + STUDY)
    draw = random.Random(3)
    for name in ("known", "holdout"):
        path = config.parent / f"{name}.csv"
        if name == "known":
            tiny.write_list(path, [*path.read_text().split()[1:], *tiny.formulas_of(config, "binary")[5:14]])
        rows = [f"{formula},{draw.choice(['', 1950, 1990, 1991, 2020])}" for formula in path.read_text().split()[1:]]
        path.write_text("formula,year\n" + "\n".join(rows) + "\n")
    return config


@pytest.fixture(scope="module")
def done(world, tmp_path_factory) -> Path:
    """Return a study of two variants and two seeds with all its results."""
    config = world.with_name("done.toml")
    config.write_text(world.read_text() + VARIANT)
    out_dir = tmp_path_factory.mktemp("done")
    study(out_dir, load_config(config))
    return out_dir


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch):
    """Draw nothing, which takes long; ``done`` has real pictures, and they have tests of their own."""
    monkeypatch.setattr(pictures, "write_pictures", lambda _, out: [out.with_name(f"{out.name}.{suffix}") for suffix in ("png", "svg")])


@pytest.fixture
def settings(world):
    return load_config(world)


def with_study(settings, **values):
    return settings.model_copy(update={"study": settings.study.model_copy(update=values)})


def study(out_dir, settings, **options):
    return run_study(out_dir, settings=settings, n_threads=1, **options)


def cells(out_dir):
    return {path.name: read_artifact(path, "study_cell") for path in sorted((out_dir / "cells").glob("*.parquet"))}


def formulas_in(path, tmp_path):
    run_ingest([path], tmp_path / "list.parquet", overwrite=True)
    return {row["formula"]: row["year"] for row in pq.read_table(tmp_path / "list.parquet").to_pylist()}


@pytest.fixture
def fits(monkeypatch):
    """Return a list of all that is handed to fits, with the model that comes out."""
    seen = []

    def fit(data, *arguments):
        fitted = fit_fm(data, *arguments)
        seen.append((data, fitted.model))
        return fitted

    monkeypatch.setattr(training, "fit_fm", fit)
    return seen


def fitted_formulas(data):
    return {
        formula
        for name in data.classes
        for part in (data.fitting[name], data.held_back[name])
        for formula in candidate_columns(data.space, name, part)["formula"]
    }


# ---- what is trained on, and what is counted ----


@pytest.mark.parametrize("design", DESIGNS)
def test_nothing_held_out_reaches_the_fit_in_any_design(world, settings, fits, tmp_path, design):
    known, holdout = (formulas_in(world.with_name(f"{name}.csv"), tmp_path) for name in ("known", "holdout"))
    study(tmp_path / "out", with_study(settings, designs=(design,), count="both", **DESIGNS[design]))
    assert len(fits) == 2
    for data, _ in fits:
        trained = fitted_formulas(data)
        assert trained <= set(known)
        assert not trained & (set(holdout) - set(known))
        if design == "by_year":
            assert all(0 < first_year(formula, known, holdout) <= 1990 for formula in trained)
        if design == "leave_system_out":
            systems = {system_of(formula) for formula in trained}
            assert all(formula in trained for formula in known if system_of(formula) in systems and formula in ternaries(world))
        if design == "class_transfer":
            assert data.classes == ("ternary",)


def first_year(formula, *lists):
    return min([years[formula] for years in lists if years.get(formula) is not None], default=0)


def system_of(formula):
    return "".join(letter for letter in formula if not letter.isdigit())


def ternaries(world):
    return set(tiny.formulas_of(world, "ternary"))


@pytest.mark.parametrize("design", DESIGNS)
def test_hits_are_those_of_the_complete_ranking(world, settings, fits, tmp_path, design):
    known, holdout = (formulas_in(world.with_name(f"{name}.csv"), tmp_path) for name in ("known", "holdout"))
    study(tmp_path / "out", with_study(settings, seeds=(0,), designs=(design,), count="both", **DESIGNS[design]))
    ((data, model),) = fits
    name = "binary" if design == "class_transfer" else "ternary"
    if design == "class_transfer":
        model = model.transferred(["binary"])
    real = (set(known) | set(holdout)) & set(tiny.formulas_of(world, name))
    parts = {"hidden": expected_parts(design, real, known, holdout, fitted_formulas(data)), "all": (set(), real)}
    space, _ = load_space(settings)
    item = space.classes[name]
    candidates = space.decode(name, np.arange(item.first_id, item.first_id + item.n_candidates))
    best = {}
    for formula, score in zip(candidate_columns(space, name, candidates)["formula"], model.scores(name, candidates).tolist(), strict=True):
        best[formula] = max(score, best.get(formula, -np.inf))
    (cell,) = cells(tmp_path / "out").values()
    rows = cell.table.to_pylist()
    cutoffs = DESIGNS[design].get("k", (5, 10))
    assert [(row["counted"], row["k"]) for row in rows] == [(counted, k) for counted in parts for k in cutoffs]
    for row in rows:
        left_out, looked_for = parts[row["counted"]]
        assert row["n_hits"] == naive_study.hits_in_ranking(best, left_out, looked_for, row["k"]) == len(row["hit_ranks"])
        assert row["n_targets"] == len(looked_for)
        assert row["hit_rate"] == row["n_hits"] / row["k"]
        assert row["n_known_fitted"] == len(fitted_formulas(data))


def expected_parts(design, real, known, holdout, trained):
    """Return what is left out of the ranking and what is looked for."""
    if design == "other_database":
        return set(known), real - set(known)
    if design == "leave_system_out":
        systems = {system_of(formula) for formula in trained}
        left_out = {formula for formula in real if system_of(formula) in systems}
        return left_out, real - left_out
    if design == "by_year":
        later = {formula for formula in real if first_year(formula, known, holdout) > 1990}
        return real - later, later
    return (trained, real - trained) if design == "random_fraction" else (set(), real)


def test_a_cell_gives_the_hits_of_the_six_stages(world, done):
    assert main(["run", str(world), "--out-dir", str(done / "chain"), "-q", "--threads", "1", "--seed", "1"]) == 0
    chain = {row["k"]: row["n_hits"] for row in read_artifact(done / "chain" / "validation.parquet", "validation").table.to_pylist()}
    (cell,) = (item for name, item in cells(done).items() if "-fm-" in name and "seed_1" in name)
    assert {row["k"]: row["n_hits"] for row in cell.table.to_pylist()} == chain


@pytest.mark.parametrize("design", DESIGNS)
def test_what_lies_outside_is_learned_from_where_the_whole_lists_may_be(settings, design, fits, tmp_path):
    """Where lists are split, a composition outside the space could tell of the part that is looked for."""
    study(tmp_path / "out", with_study(settings, designs=(design,), seeds=(0,), **DESIGNS[design]))
    given = {format_formula(*one) for data, _ in fits for one in data.outside}
    assert given == (set(tiny.OUTSIDE) if design == "other_database" else set())


def test_a_model_that_cannot_search_orders_anew_what_another_finds(world, settings, tmp_path, monkeypatch):
    models = []

    def fit_model(*arguments, **options):
        models.append(train_module.fit_model(*arguments, **options))
        return models[-1]

    monkeypatch.setattr(cells_module, "fit_model", fit_model)
    depth = 12
    settings = with_study(settings, models=("forest",), seeds=(0,)).model_copy(
        update={"rank": settings.rank.model_copy(update={"rerank_depth": depth})}
    )
    settings.train.forest.__dict__.update(n_trees=20, smallest_leaf=2)
    summary = study(tmp_path / "out", settings)
    machine, forest = (fitted.model for fitted in models)
    assert machine.is_probabilistic
    assert summary.hyperparameters["forest"]["first"] == "fm"
    known, holdout = (set(formulas_in(world.with_name(f"{name}.csv"), tmp_path)) for name in ("known", "holdout"))
    space, _ = load_space(settings)
    item = space.classes["ternary"]
    candidates = space.decode("ternary", np.arange(item.first_id, item.first_id + item.n_candidates))
    formulas = candidate_columns(space, "ternary", candidates)["formula"]
    found, anew = {}, {}
    for formula, score, second in zip(
        formulas, machine.scores("ternary", candidates).tolist(), forest.scores("ternary", candidates).tolist(), strict=True
    ):
        if formula not in known:
            found[formula], anew[formula] = max(score, found.get(formula, -np.inf)), second
    best = sorted(found, key=lambda formula: -found[formula])[:depth]
    expected = [naive_study.hits_in_ranking({name: anew[name] for name in best}, set(), holdout, k) for k in (5, 10)]
    assert [row["n_hits"] for row in summary.results] == expected


def test_another_first_stage_is_another_cell(settings, tmp_path):
    def cells_with(first):
        variant = VariantSettings(name="v", model="forest", first=first)
        return set(plan_study(tmp_path, settings=with_study(settings, models=(), variants=(variant,))).cells)

    assert cells_with("") == cells_with("fm")
    assert not cells_with("fm") & cells_with("substitution")


def test_classes_learned_together_are_one_cell(settings, fits, tmp_path):
    both = with_study(settings, classes=("binary", "ternary"), seeds=(0,), k=(3,), count="all")
    together = study(tmp_path / "together", with_study(both, learn="together"))
    each = study(tmp_path / "each", both)
    assert (together.n_cells, each.n_cells) == (1, 2)
    assert [data.classes for data, _ in fits] == [("binary", "ternary"), ("binary",), ("ternary",)]
    assert [[row["composition_class"] for row in summary.results] for summary in (together, each)] == 2 * [["binary", "ternary"]]
    assert fitted_formulas(fits[0][0]) == fitted_formulas(fits[1][0]) | fitted_formulas(fits[2][0])


def test_one_class_can_be_asked_for(settings, fits, tmp_path):
    study(tmp_path, with_study(settings, classes=("binary", "ternary"), seeds=(0,)), classes=["ternary"])
    assert [data.classes for data, _ in fits] == [("ternary",)]


def test_the_data_reduction_grid(settings, fits, tmp_path):
    grid = {"designs": ("random_fraction",), "holdout": (), "fractions": (1.0, 0.5), "prior_components": (0, 2), "count": "both"}
    summary = study(tmp_path, with_study(settings, **grid))
    assert summary.n_cells == len(fits) == 8
    for counted, fractions in (("all", (1.0, 0.5)), ("hidden", (0.5,))):  # at 1 nothing is hidden
        found = {(row["fraction"], row["prior_components"]) for row in summary.results if row["counted"] == counted}
        assert found == {(fraction, n) for fraction in fractions for n in (0, 2)}
    by_seed = [(len(fitted_formulas(data)), model.machine.components.shape[1]) for data, model in fits]
    n_all, n_half = max(n for n, _ in by_seed), min(n for n, _ in by_seed)
    assert n_half == round(n_all / 2)
    assert sorted(by_seed) == sorted(2 * [(n_half, 0), (n_half, 2), (n_all, 0), (n_all, 2)])
    assert [path.name for path in summary.pictures if path.suffix == ".png"] == ["hits_by_fraction-hidden.png", "hits_by_fraction-all.png"]
    page = (tmp_path / "study.md").read_text(encoding="utf-8")
    assert page.index("## Random fraction, hidden") < page.index("## Random fraction, all") < page.index("## Settings")


def test_variants_share_the_split_of_a_seed(settings, fits, tmp_path):
    study(tmp_path, with_study(settings, designs=("random_fraction",), fractions=(0.5,), prior_components=(0, 2)))
    parts = [fitted_formulas(data) for data, _ in fits]
    assert parts[0] == parts[1] != parts[2] == parts[3]


# ---- what is kept ----


def test_what_is_there_is_not_measured_again(world, done, fits, tmp_path):
    settings = load_config(world.with_name("done.toml"))
    assert study(done, settings).n_measured == 0
    assert not fits
    copied = tmp_path / "copied"
    study(copied, settings)
    for path in sorted((copied / "cells").iterdir())[:2]:
        path.unlink()
    fits.clear()
    assert study(copied, settings).n_measured == len(fits) == 2
    assert {name: cell.table.drop(["fit_seconds", "rank_seconds"]) for name, cell in cells(copied).items()} == {
        name: cell.table.drop(["fit_seconds", "rank_seconds"]) for name, cell in cells(done).items()
    }


def test_only_what_changed_is_measured(settings, fits, tmp_path):
    one = with_study(settings, seeds=(0,))
    study(tmp_path, one)
    assert study(tmp_path, with_study(settings, seeds=(0, 1))).n_measured == 1
    assert study(tmp_path, with_study(one, k=(5,))).n_measured == 1
    assert study(tmp_path, with_study(one, count="all")).n_measured == 1
    assert study(tmp_path, one).n_measured == 0
    assert study(tmp_path, one, force=True).n_measured == 1
    assert len(fits) == 5


def test_changed_lists_are_measured_anew(world, tmp_path):
    for name in ("ions.csv", "known.csv", "holdout.csv", world.name):
        (tmp_path / name).write_bytes((world.parent / name).read_bytes())
    settings = with_study(load_config(tmp_path / world.name), seeds=(0,))
    study(tmp_path / "out", settings)
    with (tmp_path / "holdout.csv").open("a") as file:
        file.write("KNaS,\n")
    assert study(tmp_path / "out", settings).n_measured == 1


def test_a_damaged_cell_is_measured_again(settings, tmp_path):
    study(tmp_path, with_study(settings, seeds=(0,)))
    (path,) = (tmp_path / "cells").iterdir()
    path.write_bytes(b"PAR1 damaged")
    assert study(tmp_path, with_study(settings, seeds=(0,))).n_measured == 1


def test_an_interrupt_loses_one_cell(settings, tmp_path, monkeypatch):
    n_fits = 0

    def fit_model(*arguments, **options):
        nonlocal n_fits
        n_fits += 1
        if n_fits == 3:
            raise KeyboardInterrupt
        return train_module.fit_model(*arguments, **options)

    monkeypatch.setattr(cells_module, "fit_model", fit_model)
    four = with_study(settings, seeds=(0, 1, 2, 3))
    with pytest.raises(KeyboardInterrupt):
        study(tmp_path, four)
    assert len(list((tmp_path / "cells").iterdir())) == 2
    assert not (tmp_path / "study.parquet").exists()
    assert study(tmp_path, four).n_measured == 2


def test_a_second_process_is_refused(settings, tmp_path):
    with hold_output(tmp_path / "study", overwrite=True), pytest.raises(OutputHeldError, match="another crcrank run is writing it"):
        study(tmp_path, settings)


def test_a_dry_run_lists_the_cells_and_writes_nothing(world, done, tmp_path, capsys):
    config = world.with_name("done.toml")
    assert main(["study", str(config), "--out-dir", str(tmp_path / "new"), "--dry-run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line[:7] for line in lines[:4]] == ["to do  "] * 4
    assert lines[4:] == ["cells: 4", "done: 0"]
    assert not (tmp_path / "new").exists()
    assert {line[7:] for line in lines[:4]} == set(cells(done))
    plan = plan_study(done, settings=load_config(config))
    assert (plan.n_cells, plan.n_done) == (4, 4)


# ---- what is compared ----


def test_means_and_errors_agree_with_their_naive_twins(done):
    hits = {}
    for name, cell in cells(done).items():
        variant = "without pair" if "without_pair" in name else "fm"
        for row in cell.table.to_pylist():
            hits.setdefault((variant, row["k"]), {})[cell.metadata["seed"]] = row["n_hits"]
    results = read_artifact(done / "study.parquet", "study").table.to_pylist()
    assert [(row["variant"], row["k"]) for row in results] == [("fm", 5), ("without pair", 5), ("fm", 10), ("without pair", 10)]
    for row in results:
        own, base = hits[row["variant"], row["k"]], hits["fm", row["k"]]
        assert (row["n_hits"], row["n_hits_error"]) == pytest.approx(naive_study.mean_and_error(list(own.values())))
        assert row["n_seeds"] == 2
        if row["variant"] == "fm":
            assert row["difference"] is row["ratio"] is None
        else:
            expected = naive_study.mean_and_error([own[seed] - base[seed] for seed in (0, 1)])
            assert (row["difference"], row["difference_error"]) == pytest.approx(expected)
            assert row["ratio"] == pytest.approx(sum(own.values()) / sum(base.values()))


def test_the_page_shows_tables_pictures_and_settings(done):
    page = (done / "study.md").read_text(encoding="utf-8")
    assert "| ternary, 100 % (42 known) | first 5 | first 10 |" in page
    assert "![hits against k](hits_against_k.png)" in page
    assert '"l2": ' not in page
    assert 'l2 {"ion": 3.0, "stoichiometry": 10.0' in page
    for name in ("hits_against_k", "hits_by_model"):
        assert (done / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert (done / f"{name}.svg").stat().st_size > 1000


def test_the_baseline_comes_first(world, tmp_path):
    config = world.with_name("baseline.toml")
    config.write_text(world.read_text().replace("[study]\n", '[study]\nbaseline = "without pair"\n') + VARIANT)
    summary = study(tmp_path, with_study(load_config(config), k=(5,)))
    assert [row["variant"] for row in summary.results] == ["without pair", "fm"]
    assert summary.results[0]["difference"] is None


def test_several_designs_have_pictures_of_their_own(settings, tmp_path):
    both = with_study(settings, designs=("other_database", "random_fraction"), count="all", seeds=(0,))
    assert [path.name for path in study(tmp_path, both).pictures if path.suffix == ".png"] == [
        "hits_against_k-other_database.png",
        "hits_by_model-other_database.png",
        "hits_against_k-random_fraction.png",
        "hits_by_model-random_fraction.png",
    ]


# ---- what is refused ----


def test_cells_that_cannot_be_measured_are_named_and_left_out(settings, tmp_path):
    grid = with_study(settings, designs=("random_fraction",), fractions=(0.5, 0.01), seeds=(0,))
    summary = study(tmp_path, grid)
    assert (summary.n_cells, summary.n_measured) == (2, 1)
    assert list(summary.failed) == ["random_fraction-fm-ternary-fraction_0.01-seed_0"]
    assert "1 known ternary compositions in the space; wanted at least 10" in next(iter(summary.failed.values()))
    assert "Cells that could not be measured" in (tmp_path / "study.md").read_text(encoding="utf-8")
    with pytest.raises(
        ModelFitError, match=r"no cell could be measured; the first: random_fraction-fm-ternary-fraction_0.01-seed_0: 1 known"
    ):
        study(tmp_path / "none", with_study(grid, fractions=(0.01,)))


def test_a_class_with_nothing_to_look_for(settings, tmp_path):
    with pytest.raises(ModelFitError, match="the lists leave no binary composition to look for"):
        study(tmp_path, with_study(settings, classes=("binary",)))


def test_a_model_that_cannot_rank_a_class_it_never_saw(settings, tmp_path, monkeypatch):
    monkeypatch.setitem(RECOMMENDERS, "fm", replace(RECOMMENDERS["fm"], transfers=False))
    with pytest.raises(ConfigError, match="fm: a model of kind 'fm' cannot rank a class that it never saw; leave it out"):
        study(tmp_path, with_study(settings, designs=("class_transfer",), **DESIGNS["class_transfer"]))


def test_a_list_that_is_not_there(settings, tmp_path):
    with pytest.raises(InputDataError, match=r"none\.csv: no such file"):
        plan_study(tmp_path, settings=with_study(settings, known=(tmp_path / "none.csv",)))


def test_settings_without_a_study(settings, tmp_path):
    with pytest.raises(ConfigError, match="study: names no model"):
        study(tmp_path, with_study(settings, models=()))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('models = ["fm"]', 'models = ["fmm"]', "study.variants: model 'fmm': no such model; did you mean 'fm'"),
        ('models = ["fm"]', 'models = ["fm", "fm"]', "study: two variants have the same name"),
        ("n_factors = 2", "n_factor = 2", "study.variants: v: settings.n_factor: unknown key; did you mean 'n_factors'"),
        ("n_factors = 2", "l2 = { ions = 2 }", r"settings\.l2\.ions: unknown key; did you mean 'ion'"),
        ("n_factors = 2", "n_factors = -2", r"settings\.n_factors: .*greater than or equal to 0, found -2"),
        ('model = "fm"', 'modle = "fm"', r"study\.variants\.0\.modle: unknown key; did you mean 'model'"),
        ("settings = { n_factors = 2 }", 'first = "fmm"', "study.variants: v: first 'fmm': no such model; did you mean 'fm'"),
        ("seeds = [0, 1]", "seeds = []", r"study\.seeds: .*at least 1 item"),
        ("seeds = [0, 1]", "fractions = [0.0]", r"study\.fractions\.0: .*greater than 0, found 0"),
        ("seeds = [0, 1]", 'baseline = "svd"', "study: baseline 'svd' is none of the variants fm, v"),
        ("seeds = [0, 1]", 'designs = ["by_yaer"]', r"study\.designs\.0: .*found 'by_yaer'"),
        ("seeds = [0, 1]", 'designs = ["by_year"]', "study: design 'by_year' needs year"),
        ("seeds = [0, 1]", 'designs = ["class_transfer"]', "study: design 'class_transfer' needs learn_from"),
        ("seeds = [0, 1]", 'learn_from = ["quaternry"]', "study.learn_from: no composition class 'quaternry'"),
        ("seeds = [0, 1]", 'classes = ["ternary"]\nlearn_from = ["ternary"]', "study: learn_from and classes share a class"),
        ('known = ["known.csv"]\nholdout', "holdout", "study: known names no list"),
        ('holdout = ["holdout.csv"]\n', "", "study: design 'other_database' needs a list in holdout"),
        (
            'holdout = ["holdout.csv"]\n',
            'designs = ["random_fraction"]\n',
            'study: a fraction of 1 leaves nothing to look for: count = "all"',
        ),
    ],
)
def test_a_mistake_is_one_line_with_file_and_key(tmp_path, old, new, message):
    text = STUDY + '[[study.variants]]\nname = "v"\nmodel = "fm"\nsettings = { n_factors = 2 }\n'
    assert old in text
    path = tmp_path / "mine.toml"
    path.write_text(text.replace(old, new))
    with pytest.raises(ConfigError, match=message) as caught:
        load_config(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


# ---- the packaged studies ----


@pytest.mark.parametrize("path", sorted((packaged_config_dir() / "studies").glob("*.toml")), ids=lambda path: path.stem)
def test_a_packaged_study_has_lists_a_name_and_cells(path):
    settings = load_config(path)
    assert settings.study.name
    assert all(item.exists() for item in (*settings.study.known, *settings.study.holdout))
    assert cells_module.grid(settings, settings.study.classes)
    assert f"`{path.name}`" in (path.parent / "README.md").read_text(encoding="utf-8")


def test_the_studies_of_models_have_all_of_them():
    studies = [load_config(packaged_config_dir() / "studies" / f"{name}.toml").study for name in ("models", "nnmf")]
    assert {variant.model for item in studies for variant in item.all_variants()} == set(RECOMMENDERS)


# ---- the command ----


def test_the_command_prints_results_and_settings(world, done, capsys):
    assert main(["study", str(world.with_name("done.toml")), "--out-dir", str(done), "--threads", "1"]) == 0
    printed = capsys.readouterr()
    assert 'without pair: model "fm", learn "each", features ["ion", "stoichiometry"]' in printed.out
    assert printed.out.index("ratio") < printed.out.index("settings:") < printed.out.index("measured: 0")
    assert "0 of 4 cells to measure" in printed.err


def test_the_command_takes_a_seed_and_ends_with_3_where_cells_fail(world, tmp_path, capsys):
    config = world.with_name("small.toml")
    config.write_text(world.read_text().replace("seeds = [0, 1]", 'designs = ["random_fraction"]\nfractions = [0.5, 0.01]\nseeds = [0, 1]'))
    assert main(["study", str(config), "--out-dir", str(tmp_path), "--seed", "5", "--json", "--threads", "1"]) == 3
    printed = capsys.readouterr()
    summary = json.loads(printed.out)
    assert (summary["n_cells"], len(summary["failed"])) == (2, 1)
    assert all(row["n_seeds"] == 1 and row["n_hits_error"] is None for row in summary["results"])
    assert "crcrank: error: study: 1 of 2 cells could not be measured: random_fraction-fm" in printed.err
    first, second = (row["n_hits"] for row in summary["results"])
    assert f"fraction_0.5-seed_5: hits ternary {first:.0f}/{second:.0f}" in printed.err


def test_hits_in_words_say_how_they_are_counted_where_that_differs():
    columns = {"composition_class": ["a", "a", "b", "b"], "counted": ["all"] * 4, "k": [5, 10] * 2, "n_hits": [1, 2, 3, 4]}
    assert _hits_in_words(columns) == "a 1/2, b 3/4"
    assert _hits_in_words(columns | {"counted": ["hidden", "all"] * 2}) == "a (hidden) 1, a (all) 2, b (hidden) 3, b (all) 4"
