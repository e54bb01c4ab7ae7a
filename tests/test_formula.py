"""Formulas: what is read, what is refused and why, and agreement with pymatgen."""

import csv
import math
import random
import re
from collections import Counter
from contextlib import suppress
from functools import reduce
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from crcrank.chem.formula import (
    ELECTRONEGATIVITY_ORDER,
    Composition,
    FormulaError,
    format_formula,
    parse_formula,
    pretty_formula,
    read_formula,
)
from crcrank.errors import InputDataError

SAMPLES = Path(__file__).parent.parent / "data-samples"
OQMD = SAMPLES / "oqmd_icsd.csv"
SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")

ACCEPTED = [
    # plain, Hill order, typography
    ("BaTiO3", "BaO3Ti"),
    ("Li2O2", "LiO"),
    ("InF", "FIn"),
    ("C5 H17 Al N2 O8 P2", "AlC5H17N2O8P2"),
    ("- C5 H17 Al N2 O8 P2 -", "AlC5H17N2O8P2"),
    ("-C5 H17 Al N2 O8 P2-", "AlC5H17N2O8P2"),
    ("C 5.00 H 17.00 O 8.00", "C5H17O8"),
    ("'Fe2 O3'", "Fe2O3"),
    ('"Fe2 O3"', "Fe2O3"),
    ("Fe 2 O 3", "Fe2O3"),
    ("Fe\xa02 O3", "Fe2O3"),
    ("Fe₂O₃", "Fe2O3"),
    ("Fe$_2$O$_3$", "Fe2O3"),
    ("Fe$_{12}$O$_3$", "Fe4O"),
    (r"$\mathrm{Fe_{2}O_{3}}$", "Fe2O3"),
    ("Fe_2O_3", "Fe2O3"),
    ("Fe~2~O~3~", "Fe2O3"),
    ("Fe<sub>2</sub>O<sub>3</sub>", "Fe2O3"),
    ("D2O", "H2O"),
    ("DTO", "H2O"),
    # brackets
    ("Sr3 (P3 O9)2 (H2 O)7", "H14O25P6Sr3"),
    ("K4[Fe(CN)6]", "C6FeK4N6"),
    ("Ca{[O(H)]2}", "CaH2O2"),
    ("Ca[(O H)]2", "CaH2O2"),
    ("(Na)Cl", "ClNa"),
    ("K4(Fe(CN)6) (H2O)3", "C6FeH6K4N6O3"),
    ("Fe 2 (S O4) 3", "Fe2O12S3"),
    ("2(H2O)", "H2O"),
    ("((((NaCl))))", "ClNa"),
    # hydrates and other parts
    ("CuSO4.5H2O", "CuH10O9S"),
    ("CuSO4·5H2O", "CuH10O9S"),
    ("CuSO4*5H2O", "CuH10O9S"),
    ("CuSO4•5 H2O", "CuH10O9S"),
    ("CuSO4 . 5(H2O)", "CuH10O9S"),
    ("CuSO4 5H2O", "CuH10O9S"),
    (r"CuSO$_4\cdot$5H$_2$O", "CuH10O9S"),
    ("CuSO4.H2O", "CuH2O5S"),
    ("[Cu(NH3)4]SO4·H2O", "CuH14N4O5S"),
    ("3CaO.Al2O3.6H2O", "Al2Ca3H12O12"),
    ("C5.00H2O", "C5H2O"),
    # charges
    ("(NH4)+", "H4N"),
    ("NH4+", "H4N"),
    ("NO3-", "NO3"),
    ("SO42-", "O4S"),
    ("H3O+ Cl-", "ClH3O"),
    ("Cu2+ S O4 2-", "CuO4S"),
    ("[Fe(CN)6]4-", "C6FeN6"),
    ("Al23+ (S O4)3 2-", "Al2O12S3"),
    ("(NH4)+ SO4-2", "H4NO4S"),
    ("Fe+3 O-2", "FeO"),
    ("Fe+3 2 O-2 3", "Fe2O3"),
    ("Fe3+2 O2-3", "Fe2O3"),
    ("Fe3+2O2-3", "Fe2O3"),
    ("Fe2+Fe3+2O4", "Fe3O4"),
    ("NaFe3+Si2O6", "FeNaO6Si2"),
    ("Na+ Cl-", "ClNa"),
    ("Hg22+ Cl-", "ClHg2"),
    ("C12H10-", "C6H5"),
    ("B12 H12 2-", "BH"),
    ("C6 H6 N 1-", "C6H6N"),
    ("C9 H12 N +", "C9H12N"),
    ("Na⁺Cl⁻", "ClNa"),
    ("SO₄²⁻", "O4S"),
    ("SO<sub>4</sub><sup>2-</sup>", "O4S"),
    ("$Fe^{3+}_{2}O_3$", "Fe2O3"),
    ("Fe^3+^~2~O~3~", "Fe2O3"),
    # oxidation states, polymorphs
    ("Ti(IV)O2", "O2Ti"),
    ("Fe(II)Fe(III)2O4", "Fe3O4"),
    ("Pb (II) (N O3)2", "N2O6Pb"),
    ("\u03b1-Al2O3", "Al2O3"),
    ("β\u2013Ga₂O₃", "Ga2O3"),
    ("\u03b3'-(Fe4N)", "Fe4N"),
    # spaces within one formula
    ("UO2 SO4", "O6SU"),
    ("NH4 VO3", "H4NO3V"),
    ("Ca5(PO4)3 (OH)", "Ca5HO13P3"),
    ("K (Al Si3 O8)", "AlKO8Si3"),
    ("Li2SO4 H2O", "H2Li2O5S"),
]
DISORDER = "fractional amounts (disorder)"
VARIABLE = "variable amounts (x, y, n, δ)"
SEVERAL = "several formulas, or parts without brackets"
SIGN = "ambiguous + or - (a charge, a mixture or a range)"
REJECTED = [
    *[(text, "empty") for text in ("", "   ", "?", ".", "-", "None", "null", "N/A")],
    *[(text, "not a number (NaN or inf)") for text in ("nan", "NaN", "inf", "-inf", "Fe nan O", "Feinf")],
    *[(text, DISORDER) for text in ("Li0.5CoO2", "H2O0.5", "LiFe0.5Mn1.5O4", "CaSO4.0.5H2O", "CaSO4·0.5H2O", "V2O5.1.6H2O")],
    *[(text, DISORDER) for text in ("Na.5CoO2", "Mg1/2O", "CaSO4·½H2O", "Fe3+0.5Mg0.5O", "C 5.00 H 17.50")],
    *[
        (text, VARIABLE)
        for text in ("La2-xSrxCuO4", "YBa2Cu3O7-δ", "Fe1-xO", "FeOx", "Fe₁₋ₓO", "(C2H4)n", "Fe2O3·nH2O", "SO4.xH2O", "SrxO")
    ],
    *[(text, "elements that share a site (disorder)") for text in ("(Mg,Fe)2SiO4", "Fe,Mg")],
    *[(text, SEVERAL) for text in ("BaTiO3 SrTiO3", "BaTiO3, SrTiO3,CaTiO3", "NaCl  KCl", "Ca(OH)2 Mg(OH)2")],
    *[(text, SEVERAL) for text in ("Al2O3 + MgO", "BaO3Ti\xa0Li2O", "BaTiO₃ SrTiO₃")],
    *[(text, "ambiguous (I) or (V) (an oxidation state or an element)") for text in ("Cu(I)2O", "V(V)2O5", "K[I]")],
    *[(text, "zero amount") for text in ("Fe0O3", "Fe 0.0 O", "0(H2O)NaCl", "NaCl·0(H2O)")],
    *[(text, "an amount above 10,000") for text in ("Fe10001O", "(Fe101O)100", "C" + "9" * 900 + "H")],
    *[(text, "an element, not a compound") for text in ("Fe", "Fe3+", "O2", "HDT", "Cr2Cr")],
    *[(text, "unbalanced brackets") for text in ("Fe(O", "Fe)O", "Fe2O3)", "((NaCl)", "(" * 900, "(NaCl)2)(")],
    ("Na(OH)0", "zero amount"),
    ("Na(Xx)2", "unknown element 'Xx'"),
    ("C" * 1001, "longer than 1,000 characters"),
    ("Xx2O3", "unknown element 'Xx'"),
    ("Fe2X3", "unknown element 'X'"),
    ("Ca(Oh)2", "unknown element 'Oh'"),
    *[
        (text, SIGN)
        for text in (
            "Ti-6Al-4V",
            "Ba-Ti-O",
            "Al2O3+SiO2",
            "Al2O3 + SiO2",
            "Al2O3-SiO2",
            "Na+2 O2-1",
            "+Na",
            "Na-2O",
            "Cu2+ SO4-2",
            "(SO4)32-",
            "Fe2 3+2",
            "NaCl 2+KBr",
        )
    ],
    ("Fe 2O 3", "ambiguous number before a part of the formula"),
    *[
        (text, "not a chemical formula")
        for text in ("nacl", "iron oxide", "()NaCl", "NaCl·", "Fe2 3", "2", "5·", "H²O", "NaCl!", "Fe2..O3")
    ],
]


