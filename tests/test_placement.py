from pathlib import Path

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from small_spaces import ALL_CASES, FIXED_CASES, as_sets, class_ids, space_of, spaces, table_of

from crcrank.chem.charges import ChargeBalancer
from crcrank.chem.ions import Ion, IonTable, read_ion_table
from crcrank.space.placement import Placer, count_reasons, with_likeliest_anions
from crcrank.space.space import CompositionClass, Space

_ION_TABLE = Path(__file__).parent.parent / "configs" / "ions.csv"
_CLASSES = [CompositionClass("binary", 1, 20), CompositionClass("ternary", 2, 20)]


@pytest.fixture(scope="module")
def table():
    return read_ion_table(_ION_TABLE)


@pytest.fixture(scope="module")
def space(table):
    return Space(table, _CLASSES)


@pytest.fixture(scope="module")
def placer(space, table):
    return Placer(space, table)


def _labels(space, name, placements):
    labels, amounts = space.ions_of(name, space.decode(name, placements.candidate_id))
    return [" ".join(f"{n}{label}" for label, n in zip(*row, strict=True)) for row in zip(labels, amounts.tolist(), strict=True)]


@pytest.mark.parametrize(
    ("elements", "amounts", "name", "expected"),
    [
        (("Ba", "O", "Ti"), (1, 3, 1), "ternary", "1Ba2+ 1Ti4+ 3O2-"),
        (("Ti", "Ba", "O"), (1, 1, 3), "ternary", "1Ba2+ 1Ti4+ 3O2-"),
        (("Al", "Mg", "O"), (2, 1, 4), "ternary", "1Mg2+ 2Al3+ 4O2-"),
        (("Cl", "Na"), (1, 1), "binary", "1Na1+ 1Cl1-"),
        (("Na", "O", "S"), (2, 4, 1), "ternary", "2Na1+ 1S6+ 4O2-"),
    ],
)
def test_a_composition_with_one_assignment_has_one_place(space, placer, elements, amounts, name, expected):
    placements, outside = placer.place([(elements, amounts)])
    assert _labels(space, name, placements[name]) == [expected]
    assert outside == {}
    assert all(len(item.composition) == (key == name) for key, item in placements.items())


@pytest.mark.parametrize(
    ("elements", "amounts", "expected"),
    [
        (("Fe", "O"), (3, 4), "1Fe2+ 2Fe3+ 4O2-"),
        (("O", "Pb"), (4, 3), "2Pb2+ 1Pb4+ 4O2-"),
        (("Ba", "O", "Ti"), (1, 3, 1), "1Ba2+ 1Ti4+ 3O2-"),
        (("O", "Sb"), (2, 1), None),
    ],
)
def test_mixed_valence_has_a_place_where_the_class_allows_it(table, elements, amounts, expected):
    """Antimony is an anion too, so that it stays in one state."""
    space = Space(table, [CompositionClass("ternary", 2, 8, mixed_valence=True)])
    placements, outside = Placer(space, table).place([(elements, amounts)])
    found = _labels(space, "ternary", placements["ternary"].best())
    assert (found, outside) == (([expected], {}) if expected else ([], {0: "mixed valence: Sb3+ Sb5+"}))


def test_without_neutrality_every_coefficient_has_a_place(table):
    space = Space(table, [CompositionClass("binary", 1, 6, neutral=False)])
    placements, outside = Placer(space, table).place([(("Na", "O"), (5, 1)), (("N", "Na"), (3, 1))])
    assert outside == {}
    assert [_labels(space, "binary", placements["binary"].best())] == [["5Na1+ 1O2-", "1Na1+ 3N3-"]]


def test_the_likelier_of_two_assignments_is_best(space, placer, table):
    placements, outside = placer.place([(("Fe", "O", "Ti"), (1, 3, 1))])
    found = dict(zip(_labels(space, "ternary", placements["ternary"]), placements["ternary"].frequency.tolist(), strict=True))
    assert {"1Fe2+ 1Ti4+ 3O2-", "1Fe3+ 1Ti3+ 3O2-"} <= set(found)
    for label, fe, ti in [("1Fe2+ 1Ti4+ 3O2-", 2, 4), ("1Fe3+ 1Ti3+ 3O2-", 3, 3)]:
        assert found[label] == pytest.approx(table.frequency(Ion("Fe", fe)) * table.frequency(Ion("Ti", ti)))
    best = placements["ternary"].best()
    assert _labels(space, "ternary", best) == ["1Fe2+ 1Ti4+ 3O2-"]
    assert best.frequency.tolist() == [max(found.values())]
    assert outside == {}


