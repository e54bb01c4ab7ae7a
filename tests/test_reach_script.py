"""The script that says how many known neutral compositions a space holds."""

import importlib.util
import sys
from pathlib import Path

import tiny

from crcrank.chem.charges import ChargeBalancer
from crcrank.chem.formula import parse_formula
from crcrank.config import load_config
from crcrank.space.placement import Placer
from crcrank.stages.common import load_space

_SCRIPT = Path(__file__).parent.parent / "scripts" / "reach_of_space.py"


def _script():
    spec = importlib.util.spec_from_file_location("reach_of_space", _SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_a_row_counts_known_neutral_and_held(tmp_path):
    (tmp_path / "ions.csv").write_text(tiny.IONS)
    (tmp_path / "tiny.toml").write_text(tiny.CONFIG)
    space, table = load_space(load_config(tmp_path / "tiny.toml"))
    formulas = ("BaTiO3", "FeOCl", "KFe3O5", "Na9Ti9O9", "BaFeO9", "NaFeCs")
    compositions = [parse_formula(formula) for formula in formulas]
    row = _script().row("mine", compositions, Placer(space, table), ChargeBalancer(table))
    assert row == "| mine | 6 | 3 | 1 | 33.3% | coefficient above 4 (ternary) 1; two anions 1 |"


def test_lists_are_read_by_the_rules():
    rules = load_config().ingest.rules
    kept = [item for _, item in zip(range(50), _script().known("cod.csv", rules), strict=False)]
    assert len({item.formula for item in kept}) == 50
    assert all(len(item.elements) > 1 for item in kept)
