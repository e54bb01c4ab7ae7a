import tracemalloc
from pathlib import Path

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_spaces import ALL_CASES, FIXED_CASES, as_sets, case, cases, class_ids, space_of, table_of

from crcrank.artifacts.store import digest_of
from crcrank.chem.ions import read_ion_table
from crcrank.errors import ConfigError
from crcrank.ranking.filters import ElementFilter, search_filter
from crcrank.space.counting import largest_number_of_blocks
from crcrank.space.space import CompositionClass, Space

_ION_TABLE = Path(__file__).parent.parent / "configs" / "ions.csv"
_DEFAULT_CLASSES = [
    (CompositionClass("binary", 1, 20), 2_263),
    (CompositionClass("ternary", 2, 20), 7_544_452),
    (CompositionClass("quaternary", 3, 15), 1_175_675_196),
    (CompositionClass("quinary", 4, 8), 9_992_699_977),
]


@pytest.fixture(scope="module")
def default_space():
    return Space(read_ion_table(_ION_TABLE), [item for item, _ in _DEFAULT_CLASSES])


def _peak_memory(make):
    tracemalloc.start()
    made = make()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return made, peak


def test_a_block_takes_few_bytes():  # spaces of 10^12 candidates have millions of blocks
    space, to_make = _peak_memory(lambda: Space(read_ion_table(_ION_TABLE), [CompositionClass("wide", 4, 12)]))
    wanted = search_filter(space, ElementFilter(max_coefficient=5))
    _, for_kernels = _peak_memory(lambda: space.block_arrays("wide"))
    _, to_filter = _peak_memory(lambda: wanted.allowed_blocks(space, "wide"))
    n = space.classes["wide"].n_blocks
    assert n > 100_000
    assert (to_make < 150 * n, for_kernels < 90 * n, to_filter < 10 * n) == (True, True, True)


def _check_class(chosen):
    expected = naive.class_candidates(*chosen)
    if not expected:
        with pytest.raises(ConfigError, match="no charge-neutral candidate exists"):
            space_of(chosen)
        return
    space = space_of(chosen)
    ids = class_ids(space)
    candidates = space.decode("first", ids)
    found = as_sets(space, "first", candidates)
    assert len(found) == len(expected) == space.n_candidates
    assert set(found) == expected
    assert space.encode("first", candidates).tolist() == ids.tolist()


@pytest.mark.parametrize("chosen", ALL_CASES.values(), ids=ALL_CASES)
def test_ids_number_each_candidate_once(chosen):
    _check_class(chosen)


@settings(deadline=None, max_examples=60)
@given(cases())
def test_ids_number_each_candidate_once_in_any_class(chosen):
    _check_class(chosen)


@settings(deadline=None, max_examples=20)
@given(cases(), st.randoms(use_true_random=False))
def test_order_of_the_ion_table_changes_nothing(chosen, random):
    shuffled = chosen._replace(ions=tuple(random.sample(chosen.ions, len(chosen.ions))))
    try:
        space = space_of(chosen)
    except ConfigError:
        with pytest.raises(ConfigError):
            space_of(shuffled)
        return
    other = space_of(shuffled)
    assert other.digest == space.digest
    assert other.n_candidates == space.n_candidates
    ids = class_ids(space)
    assert as_sets(other, "first", other.decode("first", ids)) == as_sets(space, "first", space.decode("first", ids))


@pytest.mark.parametrize("chosen", ALL_CASES.values(), ids=ALL_CASES)
def test_keys_are_equal_where_formulas_are(chosen):
    space = space_of(chosen)
    candidates = space.decode("first", class_ids(space))
    keys = space.composition_keys("first", candidates).tolist()
    sets = as_sets(space, "first", candidates)
    formulas = [naive.formula(one) for one in sets]
    assert len(set(zip(keys, formulas, strict=True))) == len(set(keys)) == len(set(formulas))
    compositions = [naive.composition(one) for one in sets]
    assert space.formula_keys("first", compositions).tolist() == sorted(set(keys))
    assert space.formula_keys("first", [(e[::-1], n[::-1]) for e, n in compositions]).tolist() == sorted(set(keys))


