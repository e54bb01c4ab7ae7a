"""What the table of cautions marks, and what is wrong with one that does not fit."""

import pytest

from crcrank.chem.cautions import read_cautions
from crcrank.config import load_config
from crcrank.errors import ConfigError

_HEADER = "symbol,crustal_abundance_mg_per_kg,drinking_water_limit_mg_per_l\n"


def test_the_packaged_table():
    found = read_cautions(load_config().space.cautions)
    assert found.toxic == {"Be", "As", "Cd", "Sb", "Hg", "Tl", "Pb"}
    scarce = {"Ru", "Rh", "Pd", "Ag", "Re", "Os", "Ir", "Pt", "Au", "Se", "Te", "Hg", "Bi"}
    assert found.scarce == scarce | {"He", "Ne", "Kr", "Xe", "Po", "Rn", "Ra", "Ac", "Pa"}


def test_a_limit_of_what_is_toxic_is_toxic_and_an_empty_cell_marks_nothing(tmp_path):
    (tmp_path / "cautions.csv").write_text(f"{_HEADER}Pb,0.1,0.02\nBa,0.09,0.0201\nFe,,\n")
    found = read_cautions(tmp_path / "cautions.csv")
    assert (found.toxic, found.scarce) == ({"Pb"}, {"Ba"})


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("Fe,1,\nFe,2,\n", "line 3: expected every element once, found Fe again"),
        ("Fe,-1,\n", "line 2, column crustal_abundance_mg_per_kg: expected 0 or more, found -1"),
        ("Fe,1,much\n", "line 2, column drinking_water_limit_mg_per_l: expected a number or an empty cell, found 'much'"),
        ("Xx,1,\n", "line 2: expected the symbol of an element, found 'Xx'"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(tmp_path, lines, message):
    (tmp_path / "cautions.csv").write_text(_HEADER + lines)
    with pytest.raises(ConfigError, match=message):
        read_cautions(tmp_path / "cautions.csv")
