"""Mutated examples: a reader yields records or refuses in one clear line, and spoils no other file of a folder."""

import random
import runpy
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crcrank.sources.registry import FORMATS

FUZZ = runpy.run_path(str(Path(__file__).parent.parent / "scripts" / "fuzz_readers.py"))
EXAMPLES = FUZZ["examples"]()


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
@settings(deadline=None, max_examples=10, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), name=st.sampled_from([None, *FORMATS]))
def test_a_mutated_file_is_read_or_refused(tmp_path: Path, example: Path, seed: int, name: str | None) -> None:
    path = tmp_path / "mutated"
    path.write_bytes(FUZZ["mutated"](example.read_bytes(), random.Random(seed)))
    (tmp_path / "good.txt").write_text("NaCl\n")
    FUZZ["check_file"](path, name)
    FUZZ["check_folder"](tmp_path)