@pytest.mark.parametrize("chosen", ALL_CASES.values(), ids=ALL_CASES)
def test_composition_arrays_spell_the_formula(chosen):
    space = space_of(chosen)
    candidates = space.decode("first", class_ids(space))
    rows = zip(*space.composition_arrays("first", candidates), as_sets(space, "first", candidates), strict=True)
    for elements, amounts, one in rows:
        symbols = tuple(space.ions.elements[i] for i, n in zip(elements, amounts, strict=True) if n)
        assert (symbols, tuple(n for n in amounts.tolist() if n)) == naive.composition(one)
        assert list(elements) == sorted(elements)


def test_ions_are_listed_by_charge_and_then_the_anion():
    space = space_of(FIXED_CASES["three_slots"])
    labels, _ = space.ions_of("first", space.decode("first", class_ids(space)))
    for row in labels:
        charges = [int(label[-2]) for label in row[:-1]]
        assert charges == sorted(charges)
        assert row[-1].endswith("-")


def test_anions_are_listed_by_charge_and_then_element():
    space = space_of(ALL_CASES["two_anions_two_slots"])
    labels, _ = space.ions_of("first", space.decode("first", class_ids(space)))
    assert {tuple(row[2:]) for row in labels} == {
        ("Cl1-", "F1-"), ("Cl1-", "O2-"), ("Cl1-", "S2-"), ("F1-", "O2-"), ("F1-", "S2-"), ("O2-", "S2-")
    }  # fmt: skip


def test_formula_keys_leave_out_what_the_class_cannot_hold():
    space = space_of(case("Li1+ Na1+ O2- Cl1-", 1, 2))
    outside = [(("Li", "Na", "O"), (1, 1, 1)), (("Li", "O"), (3, 1)), (("Fe", "O"), (1, 1)), (("Li",), (1,))]
    assert space.formula_keys("first", outside).tolist() == []
    assert len(space.formula_keys("first", [*outside, (("O", "Li"), (1, 2)), (("Li", "O"), (2, 1))])) == 1


def test_classes_share_one_range_of_ids():
    chosen = FIXED_CASES["two_slots"]
    space = space_of(chosen, (1, 4), (3, 2))
    first = 0
    for name, item in space.classes.items():
        limits = item.composition_class
        ids = class_ids(space, name)
        assert ids[0] == item.first_id == first
        candidates = space.decode(name, ids)
        assert set(as_sets(space, name, candidates)) == naive.class_candidates(chosen.ions, limits.n_cations, limits.max_coefficient)
        assert space.encode(name, candidates).tolist() == ids.tolist()
        first += item.n_candidates
    assert first == space.n_candidates


@pytest.mark.parametrize("name", ["two_slots", "two_anions_two_slots"])
def test_find_blocks_finds_every_block_and_nothing_else(name):
    space = space_of(ALL_CASES[name])
    blocks = space.classes["first"]
    rows = blocks.stoichiometries
    groups, coefficients = rows.groups[blocks.block_stoichiometry], rows.coefficients[blocks.block_stoichiometry]
    anions, n_anions = blocks.block_anions, rows.anion_coefficients[blocks.block_stoichiometry]
    assert space.find_blocks("first", groups, coefficients, anions, n_anions).tolist() == list(range(blocks.n_blocks))
    backwards = space.find_blocks("first", groups, coefficients, anions[:, ::-1], n_anions[:, ::-1])
    assert backwards.tolist() == list(range(blocks.n_blocks))
    others = (anions + 1) % len(space.ions.anions)
    shifted = space.find_blocks("first", groups, coefficients, others, n_anions)
    found = shifted >= 0
    assert (np.sort(anions[shifted[found]], axis=1) == np.sort(others[found], axis=1)).all()
    assert (coefficients[shifted[found]] == coefficients[found]).all()


def test_digest_tells_spaces_apart():
    chosen = FIXED_CASES["two_slots"]
    others = [chosen._replace(max_coefficient=2), chosen._replace(n_cations=1), chosen._replace(ions=chosen.ions[1:])]
    others += [chosen._replace(mixed_valence=True), chosen._replace(neutral=False), chosen._replace(n_anions=2)]
    assert len({space_of(one).digest for one in (chosen, *others)}) == 7


