"""The stages from encode to run, on a space small enough to look at every candidate."""

import json
import shutil
from collections import Counter
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest
import tiny
from naive_metrics import hit_row

from crcrank.artifacts.store import read_artifact, write_artifact
from crcrank.chem.formula import format_formula, parse_formula
from crcrank.config import load_config
from crcrank.errors import ArtifactError, ConfigError, InputDataError, OutputError, OutputHeldError
from crcrank.sources import registry
from crcrank.sources.records import RawRecord
from crcrank.stages import run as run_stage
from crcrank.stages.common import filters_in_words
from crcrank.stages.diff import run_diff
from crcrank.stages.encode import run_encode
from crcrank.stages.enumerate import run_enumerate
from crcrank.stages.ingest import run_ingest
from crcrank.stages.rank import run_rank
from crcrank.stages.rows import write_rows
from crcrank.stages.run import UP_TO_DATE, run_run
from crcrank.stages.train import run_train
from crcrank.stages.validate import run_validate


@pytest.fixture(scope="module")
def config(tmp_path_factory) -> Path:
    return tiny.make_world(tmp_path_factory.mktemp("stages"))


@pytest.fixture(scope="module")
def done(config) -> Path:
    return config.parent / "run"


@pytest.fixture
def settings(config):
    return load_config(config)


def with_rank(settings, **values):
    return settings.model_copy(update={"rank": settings.rank.model_copy(update=values)})


def rank(done, settings, out=None, *, known=True, **options):
    paths = (done / "model.parquet", done / "plan.parquet", out)
    return run_rank(*paths, settings=settings, known=done / "known.parquet" if known else None, **{"n_threads": 1} | options)


def rows(path: Path, kind: str) -> list[dict]:
    return read_artifact(path, kind).table.to_pylist()


# ---- encode ----


def test_encode_places_or_names_the_reason(done, settings, tmp_path):
    summary = run_encode(done / "known.parquet", tmp_path / "e.parquet", settings=settings)
    encoded, outside = rows(summary.out, "encoded"), rows(summary.outside, "outside")
    known = rows(done / "known.parquet", "known")
    assert {row["formula"] for row in known} == {row["formula"] for row in encoded} | {row["formula"] for row in outside}
    assert (summary.n_in, summary.n_encoded, summary.n_outside) == (len(known), len(encoded), len(outside))
    assert {row["formula"]: row["reason"] for row in outside} == {
        "BaClFeO": "no class of this space holds 4 elements",
        "CNaO3": "element not in the ion table: C",
        "FeTi": "no anion (intermetallic)",
        "Na4O": "too many positive charges (metal-metal bonds)",
    }
    assert sum(summary.reasons.values()) == len(outside)
    assert sum(summary.classes.values()) == len(encoded)


def test_encode_says_what_its_rows_are(settings, tmp_path):
    run_ingest([tiny.write_list(tmp_path / "l.csv", ["BaTiO3", "FeTiO3", "NaCl"])], tmp_path / "k.parquet")
    run_encode(tmp_path / "k.parquet", tmp_path / "e.parquet", settings=settings)
    found = {row["formula"]: (row["ions"], row["coefficients"], row["n_assignments"]) for row in rows(tmp_path / "e.parquet", "encoded")}
    assert found == {
        "ClNa": (["Na1+", "Cl1-"], [1, 1], 1),
        "BaO3Ti": (["Ba2+", "Ti4+", "O2-"], [1, 1, 3], 1),
        "FeO3Ti": (["Fe2+", "Ti4+", "O2-"], [1, 1, 3], 2),
    }


def test_encode_of_a_list_that_leaves_a_class_empty(settings, tmp_path):
    run_ingest([tiny.write_list(tmp_path / "l.csv", ["NaCl", "BaO"])], tmp_path / "k.parquet")
    assert run_encode(tmp_path / "k.parquet", tmp_path / "e.parquet", settings=settings).classes == {"binary": 2, "ternary": 0}


def test_encode_of_chosen_classes_lists_the_others(done, settings, tmp_path):
    summary = run_encode(done / "known.parquet", tmp_path / "e.parquet", settings=settings, classes=["binary"])
    assert list(summary.classes) == ["binary"]
    assert summary.reasons["class not asked for (ternary)"] > 10


