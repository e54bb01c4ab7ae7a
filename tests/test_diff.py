"""What changed from one ranking to the next."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tiny
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_metrics import kind_of_change

from crcrank.artifacts.store import read_artifact
from crcrank.cli.main import main
from crcrank.config import load_config
from crcrank.errors import ArtifactError, ConfigError
from crcrank.evaluation.changes import KINDS, ChangeCounts, ranking_changes
from crcrank.stages.diff import run_diff
from crcrank.stages.ingest import run_ingest
from crcrank.stages.rank import run_rank

_LISTS = st.builds(lambda order, n: order[:n], st.permutations("ABCDEFGHIJ"), st.integers(0, 10))


@settings(deadline=None)
@given(_LISTS, _LISTS, st.integers(1, 12), st.sets(st.sampled_from("ABCDEFGHIJ")))
def test_changes_are_those_of_the_twin(before, after, k, known):
    changes = ranking_changes(before, after, k, known)
    assert {change.formula: change.kind for change in changes} == {
        formula: kind_of_change(formula, before, after, k, known) for formula in {*before[:k], *after[:k]}
    }
    assert len(changes) == len({*before[:k], *after[:k]})
    assert [change.formula for change in changes][: len(after[:k])] == after[:k]
    for change in changes:
        assert change.before == (before.index(change.formula) + 1 if change.formula in before else None)
        assert change.after == (after.index(change.formula) + 1 if change.formula in after else None)
    counts = ChangeCounts.of(k, changes)
    assert [getattr(counts, kind) for kind in KINDS] == [sum(change.kind == kind for change in changes) for kind in KINDS]


@settings(deadline=None)
@given(_LISTS, st.integers(1, 12))
def test_a_ranking_stays_what_it_is(formulas, k):
    assert {change.kind for change in ranking_changes(formulas, formulas, k)} <= {"stayed"}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Return a folder with two rankings: the later one knows two of the first five recommendations, and a binary that is not ranked."""
    folder = tmp_path_factory.mktemp("diff")
    configured = load_config(tiny.make_world(folder))
    done = folder / "run"
    first = read_artifact(done / "ranking.parquet", "ranking").table["formula"].to_pylist()
    more = tiny.write_list(folder / "more.csv", [first[1], first[3]])
    run_ingest([folder / "known.csv", more], folder / "more.parquet", rules=configured.ingest.rules)
    run_rank(
        done / "model.parquet",
        done / "plan.parquet",
        folder / "later.parquet",
        settings=configured,
        known=folder / "more.parquet",
        n_threads=1,
    )
    return folder


def test_what_became_known_is_said_and_the_rest_moved_up(world):
    before, after = world / "run" / "ranking.parquet", world / "later.parquet"
    old, new = (read_artifact(path, "ranking").table["formula"].to_pylist() for path in (before, after))
    summary = run_diff(before, after)
    rows = summary.table.to_pylist()
    assert {row["formula"] for row in rows if row["change"] == "became_known"} == {old[1], old[3]}
    assert vars(summary.classes["ternary"]) == {"k": 12, "became_known": 2, "stayed": 1, "moved": 9, "entered": 2, "left": 0}
    assert [row["formula"] for row in rows if row["rank_after"]] == new
    assert [(row["rank_before"], row["score_before"]) for row in rows if row["change"] == "moved"] == [
        (i, row["score_after"]) for i, row in zip([3, *range(5, 13)], [row for row in rows if row["change"] == "moved"], strict=True)
    ]
    assert summary.notes == ()
    assert [row["formula"] for row in summary.best["ternary"]["entered"]] == new[-2:]


def test_backwards_nothing_becomes_known_that_the_list_lacks(world):
    summary = run_diff(world / "later.parquet", world / "run" / "ranking.parquet", k=5)
    assert vars(summary.classes["ternary"]) == {"k": 5, "became_known": 0, "stayed": 1, "moved": 2, "entered": 2, "left": 2}


