"""Exact ranks of formulas: within the list by formulas, beyond it by candidates."""

from dataclasses import asdict, dataclass
from itertools import pairwise

import naive
import numpy as np
import pytest
import tiny
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from small_spaces import as_sets, cases, class_ids, filters, machine, random_parameters, space_of, table_of, tied_parameters

from crcrank.artifacts.store import read_artifact
from crcrank.cli.main import main
from crcrank.config import load_config
from crcrank.errors import ConfigError
from crcrank.models.ranks import formula_ranks
from crcrank.models.staged import Stages
from crcrank.progress import SilentProgress
from crcrank.ranking.counting import program_scores
from crcrank.ranking.filters import search_filter
from crcrank.space.listed import ListedScores
from crcrank.space.placement import Placer
from crcrank.stages.ingest import run_ingest
from crcrank.stages.rank import run_rank
from crcrank.stages.ranks import FILTERED, KNOWN, RankFinder


@dataclass(frozen=True)
class _Model:
    """A model of one class, by its program."""

    space: object
    compiled: object

    def program(self, _):
        return self.compiled

    def scores(self, name, candidates):
        return program_scores(self.space, name, self.compiled, candidates)


def _model(space, kind, seed):
    if kind == "listed":
        rng, ids = np.random.default_rng(seed), class_ids(space)
        ids = rng.choice(ids, min(len(ids), 20))
        program = ListedScores.sums(space, "first", space.decode("first", ids), rng.integers(-2, 3, len(ids)) / 1.0, 0.0)
    elif kind == "tied":
        model = machine(space, ("ion", "stoichiometry", "cation_anion"), n_factors=2, n_components=0)
        program = model.compile(tied_parameters(model, seed, 1), "first")
    else:
        model = machine(space, seed=seed)
        program = model.compile(random_parameters(model, seed), "first")
    return _Model(space, program)


@st.composite
def _questions(draw):
    chosen = draw(cases())
    try:
        space = space_of(chosen)
        wanted = draw(filters(space))
        passing = search_filter(space, wanted)
    except ConfigError:
        assume(False)
    kinds = st.sampled_from(["machine", "tied", "listed"])
    first = [_model(space, draw(kinds), seed) for seed in range(draw(st.integers(1, 2)))]
    second = _model(space, draw(kinds), 7) if len(first) > 1 or draw(st.booleans()) else None
    return chosen, space, wanted, passing, Stages(tuple(first), second, draw(st.integers(1, 9)))


@settings(deadline=None, max_examples=80)
@given(_questions(), st.integers(1, 12), st.integers(0, 9))
def test_ranks_are_the_twins(question, k, seed):
    chosen, space, wanted, passing, stages = question
    candidates = space.decode("first", class_ids(space))
    sets = as_sets(space, "first", candidates)
    formulas = [naive.formula(one) for one in sets]
    composition_of = {naive.formula(one): naive.composition(one) for one in sets}
    known = set(np.random.default_rng(seed).permutation(sorted(composition_of))[:3])
    asked = sorted(set(composition_of) - known)
    scores = stages.first[0].scores("first", candidates).tolist()
    rows = zip(scores, class_ids(space).tolist(), formulas, sets, strict=True)
    scored = [row[:3] for row in rows if naive.passes(row[3], **asdict(wanted))]

    placer, options = Placer(space, table_of(chosen.ions)), {"search_filter": passing, "n_threads": 1, "progress": SilentProgress()}
    excluded = space.formula_keys("first", [composition_of[formula] for formula in known])
    listing = stages.listing(space, "first", k, excluded=excluded, **options).ranked
    listed = [naive.formula(one) for one in as_sets(space, "first", listing.candidates)]
    placed = [
        placer.places([composition_of[formula] for formula in part], ["first"])["first"] for part in (asked, sorted(known), sorted(listed))
    ]
    found = formula_ranks(stages, listing, placed[0], known=placed[1].candidates, listed=placed[2].candidates, **options)

    expected = naive.formula_ranks(scored, listed, known)
    names = [asked[i] for i in found.composition]
    assert dict(zip(names, found.ranks.tolist(), strict=True)) == expected
    assert {name for name, is_listed in zip(names, found.is_listed, strict=True) if is_listed} == set(listed)
    assert [naive.formula(one) for one in as_sets(space, "first", found.candidates)] == names
    assert found.search_scores.tolist() == stages.first[0].scores("first", found.candidates).tolist()
    assert found.histogram.counts.sum() == len(scored)
    assert found.n_known.sum() == sum(name in known for _, _, name in scored)
    assert (found.n_asked.sum(), len(found.n_asked)) == (len(names), len(found.histogram.counts))