def test_encode_refuses_what_lies_outside_altogether(settings, tmp_path):
    run_ingest([tiny.write_list(tmp_path / "l.csv", ["FeTi"])], tmp_path / "k.parquet", rules=settings.ingest.rules)
    with pytest.raises(InputDataError, match=r"none of 1 compositions lies in the space \(no anion"):
        run_encode(tmp_path / "k.parquet", tmp_path / "e.parquet", settings=settings)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["k.parquet", "k.rejected.parquet", "l.csv"]


# ---- train ----


def test_a_warm_start_says_what_changed(done, settings, tmp_path):
    ranked = [row["formula"] for row in rank(done, settings).table.to_pylist()]
    known = [row["formula"] for row in rows(done / "known.parquet", "known")]
    encoded = {row["formula"] for row in rows(done / "encoded.parquet", "encoded") if row["composition_class"] == "ternary"}
    gone = min(encoded)
    now = [*(formula for formula in known if formula != gone), ranked[1], ranked[4]]
    run_ingest([tiny.write_list(tmp_path / "l.csv", now)], tmp_path / "k.parquet", rules=settings.ingest.rules)
    run_encode(tmp_path / "k.parquet", tmp_path / "e.parquet", settings=settings)
    warm = tmp_path / "model.parquet"
    shutil.copy(done / "model.parquet", warm)
    summary = run_train(tmp_path / "e.parquet", warm, settings=settings, warm_start=warm, overwrite=True)
    since = summary.since
    assert (since.new_known, since.no_longer_known) == ({"ternary": 2}, {"ternary": 1})
    pretty = [parse_formula(ranked[i]).pretty_formula for i in (1, 4)]
    assert since.became_known == {"ternary": (f"{pretty[0]} (2)", f"{pretty[1]} (5)")}
    for model, known, out in ((done / "model.parquet", done / "known.parquet", "then"), (warm, tmp_path / "k.parquet", "now")):
        run_rank(model, done / "plan.parquet", tmp_path / f"{out}.parquet", settings=settings, known=known, n_threads=1)
    assert since.ranking == run_diff(tmp_path / "then.parquet", tmp_path / "now.parquet").classes
    assert since.ranking["ternary"].became_known == 2
    assert read_artifact(warm, "model").metadata["extra"]["warm_start"]["path"] == str(warm)


def test_a_warm_start_is_as_good_as_a_fit_from_scratch_and_shorter(done, settings, tmp_path):
    fm = settings.train.fm.model_copy(update={"n_epochs": 12, "learning_rate": 0.1})
    longer = settings.model_copy(update={"train": settings.train.model_copy(update={"fm": fm})})
    first = run_train(done / "encoded.parquet", tmp_path / "first.parquet", settings=longer)
    second = run_train(done / "encoded.parquet", tmp_path / "second.parquet", settings=longer, warm_start=first.out)
    assert second.n_epochs == 4 < first.n_epochs
    assert second.validation["ternary"] == pytest.approx(first.validation["ternary"], rel=0.05)
    assert first.since is None
    assert second.since.became_known == {}
    assert second.since.ranking["ternary"].became_known == 0


# ---- enumerate ----


def test_plan_adds_up(settings, tmp_path):
    summary = run_enumerate(tmp_path / "p.parquet", settings=settings)
    plan = rows(summary.out, "plan")
    first = 0
    for row in plan:
        assert row["first_candidate_id"] == first
        assert sum(charge * n for charge, n in zip(row["charges"], row["coefficients"], strict=True)) == 0
        assert row["anion"].startswith(("O", "S", "Cl"))
        first += row["n_candidates"]
    assert first == summary.n_candidates == sum(summary.classes.values())
    assert summary.n_blocks == len(plan)
    assert (summary.n_written, summary.candidates) == (None, None)


def test_written_candidates_are_the_space(config, settings, tmp_path):
    summary = run_enumerate(tmp_path / "p.parquet", settings=settings, write=True)
    candidates = rows(summary.candidates, "candidates")
    assert [row["candidate_id"] for row in candidates] == list(range(summary.n_candidates)) == list(range(summary.n_written))
    assert all(parse_formula(row["formula"]).formula == row["formula"] for row in candidates)
    for name in ("binary", "ternary"):
        assert sorted({row["formula"] for row in candidates if row["composition_class"] == name}) == tiny.formulas_of(config, name)


