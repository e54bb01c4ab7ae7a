"""Known-bad inputs: each ends with its exit status and one clear line, and leaves no half-written artifact."""

import errno
import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tiny

from crcrank.artifacts.schemas import METADATA_KEY
from crcrank.artifacts.store import hold_output
from crcrank.cli.main import main

STAGES = {
    "ingest": ["known.csv", "-o", "run/new.parquet"],
    "encode": ["run/known.parquet", "-o", "run/new.parquet"],
    "train": ["run/encoded.parquet", "-o", "run/new.parquet", "--threads", "1"],
    "enumerate": ["-o", "run/new.parquet", "--write"],
    "rank": ["run/model.parquet", "run/plan.parquet", "--known", "run/known.parquet", "-o", "run/new.parquet"],
    "validate": ["run/ranking.parquet", "--holdout", "run/holdout-1.parquet", "--known", "run/known.parquet", "-o", "run/new.parquet"],
}


@pytest.fixture(scope="module")
def pristine(tmp_path_factory) -> Path:
    return tiny.make_world(tmp_path_factory.mktemp("bad")).parent


@pytest.fixture
def world(pristine, tmp_path, monkeypatch) -> Path:
    """Stand in a copy of the world."""
    folder = tmp_path / "world"
    shutil.copytree(pristine, folder)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def fails(world, capsys):
    """Return a check that a command ends with a status and one line, and changes no file."""

    def check(status, message, *arguments):
        before = contents(world)
        assert main([*arguments, "--config", "tiny.toml"] if arguments[0] != "run" else list(arguments)) == status
        printed = capsys.readouterr()
        errors = [line for line in printed.err.splitlines() if line.startswith("crcrank: error: ")]
        assert len(errors) == 1
        assert message in errors[0]
        assert printed.err.splitlines()[-1] == errors[0]
        assert "Traceback" not in printed.err
        assert not printed.out
        assert contents(world) == before

    return check


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_an_empty_file(world, fails):
    (world / "bad.csv").touch()
    fails(3, "an empty file", "ingest", "bad.csv", "-o", "new.parquet")


def test_a_binary_file(world, fails):
    (world / "bad.csv").write_bytes(bytes(range(256)) * 9)
    fails(3, "wanted a text, found a binary file", "ingest", "bad.csv", "-o", "new.parquet")


def test_a_wrong_delimiter(world, fails):
    (world / "bad.csv").write_text("formula:id\nNaCl:1\nKBr:2\n")
    fails(3, "bad.csv: none of", "ingest", "bad.csv", "-o", "new.parquet")


def test_a_missing_column(world, fails):
    (world / "bad.csv").write_text("formla,id\nNaCl,1\n")
    fails(3, "no formula column", "ingest", "bad.csv", "--format", "table", "-o", "new.parquet")
    fails(3, "wanted 'sum'", "ingest", "known.csv", "--formula-column", "sum", "-o", "new.parquet")


def test_unknown_elements_and_amounts_that_are_no_numbers(world, fails):
    (world / "bad.csv").write_text("formula\nXx2O3\nNanO2\nnan\nFenan\n")
    fails(3, "unknown element 'Xx'", "ingest", "bad.csv", "-o", "new.parquet")


def test_one_bad_formula_among_good_ones_is_listed(world):
    (world / "bad.csv").write_text("formula\nXx2O3\nNaCl\nNanO2\n")
    assert main(["ingest", "bad.csv", "-o", "new.parquet", "-q"]) == 0
    rejected = pq.read_table("new.rejected.parquet").to_pylist()
    assert [(row["line"], row["text"]) for row in rejected] == [(2, "Xx2O3"), (4, "NanO2")]


def test_a_file_that_is_not_there(fails):
    fails(3, "none.csv: no such file", "ingest", "none.csv", "-o", "new.parquet")
    fails(4, "none.parquet: no such file", "encode", "none.parquet", "-o", "new.parquet")


@pytest.mark.parametrize("name", ["known", "encoded", "model", "plan", "ranking"])
def test_a_truncated_artifact(world, fails, name):
    path = world / "run" / f"{name}.parquet"
    path.write_bytes(path.read_bytes()[:-200])
    command = {"known": "encode", "encoded": "train", "model": "rank", "plan": "rank", "ranking": "validate"}[name]
    fails(4, f"{name}.parquet: not a readable Parquet file", command, *STAGES[command])


def test_a_list_that_was_not_ingested(world, fails):
    """What a user of a new list does first."""
    (world / "mine.csv").write_text("formula\nBaTiO3\n")
    fails(4, "wanted an artifact of kind 'known'; crcrank ingest writes one", "encode", "mine.csv", "-o", "new.parquet")


def test_an_artifact_that_is_not_there(fails):
    fails(4, "no such file; wanted an artifact of kind 'model'; crcrank train writes one", "explain", "BaTiO3", "--model", "gone.parquet")


