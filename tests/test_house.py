"""Conventions of the repository that no other tool watches."""

import re
import subprocess
from pathlib import Path

import pytest

import crcrank

_ROOT = Path(__file__).parent.parent
_TOP_LEVEL = {
    ".ci", ".gitignore", ".pre-commit-config.yaml", "CHANGELOG.md", "CITATION.cff", "LICENSE", "README.md", "configs", "crcrank",
    "data-samples", "pyproject.toml", "scripts", "tests",
}  # fmt: skip


def _first_match(pattern, file_name):
    found = re.search(pattern, (_ROOT / file_name).read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert found, f"{file_name} has no line like {pattern}"
    return found.group(1)


def _tracked_files():
    if not (_ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=_ROOT, capture_output=True, check=True, text=True)
    return [name for name in listing.stdout.split("\0") if name]


def test_changelog_is_headed_by_the_version():
    assert _first_match(r"^## (\S+)", "CHANGELOG.md") == crcrank.__version__


def test_citation_names_the_version():
    assert _first_match(r"^version: (\S+)$", "CITATION.cff") == crcrank.__version__


def test_changelog_keeps_its_four_sections():
    text = (_ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    for release in text.split("\n## ")[1:]:
        assert re.findall(r"^### (.+)$", release, flags=re.MULTILINE) == ["New", "Changed", "Fixed", "Artifact formats"]


def test_top_level_holds_only_what_belongs_there():
    assert {name.split("/")[0] for name in _tracked_files()} <= _TOP_LEVEL


def test_naive_twins_import_nothing_from_crcrank():
    for path in (_ROOT / "tests").glob("naive*.py"):
        assert not re.search(r"^\s*(import|from) crcrank", path.read_text(encoding="utf-8"), flags=re.MULTILINE), path.name


def test_every_room_is_a_package():
    for folder in {(_ROOT / name).parent for name in _tracked_files() if re.fullmatch(r"crcrank/.+\.py", name)}:
        assert (folder / "__init__.py").exists(), folder
