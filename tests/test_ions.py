from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crcrank.chem.elements import ELEMENT_SYMBOLS
from crcrank.chem.ions import Ion, parse_ion, read_ion_table
from crcrank.errors import ConfigError

IONS_CSV = Path(__file__).parents[1] / "configs" / "ions.csv"
HEADER = "ion,element,oxidation_state,role,icsd_count\n"
GOOD = HEADER + "Fe3+,Fe,3,cation,30\nFe2+,Fe,2,cation,10\nN3-,N,-3,anion,0\nCl1-,Cl,-1,anion,7\nLi1+,Li,1,cation,5\n"


@pytest.fixture
def write(tmp_path):
    def write_table(text: str | bytes) -> Path:
        path = tmp_path / "ions.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write_table


@given(st.sampled_from(ELEMENT_SYMBOLS), st.integers(-9, 9).filter(bool))
def test_an_ion_is_the_ion_of_its_label(element, oxidation_state):
    ion = Ion(element, oxidation_state)
    assert parse_ion(ion.label) == ion


@pytest.mark.parametrize("label", ["Na+", "Fe0+", "Fe03+", "fe3+", "Fe3", "Fe+3", " Fe3+", "", "Fe3+ "])
def test_only_one_spelling_is_an_ion(label):
    with pytest.raises(ConfigError, match=r"expected a label like Fe3\+ or Cl1-, found '"):
        parse_ion(label)


def test_an_ion_needs_a_known_element():
    with pytest.raises(ConfigError, match=r"ion 'Xx2\+': expected the symbol of an element, found 'Xx'"):
        parse_ion("Xx2+")


def test_the_packaged_table_holds_the_ions_of_the_design():
    table = read_ion_table(IONS_CSV)
    assert len(table.cations) == 191
    assert len({ion.element for ion in table.cations}) == 79
    assert " ".join(ion.label for ion in table.anions) == "Br1- Cl1- F1- I1- O2- S2- Se2- Te2- As3- N3- P3- Sb3-"
    assert not {ion.element for ion in table.cations} & {"H", "O", "F", "He", "Ne", "Ar", "Kr", "Xe", "Rn"}
    assert min(table.icsd_counts[ion] for ion in table.cations) >= 50
    assert set(table.icsd_counts) == {*table.cations, *table.anions}


def test_the_order_of_the_ions_is_not_that_of_the_file(write):
    table = read_ion_table(write(GOOD))
    assert [ion.label for ion in table.cations] == ["Li1+", "Fe2+", "Fe3+"]
    assert [ion.label for ion in table.anions] == ["Cl1-", "N3-"]
    header, *lines = GOOD.splitlines()
    assert read_ion_table(write("\n".join([header, *reversed(lines)]))) == table


def test_frequency_is_a_share_of_the_elements_states(write):
    table = read_ion_table(write(GOOD + "N5+,N,5,cation,8\n"))
    assert table.frequency(Ion("Fe", 3)) == 0.75
    assert table.frequency(Ion("Li", 1)) == 1
    assert table.frequency(Ion("N", 5)) == 1
    assert table.frequency(Ion("N", -3)) == 0
    assert read_ion_table(write(GOOD)).frequency(Ion("N", -3)) == 1, "without any count the shares are equal"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEADER, "ions.csv: expected at least one row below the header, found none"),
        ("", "ions.csv, line 1: expected the columns ion, element, oxidation_state, role, icsd_count, found nothing"),
        (GOOD.replace(",role", ",part"), "line 1: expected the columns role, found ion, element, oxidation_state, part, icsd_count"),
        (GOOD.replace("\n", ",role\n", 1), "line 1: expected every column once, found"),
        (GOOD.replace("Fe,2", "Fx,2"), "line 3, column element: expected the symbol of an element, found 'Fx'"),
        (GOOD.replace("Fe,2,", "Fe,0,"), "line 3, column oxidation_state: expected a positive number as cation, found 0"),
        (GOOD.replace("N,-3,", "N,3,"), "line 4, column oxidation_state: expected a negative number as anion, found 3"),
        (GOOD.replace("Fe,2,", "Fe,2.5,"), "line 3, column oxidation_state: expected an integer, found '2.5'"),
        (GOOD.replace("Fe3+", "Fe2+"), "line 2, column ion: expected Fe3\\+, found 'Fe2\\+'"),
        (GOOD.replace("2,cation", "2,kation"), "line 3, column role: expected cation or anion, found 'kation'"),
        (GOOD.replace("cation,10", "cation,-1"), "line 3, column icsd_count: expected 0 or more, found -1"),
        (GOOD.replace("cation,10", "cation,many"), "line 3, column icsd_count: expected an integer, found 'many'"),
        (GOOD + "Fe3+,Fe,3,cation,4\n", "line 7: expected every ion once, found Fe3\\+ again"),
        (GOOD + "Fe3+,Fe,3\n", "line 7: expected 5 cells as in the header, found 3"),
        (HEADER + "Fe3+,Fe,3,cation,4\n", "ions.csv: expected at least one cation and one anion, found 1 cations and 0 anions"),
        (GOOD.encode("utf-16"), "ions.csv: expected CSV text in UTF-8, found"),
        (GOOD + '"Fe3+', "ions.csv: expected CSV text in UTF-8, found"),
    ],
)
def test_a_wrong_table_is_refused_with_its_place(write, text, message):
    with pytest.raises(ConfigError, match=message):
        read_ion_table(write(text))


def test_a_table_that_is_not_there_is_a_configuration_error(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.csv: expected a readable table, found: No such file"):
        read_ion_table(tmp_path / "none.csv")
