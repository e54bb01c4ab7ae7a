import math
from pathlib import Path

import numpy as np
import pytest
from pymatgen.core import Element

from crcrank.chem.elements import ELEMENT_SYMBOLS, ElementTable, imputed, property_components, read_element_table
from crcrank.chem.ions import read_ion_table
from crcrank.errors import ConfigError

CONFIGS = Path(__file__).parents[1] / "configs"
HEADER = "symbol,atomic_number,radioactive,pauling_electronegativity,group\n"
GOOD = HEADER + "Li,3,false,0.98,1\nNa,11,false,,1\nO,8,false,3.44,16\nTc,43,true,,7\n"


@pytest.fixture
def write(tmp_path):
    def write_table(text: str) -> Path:
        path = tmp_path / "elements.csv"
        path.write_text(text, encoding="utf-8")
        return path

    return write_table


@pytest.fixture(scope="module")
def packaged() -> ElementTable:
    return read_element_table(CONFIGS / "elements.csv")


@pytest.fixture(scope="module")
def ion_elements() -> list[str]:
    table = read_ion_table(CONFIGS / "ions.csv")
    return sorted({ion.element for ion in table.cations + table.anions})


def test_the_symbols_are_pymatgens_by_atomic_number():
    assert tuple(Element.from_Z(atomic_number).symbol for atomic_number in range(1, 119)) == ELEMENT_SYMBOLS


def test_the_packaged_table_has_all_properties_of_all_ions(packaged, ion_elements):
    assert packaged.symbols == ELEMENT_SYMBOLS[:103]
    assert len(packaged.property_names) >= 22
    rows = [packaged.symbols.index(symbol) for symbol in ion_elements]
    assert np.isfinite(packaged.values[rows]).all()
    assert {"Tc", "Pm", "U"} < packaged.radioactive
    assert "Bi" not in packaged.radioactive


@pytest.mark.parametrize(
    ("symbol", "name", "value"),
    [
        ("Fe", "atomic_number", 26),
        ("O", "pauling_electronegativity", 3.44),
        ("Fe", "first_ionization_energy_ev", 7.902),
        ("Cl", "electron_affinity_ev", 3.613),
        ("Fe", "n_valence_d", 6),
        ("Si", "covalent_radius_angstrom", 1.11),
        ("Fe", "density_g_per_cm3", 7.87),
        ("W", "melting_point_k", 3695),
    ],
)
def test_the_packaged_values_are_those_of_the_handbooks(packaged, symbol, name, value):
    found = packaged.values[packaged.symbols.index(symbol), packaged.property_names.index(name)]
    assert found == pytest.approx(value, rel=2e-3)


def test_a_table_is_read_with_its_gaps(write):
    table = read_element_table(write(GOOD))
    assert table.symbols == ("Li", "Na", "O", "Tc")
    assert table.property_names == ("atomic_number", "pauling_electronegativity", "group")
    assert table.radioactive == {"Tc"}
    np.testing.assert_array_equal(table.values, [[3, 0.98, 1], [11, math.nan, 1], [8, 3.44, 16], [43, math.nan, 7]])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD.replace("radioactive", "glows"), "elements.csv, line 1: expected the columns radioactive, found symbol, atomic_number"),
        (GOOD.replace("3.44", "high"), "line 4, column pauling_electronegativity: expected a number or an empty cell, found 'high'"),
        (GOOD.replace("3.44", "nan"), "line 4, column pauling_electronegativity: expected a number or an empty cell, found 'nan'"),
        (GOOD.replace("3,false", "3,no"), "line 2, column radioactive: expected true or false, found 'no'"),
        (GOOD.replace("Na", "Li"), "line 3: expected every element once, found Li again"),
        (GOOD.replace("Na", "Nx"), "line 3: expected the symbol of an element, found 'Nx'"),
        (HEADER, "expected at least one row"),
    ],
)
def test_a_wrong_table_is_refused_with_its_place(write, text, message):
    with pytest.raises(ConfigError, match=message):
        read_element_table(write(text))


