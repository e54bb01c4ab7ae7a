"""The README is executed: blocks marked ``sh`` run in order, ``output`` is what the block before printed, ``text`` is only shown."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.main import get_command

from crcrank.artifacts.schemas import SCHEMAS
from crcrank.cli.app import app, command_with_options

_ROOT = Path(__file__).parent.parent
_README = (_ROOT / "README.md").read_text(encoding="utf-8")
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
_BLOCKS = _BLOCK.findall(_README)
_COMMANDS = get_command(app).commands
_WALK_SECONDS = 600  # a first run compiles all kernels


@dataclass(frozen=True)
class _Done:
    script: str
    exit_status: int
    printed: str


def _environment(folder):
    """Return the environment of a reader who has crcrank installed; whether this test runs without the JIT is no concern of the walk."""
    tools = Path(sys.executable).parent
    if not (tools / "crcrank").exists():  # not installed, only importable
        shim = folder / "crcrank"
        shim.write_text(f'#!/bin/sh\nPYTHONPATH="{_ROOT}" exec "{sys.executable}" -m crcrank.cli.main "$@"\n', encoding="utf-8")
        shim.chmod(0o755)
    kept = {key: value for key, value in os.environ.items() if not key.startswith("NUMBA_")}
    return kept | {"PATH": f"{tools}:{folder}:{os.environ['PATH']}", "COLUMNS": "110"}


def _run(script, folder, environment):
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        timeout=_WALK_SECONDS,
        check=False,
    )
    return _Done(script, done.returncode, done.stdout)


@pytest.fixture(scope="module")
def walk(tmp_path_factory):
    folder = tmp_path_factory.mktemp("walk")
    (folder / "data-samples").symlink_to(_ROOT / "data-samples")
    environment = _environment(tmp_path_factory.mktemp("tools"))
    done = []
    for kind, text in _BLOCKS:
        if kind == "sh":
            done.append(_run(text, folder, environment))
            if done[-1].exit_status:
                break  # what follows needs what this one did not write
    return folder, done


def test_blocks_say_whether_they_are_executed():
    assert {kind for kind, _ in _BLOCKS} == {"sh", "output", "text"}
    assert _README.count("\n```") == 2 * len(_BLOCKS)


def test_every_executed_block_ends_well(walk):
    _, done = walk
    failed = [item for item in done if item.exit_status]
    assert not failed, f"{failed[0].script}\nended with {failed[0].exit_status}:\n{failed[0].printed}"
    assert len(done) == sum(kind == "sh" for kind, _ in _BLOCKS)


def test_blocks_print_what_the_readme_shows(walk):
    _, done = walk
    printed = iter(done)
    before = None
    for kind, text in _BLOCKS:
        if kind == "sh":
            before = next(printed)
        elif kind == "output":
            missing = [line for line in text.splitlines() if line not in before.printed.splitlines()]
            assert not missing, f"{before.script}\ndoes not print {missing}, but\n{before.printed}"


def test_artifacts_that_the_walk_names_are_there(walk):
    folder, _ = walk
    scripts = "".join(text for kind, text in _BLOCKS if kind == "sh")
    named = set(re.findall(r"-o (\w\S*)", scripts)) | {"summary.json"}
    assert {"known.parquet", "encoded.parquet", "model.parquet", "plan.parquet", "ranking.parquet", "validation.parquet"} <= named
    beside = {"known.rejected.parquet", "encoded.outside.parquet", "plan.candidates.parquet", "validation.png", "validation.svg"}
    results = {f"results/{name}.parquet" for name in ("known", "holdout-1", "encoded", "model", "plan", "ranking", "validation")}
    assert not [name for name in sorted(named | beside | results) if not (folder / name).is_file()]


def test_every_command_is_named_and_walked():
    scripts = "".join(text for kind, text in _BLOCKS if kind == "sh")
    for name in _COMMANDS:
        assert f"`crcrank {name}" in _README
        assert f"crcrank {name} " in scripts


@pytest.mark.parametrize("name", [None, *_COMMANDS])
def test_every_option_is_named(name):
    command = command_with_options(name) if name else get_command(app)
    options = {text for item in command.params for text in item.opts if text.startswith("-")}
    table = _README.partition("## Commands and options")[2].partition("\n## ")[0]
    assert not sorted(option for option in options if not re.search(rf"(?<![\w-]){option}(?![\w-])", table))


@pytest.mark.parametrize("kind", SCHEMAS)
def test_every_artifact_is_described_with_its_columns(kind):
    row = re.search(rf"^\| `(?:\w+\.)?{kind}`.*$", _README, flags=re.MULTILINE)
    assert row, kind
    columns = row.group().split("|")[3]
    assert re.findall(r"`(\w+)`", columns) == SCHEMAS[kind].names


@pytest.mark.parametrize("name", ["scripts/quickstart.sh", "scripts/test.sh"])
def test_the_two_commands_are_there(name):
    assert f"bash {name}" in _README
    assert (_ROOT / name).is_file()


def test_links_lead_to_files():
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", _README)
    assert {"LICENSE", "CITATION.cff", "CHANGELOG.md"} <= set(links)
    assert not [link for link in links if not (_ROOT / link).exists()]
