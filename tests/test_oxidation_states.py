"""Charge assignments beside those of pymatgen and SMACT, on a few of the formulas that the script compares."""

import importlib.util
import sys
from pathlib import Path

import pytest

_SCRIPT = Path(__file__).parent.parent / "scripts" / "compare_oxidation_states.py"


@pytest.fixture(scope="module")
def script():
    pytest.importorskip("pymatgen.core")
    pytest.importorskip("smact")
    spec = importlib.util.spec_from_file_location("compare_oxidation_states", _SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_assignments_of_one_anion_agree_with_pymatgens_or_smacts(script, capsys):
    answers = script.main(["-n", "120", "--max-atoms", "14"])
    assert len(answers) == 120
    assert capsys.readouterr().out.startswith("| likeliest assignment | formulas | pymatgen | SMACT | either |\n|---")
    verdicts = [item.agrees("either") for item in answers if item.kind == "one anion"]
    verdicts = [verdict for verdict in verdicts if verdict is not None]
    assert len(verdicts) > 60
    assert sum(verdicts) / len(verdicts) >= 0.95


def test_a_peer_without_an_answer_does_not_count(script):
    answers = script.Answers("FeO", "one anion", {"Fe": 2.0, "O": -2.0}, None, {"Fe": 2.0, "O": -2.0})
    assert [answers.agrees(peer) for peer in ("pymatgen", "SMACT", "either")] == [None, True, True]
    assert script.table([answers]).endswith("| all | 1 | no answers | 100.0% of 1 | 100.0% of 1 |")
    other = script.Answers("FeO", "one anion", {"Fe": 2.0, "O": -2.0}, {"Fe": 3.0, "O": -3.0}, None)
    assert [other.agrees(peer) for peer in ("pymatgen", "SMACT", "either")] == [False, None, False]