def test_a_gap_takes_the_mean_of_the_group_else_of_all(write):
    values, lines = imputed(read_element_table(write(GOOD)), ["Na", "O", "Tc", "Li"])
    assert values[:, 1].tolist() == pytest.approx([0.98, 3.44, 2.21, 0.98])
    assert lines == [
        "Na: pauling_electronegativity is missing, filled with 0.98, the mean over 1 of group 1",
        "Tc: pauling_electronegativity is missing, filled with 2.21, the mean over 2 of all elements",
    ]


def test_without_groups_a_gap_takes_the_mean_of_all(write):
    values, _ = imputed(read_element_table(write(GOOD.replace("group", "column"))), ["Na", "O", "Li"])
    assert values[:, 1].tolist() == pytest.approx([2.21, 3.44, 0.98])


def test_what_cannot_be_imputed_is_an_error(write):
    table = read_element_table(write(GOOD))
    with pytest.raises(ConfigError, match="property pauling_electronegativity: expected a value of at least one element, found none"):
        imputed(table, ["Na", "Tc"])
    with pytest.raises(ConfigError, match="expected a row for Fe, found none among 4 elements"):
        imputed(table, ["Fe"])


@pytest.mark.parametrize("n_components", [1, 2, 6, 23])
def test_components_are_standard_uncorrelated_and_signed(packaged, ion_elements, n_components):
    result = property_components(packaged, ion_elements, n_components)
    assert result.components.shape == (len(ion_elements), n_components)
    np.testing.assert_allclose(result.components.mean(axis=0), 0, atol=1e-10)
    np.testing.assert_allclose(result.components.T @ result.components / len(ion_elements), np.eye(n_components), atol=1e-10)
    largest = result.loadings[np.abs(result.loadings).argmax(axis=0), np.arange(n_components)]
    assert (largest > 0).all()
    assert (np.diff(result.explained_variance_ratio) <= 0).all()
    assert result.imputed == []


def test_components_explain_what_an_eigendecomposition_says(packaged, ion_elements):
    result = property_components(packaged, ion_elements, 5)
    values, _ = imputed(packaged, ion_elements)
    eigenvalues = np.linalg.eigvalsh(np.corrcoef(values.T))[::-1]
    np.testing.assert_allclose(result.explained_variance_ratio, eigenvalues[:5] / eigenvalues.sum())
    standardised = (values - values.mean(axis=0)) / values.std(axis=0)
    np.testing.assert_allclose(standardised @ result.loadings / np.sqrt(eigenvalues[:5]), result.components, atol=1e-9)


def test_all_components_together_are_the_properties(packaged, ion_elements):
    n_properties = len(packaged.property_names)
    result = property_components(packaged, ion_elements, n_properties)
    values, _ = imputed(packaged, ion_elements)
    scale = np.sqrt(result.explained_variance_ratio * n_properties)
    standardised = (values - values.mean(axis=0)) / values.std(axis=0)
    np.testing.assert_allclose(result.components * scale @ result.loadings.T, standardised, atol=1e-9)


def test_no_components_is_an_empty_prior(packaged, ion_elements):
    result = property_components(packaged, ion_elements, 0)
    assert result.components.shape == (len(ion_elements), 0)
    assert result.loadings.shape == (len(result.property_names), 0)
    assert result.explained_variance_ratio.shape == (0,)


def test_a_constant_property_is_dropped_and_imputations_are_listed(write):
    text = GOOD.replace("group", "group,planet").replace(",1\n", ",1,3\n").replace(",16\n", ",16,3\n").replace(",7\n", ",7,3\n")
    result = property_components(read_element_table(write(text)), ["Li", "Na", "O"], 1)
    assert result.property_names == ("atomic_number", "pauling_electronegativity", "group")
    assert len(result.imputed) == 1


@pytest.mark.parametrize("n_components", [-1, 3, 9])
def test_more_components_than_the_rank_is_an_error(write, n_components):
    with pytest.raises(ConfigError, match=rf"prior components: expected 0 to 2 \(the rank of 3 properties\), found {n_components}"):
        property_components(read_element_table(write(GOOD)), ["Li", "Na", "O"], n_components)


def test_one_element_has_no_components(packaged):
    assert property_components(packaged, ["Fe"], 0).components.shape == (1, 0)
    with pytest.raises(ConfigError, match="expected 0 to 0"):
        property_components(packaged, ["Fe"], 1)
