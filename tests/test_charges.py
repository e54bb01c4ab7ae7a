"""Charge assignments: all of them, the likeliest first, and agreement with other people's answers."""

from pathlib import Path

import naive
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_spaces import table_of

from crcrank.chem.charges import ChargeBalancer
from crcrank.chem.formula import parse_formula
from crcrank.chem.ions import parse_ion, read_ion_table

_TABLE = read_ion_table(Path(__file__).parent.parent / "configs" / "ions.csv")
_IONS = "Fe2+ Fe3+ Fe4+ Ti3+ Ti4+ Sb3+ Sb5+ Sb3- Na1+ O2- Cl1- S2- S6+".split()  # noqa: SIM905 (a table to read)


@pytest.fixture(scope="module")
def balancer():
    return ChargeBalancer(_TABLE)


def assigned(balancer, formula):
    composition = parse_formula(formula)
    return balancer.assignments(composition.elements, composition.amounts)


@pytest.mark.parametrize(
    ("formula", "text"),
    [
        ("BaTiO3", "Ba2+ Ti4+ 3O2-"),
        ("FeTiO3", "Fe2+ Ti4+ 3O2-"),
        ("Na2SO4", "2Na1+ S6+ 4O2-"),
        ("Fe3O4", "Fe2+ 2Fe3+ 4O2-"),
        ("Pb3O4", "2Pb2+ Pb4+ 4O2-"),
        ("SbO2", "Sb3+ Sb5+ 4O2-"),
        ("BiOCl", "Bi3+ Cl1- O2-"),
        ("LaOFeAs", "Fe2+ La3+ O2- As3-"),
        ("PNCl2", "P5+ 2Cl1- N3-"),
        ("Fe3(PO4)2", "3Fe2+ 2P5+ 8O2-"),
    ],
)
def test_the_likeliest_assignment_is_the_chemists(balancer, formula, text):
    assert assigned(balancer, formula)[0].text == text


def test_kinds_of_assignments(balancer):
    magnetite, oxychloride, titanate = (assigned(balancer, formula)[0] for formula in ("Fe3O4", "BiOCl", "BaTiO3"))
    assert [ion.label for ion in magnetite.mixed] == ["Fe2+", "Fe3+"]
    assert (magnetite.n_anions, oxychloride.n_anions, titanate.n_anions) == (1, 2, 1)
    assert oxychloride.mixed == titanate.mixed == ()


def test_what_is_not_in_the_table_has_no_assignment(balancer):
    assert assigned(balancer, "H2O") == balancer.plain(("H", "O"), (2, 1)) == balancer.mixed(("H", "O"), (2, 1)) == []


def test_charges_that_are_possible(balancer):
    assert balancer.charge_range(("Fe", "O"), (2, 3), "O") == (2, 8)
    assert balancer.charge_range(("F", "O"), (2, 1), "F") == (-2, -2), "an element without a positive state is an anion too"


compositions = st.dictionaries(st.sampled_from(["Fe", "Ti", "Sb", "Na", "O", "Cl", "S"]), st.integers(1, 4), min_size=2, max_size=3)


@settings(deadline=None, max_examples=60)
@given(composition=compositions)
def test_all_assignments_are_those_of_the_twin(composition):
    ions = [(ion.element, ion.oxidation_state) for ion in map(parse_ion, _IONS)]
    table = table_of(ions)
    shares = {(ion.element, ion.oxidation_state): table.frequency(ion) for ion in (*table.cations, *table.anions)}
    found = ChargeBalancer(table).assignments(tuple(composition), tuple(composition.values()))
    as_sets = {frozenset(((ion.element, ion.oxidation_state), n) for ion, n in item.ions): item.frequency for item in found}
    assert len(as_sets) == len(found)
    assert as_sets == pytest.approx(naive.charge_assignments(shares, composition))
    assert [item.frequency for item in found] == sorted((item.frequency for item in found), reverse=True)
