"""Mutated examples: a reader yields records or refuses in one clear line, and spoils no other file of a folder."""

import random
import runpy
import time
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


@pytest.mark.parametrize(
    "unit", [" ", "\t", ",", ";", "A", "1", "a ", "sd_", "data_ ", "[", "{", '"', "'", ":", "A+1.00 ", "Na ", "(", "\n", "\r", "\n;"]
)
@pytest.mark.parametrize("start", ["", "x", "sd_1816951", "Formula: ", "00-046-1212\nFormula", '{"a": ', "data_x\n_a ", "formula,"])
def test_no_pattern_takes_more_than_linear_time(tmp_path: Path, unit: str, start: str) -> None:
    (tmp_path / "long").write_text(start + unit * (200_000 // len(unit)))
    started = time.process_time()
    FUZZ["check_file"](tmp_path / "long", None)
    assert time.process_time() - started < 5