# ---- the stage ----


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return tiny.make_world(tmp_path_factory.mktemp("ranks"))


def _run(config, out=None, *, ranks_of=("holdout-1",), rank=None, **options):
    done, settings = config.parent / "run", load_config(config)
    settings = settings.model_copy(update={"rank": settings.rank.model_copy(update=rank or {})})
    paths = [done / f"{name}.parquet" for name in ranks_of]
    inputs = (done / "model.parquet", done / "plan.parquet", out)
    return run_rank(*inputs, settings=settings, known=done / "known.parquet", ranks_of=paths, n_threads=1, **options)


def test_ranks_beside_a_ranking_go_on_where_it_ends(config, tmp_path):
    summary = _run(config, tmp_path / "r.parquet")
    full = {row["formula"]: row["rank"] for row in _run(config, ranks_of=(), rank={"k": 1000}).table.to_pylist()}
    found = read_artifact(tmp_path / "r.ranks.parquet", "ranks").table.to_pylist()
    assert found == summary.ranks
    asked = read_artifact(config.parent / "run" / "holdout-1.parquet", "known").table["formula"].to_pylist()
    assert sorted(row["formula"] for row in found) == sorted(asked)
    ranked = [row for row in found if row["rank"] is not None]
    listed = {row["formula"]: row["rank"] for row in summary.table.to_pylist()}
    assert {row["formula"]: row["rank"] for row in ranked if row["is_listed"]} == {
        formula: rank for formula, rank in listed.items() if formula in asked
    }
    assert [row["formula"] for row in ranked] == sorted((row["formula"] for row in ranked), key=full.get)
    assert all(row["rank"] >= full[row["formula"]] for row in ranked)
    assert all(row["score"] == row["search_score"] for row in ranked)
    assert [row["reason"] for row in found if row["rank"] is None] == [KNOWN] * 7  # three ternaries, and what lies outside

    histogram = read_artifact(tmp_path / "r.histogram.parquet", "histogram").table.to_pylist()
    assert sum(row["n_candidates"] for row in histogram) == summary.classes["ternary"].n_candidates
    assert sum(row["n_known"] for row in histogram) == summary.classes["ternary"].n_known
    assert sum(row["n_asked"] for row in histogram) == len(ranked)
    assert all(before["high"] == after["low"] for before, after in pairwise(histogram))


def test_what_has_no_place_has_a_reason(config, tmp_path):
    rules = load_config(config).ingest.rules
    run_ingest([tiny.write_list(tmp_path / "l.csv", ["TiU", "BaO"])], config.parent / "run" / "mine.parquet", rules=rules)
    reasons = {row["formula"]: row["reason"] for row in _run(config, ranks_of=["mine"]).ranks}
    assert reasons["TiU"] == "no anion (intermetallic)"
    assert reasons["BaO"] in {"class not asked for (binary)", KNOWN}


def test_ranks_are_those_of_the_whole_list(config):
    with pytest.raises(ConfigError, match="leave out --one-per-family and --max-per-system"):
        _run(config, rank={"one_per_family": True})


def test_a_filter_leaves_formulas_without_a_rank(config):
    found = _run(config, rank={"require": ("Ba",)}).ranks
    for row in found:
        if row["reason"] == FILTERED:
            assert "Ba" not in row["formula"]
        elif row["rank"] is not None:
            assert "Ba" in row["formula"]
    assert any(row["reason"] == FILTERED for row in found)


def test_ranks_need_a_parquet_file_beside_which_they_lie(config, tmp_path):
    with pytest.raises(ConfigError, match=r"ranks are written beside a Parquet file, and .*r\.csv is none"):
        _run(config, tmp_path / "r.csv")
    assert not list(tmp_path.iterdir())


def test_no_formula_to_rank_is_said():
    with pytest.raises(ConfigError, match="the lists hold no formula"):
        RankFinder(None, None, None, None, (), 1, None).find({}, {})


def test_the_command_prints_ranks(config, capsys):
    done = config.parent / "run"
    paths = [str(done / name) for name in ("model.parquet", "plan.parquet")]
    options = ["--config", str(config), "--known", str(done / "known.parquet"), "--ranks-of", str(done / "holdout-1.parquet")]
    assert main(["rank", *paths, *options]) == 0
    printed = capsys.readouterr().out
    assert "Ranks among all candidates" in printed
    assert KNOWN in printed