def test_an_empty_formula(fails):
    fails(2, "'': empty; wanted a formula such as BaTiO3", "explain", "", "--model", "run/model.parquet")


def test_an_artifact_of_another_kind(fails):
    message = "wanted an artifact of kind 'encoded', found 'known'; crcrank encode writes one"
    fails(4, message, "train", "run/known.parquet", "-o", "new.parquet")


@pytest.mark.parametrize(("name", "maker"), [("model", "train"), ("known", "ingest")])
def test_an_artifact_of_another_schema(world, fails, name, maker):
    path = world / "run" / f"{name}.parquet"
    header = json.loads(pq.read_metadata(path).metadata[METADATA_KEY])
    wanted, header["schema_version"] = header["schema_version"], 1
    pq.write_table(pq.ParquetFile(path).read().replace_schema_metadata({METADATA_KEY: json.dumps(header)}), path)
    message = f"wanted an artifact of kind '{name}' in schema version {wanted}, found version 1; make it again: crcrank {maker}"
    fails(4, f"run/{name}.parquet: {message}", "rank", *STAGES["rank"])


def test_a_plan_from_another_space(world, fails):
    config = world / "tiny.toml"
    config.write_text(config.read_text().replace("max_coefficient = 4", "max_coefficient = 3"))
    assert main(["enumerate", "-o", "run/plan.parquet", "--force", "-q", "--config", "tiny.toml"]) == 0
    fails(4, "model.parquet: made for another candidate space", "rank", *STAGES["rank"])
    config.write_text(tiny.CONFIG)
    fails(4, "plan.parquet: made for another candidate space", "rank", *STAGES["rank"])


def test_a_misspelt_key(world, fails):
    (world / "tiny.toml").write_text("[train.fm]\nn_factor = 3\n")
    fails(2, "tiny.toml: train.fm.n_factor: unknown key; did you mean 'n_factors'", "enumerate", "-o", "new.parquet")


def test_a_model_asked_for_a_class_it_never_saw(fails):
    fails(2, "--class: 'binary' is not among the classes at hand (ternary); train it first", "rank", *STAGES["rank"], "--class", "binary")


@pytest.mark.parametrize(
    ("model", "key", "value"),
    [
        ("svd", "n_factors", "[9999, 9999, 9999, 9999]"),
        ("nmf", "n_factors", "[9999, 9999, 9999, 9999]"),
        ("cp", "n_factors", "[9999, 9999, 9999, 9999]"),
        ("tucker", "n_cation_factors", "[9999, 9999, 9999, 9999]"),
    ],
)
def test_a_rank_larger_than_the_data_allows(world, fails, model, key, value):
    config = world / "tiny.toml"
    config.write_text(config.read_text() + f"[train.{model}]\n{key} = {value}\n")
    fails(3, f"train.{model}.{key}: 9999 factors for class 'ternary'", "train", *STAGES["train"], "--model", model)


def test_an_unknown_model(world, fails):
    fails(2, "--model fmm: no such model; did you mean 'fm'", "train", *STAGES["train"], "--model", "fmm")
    config = world / "tiny.toml"
    config.write_text(config.read_text().replace('model = "fm"', 'model = "fmm"'))
    fails(2, "tiny.toml: train.model: input should be 'fm'", "train", *STAGES["train"])


def test_what_lies_outside_the_space_is_missing(world, fails):
    (world / "run" / "encoded.outside.parquet").unlink()
    fails(
        4,
        "encoded.outside.parquet: no such file; wanted an artifact of kind 'outside'; crcrank encode writes one",
        "train",
        *STAGES["train"],
    )


WARM = [*STAGES["train"], "--warm-start", "run/model.parquet"]


def test_a_warm_start_from_another_model(world, fails):
    fails(4, "the model is of kind 'fm', wanted 'stack'; add --model fm, or train from scratch", "train", *WARM, "--model", "stack")
    fails(2, "a model of kind 'svd' is always fitted from scratch; only fm and stack continue", "train", *WARM, "--model", "svd")
    fails(4, "none.parquet: no such file", "train", *STAGES["train"], "--warm-start", "none.parquet")
    config = world / "tiny.toml"
    settings = config.read_text()
    for old, new, message in [
        ("n_factors = 3", "n_factors = 4", "the model has n_factors 3, wanted 4"),
        ("n_factors = 3", 'n_factors = 3\nfeatures = ["ion"]', "wanted ion; use the settings"),
        ('classes = ["ternary"]', 'classes = ["binary", "ternary"]', "the model has classes ternary, wanted binary, ternary"),
        ("max_coefficient = 4", "max_coefficient = 3", "made for another candidate space"),
    ]:
        config.write_text(settings.replace(old, new))
        if "binary, ternary" in message:
            more = tiny.write_list(world / "more.csv", [*tiny.formulas_of(config, "binary"), *tiny.formulas_of(config, "ternary")[::2]])
            assert main(["ingest", str(more), "-o", "run/known.parquet", "--force", "-q", "--config", "tiny.toml"]) == 0
        if "space" in message or "binary, ternary" in message:
            assert main(["encode", "run/known.parquet", "-o", "run/encoded.parquet", "--force", "-q", "--config", "tiny.toml"]) == 0
        fails(4, message, "train", *WARM)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["0.factor.ion", "state.0.weight.ion"])
