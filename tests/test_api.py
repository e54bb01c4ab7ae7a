"""The stages from Python: what is offered, that it is typed, that it costs nothing until it is used, and the example."""

import ast
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import tiny

import crcrank
from crcrank.artifacts.store import read_artifact

_ROOT = Path(__file__).parent.parent


def test_every_stage_is_offered():
    offered = set(dir(crcrank))
    for path in (_ROOT / "crcrank" / "stages").glob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        stages = {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("run_")}
        assert stages <= offered, path.name


def test_names_are_what_the_stub_says():
    tree = ast.parse((_ROOT / "crcrank" / "__init__.pyi").read_text(encoding="utf-8"))
    typed = {alias.asname: (node.module, alias.name) for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert {*typed, "__version__"} == set(crcrank.__all__)
    for name, (module, original) in typed.items():
        assert getattr(crcrank, name) is getattr(import_module(module), original)


def test_a_name_that_is_not_there():
    with pytest.raises(AttributeError, match="module 'crcrank' has no attribute 'run_rnak'"):
        crcrank.run_rnak  # noqa: B018
    with pytest.raises(ImportError, match="run_rnak"):
        exec("from crcrank import run_rnak")


def test_importing_crcrank_loads_nothing():
    script = "import sys; import crcrank; print(*(name for name in sys.modules if name.startswith('crcrank')), 'numpy' in sys.modules)"
    environment = os.environ | {"PYTHONPATH": str(_ROOT)}
    found = subprocess.run([sys.executable, "-c", script], check=True, env=environment, text=True, capture_output=True)
    assert found.stdout.split() == ["crcrank", "False"]


def test_types_are_shipped():
    assert (_ROOT / "crcrank" / "py.typed").is_file()


def test_the_example_runs_to_its_end(tmp_path):
    config, out = tiny.make_lists(tmp_path), tmp_path / "out"
    command = [sys.executable, _ROOT / "scripts" / "example.py", "--config", config, "--out-dir", out, "--threads", "1"]
    for _ in range(2):  # a second run replaces what the first one wrote
        done = subprocess.run(command, check=False, env=os.environ | {"PYTHONPATH": str(_ROOT)}, text=True, capture_output=True)
        assert done.returncode == 0, done.stderr
    for heading in (
        "formulas are used",
        "candidates; the best",
        "real compounds among",
        "what became of the recommendations",
        "results in",
    ):
        assert heading in done.stdout
    early, late = (read_artifact(out / f"{name}.parquet", "known").table.num_rows for name in ("known", "known_later"))
    assert 0 < late - early < late / 10
    changes = read_artifact(out / "changes.parquet", "diff").table
    assert changes.num_rows >= 12
    assert (out / "phase_fields.csv").read_text().startswith("phases,")