@pytest.mark.parametrize(
    ("elements", "amounts", "reason"),
    [
        (("Fe", "O"), (3, 4), "mixed valence: Fe2+ Fe3+"),
        (("Bi", "Cl", "O"), (1, 1, 1), "two anions: Cl1- O2-"),
        (("Ba", "O"), (1, 2), "peroxide, superoxide or ozonide (O-O bonds)"),
        (("Na", "O"), (1, 1), "peroxide, superoxide or ozonide (O-O bonds)"),
        (("K", "O"), (1, 2), "peroxide, superoxide or ozonide (O-O bonds)"),
        (("Na", "O", "S"), (1, 4, 1), "too few positive charges (O-O bonds, or hydrogen left out)"),
        (("N", "Na"), (3, 1), "azide (N3-)"),
        (("Cs", "I"), (1, 3), "polyhalide: I-I bonds"),
        (("Ag", "F"), (2, 1), "too many positive charges (metal-metal bonds)"),
        (("Br", "C", "N"), (1, 1, 1), "cyanide, cyanate or thiocyanate (C-N bonds)"),
        (("F", "Kr"), (2, 1), "element not in the ion table: Kr"),
        (("Cl", "H", "N"), (1, 4, 1), "ammonium (NH4+)"),
        (("H", "Li", "N"), (2, 1, 1), "ammonia, amide or imide (N-H bonds)"),
        (("Al", "H", "Na"), (1, 4, 1), "hydride (H1-)"),
        (("H", "La", "Ni"), (6, 1, 5), "hydride (H1-)"),
        (("Ca", "H", "O"), (1, 2, 2), "hydroxide, hydrate or acid (H1+)"),
        (("H", "Mg", "N", "O"), (12, 1, 2, 12), "hydroxide, hydrate or acid (H1+)"),
        (("Na", "O", "W"), (2, 25, 8), "coefficient above 20 (ternary)"),
        (("H", "O"), (1, 1), "element not in the ion table: H"),
        (("Al", "Ni"), (1, 1), "no anion (intermetallic)"),
        (("Fe",), (1,), "no anion (intermetallic)"),
        (("O",), (1,), "no class of this space holds 1 element"),
        (("Al", "K", "O", "Si"), (1, 1, 8, 3), "no class of this space holds 4 elements"),
    ],
)
def test_what_has_no_place_has_a_reason(placer, elements, amounts, reason):
    placements, outside = placer.place([(("Cl", "Na"), (1, 1)), (elements, amounts)])
    assert outside == {1: reason}
    assert placements["binary"].composition.tolist() == [0]


def test_classes_that_are_not_asked_for_hold_nothing(placer):
    compositions = [(("Cl", "Na"), (1, 1)), (("Na", "O", "W"), (2, 25, 8)), (("Ba", "O", "Ti"), (1, 3, 1)), (("Al", "Mg", "Ni"), (1, 1, 1))]
    placements, outside = placer.place(compositions, ["binary"])
    assert list(placements) == ["binary"]
    assert outside == {1: "class not asked for (ternary)", 2: "class not asked for (ternary)", 3: "no anion (intermetallic)"}
    assert placer.places(compositions, ["ternary"])["ternary"].composition.tolist() == [2]


def test_details_after_a_colon_count_as_one_reason():
    outside = {0: "element not in the ion table: H", 1: "element not in the ion table: Xe", 2: "no anion (intermetallic)"}
    assert count_reasons(outside) == {"element not in the ion table": 2, "no anion (intermetallic)": 1}


def test_weights_are_shares_of_all_assignments(placer, table):
    elements, amounts = ("Fe", "O", "Ti"), (1, 3, 1)
    placements = placer.place([(elements, amounts)])[0]["ternary"].likeliest_first()
    weights = placer.weights(elements, amounts, placements.frequency)
    everything = ChargeBalancer(table).assignments(elements, amounts)
    assert weights.tolist() == sorted(weights.tolist(), reverse=True)
    assert weights[0] == pytest.approx(everything[0].frequency / sum(item.frequency for item in everything))
    assert 0 < weights.sum() < 1, "mixed valence is possible too"


def test_weights_of_charged_assignments_are_shares_of_one_another(placer):
    """A class whose charges need not balance has assignments that count as none elsewhere."""
    assert placer.weights(("Na", "Ti"), (1, 1), np.array([0.6, 0.2])).tolist() == pytest.approx([0.75, 0.25])


def test_reasons_are_counted_most_frequent_first():
    assert list(count_reasons({0: "b", 3: "a", 4: "c", 7: "c"}).items()) == [("c", 2), ("a", 1), ("b", 1)]


def test_nothing_to_place():
    chosen = FIXED_CASES["two_slots"]
    placements, outside = Placer(space_of(chosen), table_of(chosen.ions)).place([])
    assert (len(placements["first"].composition), len(placements["first"].best().composition), outside) == (0, 0, {})


def _share(table, ions):
    return np.prod([table.frequency(Ion(element, state)) for element, state, _ in ions])