@pytest.mark.parametrize(("text", "formula"), ACCEPTED)
def test_reads_what_databases_write(text: str, formula: str) -> None:
    assert parse_formula(text).formula == formula


@pytest.mark.parametrize(("text", "reason"), REJECTED)
def test_refuses_with_a_reason(text: str, reason: str) -> None:
    with pytest.raises(FormulaError) as caught:
        parse_formula(text)
    assert str(caught.value) == reason
    assert isinstance(caught.value, InputDataError)


# A formula as a tree: a text is a list of parts, a part a coefficient and units, a unit a symbol or a bracket and an amount.
amounts = st.integers(1, 12)
symbols = st.sampled_from(ELECTRONEGATIVITY_ORDER)
units = st.recursive(
    st.tuples(symbols, amounts),
    lambda unit: st.tuples(st.lists(st.tuples(amounts, st.lists(unit, min_size=1, max_size=3)), min_size=1, max_size=2), amounts),
    max_leaves=6,
)
parts = st.lists(st.tuples(amounts, st.lists(units, min_size=1, max_size=4)), min_size=1, max_size=3)


def number(amount: int) -> str:
    return "" if amount == 1 else str(amount)


def write(tree: list, brackets: str) -> str:
    return "·".join(number(coefficient) + "".join(write_unit(unit, brackets) for unit in part) for coefficient, part in tree)