def test_widening_leaves_the_digest_of_other_spaces_alone():
    """The default space's artifacts stay valid."""
    digest = digest_of({"ions": sorted(["Li1+", "O2-"]), "classes": [["first", 1, 2]]})
    assert space_of(case("Li1+ O2-", 1, 2)).digest == digest


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ([], "at least one class"),
        ([("a", 1, 2), ("a", 2, 2)], "each with its own name"),
        ([("a", 5, 2)], r"space\.classes\.a: wanted 1 to 4 cations"),
        ([("a", 0, 2)], "wanted 1 to 4 cations"),
        ([("a", 2, 0)], "coefficients from 1"),
        ([("a", 2, 2, False, True, 3)], "1 to 2 anions"),
        ([("a", 4, 2000)], "max_coefficient 2000 is too large for 5 ions"),
    ],
)
def test_impossible_classes_are_refused(classes, message):
    table = table_of(FIXED_CASES["four_slots"].ions)
    with pytest.raises(ConfigError, match=message):
        Space(table, [CompositionClass(*item) for item in classes])


@st.composite
def _limits(draw):
    charges = draw(st.lists(st.integers(1, 4), unique=True, min_size=1, max_size=3))
    anion_charges = draw(st.lists(st.integers(1, 3), min_size=1, max_size=3))
    return charges, anion_charges, draw(st.integers(1, 3)), draw(st.integers(1, 4)), draw(st.integers(1, 2)), draw(st.booleans())


@settings(deadline=None, max_examples=60)
@given(_limits())
def test_the_bound_on_blocks_is_the_twins(drawn):
    charges, anion_charges, *limits, neutral = drawn
    found = largest_number_of_blocks(np.array(charges), np.array(anion_charges), *limits, neutral=neutral)
    assert found == naive.n_charge_choices(*drawn)


@pytest.mark.parametrize(
    ("n_cations", "max_coefficient", "neutral", "found"), [(3, 12, False, r"up to 1\.5e\+07"), (1, 2500, True, "countless")]
)
def test_a_class_of_too_many_blocks_is_refused(n_cations, max_coefficient, neutral, found):
    item = CompositionClass("wide", n_cations, max_coefficient, neutral=neutral)
    message = rf"space\.classes\.wide: {found} choices of charges, coefficients and anions, wanted 5e\+06 at most; lower max_coefficient"
    with pytest.raises(ConfigError, match=message) as caught:
        Space(read_ion_table(_ION_TABLE), [item])
    assert ("neutral = true" in str(caught.value)) is not neutral


def test_no_block_exceeds_the_bound():
    for chosen in ALL_CASES.values():
        space = space_of(chosen)
        bound = largest_number_of_blocks(
            space.ions.group_charge, space.ions.anion_charge, *chosen[1:3], chosen.n_anions, neutral=chosen.neutral
        )
        assert space.classes["first"].n_blocks <= bound


def test_default_space_has_its_exact_size(default_space):
    sizes = [item.n_candidates for item in default_space.classes.values()]
    assert sizes == [size for _, size in _DEFAULT_CLASSES]
    assert default_space.n_candidates == sum(sizes)


def test_default_binaries_are_those_of_the_twin(default_space):
    table = read_ion_table(_ION_TABLE)
    ions = [(ion.element, ion.oxidation_state) for ion in (*table.cations, *table.anions)]
    candidates = default_space.decode("binary", class_ids(default_space, "binary"))
    assert set(as_sets(default_space, "binary", candidates)) == naive.class_candidates(ions, 1, 20)


@pytest.mark.parametrize("name", [item.name for item, _ in _DEFAULT_CLASSES])
def test_default_ids_come_back(default_space, name):
    item = default_space.classes[name]
    rng = np.random.default_rng(7)
    edges = np.concatenate([item.block_first[:50], item.block_first[:50] + item.block_size[:50] - 1, item.block_first[-50:]])
    ids = np.concatenate([edges, item.first_id + rng.integers(0, item.n_candidates, 300), [item.first_id + item.n_candidates - 1]])
    candidates = default_space.decode(name, ids)
    assert default_space.encode(name, candidates).tolist() == ids.tolist()
    for one in as_sets(default_space, name, candidates):
        assert sum(state * n for _, state, n in one) == 0
        assert len({element for element, _, _ in one}) == item.composition_class.n_cations + 1
        assert np.gcd.reduce([n for _, _, n in one]) == 1
        assert max(n for _, _, n in one) <= item.composition_class.max_coefficient