def test_a_list_of_what_is_known_by_now(world, tmp_path):
    before = world / "run" / "ranking.parquet"
    first = read_artifact(before, "ranking").table["formula"][0].as_py()
    run_ingest([tiny.write_list(tmp_path / "l.csv", [first])], tmp_path / "l.parquet")
    assert run_diff(before, before, known=tmp_path / "l.parquet").classes["ternary"].became_known == 1
    assert run_diff(before, before).classes["ternary"].stayed == 12


def test_the_first_of_the_shorter_ranking_are_compared(world, tmp_path):
    settings = load_config(world / "tiny.toml")
    run = world / "run"
    run_rank(
        run / "model.parquet",
        run / "plan.parquet",
        tmp_path / "short.parquet",
        settings=settings,
        known=run / "known.parquet",
        k=4,
        n_threads=1,
    )
    for pair in ((run / "ranking.parquet", tmp_path / "short.parquet"), (tmp_path / "short.parquet", run / "ranking.parquet")):
        assert vars(run_diff(*pair).classes["ternary"]) == {"k": 4, "became_known": 0, "stayed": 4, "moved": 0, "entered": 0, "left": 0}


def test_rankings_of_other_spaces_and_filters_are_compared_and_it_is_said(world, tmp_path):
    config = world / "smaller.toml"
    config.write_text((world / "tiny.toml").read_text().replace("max_coefficient = 4", "max_coefficient = 3"))
    out = tmp_path / "other"
    assert main(["run", str(config), "--out-dir", str(out), "-q", "--threads", "1"]) == 0
    assert "different candidate spaces" in " ".join(run_diff(world / "run" / "ranking.parquet", out / "ranking.parquet").notes)
    settings = load_config(world / "tiny.toml")
    filtered = settings.model_copy(update={"rank": settings.rank.model_copy(update={"require": ("Na",)})})
    run = world / "run"
    run_rank(run / "model.parquet", run / "plan.parquet", tmp_path / "na.parquet", settings=filtered, n_threads=1)
    (known, changed) = run_diff(run / "ranking.parquet", tmp_path / "na.parquet").notes
    assert changed == "the filters changed from none to require Na"
    assert known.endswith("are not at hand: name them with --known to see what became known")
    assert any("may have been known then" in note for note in run_diff(tmp_path / "na.parquet", run / "ranking.parquet").notes)


def test_what_diff_refuses(world, tmp_path):
    before = world / "run" / "ranking.parquet"
    with pytest.raises(ArtifactError, match="wanted an artifact of kind 'ranking', found 'model'"):
        run_diff(before, world / "run" / "model.parquet")
    with pytest.raises(ConfigError, match="--class: neither ranking has 'binary'; they have ternary"):
        run_diff(before, before, classes=["binary"])
    table = pq.ParquetFile(before).read()
    renamed = table.set_column(0, table.schema.field(0), pa.array(["binary"] * table.num_rows))
    pq.write_table(renamed.replace_schema_metadata(pq.read_metadata(before).metadata), tmp_path / "binary.parquet")
    with pytest.raises(ConfigError, match="no class is in both rankings; the first has ternary, the second binary"):
        run_diff(before, tmp_path / "binary.parquet")


def test_the_command_prints_streams_and_writes(world, capsys, monkeypatch):
    monkeypatch.chdir(world)
    pair = ["diff", "run/ranking.parquet", "later.parquet"]
    assert main(pair) == 0
    printed = capsys.readouterr().out
    assert "ternary, became known" in printed
    assert "ternary, entered" in printed
    assert main([*pair, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["classes"]["ternary"]["became_known"] == len(found["best"]["ternary"]["became_known"]) == 2
    assert main([*pair, "-o", "-", "--format", "jsonl", "-q"]) == 0
    assert len([json.loads(line) for line in capsys.readouterr().out.splitlines()]) == 14
    assert main([*pair, "-o", "-"]) == 0
    streamed = capsys.readouterr()
    assert streamed.out.splitlines()[0] == "composition_class,formula,pretty_formula,change,rank_before,rank_after,score_before,score_after"
    assert "became known" in streamed.err
    assert main([*pair, "-o", "changes.parquet", "-q"]) == 0
    assert pq.read_table("changes.parquet").num_rows == 14
    assert main([*pair, "-o", "changes.parquet", "-q"]) == 2
