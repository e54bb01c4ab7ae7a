"""The bench runs, the others score what crcrank scores, and what is not measured says so."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny

from crcrank.chem.ions import read_ion_table
from crcrank.config import load_config
from crcrank.kernels.pairwise import fill_scores
from crcrank.space.space import CompositionClass, Space

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def bench():
    spec = importlib.util.spec_from_file_location("bench", ROOT / "scripts" / "bench.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["bench"] = module  # where dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench")
    (folder / "ions.csv").write_text(tiny.IONS)
    (folder / "tiny.toml").write_text(tiny.CONFIG)
    return folder / "tiny.toml"


@pytest.fixture(scope="module")
def sample(bench, config):
    settings = load_config(config)
    space = Space(read_ion_table(settings.space.ions), [CompositionClass("triple", 3, 3)])
    machine = bench.machine_of(space, settings, 3, with_prior=False)
    return bench.sample_of(machine, bench.random_parameters(machine, 1), "triple", 40, 5, 1)


def test_the_others_score_what_crcrank_scores(bench, sample):
    blocks = sample.machine.space.block_arrays(sample.name)
    expected = np.empty(len(sample.candidates))
    program = sample.machine.compile(sample.parameters, sample.name)
    fill_scores(program, blocks, sample.candidates.blocks, sample.candidates.cations, expected)
    scores = np.empty(len(expected), np.float32)
    bench.fill_fm_scores.py_func(sample.features, sample.weights, sample.factors, sample.bias, scores)
    np.testing.assert_allclose(scores, expected, atol=1e-5)
    by_table = np.concatenate([bench.table_scores(tables) for tables in bench.block_tables(sample)])
    np.testing.assert_allclose(np.sort(by_table), np.sort(expected), atol=1e-5)
    assert np.ptp(expected) > 0.1


@pytest.mark.parametrize("what", ["NumPy, pair tables and top k", "polars, pair tables and top k"])
def test_each_goes_through_the_whole_sample(bench, sample, what):
    assert bench.PEERS[what](sample)() == len(sample.features) >= 40


def test_a_library_that_is_not_installed_is_left_out_with_a_note(bench, sample, monkeypatch):
    monkeypatch.setitem(sys.modules, "myfm", None)
    race = bench.Race(None, 3, 5, 40, 1, 1.0, 0)
    (note,) = race.peer_rows(sample, ["myFM, variational"])
    assert note.startswith("myFM, variational: left out (")


def test_the_bench_runs_and_writes_figures_and_picture(config, tmp_path):
    out, picture = tmp_path / "bench.json", tmp_path / "bench.svg"
    command = [
        sys.executable,
        ROOT / "scripts" / "bench.py",
        "--config",
        config,
        "--classes",
        "binary",
        "ternary",
        "--factors",
        "2",
        "-k",
        "5",
    ]
    command += ["--sample", "20", "--repeats", "1", "--sizes", "1:4 2:4", "--json", out, "--picture", picture]
    command += ["--peers", "NumPy, pair tables and top k"]
    run = subprocess.run(list(map(str, command)), check=False, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
    assert run.returncode == 0, run.stderr
    figures = json.loads(out.read_text())
    rates = {item["what"]: item["candidates_per_cpu_second"] for item in figures["rows"] if item["composition_class"] == "ternary"}
    expected = rates["crcrank, exhaustive, without prior"] / rates["NumPy, pair tables and top k"]
    assert figures["ratios"]["times NumPy, pair tables and top k"] == pytest.approx(expected)
    assert [item["n_candidates"] for item in figures["series"][::2]] == sorted({item["n_candidates"] for item in figures["series"]})
    assert "| crcrank, pruned, with prior | ternary |" in run.stdout
    assert picture.read_text().startswith("<?xml")
