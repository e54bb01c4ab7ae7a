"""Validation to the end: depths, compounds with reasons, calibration, and the picture of the recall."""

import shutil

import naive_metrics
import numpy as np
import pytest
import tiny
from hypothesis import given, settings
from hypothesis import strategies as st

from crcrank.artifacts.store import Provenance, read_artifact, write_artifact
from crcrank.cli.main import main
from crcrank.config import load_config
from crcrank.errors import ArtifactError, InputDataError
from crcrank.evaluation.calibration import STATEMENT, calibration_error, calibration_table
from crcrank.report.recall import RecallCurve, draw_recall
from crcrank.stages.ingest import run_ingest
from crcrank.stages.validate import run_validate


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40), st.integers(1, 12))
def test_calibration_is_the_twins(rows, n_bins):
    values, found = zip(*rows, strict=True)
    bins = calibration_table(values, found, n_bins)
    expected = naive_metrics.calibration(rows, n_bins)
    assert [(item.n_formulas, item.n_found, item.low, item.high) for item in bins] == [row[:4] for row in expected]
    assert [item.mean_probability for item in bins] == pytest.approx([row[4] for row in expected])
    assert calibration_error(bins) == pytest.approx(sum(n * abs(mean - n_found / n) for n, n_found, _, _, mean in expected) / len(rows))
    assert all(item.share_low <= item.share <= item.share_high for item in bins)


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return tiny.make_world(tmp_path_factory.mktemp("recall"))


@pytest.fixture(scope="module")
def done(config):
    return config.parent / "run"


def _rows(path, kind):
    return read_artifact(path, kind).table.to_pylist()


def test_a_run_ranks_its_holdouts_to_the_end(done):
    ranks = {row["formula"]: row["rank"] for row in _rows(done / "ranking.ranks.parquet", "ranks") if row["rank"]}
    depths = _rows(done / "validation.depths.parquet", "depths")
    hits = _rows(done / "validation.parquet", "validation")
    assert [row["recall"] for row in depths] == [0.1, 0.25, 0.5, 0.75, 0.9, 1.0]
    assert all(row["n_ranked"] == len(ranks) == hits[0]["n_reachable"] for row in depths)
    ordered = sorted(ranks.values())
    for row in depths:
        m = next(m for m in range(1, len(ordered) + 1) if m >= row["recall"] * len(ordered) - 1e-9)
        assert row["rank"] == ordered[m - 1]
        assert row["rank_low"] <= row["rank"] <= row["rank_high"]
        assert row["rank_random"] == pytest.approx(m * (row["n_unknown"] + 1) / (len(ordered) + 1))
    for row in hits:
        assert row["n_hits"] == sum(rank <= row["k"] for rank in ordered)
        assert (row["hits_low"], row["hits_high"]) == (
            (low := naive_metrics.resampled_hits(row["n_hits"], row["n_reachable"]))[0],
            min(low[1], row["k"]),
        )
    assert all((done / f"validation.recall.{kind}").stat().st_size > 1000 for kind in ("png", "svg"))


def test_every_compound_is_listed_with_its_rank_or_a_reason(done):
    holdout = _rows(done / "holdout-1.parquet", "known")
    known = {row["formula"] for row in _rows(done / "known.parquet", "known")}
    ranking = {row["formula"]: row["rank"] for row in _rows(done / "ranking.parquet", "ranking")}
    compounds = _rows(done / "validation.compounds.parquet", "compounds")
    assert sorted(row["formula"] for row in compounds) == sorted(row["formula"] for row in holdout)
    for row in compounds:
        if row["formula"] in known:
            assert (row["rank"], row["reason"]) == (None, "known: training saw it")
        else:
            assert row["is_listed"] == (row["formula"] in ranking)
            assert row["rank"] == ranking.get(row["formula"], row["rank"])
            assert row["reason"] == "" or row["reason"].startswith("known ternary compounds with ")
    assert any("this stoichiometry: 0" in row["reason"] for row in compounds)