def _check_places(space, table):
    """Place every composition of a class, and compare with the candidates that the twins give the same formula."""
    sets = as_sets(space, "first", space.decode("first", class_ids(space)))
    by_formula = {}
    for candidate_id, one in zip(class_ids(space).tolist(), sets, strict=True):
        by_formula.setdefault(naive.formula(one), {})[candidate_id] = one
    compositions = [naive.composition(next(iter(same.values()))) for same in by_formula.values()]
    placements, outside = Placer(space, table).place(compositions)
    assert outside == {}
    found = placements["first"]
    assert (np.diff(found.composition) >= 0).all()
    best = dict(zip(found.best().composition.tolist(), found.best().candidate_id.tolist(), strict=True))
    assert len(best) == len(compositions)
    for i, same in enumerate(by_formula.values()):
        rows = found.composition == i
        assert sorted(found.candidate_id[rows].tolist()) == sorted(same)
        shares = dict(zip(found.candidate_id[rows].tolist(), found.frequency[rows].tolist(), strict=True))
        assert shares == pytest.approx({candidate_id: _share(table, one) for candidate_id, one in same.items()})
        assert best[i] == min(shares, key=lambda candidate_id: (-shares[candidate_id], candidate_id))


@pytest.mark.parametrize("chosen", ALL_CASES.values(), ids=ALL_CASES)
def test_every_candidate_is_a_place_of_its_formula(chosen):
    _check_places(space_of(chosen), table_of(chosen.ions))


@settings(deadline=None, max_examples=40)
@given(spaces())
def test_every_candidate_is_a_place_of_its_formula_in_any_class(space):
    ions = [(ion.element, ion.oxidation_state) for ion in (*space.ions.cations, *space.ions.anions)]
    _check_places(space, table_of(ions))


_COUNTS = {"Bi2+": 5, "Bi3+": 95, "Ta3+": 10, "Ta5+": 90, "Tl1+": 70, "Tl3+": 30, "As3+": 60, "As3-": 40}
_COUNTS |= {"Cl5+": 1, "Cl1-": 99, "S2-": 90, "O2-": 100}
_READINGS = {  # elements, amounts, and the number of anions
    "Bi4TaO8Cl": (["Bi", "Cl", "O", "Ta"], [4, 1, 8, 1], 2),
    "Tl3AsS3": (["As", "S", "Tl"], [1, 3, 3], 1),
    "TlClO3": (["Cl", "O", "Tl"], [1, 3, 1], 1),
    "BiOCl": (["Bi", "Cl", "O"], [1, 1, 1], 2),
    "Bi2O3": (["Bi", "O"], [2, 3], 1),
}
_ONE = [CompositionClass(name, n, 8) for name, n in (("binary", 1), ("ternary", 2), ("quaternary", 3))]
_TWO = [CompositionClass(f"two anions, {n}", n, 8, n_anions=2) for n in (1, 2)]
_CHARGED = CompositionClass("charged", 1, 3, neutral=False, n_anions=2)


def _readings(placements, i):
    """Return how many anions the neutral classes say that a composition has."""
    limits = [item.space.classes[name].composition_class for name, item in placements.items() if i in item.composition]
    return {item.n_anions for item in limits if item.neutral}


def _rows(placements):
    return {
        (name, *row) for name, item in placements.items() for row in zip(item.composition.tolist(), item.candidate_id.tolist(), strict=True)
    }


@pytest.mark.parametrize("others", [[], [_CHARGED]])
def test_a_compound_has_the_anions_of_its_likeliest_reading(tmp_path, others):
    lines = [f"{label},{label[:-2]},{label[-1]}{label[-2]},{'anion' if label[-1] == '-' else 'cation'},{n}" for label, n in _COUNTS.items()]
    (tmp_path / "ions.csv").write_text("\n".join(["ion,element,oxidation_state,role,icsd_count", *lines, ""]))
    table = read_ion_table(tmp_path / "ions.csv")
    placed, _ = Placer(Space(table, [*_ONE, *_TWO, *others]), table).place([pair[:2] for pair in _READINGS.values()])
    kept = with_likeliest_anions(placed)
    assert {name for i, name in enumerate(_READINGS) if len(_readings(placed, i)) > 1} == {"Bi4TaO8Cl", "Tl3AsS3"}
    assert [_readings(kept, i) for i, _ in enumerate(_READINGS)] == [{n_anions} for *_, n_anions in _READINGS.values()]
    assert _rows(kept) < _rows(placed)
    assert all(kept[item.name] is placed[item.name] for item in others)


def test_one_anion_in_all_classes_changes_nothing(placer):
    placed, _ = placer.place([(["O", "Ti"], [2, 1]), (["Cl", "Na"], [1, 1]), (["Cl", "K", "O"], [1, 1, 3])])
    assert _rows(with_likeliest_anions(placed)) == _rows(placed)
    assert with_likeliest_anions({}) == {}


def test_of_equally_likely_readings_that_with_more_anions_is_kept():
    ions = [Ion("Tl", 1), Ion("Tl", 3), Ion("Cl", 5), Ion("Cl", -1), Ion("O", -2)]
    table = IonTable(tuple(ions[:3]), tuple(ions[3:]), dict.fromkeys(ions, 10))
    for classes in ([_ONE[1], _TWO[0]], [_TWO[0], _ONE[1]]):
        placed, _ = Placer(Space(table, classes), table).place([(["Cl", "O", "Tl"], [1, 4, 3])])
        assert _readings(placed, 0) == {1, 2}
        assert _readings(with_likeliest_anions(placed), 0) == {2}