def write_unit(unit: tuple, brackets: str) -> str:
    inside, amount = unit
    return (inside if isinstance(inside, str) else brackets[0] + write(inside, brackets) + brackets[1]) + number(amount)


def count(tree: list) -> Counter:
    total: Counter = Counter()
    for coefficient, part in tree:
        for inside, amount in part:
            for symbol, n in ({inside: 1} if isinstance(inside, str) else count(inside)).items():
                total[symbol] += n * amount * coefficient
    return total


def naive_formula(total: Counter) -> str:
    divisor = reduce(math.gcd, total.values())
    return "".join(symbol + number(total[symbol] // divisor) for symbol in sorted(total))


@settings(deadline=None)
@given(tree=parts, brackets=st.sampled_from(["()", "[]", "{}"]))
def test_nested_formulas_count_as_the_tree_does(tree: list, brackets: str) -> None:
    total, text = count(tree), write(tree, brackets)
    if len(total) < 2 or max(total.values()) > 10_000 or text in {"NaN", "None"}:
        with pytest.raises(FormulaError):
            parse_formula(text)
    else:
        assert parse_formula(text).formula == naive_formula(total)


compositions = st.dictionaries(symbols, st.integers(1, 100), min_size=2, max_size=7)


def hill_order(symbols_in_any_order: set[str]) -> list[str]:
    first = ["C", "H"] if "C" in symbols_in_any_order else []
    return [symbol for symbol in first if symbol in symbols_in_any_order] + sorted(symbols_in_any_order - set(first))


@settings(deadline=None)
@given(amount_by_element=compositions, scale=st.integers(1, 30))
@example(amount_by_element={"Na": 1, "N": 1}, scale=1)
@example(amount_by_element={"In": 1, "F": 1}, scale=1)
def test_every_way_of_writing_gives_one_composition(amount_by_element: dict[str, int], scale: int) -> None:
    expected = Composition.of(amount_by_element, amount_by_element.values())
    pairs = [(symbol, amount_by_element[symbol] * scale) for symbol in hill_order(set(amount_by_element))]
    spaced = " ".join(symbol + number(amount) for symbol, amount in pairs)
    tight = spaced.replace(" ", "")
    ways = [
        spaced,
        f"- {spaced} -",
        f"'{spaced}'",
        " ".join(f"{symbol} {amount}.00" for symbol, amount in pairs),
        tight.translate(SUBSCRIPTS),
        "".join(f"{symbol}$_{{{amount}}}$" for symbol, amount in pairs),
        "".join(f"{symbol}<sub>{amount}</sub>" for symbol, amount in pairs),
        "".join(f"{symbol}~{amount}~" for symbol, amount in pairs),
        f"({tight})2",
        f"[{tight}]2-",
        f"3{tight}",
        f"{tight}·2({tight})",
        expected.formula,
    ]
    assert [parse_formula(way) for way in ways] == [expected] * len(ways)


@settings(deadline=None)
@given(amount_by_element=compositions)
def test_writing_needs_no_order_and_no_reduction(amount_by_element: dict[str, int]) -> None:
    composition = Composition.of(amount_by_element, amount_by_element.values())
    backwards = list(amount_by_element)[::-1] * 2
    doubled = [amount_by_element[symbol] for symbol in backwards]
    assert format_formula(backwards, doubled) == composition.formula == naive_formula(Counter(amount_by_element))
    assert pretty_formula(backwards, doubled) == composition.pretty_formula
    assert composition.chemical_system == "-".join(sorted(amount_by_element))
    assert sorted(composition.elements) == list(composition.elements)
    assert math.gcd(*composition.amounts) == 1


def test_pretty_formulas_put_cations_first_and_stay_reduced() -> None:
    pretty = [parse_formula(text).pretty_formula for text in ("TiO3Ba", "ClNa", "O3Fe2", "Li2O2", "OCoLi2", "FNe")]
    assert pretty == ["BaTiO3", "NaCl", "Fe2O3", "LiO", "Li2CoO", "FNe"]


def test_different_numbers_of_elements_and_amounts_are_a_bug() -> None:
    with pytest.raises(ValueError, match="zip"):
        format_formula(["Na", "Cl"], [1])


@settings(deadline=None, max_examples=300)
@given(text=st.text(max_size=40) | st.text("FeOHNaC0123456789()[]{}.·*+-\u2212²₂⁺ xδ$_^~<sub>/sup", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(FormulaError):
        composition = parse_formula(text)
        assert composition.formula not in {"", "NaN"}
        assert parse_formula(composition.formula) == composition


def bracketed(symbols_in_order: list[str], amounts: dict[str, int], pick: random.Random) -> str:
    """Write some of the atoms in a bracket with a number, the rest before it, as in ``Sr3 (P3 O9)2``."""
    factor = pick.choice([2, 3, 4])
    inside = {symbol: amounts[symbol] // factor for symbol in symbols_in_order if amounts[symbol] >= factor}
    outside = {symbol: amounts[symbol] - factor * inside.get(symbol, 0) for symbol in symbols_in_order}
    before = " ".join(symbol + number(n) for symbol, n in outside.items() if n)
    group = " ".join(symbol + number(n) for symbol, n in inside.items())
    return f"{before} ({group}){factor}" if inside else f"({before})"


def five_notations(amounts: dict[str, int], pick: random.Random) -> dict[str, str]:
    in_any_order = pick.sample(sorted(amounts), len(amounts))
    scale = pick.randint(2, 12)
    return {
        "Hill order": "- " + " ".join(symbol + number(amounts[symbol]) for symbol in hill_order(set(amounts))) + " -",
        "spaces": "  ".join(f"{symbol} {amounts[symbol]}" for symbol in in_any_order),
        "brackets": bracketed(in_any_order, amounts, pick),
        # with every number, for NaN is no formula
        "subscripts": "".join(symbol + str(amounts[symbol]).translate(SUBSCRIPTS) for symbol in in_any_order),
        "scaled": "".join(symbol + str(amounts[symbol] * scale) for symbol in in_any_order),
    }


@pytest.mark.parametrize("name", ["oqmd_icsd", "cod"])
def test_five_thousand_real_formulas_come_back_from_five_notations(name: str) -> None:
    pick = random.Random(5)
    with (SAMPLES / f"{name}.csv").open(newline="") as file:
        formulas = pick.sample([row["formula"] for row in csv.DictReader(file)], 5_000)
    lost = []
    for formula in formulas:
        amounts = {symbol: int(n or 1) for symbol, n in re.findall("([A-Z][a-z]?)([0-9]*)", formula)}
        for notation, text in five_notations(amounts, pick).items():
            reading = read_formula(text)
            if reading.composition.formula != formula or reading.has_parts or reading.has_deuterium or reading.is_rounded:
                lost.append((formula, notation, text))
    assert lost == []


@pytest.mark.parametrize(
    ("text", "within", "formula"),
    [
        ("Li0.98CoO2", 0.05, "CoLiO2"),
        ("Li0.98CoO2", 0.02, "CoLiO2"),
        ("Fe 1.97 (S O4)2.98", 0.09, "Fe2O12S3"),
        ("C 5.00 H 17.02", 0.05, "C5H17"),
        ("CaSO4·1.98H2O", 0.05, "CaH4O6S"),
    ],
)
def test_rounds_within_the_tolerance(text: str, within: float, formula: str) -> None:
    with pytest.raises(FormulaError, match="fractional"):
        read_formula(text)
    reading = read_formula(text, round_within=within)
    assert (reading.composition.formula, reading.is_rounded) == (formula, True)


@pytest.mark.parametrize("text", ["Li0.94CoO2", "Y3Al5O12Ce0.02", "Mg1/2O", "(Mg,Fe)2SiO4", "CaSO4.0.98H2O", "La2-xSrxCuO4"])
def test_what_is_no_rounding_stays_disorder(text: str) -> None:
    with pytest.raises(FormulaError, match=r"disorder|variable"):
        read_formula(text, round_within=0.05)


@pytest.mark.parametrize("text", ["Fe2.O3", "C 5.00 H 17.00", "BaTiO3"])
def test_whole_amounts_are_not_rounded(text: str) -> None:
    reading = read_formula(text, round_within=0.05)
    assert not reading.is_rounded
    assert reading == read_formula(text)


@pytest.mark.parametrize(
    ("text", "has_deuterium", "has_parts"),
    [
        ("D2O", True, False),
        ("Li (O D) (D2 O)", True, False),
        ("LiOT", True, False),
        ("TiO2", False, False),
        ("DyTb", False, False),
        ("CuSO4·5H2O", False, True),
        ("CuSO4.5D2O", True, True),
        ("CoCl3·6NH3", False, True),
        ("Na2SO4 10H2O", False, True),
        ("Co (N H3)6 Cl3", False, False),
    ],
)
def test_says_what_was_read_as_something_else(text: str, has_deuterium: bool, has_parts: bool) -> None:
    reading = read_formula(text)
    assert (reading.has_deuterium, reading.has_parts) == (has_deuterium, has_parts)
    assert reading.composition == parse_formula(text)


def test_a_single_element_is_read_but_is_no_compound() -> None:
    assert read_formula("O2").composition == Composition(("O",), (1,))


@pytest.mark.parametrize(
    "text", ["(" * 500 + "Fe2O3" + ")" * 490, "Fe2 " * 249 + "+", "^{" * 490, "1" * 999 + "+", "<sup>" * 190 + "2-", "Fe2O" * 249 + "-x"]
)
def test_hostile_texts_take_no_time(text: str) -> None:
    with pytest.raises(FormulaError):
        parse_formula(text)


@pytest.fixture(scope="module")
def first_formulas() -> list[str]:
    with OQMD.open(newline="") as file:
        return [row["formula"] for row in islice(csv.DictReader(file), 3_000)]


def test_agrees_with_pymatgen(first_formulas: list[str]) -> None:
    pymatgen = pytest.importorskip("pymatgen.core")
    for text in first_formulas:
        theirs = pymatgen.Composition(text)
        divisor = math.gcd(*(int(amount) for amount in theirs.values()))
        assert dict(zip(*_columns(parse_formula(text)), strict=True)) == {str(e): int(n) // divisor for e, n in theirs.items()}


def test_electronegativity_order_is_pymatgens() -> None:
    pymatgen = pytest.importorskip("pymatgen.core")
    known = ELECTRONEGATIVITY_ORDER[: ELECTRONEGATIVITY_ORDER.index("F") + 1]
    assert list(known) == sorted(known, key=lambda symbol: (pymatgen.Element(symbol).X, symbol))
    assert set(ELECTRONEGATIVITY_ORDER) == {element.symbol for element in pymatgen.Element} - {"D", "T"}


def _columns(composition: Composition) -> tuple[tuple[str, ...], tuple[int, ...]]:
    return composition.elements, composition.amounts