def test_a_model_with_numbers_that_are_none(world, fails, name, value):
    path = world / "run" / "model.parquet"
    table = pq.ParquetFile(path).read()
    values = table["values"].to_pylist()
    values[table["name"].to_pylist().index(name)][1] = value
    broken = table.set_column(2, table.schema.field("values"), pa.array(values, table.schema.field("values").type))
    pq.write_table(broken.replace_schema_metadata(pq.read_metadata(path).metadata), path)
    message = f"parameter '{name}' holds numbers that are not finite (NaN or infinite); train it again"
    fails(4, message, "train", *WARM)
    fails(4, message, "rank", *STAGES["rank"])


def test_a_model_whose_fit_left_nothing(world, fails):
    path = world / "run" / "model.parquet"
    table = pq.ParquetFile(path).read()
    kept = table.filter(pa.array([not name.startswith("state.") for name in table["name"].to_pylist()]))
    header = json.loads(pq.read_metadata(path).metadata[METADATA_KEY]) | {"n_rows": kept.num_rows}
    pq.write_table(kept.replace_schema_metadata({METADATA_KEY: json.dumps(header)}), path)
    fails(4, "the model holds nothing to continue from; train from scratch", "train", *WARM)


def test_a_folder_that_cannot_be_written(fails, monkeypatch):
    fails(2, "tiny.toml", "encode", "run/known.parquet", "-o", "tiny.toml/new.parquet")

    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("pathlib.Path.mkdir", refuse)
    fails(2, "new.parquet: cannot be written (Permission denied)", "encode", "run/known.parquet", "-o", "new.parquet")


def test_output_that_exists(fails):
    fails(2, "--force replaces it", "encode", "run/known.parquet", "-o", "run/encoded.parquet")


@pytest.mark.parametrize("stage", STAGES)
def test_a_full_disk(fails, stage, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pyarrow.parquet.ParquetWriter.write_table", full)
    fails(2, "no space left on the device", stage, *STAGES[stage])


@pytest.mark.parametrize("stage", STAGES)
def test_ctrl_c_at_the_last_moment(world, fails, stage, monkeypatch):
    monkeypatch.setattr("os.fsync", _interrupt)
    fails(130, "interrupted; nothing half-written", stage, *STAGES[stage])
    monkeypatch.undo()
    monkeypatch.chdir(world)
    assert main([stage, *STAGES[stage], "--config", "tiny.toml", "-q"]) == 0


@pytest.mark.parametrize(
    ("stage", "where"),
    [
        ("ingest", "crcrank.stages.ingest.judge"),
        ("encode", "crcrank.stages.encode.Placer"),
        ("train", "crcrank.models.likelihood.ClassLikelihood.add_rates"),
        ("enumerate", "crcrank.stages.enumerate.candidate_columns"),
        ("rank", "crcrank.ranking.search.search_blocks"),
        ("validate", "crcrank.stages.validate.draw_discovery"),
    ],
)
def test_ctrl_c_at_work(fails, stage, where, monkeypatch):
    monkeypatch.setattr(where, _interrupt)
    fails(130, "interrupted; nothing half-written", stage, *STAGES[stage])


def test_ctrl_c_in_a_run_keeps_what_is_complete(world, capsys, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("crcrank.models.staged.rank_class", _interrupt)
        assert main(["run", "tiny.toml", "--out-dir", "new", "--threads", "1"]) == 130
    left = {path.name for path in (world / "new").iterdir()}
    assert {"known.parquet", "encoded.parquet", "model.parquet", "plan.parquet"} <= left
    assert not any(name.startswith(".") for name in left)
    assert "ranking.parquet" not in left
    capsys.readouterr()
    assert main(["run", "tiny.toml", "--out-dir", "new", "--threads", "1"]) == 0
    assert "train: up to date" in capsys.readouterr().err


@pytest.mark.parametrize("stage", STAGES)
def test_two_at_once(fails, stage):
    with hold_output(Path("run/new.parquet"), overwrite=True):
        fails(5, "another crcrank run is writing it", stage, *STAGES[stage])


def test_two_runs_at_once(fails):
    with hold_output(Path("run/run"), overwrite=True):
        fails(5, "another crcrank run", "run", "tiny.toml", "--out-dir", "run")


def test_out_of_memory(fails, monkeypatch):
    def too_large(*_, **__):
        raise MemoryError

    monkeypatch.setattr("crcrank.stages.encode.Placer", too_large)
    fails(2, "out of memory", "encode", *STAGES["encode"])


def _interrupt(*_, **__):
    raise KeyboardInterrupt