def test_calibration_counts_the_listed(done):
    table = _rows(done / "validation.calibration.parquet", "calibration")
    assert sum(row["n_formulas"] for row in table) == 12
    assert sum(row["n_found"] for row in table) == sum(
        row["is_listed"] or False for row in _rows(done / "validation.compounds.parquet", "compounds")
    )
    assert STATEMENT in read_artifact(done / "validation.parquet", "validation").metadata["extra"]["notes"]


def _validate(config, folder, holdouts, **options):
    return run_validate(folder / "ranking.parquet", holdouts, folder / "v.parquet", settings=load_config(config), **options)


def test_without_ranks_the_recall_ends_with_the_list(config, done, tmp_path):
    for name in ("ranking", "holdout-1"):
        shutil.copy(done / f"{name}.parquet", tmp_path)
    summary = _validate(config, tmp_path, [tmp_path / "holdout-1.parquet"], known=done / "known.parquet")
    assert (summary.depths, summary.worst) == ([], [])
    assert any("no exact ranks" in note for note in summary.notes)
    assert not (tmp_path / "v.recall.png").exists()
    assert "not listed" in {row["reason"] for row in _rows(tmp_path / "v.compounds.parquet", "compounds")}


def test_the_worst_ranks_are_shown(config, done, tmp_path, capsys):
    options = ["--holdout", str(done / "holdout-1.parquet"), "--config", str(config), "-o", str(tmp_path / "v.parquet")]
    assert main(["validate", str(done / "ranking.parquet"), *options]) == 0
    printed = capsys.readouterr().out
    worst = max(_rows(done / "ranking.ranks.parquet", "ranks"), key=lambda row: row["rank"] or 0)
    assert f"{worst['rank']:,}" in printed.partition("Ranked worst")[2]
    assert "Recall to the end" in printed


def test_compounds_that_were_not_asked_for_are_said(config, done, tmp_path):
    rules = load_config(config).ingest.rules
    ranked = {row["formula"] for row in _rows(done / "ranking.ranks.parquet", "ranks")}
    known = {row["formula"] for row in _rows(done / "known.parquet", "known")}
    others = [formula for formula in tiny.formulas_of(config, "ternary") if formula not in ranked | known]
    run_ingest([tiny.write_list(tmp_path / "l.csv", others[:5])], tmp_path / "h.parquet", rules=rules)
    for name in ("ranking", "ranking.ranks"):
        shutil.copy(done / f"{name}.parquet", tmp_path)
    summary = _validate(config, tmp_path, [tmp_path / "h.parquet"], known=done / "known.parquet")
    assert "ternary: 5 of 5 compounds of l have no rank in ranking.ranks.parquet" in summary.notes


def test_ranks_of_another_ranking_are_refused(config, done, tmp_path):
    shutil.copy(done / "ranking.ranks.parquet", tmp_path)
    ranking = read_artifact(done / "ranking.parquet", "ranking")
    provenance = Provenance(space_digest=ranking.metadata["space_digest"], extra=ranking.metadata["extra"])
    write_artifact(tmp_path / "ranking.parquet", "ranking", ranking.table, provenance)
    with pytest.raises(ArtifactError, match=r"ranks of another ranking than .*rank again with --ranks-of"):
        _validate(config, tmp_path, [done / "holdout-1.parquet"], known=done / "known.parquet")


def test_pictures_are_the_same_bytes_again(tmp_path):
    rng = np.random.default_rng(0)
    curves = [
        RecallCurve(name, holdout, np.sort((n * rng.random(300) ** 4).astype(np.int64) + 1), n)
        for name, n in (("ternary", 10**6), ("quaternary", 10**9), ("quinary", 10**10), ("binary", 5))
        for holdout in ("cod", "united")
    ]
    first = [path.read_bytes() for path in draw_recall(curves, tmp_path / "a.png")]
    assert first == [path.read_bytes() for path in draw_recall(curves, tmp_path / "b")]
    assert b"median" not in first[1]  # text is drawn as paths


def test_no_curve_is_refused(tmp_path):
    with pytest.raises(InputDataError, match="there is no recall curve to draw"):
        draw_recall([], tmp_path / "a.png")