def test_candidates_of_chosen_classes_in_chunks(settings, tmp_path, monkeypatch):
    monkeypatch.setattr("crcrank.stages.enumerate._CHUNK", 7)
    summary = run_enumerate(tmp_path / "p.parquet", settings=settings, classes=["ternary"], write=True)
    ids = [row["candidate_id"] for row in rows(summary.candidates, "candidates")]
    assert ids == list(range(summary.classes["binary"], summary.n_candidates))


def test_too_many_candidates_are_not_written(settings, tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match=r"more than 10; choose classes with --class, or raise --max-candidates"):
        run_enumerate(tmp_path / "p.parquet", settings=settings, write=True, max_candidates=10)
    monkeypatch.setattr("shutil.disk_usage", lambda _: shutil._ntuple_diskusage(1000, 990, 10))
    with pytest.raises(ConfigError, match=r"has only 0\.0 GB free"):
        run_enumerate(tmp_path / "p.parquet", settings=settings, write=True)
    assert not list(tmp_path.iterdir())


# ---- rank ----


def test_a_ranking_lists_unknown_formulas_once_best_first(done, settings):
    table = rank(done, settings).table.to_pylist()
    known = {row["formula"] for row in rows(done / "known.parquet", "known")}
    assert [row["rank"] for row in table] == list(range(1, 13))
    assert len({row["formula"] for row in table}) == 12
    assert known.isdisjoint(row["formula"] for row in table)
    assert all(a["score"] >= b["score"] for a, b in pairwise(table))
    for row in table:
        composition = parse_formula(row["pretty_formula"])
        assert (composition.formula, composition.chemical_system) == (row["formula"], row["chemical_system"])
        assert row["radioactive"] == ("U" in composition.elements)
        assert 0 < row["probability"] < 1


