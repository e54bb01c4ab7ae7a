"""Lines between known compounds, against a walk over all pairs in fractions."""

from math import gcd

import naive
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from crcrank.ranking.mixtures import KnownSystems, solved

_AMOUNTS = st.dictionaries(st.sampled_from(["Ba", "La", "O", "Ti"]), st.integers(1, 4), min_size=2)


def _pair(composition):
    """Return elements in alphabetical order and their amounts without a common divisor."""
    divisor = gcd(*composition.values())
    elements = sorted(composition)
    return elements, [composition[symbol] // divisor for symbol in elements]


@settings(deadline=None, max_examples=200)
@given(st.lists(_AMOUNTS, max_size=12), _AMOUNTS)
def test_the_closest_of_all_tie_lines_is_found(known, target):
    known = list({tuple(map(tuple, _pair(one))): _pair(one) for one in known}.values())
    elements, amounts = _pair(target)
    within = [dict(zip(*one, strict=True)) for one in known if set(one[0]) <= set(elements)]
    expected = naive.tie_line(dict(zip(elements, amounts, strict=True)), within)
    found = KnownSystems(known).tie_line(elements, amounts)
    assert (found is None) == (not expected)
    if found:
        parts = [dict(zip(*part, strict=True)) for part in found.parts]
        spreads = {(frozenset(a.items()), frozenset(b.items())): spread for spread, a, b in expected}
        own = {frozenset(part.items()) for part in parts}
        assert next(spread for pair, spread in spreads.items() if set(pair) == own) == pytest.approx(float(min(spreads.values())))
        total = {symbol: sum(n * part.get(symbol, 0) for n, part in zip(found.numbers, parts, strict=True)) for symbol in elements}
        assert _pair(total) == (elements, amounts)


@given(st.lists(st.lists(st.integers(0, 5), min_size=3, max_size=3), min_size=1, max_size=3), st.lists(st.integers(1, 6), min_size=3))
def test_a_solution_gives_back_what_it_was_made_of(columns, numbers):
    numbers = numbers[: len(columns)]
    matrix = [list(row) for row in zip(*columns, strict=True)]
    wanted = [sum(n * value for n, value in zip(numbers, row, strict=True)) for row in matrix]
    found = solved(matrix, wanted)
    assume(found)
    divisor = gcd(*numbers)
    assert found == tuple(n // divisor for n in numbers)


def test_known_compounds_of_a_system():
    known = [(["Ba", "O"], [1, 1]), (["Ba", "O", "Ti"], [1, 3, 1]), (["O", "Ti"], [2, 1]), (["Ba", "S"], [1, 1]), (["Ba", "O"], [1, 2])]
    systems = KnownSystems(known)
    assert (systems.within(["Ba", "O"]), systems.within(["Fe", "O"])) == ([0, 4], [])
    assert sorted(systems.below(["Ba", "O", "Ti"])) == [0, 1, 2, 4]
    assert str(systems.tie_line(["Ba", "O", "Ti"], [2, 4, 1])) == "BaO + BaTiO3"
    assert str(systems.tie_line(["Ba", "O", "Ti"], [1, 5, 2])) == "TiO2 + BaTiO3"
    assert str(systems.tie_line(["Ba", "O", "Ti"], [1, 3, 1])) == "BaO + TiO2"
    assert systems.tie_line(["Ba", "O", "S"], [1, 1, 2]) is None