def test_the_rows_do_not_depend_on_threads(done, settings, tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    for n in (1, 2):
        rank(done, settings, tmp_path / f"{n}.csv", n_threads=n)
        rank(done, settings, tmp_path / f"{n}.jsonl", n_threads=n)
        assert rank(done, settings, tmp_path / f"{n}.parquet", n_threads=n).table.num_rows == 12
    assert (tmp_path / "1.csv").read_bytes() == (tmp_path / "2.csv").read_bytes()
    assert (tmp_path / "1.jsonl").read_bytes() == (tmp_path / "2.jsonl").read_bytes()
    assert pq.read_table(tmp_path / "1.parquet").equals(pq.read_table(tmp_path / "2.parquet"))


def blank(path, start, columns):
    """Overwrite these columns of all groups of rows from number ``start`` on."""
    found = pq.read_metadata(path)
    with path.open("rb+") as file:
        for i in range(start, found.num_row_groups):
            for column in map(found.row_group(i).column, columns):
                file.seek(column.dictionary_page_offset or column.data_page_offset)
                file.write(bytes(column.total_compressed_size))


def test_a_ranking_reads_neither_the_rows_of_the_plan_nor_what_a_later_fit_needs(done, settings, tmp_path):
    for name in ("plan", "model", "known"):
        shutil.copy(done / f"{name}.parquet", tmp_path)
    names = read_artifact(done / "model.parquet", "model").table["name"].to_pylist()
    n_own = len([name for name in names if not name.startswith("state.")])
    assert n_own < len(names)
    blank(tmp_path / "plan.parquet", 0, range(7))
    blank(tmp_path / "model.parquet", n_own, [2])  # the values; names are read
    for kind in ("plan", "model"):
        with pytest.raises(ArtifactError, match="damaged Parquet file"):
            read_artifact(tmp_path / f"{kind}.parquet", kind)
    assert rank(tmp_path, settings).table.equals(rank(done, settings).table)


def test_exhaustive_search_gives_the_same_rows(done, settings):
    assert rank(done, with_rank(settings, exhaustive=True)).table.equals(rank(done, settings).table)


def test_text_formats_hold_the_same_rows(done, settings, tmp_path):
    table = rank(done, settings, tmp_path / "r.csv").table.to_pylist()
    header, *lines = (tmp_path / "r.csv").read_text().splitlines()
    assert header.split(",")[:4] == ["composition_class", "rank", "formula", "pretty_formula"]
    assert lines[0].split(",")[6] == " ".join(table[0]["ions"])
    rank(done, settings, tmp_path / "r.jsonl")
    assert [json.loads(line) for line in (tmp_path / "r.jsonl").read_text().splitlines()] == table


def test_filters(done, settings):
    everything = rank(done, with_rank(settings, k=1000)).table.to_pylist()

    def formulas(**filters):
        return [row["formula"] for row in rank(done, with_rank(settings, k=1000, **filters)).table.to_pylist()]

    def kept(condition):
        return [row["formula"] for row in everything if condition(set(row["chemical_system"].split("-")), row)]

    assert formulas(require=("Ba",)) == kept(lambda elements, _: "Ba" in elements)
    assert formulas(exclude=("Ba", "Na")) == kept(lambda elements, _: not elements & {"Ba", "Na"})
    assert formulas(allow=("Ba", "Ti", "Fe", "O")) == kept(lambda elements, _: elements <= {"Ba", "Ti", "Fe", "O"})
    assert formulas(anions=("S",)) == kept(lambda elements, _: "S" in elements)
    assert formulas(max_coefficient=2) == kept(lambda _, row: max(row["coefficients"]) <= 2)
    assert formulas(exclude_radioactive=True) == kept(lambda _, row: not row["radioactive"])


def test_at_most_so_many_of_a_chemical_system(done, settings):
    everything = rank(done, with_rank(settings, k=1000)).table.to_pylist()
    kept = [row for i, row in enumerate(everything) if sum(row["chemical_system"] == r["chemical_system"] for r in everything[:i]) < 2]
    summary = rank(done, with_rank(settings, k=10, max_per_system=2))
    assert [row["formula"] for row in summary.table.to_pylist()] == [row["formula"] for row in kept[:10]]
    assert "filters: at most 2 of a chemical system" in summary.notes


def test_a_ranking_says_what_is_known_around(done, settings):
    """Each row against its own words: the ions swapped give a known formula, the mixture has the formula's elements."""
    known = {row["formula"]: row for row in rows(done / "known.parquet", "known")}
    systems = Counter("-".join(row["elements"]) for row in known.values())
    listed = rank(done, with_rank(settings, k=1000)).table.to_pylist()
    for row in listed:
        assert row["n_known_in_system"] == systems[row["chemical_system"]]
        assert (row["nearest_known"] is None) == (row["substitution"] is None) == (row["n_one_ion_away"] == 0)
        if row["nearest_known"]:
            old, new = row["substitution"].split(" -> ")
            swapped = [(old if label == new else label)[:-2] for label in row["ions"]]
            assert format_formula(swapped, row["coefficients"]) == row["nearest_known"]
            assert row["nearest_known"] in known
        if row["mixture"]:
            texts = [part.split(" ")[-1] for part in row["mixture"].split(" + ")]
            assert len(texts) == 2
            assert {parse_formula(text).formula for text in texts} <= set(known)
    assert any(row["nearest_known"] for row in listed)
    assert any(row["n_known_in_system"] for row in listed)
    assert any(row["mixture"] for row in listed)
    assert {row["family"] for row in listed} == {None}


def test_without_a_known_list_nothing_is_said_of_what_is_known(done, settings):
    row = rank(done, settings, known=False).table.to_pylist()[0]
    columns = ("nearest_known", "substitution", "n_one_ion_away", "n_known_in_system", "mixture")
    assert [row[column] for column in columns] == [None] * 5
    assert row["toxic"] == row["scarce"] == []


def test_filters_are_said_in_words(done, settings):
    summary = rank(done, with_rank(settings, require=("Na",), anions=("S", "O"), exclude_radioactive=True), k=1)
    assert "filters: require Na; anion S or O; no radioactive elements" in summary.notes
    words = filters_in_words({"allow": ["Ba", "Ti", "O"], "exclude": ["U"], "max_coefficient": 4, "one_per_family": True})
    assert words == "only Ba, Ti and O; no U; coefficients up to 4; one of a family of lanthanide look-alikes"


def test_fewer_formulas_than_k_are_all_listed_and_said(config, done, settings):
    summary = rank(done, with_rank(settings, k=1000))
    known = {row["formula"] for row in rows(done / "known.parquet", "known")}
    assert {row["formula"] for row in summary.table.to_pylist()} == set(tiny.formulas_of(config, "ternary")) - known
    assert any("fewer than k = 1,000" in note for note in summary.notes)


def test_without_a_known_list_everything_is_ranked_and_said(config, done, settings):
    summary = rank(done, with_rank(settings, k=1000), known=False)
    assert summary.table.num_rows == len(tiny.formulas_of(config, "ternary"))
    assert any("no --known list" in note for note in summary.notes)


def test_what_rank_refuses(done, settings, tmp_path):
    out = tmp_path / "r.parquet"
    with pytest.raises(ConfigError, match=r"-k 5,000: class 'ternary' has only [0-9]+ candidates"):
        rank(done, settings, out, k=5000)
    with pytest.raises(ConfigError, match="'binary' is not among the classes at hand"):
        rank(done, settings, out, classes=["binary"])
    with pytest.raises(ConfigError, match="no composition class 'ternry'; did you mean 'ternary'"):
        rank(done, settings, out, classes=["ternry"])
    with pytest.raises(ConfigError, match="'Xx' is not an element"):
        rank(done, with_rank(settings, require=("Xx",)), out)
    with pytest.raises(ConfigError, match="no class has as many elements as are required"):
        rank(done, with_rank(settings, require=("Na", "K", "Ba", "O")), out)
    with pytest.raises(ConfigError, match="filters leave no candidate in ternary"):
        rank(done, with_rank(settings, anions=("Cl",), max_coefficient=1), out)
    with pytest.raises(ConfigError, match="filters leave no candidate in ternary"):
        rank(done, with_rank(settings, allow=("Na", "Cl")), out)
    with pytest.raises(ConfigError, match="wanted parquet, csv or jsonl, found 'xlsx'"):
        rank(done, settings, out, format="xlsx")
    other = settings.model_copy(update={"space": load_config().space})
    with pytest.raises(ArtifactError, match="another candidate space"):
        rank(done, other, out)
    assert not list(tmp_path.iterdir())


def test_a_filter_that_leaves_only_known_formulas(config, done, settings, tmp_path):
    uranium = [formula for formula in tiny.formulas_of(config, "ternary") if "U" in parse_formula(formula).elements]
    run_ingest([tiny.write_list(tmp_path / "u.csv", uranium)], tmp_path / "u.parquet")
    with pytest.raises(ConfigError, match="filters leave no unknown formula in any class"):
        run_rank(
            *(done / name for name in ("model.parquet", "plan.parquet")),
            tmp_path / "r.parquet",
            settings=with_rank(settings, require=("U",)),
            known=tmp_path / "u.parquet",
            n_threads=1,
        )
    assert not (tmp_path / "r.parquet").exists()


def test_text_rows_are_complete_or_absent(done, settings, tmp_path, monkeypatch):
    table = rank(done, settings).table
    monkeypatch.setattr("crcrank.stages.rows._csv_cells", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_rows(table, "csv", tmp_path / "r.csv")
    assert not list(tmp_path.iterdir())


# ---- validate ----


def test_validation_agrees_with_its_naive_twin(config, done, settings):
    ranked = [row["formula"] for row in rows(done / "ranking.parquet", "ranking")]
    known = {row["formula"] for row in rows(done / "known.parquet", "known")}
    holdout = {row["formula"] for row in rows(done / "holdout-1.parquet", "known")}
    reachable = (holdout & set(tiny.formulas_of(config, "ternary"))) - known
    candidates = run_enumerate(done.parent / "all.parquet", settings=settings, write=True, overwrite=True).candidates
    n_unknown = sum(row["composition_class"] == "ternary" and row["formula"] not in known for row in rows(candidates, "candidates"))
    known_ternaries = known & set(tiny.formulas_of(config, "ternary"))
    found = rows(done / "validation.parquet", "validation")
    assert [row["k"] for row in found] == [5, 10]
    for row in found:
        assert row["coverage"] == len([formula for formula in known_ternaries if formula in holdout]) / len(known_ternaries)
        expected = hit_row(ranked, reachable, n_unknown, row["k"])
        assert {key: row[key] for key in expected} == pytest.approx(expected)
        assert (row["composition_class"], row["holdout"], row["n_holdout"]) == ("ternary", "holdout", len(holdout))
    for suffix in (".png", ".svg"):
        assert (done / "validation.parquet").with_suffix(suffix).stat().st_size > 1000


def test_several_holdouts_are_united(done, settings, tmp_path):
    holdouts = []
    everything = [row["formula"] for row in rows(done / "holdout-1.parquet", "known")]
    for i, part in enumerate((everything[:30], everything[20:])):
        run_ingest([tiny.write_list(tmp_path / f"list{i}.csv", part)], tmp_path / f"h{i}.parquet", rules=settings.ingest.rules)
        holdouts.append(tmp_path / f"h{i}.parquet")
    summary = run_validate(done / "ranking.parquet", holdouts, tmp_path / "v.parquet", settings=settings, cutoffs=[7])
    assert [row["holdout"] for row in summary.hits] == ["list0", "list1", "united"]
    united = summary.hits[2]
    single = run_validate(done / "ranking.parquet", [done / "holdout-1.parquet"], tmp_path / "s.parquet", settings=settings, cutoffs=[7])
    assert {**united, "holdout": ""} == {**single.hits[0], "holdout": ""}


def test_how_much_of_the_known_a_holdout_has_is_said_where_it_bounds_the_hit_rate(config, done, settings, tmp_path):
    listed = [row["formula"] for row in rows(done / "ranking.parquet", "ranking")]
    known = sorted({row["formula"] for row in rows(done / "known.parquet", "known")} & set(tiny.formulas_of(config, "ternary")))
    half = known[: len(known) // 2]

    def notes(found):
        run_ingest(
            [tiny.write_list(tmp_path / "h.csv", [*half, *found])], tmp_path / "h.parquet", rules=settings.ingest.rules, overwrite=True
        )
        options = {"settings": settings, "cutoffs": [5], "overwrite": True}
        return run_validate(done / "ranking.parquet", [tmp_path / "h.parquet"], tmp_path / "v.parquet", **options).notes

    said = "compositions; a list of nothing but real ones would have about that hit rate"
    assert f"h has {len(half) / len(known):.0%} of the known ternary {said}" in notes(listed[:1])
    assert not any(said in note for note in notes(listed[:5]))


def test_nothing_is_said_of_the_known_where_none_is_named(done, settings, tmp_path):
    run_rank(done / "model.parquet", done / "plan.parquet", tmp_path / "r.parquet", settings=settings, n_threads=1)
    listed = {row["formula"] for row in rows(tmp_path / "r.parquet", "ranking")}
    missed = [row["formula"] for row in rows(done / "holdout-1.parquet", "known") if row["formula"] not in listed]
    run_ingest([tiny.write_list(tmp_path / "h.csv", missed)], tmp_path / "h.parquet", rules=settings.ingest.rules)
    summary = run_validate(tmp_path / "r.parquet", [tmp_path / "h.parquet"], tmp_path / "v.parquet", settings=settings, cutoffs=[5])
    assert [(row["n_hits"], row["coverage"]) for row in summary.hits] == [(0, None)]
    assert not any("of the known" in note for note in summary.notes)


def test_reach_counts_every_composition_of_the_holdout(done, settings, tmp_path):
    summary = run_validate(done / "ranking.parquet", [done / "holdout-1.parquet"], tmp_path / "v.parquet", settings=settings)
    reach = summary.reach["holdout"]
    assert reach.n_holdout == reach.n_known + sum(reach.reachable.values()) + sum(reach.out_of_reach.values())
    assert list(reach.reachable) == ["binary", "ternary"]
    assert any("only 12 formulas are ranked, so k = 1000 is left out" in note for note in summary.notes)


def test_a_filtered_ranking_is_said_to_be_one(done, settings, tmp_path):
    rank(done, with_rank(settings, exclude=("U",)), tmp_path / "r.parquet")
    summary = run_validate(tmp_path / "r.parquet", [done / "holdout-1.parquet"], tmp_path / "v.parquet", settings=settings)
    assert any("the ranking was filtered (no U);" in note for note in summary.notes)


def test_what_validate_refuses(done, settings, tmp_path):
    known = tmp_path / "known.parquet"
    shutil.copy(done / "known.parquet", known)
    run_rank(done / "model.parquet", done / "plan.parquet", tmp_path / "r.parquet", settings=settings, known=known, n_threads=1)

    def validate(holdout=done / "holdout-1.parquet", **options):
        return run_validate(tmp_path / "r.parquet", [holdout], tmp_path / "v.parquet", settings=settings, **options)

    with pytest.raises(InputDataError, match="no composition is inside the space and unknown to training"):
        validate(known)
    with pytest.raises(ConfigError, match="'binary' is not among the classes at hand"):
        validate(classes=["binary"])
    known.write_bytes((done / "holdout-1.parquet").read_bytes())
    with pytest.raises(ArtifactError, match="has changed since; name them with --known, or rank again"):
        validate()
    known.unlink()
    with pytest.raises(ArtifactError, match="is not there any more"):
        validate()
    assert validate(known=done / "known.parquet").hits
    with pytest.raises(OutputError, match="exists already"):
        validate(known=done / "known.parquet")


# ---- run ----


@pytest.fixture
def copied(config, tmp_path) -> Path:
    shutil.copytree(config.parent, tmp_path / "world")
    return tmp_path / "world" / config.name


def rerun(config, **options):
    return run_run(config.parent / "run", settings=load_config(config), n_threads=1, **options)


def reasons(config, **options):
    return {name: reason for name, reason in rerun(config, **options).stages.items() if reason != UP_TO_DATE}


def test_a_second_run_does_nothing_and_shows_the_same(copied, monkeypatch):
    for name in ("run_ingest", "run_encode", "run_train", "run_enumerate", "run_rank", "run_validate"):
        monkeypatch.setattr(run_stage, name, lambda *_, **__: 1 / 0)
    summary = rerun(copied)
    assert set(summary.stages.values()) == {UP_TO_DATE}
    assert len(summary.best["ternary"]) == 12
    assert [row["k"] for row in summary.hits] == [5, 10]
    assert list(summary.reach["holdout"].reachable) == ["binary", "ternary"]


def test_each_stage_says_why_it_runs(copied, monkeypatch):
    folder = copied.parent / "run"
    (folder / "validation.svg").unlink()
    assert reasons(copied) == {"validate": "missing: validation.svg"}
    (folder / "plan.parquet").write_bytes(b"PAR1 damaged")
    assert reasons(copied) == {
        "enumerate": "damaged or of an older format",
        "rank": "input changed: plan.parquet",
        "validate": "input changed: ranking.parquet, ranking.ranks.parquet",
    }
    copied.write_text(copied.read_text().replace("k = 12", "k = 11"))
    assert reasons(copied) == {"rank": "config changed: k", "validate": "input changed: ranking.parquet, ranking.ranks.parquet"}
    copied.write_text("seed = 5\n" + copied.read_text())
    assert reasons(copied)["train"] == "config changed: seed"
    with (copied.parent / "holdout.csv").open("a") as file:
        file.write("KCl\n")
    assert reasons(copied) == {
        "ingest holdout-1": "input changed: holdout.csv",
        "rank": "input changed: holdout-1.parquet",
        "validate": "input changed: ranking.parquet, holdout-1.parquet, ranking.ranks.parquet",
    }
    assert set(rerun(copied, force=True).stages.values()) == {"--force"}
    monkeypatch.setattr(run_stage, "__version__", "9.9")
    assert set(rerun(copied).stages.values()) == {"version changed"}


def test_a_folder_is_read_again_when_a_file_in_it_changes(copied):
    folder = copied.parent / "lists"
    folder.mkdir()
    (copied.parent / "holdout.csv").rename(folder / "holdout.csv")
    copied.write_text(copied.read_text().replace('holdout = ["holdout.csv"]', 'holdout = ["lists"]'))
    (folder / "gone.csv").symlink_to(folder / "nowhere.csv")
    assert reasons(copied)["ingest holdout-1"].startswith("input changed")
    (folder / ".hidden").write_text("KCl\n")
    assert reasons(copied) == {}
    (folder / "more.txt").write_text("KCl\nNaBr\n")
    assert reasons(copied)["ingest holdout-1"] == "input changed: lists"
    (folder / "more.txt").rename(folder / "another.txt")
    assert reasons(copied)["ingest holdout-1"] == "input changed: lists"


def test_a_live_source_is_asked_again_when_its_name_changes(copied, monkeypatch):
    asked, formulas = [], (copied.parent / "holdout.csv").read_text().split()[1:]

    def read(address, options, progress, *, refresh):  # noqa: ARG001
        asked.append(address)
        return iter([RawRecord(i, formula) for i, formula in enumerate(formulas)])

    monkeypatch.setitem(registry.LIVE, "optimade", SimpleNamespace(read=read))
    for name, expected in [("a", "input changed: their number"), ("b", "config changed: live")]:
        text = copied.read_text().replace('holdout = ["holdout.csv"]', 'holdout = ["optimade:https://example.org/a"]')
        copied.write_text(text.replace("example.org/a", f"example.org/{name}"))
        assert reasons(copied)["ingest holdout-1"] == expected
        assert reasons(copied) == {}
    assert asked == ["https://example.org/a", "https://example.org/b"]


def test_a_run_goes_on_from_its_model_where_only_what_is_known_changed(copied):
    def began_with():
        return read_artifact(copied.parent / "run" / "model.parquet", "model").metadata["extra"].get("warm_start", {}).get("path")

    def learn(formula):
        with (copied.parent / "known.csv").open("a") as file:
            file.write(f"{formula}\n")

    unknown = rows(copied.parent / "run" / "ranking.parquet", "ranking")
    learn(unknown[0]["formula"])
    assert reasons(copied)["train"] == "input changed: encoded.parquet, encoded.outside.parquet"
    assert began_with() is None
    copied.write_text(copied.read_text().replace("[run]", "[run]\nwarm_start = true"))
    assert reasons(copied) == {}
    learn(unknown[1]["formula"])
    assert reasons(copied)["train"] == "input changed: encoded.parquet, encoded.outside.parquet"
    assert began_with().endswith("model.parquet")
    assert reasons(copied) == {}
    copied.write_text("seed = 5\n" + copied.read_text())
    assert reasons(copied)["train"] == "config changed: seed"
    assert began_with() is None


def test_a_changed_space_changes_all_that_depends_on_it(copied):
    copied.write_text(copied.read_text().replace("max_coefficient = 4", "max_coefficient = 3"))
    found = reasons(copied)
    assert list(found) == ["encode", "train", "enumerate", "rank", "validate"]
    assert found["encode"] == "config changed: space_digest"
    assert found["enumerate"] == "config changed: space_digest, classes"


def test_what_a_killed_run_left_is_removed(copied):
    left = copied.parent / "run" / ".model.123.partial.parquet"
    left.touch()
    rerun(copied)
    assert not left.exists()


def test_a_run_without_lists_is_refused(copied):
    copied.write_text(copied.read_text().replace('known = ["known.csv"]', ""))
    with pytest.raises(ConfigError, match=r"run\.known: names no list"):
        rerun(copied)


def test_a_run_without_a_holdout_ranks_and_shows_no_validation(copied):
    with_holdout = rerun(copied)
    copied.write_text(copied.read_text().replace('holdout = ["holdout.csv"]', ""))
    summary = rerun(copied)
    assert [name for name in with_holdout.stages if name not in summary.stages] == ["ingest holdout-1", "validate"]
    assert summary.stages["rank"].startswith("input changed")
    assert summary.best == with_holdout.best
    assert (summary.hits, summary.depths, summary.reach, summary.pictures) == ([], [], {}, ())
    assert summary.notes == ("no validation, so nothing says how often this list is right: name lists to look in, in [run] holdout",)
    assert not [path.name for path in summary.out_dir.iterdir() if path.name.startswith(("validation", "ranking.ranks"))]
    assert "the run has no validation" in summary.report.read_text(encoding="utf-8")
    assert set(rerun(copied).stages.values()) == {UP_TO_DATE}


def test_two_runs_in_one_folder(copied):
    with run_stage.hold_output(copied.parent / "run" / "run", overwrite=True), pytest.raises(OutputHeldError, match="another crcrank run"):
        rerun(copied)


def test_a_model_of_another_space_is_refused(done, settings, tmp_path):
    model = read_artifact(done / "model.parquet", "model")
    write_artifact(tmp_path / "m.parquet", "model", model.table, run_stage.Provenance(space_digest="0" * 64))
    with pytest.raises(ArtifactError, match="another candidate space"):
        run_rank(tmp_path / "m.parquet", done / "plan.parquet", settings=settings, n_threads=1)
